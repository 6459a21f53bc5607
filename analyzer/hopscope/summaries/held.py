"""One hour that is held: the records of most pairs as they are, and the summary of busy ones.

The summary of a pair with few connections would tell them whole, several times over: its records are smaller.
So only what exceeds BUSY_ROWS is condensed as it comes; of the other records the hour marks which ones the
tables `samples` and `starts` keep.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.summaries.merge import Bounds
from hopscope.summaries.parts import Summary
from hopscope.summaries.prepare import COMPACT, rows_of

BUSY_ROWS = 1024  # records of a pair in an hour from which they are condensed: about as much as their summary holds
MARKED = pa.schema([*COMPACT, ("in_samples", pa.bool_()), ("in_starts", pa.bool_())])
"""The records that are held, with what the hour's tables keep of them."""

_UNSETTLED_ROWS = 250_000  # records that an hour takes in before it looks for busy pairs

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Hour:
    """The records and summaries of one hour. Records are as `prepare.compact` makes them, each once."""

    def __init__(self) -> None:
        self.summaries: list[Summary] = []
        self._records: list[pa.Table] = []
        self._rows = self._new_rows = 0
        self._marked: pa.Table | None = None
        self._busy: Ints = np.empty(0, np.int64)  # pairs that were condensed, sorted

    def add(self, records: pa.Table) -> None:
        """Take in records of the hour."""
        self._records.append(records)
        self._rows += len(records)
        self._new_rows += len(records)
        self._marked = None

    @property
    def unsettled(self) -> bool:
        """So many records came that it is worth while to look for busy pairs."""
        return self._new_rows > max(_UNSETTLED_ROWS, self._rows // 2)

    @property
    def twofold(self) -> bool:
        """More than one of the summaries tells of pairs."""
        return sum(1 for summary in self.summaries if len(summary["pairs"])) > 1

    @property
    def records(self) -> pa.Table:
        """The records that are held, of COMPACT."""
        return pa.concat_tables([COMPACT.empty_table(), *self._records])

    def take_busy(self, bounds: Bounds) -> pa.Table:
        """Give away the records of busy pairs, also of those that were busy before; to be condensed."""
        if not self._new_rows:
            return COMPACT.empty_table()
        self._new_rows = 0
        records = self.records
        pairs, of_row = np.unique(records["pair"].to_numpy(), return_inverse=True)
        rows = np.bincount(of_row)
        # each call of a session becomes a start: too many are cut by a summary's rule
        calls = np.bincount(of_row, weights=_calls(records["on_starts"]))
        busy = (rows > BUSY_ROWS) | ((calls > 0) & (rows + calls > bounds.starts))
        busy |= np.isin(pairs, self._busy, assume_unique=True)
        if not busy.any():
            self._records = [records]
            return COMPACT.empty_table()
        self._busy = np.union1d(self._busy, pairs[busy])
        given = busy[of_row]
        self._records = [rows_of(records, ~given)]
        self._rows = len(self._records[0])
        return rows_of(records, given)

    def marked(self, bounds: Bounds) -> pa.Table:
        """The records, of MARKED, once busy pairs were taken away."""
        if self._marked is None:
            records = self.records
            uid, pair = records["uid"], records["pair"].to_numpy()
            first = records["seg"].to_numpy() == 0
            marks = (
                _least(pair, records["hash"].to_numpy(), uid, np.ones(len(pair), bool), bounds.samples),
                # a later segment is a start by its calls alone, and all pairs with calls stay below the bound
                _least(pair, records["ts_us"].to_numpy(), uid, first, bounds.starts) | ~first,
            )
            self._marked = pa.Table.from_arrays([*records.columns, *map(pa.array, marks)], schema=MARKED)
        return self._marked


def by_hour(records: pa.Table, oldest: int) -> dict[int, pa.Table]:
    """The records of each hour; those before `oldest` are one."""
    hours: Ints = np.maximum(records["hour"].to_numpy(), oldest - 1)
    distinct = np.unique(hours)
    return {int(hour): rows_of(records, hours == hour) for hour in distinct}


def together(hours: Iterable[Hour]) -> pa.Table:
    """All records that the hours hold."""
    return pa.concat_tables([COMPACT.empty_table(), *(hour.records for hour in hours)])


def _least(group: Ints, value: Ints, uid: pa.ChunkedArray, of: Flags, rows: int) -> Flags:
    """The `rows` rows of least (value, uid) of each group among the rows `of`."""
    sizes = np.unique(group, return_inverse=True, return_counts=True)
    crowded = np.flatnonzero((sizes[2] > rows)[sizes[1]] & of)
    kept = of.copy()
    if len(crowded):
        order = pc.sort_indices(
            pa.table({"group": group[crowded], "value": value[crowded], "uid": uid.take(pa.array(crowded))}),
            [("group", "ascending"), ("value", "ascending"), ("uid", "ascending")],
        ).to_numpy()
        ordered = crowded[order]
        begins = np.flatnonzero(np.diff(group[ordered], prepend=group[ordered[0]] - 1))
        rank = np.arange(len(ordered)) - np.repeat(begins, np.diff(begins, append=len(ordered)))
        kept[ordered[rank >= rows]] = False
    return kept


def _calls(on_starts: pa.ChunkedArray) -> Ints:
    if on_starts.null_count == len(on_starts):
        return np.zeros(len(on_starts), np.int64)
    return np.asarray(pc.fill_null(pc.list_value_length(on_starts), 0), np.int64)
