"""RADIUS (RFC 2865)."""

from __future__ import annotations

PORT = 1812


def radius(data: bytes) -> bool:
    """A RADIUS packet whose attributes fill it."""
    if len(data) < 20 or int.from_bytes(data[2:4], "big") != len(data):
        return False
    pos = 20
    while pos + 2 <= len(data):
        if data[pos + 1] < 2:
            return False
        pos += data[pos + 1]
    return pos == len(data)
