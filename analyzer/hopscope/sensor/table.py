"""The hash table of open connections and the heap of their timers, compiled."""

from __future__ import annotations

import numpy as np

from hopscope.sensor.compiled import helper
from hopscope.sensor.state import INDEX, TIMERS

SECOND = 1_000_000_000  # times are nanoseconds

# what a timer does when it comes due
EXPIRE, ATTEMPT, DELETE, IDLE, DNS_IDLE = (np.int64(k) for k in range(5))

_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@helper
def mix(x):  # type: ignore[no-untyped-def]
    """A well-mixed uint64 of a uint64 (the finalizer of splitmix64)."""
    x = np.uint64(x)
    x = (x ^ (x >> np.uint64(30))) * _M1
    x = (x ^ (x >> np.uint64(27))) * _M2
    return x ^ (x >> np.uint64(31))


@helper
def side_hash(t, hi, lo, port):  # type: ignore[no-untyped-def]
    """Hash of one end: address and port. The key is each run's own, so that nobody can aim at one bucket."""
    return mix(mix(mix(hi + t.key) ^ lo) + np.uint64(port))


@helper
def tuple_hash(src, dst, proto, one_way):  # type: ignore[no-untyped-def]
    """Non-negative int64 hash of a connection's ends; the same both ways unless it is one-way."""
    both = mix(src) + np.uint64(3) * mix(dst + np.uint64(1)) if one_way else src + dst
    return np.int64(mix(both + np.uint64(proto)) >> np.uint64(1))


@helper
def same(conn, src_hi, src_lo, sport, dst_hi, dst_lo, dport, proto):  # type: ignore[no-untyped-def]
    """0 when the packet goes from the slot's first sender, 1 the other way, -1 when it is another's."""
    if conn.proto != proto:
        return -1
    if (
        conn.a_lo == src_lo
        and conn.b_lo == dst_lo
        and conn.a_port == sport
        and conn.b_port == dport
        and conn.a_hi == src_hi
        and conn.b_hi == dst_hi
    ):
        return 0
    if (
        conn.one_way == 0
        and conn.a_lo == dst_lo
        and conn.b_lo == src_lo
        and conn.a_port == dport
        and conn.b_port == sport
        and conn.a_hi == dst_hi
        and conn.b_hi == src_hi
    ):
        return 1
    return -1


@helper
def find(t, h, src_hi, src_lo, sport, dst_hi, dst_lo, dport, proto):  # type: ignore[no-untyped-def]
    """(slot, side) of the packet's connection, slot -1 when there is none."""
    mask = INDEX - 1
    at = h & mask
    while True:
        slot = np.int64(t.index[at]) - 1
        if slot < 0:
            return np.int64(-1), np.int64(0)
        if t.conn[slot].hash == h:
            side = same(t.conn[slot], src_hi, src_lo, sport, dst_hi, dst_lo, dport, proto)
            if side >= 0:
                return slot, np.int64(side)
        at = (at + 1) & mask


@helper
def insert(t, slot):  # type: ignore[no-untyped-def]
    """Put a slot into the index by its hash."""
    mask = INDEX - 1
    at = t.conn[slot].hash & mask
    while t.index[at] != 0:
        at = (at + 1) & mask
    t.index[at] = slot + 1


@helper
def remove(t, slot):  # type: ignore[no-untyped-def]
    """Take a slot out of the index, closing the gap it leaves."""
    mask = INDEX - 1
    at = t.conn[slot].hash & mask
    while t.index[at] != slot + 1:
        at = (at + 1) & mask
    hole = at
    while True:
        at = (at + 1) & mask
        other = np.int64(t.index[at]) - 1
        if other < 0:
            break
        home = t.conn[other].hash & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            t.index[hole] = t.index[at]
            hole = at
    t.index[hole] = 0


@helper
def make_uid(t, salt, src_hi, src_lo, dst_hi, dst_lo, sport, dport, proto):  # type: ignore[no-untyped-def]
    """Two uint64 that name a connection (`salt` stands for its start), the same for the same capture and sensor."""
    a = mix(np.uint64(t.seed) ^ salt)
    a = mix(a ^ src_lo) + np.uint64(sport)
    a = mix(a ^ dst_lo) + np.uint64(dport)
    a = mix(a ^ src_hi) + np.uint64(proto)
    a = mix(a ^ dst_hi)
    return a, mix(a + np.uint64(0x9E3779B97F4A7C15))


@helper
def _copy(into, timer):  # type: ignore[no-untyped-def]
    into.at, into.tag, into.slot = timer.at, timer.tag, timer.slot


@helper
def add_timer(t, slot, at, kind):  # type: ignore[no-untyped-def]
    """Wake `slot` at time `at` (nanoseconds)."""
    conn = t.conn[slot]
    tag = np.int64(conn.gen) << 16 | np.int64(conn.timers) << 8 | np.int64(kind)
    i = t.timers
    if i == TIMERS:
        t.starved += 1
        return
    t.timers = i + 1
    while i > 0:
        up = (i - 1) >> 1
        if t.timer[up].at <= at:
            break
        _copy(t.timer[i], t.timer[up])
        i = up
    timer = t.timer[i]
    timer.at, timer.tag, timer.slot = at, tag, slot


@helper
def pop_timer(t):  # type: ignore[no-untyped-def]
    """(slot, kind) of the first timer, taken off the heap; slot -1 when it was cancelled."""
    slot, tag = np.int64(t.timer[0].slot), t.timer[0].tag
    n = t.timers - 1
    t.timers = n
    if n > 0:
        at = t.timer[n].at
        i = np.int64(0)
        while True:
            down = 2 * i + 1
            if down >= n:
                break
            if down + 1 < n and t.timer[down + 1].at < t.timer[down].at:
                down += 1
            if t.timer[down].at >= at:
                break
            _copy(t.timer[i], t.timer[down])
            i = down
        _copy(t.timer[i], t.timer[n])
    conn = t.conn[slot]
    kind = tag & 0xFF
    alive = conn.kind != 0 and np.int64(conn.gen) == tag >> 16
    if not alive or (kind <= DELETE and np.int64(conn.timers) != (tag >> 8 & 0xFF)):
        return np.int64(-1), kind
    return slot, kind
