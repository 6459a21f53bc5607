"""Which far leg carries on which near leg: candidates by time, then one to one by bytes.

All arrays are columns; near legs and far legs are given in the order of (host, start).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hopscope.heuristics.segments import Floats, Ints, spans

NEAREST = 64  # near legs looked at before each far leg: a relay dials soon after it is called
GRAIN = 16.0  # bytes; sizes that differ by less are alike (signatures and tickets of TLS vary by as much)
HUGE = 1e9  # bytes; larger sessions count as this large when others are compared with them
BODY = 0.5  # sessions of one kind differ in size by about this share of it


@dataclass(frozen=True)
class Legs:
    """Sessions of hosts of ours in one role, in order of (host, start). Times in µs, bytes as the host sees them."""

    host: Ints
    group: Ints  # near: own port and protocol; far: peer and port
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
    order = np.lexsort((j, i, far.start[j] - near.start[i], np.round(cost, 9)))
    i, j = i[order], j[order]
    kept: list[Ints] = []
    while len(i):
        rank = np.arange(len(i))
        first_i, first_j = _first_place(i), _first_place(j)
        mutual = (first_i == rank) & (first_j == rank)
        kept.append(np.stack([i[mutual], j[mutual]]))
        free = ~np.isin(i, i[mutual]) & ~np.isin(j, j[mutual])
        i, j = i[free], j[free]
    pairs = np.concatenate(kept, axis=1) if kept else np.zeros((2, 0), np.int64)
    pairs = pairs[:, np.argsort(pairs[1], kind="stable")]
    return Matches(pairs[0], pairs[1], looks)


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
