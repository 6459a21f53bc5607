"""Statistics of many small groups at once, in NumPy, without a loop over the groups.

A ragged array is its `values` end to end and `offsets` (int64, one more than there are groups): group i is
`values[offsets[i]:offsets[i + 1]]`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

WIDEST = 1 << 62  # numbers that are combined into one stay below
_FEW = 4  # ids are counted where they are at most this many times as many as rows


def group_ids(*columns: npt.NDArray[np.generic]) -> Ints:
    """One id per row, equal where all columns are equal; ids are dense and ordered by the columns' values."""
    return combined([np.unique(column, return_inverse=True)[1] for column in columns])


def key_ids(rows: pa.Table, keys: Sequence[str]) -> Ints:
    """One id per row of a table, equal where all of `keys` are equal, null among them; dense."""
    return combined([codes(rows[k]) for k in keys])


def codes(column: pa.ChunkedArray) -> Ints:
    """One id per row of a column, equal where values are, null among them; dense."""
    return np.asarray(column.combine_chunks().dictionary_encode("encode").indices).astype(np.int64)


def combined(columns: Sequence[npt.NDArray[np.integer]]) -> Ints:
    """Dense ids of rows of codes, which count from 0, in order of the codes."""
    ids, most = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        width = int(column.max(initial=0)) + 1
        if most * width > WIDEST:
            ids, most = _dense(ids, most)
        ids, most = ids * width + column, most * width
    return _dense(ids, most)[0]


def _dense(ids: Ints, most: int) -> tuple[Ints, int]:
    """The ids, which lie below `most`, without gaps, and how many they are."""
    if most <= _FEW * len(ids):  # counted, not sorted
        seen = np.zeros(most, bool)
        seen[ids] = True
        place = np.cumsum(seen) - 1
        return place[ids], int(place[-1]) + 1
    out: Ints = np.unique(ids, return_inverse=True)[1].astype(np.int64)
    return out, int(out.max(initial=0)) + 1


def distinct(group: Ints, values: Ints, groups: int = 0) -> Ints:
    """How many different `values` each group has, over at least `groups` groups; both count from 0."""
    width = int(values.max(initial=0)) + 1
    out: Ints = np.bincount(unique(group * width + values) // width, minlength=groups)
    return out


def unique(values: Ints) -> Ints:
    """The different values in order. NumPy's own looks each up, which takes ten times as long where many differ."""
    ordered = np.sort(values)
    return ordered[np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))]


def order_of(group: Ints, values: Ints) -> Ints:
    """The order of rows by group, then by value, both of whole numbers; stable."""
    if not len(group):
        return np.zeros(0, np.int64)
    least, first = int(values.min()), int(group.min())
    width = int(values.max()) - least + 1
    if (int(group.max()) - first + 1) * width > WIDEST:
        out: Ints = np.lexsort((values, group))
        return out
    both = (group - first) * width + (values - least)  # one number to sort by takes a fraction of two
    order = np.argsort(both)
    same = np.diff(both[order]) == 0
    if same.any():
        tied = np.flatnonzero(np.append(False, same) | np.append(same, False))
        run = np.append(0, np.cumsum(~same))[tied]
        order[tied] = order[tied][np.lexsort((order[tied], run))]
    return order


def differing(group: Ints, values: Ints) -> Ints:
    """For each row how many different `values` its group has; both count from 0."""
    return distinct(group, values)[group]


def offsets_from(sizes: Ints) -> Ints:
    """The offsets of groups of these sizes."""
    out: Ints = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return out


def offsets_of(ids: Ints) -> Ints:
    """Where each run of equal ids begins, and the end. Rows of a group must stand together."""
    edges = np.flatnonzero(np.diff(ids)) + 1
    return np.concatenate([[0], edges, [len(ids)]]).astype(np.int64) if len(ids) else np.zeros(1, np.int64)


def spans(begin: Ints, length: Ints) -> Ints:
    """The indices begin[0] .. begin[0] + length[0] - 1, begin[1] .., end to end."""
    ends = np.cumsum(length)
    out: Ints = np.arange(int(ends[-1]) if len(ends) else 0, dtype=np.int64) + np.repeat(
        begin - (ends - length), length
    )
    return out


def quantiles(values: Floats, offsets: Ints, shares: tuple[float, ...]) -> Floats:
    """One row per share, one column per group, linear between neighbours; NaN where a group is empty."""
    return quantiles_of(values, np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), len(offsets) - 1, shares)


def quantiles_of(values: Floats, group: Ints, groups: int, shares: tuple[float, ...]) -> Floats:
    """`quantiles` of `groups` groups whose values stand in any order."""
    ordered, offsets = _ordered(values, group, groups), offsets_from(np.bincount(group, minlength=groups))
    sizes = np.diff(offsets)
    out = np.full((len(shares), groups), np.nan)
    some = sizes > 0
    for row, share in enumerate(shares):
        place = share * (sizes[some] - 1)
        low = np.floor(place).astype(np.int64)
        at = offsets[:-1][some] + low
        above = np.minimum(at + 1, offsets[1:][some] - 1)
        out[row, some] = ordered[at] + (place - low) * (ordered[above] - ordered[at])
    return out


def _ordered(values: Floats, group: Ints, groups: int) -> Floats:
    """The values in order of group and value, which are sorted as one number."""
    with np.errstate(invalid="ignore"):
        halves = (2 * values).astype(np.int64)  # times and sizes are whole numbers, and their medians halves
    width = int(halves.max(initial=0)) + 1
    if halves.min(initial=0) >= 0 and width * groups <= WIDEST and np.array_equal(halves, 2 * values):
        out: Floats = (np.sort(group * width + halves) % width) / 2.0
        return out
    order, place = np.argsort(values), np.empty(len(values), np.int64)
    place[order] = np.arange(len(values))
    ranks: Ints = np.sort(group * len(values) + place) % max(len(values), 1)
    return values[order[ranks]]


def median_mad(values: Floats, offsets: Ints) -> tuple[Floats, Floats]:
    """Median and median absolute deviation per group; NaN where a group is empty."""
    return median_mad_of(values, np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), len(offsets) - 1)


def median_mad_of(values: Floats, group: Ints, groups: int) -> tuple[Floats, Floats]:
    """`median_mad` of `groups` groups whose values stand in any order."""
    middle = quantiles_of(values, group, groups, (0.5,))[0]
    return middle, quantiles_of(np.abs(values - middle[group]), group, groups, (0.5,))[0]


def means(values: Floats, offsets: Ints) -> Floats:
    """Mean per group; NaN where a group is empty."""
    sizes = np.diff(offsets)
    totals = np.zeros(len(sizes))
    some = sizes > 0
    if some.any():
        totals[some] = np.add.reduceat(values, offsets[:-1][some])
    with np.errstate(invalid="ignore"):
        return np.where(some, totals / sizes, np.nan)
