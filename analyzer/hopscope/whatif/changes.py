"""What other settings would change: findings before and after, and which piece of evidence moved each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hopscope.findings import SEVERITIES, Finding
from hopscope.labels import Label, Measure, measure

Kind = Literal["appears", "vanishes", "rises", "falls"]
KINDS: tuple[Kind, ...] = ("appears", "vanishes", "rises", "falls")
LEAST_DB = 0.05  # scores are told with one decimal
Parts = Mapping[str, float]
"""What each heuristic, and the prior, adds to a score in decibans."""
Ask = Callable[[Finding], Parts]
"""The parts of an entity that is not even low, asked for by what it is told as on the other side."""


@dataclass(frozen=True)
class Moved:
    """What one heuristic, or the prior, adds to a score in decibans, before and after; None: it said nothing."""

    what: str
    before: float | None
    after: float | None

    @property
    def by(self) -> float:
        """How much the score moves by it."""
        return (self.after or 0.0) - (self.before or 0.0)


@dataclass(frozen=True)
class Change:
    """A finding that isn't as it was; `before` or `after` is None where it is not even low, its score is known."""

    kind: Kind
    before: Finding | None
    after: Finding | None
    before_db: float
    after_db: float
    why: Moved | None  # what moved most; None where only a severity begins elsewhere

    @property
    def finding(self) -> Finding:
        """As it is told: after, where it still is one."""
        told = self.after or self.before
        assert told is not None
        return told


@dataclass(frozen=True)
class Outcome:
    """All changes, by kind and strongest first, how many findings stay as they are, and what labels say of it."""

    changes: tuple[Change, ...]
    same: int
    measured: tuple[Measure, Measure] | None  # before and after; None without labels


def outcome(
    before: Sequence[Finding],
    after: Sequence[Finding],
    labels: Sequence[Label],
    severity: str,
    was: Ask,
    would_be: Ask,
) -> Outcome:
    """What becomes of findings from `low` up, as a person sees them who looks at those of this severity and above."""
    changes: list[Change] = []
    same = 0
    for old, new in _paired(before, after):
        told = _told(old, severity), _told(new, severity)
        if told == (False, False):
            continue
        kind = _kind(old, new, *told)
        if kind is None:
            same += 1
            continue
        before_parts, after_parts = _parts(old, new, was), _parts(new, old, would_be)
        scores = _score(old, before_parts), _score(new, after_parts)
        changes.append(Change(kind, old, new, *scores, _moved(before_parts, after_parts)))
    changes.sort(key=lambda c: (KINDS.index(c.kind), -c.finding.score_db, c.finding.id))
    measured = None
    if labels:
        acted_on = ([f for f in found if _told(f, severity)] for found in (before, after))
        old_measure, new_measure = (measure(found, labels) for found in acted_on)
        measured = (old_measure, new_measure)
    return Outcome(tuple(changes), same, measured)


def _told(finding: Finding | None, severity: str) -> bool:
    return finding is not None and SEVERITIES.index(finding.severity) >= SEVERITIES.index(severity)


def _paired(before: Iterable[Finding], after: Iterable[Finding]) -> list[tuple[Finding | None, Finding | None]]:
    """The same entity before and after; then what is left of a hop, strongest with strongest: a hop may be told
    as an address where it was told as a service."""
    new = {f.id: f for f in after}
    pairs: list[tuple[Finding | None, Finding | None]] = []
    left: list[Finding] = []
    for old in before:
        if old.id in new:
            pairs.append((old, new.pop(old.id)))
        else:
            left.append(old)
    others: dict[tuple[str, str], list[Finding]] = {}
    for f in sorted(new.values(), key=lambda f: (f.score_db, f.id)):
        others.setdefault((f.sensor, f.hop), []).append(f)
    for old in sorted(left, key=lambda f: (-f.score_db, f.id)):
        told_as = others.get((old.sensor, old.hop))
        pairs.append((old, told_as.pop() if told_as else None))
    return pairs + [(None, f) for rest in others.values() for f in rest]


def _kind(old: Finding | None, new: Finding | None, was: bool, is_: bool) -> Kind | None:
    if was != is_:
        return "appears" if is_ else "vanishes"
    assert old is not None
    assert new is not None
    if old.severity != new.severity:
        return "rises" if SEVERITIES.index(new.severity) > SEVERITIES.index(old.severity) else "falls"
    if abs(new.score_db - old.score_db) < LEAST_DB:
        return None
    return "rises" if new.score_db > old.score_db else "falls"


def _moved(before: Parts, after: Parts) -> Moved | None:
    """What moved the score most, the first by name of equals."""
    moves = [Moved(name, before.get(name), after.get(name)) for name in sorted(before.keys() | after.keys())]
    most = max(moves, key=lambda m: abs(m.by), default=None)
    return most if most is not None and abs(most.by) >= LEAST_DB else None


def _parts(finding: Finding | None, other: Finding | None, ask: Ask) -> Parts:
    if finding is not None:
        return {"prior": finding.prior_db} | {e.heuristic: e.decibans for e in finding.evidence}
    assert other is not None
    return ask(other)


def _score(finding: Finding | None, parts: Parts) -> float:
    return finding.score_db if finding is not None else round(sum(parts.values()), 1)
