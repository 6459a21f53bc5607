"""SIP over UDP (RFC 3261)."""

from __future__ import annotations

import re

PORT = 5060
MAX_LINE = 1024  # bytes of a request line

_VERSION = re.compile(rb"SIP/\d\.\d")
_STATUS = re.compile(rb" ?SIP/\d\.\d[ \t]+\d{3}[ \t]")


def is_request(data: bytes) -> bool:
    """A request line of SIP: method, target, version."""
    parts = data[:MAX_LINE].partition(b"\r\n")[0].split()
    return len(parts) >= 3 and _VERSION.fullmatch(parts[-1]) is not None


def is_status(data: bytes) -> bool:
    """A status line of SIP."""
    return _STATUS.match(data) is not None


def sip(orig: list[bytes], resp: list[bytes], resp_p: int) -> bool:
    """SIP once the responder answered with a status line."""
    if resp_p != PORT and not any(is_request(data) for data in orig) and not any(is_status(data) for data in orig):
        return False
    return any(is_status(data) for data in resp)
