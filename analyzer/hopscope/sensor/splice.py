"""Rows of reassembled datagrams put among the rows of the chunk whose fragments completed them."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from hopscope.sensor.columns import Packets

_NOT_ROWS = {"data", "refused", "outer", "payload_off"}
_COLUMNS = tuple(f.name for f in dataclasses.fields(Packets) if f.name not in _NOT_ROWS)


def splice(
    packets: Packets, inner: Packets, before: NDArray[np.int64], outer: NDArray[np.int64]
) -> tuple[Packets, NDArray[np.int64]]:
    """`packets` with the rows of `inner` among them.

    Row j of `inner` goes before row `before[j]` of `packets`; where it has no enclosing row among its own,
    row `outer[j]` of `packets` encloses it (-1: none). Also returns the new positions: first of the rows of
    `packets`, then of `inner`'s.
    """
    n, m = packets.ts.size, inner.ts.size
    order = np.argsort(np.concatenate([np.arange(n) * 2 + 1, before * 2]), kind="stable")
    position = np.empty(n + m, np.int64)
    position[order] = np.arange(n + m)
    outside = np.where(packets.outer >= 0, position[packets.outer], -1)
    inside = np.where(inner.outer >= 0, position[n + inner.outer], np.where(outer >= 0, position[outer], -1))
    columns = {c: np.concatenate([getattr(packets, c), getattr(inner, c)])[order] for c in _COLUMNS}
    merged = Packets(
        data=np.concatenate([packets.data, inner.data]),
        payload_off=np.concatenate([packets.payload_off, inner.payload_off + packets.data.size])[order],
        outer=np.concatenate([outside, inside])[order].astype(np.int32),
        refused=packets.refused + inner.refused,
        **columns,
    )
    return merged, position
