"""What every source that stays offers, and which one a URL means."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import SplitResult, urlsplit

from hopscope.errors import UsageError
from hopscope.sources.broker_values import Port, Value

if TYPE_CHECKING:
    from hopscope.config import LiveSettings
    from hopscope.findings import Finding
    from hopscope.records import Batch, InputCount
    from hopscope.sources.addresses import Networks
    from hopscope.sources.zeek_stream import StreamStatus

FINDINGS_TOPIC = "/hopscope/findings"
FINDING = "Hopscope::finding"
MOST_TOLD = 100  # clients and names that go with a finding to Zeek
_SCHEMES = "ws://HOST:PORT, wss://HOST:PORT or broker://HOST:PORT"


@dataclass(frozen=True)
class Tls:
    """Files (PEM) for wss: who signed the server's certificate, our own certificate and its key."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class Status(Protocol):
    """How a source is doing."""

    def line(self) -> str:
        """In a few words."""
        ...


@dataclass(frozen=True)
class LineStatus:
    """How a line to Zeek is doing. `peer` says what it is connected to, None while it isn't; `trouble` why not.

    `lost_frames` did not fit into what may wait to be decoded; `unsent` findings could not be sent.
    """

    url: str
    peer: str | None
    trouble: str | None
    reconnects: int
    waiting_bytes: int
    lost_frames: int
    unsent: int
    stream: StreamStatus

    def line(self) -> str:
        """In a few words."""
        s = self.stream
        where = self.peer if self.peer is not None else f"not connected ({self.trouble or 'starting'})"
        nodes = "1 node" if len(s.nodes) == 1 else f"{len(s.nodes):,} nodes"
        bad = [f"{n:,} {what}" for n, what in ((s.missing, "missing"), (s.refused, "refused")) if n]
        return ", ".join([where, nodes, f"{s.records:,} records", *bad])


class LiveSource(Protocol):
    """A source that stays: entered before it is read, told to close after."""

    @property
    def status(self) -> Status:
        """How it is doing now."""
        ...

    def poll(self, timeout_s: float) -> list[Batch]:
        """What came, as soon as anything did; nothing when nothing did in time."""
        ...

    def drain(self) -> list[Batch]:
        """All that is left of what came, when nothing more is to be waited for: once, at the end."""
        ...

    def send_finding(self, finding: Finding) -> None:
        """Hand a finding to Zeek, without waiting before `drain`; where that can't be, it is counted and told."""
        ...

    def close(self) -> None:
        """Let go of the line."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def connect(
    url: str, settings: LiveSettings, count: InputCount, tls: Tls | None = None, networks: Networks | None = None
) -> LiveSource:
    """The source that the URL means; nothing is connected before it is entered.

    With `networks`, they say what is local instead of the sensors. Raises UsageError for a URL that means
    none, or files that can't be used.
    """
    scheme = _split(url).scheme
    if scheme in ("ws", "wss"):
        from hopscope.sources import zeek_websocket

        return zeek_websocket.ZeekWebSocket(url, settings, count, tls or Tls(), networks)
    if scheme == "broker":
        from hopscope.sources import zeek_broker

        return zeek_broker.ZeekBroker(url, settings, count, networks)
    raise UsageError(f"{url}: not a URL of Zeek's; give {_SCHEMES}")


def address(url: str, default_port: int) -> tuple[str, int, str]:
    """Host, port and path of a URL. Raises UsageError."""
    parts = _split(url)
    try:
        port = parts.port or default_port
    except ValueError as e:
        raise UsageError(f"{url}: its port is not one ({e}); give {_SCHEMES}") from e
    if not parts.hostname:
        raise UsageError(f"{url}: names no host; give {_SCHEMES}")
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(f"{url}: Zeek takes no user name and no query; give {_SCHEMES}")
    return parts.hostname, port, parts.path


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as e:
        raise UsageError(f"{url}: not a URL ({e}); give {_SCHEMES}") from e


def finding_args(finding: Finding) -> tuple[Value, ...]:
    """The argument of the event that hands a finding to Zeek: its record, fields by position."""
    best = max(finding.evidence, key=lambda e: e.decibans, default=None)
    title = finding.entity.value if best is None else f"{finding.entity.value}: {best.sentence}"
    service = (
        None if finding.port is None else Port(finding.port, finding.proto if finding.proto in _WITH_PORTS else "?")
    )
    clients = tuple(ipaddress.ip_address(client) for client in finding.clients[:MOST_TOLD])
    record: tuple[Value, ...] = (
        finding.id,
        ipaddress.ip_address(finding.hop),
        service,
        finding.severity,
        float(finding.score_db),
        clients,
        finding.names[:MOST_TOLD],
        "T1090.001" in finding.attack,
        title,
    )
    return (record,)


_WITH_PORTS = ("tcp", "udp")
