"""What an archive of logs keeps in mind while it is read: bounded tables, oldest rows first to go."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.records import CONNECTION_SCHEMA
from hopscope.sources import zeek_logs
from hopscope.sources.zeek_columns import one_batch, one_chunk

SIDE_ROWS = 2_000_000  # rows of each side log that wait for their connections
KNOWN_UIDS = 2_000_000  # uids that were told already
RUNS = 8  # of full length, in which they are kept
OPEN_ROWS = 1_000_000  # connections that were still open


class SideRows:
    """The rows of one side log that wait for their connections. `dropped` counts those that had to go."""

    def __init__(self, log: str, most: int = SIDE_ROWS) -> None:
        self.dropped = 0
        self._log, self._most = log, most
        self._rows = zeek_logs.LOGS[log].empty_table()
        self._new: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        """Keep the rows."""
        # a connection has many requests, of which the first is told
        self._new.append(_firsts(rows, zeek_logs.key(self._log, rows)) if self._log == "http" else rows)

    def take(self, keys: pa.Array, keep: bool) -> pa.Table | None:
        """The first row for each of the keys, null where there is none; None when there is none at all.

        Without `keep` these rows are let go of.
        """
        at = self._find(keys)
        if at is None:
            return None
        found = self._rows.take(at)
        if not keep:
            self._let_go(at)
        return found

    def forget(self, keys: pa.Array) -> None:
        """Let go of the first row for each of the keys."""
        at = self._find(keys)
        if at is not None:
            self._let_go(at)

    def _find(self, keys: pa.Array) -> pa.Array | None:
        self._settle()
        if not len(self._rows) or keys.null_count == len(keys):
            return None
        at = pc.index_in(keys, value_set=zeek_logs.key(self._log, self._rows), skip_nulls=True)
        return None if at.null_count == len(at) else at

    def _let_go(self, at: pa.Array) -> None:
        waits = np.ones(len(self._rows), bool)
        waits[at.drop_null().to_numpy()] = False
        self._rows = self._rows.filter(pa.array(waits)).combine_chunks()

    def _settle(self) -> None:
        if not self._new:
            return
        rows = pa.concat_tables([self._rows, *self._new]).combine_chunks()
        self._new = []
        if self._log == "x509":  # certificates are kept, and come again and again
            rows = _firsts(rows, zeek_logs.key(self._log, rows))
        over = max(len(rows) - self._most, 0)
        self.dropped += over
        self._rows = rows.slice(over).combine_chunks() if over else rows


class Uids:
    """uids that were told: the latest of them."""

    def __init__(self, most: int = KNOWN_UIDS) -> None:
        self._most = most
        self._runs: list[pa.Array] = []

    def add(self, uids: pa.Array) -> None:
        """Keep the uids in mind."""
        self._runs.append(uids)
        # a run is at least half as long as the one before or has its full length, so that there are few of them
        while len(self._runs) > 1 and len(self._runs[-2]) < min(2 * len(self._runs[-1]), self._most // RUNS):
            self._runs[-2:] = [pa.concat_arrays(self._runs[-2:])]
        while len(self._runs) > 1 and sum(map(len, self._runs)) - len(self._runs[0]) >= self._most:
            del self._runs[0]

    def among(self, uids: pa.Array) -> pa.Array:
        """Which of the uids were told."""
        told = np.zeros(len(uids), bool)
        for run in self._runs if len(uids) else ():
            # what is looked up in is hashed anew each time: the smaller of the two
            known = run if len(run) <= len(uids) else run.filter(pc.is_in(run, value_set=uids))
            told |= pc.is_in(uids, value_set=known, skip_nulls=True).to_numpy(zero_copy_only=False)
        return pa.array(told)


class OpenRows:
    """Connections that were still open when they were last told, each as it was told longest."""

    def __init__(self, most: int = OPEN_ROWS) -> None:
        self.dropped = 0
        self._most = most
        self._rows = CONNECTION_SCHEMA.empty_table()

    def add(self, batch: pa.RecordBatch) -> None:
        """Keep the connections; of those with one uid the longest."""
        rows = pa.concat_tables([self._rows, pa.Table.from_batches([batch])])
        rows = rows.sort_by([("seg_end", "descending")]).combine_chunks()
        rows = _firsts(rows, one_chunk(rows["uid"]))
        self.dropped += max(len(rows) - self._most, 0)
        self._rows = rows.slice(0, self._most).combine_chunks()

    def forget(self, uids: pa.Array) -> None:
        """Let go of those that were told to have ended."""
        if len(self._rows):
            gone = pc.is_in(one_chunk(self._rows["uid"]), value_set=uids)
            self._rows = self._rows.filter(pc.invert(gone)).combine_chunks()

    def rows(self) -> pa.RecordBatch:
        """Those that are left, in order of time; not one of them has ended."""
        batch = one_batch(self._rows.sort_by([("seg_end", "ascending"), ("uid", "ascending")]))
        at = batch.schema.get_field_index("final")
        return batch.set_column(at, batch.schema.field(at), pa.array(np.zeros(len(batch), bool)))


def _firsts(rows: pa.Table, keys: pa.Array) -> pa.Table:
    """The rows whose key stands there for the first time."""
    first = pc.equal(pc.index_in(keys, value_set=keys), pa.array(np.arange(len(keys), dtype=np.int32)))
    return rows if pc.all(first).as_py() else rows.filter(first).combine_chunks()
