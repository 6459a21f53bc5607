"""Findings: what a person reads, and what is kept for `explain`, `dissect` and labels.

The dataclasses are the reference; `Finding.to_json` and `from_json` are exact inverses. `Findings` are those
of one hunt with what it read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, overload

import msgspec

from hopscope.errors import UsageError

if TYPE_CHECKING:
    import pandas

    from hopscope.records import InputCount

SEVERITIES = ("info", "low", "medium", "high", "critical")


@dataclass(frozen=True)
class Entity:
    """What a finding is about: `kind` is name, service (address and port), address or network (IPv6 /64)."""

    kind: str
    value: str


@dataclass(frozen=True)
class Evidence:
    """What one heuristic says of the entity. `facts` have the units that the heuristic declares."""

    heuristic: str
    decibans: float
    sentence: str
    threshold: str
    facts: dict[str, Any]
    units: dict[str, str]
    client: str | None
    clients: int  # clients for whom the heuristic says the same or less
    uids: tuple[str, ...]
    capped_from: float | None = None  # decibans before its group's cap; None when the cap did not bite
    raw_db: float | None = None  # what the heuristic itself gave for the best client: before weight, bonus and cap


@dataclass(frozen=True)
class FarEnd:
    """What is known of what stands behind the hop; `distance_ms` is measured from the hop."""

    leaked: str | None = None  # host:port that the relay itself named in clear
    seen: str | None = None  # host:port of the far leg, where the sensor sees both legs
    asked: str | None = None  # host:port that the client asked the hop to reach
    distance_ms: float | None = None
    spread_ms: float | None = None
    hop_rtt_ms: float | None = None
    answer_rtt_ms: float | None = None


@dataclass(frozen=True)
class Process:
    """A program that a host names for connections to the entity. `connections` are those of the sensor's that its
    events were matched with, on both ends and time; `offset_s` is the median of the events' time less theirs."""

    host: str
    process: str
    pid: int | None
    user: str | None
    client: str
    server: str
    port: int | None
    initiated: bool | None  # the process opened the connection; None where the events don't tell
    events: int
    connections: int
    first_seen: str
    last_seen: str
    offset_s: float | None
    uids: tuple[str, ...]  # of matched connections, at most ten


@dataclass(frozen=True)
class RuleMatch:
    """What a Sigma rule fired on: one place, on `records` records. `kind` says of what: connection, dns_query or
    host_event. `severity` is the rule's level; `server`, `port` and the host's fields are None where there is none."""

    id: str
    rule: str
    title: str
    severity: str
    tags: tuple[str, ...]
    kind: str
    sensor: str | None
    client: str | None
    server: str | None
    port: int | None
    proto: str | None
    name: str | None
    host: str | None
    process: str | None
    pid: int | None
    user: str | None
    records: int
    first_seen: str
    last_seen: str
    uids: tuple[str, ...]  # of those records, at most ten; host events as HOST/record number
    leads_to: tuple[str, ...] = ()  # where a process that was caught between loopbacks connects besides, host:port
    suppression: str | None = None  # the allowlist entry that hides it; set when it is shown, never kept


@dataclass(frozen=True)
class Finding:
    """An entity whose score crossed a severity threshold, with everything that explains it."""

    id: str
    entity: Entity
    hop: str
    port: int | None
    proto: str | None
    clients: tuple[str, ...]
    names: tuple[str, ...]
    first_seen: str  # RFC 3339, UTC
    last_seen: str
    score_db: float
    severity: str
    prior_db: float
    evidence: tuple[Evidence, ...]
    far_end: FarEnd
    attack: tuple[str, ...]
    d3fend: tuple[str, ...]
    counterfactuals: dict[str, float]  # the score without each heuristic
    void: dict[str, str]  # heuristic -> why the vantage couldn't tell
    connections: tuple[dict[str, Any], ...]  # the connections behind it, a bounded sample
    suppression: str | None = None  # the allowlist entry that hides it; set when it is shown, never kept
    input: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    dns_names: tuple[str, ...] = ()  # names whose DNS answers gave a client the hop's address
    chains: tuple[str, ...] = ()  # chains of hops that it stands in: client -> hop -> next hop -> far end
    fingerprints: tuple[
        str, ...
    ] = ()  # `kind:value` of what hop and clients showed: ja4, cert_sha256, ssh_host_key, ...
    clients_total: int | None = None  # of `clients`, which names the first; None in older stores
    sensor: str = ""  # whose records it came from
    allowance: tuple[str, ...] = ()  # what the allowlist says of it without hiding it; set when it is shown
    processes: tuple[Process, ...] = ()  # programs that hosts name for connections to it, a bounded number
    rules: tuple[RuleMatch, ...] = ()  # Sigma rules that fired there, a bounded number
    label: str | None = None  # what a person said of it (hop or benign, and the note); set when it is shown

    def to_json(self) -> str:
        """One line of JSON, keys in the order of the fields."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=True, separators=(", ", ": "))

    @classmethod
    def from_json(cls, line: str) -> Finding:
        """The inverse of `to_json`. Raises ValueError when the line is not a finding."""
        try:
            raw = json.loads(line)  # msgspec's own reader refuses NaN, which a fact may be
            found = msgspec.convert(raw, cls)
        except RecursionError as e:
            raise ValueError("nested too deeply") from e
        parts: list[tuple[type[Any], dict[str, Any]]] = [
            (cls, raw),
            (Entity, raw["entity"]),
            (FarEnd, raw["far_end"]),
            *((Evidence, e) for e in raw["evidence"]),
            *((Process, p) for p in raw.get("processes", ())),
            *((RuleMatch, m) for m in raw.get("rules", ())),
        ]
        for kind, part in parts:
            unknown = sorted(part.keys() - {f.name for f in dataclasses.fields(kind)})
            if unknown:
                raise ValueError(f"unknown field {unknown[0]!r}")
        if found.severity not in SEVERITIES:
            raise ValueError(f"no severity {found.severity!r}")
        return found


class Findings(Sequence[Finding]):
    """What a hunt found, strongest first; `input` counts what it read and could not read.

    `matches` are what Sigma rules fired on, the gravest first; `rules` tells of the rules that the settings name.
    """

    def __init__(
        self,
        found: Iterable[Finding],
        read: InputCount,
        matches: Iterable[RuleMatch] = (),
        rules: Sequence[str] = (),
    ):
        self._found = tuple(sorted(found, key=lambda f: (-f.score_db, f.id)))
        self.input = read
        self.matches = tuple(matches)
        self.rules = tuple(rules)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Findings: ...
    def __getitem__(self, index: int | slice) -> Finding | Findings:
        if isinstance(index, slice):
            return self.only(self._found[index], self.matches)
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"<{len(self)} findings: {', '.join(f'{f.id} {f.severity}' for f in self[:5])}>"

    def at_least(self, severity: str) -> Findings:
        """Those of this severity and above, with the rule matches of these levels. Raises UsageError when there is
        no such severity."""
        if severity not in SEVERITIES:
            raise UsageError(f"no severity {severity!r}; there are {', '.join(SEVERITIES)}")
        enough = SEVERITIES[SEVERITIES.index(severity) :]
        matches = (m for m in self.matches if m.severity in enough)
        return Findings((f for f in self if f.severity in enough), self.input, matches, self.rules)

    def only(self, found: Iterable[Finding], matches: Iterable[RuleMatch]) -> Findings:
        """These findings and matches in place of its own, with all else that is told."""
        return Findings(found, self.input, matches, self.rules)

    def to_dataframe(self) -> pandas.DataFrame:
        """One row per finding, columns as in `Finding`. Raises UsageError when pandas isn't installed."""
        try:
            import pandas
        except ImportError as e:
            raise UsageError("to_dataframe needs pandas; install it with pip install 'hopscope[dataframe]'") from e
        columns = [f.name for f in dataclasses.fields(Finding)]
        rows = ({name: getattr(f, name) for name in columns} for f in self)
        return pandas.DataFrame(rows, columns=columns)


def endpoint(address: str, port: int | None, proto: str | None = None) -> str:
    """`192.0.2.1:443`, `[2001:db8::1]:443/tcp`, or the address alone where there is no port."""
    if port is None:
        return address
    transport = f"/{proto}" if proto else ""
    return f"[{address}]:{port}{transport}" if ":" in address else f"{address}:{port}{transport}"


def instant(us: int) -> str:
    """Microseconds of the epoch as RFC 3339, in UTC, to the millisecond."""
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def finding_id(entity: Entity, scope: str) -> str:
    """A stable id: the same entity in the same scope (the sensor) has the same id in every run."""
    digest = hashlib.blake2b(f"{scope}\x00{entity.kind}\x00{entity.value}".encode(), digest_size=5).hexdigest()
    return f"hop-{digest}"
