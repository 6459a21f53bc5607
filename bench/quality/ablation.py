"""What each heuristic alone brings: the same evidence, fused without it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bench.quality import judge, measures
from bench.quality.run import Outcome, Told


@dataclass(frozen=True)
class Loss:
    """Over all items, with one heuristic off: hops no longer found, hops found for that, false findings more or less.

    `spoke` are the items in which it had anything to say, `weaker_db` the mean of what hops' best scores lose,
    `false_low` how many more are false at low.
    """

    heuristic: str
    spoke: int
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    false_more: int
    false_fewer: int
    false_low: int
    weaker_db: float


def losses(outcomes: Iterable[Outcome], threshold_db: float = measures.MEDIUM_DB) -> list[Loss]:
    """One row per heuristic that spoke anywhere; those that bring most first."""
    all_ = list(outcomes)
    names = sorted({h for o in all_ for h in o.without})
    out = [_loss(name, all_, threshold_db) for name in names]
    return sorted(out, key=lambda x: (-len(x.lost), -x.false_more, -x.false_low, -x.weaker_db, x.heuristic))


def _loss(name: str, outcomes: list[Outcome], threshold_db: float) -> Loss:
    lost: list[str] = []
    gained: list[str] = []
    more = fewer = low = 0
    drops: list[float] = []
    for o in outcomes:
        drops += [t.scaled.get(name, 0.0) for t in _best(o)]
        if name not in o.without:
            continue
        left = o.without[name]
        before, after = measures.found_of(o, threshold_db), measures.found_of(o, threshold_db, left)
        lost += [f"{o.item.name} {a}:{p}" for a, p in sorted(before - after)]
        gained += [f"{o.item.name} {a}:{p}" for a, p in sorted(after - before)]
        was = {t.entity for t in measures.false_of(o, threshold_db)}
        now = {t.entity for t in measures.false_of(o, threshold_db, left)}
        more, fewer = more + len(now - was), fewer + len(was - now)
        low += len(measures.false_of(o, -math.inf, left)) - len(measures.false_of(o, -math.inf))  # told from low up
    spoke = sum(name in o.without for o in outcomes)
    return Loss(name, spoke, tuple(lost), tuple(gained), more, fewer, low, sum(drops) / len(drops) if drops else 0.0)


def _best(outcome: Outcome) -> list[Told]:
    """The strongest entity that names each hop."""
    out = []
    for hop in outcome.truth.hops:
        mine = (t for t in outcome.scored if hop in judge.named(outcome.truth, t))
        best = next(mine, None)
        if best is not None:
            out.append(best)
    return out
