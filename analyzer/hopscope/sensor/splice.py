"""Rows of reassembled datagrams put among the rows of the chunk whose fragments completed them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hopscope.sensor.columns import Packets

_NOT_ROWS = {"data", "refused", "outer", "payload_off"}
_COLUMNS = tuple(f.name for f in dataclasses.fields(Packets) if f.name not in _NOT_ROWS)


def join(parts: Sequence[Packets]) -> Packets:
    """The rows of all parts one behind another, their bytes likewise; at least one part."""
    rows = np.cumsum([0] + [p.ts.size for p in parts[:-1]])
    bytes_before = np.cumsum([0] + [p.data.size for p in parts[:-1]])
    outer = [np.where(p.outer >= 0, p.outer + row, -1) for p, row in zip(parts, rows, strict=True)]
    return Packets(
        data=np.concatenate([p.data for p in parts]),
        payload_off=np.concatenate([p.payload_off + n for p, n in zip(parts, bytes_before, strict=True)]),
        outer=np.concatenate(outer).astype(np.int32),
        refused=sum(p.refused for p in parts),
        **{c: np.concatenate([getattr(p, c) for p in parts]) for c in _COLUMNS},
    )


def splice(
    packets: Packets, inner: Packets, before: NDArray[np.int64], outer: NDArray[np.int64]
) -> tuple[Packets, NDArray[np.int64]]:
    """`packets` with the rows of `inner` among them.

    Row j of `inner` goes before row `before[j]` of `packets`; where it has no enclosing row among its own,
    row `outer[j]` of `packets` encloses it (-1: none). Also returns the order: which of the
    rows of both, one behind another, stands where.
    """
    n, m = packets.ts.size, inner.ts.size
    joined = join([packets, inner])
    order = np.argsort(np.concatenate([np.arange(n) * 2 + 1, before * 2]), kind="stable")
    position = np.empty(n + m + 1, np.int32)
    position[order] = np.arange(n + m)
    position[-1] = -1  # where no row encloses
    enclosing = joined.outer.copy()
    enclosing[n:] = np.where(inner.outer >= 0, enclosing[n:], outer)
    merged = dataclasses.replace(
        joined,
        outer=position[enclosing][order],
        payload_off=joined.payload_off[order],
        **{c: getattr(joined, c)[order] for c in _COLUMNS},
    )
    return merged, order
