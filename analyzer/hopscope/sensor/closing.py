"""How TCP connections end: closes, the timers around them, and ports used again, as in Zeek; compiled."""

from __future__ import annotations

import numpy as np

from hopscope.sensor.compiled import helper
from hopscope.sensor.flags import ACK, SYN
from hopscope.sensor.stream import CLOSED, INACTIVE, RESET, SYN_ACK_SENT, SYN_SENT, pending
from hopscope.sensor.table import ATTEMPT, DELETE, EXPIRE, SECOND, add_timer

CHECK_EVERY = 6 * SECOND  # tcp_session_timer
LINGER = 5 * SECOND  # tcp_connection_linger
CLOSE_DELAY = 5 * SECOND  # tcp_close_delay


@helper
def check_end(t, c, e):  # type: ignore[no-untyped-def]
    """All of the endpoint's stream has come: a close that waited for it can happen."""
    end = t.end[e]
    if not end.eof and (end.fins > 0 or end.state == CLOSED or end.state == RESET) and not pending(t, e):
        end.eof = 1
        if t.conn[c].deferred:
            close(t, c, e)
            t.conn[c].deferred = 0


@helper
def close(t, c, e):  # type: ignore[no-untyped-def]
    """The endpoint closes, unless parts of its stream are still to come."""
    conn, end, peer = t.conn[c], t.end[e], t.end[e ^ 1]
    if pending(t, e):
        conn.deferred = 1
        return
    conn.deferred = 0
    if end.closed:
        return
    end.closed = 1
    if end.state == RESET or peer.closed or peer.state == INACTIVE:
        conn.timers = (conn.timers + 1) & 0xFF  # cancels the others
        add_timer(t, c, conn.last + CLOSE_DELAY, DELETE)
    elif end.before != INACTIVE:
        add_timer(t, c, conn.last + CHECK_EVERY, EXPIRE)


@helper
def reused(t, c, e, flags, seq):  # type: ignore[no-untyped-def]
    """A SYN on a known tuple starts a new connection."""
    if not flags & SYN:
        return False
    conn = t.conn[c]
    o = 2 * c + np.int64(conn.flip)
    first = t.end[o]
    if flags & ACK:
        if first.state != INACTIVE:
            return False
        first = t.end[o ^ 1]
    if t.end[o].closed or t.end[o ^ 1].closed:
        return True
    if seq == first.start & 0xFFFFFFFF:
        return False
    other = t.end[o ^ 1]
    reversed_order = (
        not flags & ACK and first.state == SYN_ACK_SENT and other.state == INACTIVE and seq == other.start & 0xFFFFFFFF
    )
    return not reversed_order


@helper
def expired(t, c, kind):  # type: ignore[no-untyped-def]
    """A TCP timer came due: True when the connection is over, else it is set anew where it must be."""
    conn = t.conn[c]
    if not conn.active and kind != DELETE:
        return False
    o = t.end[2 * c + np.int64(conn.flip)]
    r = t.end[(2 * c + np.int64(conn.flip)) ^ 1]
    if kind == DELETE:
        return True
    if kind == ATTEMPT:
        return (o.state == SYN_SENT or o.state == SYN_ACK_SENT) and r.state == INACTIVE
    now = t.now
    if conn.last + LINGER < now:
        either = o.closed or r.closed
        both = o.closed and r.closed
        if either and (both or o.state == RESET or r.state == RESET or o.state == INACTIVE or r.state == INACTIVE):
            return True
        if o.state == INACTIVE and r.state == INACTIVE:
            return True
    add_timer(t, c, now + CHECK_EVERY, EXPIRE)
    return False
