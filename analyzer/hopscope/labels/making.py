"""Labels from what a person names: a finding, or an address, service or name that needn't be one."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hopscope import fusion
from hopscope.errors import UsageError
from hopscope.findings import Entity, Finding, endpoint, finding_id
from hopscope.labels.fits import groups_of
from hopscope.labels.kept import Label, Verdict
from hopscope.narrowing import network

if TYPE_CHECKING:
    from hopscope.runs import Run

KEPT = 50  # names and fingerprints kept with a label, as with a finding
_ENDPOINT = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[\d.]+)):(?P<port>\d{1,5})(?:/(?P<proto>tcp|udp))?")
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+")


@dataclass(frozen=True)
class Said:
    """Who says it, when (UTC) and why."""

    verdict: Verdict
    now: datetime
    author: str = ""
    note: str = ""

    @property
    def time(self) -> str:
        """RFC 3339, UTC."""
        return self.now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Target:
    """An entity that a person named; `hop` is None for a name."""

    entity: Entity
    hop: str | None = None
    port: int | None = None
    proto: str | None = None


def target(text: str) -> Target | None:
    """The entity that ADDRESS, ADDRESS:PORT[/PROTO], an IPv6 /64 or NAME names; None where it is none of them.

    PROTO is tcp where it isn't told. Raises UsageError for a network that isn't a /64 and for a port out of range.
    """
    place = _ENDPOINT.fullmatch(text)
    address = _address((place["six"] or place["four"]) if place else text)
    if place and address is not None:
        port, proto = int(place["port"]), place["proto"] or "tcp"
        if port > 0xFFFF:
            raise UsageError(f"{text}: port {port} is out of range; ports go up to 65535")
        return Target(Entity("service", f"{endpoint(address, port)}/{proto}"), address, port, proto)
    if address is not None:
        return Target(Entity("address", address), address)
    if "/" in text:
        return _network(text)
    name = _name(text)
    return Target(Entity("name", name)) if name is not None else None


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _network(text: str) -> Target | None:
    try:
        net = ipaddress.ip_network(text, strict=False)  # 2001:db8::9/64 names the network it lies in
    except ValueError:
        return None
    if net.version != 6 or net.prefixlen != 64:
        raise UsageError(f"{text}: findings are about addresses and IPv6 /64s; label those, or allow a whole network")
    return Target(Entity("network", str(net)), str(net.network_address))


def _name(text: str) -> str | None:
    """As names stand in records: lower case, ASCII, without the last dot."""
    try:
        plain = text.rstrip(".").lower().encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return plain if _HOST.fullmatch(plain) else None


def _text(typed: str) -> str:
    """As it can be kept: bytes on a command line that are no UTF-8 could not be read again."""
    return typed.encode("utf-8", "replace").decode("utf-8")


def of_finding(finding: Finding, said: Said) -> Label:
    """A label of a finding, with everything that is known of it now."""
    return Label(
        id=finding.id,
        verdict=said.verdict,
        entity=finding.entity,
        hop=finding.hop,
        time=said.time,
        port=finding.port,
        proto=finding.proto,
        sensor=finding.sensor,
        author=_text(said.author),
        note=_text(said.note),
        names=finding.names,
        dns_names=finding.dns_names,
        fingerprints=finding.fingerprints,
        pieces=fusion.pieces_of(finding),
        groups=groups_of({e.heuristic: e.decibans for e in finding.evidence}),
        score_db=finding.score_db,
        versions=finding.versions,
    )


def of_target(wanted: Target, said: Said, findings: Sequence[Finding], run: Run | None) -> list[Label]:
    """Labels of what was named, one for each sensor that saw it, with what the run (None where none is kept) and its
    findings know of it there.

    Their pieces are null where the run saw nothing of it.
    """
    seen = _Seen(wanted, run) if run is not None else None
    near = [f for f in findings if _touches(f, wanted)]
    sensors = {p["sensor"] for p in seen.pairs} if seen is not None else set()
    made = []
    for sensor in sorted(sensors | {f.sensor for f in near}) or [""]:
        here = [f for f in near if f.sensor == sensor]
        exact = [f for f in here if f.entity == wanted.entity]
        made.append(of_finding(exact[0], said) if exact else _of_sensor(wanted, said, sensor, here, seen, run))
    return made


def _of_sensor(
    wanted: Target, said: Said, sensor: str, near: Sequence[Finding], seen: _Seen | None, run: Run | None
) -> Label:
    """A label of what is no finding of this sensor."""
    pairs = [p for p in seen.pairs if p["sensor"] == sensor] if seen is not None else []
    label = Label(
        id=finding_id(Entity(wanted.entity.kind, stored(wanted)), sensor),
        verdict=said.verdict,
        entity=wanted.entity,
        hop=wanted.hop or (pairs[0]["server"] if pairs else near[0].hop if near else None),
        time=said.time,
        port=wanted.port,
        proto=wanted.proto,
        sensor=sensor,
        author=_text(said.author),
        note=_text(said.note),
        names=_all_of(near, "names"),
        dns_names=_all_of(near, "dns_names"),
        fingerprints=_all_of(near, "fingerprints"),
    )
    if run is None or seen is None or not pairs:
        return label
    pieces = run.pieces(wanted.entity.kind, stored(wanted), sensor)
    return dataclasses.replace(
        label,
        names=tuple(sorted({p["name"] for p in pairs if p["name"] is not None})[:KEPT]),
        dns_names=seen.dns_names(sensor)[:KEPT],
        pieces=pieces,
        groups=groups_of(fusion.scaled_of(pieces, run.config.fusion)),
        score_db=round(fusion.score_of(pieces, run.config.fusion), 1),
    )


class _Seen:
    """What a run's window has of an entity."""

    def __init__(self, wanted: Target, run: Run):
        self._window = run.window
        p = self._window.pairs
        if wanted.entity.kind == "name":
            mine = p.filter(p.name == wanted.entity.value)
        elif wanted.entity.kind == "network":
            mine = p.filter(p.server.contains(":"))  # the standard library knows an address's /64
        else:
            mine = p.filter(p.server == wanted.hop)
        if wanted.port is not None:
            mine = mine.filter((p.port == wanted.port) & (p.proto == wanted.proto))
        columns = ("sensor", "server", "name")
        rows = mine.select(*columns).distinct().order_by([*columns]).to_pyarrow().to_pylist()
        inside = wanted.entity.kind != "network"
        self.pairs = [r for r in rows if inside or network(r["server"]) == wanted.entity.value]

    def dns_names(self, sensor: str) -> tuple[str, ...]:
        """The names whose DNS answers gave a client one of the entity's addresses."""
        n = self._window.names
        mine = n.filter(n.address.isin(sorted({p["server"] for p in self.pairs})) & (n.sensor == sensor))
        return tuple(sorted(mine.select("name").distinct().to_pyarrow()["name"].to_pylist()))


def stored(wanted: Target | Finding) -> str:
    """The entity's value as evidence and runs have it."""
    if wanted.entity.kind != "service":
        return wanted.entity.value
    return f"{wanted.hop}|{wanted.port}|{wanted.proto}"


def _touches(finding: Finding, wanted: Target) -> bool:
    """The finding is about a part of what was named, or the other way round."""
    if wanted.entity.kind == "name":
        return wanted.entity.value in finding.names
    return finding.hop == wanted.hop and (wanted.port is None or finding.port in (None, wanted.port))


def _all_of(findings: Iterable[Finding], field: str) -> tuple[str, ...]:
    """What any of the findings has in a field of texts, in order."""
    return tuple(sorted({value for f in findings for value in getattr(f, field)})[:KEPT])
