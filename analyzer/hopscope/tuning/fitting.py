"""The fit: weights by penalised likelihood towards what is shipped, then prior and thresholds at equal recall.

P(hop) = 1 / (1 + 10^(-score / 10)). Labels are of findings, and people label what catches their eye: the share
of hops among labels is not the network's. So both sides weigh half, and a free offset that is thrown away takes
up how labels were chosen while the weights are fitted. Prior and thresholds are then set from the labelled hops
alone, by scores held out: they are to be believed as much as they were, so that what is gained is gained from the
benign ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hopscope.tuning import model
from hopscope.tuning.model import Bools, Floats, Ints, Labelled, Settings, Shape

NATS = np.log(10) / 10  # of a deciban
STRENGTHS = (np.inf, 100.0, 30.0, 10.0, 3.0)  # labels that would have to speak against a shipped weight
MOST_WEIGHT = 3.0
LEAST_CHANGE = 0.05  # of a weight: smaller ones are not proposed
MOST_SHIFT_DB = 30.0
LEAST_ABOVE = 10  # hops at a severity, to move its threshold
LEAST_STEP_DB = 1.0  # between severities, and the least move of a threshold


@dataclass(frozen=True)
class Fitted:
    """What a fit proposes, and the strength that inner cross-validation chose (infinite: shipped weights stay)."""

    settings: Settings
    strength: float


def fit(labels: Labelled, current: Settings, shape: Shape, folds: int, seed: int) -> Fitted:
    """Weights, prior and thresholds for these labels. Both verdicts must occur in each of the folds."""
    held = {s: np.empty(labels.hop.size) for s in STRENGTHS}
    losses = {s: np.empty(labels.hop.size) for s in STRENGTHS}
    for rest, out in split(labels, folds, seed):
        seen, unseen, start = labels.take(rest), labels.take(out), None
        for strength in STRENGTHS:  # each fit begins where the one before ended: they lie close together
            start = weights, offset = _weights(seen, shape, strength, start)
            held[strength][out] = model.scores(unseen, current.prior_db, _proposed(weights), shape)
            losses[strength][out] = _loss(held[strength][out] - current.prior_db + offset, unseen.hop)
    strength = _strongest_as_good(losses, _balanced(labels), labels.place)
    start = None
    for weaker in (s for s in STRENGTHS if s >= strength):
        start = _weights(labels, shape, weaker, start)
    assert start is not None
    weights = _proposed(start[0])
    before = model.scores(labels, current.prior_db, current.weights, shape)
    return Fitted(_operating(labels, before, held[strength], weights, current), strength)


def split(labels: Labelled, folds: int, seed: int) -> Iterator[tuple[Ints, Ints]]:
    """Rows to learn from and rows held out, all labels of one place on one side, both verdicts spread evenly."""
    from sklearn.model_selection import StratifiedGroupKFold

    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    yield from parts.split(labels.said, labels.hop, labels.place)


def _weights(
    labels: Labelled, shape: Shape, strength: float, start: tuple[Floats, float] | None = None
) -> tuple[Floats, float]:
    """The weights that these labels ask for, and the offset of how they were chosen.

    Shipped weights (1) count as `strength` labels that lie where the outcome is open and have that
    heuristic's usual evidence.
    """
    from scipy.optimize import minimize

    many = labels.said.shape[1]
    share = _balanced(labels)
    sign = np.where(labels.hop, 1.0, -1.0)
    spoke = np.maximum((labels.said != 0).sum(axis=0), 1)
    usual = (labels.said**2).sum(axis=0) / spoke
    pull = strength * NATS**2 * usual / 4 if np.isfinite(strength) else np.zeros(many)

    def cost(x: Floats) -> tuple[float, Floats]:
        weights, offset = x[:many], 10 * x[many]
        score, slope = model.smooth(labels, 0.0, weights, shape)
        z = NATS * sign * (score + offset)
        down = -share * sign * NATS * _chance(-z)  # slope of the loss in decibans
        gradient = np.append(down @ slope + pull * (weights - 1), 10 * down.sum())
        return float(share @ np.logaddexp(0, -z) + pull @ (weights - 1) ** 2 / 2), gradient

    begin = np.append(np.ones(many), -4.0) if start is None else np.append(start[0], start[1] / 10)
    free: list[Any] = [(0, MOST_WEIGHT)] * many if np.isfinite(strength) else [(1, 1)] * many
    found = minimize(cost, begin, jac=True, method="L-BFGS-B", bounds=[*free, (-15, 15)], options={"ftol": 1e-7})
    return found.x[:many], float(10 * found.x[many])


def _proposed(weights: Floats) -> Floats:
    """Weights as they would be written: two digits, and those that hardly changed not at all."""
    return np.where(np.abs(weights - 1) < LEAST_CHANGE, 1.0, np.round(weights, 2))


def _balanced(labels: Labelled) -> Floats:
    """What each label counts: places alike, hops and benign ones half each, as many in sum as there are places."""
    share = labels.shares
    total = share.sum()
    out: Floats = np.where(labels.hop, share / share[labels.hop].sum(), share / share[~labels.hop].sum()) * total / 2
    return out


def _loss(decibans: Floats, hop: Bools) -> Floats:
    out: Floats = np.logaddexp(0, -NATS * np.where(hop, decibans, -decibans))
    return out


def _chance(z: Floats) -> Floats:
    out: Floats = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
    return out


def _strongest_as_good(losses: dict[float, Floats], share: Floats, place: Ints) -> float:
    """Of the strengths whose held-out loss is within a standard error of the best's, the greatest."""
    mean = {s: float(share @ loss) for s, loss in losses.items()}
    best = min(mean, key=lambda s: (mean[s], -s))
    for strength in sorted(losses, reverse=True):
        apart = np.bincount(place, share * (losses[strength] - losses[best]))
        if apart.sum() <= np.sqrt(np.count_nonzero(np.bincount(place))) * apart[np.unique(place)].std():
            return strength
    return best


def _operating(labels: Labelled, before: Floats, held: Floats, weights: Floats, current: Settings) -> Settings:
    """Prior and thresholds for scores that change from `before` to `held` (held out, with the prior as it was)."""
    hop = labels.hop
    share = labels.shares[hop]
    shift = np.round(_shift(labels, before, held, current.medium_db), 1)
    after = held[hop] + shift
    least, moved = current.medium_db + LEAST_STEP_DB, []
    for threshold in (current.high_db, current.critical_db):
        if share[before[hop] >= threshold].sum() >= LEAST_ABOVE:
            new = _level(after, share, _belief(before[hop], share, threshold))
            new = round(2 * new) / 2
            threshold = new if abs(new - threshold) >= LEAST_STEP_DB else threshold
        moved.append(max(threshold, least))
        least = moved[-1] + LEAST_STEP_DB
    return Settings(round(float(current.prior_db + shift), 1), weights, current.medium_db, *moved)


def _shift(labels: Labelled, before: Floats, held: Floats, medium: float) -> float:
    """How far the prior moves: as little up, or as far down, as leaves the hops' mean belief what it was.

    And at least so far up that as many reach medium: counted alone, the last hop would decide.
    """
    hop, share = labels.hop, labels.shares[labels.hop]
    believed = medium - _level(held[hop], share, _belief(before[hop], share, medium))
    return float(np.clip(max(believed, _as_many(before[hop], held[hop], share, medium)), -MOST_SHIFT_DB, MOST_SHIFT_DB))


def _belief(scores: Floats, share: Floats, threshold: float) -> float:
    return float(share @ _chance(NATS * (scores - threshold)))


def _level(scores: Floats, share: Floats, belief: float) -> float:
    """The threshold at which these scores have that belief in sum."""
    low, high = scores.min() - 2 * MOST_SHIFT_DB, scores.max() + 2 * MOST_SHIFT_DB
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _belief(scores, share, middle) > belief else (low, middle)
    return float((low + high) / 2)


def _as_many(before: Floats, held: Floats, share: Floats, threshold: float) -> float:
    """The least shift with which as many of `held` reach the threshold as of `before`."""
    wanted = share[before >= threshold].sum()
    if wanted == 0:
        return -MOST_SHIFT_DB
    order = np.argsort(-held)
    enough = order[np.searchsorted(np.cumsum(share[order]), wanted - 1e-9)]
    return float(np.ceil(10 * (threshold - held[enough])) / 10)
