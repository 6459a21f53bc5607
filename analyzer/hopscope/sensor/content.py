"""The first bytes of each direction of a connection, kept in blocks at their place in the stream.

Bytes are written where they belong, so that segments out of order and retransmissions need no list; what
is contiguous from the start (`orig_len`, `resp_len`) is the caller's knowledge. A gap or a truncated
packet stops a direction (`orig_stop`, `resp_stop`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hopscope.sensor.compiled import helper
from hopscope.sensor.state import (
    BLOCK,
    BLOCK_ROWS,
    DATAGRAMS,
    EARLIES,
    MARKS,
    ORIG_BLOCKS,
    RESP_BLOCKS,
)


@njit(nogil=True, boundscheck=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload,untyped-decorator,unused-ignore]
def copy(into, place, data, at, n):  # type: ignore[no-untyped-def]
    """Copy `n` bytes, bounds checked once."""
    if n < 0 or place < 0 or at < 0 or place + n > into.shape[0] or at + n > data.shape[0]:
        raise IndexError("bytes out of bounds")
    for k in range(n):
        into[place + k] = data[at + k]


@helper
def open_early(t, c):  # type: ignore[no-untyped-def]
    """The row for the connection's first bytes, made on first use; -1 when there is no room."""
    row = np.int64(t.conn[c].early)
    if row >= 0:
        return row
    if t.early_frees > 0:
        t.early_frees -= 1
        row = np.int64(t.early_free[t.early_frees])
    elif t.early_used < EARLIES:
        row = t.early_used
        t.early_used += 1
    else:
        t.starved += 1
        return np.int64(-1)
    t.conn[c].early = row
    t.early[row] = t.blank_early[0]
    return row


@helper
def free_blocks(t, row):  # type: ignore[no-untyped-def]
    """Give the blocks of first bytes back."""
    for k in range(ORIG_BLOCKS + RESP_BLOCKS):
        b = t.early[row].block[k]
        if b >= 0:
            t.block_free[t.block_frees] = b
            t.block_frees += 1
            t.early[row].block[k] = -1


@helper
def _block(t, row, k):  # type: ignore[no-untyped-def]
    """The k-th block of a row, taken when needed; -1 when there is no room."""
    b = np.int64(t.early[row].block[k])
    if b < 0:
        if t.block_frees > 0:
            t.block_frees -= 1
            b = np.int64(t.block_free[t.block_frees])
        elif t.block_used < BLOCK_ROWS:
            b = t.block_used
            t.block_used += 1
        else:
            t.starved += 1
            return np.int64(-1)
        t.early[row].block[k] = b
    return b


@helper
def write(t, row, orig, off, data, at, size):  # type: ignore[no-untyped-def]
    """Keep `size` bytes of data[at:] that stand at stream offset `off`, as far as they are not kept yet."""
    e = t.early[row]
    done = np.int64(e.orig_len if orig else e.resp_len)
    stop = np.int64(e.orig_stop if orig else e.resp_stop)
    if off < done:
        at += done - off
        size -= done - off
        off = done
    size = min(size, stop - off)
    base = 0 if orig else ORIG_BLOCKS
    while size > 0:
        b = _block(t, row, base + off // BLOCK)
        if b < 0:
            shut(t, row, orig, off)
            return
        inside = off % BLOCK
        n = min(size, BLOCK - inside)
        copy(t.block[b], inside, data, at, n)
        off += n
        at += n
        size -= n


@helper
def shut(t, row, orig, off):  # type: ignore[no-untyped-def]
    """Nothing from stream offset `off` on can be known."""
    e = t.early[row]
    if orig:
        e.orig_stop = min(np.int64(e.orig_stop), off)
    else:
        e.resp_stop = min(np.int64(e.resp_stop), off)


@helper
def extend(t, row, orig, upto, ts):  # type: ignore[no-untyped-def]
    """The stream is contiguous up to offset `upto` since time `ts`."""
    e = t.early[row]
    if orig:
        upto = min(upto, np.int64(e.orig_stop))
        if upto > e.orig_len:
            e.orig_len = upto
            if e.orig_marks < MARKS:
                e.mark_end[e.orig_marks], e.mark_at[e.orig_marks] = upto, ts
                e.orig_marks += 1
    else:
        upto = min(upto, np.int64(e.resp_stop))
        if upto > e.resp_len:
            e.resp_len = upto
            if e.resp_marks < MARKS:
                k = MARKS + e.resp_marks
                e.mark_end[k], e.mark_at[k] = upto, ts
                e.resp_marks += 1


@helper
def byte_at(t, row, orig, off):  # type: ignore[no-untyped-def]
    """The kept byte at a stream offset, -1 when it isn't kept."""
    e = t.early[row]
    if off < 0 or off >= (e.orig_len if orig else e.resp_len):
        return np.int64(-1)
    b = e.block[(0 if orig else ORIG_BLOCKS) + off // BLOCK]
    return np.int64(-1) if b < 0 else np.int64(t.block[b, off % BLOCK])


@helper
def keep_datagram(t, row, orig, data, at, size, ts):  # type: ignore[no-untyped-def]
    """Keep one of the first datagrams; a block each, the bytes beyond it are left out."""
    e = t.early[row]
    k = np.int64(e.orig_marks if orig else e.resp_marks)
    if k >= DATAGRAMS:
        return
    b = _block(t, row, (0 if orig else ORIG_BLOCKS) + k)
    if b < 0:
        return
    n = min(size, BLOCK)
    copy(t.block[b], np.int64(0), data, at, n)
    place = k if orig else MARKS + k
    e.mark_end[place], e.mark_at[place] = n, ts
    if orig:
        e.orig_marks = k + 1
    else:
        e.resp_marks = k + 1
