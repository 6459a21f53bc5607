"""Who speaks when: first payloads, requests and their replies, silence broken; compiled.

A request is a run of originator payload since the last reply. Its reply is the first responder payload
whose ACK covers the whole request; the time counts from the request's last segment. Exchanges are left
out (Karn's rule and its kin) when a segment of the request was sent again, or when responder payload that
did not cover it came in between: then it is not known what the payload answers. The first exchange is
`first_reply`, all others are later replies. TLS's own exchanges are no requests (see `tls.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hopscope.sensor.compiled import helper
from hopscope.sensor.flags import FIN, RST
from hopscope.sensor.state import NEVER, ON_NODES, ON_STARTS, REPLIES, REPLY_ROWS
from hopscope.sensor.table import mix

SILENCE = 500_000_000  # ns of silence that end an ON period (Zhang and Paxson 2000)

VOID = -2  # CONN.fin_at: answered, or sent again
NO_ONE, ORIG, RESP = 0, 1, 2
IDLE, ASKED, ANSWERED = 0, 1, 2  # CONN.first_state


@helper
def _on_start(t, c, e, orig, ts):  # type: ignore[no-untyped-def]
    """Note payload after silence."""
    end = t.end[e]
    before = end.payload_at
    end.payload_at = ts
    if before >= 0 and ts - before < SILENCE:
        return
    conn = t.conn[c]
    if conn.on_count >= ON_STARTS:
        return
    if t.on_frees > 0:
        t.on_frees -= 1
        node = np.int64(t.on_free[t.on_frees])
    elif t.on_used < ON_NODES:
        node = t.on_used
        t.on_used += 1
    else:
        t.starved += 1
        return
    at = (ts - conn.start) / 1e9
    t.on[node].value = at if orig else -at
    t.on[node].next = -1
    if conn.on_head < 0:
        conn.on_head = node
    else:
        t.on[conn.on_tail].next = node
    conn.on_tail = node
    conn.on_count += 1


@helper
def free_on_starts(t, c):  # type: ignore[no-untyped-def]
    """Forget the segment's on_starts."""
    conn = t.conn[c]
    node = np.int64(conn.on_head)
    while node >= 0:
        t.on_free[t.on_frees] = node
        t.on_frees += 1
        node = np.int64(t.on[node].next)
    conn.on_head, conn.on_tail, conn.on_count = -1, -1, 0


@helper
def _reply(t, c, took):  # type: ignore[no-untyped-def]
    """Keep a reply time (ns): all of the first, then a sample of equal chances."""
    conn = t.conn[c]
    row = np.int64(conn.reply_row)
    if row < 0:
        if t.reply_frees > 0:
            t.reply_frees -= 1
            row = np.int64(t.reply_free[t.reply_frees])
        elif t.reply_used < REPLY_ROWS:
            row = t.reply_used
            t.reply_used += 1
        else:
            t.starved += 1
            return
        conn.reply_row = row
    n: Any = np.int64(conn.replies)
    conn.replies = n + 1
    if n >= REPLIES:
        n = np.int64(mix(conn.uid_a + np.uint64(n)) % np.uint64(n + 1))
        if n >= REPLIES:
            return
    t.reply[row, n] = took / 1e9


@helper
def free_replies(t, c):  # type: ignore[no-untyped-def]
    """Give the row of reply times back."""
    row = t.conn[c].reply_row
    if row >= 0:
        t.reply_free[t.reply_frees] = row
        t.reply_frees += 1
        t.conn[c].reply_row = -1


@helper
def tenth(t, c):  # type: ignore[no-untyped-def]
    """10th percentile of the reply times in seconds, linearly interpolated; NaN without any."""
    conn = t.conn[c]
    if conn.reply_row < 0:
        return np.nan
    n: Any = min(np.int64(conn.replies), REPLIES)
    place = 0.1 * (n - 1)
    low = np.int64(place)
    for k in range(min(low + 2, n)):  # selection sort as far as it is needed
        least = k
        for j in range(k + 1, n):
            if t.reply[conn.reply_row, j] < t.reply[conn.reply_row, least]:
                least = j
        value = t.reply[conn.reply_row, least]
        t.reply[conn.reply_row, least] = t.reply[conn.reply_row, k]
        t.reply[conn.reply_row, k] = value
    first = t.reply[conn.reply_row, low]
    return first + (place - low) * (t.reply[conn.reply_row, min(low + 1, n - 1)] - first)


@helper
def _shape(conn, data, at, captured, length):  # type: ignore[no-untyped-def]
    """What the first originator payload looks like."""
    conn.first_len = length
    if captured <= 0:
        return
    bits, printable, head = np.int64(0), np.int64(0), np.int64(0)
    run: Any = np.int64(0)
    longest: Any = np.int64(0)
    for k in range(captured):
        b = np.int64(data[at + k])
        if 0x20 <= b <= 0x7E:
            printable += 1
            run += 1
            longest = max(longest, run)
            if k < 6:
                head += 1
        else:
            run = np.int64(0)
        b -= b >> 1 & 0x55
        b = (b & 0x33) + (b >> 2 & 0x33)
        bits += (b + (b >> 4)) & 0x0F
    conn.first_bits = bits / captured
    conn.first_printable = printable / captured
    conn.first_run = longest
    conn.first_head = 1 if captured >= 6 and head == 6 else 0


@helper
def from_orig(t, c, e, ts, off, length, fresh, data, at, captured):  # type: ignore[no-untyped-def]
    """Originator payload at stream offset `off`; `fresh`: it goes beyond what was seen."""
    conn = t.conn[c]
    if not fresh:
        conn.request_bad = 1
        conn.first_bad = 1
        if conn.early >= 0 and t.early[conn.early].fin_wait:
            t.early[conn.early].fin_wait = 0
        return
    _on_start(t, c, e, True, ts)
    if conn.orig_at < 0:
        conn.orig_at = ts
        _shape(conn, data, at, captured, length)
    if conn.speaker == NO_ONE:
        conn.speaker = ORIG
    if conn.first_state != ANSWERED:
        if conn.first_state == IDLE:
            conn.first_bad = 0
        conn.first_state = ASKED
        conn.first_at, conn.first_end = ts, off + length
        return
    if conn.early >= 0:
        early = t.early[conn.early]
        if early.tls and off + length <= early.c_from and off >= early.c_start:
            return  # the handshake
    if not conn.request:
        conn.request, conn.request_bad = 1, 0
    conn.request_at, conn.request_end = ts, off + length


@helper
def from_resp(t, c, e, ts, off, length, fresh, covered):  # type: ignore[no-untyped-def]
    """Responder payload; `covered`: the originator's stream offset that it acknowledges."""
    conn = t.conn[c]
    if not fresh:
        return
    _on_start(t, c, e, False, ts)
    if conn.speaker == NO_ONE:
        conn.speaker = RESP
        conn.first_state = ANSWERED
    if conn.first_state == ASKED and covered >= conn.first_end:
        conn.first_state = ANSWERED
        if not conn.first_bad:
            conn.first_reply = ts - conn.first_at
    tail = False
    if conn.early >= 0:
        early = t.early[conn.early]
        if early.fin_wait and covered >= early.c_from:
            early.finished_rtt = ts - early.fin_at
            early.fin_wait = 0
        if early.tls and off + length <= early.s_from:
            tail = True
            if early.s_from == NEVER and early.c_from != NEVER and off >= t.end[e].reassembled:
                conn.request_bad = 1  # out of order: can't tell a ticket from an answer
    if conn.request and not tail:
        if covered < conn.request_end:
            conn.request_bad = 1
        else:
            if not conn.request_bad:
                _reply(t, c, ts - conn.request_at)
            conn.request = 0


@helper
def closing(t, c, e, orig, ts, flags, length, rel_ack):  # type: ignore[no-untyped-def]
    """The originator's FIN, sent once and first, and the first payload or FIN that answers it."""
    conn, peer = t.conn[c], t.end[e ^ 1]
    if orig:
        if flags & FIN:
            conn.fin_at = ts if conn.fin_at == -1 and peer.fins == 0 else VOID
    elif conn.fin_at >= 0 and (length > 0 or flags & FIN) and not flags & RST and rel_ack >= peer.fin_seq:
        conn.close_rtt = ts - conn.fin_at
        conn.fin_at = VOID
