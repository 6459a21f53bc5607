"""Records dated after their sender's own clock: one of them would push all others out of the window.

The clock is the network time in a node's hellos and heartbeats. A node may send for a while before it says
anew what time it is (after a broken line, say), so what lies beyond is held until it does, and judged then.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

LEEWAY = datetime.timedelta(minutes=10)
HELD_BYTES = 16 << 20  # columns that wait for their node's next word
MOST_NODES = 1024  # whose clocks are kept; the others are judged by the latest of all
_ENTRY_BYTES = 1000  # what an entry takes beside its columns, about


class Horizon:
    """The latest that each node has said it is, and the records that lie more than LEEWAY beyond."""

    def __init__(self) -> None:
        self._now: dict[str, datetime.datetime] = {}
        self._latest: datetime.datetime | None = None
        self._spoke: set[str] = set()  # nodes that said what time it is since the last judgement
        self._held: dict[str, list[pa.RecordBatch]] = {}
        self._bytes = 0

    @property
    def held(self) -> int:
        """Records that wait."""
        return sum(rows.num_rows for held in self._held.values() for rows in held)

    def says(self, node: str, now: datetime.datetime | None) -> None:
        """Note a node's network time, None before its first packet. Time only moves forward."""
        if now is None:
            return
        self._latest = max(now, self._latest or now)
        if node in self._now or len(self._now) < MOST_NODES:
            self._now[node] = max(now, self._now.get(node, now))
        self._spoke.add(node)

    def beyond(self, nodes: Iterable[str], rows: pa.RecordBatch) -> bool:
        """Whether some of the rows, which come from these nodes, may lie beyond their horizon."""
        limits = [limit for node in nodes if (limit := self._limit(node)) is not None]
        if not limits or not rows.num_rows:
            return False
        return any(_latest(rows[name]) > min(limits) for name in _times(rows))

    def sift(self, node: str, rows: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
        """The rows of a node that are not beyond its horizon. The others are held until its next word; how many
        there was no room for."""
        within, beyond = self._split(node, rows)
        size = beyond.nbytes + _ENTRY_BYTES
        if not beyond.num_rows:
            return within, 0
        if self._bytes + size > HELD_BYTES:
            return within, beyond.num_rows
        self._held.setdefault(node, []).append(beyond)
        self._bytes += size
        return within, 0

    def judge(self) -> Iterator[tuple[str, pa.RecordBatch, int]]:
        """What was held of the nodes that have spoken since: what is not beyond their horizon by now, and how
        many records still are, and are let go."""
        for node in self._spoke & self._held.keys():
            for rows in self._held.pop(node):
                self._bytes -= rows.nbytes + _ENTRY_BYTES
                within, beyond = self._split(node, rows)
                yield node, within, beyond.num_rows
        self._spoke.clear()

    def end(self) -> Iterator[tuple[str, int]]:
        """No node says anything any more: how many records of each are let go."""
        for node, held in self._held.items():
            yield node, sum(rows.num_rows for rows in held)
        self._held.clear()
        self._bytes = 0

    def _limit(self, node: str) -> datetime.datetime | None:
        now = self._now.get(node, self._latest)
        return None if now is None else min(now, _END) + LEEWAY

    def _split(self, node: str, rows: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        limit = self._limit(node)
        if limit is None:
            return rows, rows.slice(0, 0)
        late = pa.array([False] * rows.num_rows)
        for name in _times(rows):
            late = pc.or_(late, pc.fill_null(pc.greater(rows[name], pa.scalar(limit, rows[name].type)), False))
        return rows.filter(pc.invert(late)), rows.filter(late)


_END = datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC)  # from which LEEWAY can be added to
_BEGIN = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)


def _times(rows: pa.RecordBatch) -> list[str]:
    return [name for name in ("ts", "seg_end") if name in rows.schema.names]


def _latest(times: pa.Array) -> datetime.datetime:
    """The latest of the times; those that Python can't tell are the latest there are."""
    latest = pc.max(times)
    if not latest.is_valid:
        return _BEGIN
    try:
        return latest.as_py().replace(tzinfo=datetime.UTC)  # type: ignore[no-any-return]
    except (ValueError, OverflowError):
        return datetime.datetime.max.replace(tzinfo=datetime.UTC)
