"""What a fit changes on labels that it hasn't seen, and whether that is enough to propose it.

Labels are parted by hop several times; each part is judged by a fit of the others, whose own choices (strength,
prior, thresholds) are made inside them. So no figure here is of a label that had a say in it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from hopscope.errors import UsageError
from hopscope.tuning import fitting, model
from hopscope.tuning.model import Bools, Labelled, Settings, Shape

FOLDS = 5
PARTINGS = 5
LEAST_HOPS, LEAST_BENIGN = 10, 20  # different ones: fewer leave folds in which a single label decides
CHANCE = 0.05  # an improvement that chance gives as often as this is none


@dataclass(frozen=True)
class Effect:
    """Labels told at a severity: hops found of all, and benign ones, which are false findings."""

    found: int
    hops: int
    false: int
    benign: int


@dataclass(frozen=True)
class Parting:
    """Held-out figures of one parting: at each severity (medium, high, critical), and `without` each change alone."""

    after: tuple[Effect, Effect, Effect]
    without: dict[str, Effect]  # at medium; by heuristic, or "prior"
    vanished: int  # places with false findings that are gone, and such that are new
    appeared: int
    lost: tuple[int, ...]  # rows of hops that are no longer told
    gained: tuple[int, ...]


@dataclass(frozen=True)
class Proposal:
    """What all labels together propose, how today's settings do on them, and held-out figures of every parting.

    `refused` says why nothing should be changed, None when the proposal is better than what there is.
    """

    fitted: fitting.Fitted
    before: tuple[Effect, Effect, Effect]
    partings: tuple[Parting, ...]
    refused: str | None

    @property
    def middle(self) -> Parting:
        """The parting whose outcome is the middle one: what may be expected."""
        return sorted(self.partings, key=_worse)[len(self.partings) // 2]

    @property
    def lost_at_most(self) -> float:
        """The share of hops found today that may be lost: where 95 of 100 such counts would have shown more."""
        from scipy.stats import binomtest

        interval = binomtest(len(self.middle.lost), self.before[0].found).proportion_ci(0.9, "exact")
        return float(interval.high)


def propose(labels: Labelled, current: Settings, shape: Shape, seed: int = 1, lose: int = 0) -> Proposal:
    """Fit to all labels, and measure what such a fit does to labels it hasn't seen.

    `lose` is how many hops held out may be lost. Raises UsageError when the labels are too few to tell.
    """
    import sklearn.model_selection  # noqa: F401 - limits hold for the libraries of linear algebra that are loaded
    from threadpoolctl import threadpool_limits

    check(labels)
    with threadpool_limits(1):  # for so small matrices threads cost more than they give
        partings = tuple(_parting(labels, current, shape, seed + n) for n in range(PARTINGS))
        fitted = fitting.fit(labels, current, shape, FOLDS, seed)
    proposal = Proposal(fitted, effects(labels, current, shape), partings, None)
    return dataclasses.replace(proposal, refused=reason(proposal, current, lose))


def effects(labels: Labelled, settings: Settings, shape: Shape) -> tuple[Effect, Effect, Effect]:
    """What these settings tell of these labels, at medium, high and critical."""
    scores = model.scores(labels, settings.prior_db, settings.weights, shape)
    return (
        _effect(labels, scores >= settings.medium_db),
        _effect(labels, scores >= settings.high_db),
        _effect(labels, scores >= settings.critical_db),
    )


def check(labels: Labelled) -> None:
    """Raises UsageError when there are too few labels to fit and judge by; says which, and how many."""
    hops, benign = (np.unique(labels.place[side]) for side in (labels.hop, ~labels.hop))
    lacking = [
        f"{least - have.size} more {what} ({have.size} of {least})"
        for what, have, least in (("hops", hops, LEAST_HOPS), ("benign destinations", benign, LEAST_BENIGN))
        if have.size < least
    ]
    if lacking:
        raise UsageError(
            f"too few labels to tune by: label {' and '.join(lacking)}, each with an address and name of its own; "
            "see hopscope label --help"
        )
    disputed = np.intersect1d(hops, benign).size
    if min(hops.size, benign.size) - disputed < FOLDS:
        raise UsageError(
            f"{disputed} places are labelled hop and benign both, which leaves too few to learn from; "
            "see hopscope labels list"
        )


def _parting(labels: Labelled, current: Settings, shape: Shape, seed: int) -> Parting:
    size = labels.hop.size
    told = {s: np.zeros(size, bool) for s in ("medium", "high", "critical")}
    without: dict[str, Bools] = {}
    before = model.scores(labels, current.prior_db, current.weights, shape) >= current.medium_db
    for rest, out in fitting.split(labels, FOLDS, seed):
        new = fitting.fit(labels.take(rest), current, shape, FOLDS - 1, seed).settings
        held = labels.take(out)
        score = model.scores(held, new.prior_db, new.weights, shape)
        told["medium"][out] = score >= new.medium_db
        told["high"][out] = score >= new.high_db
        told["critical"][out] = score >= new.critical_db
        for name, alone in _reverted(labels.heuristics, new, current):
            kept = without.setdefault(name, np.zeros(size, bool))
            kept[out] = model.scores(held, alone.prior_db, alone.weights, shape) >= new.medium_db
    now = told["medium"]
    was_false, is_false = (set(labels.place[~labels.hop & t].tolist()) for t in (before, now))
    return Parting(
        after=(_effect(labels, now), _effect(labels, told["high"]), _effect(labels, told["critical"])),
        without={name: _effect(labels, t) for name, t in without.items()},
        vanished=len(was_false - is_false),
        appeared=len(is_false - was_false),
        lost=tuple(np.flatnonzero(labels.hop & before & ~now).tolist()),
        gained=tuple(np.flatnonzero(labels.hop & ~before & now).tolist()),
    )


def _reverted(heuristics: tuple[str, ...], new: Settings, current: Settings) -> list[tuple[str, Settings]]:
    """The new settings with each change alone taken back; those that didn't change as well, for other folds' sake."""
    out = [("prior", dataclasses.replace(new, prior_db=current.prior_db))]
    for column, name in enumerate(heuristics):
        weights = new.weights.copy()
        weights[column] = current.weights[column]
        out.append((name, dataclasses.replace(new, weights=weights)))
    return out


def _effect(labels: Labelled, told: Bools) -> Effect:
    hop = labels.hop
    return Effect(int((told & hop).sum()), int(hop.sum()), int((told & ~hop).sum()), int((~hop).sum()))


def _worse(parting: Parting) -> tuple[int, int]:
    return parting.after[0].false, -parting.after[0].found


def reason(proposal: Proposal, current: Settings, lose: int) -> str | None:
    """Why the proposal is no improvement on labels it hasn't seen; None when it is one."""
    from scipy.stats import binomtest

    was, middle = proposal.before[0], proposal.middle
    now = middle.after[0]
    found = int(np.median([p.after[0].found for p in proposal.partings]))
    if was.found == 0:
        return "none of the labelled hops is found at medium: weights can't help, see what their evidence lacks"
    if was.false == 0:
        return "none of the labelled benign destinations is told at medium: there is no false finding to lose"
    found = min(found, now.found)
    if found < was.found - lose:
        return (
            f"it would lose hops: of {was.hops} held out, {found} are found instead of {was.found}, with {now.false} "
            f"false findings instead of {was.false}; --lose {was.found - found} would propose it all the same"
        )
    if now.false >= was.false:
        return f"false findings do not fall: {now.false} of {now.benign} held out, {was.false} today"
    moved = middle.vanished + middle.appeared
    if moved == 0 or binomtest(middle.vanished, moved, 0.5, "greater").pvalue > CHANCE:
        return (
            f"{was.false} false findings today and {now.false} on labels held out: "
            f"{middle.vanished} go and {middle.appeared} come, which chance could do as well"
        )
    new = proposal.fitted.settings
    if new.prior_db == current.prior_db and np.array_equal(new.weights, current.weights):
        return "all labels together ask for the settings that you have"
    return None
