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


def group_ids(*columns: npt.NDArray[np.generic]) -> Ints:
    """One id per row, equal where all columns are equal; ids are dense and ordered by the columns' values."""
    return _combined([np.unique(column, return_inverse=True)[1] for column in columns])


def key_ids(rows: pa.Table, keys: Sequence[str]) -> Ints:
    """One id per row of a table, equal where all of `keys` are equal, null among them; dense."""
    return _combined([np.asarray(rows[k].combine_chunks().dictionary_encode("encode").indices) for k in keys])


def _combined(codes: Sequence[npt.NDArray[np.integer]]) -> Ints:
    """Dense ids of rows of codes, which count from 0; sorted once, or when the numbers grow too large."""
    ids, most = np.zeros(len(codes[0]), np.int64), 1
    for column in codes:
        width = int(column.max(initial=0)) + 1
        if most * width > 1 << 62:
            ids = np.unique(ids, return_inverse=True)[1].astype(np.int64)
            most = int(ids.max(initial=0)) + 1
        ids, most = ids * width + column, most * width
    out: Ints = np.unique(ids, return_inverse=True)[1].astype(np.int64)
    return out


def distinct(group: Ints, values: Ints, groups: int = 0) -> Ints:
    """How many different `values` each group has, over at least `groups` groups; both count from 0."""
    width = int(values.max(initial=0)) + 1
    out: Ints = np.bincount(np.unique(group * width + values) // width, minlength=groups)
    return out


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
    sizes = np.diff(offsets)
    ordered = values[np.lexsort((values, np.repeat(np.arange(len(sizes)), sizes)))]
    out = np.full((len(shares), len(sizes)), np.nan)
    some = sizes > 0
    for row, share in enumerate(shares):
        place = share * (sizes[some] - 1)
        low = np.floor(place).astype(np.int64)
        at = offsets[:-1][some] + low
        above = np.minimum(at + 1, offsets[1:][some] - 1)
        out[row, some] = ordered[at] + (place - low) * (ordered[above] - ordered[at])
    return out


def median_mad(values: Floats, offsets: Ints) -> tuple[Floats, Floats]:
    """Median and median absolute deviation per group; NaN where a group is empty."""
    middle = quantiles(values, offsets, (0.5,))[0]
    return middle, quantiles(np.abs(values - np.repeat(middle, np.diff(offsets))), offsets, (0.5,))[0]


def median_mad_of(values: Floats, group: Ints, groups: int) -> tuple[Floats, Floats]:
    """`median_mad` of `groups` groups whose values stand in any order."""
    return median_mad(values[np.argsort(group, kind="stable")], offsets_from(np.bincount(group, minlength=groups)))


def means(values: Floats, offsets: Ints) -> Floats:
    """Mean per group; NaN where a group is empty."""
    sizes = np.diff(offsets)
    totals = np.zeros(len(sizes))
    some = sizes > 0
    if some.any():
        totals[some] = np.add.reduceat(values, offsets[:-1][some])
    with np.errstate(invalid="ignore"):
        return np.where(some, totals / sizes, np.nan)
