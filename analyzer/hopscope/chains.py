"""Chains: hops that lead to other hops (T1090.003), told from what findings know of their far ends.

One candidate leads to another when its far end (leaked by the relay, seen on the other leg, or asked for by the
client) is the other: the same address and port, the address alone where the other is known by its address, or a
name that the other is asked for. A chain is a client, two or more such hops and the far end of the last one.

A chain scores as its weakest link does: the least `score_db` of its hops' findings. Two candidates that lead to each
other are no stronger for it, since what links them is part of the evidence that made them candidates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hopscope.findings import Finding, endpoint

HOPS = 5  # hops of one chain that are followed
CHAINS = 500  # chains that are told of one run
STEPS = 100_000  # hops that are tried for them: forged targets must not keep the search going
TOLD = 10  # chains kept with a finding, the strongest
LISTED = {"far_ends": "leaked", "targets": "asked"}  # facts in which evidence lists far ends, and what they are
CLIENTS = 3  # clients named in a chain's text


@dataclass(frozen=True)
class Link:
    """The finding numbered `near` leads to the one numbered `far`; `known_by` says how that is known."""

    near: int
    far: int
    known_by: str  # leaked, seen or asked
    value: str  # the far end as the near one knows it, host:port


@dataclass(frozen=True)
class Chain:
    """Clients, the findings' numbers of the hops in order, what stands behind the last, and the score."""

    clients: tuple[str, ...]
    hops: tuple[int, ...]
    places: tuple[str, ...]  # the hops, as `place` names them
    far_end: str
    score_db: float

    @property
    def text(self) -> str:
        """`10.0.0.5 -> 10.0.0.80:8443 -> 203.0.113.9:443 -> unseen, about 40 ms behind`."""
        more = len(self.clients) - CLIENTS
        clients = ", ".join(self.clients[:CLIENTS]) + (f" and {more} more" if more > 0 else "")
        return " -> ".join((clients or "unknown", *self.places, self.far_end))


@dataclass(frozen=True)
class Chains:
    """Chains, strongest first; `cut` says that there are longer or further ones that were not followed."""

    chains: tuple[Chain, ...]
    cut: bool


def known_ends(finding: Finding) -> dict[str, str]:
    """What is known by name or address of the finding's far ends: host:port -> leaked, seen or asked."""
    end = finding.far_end
    out: dict[str, str] = {}
    for known_by, value in (("leaked", end.leaked), ("seen", end.seen), ("asked", end.asked)):
        if value is not None:
            out.setdefault(value, known_by)
    for piece in finding.evidence:  # a relay may name several, a proxy is asked for several
        for fact, known_by in LISTED.items():
            if piece.decibans > 0:
                out |= {v: known_by for v in piece.facts.get(fact) or () if isinstance(v, str) and v not in out}
    return out


def far_end(finding: Finding) -> str:
    """What stands behind the hop, in short: its far end, or how far behind an unseen one is."""
    if known := known_ends(finding):
        return next(iter(known))
    distance = finding.far_end.distance_ms
    return "unseen" if distance is None else f"unseen, about {distance:.0f} ms behind"


def place(finding: Finding) -> str:
    """The hop: address and port, or what the finding is about when it is no single port."""
    if finding.entity.kind != "service" or finding.port is None:
        return finding.entity.value
    return endpoint(finding.hop, finding.port)


def links(findings: Sequence[Finding]) -> list[Link]:
    """Which of the findings lead to which others, in their order."""
    by_service: dict[tuple[str, int | None], list[int]] = {}
    by_name: dict[str, list[int]] = {}
    for i, f in enumerate(findings):
        by_service.setdefault((f.hop, f.port), []).append(i)
        names = (f.entity.value,) if f.entity.kind == "name" else f.names
        for name in names:
            by_name.setdefault(name.lower(), []).append(i)
    out = []
    for i, f in enumerate(findings):
        for value, known_by in known_ends(f).items():
            host, port = _parted(value)
            keys = ((host, port), (host, None)) if port is not None else ((host, None),)
            found = {j for key in keys for j in by_service.get(key, ())} | {*by_name.get(host, ())}
            out += [Link(i, j, known_by, value) for j in sorted(found) if findings[j].hop != f.hop]
    return out


def enumerate_chains(findings: Sequence[Finding], linked: Sequence[Link] | None = None) -> Chains:
    """All chains of the findings, strongest first, up to CHAINS of at most HOPS hops each."""
    linked = links(findings) if linked is None else linked
    if not linked:
        return Chains((), False)
    after: dict[int, list[int]] = {}
    for link in linked:
        after.setdefault(link.near, []).append(link.far)
    before: dict[int, set[str]] = {}  # addresses of the hops that lead to a hop: their near leg is a far leg already
    for link in linked:
        before.setdefault(link.far, set()).add(findings[link.near].hop)
    out: list[Chain] = []
    cut, steps = False, 0
    for start in sorted(after):
        clients = tuple(c for c in findings[start].clients if c not in before.get(start, ()))
        if not clients and before.get(start):
            continue
        for path, whole in _paths(start, after, findings):
            steps += 1
            cut |= not whole or len(out) >= CHAINS or steps > STEPS
            if len(out) >= CHAINS or steps > STEPS:
                break
            if len(path) > 1:
                hops = [findings[i] for i in path]
                score = min(f.score_db for f in hops)
                out.append(Chain(clients, path, tuple(map(place, hops)), far_end(hops[-1]), score))
    return Chains(tuple(sorted(out, key=lambda c: (-c.score_db, c.text))), cut)


def with_chains(findings: Sequence[Finding]) -> list[Finding]:
    """The findings; those that stand in a chain tell so, and bear T1090.003 too."""
    told: dict[int, list[str]] = {}
    for chain in enumerate_chains(findings).chains:
        for i in chain.hops:
            told.setdefault(i, []).append(chain.text)
    return [_told(f, told[i]) if i in told else f for i, f in enumerate(findings)]


def _told(finding: Finding, chains: list[str]) -> Finding:
    attack = tuple(dict.fromkeys((*finding.attack, "T1090.003")))
    return dataclasses.replace(finding, chains=tuple(dict.fromkeys(chains))[:TOLD], attack=attack)


def _paths(
    start: int, after: dict[int, list[int]], findings: Sequence[Finding]
) -> Iterator[tuple[tuple[int, ...], bool]]:
    """The simple paths from a hop, to where each leads no further; false with those that HOPS cut short.

    No host stands twice in a path, also not as two entities.
    """
    waiting: list[tuple[int, ...]] = [(start,)]
    while waiting:
        path = waiting.pop()
        met = {findings[i].hop for i in path}
        onward = [i for i in after.get(path[-1], ()) if findings[i].hop not in met]
        if not onward or len(path) == HOPS:
            yield path, not onward
        else:
            waiting += [(*path, i) for i in reversed(list(dict.fromkeys(onward)))]


def _parted(value: str) -> tuple[str, int | None]:
    """Host and port of `host:port`; an address of IPv6 may stand in brackets. Port is None where there is none."""
    host, colon, port = value.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or len(port) > 5:
        return value.lower().strip("[]"), None
    return host.lower().strip("[]"), int(port)
