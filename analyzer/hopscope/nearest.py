"""Pairing what happened at two clocks, one to one, the nearest in time first."""

from __future__ import annotations

import numpy as np

from hopscope.heuristics.segments import Ints

ROUNDS = 200  # times that all who are nearest to each other are paired; made-up times alone need more
_NEVER = np.iinfo(np.int64).max


def one_to_one(left: Ints, left_us: Ints, right: Ints, right_us: Ints, most_us: int) -> tuple[Ints, Ints]:
    """Places in `left` and in `right` that are paired, in order of left's: equal groups, at most `most_us` apart.

    Each is in one pair at most. Of all that could be paired the nearest in time are paired first; of equally near ones
    those that stand nearest in order of time (equal times: left before right, in their own order), then the earlier
    ones. Times lie within 2^61 µs of the epoch. What ROUNDS leave of times that were made for it stays alone.
    """
    group, at = np.concatenate([left, right]), np.concatenate([left_us, right_us])
    order = np.lexsort((at, group))
    group, at, place = group[order], at[order], np.arange(len(order))
    is_left = order < len(left)
    found: list[tuple[Ints, Ints]] = []
    for _ in range(ROUNDS):  # a second one is seldom needed
        if not len(place):
            break
        best = _nearest(group, at, is_left, place, most_us)
        some = best >= 0
        mutual = some & (best[best] == np.arange(len(best)))
        first = np.flatnonzero(mutual & is_left)
        found.append((order[first], order[best[first]] - len(left)))
        keep = some & ~mutual
        group, at, place, order, is_left = group[keep], at[keep], place[keep], order[keep], is_left[keep]
    pairs = np.concatenate([np.stack(p) for p in found], axis=1) if found else np.zeros((2, 0), np.int64)
    pairs = pairs[:, np.argsort(pairs[0])]
    return pairs[0], pairs[1]


def _nearest(group: Ints, at: Ints, is_left: np.ndarray, place: Ints, most_us: int) -> Ints:
    """For each row, in order of group and time, the row of the other side that is nearest; -1 where none is near."""
    n = len(place)
    row = np.arange(n)
    before, after = np.empty(n, np.int64), np.empty(n, np.int64)
    for side in (is_left, ~is_left):
        last = np.maximum.accumulate(np.where(side, row, -1))
        following = np.minimum.accumulate(np.where(side, row, n)[::-1])[::-1]
        before[~side], after[~side] = last[~side], following[~side]
    gaps = []
    for other in (before, after):
        there = np.clip(other, 0, n - 1)
        gap = np.where((other == there) & (group[there] == group), np.abs(at[there] - at), _NEVER)
        gaps.append(np.where(gap <= most_us, gap, _NEVER))
    steps = [np.abs(place[np.clip(other, 0, n - 1)] - place) for other in (before, after)]
    earlier = (gaps[0] < gaps[1]) | ((gaps[0] == gaps[1]) & (steps[0] <= steps[1]))
    nearest: Ints = np.where(np.minimum(*gaps) == _NEVER, -1, np.where(earlier, before, after))
    return nearest
