"""Fields of packets and files for the compiled loops, big-endian unless named otherwise. All results are int64."""

from __future__ import annotations

import numpy as np

from hopscope.sensor.compiled import helper


@helper
def u16(d, p):  # type: ignore[no-untyped-def]
    """16 bits at `p`."""
    return np.int64(d[p]) << 8 | np.int64(d[p + 1])


@helper
def u32(d, p):  # type: ignore[no-untyped-def]
    """32 bits at `p`, never negative."""
    return np.int64(d[p]) << 24 | np.int64(d[p + 1]) << 16 | np.int64(d[p + 2]) << 8 | np.int64(d[p + 3])


@helper
def u32_little(d, p):  # type: ignore[no-untyped-def]
    """32 bits at `p`, little-endian, never negative."""
    return np.int64(d[p]) | np.int64(d[p + 1]) << 8 | np.int64(d[p + 2]) << 16 | np.int64(d[p + 3]) << 24


@helper
def u64(d, p):  # type: ignore[no-untyped-def]
    """64 bits at `p` as uint64."""
    return np.uint64(u32(d, p) << 32 | u32(d, p + 4))


@helper
def ones_sum(d, p, end, total):  # type: ignore[no-untyped-def]
    """The Internet checksum's sum (RFC 1071) of d[p:end], added to `total`, not yet folded."""
    while p + 1 < end:
        total += u16(d, p)
        p += 2
    if p < end:
        total += np.int64(d[p]) << 8
    return total


@helper
def sums_to_ones(total):  # type: ignore[no-untyped-def]
    """The folded sum is 0xffff: the checksum is right."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF
