"""Zeek's history letters: upper case from the originator, lower case from the responder."""

from __future__ import annotations

import numpy as np

from hopscope.sensor import flags as flag
from hopscope.sensor.compiled import helper
from hopscope.sensor.state import HISTORY

# bits of CONN.seen; the responder's stand 16 higher
# (constants that are arguments are np.int64: numba would compile the function anew for each plain int)
SYN_BIT, FIN_BIT, RST_BIT, FIN_RST_BIT, DATA_BIT, ACK_BIT, MULTI_BIT = (np.int64(1 << k) for k in range(7))
ACKED, CORRUPT, DATA, FINISHED, HANDSHAKE, INCONSISTENT, MULTI, RESET, SYN, AGAIN, ZERO_WINDOW, GAP = (
    np.int64(ord(letter)) for letter in "ACDFHIQRSTWG"
)
FLIPPED = np.int64(ord("^"))


@helper
def add(t, c, letter):  # type: ignore[no-untyped-def]
    """Append a letter; letters beyond the room are dropped."""
    conn = t.conn[c]
    n = np.int64(conn.letters)
    if n < HISTORY:
        conn.history[n] = letter
        conn.letters = n + 1


@helper
def scaled(threshold):  # type: ignore[no-untyped-def]
    """The count at which a repeated letter is written next: 1, 10, 100 ..."""
    return min(np.int64(threshold) * 10, np.int64(1_000_000_000))


@helper
def flip(t, c):  # type: ignore[no-untyped-def]
    """Originator and responder change roles."""
    conn = t.conn[c]
    conn.flip ^= 1
    conn.packet_seen = (conn.packet_seen & 1) << 1 | conn.packet_seen >> 1
    conn.partial = 0
    add(t, c, FLIPPED)


@helper
def check(t, c, e, bit, letter):  # type: ignore[no-untyped-def]
    """Write the letter if it is this direction's first; True when it isn't."""
    conn = t.conn[c]
    if letter in (ACKED, DATA) and conn.letters == 1 and conn.history[0] == HANDSHAKE:
        # It began with a SYN-ACK; traffic that follows says the SYN was missed, not that it was a scan.
        flip(t, c)
        conn.history[0], conn.history[1] = FLIPPED, HANDSHAKE + 32
        conn.letters = 2
        conn.packet_seen |= 1
    if (e & 1) != conn.flip:
        bit <<= 16
        letter += 32
    if conn.seen & np.uint32(bit):
        return True
    conn.seen |= np.uint32(bit)
    add(t, c, letter)
    return False


@helper
def add_for(t, c, e, letter):  # type: ignore[no-untyped-def]
    """Append the letter in the case of the endpoint's role."""
    add(t, c, letter if (e & 1) == t.conn[c].flip else letter + 32)


@helper
def note_flags(t, c, e, flags, rel_seq, length):  # type: ignore[no-untyped-def]
    """The letters of a TCP packet's flags."""
    end = t.end[e]
    syn, fin, rst = flags & flag.SYN != 0, flags & flag.FIN != 0, flags & flag.RST != 0
    many = np.int64(syn) + np.int64(fin) + np.int64(rst)
    if many > 1:
        if fin and rst:
            check(t, c, e, FIN_RST_BIT, INCONSISTENT)
        else:
            check(t, c, e, MULTI_BIT, MULTI)
    elif syn:
        letter = HANDSHAKE if flags & flag.ACK else SYN
        if check(t, c, e, SYN_BIT, letter) and rel_seq != end.syn_hist:
            add_for(t, c, e, letter)
        end.syn_hist = rel_seq
    elif fin:
        if check(t, c, e, FIN_BIT, FINISHED) and rel_seq + length != end.fin_hist:
            add_for(t, c, e, FINISHED)
        end.fin_hist = rel_seq + length
    elif rst:
        if check(t, c, e, RST_BIT, RESET) and rel_seq != end.rst_hist:
            add_for(t, c, e, RESET)
        end.rst_hist = rel_seq
    elif length:
        check(t, c, e, DATA_BIT, DATA)
    elif flags & flag.ACK:
        check(t, c, e, ACK_BIT, ACKED)
