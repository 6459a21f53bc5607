"""What a layer's dissector tells the chain, and helpers for protocols of lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MAX_LINES = 200  # read of one direction


class Step(NamedTuple):
    """A layer was recognised.

    `services` are what it confirmed, as Zeek names them, in order. `at` is where the next layer starts
    (originator, responder), None when nothing is inside; `streams` are the next layer's bytes where they
    aren't part of these (frames unwrapped), with `at` counted in them. `proxy` marks a proxy's handshake.
    """

    services: tuple[str, ...] = ()
    at: tuple[int, int] | None = None
    streams: tuple[bytes, bytes] | None = None
    proxy: bool = False


def lines(stream: bytes, pos: int = 0, limit: int = MAX_LINES) -> Iterator[bytes]:
    """The first complete lines from `pos`, without their ends."""
    for _ in range(limit):
        end = stream.find(b"\n", pos)
        if end < 0:
            return
        yield stream[pos:end].rstrip(b"\r")
        pos = end + 1


def tls_start(stream: bytes) -> int:
    """Where TLS takes over from lines: the first handshake record after a line's end, else the end."""
    pos = 0
    for _ in range(MAX_LINES):
        pos = stream.find(b"\n\x16\x03", pos)
        if pos < 0:
            break
        if stream[pos + 6 : pos + 7] in (b"\1", b"\2"):
            return pos + 1
        pos += 1
    return len(stream)


def after_starttls(client: bytes, server: bytes) -> tuple[int, int] | None:
    """Where both sides go over to TLS after a line of the client's; None when it doesn't."""
    start = tls_start(client)
    return (start, tls_start(server)) if start < len(client) else None
