"""Rows that leave the tracker: a connection's end, the end of a segment, its first bytes; compiled."""

from __future__ import annotations

import numpy as np

from hopscope.sensor import content, history, stream, timing
from hopscope.sensor.compiled import helper
from hopscope.sensor.history import FLIPPED, SYN
from hopscope.sensor.state import (
    BLOCK,
    HISTORY,
    MARKS,
    ON_STARTS,
    ORIG_BLOCKS,
    ORIG_BOUND,
    OUT_BYTES,
    OUT_FLOATS,
    OUT_INTS,
    OUT_LONGS,
    OUT_ROWS,
    RESP_BOUND,
    TLS_SIZES,
)
from hopscope.sensor.stream import CLOSED, ESTABLISHED, INACTIVE, PARTIAL, RESET, SYN_ACK_SENT, SYN_SENT
from hopscope.sensor.table import remove

FINAL, SEGMENT, CONTENT = np.int64(0), np.int64(1), np.int64(2)  # OUT.kind
TCP, UDP, ICMP, OTHER = 1, 2, 3, 4  # CONN.kind, OUT.transport

STATES = ("S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR", "OTH")
_S0, _S1, _SF, _REJ, _S2, _S3, _RSTO, _RSTR, _RSTOS0, _RSTRH, _SH, _SHR, _OTH = range(13)

_NO_RESET = tuple(np.uint8(ord(x)) for x in "HAFGIQ")  # of the originator's letters, between SYN and RST

SEGMENT_NS = 300_000_000_000  # the grid of segments

# what one row may take of the side tables
ROW_BYTES = HISTORY + ORIG_BOUND + RESP_BOUND
ROW_LONGS = 2 * MARKS * 2


@helper
def room(t, rows):  # type: ignore[no-untyped-def]
    """There is room for that many rows."""
    return (
        t.outs + rows <= OUT_ROWS
        and t.bytes + rows * ROW_BYTES <= OUT_BYTES
        and t.ints + rows * TLS_SIZES <= OUT_INTS
        and t.floats + rows * ON_STARTS <= OUT_FLOATS
        and t.longs + rows * ROW_LONGS <= OUT_LONGS
    )


@helper
def _reset_before_answer(conn):  # type: ignore[no-untyped-def]
    r"""The history matches ^?S[^HAFGIQ]*R.* (a SYN, then a RST, nothing else of the originator's between)."""
    n = np.int64(conn.letters)
    k = np.int64(1) if n and conn.history[0] == FLIPPED else np.int64(0)
    if k >= n or conn.history[k] != SYN:
        return False
    for j in range(k + 1, n):
        letter = conn.history[j]
        if letter == history.RESET:
            return True
        if letter in _NO_RESET:
            return False
    return False


@helper
def tcp_state(t, c, o, r, orig_bytes, resp_bytes):  # type: ignore[no-untyped-def]
    """Zeek's conn_state of a TCP connection."""
    os, rs = t.end[o].state, t.end[r].state
    o_quiet, r_quiet = os in (INACTIVE, PARTIAL), rs in (INACTIVE, PARTIAL)
    if rs == RESET:
        if os in (SYN_SENT, SYN_ACK_SENT) or (os == RESET and orig_bytes == 0 and resp_bytes == 0):
            return _REJ
        return _RSTRH if o_quiet else _RSTR
    if os == RESET:
        if not r_quiet:
            return _RSTO
        return _RSTOS0 if _reset_before_answer(t.conn[c]) else _OTH
    if rs == CLOSED and os == CLOSED:
        return _SF
    if os == CLOSED:
        return _SH if r_quiet else _S2
    if rs == CLOSED:
        return _SHR if o_quiet else _S3
    if os == SYN_SENT and rs == INACTIVE:
        return _S0
    return _S1 if os == ESTABLISHED and rs == ESTABLISHED else _OTH


@helper
def _bytes_out(t, block, n):  # type: ignore[no-untyped-def]
    if block >= 0:
        content.copy(t.out_bytes, t.bytes, t.block[block], np.int64(0), n)
    t.bytes += n


@helper
def _first_bytes(t, c, out):  # type: ignore[no-untyped-def]
    """Tell the first bytes; but for the end of a segment they are not collected any more."""
    conn = t.conn[c]
    row = np.int64(conn.early)
    out.content = 1
    e = t.early[row]
    out.orig_at = t.bytes
    if conn.kind == TCP:
        left = np.int64(e.orig_len)
        for k in range((left + BLOCK - 1) // BLOCK):
            _bytes_out(t, np.int64(e.block[k]), min(left - k * BLOCK, np.int64(BLOCK)))
    else:
        for k in range(e.orig_marks):
            _bytes_out(t, np.int64(e.block[k]), np.int64(e.mark_end[k]))
    out.orig_len = t.bytes - np.int64(out.orig_at)
    out.resp_at = t.bytes
    if conn.kind == TCP:
        left = np.int64(e.resp_len)
        for k in range((left + BLOCK - 1) // BLOCK):
            _bytes_out(t, np.int64(e.block[ORIG_BLOCKS + k]), min(left - k * BLOCK, np.int64(BLOCK)))
    else:
        for k in range(e.resp_marks):
            _bytes_out(t, np.int64(e.block[ORIG_BLOCKS + k]), np.int64(e.mark_end[MARKS + k]))
    out.resp_len = t.bytes - np.int64(out.resp_at)
    at = t.longs
    out.marks_at, out.orig_marks, out.resp_marks = at, e.orig_marks, e.resp_marks
    for k in range(e.orig_marks):
        t.out_longs[at], t.out_longs[at + 1] = e.mark_end[k], e.mark_at[k]
        at += 2
    for k in range(e.resp_marks):
        t.out_longs[at], t.out_longs[at + 1] = e.mark_end[MARKS + k], e.mark_at[MARKS + k]
        at += 2
    t.longs = at
    if out.kind != SEGMENT:
        conn.content = 1
        content.free_blocks(t, row)


@helper
def ends_of(row, conn):  # type: ignore[no-untyped-def]
    """The connection's name and ends, by their roles."""
    row.uid_a, row.uid_b = conn.uid_a, conn.uid_b
    if conn.flip:
        row.o_hi, row.o_lo = conn.b_hi, conn.b_lo
        row.r_hi, row.r_lo = conn.a_hi, conn.a_lo
        row.o_port, row.r_port = conn.b_port, conn.a_port
    else:
        row.o_hi, row.o_lo = conn.a_hi, conn.a_lo
        row.r_hi, row.r_lo = conn.b_hi, conn.b_lo
        row.o_port, row.r_port = conn.a_port, conn.b_port


@helper
def _volume(t, c, out, orig_bytes, resp_bytes):  # type: ignore[no-untyped-def]
    """Bytes and packets, of the connection so far and of this segment."""
    conn = t.conn[c]
    o = t.end[2 * c + np.int64(conn.flip)]
    r = t.end[(2 * c + np.int64(conn.flip)) ^ 1]
    out.orig_pkts, out.resp_pkts = o.pkts, r.pkts
    out.orig_ip_bytes, out.resp_ip_bytes = o.ip_bytes, r.ip_bytes
    out.missed_bytes = conn.missed
    out.seg_orig_pkts, out.seg_resp_pkts = o.pkts - conn.seg_orig_pkts, r.pkts - conn.seg_resp_pkts
    ended = out.kind == SEGMENT  # a row of first bytes stands in the middle of one
    if ended:
        conn.seg_orig_pkts, conn.seg_resp_pkts = o.pkts, r.pkts
    duration = conn.last - conn.start
    if duration > 0:
        out.duration = duration
        out.orig_bytes, out.resp_bytes = orig_bytes, resp_bytes
        out.seg_orig_bytes = max(orig_bytes - conn.seg_orig_bytes, 0)
        out.seg_resp_bytes = max(resp_bytes - conn.seg_resp_bytes, 0)
        if ended:
            conn.seg_orig_bytes, conn.seg_resp_bytes = orig_bytes, resp_bytes


@helper
def _timing(t, c, out):  # type: ignore[no-untyped-def]
    conn = t.conn[c]
    if conn.syns == 1 and conn.synacks == 1 and conn.synack_at >= conn.syn_at:
        out.tcp_rtt = conn.synack_at - conn.syn_at
    if conn.ack_at >= 0:
        if conn.synacks == 1:
            out.client_rtt = conn.ack_at - conn.synack_at
        if conn.orig_at >= conn.ack_at:
            out.pause = conn.orig_at - conn.ack_at
    out.first_reply, out.close_rtt = conn.first_reply, conn.close_rtt
    out.replies = conn.replies
    out.reply_p10 = timing.tenth(t, c)
    out.speaker = conn.speaker
    out.first_len, out.first_run, out.first_head = conn.first_len, conn.first_run, conn.first_head
    out.first_bits, out.first_printable = conn.first_bits, conn.first_printable


@helper
def put(t, c, kind, seg_end):  # type: ignore[no-untyped-def]
    """Write a row about the connection as it stands; the caller knows that there is room."""
    conn = t.conn[c]
    n = t.outs
    t.outs = n + 1
    out = t.out[n]
    o = 2 * c + np.int64(conn.flip)
    r = o ^ 1
    t.out[n] = t.blank_out[0]
    out.kind, out.seg_end = kind, seg_end
    out.serial, out.ts, out.seg = conn.serial, conn.start, conn.seg
    out.proto, out.version, out.transport = conn.proto, conn.version, conn.kind
    ends_of(out, conn)
    if conn.kind == TCP:
        orig_bytes, resp_bytes = stream.size(t, o), stream.size(t, r)
        out.state = tcp_state(t, c, o, r, orig_bytes, resp_bytes)
    else:
        orig_bytes, resp_bytes = t.end[o].bytes, t.end[r].bytes
        out.state = _OTH
        if conn.kind == UDP:
            asked, answered = t.end[o].state != INACTIVE, t.end[r].state != INACTIVE
            out.state = (_SF if answered else _S0) if asked else (_SHR if answered else _OTH)
    _volume(t, c, out, orig_bytes, resp_bytes)
    _timing(t, c, out)
    out.dns, out.depth, out.partial = conn.dns, conn.depth, conn.partial
    out.history_at, out.letters = t.bytes, conn.letters
    for k in range(conn.letters):
        t.out_bytes[t.bytes + k] = conn.history[k]
    t.bytes += np.int64(conn.letters)
    out.sizes_at = t.ints
    if conn.early >= 0:
        e = t.early[conn.early]
        out.finished_rtt, out.sizes = e.finished_rtt, e.sizes
        for k in range(e.sizes):
            t.out_ints[t.ints + k] = e.size[k]
        t.ints += np.int64(e.sizes)
        if not conn.content:
            _first_bytes(t, c, out)
    out.on_at = t.floats
    node = np.int64(conn.on_head)
    while node >= 0:
        t.out_floats[t.floats] = t.on[node].value
        t.floats += 1
        node = np.int64(t.on[node].next)
    out.on = t.floats - np.int64(out.on_at)


@helper
def put_segment(t, c, ts):  # type: ignore[no-untyped-def]
    """The segment that was open when a packet of time `ts` came beyond it has ended."""
    conn = t.conn[c]
    put(t, c, SEGMENT, conn.seg_end)
    timing.free_on_starts(t, c)
    conn.seg = (ts - conn.start) // SEGMENT_NS
    conn.seg_end = conn.start + (np.int64(conn.seg) + 1) * SEGMENT_NS


@helper
def end(t, c):  # type: ignore[no-untyped-def]
    """The connection is over: its last row, and its slot is free."""
    conn = t.conn[c]
    put(t, c, FINAL, max(conn.last, conn.start))
    timing.free_on_starts(t, c)
    timing.free_replies(t, c)
    stream.drop_holes(t, 2 * c)
    stream.drop_holes(t, 2 * c + 1)
    if conn.early >= 0:
        content.free_blocks(t, np.int64(conn.early))
        t.early_free[t.early_frees] = conn.early
        t.early_frees += 1
        conn.early = -1
    remove(t, c)
    conn.kind = 0
    conn.gen += 1
    t.conn_free[t.conn_frees] = c
    t.conn_frees += 1
    t.open -= 1
