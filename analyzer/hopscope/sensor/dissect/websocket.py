"""WebSocket frames (RFC 6455) after the upgrade."""

from __future__ import annotations

from hopscope.sensor.dissect.step import Step

MAX_FRAMES = 256
OPCODES = frozenset((0, 1, 2, 8, 9, 10))
DATA = frozenset((0, 1, 2))


def websocket(client: bytes, server: bytes) -> Step | None:
    """WebSocket once either side sent a frame; the next layer is what the data frames carry."""
    left, right = _payload(client), _payload(server)
    if left is None and right is None:
        return None
    return Step(("websocket",), (0, 0), (left or b"", right or b""))


def _payload(stream: bytes) -> bytes | None:
    """The data frames' payload, unmasked and joined; None when the first frame isn't one."""
    out = bytearray()
    pos = 0
    for count in range(MAX_FRAMES):
        if pos + 2 > len(stream):
            return None if count == 0 else bytes(out)
        first, second = stream[pos], stream[pos + 1]
        if first & 0x0F not in OPCODES or (count == 0 and first & 0x0F == 0):
            return None if count == 0 else bytes(out)
        length = second & 0x7F
        pos += 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(stream[pos : pos + size], "big")
            pos += size
        key = b""
        if second & 0x80:
            key = stream[pos : pos + 4]
            pos += 4
        data = stream[pos : pos + length]
        if first & 0x0F in DATA:
            out += _unmask(data, key) if len(key) == 4 else data
        pos += length
    return bytes(out)


def _unmask(data: bytes, key: bytes) -> bytes:
    size = len(data)
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")
