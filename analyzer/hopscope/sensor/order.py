"""Packets of several interfaces put into the order of their times, within a bounded horizon.

A file of one interface stays in its own order even where times step back a little: that is how Zeek reads
it, and clocks are worse witnesses than the order of arrival. A file of several interfaces (the two sides of
a tap, for one) is a different matter: their queues were emptied in turn, so only the times tell which packet
came first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hopscope.sensor.columns import Chunk

HORIZON_NS = 1_000_000_000  # packets further back than this keep their place in the file
MAX_HELD = 32 << 20  # bytes held back at most; beyond it packets go out early


class Sorter:
    """A stable sort by time of a stream of chunks; what it gives does not depend on their boundaries."""

    def __init__(self, horizon_ns: int = HORIZON_NS, max_held: int = MAX_HELD):
        self._horizon, self._max_held = horizon_ns, max_held
        self._latest = np.iinfo(np.int64).min + horizon_ns  # latest time seen
        self._held: Chunk | None = None
        self._held_keys = np.empty(0, np.int64)

    def push(self, chunk: Chunk) -> Iterator[Chunk]:
        """Take a chunk; gives the packets that no later one can precede any more."""
        latest = np.maximum.accumulate(np.concatenate([[self._latest], chunk.ts]))
        # a packet that comes too late stands where it arrived, just behind what has gone out already
        keys = np.concatenate([self._held_keys, np.maximum(chunk.ts, latest[:-1] - self._horizon)])
        self._latest = int(latest[-1])
        joined = chunk if self._held is None else _join(self._held, chunk)
        order = np.argsort(keys, kind="stable")
        ready = int(np.searchsorted(keys[order], self._latest - self._horizon, side="right"))
        if ready == 0 and joined.data.size > self._max_held:
            ready = keys.size
        out, kept = order[:ready], np.sort(order[ready:])
        self._held, self._held_keys = (_pick(joined, kept, compact=True), keys[kept]) if kept.size else (None, keys[:0])
        if out.size:
            yield _pick(joined, out)

    def flush(self) -> Iterator[Chunk]:
        """The packets held back, at the end of the input."""
        if self._held is not None:
            held, order = self._held, np.argsort(self._held_keys, kind="stable")
            self._held, self._held_keys = None, self._held_keys[:0]
            yield _pick(held, order)


def _join(a: Chunk, b: Chunk) -> Chunk:
    return Chunk(
        data=np.concatenate([a.data, b.data]),
        offset=np.concatenate([a.offset, b.offset + a.data.size]),
        caplen=np.concatenate([a.caplen, b.caplen]),
        wirelen=np.concatenate([a.wirelen, b.wirelen]),
        ts=np.concatenate([a.ts, b.ts]),
        link=np.concatenate([a.link, b.link]),
        file_offset=np.concatenate([a.file_offset, b.file_offset]),
    )


def _pick(chunk: Chunk, rows: NDArray[np.intp], *, compact: bool = False) -> Chunk:
    """The packets `rows` in that order; `compact` lets go of the bytes before and behind them."""
    offset, caplen, data = chunk.offset[rows], chunk.caplen[rows], chunk.data
    if compact:
        first = int(offset.min())
        data = data[first : int((offset + caplen).max())].copy()
        offset = offset - first
    return Chunk(data, offset, caplen, chunk.wirelen[rows], chunk.ts[rows], chunk.link[rows], chunk.file_offset[rows])
