"""Dissectors: pure functions from payload bytes to facts. None raises on hostile input.

`tcp` and `udp` say what one connection is. `services` follows Zeek 8: an analyzer counts once it
confirmed, and no longer when it met a violation among the first bytes. What is asked of them is bounded
by what they are given: a few KiB of each direction.
"""

from __future__ import annotations

from hopscope.sensor.dissect.datagram import dissect as _datagrams
from hopscope.sensor.dissect.facts import Facts
from hopscope.sensor.dissect.stream import dissect as _stream

__all__ = ["Facts", "tcp", "udp"]


def tcp(orig: bytes, resp: bytes, orig_p: int, resp_p: int, partial: bool = False) -> Facts:
    """Facts of a TCP connection from the first contiguous bytes of each direction (either may be empty).

    `partial` says that its start wasn't seen (no SYN): Zeek gives most services to none of these, the
    other facts stay. Where the content says that the responder is the client (`flipped`), client and
    server have changed places in everything else said, offsets included.
    """
    return _stream(orig, resp, resp_p, partial)


def udp(orig: list[bytes], resp: list[bytes], orig_p: int, resp_p: int) -> Facts:
    """Facts of a UDP connection from the payloads of the first datagrams of each direction.

    `flipped` says that the originator's first DNS or NTP message is an answer; whether that turns the
    ends around is the caller's to decide (it doesn't for multicast). Nothing else said depends on it.
    """
    return _datagrams(orig, resp, resp_p)
