"""DHCP for IPv4 (RFC 2131)."""

from __future__ import annotations

COOKIE_AT = 236
COOKIE = b"\x63\x82\x53\x63"
MESSAGE_TYPE, END, PAD = 53, 255, 0


def dhcp(data: bytes) -> bool:
    """A DHCP message: the cookie, and options that hold together and name the message's type."""
    if len(data) < COOKIE_AT + 4 or data[COOKIE_AT : COOKIE_AT + 4] != COOKIE or data[0] not in (1, 2):
        return False
    pos = COOKIE_AT + 4
    typed = False
    while pos < len(data):
        code = data[pos]
        if code == END:
            return typed
        if code == PAD:
            pos += 1
            continue
        if pos + 1 >= len(data):
            return False
        typed = typed or code == MESSAGE_TYPE
        pos += 2 + data[pos + 1]
    return False
