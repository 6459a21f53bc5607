"""Which far leg carries on which near leg: candidates by time, then by bytes.

First one to one; then, of the legs that are left, one near leg to several far legs in time (a relay that
dials anew) and several near legs to one far leg that is kept open. All arrays are columns; near legs and
far legs are given in the order of (host, start).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hopscope.heuristics.segments import Flags, Floats, Ints, spans

NEAREST = 64  # near legs looked at before each far leg: a relay dials soon after it is called
GRAIN = 16.0  # bytes; sizes that differ by less are alike (signatures and tickets of TLS vary by as much)
HUGE = 1e9  # bytes; larger sessions count as this large when others are compared with them
BODY = 0.5  # sessions of one kind differ in size by about this share of it


@dataclass(frozen=True)
class Legs:
    """Sessions of hosts of ours in one role, in order of (host, start). Times in µs, bytes as the host sees them."""

    host: Ints
    group: Ints  # near: own port and protocol, with or without the peer; far: peer and port
    start: Ints
    end: Ints
    into: Floats
    out: Floats


@dataclass(frozen=True)
class Matches:
    """Far leg `far[k]` carries on near leg `near[k]`; `looks` has for each far leg how many time alone allowed."""

    near: Ints
    far: Ints
    looks: Ints


@dataclass(frozen=True)
class Runs:
    """One leg that is carried on by several of one group in time; `near` and `far` are the first of each.

    The other columns have for each run how many legs it has on either side, their bytes as the host sees
    them, the time (µs) between the ends of both sides, and how many runs time alone allowed for the one leg.
    """

    near: Ints
    far: Ints
    near_legs: Ints
    far_legs: Ints
    near_into: Floats
    near_out: Floats
    far_into: Floats
    far_out: Floats
    end_gap: Ints
    looks: Ints


def match(near: Legs, far: Legs, lag_us: int, end_us: int, end_share: float, offset_bytes: float) -> Matches:
    """One-to-one matches by least chance of the byte counts, then least lag.

    A far leg may start 0 to `lag_us` after its near leg and must end within `end_us`, or `end_share` of the
    near leg's time, of its end. Bytes may differ by `offset_bytes` or a tenth. Costs at most NEAREST
    candidates per far leg.
    """
    i, j = _candidates(near, far, lag_us)
    length = (near.end - near.start)[i]
    together = np.abs(near.end[i] - far.end[j]) <= np.maximum(end_us, end_share * length)
    i, j = i[together], j[together]
    looks = np.bincount(j, minlength=len(far.start))
    up, down = near.into[i], near.out[i]
    up_off, down_off = np.abs(up - far.out[j]), np.abs(down - far.into[j])
    alike = (up_off <= np.maximum(offset_bytes, 0.1 * up)) & (down_off <= np.maximum(offset_bytes, 0.1 * down))
    i, j = i[alike], j[alike]
    cost = np.log(chance(up_off[alike], up[alike]) * chance(down_off[alike], down[alike]))
    best = _one_to_one(i, j, cost, far.start[j] - near.start[i])
    return Matches(i[best], j[best], looks)


def _one_to_one(i: Ints, j: Ints, cost: Floats, lag: Ints) -> Ints:
    """Which candidates stay when each i and each j has one, least cost first, then least lag; in order of j."""
    order = np.lexsort((j, i, lag, np.round(cost, 9)))
    kept: list[Ints] = []
    while len(order):
        rank = np.arange(len(order))
        mutual = (_first_place(i[order]) == rank) & (_first_place(j[order]) == rank)
        taken = order[mutual]
        kept.append(taken)
        order = order[~np.isin(i[order], i[taken]) & ~np.isin(j[order], j[taken])]
    best = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    return best[np.argsort(j[best], kind="stable")]


def far_runs(
    near: Legs, far: Legs, taken: Matches, lag_us: int, end_us: int, end_share: float, offset_bytes: float
) -> Runs:
    """Near legs that several far legs of one group carry on, one after another, among legs not `taken`.

    The first starts 0 to `lag_us` after the near leg, the last ends with it as in `match`, they are open no
    longer than it is, and their bytes together agree with its.
    """
    i, j = _candidates(near, far, lag_us)
    left = ~_member(i, taken.near) & ~_member(j, taken.far)
    i, j = _each(i[left], j[left], far.group, first=True)
    s = _sums(far, ~_member(np.arange(len(far.start)), taken.far), far.group[j], far.start[j], near.end[i])
    none = np.ones(len(i), np.int64)
    runs = Runs(i, j, none, s.legs, near.into[i], near.out[i], s.into, s.out, np.abs(s.end - near.end[i]), none)
    return _agreeing(runs, i, near.end[i] - near.start[i], s.open, far.start[j] - near.start[i], end_us, end_share,
                     offset_bytes)  # fmt: skip


def near_runs(
    near: Legs, far: Legs, taken: Matches, lag_us: int, end_us: int, end_share: float, offset_bytes: float
) -> Runs:
    """Far legs that carry on several near legs of one group, one after another: `far_runs` the other way."""
    i, j = _candidates(near, far, lag_us)
    left = ~_member(i, taken.near) & ~_member(j, taken.far)
    j, i = _each(j[left], i[left], near.group, first=False)
    s = _sums(near, ~_member(np.arange(len(near.start)), taken.near), near.group[i], near.start[i], far.end[j])
    none = np.ones(len(i), np.int64)
    runs = Runs(i, j, s.legs, none, s.into, s.out, far.into[j], far.out[j], np.abs(s.end - far.end[j]), none)
    return _agreeing(runs, j, far.end[j] - near.start[i], s.open, far.start[j] - near.start[i], end_us, end_share,
                     offset_bytes)  # fmt: skip


@dataclass(frozen=True)
class _Sum:
    """Legs of a group that start within a span: how many, bytes, time open, the end of the last to start."""

    legs: Ints
    into: Floats
    out: Floats
    open: Ints
    end: Ints


def _sums(legs: Legs, free: Flags, group: Ints, begin: Ints, end: Ints) -> _Sum:
    """The free legs of each group that start in [begin, end], by sums that run along: no list of them is made."""
    rows = np.flatnonzero(free)
    if not len(rows) or not len(group):
        none, no_bytes = np.zeros(len(group), np.int64), np.zeros(len(group))
        return _Sum(none, no_bytes, no_bytes, none, none)
    rows = rows[np.lexsort((rows, legs.start[rows], legs.group[rows]))]
    origin = int(min(legs.start.min(), begin.min(), end.min()))
    width = int(max(legs.start.max(), begin.max(), end.max())) - origin + 1
    key = legs.group[rows] * width + (legs.start[rows] - origin)
    low = np.searchsorted(key, group * width + (begin - origin), "left")
    high = np.searchsorted(key, group * width + (end - origin), "right")

    def total(values: Floats) -> Floats:
        so_far = np.concatenate([[0.0], np.cumsum(values[rows])])
        out: Floats = so_far[high] - so_far[low]
        return out

    opened = total((legs.end - legs.start).astype(np.float64)).astype(np.int64)
    last = legs.end[rows[np.clip(high - 1, 0, len(rows) - 1)]]
    return _Sum(high - low, total(legs.into), total(legs.out), opened, last)


def _agreeing(
    r: Runs, one: Ints, length: Ints, opened: Ints, lag: Ints, end_us: int, end_share: float, offset_bytes: float
) -> Runs:
    """The runs in time with the `one` leg they belong to and of its bytes, each leg in one run."""
    tolerance = np.maximum(end_us, end_share * length)
    legs = np.maximum(r.near_legs, r.far_legs)
    timely = (legs > 1) & (r.end_gap <= tolerance) & (opened <= length + tolerance)
    looks = np.bincount(one[timely], minlength=1 + int(one.max(initial=0)))[one]
    up_off, down_off = np.abs(r.near_into - r.far_out), np.abs(r.near_out - r.far_into)
    # many sums come near one another: only what a relay says of itself, and what a capture misses, may differ
    alike = (up_off <= np.maximum(offset_bytes, 0.01 * r.near_into)) & (
        down_off <= np.maximum(offset_bytes, 0.01 * r.near_out)
    )
    ok = np.flatnonzero(timely & alike)
    cost = np.log(chance(up_off[ok], r.near_into[ok]) * chance(down_off[ok], r.near_out[ok]))
    ok = ok[_one_to_one(r.near[ok], r.far[ok], cost, lag[ok])]
    return Runs(r.near[ok], r.far[ok], r.near_legs[ok], r.far_legs[ok], r.near_into[ok], r.near_out[ok],
                r.far_into[ok], r.far_out[ok], r.end_gap[ok], looks[ok])  # fmt: skip


def _each(one: Ints, many: Ints, group: Ints, first: bool) -> tuple[Ints, Ints]:
    """Of each leg's candidates the first, or last, of each group."""
    order = np.lexsort((many if first else -many, group[many], one))
    one, many = one[order], many[order]
    new = (np.diff(one, prepend=-1) != 0) | (np.diff(group[many], prepend=-1) != 0)
    return one[new], many[new]


def _member(values: Ints, of: Ints) -> Flags:
    out: Flags = np.isin(values, of)
    return out


def chance(off: Floats, size: Floats) -> Floats:
    """How likely sizes of unrelated sessions of one kind differ by `off` or less, at most 1."""
    return np.minimum((2 * off + GRAIN) / np.maximum(BODY * size, 1.0), 1.0)


def share_alike(host: Ints, group: Ints, values: Floats, at: Ints, wanted: Floats, off: Floats) -> Floats:
    """Of the host's sessions in other groups than session `at`'s, the share whose value lies within `off` of `wanted`.

    The denominator is one greater than their number, so that a host without others gives 0.
    """
    scale = 4 * HUGE  # keeps (key, value) exact in one float64
    values, wanted, widest = np.minimum(values, HUGE), np.minimum(wanted, HUGE), np.minimum(off, HUGE) + GRAIN / 2

    def count(keys: Ints) -> tuple[Floats, Floats]:
        ordered = np.sort(keys * scale + values)
        low = np.searchsorted(ordered, keys[at] * scale + np.maximum(wanted - widest, 0.0), "left")
        high = np.searchsorted(ordered, keys[at] * scale + wanted + widest, "right")
        sizes = np.bincount(keys)[keys[at]]
        return (high - low).astype(np.float64), sizes.astype(np.float64)

    inside, all_of_host = count(host)
    inside_own, all_of_own = count(group)
    out: Floats = (inside - inside_own) / (all_of_host - all_of_own + 1)
    return out


def _candidates(near: Legs, far: Legs, lag_us: int) -> tuple[Ints, Ints]:
    """Near and far legs of one host of which the far one starts 0 to `lag_us` after the near one."""
    low = _place(near, far.host, far.start - lag_us, "left")
    high = _place(near, far.host, far.start, "right")
    low = np.maximum(low, high - NEAREST)
    length = np.maximum(high - low, 0)
    return spans(low, length), np.repeat(np.arange(len(far.start)), length)


def _place(near: Legs, host: Ints, time: Ints, side: str) -> Ints:
    """Where (host, time) belongs among the near legs."""
    low, high = np.searchsorted(near.host, host, "left"), np.searchsorted(near.host, host, "right")
    # bisect all at once, within each host's rows
    while np.any(low < high):
        middle = (low + high) // 2
        value = near.start[np.minimum(middle, len(near.start) - 1)]
        right = (low < high) & ((value <= time) if side == "right" else (value < time))
        low = np.where(right, middle + 1, low)
        high = np.where(~right & (low < high), middle, high)
    return low


def _first_place(values: Ints) -> Ints:
    """For each element the place at which its value first stands."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return first[inverse]
