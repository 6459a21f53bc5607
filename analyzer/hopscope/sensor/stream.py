"""The TCP stream: what is contiguous, what is missing, and when a gap is certain, as Zeek reckons it.

Positions are relative sequence numbers: the first byte after the SYN is 1. Pieces beyond a hole are kept
as intervals. A gap is certain when the peer acknowledges bytes that were never seen.
"""

from __future__ import annotations

import numpy as np

from hopscope.sensor import content
from hopscope.sensor.compiled import helper
from hopscope.sensor.history import GAP, add, scaled
from hopscope.sensor.state import HOLE_ROWS, HOLES

INACTIVE, SYN_SENT, SYN_ACK_SENT, PARTIAL, ESTABLISHED, CLOSED, RESET = (np.int64(k) for k in range(7))

ABOVE_HOLE = 16384  # bytes above a hole without any ACK after which Zeek gives a stream up
WITHOUT_ACK = 10 * 1024 * 1024  # bytes without further ACK after which Zeek gives a stream up


@helper
def no_data_acked(end):  # type: ignore[no-untyped-def]
    """None of the endpoint's data was acknowledged (a SYN may have been)."""
    acked = (np.int64(end.ack_wraps) << 32) + end.ack - end.start
    return acked == 0 or acked == 1


@helper
def size(t, e):  # type: ignore[no-untyped-def]
    """Payload bytes the endpoint sent, by sequence numbers and what its peer acknowledged."""
    end = t.end[e]
    if end.before == SYN_SENT and end.state == RESET and t.end[e ^ 1].state == INACTIVE and not no_data_acked(end):
        return np.int64(0)  # a half-open connection found and aborted: its numbers mislead
    last = (np.int64(end.seq_wraps) << 32) + end.last
    acked = (np.int64(end.ack_wraps) << 32) + end.ack
    n = max(last, acked) - end.start
    if n != 0:
        n -= 1
    if end.fins > 0 and n != 0:
        n -= 1
    return n


@helper
def _absorb(t, e):  # type: ignore[no-untyped-def]
    """Pieces that the contiguous part has reached become part of it."""
    end = t.end[e]
    row = end.holes
    if row < 0:
        return
    n, k = np.int64(t.hole_count[row]), np.int64(0)
    while k < n and t.hole[row, 2 * k] <= end.reassembled:
        end.reassembled = max(end.reassembled, t.hole[row, 2 * k + 1])
        k += 1
    if k:
        for j in range(2 * k, 2 * n):
            t.hole[row, j - 2 * k] = t.hole[row, j]
        n -= k
        t.hole_count[row] = n
    if n == 0:
        drop_holes(t, e)


@helper
def drop_holes(t, e):  # type: ignore[no-untyped-def]
    """Forget all pieces beyond the contiguous part."""
    row = t.end[e].holes
    if row >= 0:
        t.hole_free[t.hole_frees] = row
        t.hole_frees += 1
        t.end[e].holes = -1


@helper
def _set_aside(t, e, low, high):  # type: ignore[no-untyped-def]
    """Keep the piece [low, high) beyond a hole; when there is no room it is as if it had not been seen."""
    end = t.end[e]
    row = np.int64(end.holes)
    if row < 0:
        if t.hole_frees > 0:
            t.hole_frees -= 1
            row = np.int64(t.hole_free[t.hole_frees])
        elif t.hole_used < HOLE_ROWS:
            row = t.hole_used
            t.hole_used += 1
        else:
            t.starved += 1
            return
        t.hole_count[row] = 0
        end.holes = row
    n = np.int64(t.hole_count[row])
    first = np.int64(0)
    while first < n and t.hole[row, 2 * first + 1] < low:
        first += 1
    after = first
    while after < n and t.hole[row, 2 * after] <= high:
        low = min(low, t.hole[row, 2 * after])
        high = max(high, t.hole[row, 2 * after + 1])
        after += 1
    if after == first:
        if n == HOLES:
            t.starved += 1
            return
        for j in range(2 * n - 1, 2 * first - 1, -1):
            t.hole[row, j + 2] = t.hole[row, j]
        n += 1
    else:
        gone = after - first - 1
        if gone:
            for j in range(2 * after, 2 * n):
                t.hole[row, j - 2 * gone] = t.hole[row, j]
            n -= gone
    t.hole[row, 2 * first], t.hole[row, 2 * first + 1] = low, high
    t.hole_count[row] = n


@helper
def _clean(end):  # type: ignore[no-untyped-def]
    return end.state == ESTABLISHED or (end.state == CLOSED and end.before == ESTABLISHED)


@helper
def _gap(t, c, e, at, length):  # type: ignore[no-untyped-def]
    """The stream misses `length` bytes at `at`."""
    conn = t.conn[c]
    orig = (e & 1) == conn.flip
    if conn.early >= 0:
        content.shut(t, conn.early, orig, at - 1)
    if _clean(t.end[e]) and _clean(t.end[e ^ 1]):
        end = t.end[e]
        end.gaps += 1
        if end.gaps == end.gaps_next:
            end.gaps_next = scaled(end.gaps_next)
            add(t, c, GAP if orig else GAP + 32)
        conn.missed += length


@helper
def _undelivered(t, c, e, upto):  # type: ignore[no-untyped-def]
    """The peer has everything up to `upto`: what was not seen is missing."""
    end = t.end[e]
    if upto <= 2 and t.conn[c].partial:
        return  # the numbers were made up as if a SYN had been seen
    if not end.skip:
        while end.holes >= 0 and t.hole[end.holes, 0] < upto:
            low = t.hole[end.holes, 0]
            _gap(t, c, e, end.reassembled, low - end.reassembled)
            end.reassembled = low
            _absorb(t, e)
        if upto > end.reassembled:
            _gap(t, c, e, end.reassembled, upto - end.reassembled)
    end.reassembled = max(end.reassembled, upto)


@helper
def acked(t, c, e, upto):  # type: ignore[no-untyped-def]
    """The endpoint's bytes up to `upto` are acknowledged; True when that was news."""
    end = t.end[e]
    if end.fins > 0 and 0 < end.fin_seq <= upto:  # a FIN from far off tells nothing
        upto = end.fin_seq - 1
    if upto <= end.trimmed:
        return False
    if upto > end.reassembled:
        _undelivered(t, c, e, upto)
    _absorb(t, e)
    end.trimmed = upto
    return True


@helper
def sent(t, c, e, low, high):  # type: ignore[no-untyped-def]
    """The endpoint sent [low, high), all of it captured; True when it is taken into the stream."""
    end = t.end[e]
    if end.skip or high <= end.trimmed:
        return False
    low = max(low, end.trimmed)
    end.upper = max(end.upper, high)
    if low <= end.reassembled:
        if high > end.reassembled:
            end.reassembled = high
            _absorb(t, e)
    else:
        _set_aside(t, e, low, high)
    if no_data_acked(end):
        if end.upper - end.reassembled > ABOVE_HOLE:
            end.skip = 1
        elif size(t, e) > ABOVE_HOLE:
            end.trimmed = max(end.trimmed, end.reassembled)
    if end.upper - end.trimmed > WITHOUT_ACK and end.reassembled - end.trimmed > WITHOUT_ACK:
        end.skip = 1
    if end.skip:
        drop_holes(t, e)
    return True


@helper
def pending(t, e):  # type: ignore[no-untyped-def]
    """Bytes of the endpoint are still to come, so that it can't be called closed."""
    end = t.end[e]
    if end.skip:
        return False
    delivered = end.start + end.reassembled
    last = (np.int64(end.seq_wraps) << 32) + end.last
    if last < delivered:
        return False
    if delivered != last - 1 and delivered != last:
        return True
    peer = t.end[e ^ 1]
    return end.state != RESET and not peer.skip and peer.upper > peer.trimmed
