"""Packets to connections: the compiled loop, and the tables' growth around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hopscope.sensor import content, emit, history, state, stream, table, tcp, timing, tls
from hopscope.sensor.columns import Packets
from hopscope.sensor.compiled import helper, kernel
from hopscope.sensor.emit import ICMP, OTHER, TCP, UDP
from hopscope.sensor.state import DNS_ROWS, MAX_DEPTH, OPEN, PACKET, PARENT_ROWS, TIMERS
from hopscope.sensor.table import DNS_IDLE, EXPIRE, IDLE, add_timer, mix

SECOND = 1_000_000_000
IDLE_OTHERS = 60 * SECOND  # UDP, ICMP, other protocols, and TCP until its handshake is done
DNS_CHECK = 10 * SECOND  # Zeek's dns_session_timeout
DNS_QUIET = 9 * SECOND

_ROWS = 4  # rows that a packet gives at most, beside those of timers
_TIMERS = 6  # timers that a packet sets at most


# --- one packet ------------------------------------------------------------------------------------------


@helper
def _counterpart(kind, code, version):  # type: ignore[no-untyped-def]
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
    if kind == TCP and (not flags & tcp.SYN or flags & tcp.ACK) and t.likely[0, sport]:
        return not t.likely[0, dport] or (not flags & tcp.SYN and sport < dport)
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
def _open(t, h, kind, proto, one_way, sport, dport, salt, rows, i):  # type: ignore[no-untyped-def]
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
        add_timer(t, c, t.now + tcp.FIRST_CHECK, EXPIRE)
    add_timer(t, c, ts + IDLE_OTHERS, IDLE)
    if kind == UDP and _is_dns(conn.a_port if conn.flip else conn.b_port):
        conn.dns = 1
        add_timer(t, c, t.now + DNS_CHECK, DNS_IDLE)
    if p.outer >= 0:
        _parents(t, c, rows, i)
    return c


@helper
def _bad_checksum(t, c, e):  # type: ignore[no-untyped-def]
    end = t.end[e]
    end.bad += 1
    if end.bad == end.bad_next:
        end.bad_next = history.scaled(end.bad_next)
        history.add_for(t, c, e, history.CORRUPT)


@helper
def _tcp_packet(t, c, e, p, data):  # type: ignore[no-untyped-def]
    conn = t.conn[c]
    ts, flags, length = p.ts, np.int64(p.flags), np.int64(p.payload_len)
    seq, ack = np.int64(p.seq), np.int64(p.ack)
    orig = (e & 1) == conn.flip
    rel_seq, rel_ack, closes = tcp.process(t, c, e, orig, ts, flags, seq, ack, np.int64(p.window), length)
    orig = (e & 1) == conn.flip  # roles may have changed
    if flags & tcp.SYN:
        if orig and not flags & tcp.ACK:
            conn.syns += 1
            if conn.syns == 1:
                conn.syn_at = ts
        elif not orig and flags & tcp.ACK:
            conn.synacks += 1
            if conn.synacks == 1:
                conn.synack_at = ts
    elif orig and conn.ack_at < 0 and conn.synack_at >= 0 and flags & tcp.ACK and not flags & tcp.RST:
        conn.ack_at = ts
    timing.closing(t, c, e, orig, ts, flags, length, rel_ack)
    if length > 0 and not flags & tcp.RST and rel_seq >= 0:
        _tcp_payload(t, c, e, orig, p, data, rel_seq + 1 if flags & tcp.SYN else rel_seq, rel_ack, length)
    tcp.check_end(t, c, e)
    if closes:
        tcp.close(t, c, e)


@helper
def _tcp_payload(t, c, e, orig, p, data, rel, rel_ack, length):  # type: ignore[no-untyped-def]
    """Payload at relative sequence number `rel`."""
    conn, end = t.conn[c], t.end[e]
    ts, at, captured = p.ts, p.payload_off, np.int64(p.payload_cap)
    off = rel - 1
    early = np.int64(conn.early)
    if early < 0 and off < state.ORIG_BOUND:
        early = content.open_early(t, c)
    if early >= 0 and not conn.content and off >= 0:
        content.write(t, early, orig, off, data, at, captured)
        if captured < length:
            content.shut(t, early, orig, off + captured)
    before = end.reassembled
    if captured >= length:
        stream.sent(t, c, e, rel, rel + length)
    if early >= 0:
        upto = end.reassembled - 1
        if captured < length and rel <= before:
            upto = max(upto, off + captured)
        if upto > before - 1:
            if not conn.content:
                content.extend(t, early, orig, upto, ts)
            tls.advance(t, c, early, orig, ts, before - 1, upto, data, off, at, captured)
            if not conn.ssh and before == 1:
                _ssh(t, c, early)
    fresh = off + length > end.fresh_end
    if fresh:
        end.fresh_end = off + length
    if orig:
        timing.from_orig(t, c, e, ts, off, length, fresh, data, at, captured)
    else:
        timing.from_resp(t, c, e, ts, off, length, fresh, rel_ack - 1)
    if early >= 0 and not conn.content and _told_enough(t.early[early], off):
        emit.put(t, c, emit.CONTENT, ts)


@helper
def _told_enough(e, off):  # type: ignore[no-untyped-def]
    """What follows the first bytes that were kept adds nothing: they are all there, the stream has gone far
    beyond them, or all that follows is encrypted."""
    both = e.orig_len >= e.orig_stop and e.resp_len >= e.resp_stop
    return both or off > 4 * state.RESP_BOUND or tls.encrypted(e)


@helper
def _ssh(t, c, early):  # type: ignore[no-untyped-def]
    """Both sides begin with an SSH banner: a session that may be silent for an hour."""
    e = t.early[early]
    if e.orig_len < 4 or e.resp_len < 4:
        return
    for orig in (True, False):
        for k, b in enumerate((ord("S"), ord("S"), ord("H"), ord("-"))):
            if content.byte_at(t, early, orig, k) != b:
                return
    t.conn[c].ssh = 1
    t.conn[c].timeout = tcp.LOGIN_IDLE


@helper
def _answers(t, c, p, data):  # type: ignore[no-untyped-def]
    """A connection's first datagram is an answer of DNS, or of an NTP server: it comes from the responder."""
    conn = t.conn[c]
    if p.payload_cap < 12 or t.end[2 * c].pkts + t.end[2 * c + 1].pkts != 1:
        return False
    if conn.version == 4:
        multicast = p.dst_lo >> np.uint64(28) == np.uint64(14)
    else:
        multicast = p.dst_hi >> np.uint64(56) == np.uint64(0xFF)
    if multicast:
        return False
    if conn.dns:
        return data[p.payload_off + 2] & 0x80 != 0
    return p.dport == 123 and data[p.payload_off] & 7 == 4


@helper
def _turn(t, c, e):  # type: ignore[no-untyped-def]
    """Roles change with the datagram at hand, which Zeek counts to the new originator, bytes and all."""
    history.flip(t, c)
    was, now = t.end[e], t.end[e ^ 1]
    was.pkts, now.pkts = now.pkts, was.pkts
    was.ip_bytes, now.ip_bytes = now.ip_bytes, was.ip_bytes
    was.bytes, now.bytes = now.bytes, was.bytes
    was.state, now.state = now.state, was.state


@helper
def _datagram(t, c, e, p, data):  # type: ignore[no-untyped-def]
    conn, end = t.conn[c], t.end[e]
    ts, length = p.ts, np.int64(p.payload_len)
    at, captured = p.payload_off, np.int64(p.payload_cap)
    conn.last = ts
    end.state = 1
    end.bytes += length
    orig = (e & 1) == conn.flip
    history.check(t, c, e, history.SYN_BIT, history.DATA)  # UDP's own bit
    if length <= 0:
        return
    if orig and conn.history[0] == history.DATA and conn.letters == 1 and _answers(t, c, p, data):
        _turn(t, c, e)
        orig = False
    if orig:
        timing.from_orig(t, c, e, ts, end.bytes - length, length, np.bool_(True), data, at, captured)
    else:
        timing.from_resp(t, c, e, ts, end.bytes - length, length, np.bool_(True), state.NEVER)
    if conn.dns:
        row = t.dns[t.dns_rows]
        t.dns_rows += 1
        emit.ends_of(row, conn)
        row.serial, row.ts = conn.serial, ts
        row.at, row.len = at, captured
        row.version, row.from_orig = conn.version, 1 if orig else 0
    elif not conn.content:
        early = content.open_early(t, c)
        if early >= 0 and captured > 0:
            content.keep_datagram(t, early, orig, data, at, captured, ts)


@helper
def _packet(t, rows, i, data):  # type: ignore[no-untyped-def]
    """Take in packet i."""
    p = rows[i]
    proto, version = np.int64(p.proto), np.int64(p.version)
    sport, dport, flags = np.int64(p.sport), np.int64(p.dport), np.int64(p.flags)
    one_way = np.int64(0)
    if proto == 6:
        kind = TCP
    elif proto == 17:
        kind = UDP
    elif (proto == 1 and version == 4) or (proto == 58 and version == 6):
        kind = ICMP
        dport, one_way = _counterpart(sport, dport, version)
    else:
        kind = OTHER
        sport, dport = np.int64(0), np.int64(0)
    salt = np.uint64(0)
    src = table.side_hash(t, p.src_hi, p.src_lo, sport)
    dst = table.side_hash(t, p.dst_hi, p.dst_lo, dport)
    h = table.tuple_hash(src, dst, proto, one_way)
    c, side = table.find(t, h, p.src_hi, p.src_lo, sport, p.dst_hi, p.dst_lo, dport, proto)
    if c >= 0 and kind == TCP and flags & tcp.SYN and tcp.reused(t, c, 2 * c + side, flags, np.int64(p.seq)):
        if t.conn[c].start == p.ts:
            salt = t.conn[c].uid_a  # else the two would have one name
        emit.end(t, c)
        c = np.int64(-1)
    if c < 0:
        c = _open(t, h, np.int64(kind), proto, one_way, sport, dport, salt, rows, i)
        side = np.int64(0)
    conn = t.conn[c]
    p.slot = c
    e = 2 * c + side
    if p.bad_checksum:
        if kind != ICMP:
            _bad_checksum(t, c, e)
        return
    if p.ts >= conn.seg_end:
        emit.put_segment(t, c, p.ts)
    end = t.end[e]
    if kind != ICMP or p.payload_cap >= p.payload_len:
        end.pkts += 1
        end.ip_bytes += np.int64(p.ip_bytes)
    if kind == TCP:
        _tcp_packet(t, c, e, p, data)
    elif kind == UDP:
        _datagram(t, c, e, p, data)
    else:
        conn.last = p.ts
        if kind == ICMP:
            end.state = 1
            end.bytes += np.int64(p.payload_len)


# --- the loop --------------------------------------------------------------------------------------------


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
    return tcp.expired(t, slot, kind)


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
        _packet(t, rows, i, data)
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
