"""Zeek's TCP state machine: states of both endpoints, sequence numbers, closing and its timers, compiled.

`c` is the connection's slot, `e` the endpoint that sent the packet, `e ^ 1` its peer. Roles may change
while a packet is looked at; `orig` is the sender's role as the packet began, as in Zeek.
"""

from __future__ import annotations

import numpy as np

from hopscope.sensor import history
from hopscope.sensor.closing import check_end
from hopscope.sensor.compiled import helper
from hopscope.sensor.flags import ACK, FIN, RST, SYN
from hopscope.sensor.stream import (
    CLOSED,
    ESTABLISHED,
    INACTIVE,
    PARTIAL,
    RESET,
    SYN_ACK_SENT,
    SYN_SENT,
    acked,
)
from hopscope.sensor.table import ATTEMPT, SECOND, add_timer

ATTEMPT_DELAY = 5 * SECOND  # an unanswered SYN is given up (Zeek's tcp_attempt_delay)
TCP_IDLE = 300 * SECOND  # tcp_inactivity_timeout
LOGIN_IDLE = 3600 * SECOND  # for interactive services: port_inactivity_timeouts
FAR = 1048576  # a jump in sequence numbers that is not believed of a SYN, RST or zero ACK

_MASK = 0xFFFFFFFF


@helper
def delta(a, b):  # type: ignore[no-untyped-def]
    """a - b in 32-bit sequence space, signed."""
    d = (a - b) & _MASK
    return d - (np.int64(1) << 32) if d >= np.int64(1) << 31 else d


@helper
def relative(end, seq, last, wraps):  # type: ignore[no-untyped-def]
    """A sequence number relative to the endpoint's first; negative when it lies before."""
    d = delta(seq, last)
    wraps = np.int64(wraps)
    if d < 0 and wraps and seq > last:
        wraps -= 1
    elif d > 0 and seq < last:
        wraps += 1
    if wraps == 0:
        return delta(seq, end.start & _MASK)
    return (wraps << 32) + seq - end.start


@helper
def _begin(end, start, last):  # type: ignore[no-untyped-def]
    end.start, end.ack, end.last = start, start, last


@helper
def _begin_sender(end, flags, seq, after):  # type: ignore[no-untyped-def]
    """Where the sender's numbers start."""
    if end.state == INACTIVE:
        if flags & SYN:
            _begin(end, seq, after)
        else:  # as if a SYN had been seen; the packet itself is no repetition
            _begin(end, (seq - 1) & _MASK, seq)
    elif flags & SYN:
        if end.state == SYN_SENT or end.state == SYN_ACK_SENT:
            if seq != end.start & _MASK:
                _begin(end, seq, after)
        elif end.state == ESTABLISHED or end.state == PARTIAL or (end.state == RESET and end.before == INACTIVE):
            _begin(end, seq, after)


@helper
def _set_state(t, c, e, new):  # type: ignore[no-untyped-def]
    end = t.end[e]
    if new != end.state:
        if new > SYN_ACK_SENT and end.state <= SYN_ACK_SENT and t.end[e ^ 1].state <= SYN_ACK_SENT:
            t.conn[c].timeout = TCP_IDLE
        end.before = end.state
        end.state = new


@helper
def _advance_ack(end, ack):  # type: ignore[no-untyped-def]
    d = delta(ack, end.ack)
    if d > 0 and not (ack == 0 and d > FAR):
        if ack < end.ack:
            end.ack_wraps += 1
        end.ack = ack


@helper
def _advance(t, c, e, after, flags, length):  # type: ignore[no-untyped-def]
    """The sender's highest sequence number; notes repetitions."""
    end = t.end[e]
    d = delta(after, end.last)
    if flags & (SYN | RST) and (d > FAR or d < -FAR):
        return
    if flags & FIN and end.last == ((end.start & _MASK) + 1) & _MASK:
        pass  # only SYN and FIN were seen of a connection that may be large
    elif end.state == RESET:
        return
    elif d <= 0:
        if length > 0:
            end.again += 1
            if end.again == end.again_next:
                end.again_next = history.scaled(end.again_next)
                history.add_for(t, c, e, history.AGAIN)
        return
    if after < end.last:
        end.seq_wraps += 1
    end.last = after


@helper
def process(t, c, e, orig, ts, flags, seq, ack, window, length):  # type: ignore[no-untyped-def]
    """Take in a TCP packet; returns (relative sequence number, relative ACK, an endpoint closes)."""
    conn, end, peer = t.conn[c], t.end[e], t.end[e ^ 1]
    bit = 1 if (e & 1) == conn.flip else 2
    if not conn.packet_seen & bit:
        if bit == 1:
            conn.partial = 1 if not flags & SYN or flags & ACK else 0
        elif not conn.partial:
            conn.partial = 0 if flags & SYN else 1
    consumed = (0 if flags & RST else length) + (1 if flags & SYN else 0) + (1 if flags & FIN else 0)
    after = (seq + consumed) & _MASK
    _begin_sender(end, flags, seq, after)
    rel_seq = relative(end, seq, end.last, end.seq_wraps)
    history.note_flags(t, c, e, flags, rel_seq, length)
    if window == 0 and not flags & RST and peer.state != CLOSED and end.state != RESET:
        end.zeros += 1
        if end.zeros == end.zeros_next:
            end.zeros_next = history.scaled(end.zeros_next)
            history.add_for(t, c, e, history.ZERO_WINDOW)
    if not (end.closed and peer.closed):
        conn.last = ts
    if flags & FIN:
        end.fins += 1
        end.fin_seq = rel_seq + consumed
    rel_ack = np.int64(0)
    if flags & ACK:
        if peer.state == INACTIVE:
            rel_ack = np.int64(1)
            before = (ack - 1) & _MASK
            _begin(peer, before, before)
        else:
            rel_ack = relative(peer, ack, peer.ack, peer.ack_wraps)
            if rel_ack < 0:
                rel_ack = np.int64(0)
            elif not flags & RST:
                _advance_ack(peer, ack)
    _advance(t, c, e, after, flags, length)
    closes = _machine(t, c, e, orig, ts, flags, seq, length)
    if flags & ACK and acked(t, c, e ^ 1, rel_ack):
        check_end(t, c, e ^ 1)
    conn.packet_seen |= 1 if orig else 2
    return rel_seq, rel_ack, closes


@helper
def _machine(t, c, e, orig, ts, flags, seq, length):  # type: ignore[no-untyped-def]
    """The state change; True when the endpoint closes."""
    end, peer = t.end[e], t.end[e ^ 1]
    if end.state == INACTIVE:
        return _from_inactive(t, c, e, orig, ts, flags, seq, length)
    if end.state == SYN_SENT or end.state == SYN_ACK_SENT:
        if flags & FIN:
            _set_state(t, c, e, CLOSED)
        if flags & RST:
            _set_state(t, c, e, RESET)
            t.conn[c].active = 0
        return flags & (FIN | RST) != 0
    if end.state == ESTABLISHED or end.state == PARTIAL:
        if flags & SYN and not flags & ACK and end.state == PARTIAL and peer.state == INACTIVE:
            _set_state(t, c, e, SYN_SENT)
        if flags & FIN and not flags & RST:
            _set_state(t, c, e, CLOSED)
            if peer.state == RESET and peer.before == CLOSED:
                _set_state(t, c, e ^ 1, CLOSED)  # FIN, then RST, was a normal end after all
        if flags & RST:
            _set_state(t, c, e, RESET)
            if peer.state != RESET or peer.before != ESTABLISHED:
                t.conn[c].active = 0
        return flags & (FIN | RST) != 0
    if end.state == CLOSED and flags & RST and peer.state != CLOSED:
        _set_state(t, c, e, RESET)
        return end.closed == 0
    return False


@helper
def _from_inactive(t, c, e, orig, ts, flags, seq, length):  # type: ignore[no-untyped-def]
    conn, end, peer = t.conn[c], t.end[e], t.end[e ^ 1]
    closes = False
    if flags & SYN:
        if orig:
            _set_state(t, c, e, SYN_ACK_SENT if flags & ACK else SYN_SENT)
            add_timer(t, c, ts + ATTEMPT_DELAY, ATTEMPT)
        else:
            if not flags & ACK and peer.state == SYN_ACK_SENT and seq == end.start & _MASK:
                conn.partial = 0  # the SYN-ACK was captured before its SYN
                history.flip(t, c)
                _set_state(t, c, e ^ 1, ESTABLISHED)
                conn.packet_seen |= 1
            if peer.state == SYN_SENT:
                _set_state(t, c, e ^ 1, ESTABLISHED)
            _set_state(t, c, e, ESTABLISHED)
            if peer.state != PARTIAL:
                _established(t, c, peer.state == INACTIVE)
    if flags & FIN:
        _set_state(t, c, e, CLOSED)
        closes = True
    if flags & RST:
        _set_state(t, c, e, RESET)
        closes = True
    if end.state == INACTIVE:
        if not orig and length == 0 and peer.state == SYN_SENT:
            pass  # some acknowledge a SYN before they answer it
        elif flags & ACK and peer.state == ESTABLISHED:
            _set_state(t, c, e, ESTABLISHED)  # the SYN was missed
            conn.partial = 0
            conn.packet_seen |= 1 if orig else 2
        else:
            _set_state(t, c, e, PARTIAL)
    return closes


@helper
def _login(port):  # type: ignore[no-untyped-def]
    return port == 21 or port == 22 or port == 23 or port == 513


@helper
def _established(t, c, half):  # type: ignore[no-untyped-def]
    """Interactive services may be silent for an hour; `half`: nothing was seen of the originator."""
    conn = t.conn[c]
    service, other = np.int64(conn.b_port), np.int64(conn.a_port)
    if conn.flip:
        service, other = other, service
    if half and not t.likely[0, service] and t.likely[0, other]:
        service = other
    if _login(service):
        conn.timeout = LOGIN_IDLE
