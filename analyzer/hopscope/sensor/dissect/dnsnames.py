"""Names in DNS messages: compression, NetBIOS encoding."""

from __future__ import annotations

from functools import lru_cache

NETBIOS_PORT = 137
MAX_NAME = 512  # bytes, as Zeek's buffer
MAX_JUMPS = 20  # compression pointers followed in one name


def read_name(data: bytes, pos: int, netbios: bool = False) -> tuple[bytes, int]:
    """The name at `pos`, labels joined by dots without a final one, and the offset just past it.

    A name cut off by the message's end or a wrong label ends there. A pointer must lead backwards,
    before the name it stands in, and at most 20 are followed: no loop is possible.
    """
    size = len(data)
    labels: list[bytes] = []
    total = jumps = 0
    end = -1
    while pos < size:
        length = data[pos]
        pos += 1
        if length == 0:
            break
        if length >= 0xC0:
            if pos >= size:
                break
            target = (length & 0x3F) << 8 | data[pos]
            if end < 0:
                end = pos + 1
            jumps += 1
            if target >= pos - 1 or jumps > MAX_JUMPS:
                break
            size, pos = pos - 1, target
            continue
        if pos + length > size:
            pos = size
            break
        if length > 63 and not netbios:
            break
        total += length + 1
        if total > MAX_NAME:
            break
        labels.append(data[pos : pos + length])
        pos += length
    return b".".join(labels), pos if end < 0 else end


@lru_cache(maxsize=4096)
def decode_netbios(name: bytes) -> bytes:
    """A NetBIOS name out of its first-level encoding (RFC 1001, 14.1), without padding and type byte;
    the name itself when it isn't so encoded. The name ends where a byte is neither printable nor 0, 1, 2."""
    if len(name) != 32:
        return name
    halves = [byte - 0x41 for byte in name.upper()]
    if min(halves) < 0 or max(halves) > 15:
        return name
    plain = bytes(high << 4 | low for high, low in zip(halves[::2], halves[1::2], strict=True))[:15]
    stop = next((i for i, byte in enumerate(plain) if not (0x20 <= byte < 0x7F or byte < 3)), 15)
    return plain[:stop].rstrip(b" \0") or name
