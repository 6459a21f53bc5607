"""Which label fits which finding, and how good findings are by the labels.

A label sticks to the behaviour, not to a row: it fits the same entity in any later run, what lies in it,
and its name at a new address where DNS gave a client that address for the name. A benign label stops to
count when the finding shows a group of heuristics that wasn't there when the label was given.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hopscope.config import NetworkSettings
from hopscope.findings import Entity, Finding
from hopscope.heuristics import registry
from hopscope.labels.kept import Label, in_force, summary
from hopscope.narrowing import network

NEW_DB = 6.0  # a group of heuristics speaks for a hop from here on, and so much more than it did
_OURS = tuple(ipaddress.ip_network(net) for net in NetworkSettings().local_nets)


class Thing(Protocol):
    """What a label and a finding have in common: an entity and where it was seen."""

    @property
    def entity(self) -> Entity: ...
    @property
    def hop(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...
    @property
    def proto(self) -> str | None: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def dns_names(self) -> tuple[str, ...]: ...
    @property
    def sensor(self) -> str: ...


@dataclass(frozen=True)
class Fit:
    """The label of a finding; `new` has the groups, with their decibans, that it didn't show when labelled."""

    label: Label
    new: Mapping[str, float]

    @property
    def counts(self) -> bool:
        """Whether the label still speaks of the finding."""
        return not self.new

    @property
    def text(self) -> str:
        """What a person reads beside the finding."""
        if self.counts:
            return summary(self.label)
        groups = ", ".join(f"{group} {db:+.1f}" for group, db in sorted(self.new.items(), key=lambda i: (-i[1], i[0])))
        return f"labelled benign, but now also {groups} dB: {summary(self.label)}"


@dataclass(frozen=True)
class Measure:
    """Findings by the labels that fit them, and labelled hops by whether a finding tells them."""

    hops: int  # findings labelled hop
    benign: int  # findings labelled benign
    outgrown: int  # findings whose benign label no longer counts
    unlabelled: int
    found: int  # labelled hops that a finding tells
    missed: int  # labelled hops that none tells

    @property
    def precision(self) -> float | None:
        """Of the findings whose label counts, the share of hops; None when there are none."""
        return self.hops / (self.hops + self.benign) if self.hops + self.benign else None

    @property
    def recall(self) -> float | None:
        """Of the labelled hops, the share that is found; None when there are none."""
        return self.found / (self.found + self.missed) if self.found + self.missed else None

    @property
    def text(self) -> str:
        """Both with their counts."""
        precision = f"{_share(self.precision)} ({self.hops} of {self.hops + self.benign} labelled findings)"
        recall = f"{_share(self.recall)} ({self.found} of {self.found + self.missed} labelled hops)"
        return f"precision {precision}, recall {recall}"


def of(findings: Iterable[Finding], labels: Iterable[Label]) -> dict[str, Fit]:
    """The label that fits each finding, by the finding's id; the newest where several do."""
    index = _Index(labels)
    out = {}
    for finding in findings:
        label = index.newest(finding)
        if label is not None:
            out[finding.id] = Fit(label, _new_groups(label, finding) if label.verdict == "benign" else {})
    return out


def marked(findings: Iterable[Finding], labels: Iterable[Label]) -> list[Finding]:
    """The findings in their order, each with what was said of it."""
    findings = list(findings)
    fits = of(findings, labels)
    return [dataclasses.replace(f, label=fits[f.id].text) if f.id in fits else f for f in findings]


def measure(findings: Sequence[Finding], labels: Iterable[Label]) -> Measure:
    """How good these findings (those at the severity that is acted on) are by the labels."""
    index = _Index(labels)
    fits = of(findings, index.labels)
    counting = {i: fit for i, fit in fits.items() if fit.counts}
    told = [f for f in findings if f.id in counting and counting[f.id].label.verdict == "hop"]
    hops = [h for h in index.labels if h.verdict == "hop" and (now := index.newest(h)) and now.verdict == "hop"]
    found = sum(any(fits_to(hop, f) for f in told) for hop in hops)
    return Measure(
        hops=len(told),
        benign=len(counting) - len(told),
        outgrown=len(fits) - len(counting),
        unlabelled=len(findings) - len(fits),
        found=found,
        missed=len(hops) - found,
    )


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def groups_of(decibans: Mapping[str, float]) -> dict[str, float]:
    """The groups of heuristics that speak for a hop, with their decibans, from each heuristic's scaled ones."""
    known = registry()
    out: dict[str, float] = {}
    for heuristic, db in decibans.items():
        if heuristic in known:  # other versions may know others
            out[known[heuristic].group] = out.get(known[heuristic].group, 0.0) + db
    return {group: round(db, 1) for group, db in out.items() if db > 0.05}


def fits_to(label: Label, thing: Thing) -> bool:
    """Whether the label speaks of the thing."""
    ours, theirs = label.entity, thing.entity
    if label.sensor and thing.sensor and label.sensor != thing.sensor and _inside(label.hop):
        return False  # two sites may give one private address to two hosts
    if ours == theirs or _renamed(label, thing):
        return True
    if theirs.kind == "name":
        return _covers(label, thing) and theirs.value in label.names
    if ours.kind == "name":  # it may be one of several on the service
        at_it = label.hop is not None and (label.hop, label.port, label.proto) == (thing.hop, thing.port, thing.proto)
        only = set(thing.names) == {ours.value}
        return at_it and (only or (label.verdict == "hop" and ours.value in thing.names))
    # what is a hop on one port is one whatever wider is told of it; what is benign there says nothing of others
    return _covers(label, thing) or (label.verdict == "hop" and _covers(thing, label))


def _covers(wide: Thing, narrow: Thing) -> bool:
    """The place of the narrow one lies in the wide one's."""
    kind = wide.entity.kind
    if kind == "network":
        return _network(narrow) == wide.entity.value
    if narrow.entity.kind == "network" or wide.hop is None or wide.hop != narrow.hop:
        return False
    return kind == "address" or (kind == "service" and (wide.port, wide.proto) == (narrow.port, narrow.proto))


def _network(thing: Thing) -> str | None:
    """The /64 it lies in; None for IPv4."""
    return network(thing.hop) if thing.hop is not None and ":" in thing.hop else None


def _renamed(label: Label, thing: Thing) -> bool:
    """All names by which DNS led to the thing are names of the label's; what is benign, at the same port."""
    names = _confirmed(thing)
    if not names or not names <= _confirmed(label):
        return False
    services = label.entity.kind == thing.entity.kind == "service"
    return label.verdict == "hop" or not services or (label.port, label.proto) == (thing.port, thing.proto)


def _confirmed(thing: Thing) -> set[str]:
    """The names that are the thing's own; those that only a client said could be anybody's."""
    if thing.entity.kind == "name":
        return {thing.entity.value}
    return set(thing.dns_names) & set(thing.names) if thing.names else set(thing.dns_names)


def _inside(address: str | None) -> bool:
    """An address of a private range, as far as one can tell without the site's settings."""
    if address is None:
        return False
    given = ipaddress.ip_address(address)
    return any(given in net for net in _OURS if net.version == given.version)


def _new_groups(label: Label, finding: Finding) -> dict[str, float]:
    now = groups_of({e.heuristic: e.decibans for e in finding.evidence})
    return {
        group: db
        for group, db in now.items()
        if (then := label.groups.get(group, 0.0)) < NEW_DB and db >= then + NEW_DB
    }


class _Index:
    """Labels in force by what they may fit, newest first."""

    def __init__(self, labels: Iterable[Label]):
        self.labels = in_force(labels)
        self._by: dict[str, list[int]] = {}
        for i, label in enumerate(self.labels):
            for key in _keys(label):
                self._by.setdefault(key, []).append(i)

    def newest(self, thing: Thing) -> Label | None:
        """The newest label that fits."""
        candidates = sorted({i for key in _keys(thing) for i in self._by.get(key, ())})
        return next((self.labels[i] for i in candidates if fits_to(self.labels[i], thing)), None)


def _keys(thing: Thing) -> set[str]:
    """Things that fit each other share at least one of these: addresses, IPv6 /64s and names."""
    places = (thing.hop, _network(thing))
    return {*(p for p in places if p is not None), thing.entity.value, *_confirmed(thing)}
