"""One hour that is held: the records of pairs that had few, and the summary of all that was condensed.

A pair-hour of up to as many records as `samples` keeps would be told whole by its summary, several times over:
its records are kept instead, and condensed when it gets more, or when they are asked for. What an hour holds is
the same either way.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.summaries.merge import Bounds
from hopscope.summaries.parts import Summary
from hopscope.summaries.prepare import COMPACT

_UNSETTLED_ROWS = 100_000  # records that an hour takes in before its busy pairs are condensed


class Hour:
    """The records and summaries of one hour. `records` are as `prepare.compact` makes them, each once."""

    def __init__(self) -> None:
        self.records: list[pa.Table] = []
        self.summaries: list[Summary] = []
        self._unsettled = 0
        self._busy: NDArray[np.int64] = np.empty(0, np.int64)  # pairs that were condensed, sorted

    def add(self, records: pa.Table) -> None:
        """Take in records of the hour."""
        self.records.append(records)
        self._unsettled += len(records)

    @property
    def unsettled(self) -> bool:
        """So many records came that it is worth while to condense busy pairs."""
        return self._unsettled > max(_UNSETTLED_ROWS, sum(len(t) for t in self.records) - self._unsettled)

    @property
    def twofold(self) -> bool:
        """More than one of the summaries tells of pairs."""
        return sum(1 for summary in self.summaries if len(summary["pairs"])) > 1

    def take_busy(self, bounds: Bounds, all_of_them: bool) -> pa.Table:
        """Give away the records of pairs that have more than is kept of them.

        With `all_of_them` also those of pairs that had more before, so that a pair is told by either `records`
        or `summaries`.
        """
        if not self._unsettled:
            return COMPACT.empty_table()
        self._unsettled = 0
        records = pa.concat_tables(self.records)
        pairs, of_row = np.unique(records["pair"].to_numpy(), return_inverse=True)
        # each call of a session may become a start: what counts is what a table could have to cut
        rows = np.bincount(of_row, weights=1 + _calls(records["on_starts"]))
        busy = rows > min(bounds.samples, bounds.starts)
        if all_of_them:
            busy |= np.isin(pairs, self._busy, assume_unique=True)
        self._busy = np.union1d(self._busy, pairs[busy])
        if not busy.any():
            self.records = [records]
            return COMPACT.empty_table()
        given = pa.array(busy[of_row])
        self.records = [records.filter(pc.invert(given))]
        return records.filter(given)


def by_hour(records: pa.Table, oldest: int) -> dict[int, pa.Table]:
    """The records of each hour; those before `oldest` are one."""
    hours: NDArray[np.int64] = np.maximum(records["hour"].to_numpy(), oldest - 1)
    distinct = np.unique(hours)
    if len(distinct) == 1:
        return {int(distinct[0]): records}
    return {int(hour): records.filter(pa.array(hours == hour)) for hour in distinct}


def together(hours: Iterable[Hour]) -> pa.Table:
    """All records that the hours hold."""
    return pa.concat_tables([COMPACT.empty_table(), *(t for hour in hours for t in hour.records)])


def _calls(on_starts: pa.ChunkedArray) -> NDArray[np.int64]:
    if on_starts.null_count == len(on_starts):
        return np.zeros(len(on_starts), np.int64)
    return np.asarray(pc.fill_null(pc.list_value_length(on_starts), 0), np.int64)
