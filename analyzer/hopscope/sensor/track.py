"""Packets to connections: the compiled loop over packets and timers, and what drives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hopscope.sensor import closing, emit, state, table
from hopscope.sensor.columns import Packets
from hopscope.sensor.compiled import helper, kernel
from hopscope.sensor.opening import DNS_CHECK
from hopscope.sensor.packet import take
from hopscope.sensor.state import DNS_ROWS, MAX_DEPTH, OPEN, PACKET, PARENT_ROWS, TIMERS
from hopscope.sensor.table import DNS_IDLE, IDLE, SECOND, add_timer

DNS_QUIET = 9 * SECOND  # Zeek spares a DNS connection its second timer

_ROWS = 4  # rows that a packet gives at most, beside those of timers
_TIMERS = 6  # timers that a packet sets at most


@helper
def _due(t, slot, kind):  # type: ignore[no-untyped-def]
    """A timer came due: True when the connection is over."""
    conn = t.conn[slot]
    now = t.now
    if kind == IDLE:
        if conn.last + conn.timeout <= now:
            return True
        add_timer(t, slot, conn.last + conn.timeout, IDLE)
        return False
    if kind == DNS_IDLE:
        if now - conn.last >= DNS_QUIET:
            return True
        add_timer(t, slot, now + DNS_CHECK, DNS_IDLE)
        return False
    return closing.expired(t, slot, kind)


@kernel
def run(tables, rows, first, data):  # type: ignore[no-untyped-def]
    """Take in packets from `first` on; returns the next one, early when rows must be drained."""
    t = tables[0]
    for i in range(first, rows.shape[0]):
        p = rows[i]
        p.slot = -1
        if p.carrier:
            continue
        t.now = max(t.now, p.ts)
        while t.timers > 0 and t.timer[0].at <= t.now:
            if not emit.room(t, 1):
                return i
            slot, kind = table.pop_timer(t)
            if slot >= 0 and _due(t, slot, kind):
                emit.end(t, slot)
        while t.timers > 0 and (t.open >= t.open_most or t.timers + _TIMERS > TIMERS):
            if not emit.room(t, 1):
                return i
            slot, kind = table.pop_timer(t)  # full: the connection whose timer is nearest ends early
            if slot >= 0:
                emit.end(t, slot)
                t.evicted += 1
        if not emit.room(t, _ROWS) or t.dns_rows == DNS_ROWS or t.parents + MAX_DEPTH > PARENT_ROWS:
            return i
        take(t, rows, i, data)
    return rows.shape[0]


@kernel
def finish(tables, first):  # type: ignore[no-untyped-def]
    """End all connections from slot `first` on; returns the next slot, early when rows must be drained."""
    t = tables[0]
    for c in range(first, t.conn_used):
        if t.conn[c].kind:
            if not emit.room(t, 1):
                return c
            emit.end(t, c)
    return np.int64(OPEN)


class Rows(NamedTuple):
    """What left the tracker since the last drain. `dns` rows point into `data`."""

    out: NDArray[np.void]
    bytes: NDArray[np.uint8]
    ints: NDArray[np.int32]
    floats: NDArray[np.float64]
    longs: NDArray[np.int64]
    dns: NDArray[np.void]
    parents: NDArray[np.void]
    data: NDArray[np.uint8]


class Tracker:
    """Connections of one sensor. Feed it packets in order, then finish it; rows come out as they are due."""

    def __init__(self, seed: int, most_open: int = OPEN) -> None:
        """`seed` goes into the uids; of more than `most_open` connections some end early."""
        self._tables = state.new_tables(seed, most_open)

    @property
    def evicted(self) -> int:
        """Connections that ended early because too many were open."""
        return int(self._tables["evicted"][0])

    @property
    def starved(self) -> int:
        """Times that something was left out because a side table was full."""
        return int(self._tables["starved"][0])

    def feed(self, packets: Packets) -> Iterator[Rows]:
        """Take in packets; the rows that are due."""
        rows = np.empty(packets.ts.shape[0], PACKET)
        for name in PACKET.names or ():
            if name != "slot":
                rows[name] = getattr(packets, name)
        data = np.require(packets.data, requirements=("C", "W"))
        at = 0
        while at < rows.shape[0]:
            at = run(self._tables, rows, at, data)
            yield self._drain(data)

    def finish(self) -> Iterator[Rows]:
        """The capture ends: all open connections do."""
        at, nothing = 0, np.zeros(0, np.uint8)
        while at < OPEN:
            at = finish(self._tables, at)
            yield self._drain(nothing)

    def _drain(self, data: NDArray[np.uint8]) -> Rows:
        t = self._tables[0]
        rows = Rows(
            t["out"][: t["outs"]].copy(), t["out_bytes"][: t["bytes"]].copy(), t["out_ints"][: t["ints"]].copy(),
            t["out_floats"][: t["floats"]].copy(), t["out_longs"][: t["longs"]].copy(),
            t["dns"][: t["dns_rows"]].copy(), t["parent"][: t["parents"]].copy(), data,
        )  # fmt: skip
        for name in ("outs", "bytes", "ints", "floats", "longs", "dns_rows", "parents"):
            t[name] = 0
        return rows
