"""Fusion over columns: the scores of many labelled entities at once, and how they change with the weights.

The same sum as `fusion.score_of`: prior, and for each group of correlated heuristics the weighted decibans of
its members, held within the group's cap.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopscope import fusion
from hopscope.config import FusionSettings
from hopscope.heuristics import registry
from hopscope.narrowing import network

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

SOFT_DB = 1.0


@dataclass(frozen=True)
class Example:
    """One label as the fit sees it: `pieces` are each heuristic's own decibans and its clients."""

    hop: bool
    pieces: Mapping[str, tuple[float, int]]
    address: str | None  # None of a name that no record was seen of
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """Labels in columns.

    `said` has a row for each label and a column for each of `heuristics`: its decibans with what further clients
    add to support, which the weight multiplies; 0 where it was silent. `hop` is what a person said; `place`
    numbers what the labels speak of, as labels of one hop or one name are no independent witnesses.
    """

    heuristics: tuple[str, ...]
    said: Floats
    hop: Bools
    place: Ints

    def take(self, rows: Ints) -> Labelled:
        """Those rows alone."""
        return Labelled(self.heuristics, self.said[rows], self.hop[rows], self.place[rows])

    @property
    def shares(self) -> Floats:
        """What each label counts: those of one place count as one together."""
        _, at, count = np.unique(self.place, return_inverse=True, return_counts=True)
        out: Floats = 1.0 / count[at]
        return out


@dataclass(frozen=True)
class Settings:
    """What of fusion's settings the fit may change; `weights` in the order of `Labelled.heuristics`."""

    prior_db: float
    weights: Floats
    medium_db: float
    high_db: float
    critical_db: float


@dataclass(frozen=True)
class Shape:
    """What the fit leaves alone: `member` tells the group of each heuristic (rows are heuristics), `caps` its cap."""

    member: Floats
    caps: Floats
    proxy: Bools  # heuristics whose certainty silences evidence against


def shape(heuristics: Sequence[str], settings: FusionSettings) -> Shape:
    """The groups and caps of those heuristics under those settings."""
    known = registry()
    groups = list(fusion.GROUPS)
    member = np.zeros((len(heuristics), len(groups)))
    for row, name in enumerate(heuristics):
        member[row, groups.index(known[name].group)] = 1.0
    caps = np.array([settings.caps.get(g, fusion.GROUPS[g].cap_db) for g in groups])
    return Shape(member, caps, np.array([known[h].group == "proxy" for h in heuristics], bool))


def scores(labels: Labelled, prior_db: float, weights: Floats, shape: Shape) -> Floats:
    """The score of each label's entity in decibans."""
    out: Floats = prior_db + np.clip(_by_group(labels, weights, shape), -shape.caps, shape.caps).sum(axis=1)
    return out


def smooth(labels: Labelled, prior_db: float, weights: Floats, shape: Shape) -> tuple[Floats, Floats]:
    """The scores, and how each changes with each weight, with caps that set in over SOFT_DB.

    A fit that follows slopes would stop at the corner of a cap, where everything beyond looks level.
    """
    total = _by_group(labels, weights, shape)
    over, under = (total - shape.caps) / SOFT_DB, (-total - shape.caps) / SOFT_DB
    within = total + SOFT_DB * (np.logaddexp(0, under) - np.logaddexp(0, over))
    free = 1 - 1 / (1 + np.exp(-np.clip(over, -500, 500))) - 1 / (1 + np.exp(-np.clip(under, -500, 500)))
    free = np.where(total == 0, 0.0, free)  # nobody spoke, or what is certain silenced it
    return prior_db + within.sum(axis=1), labels.said * (free @ shape.member.T)


def _by_group(labels: Labelled, weights: Floats, shape: Shape) -> Floats:
    """Each label's decibans of each group, before caps."""
    weighed = labels.said * weights
    total: Floats = weighed @ shape.member
    certain = np.any(weighed[:, shape.proxy] >= fusion.CERTAIN_DB, axis=1, keepdims=True)
    return np.where(certain & (total < 0), 0.0, total)


def labelled(examples: Sequence[Example], settings: FusionSettings, disabled: frozenset[str]) -> Labelled:
    """Labels in columns; heuristics that are off, or that this version doesn't know, say nothing."""
    known = registry()
    spoke = {h for e in examples for h in e.pieces}
    heuristics = tuple(sorted(h for h in spoke if h in known and h not in disabled))
    plain = dataclasses.replace(settings, weights={})
    said = np.array(
        [[fusion.weighted(h, *e.pieces.get(h, (0.0, 1)), plain) for h in heuristics] for e in examples], np.float64
    ).reshape(len(examples), len(heuristics))  # rows: labels are few
    hop = np.array([e.hop for e in examples], bool)
    return Labelled(heuristics, said, hop, _places(examples))


def _places(examples: Iterable[Example]) -> Ints:
    """A number for each label: the same where address (IPv6: its /64) or a name is shared, also over others."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    keys = []
    for row, e in enumerate(examples):
        mine = [f"name {name.rstrip('.').lower()}" for name in e.names]
        mine += [f"at {_address(e.address)}"] if e.address else []
        mine = mine or [f"row {row}"]
        for other in mine[1:]:
            parent[root(other)] = root(mine[0])
        keys.append(mine[0])
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(root(k), len(numbers)) for k in keys], np.int64)


def _address(text: str) -> str:
    return network(text) if ipaddress.ip_address(text).version == 6 else text
