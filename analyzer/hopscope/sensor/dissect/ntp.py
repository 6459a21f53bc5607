"""NTP (RFC 5905)."""

from __future__ import annotations

PORT = 123
SERVER = 4  # the mode of an answer
LEAST = {1: 48, 2: 48, 3: 48, 4: 48, 5: 48, 6: 12, 7: 8}  # bytes of a message, by mode


def ntp(data: bytes) -> bool:
    """A message of one of NTP's modes, whole."""
    if not data:
        return False
    mode = data[0] & 7
    if mode not in LEAST:
        return True  # mode 0: nothing follows that could be wrong
    return len(data) >= LEAST[mode]
