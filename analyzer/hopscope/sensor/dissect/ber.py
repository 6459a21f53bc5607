"""The little of BER (X.690) that telling protocols apart needs."""

from __future__ import annotations


def length_at(data: bytes, pos: int) -> tuple[int, int] | None:
    """The definite length at `pos` and the offset past it; None when it isn't there or takes over four bytes."""
    if pos >= len(data):
        return None
    first = data[pos]
    if first < 0x80:
        return first, pos + 1
    count = first & 0x7F
    if not 1 <= count <= 4 or pos + 1 + count > len(data):
        return None
    return int.from_bytes(data[pos + 1 : pos + 1 + count], "big"), pos + 1 + count


def element(data: bytes, pos: int, tag: int) -> tuple[int, int] | None:
    """Start and end of the content of the element at `pos`, when it has the tag and lies in the data."""
    if pos >= len(data) or data[pos] != tag:
        return None
    size = length_at(data, pos + 1)
    if size is None or size[1] + size[0] > len(data):
        return None
    return size[1], size[1] + size[0]
