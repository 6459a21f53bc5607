"""TLS records as they go by: where the handshake ends, which records are session tickets, their sizes.

Only record headers are read (and the type of a plaintext handshake message). The walk starts where the
originator begins to speak with a ClientHello, be it at once or after a proxy handshake or STARTTLS.

The client's Finished ends its handshake. TLS 1.2: the record after its ChangeCipherSpec. TLS 1.3 (told by
the server's encrypted records before the client's): its first encrypted record of a Finished' size, 53 or
69 bytes (RFC 8446 section 4.4.4, with SHA-256 or SHA-384), or else its fourth encrypted record.

In TLS 1.3 the server may send session tickets after its handshake, at any time, and they look like
answers. Taken for tickets are the responder's encrypted records after the client's Finished that come
while no request is open; and, with a request open and no ticket seen yet, the first record if it is of a
ticket's size, with up to three more of equal size. All that follows is application data. A first answer
that is a single record of that size, from a server without tickets, is missed: the price of never taking
a ticket, which is sent without thinking, for an answer.
"""

from __future__ import annotations

import numpy as np

from hopscope.sensor.compiled import helper
from hopscope.sensor.content import byte_at
from hopscope.sensor.state import NEVER, TLS_SIZES

TICKET_MIN, TICKET_MAX = 60, 1500  # bytes of a TLS 1.3 record that may carry a session ticket
MOST_TICKETS = 4

_CCS, _HANDSHAKE, _DATA = 20, 22, 23
_CLIENT_HELLO, _SERVER_HELLO = 1, 2
_HELLO, _CIPHER, _FINISHED = 1, 2, 3  # c_state and s_state
_FOLLOWED, _BROKEN = 1, 2  # EARLY.tls


@helper
def _peek(t, row, orig, off, data, low, at, captured):  # type: ignore[no-untyped-def]
    """The stream's byte at `off`, from the packet at hand (whose bytes start at `low`) or from those kept."""
    if low <= off < low + captured:
        return np.int64(data[at + off - low])
    return byte_at(t, row, orig, off)


@helper
def _hello(t, row, orig, off, data, low, at, captured, message):  # type: ignore[no-untyped-def]
    """A handshake record with that message begins at `off`."""
    return (
        _peek(t, row, orig, off, data, low, at, captured) == _HANDSHAKE
        and _peek(t, row, orig, off + 1, data, low, at, captured) == 3
        and _peek(t, row, orig, off + 5, data, low, at, captured) == message
    )


@helper
def advance(t, c, row, orig, ts, before, upto, data, low, at, captured):  # type: ignore[no-untyped-def]
    """The stream grew from `before` to `upto`; `low`, `at`, `captured` are the packet's place and bytes."""
    e = t.early[row]
    if e.tls == _BROKEN:
        return
    if not e.tls:
        turn = 1 if orig else 2
        if e.turn != turn:  # a hello begins where its side begins to speak
            e.turn = turn
            if orig:
                e.c_pos = before
        if not orig or not _hello(t, row, orig, e.c_pos, data, low, at, captured, _CLIENT_HELLO):
            return
        e.tls, e.c_start = _FOLLOWED, e.c_pos
    if not orig:
        if e.s_pos < 0:
            e.s_pos = before
        if e.s_state == 0:
            if upto - e.s_pos < 6:
                return
            if not _hello(t, row, orig, e.s_pos, data, low, at, captured, _SERVER_HELLO):
                _break(e)
                return
    _walk(t, c, row, orig, ts, upto, data, low, at, captured)


@helper
def _walk(t, c, row, orig, ts, upto, data, low, at, captured):  # type: ignore[no-untyped-def]
    """Read all record headers below `upto`."""
    e = t.early[row]
    side = 0 if orig else 6
    while True:
        pos = e.c_pos if orig else e.s_pos
        have = np.int64(e.c_have if orig else e.s_have)
        # the first byte of a handshake message is read along with the header
        want = np.int64(6) if have >= 5 and e.head[side] == _HANDSHAKE else np.int64(5)
        while have < want and pos + have < upto:
            b = _peek(t, row, orig, pos + have, data, low, at, captured)
            if b < 0:
                _break(e)
                return
            e.head[side + have] = b
            have += 1
            if have == 5 and e.head[side] == _HANDSHAKE:
                want = np.int64(6)
        if have < want:
            if orig:
                e.c_have = have
            else:
                e.s_have = have
            return
        kind = np.int64(e.head[side])
        length = np.int64(e.head[side + 3]) << 8 | np.int64(e.head[side + 4])
        if kind < _CCS or kind > 24 or e.head[side + 1] != 3 or length > 18432 or length == 0:
            _break(e)
            return
        following = pos + 5 + length
        if orig:
            _client_record(t, row, ts, kind, length, following, np.int64(e.head[side + 5]))
            e.c_pos, e.c_have = following, 0
        else:
            _server_record(t, c, row, pos, kind, length, following, np.int64(e.head[side + 5]))
            e.s_pos, e.s_have = following, 0


@helper
def _break(e):  # type: ignore[no-untyped-def]
    """The records can't be followed any more: what comes now is taken for application data."""
    e.tls = _BROKEN
    e.c_from, e.s_from = min(e.c_from, np.int64(0)), min(e.s_from, np.int64(0))


@helper
def encrypted(e):  # type: ignore[no-untyped-def]
    """All that follows is encrypted, both ways."""
    return e.tls == _FOLLOWED and e.c_state == _FINISHED


@helper
def _size(t, row, size):  # type: ignore[no-untyped-def]
    e = t.early[row]
    if e.sizes < TLS_SIZES:
        e.size[e.sizes] = size
        e.sizes += 1


@helper
def _client_record(t, row, ts, kind, length, following, first):  # type: ignore[no-untyped-def]
    e = t.early[row]
    if e.c_state == _FINISHED:
        if kind == _DATA:
            _size(t, row, length)
        return
    if kind == _CCS:
        e.c_state = _CIPHER
    elif kind == _HANDSHAKE:
        if e.c_state == _CIPHER and not (first == _CLIENT_HELLO and e.s_state < _FINISHED and length > 90):
            _client_finished(e, ts, following)  # TLS 1.2 and before
        else:
            e.c_state = _HELLO
    elif kind == _DATA and e.tls13:
        e.c_extra += 1
        if length == 53 or length == 69 or e.c_extra >= 4:
            _client_finished(e, ts, following)


@helper
def _client_finished(e, ts, following):  # type: ignore[no-untyped-def]
    e.c_state = _FINISHED
    e.c_from = following
    e.fin_at = ts
    if e.tls13 or e.s_state < _FINISHED:
        e.fin_wait = 1


@helper
def _server_record(t, c, row, pos, kind, length, following, first):  # type: ignore[no-untyped-def]
    e = t.early[row]
    if kind == _CCS:
        e.s_state = max(np.int64(e.s_state), _CIPHER)
    elif kind == _HANDSHAKE:
        retried = first == _SERVER_HELLO and length >= 80  # behind a HelloRetryRequest
        if e.s_state == _CIPHER and not e.tls13 and not retried:
            e.s_state = _FINISHED
            e.s_from = following
        elif e.s_state < _CIPHER:
            e.s_state = _HELLO
    elif kind == _DATA:
        if e.c_state != _FINISHED and e.s_from == NEVER:
            e.tls13 = 1
            return
        _size(t, row, -length)
        if e.tls13 and e.s_from == NEVER:
            _maybe_ticket(t, c, row, pos, length)


@helper
def _maybe_ticket(t, c, row, pos, length):  # type: ignore[no-untyped-def]
    """A TLS 1.3 server's encrypted record before its first answer."""
    e = t.early[row]
    if not t.conn[c].request:
        e.tickets = min(np.int64(e.tickets) + 1, 200)
        e.ticket = length
        return
    if e.tickets == 0 and TICKET_MIN <= length <= TICKET_MAX:
        e.tickets, e.ticket = 1, length
    elif 0 < e.tickets < MOST_TICKETS and length == e.ticket:
        e.tickets += 1
    else:
        if e.tickets == 0:
            e.fin_wait = 0  # the answer itself comes first: it took time to think
        e.s_from = pos
