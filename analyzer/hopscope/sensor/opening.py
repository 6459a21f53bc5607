"""Where a connection begins: who originates it, what it is inside of, how long it may be silent; compiled."""

from __future__ import annotations

import numpy as np

from hopscope.sensor import emit, history, table
from hopscope.sensor.compiled import helper
from hopscope.sensor.emit import TCP, UDP
from hopscope.sensor.flags import ACK, SYN
from hopscope.sensor.state import MAX_DEPTH
from hopscope.sensor.table import DNS_IDLE, EXPIRE, IDLE, SECOND, add_timer, mix

IDLE_OTHERS = 60 * SECOND  # UDP, ICMP, other protocols, and TCP until its handshake is done
FIRST_CHECK = 5 * SECOND  # of TCP: tcp_SYN_timeout
DNS_CHECK = 10 * SECOND  # Zeek's dns_session_timeout


@helper
def counterpart(kind, code, version):  # type: ignore[no-untyped-def]
    """(ICMP type of the answer, or the code; is it one-way)."""
    if version == 4:
        for pair in ((8, 0), (13, 14), (15, 16), (10, 9), (17, 18)):
            if kind == pair[0]:
                return np.int64(pair[1]), np.int64(0)
            if kind == pair[1]:
                return np.int64(pair[0]), np.int64(0)
    else:
        for pair in ((128, 129), (133, 134), (135, 136), (130, 131), (139, 140), (144, 145)):
            if kind == pair[0]:
                return np.int64(pair[1]), np.int64(0)
            if kind == pair[1]:
                return np.int64(pair[0]), np.int64(0)
    return code, np.int64(1)


@helper
def _is_dns(port):  # type: ignore[no-untyped-def]
    return port == 53 or port == 137 or port == 5353 or port == 5355


@helper
def _flips(t, kind, flags, sport, dport, p):  # type: ignore[no-untyped-def]
    """The first packet comes from the responder, by its ports."""
    if p.version == 4 and p.dst_lo == np.uint64(0xFFFFFFFF):
        return False
    if kind == UDP:
        return t.likely[1, sport] and not t.likely[1, dport]
    if kind == TCP and (not flags & SYN or flags & ACK) and t.likely[0, sport]:
        return not t.likely[0, dport] or (not flags & SYN and sport < dport)
    return False


@helper
def _parents(t, c, rows, i):  # type: ignore[no-untyped-def]
    """Tell the tunnels around a new connection, innermost first."""
    conn, zero = t.conn[c], np.int64(0)
    j = np.int64(rows[i].outer)
    while j >= 0 and conn.depth < MAX_DEPTH:
        q = rows[j]
        if q.carrier:
            low = (q.src_hi, q.src_lo) < (q.dst_hi, q.dst_lo)
            if low:
                a, b = table.make_uid(
                    t, np.uint64(0), q.src_hi, q.src_lo, q.dst_hi, q.dst_lo, zero, zero, np.int64(q.proto)
                )
            else:
                a, b = table.make_uid(
                    t, np.uint64(0), q.dst_hi, q.dst_lo, q.src_hi, q.src_lo, zero, zero, np.int64(q.proto)
                )
        elif q.slot >= 0:
            a, b = t.conn[q.slot].uid_a, t.conn[q.slot].uid_b
        else:
            break
        row = t.parent[t.parents]
        t.parents += 1
        row.uid_a, row.uid_b = a, b
        row.serial, row.level = conn.serial, conn.depth
        conn.depth += 1
        j = np.int64(q.outer)


@helper
def open_connection(t, h, kind, proto, one_way, sport, dport, salt, rows, i):  # type: ignore[no-untyped-def]
    """A new connection that begins with packet i; `salt` goes into its uid."""
    if t.conn_frees > 0:
        t.conn_frees -= 1
        c = np.int64(t.conn_free[t.conn_frees])
    else:
        c = t.conn_used
        t.conn_used += 1
    t.open += 1
    p = rows[i]
    conn = t.conn[c]
    gen = conn.gen
    t.conn[c] = t.blank_conn[0]
    t.end[2 * c] = t.blank_end[0]
    t.end[2 * c + 1] = t.blank_end[0]
    conn.gen = gen
    ts = p.ts
    conn.a_hi, conn.a_lo = p.src_hi, p.src_lo
    conn.b_hi, conn.b_lo = p.dst_hi, p.dst_lo
    conn.a_port, conn.b_port = sport, dport
    conn.proto, conn.version = proto, p.version
    conn.kind, conn.one_way, conn.hash = kind, one_way, h
    conn.serial = t.serial
    t.serial += 1
    conn.uid_a, conn.uid_b = table.make_uid(
        t, mix(np.uint64(ts)) ^ salt, p.src_hi, p.src_lo, p.dst_hi, p.dst_lo, sport, dport, proto
    )
    conn.start, conn.last = ts, ts
    conn.timeout, conn.seg_end = IDLE_OTHERS, ts + emit.SEGMENT_NS
    table.insert(t, c)
    if _flips(t, kind, np.int64(p.flags), sport, dport, p):
        history.flip(t, c)
    if kind == TCP:
        add_timer(t, c, t.now + FIRST_CHECK, EXPIRE)
    add_timer(t, c, ts + IDLE_OTHERS, IDLE)
    if kind == UDP and _is_dns(conn.a_port if conn.flip else conn.b_port):
        conn.dns = 1
        add_timer(t, c, t.now + DNS_CHECK, DNS_IDLE)
    if p.outer >= 0:
        _parents(t, c, rows, i)
    return c
