"""One packet into its connection, compiled."""

from __future__ import annotations

import numpy as np

from hopscope.sensor import closing, content, emit, history, state, stream, table, tcp, timing, tls
from hopscope.sensor.compiled import helper
from hopscope.sensor.emit import ICMP, OTHER, TCP, UDP
from hopscope.sensor.flags import ACK, RST, SYN
from hopscope.sensor.opening import counterpart, open_connection


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
    if flags & SYN:
        if orig and not flags & ACK:
            conn.syns += 1
            if conn.syns == 1:
                conn.syn_at = ts
        elif not orig and flags & ACK:
            conn.synacks += 1
            if conn.synacks == 1:
                conn.synack_at = ts
    elif orig and conn.ack_at < 0 and conn.synack_at >= 0 and flags & ACK and not flags & RST:
        conn.ack_at = ts
    timing.closing(t, c, e, orig, ts, flags, length, rel_ack)
    if length > 0 and not flags & RST and rel_seq >= 0:
        _tcp_payload(t, c, e, orig, p, data, rel_seq + 1 if flags & SYN else rel_seq, rel_ack, length)
    closing.check_end(t, c, e)
    if closes:
        closing.close(t, c, e)


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
def take(t, rows, i, data):  # type: ignore[no-untyped-def]
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
        dport, one_way = counterpart(sport, dport, version)
    else:
        kind = OTHER
        sport, dport = np.int64(0), np.int64(0)
    salt = np.uint64(0)
    src = table.side_hash(t, p.src_hi, p.src_lo, sport)
    dst = table.side_hash(t, p.dst_hi, p.dst_lo, dport)
    h = table.tuple_hash(src, dst, proto, one_way)
    c, side = table.find(t, h, p.src_hi, p.src_lo, sport, p.dst_hi, p.dst_lo, dport, proto)
    if c >= 0 and kind == TCP and flags & SYN and closing.reused(t, c, 2 * c + side, flags, np.int64(p.seq)):
        if t.conn[c].start == p.ts:
            salt = t.conn[c].uid_a  # else the two would have one name
        emit.end(t, c)
        c = np.int64(-1)
    if c < 0:
        c = open_connection(t, h, np.int64(kind), proto, one_way, sport, dport, salt, rows, i)
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
