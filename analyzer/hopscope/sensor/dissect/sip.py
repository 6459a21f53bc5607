"""SIP over UDP (RFC 3261)."""

from __future__ import annotations

import re

PORT = 5060

_REQUEST = re.compile(rb"[^\r\n]*[A-Za-z0-9_.!%*+`'~-]+[ \t]+\S+[ \t]+SIP/\d\.\d\r\n")
_STATUS = re.compile(rb" ?SIP/\d\.\d[ \t]+\d{3}[ \t]")


def is_request(data: bytes) -> bool:
    """A request line of SIP."""
    return _REQUEST.match(data[:1024]) is not None


def is_status(data: bytes) -> bool:
    """A status line of SIP."""
    return _STATUS.match(data) is not None


def sip(orig: list[bytes], resp: list[bytes], resp_p: int) -> bool:
    """SIP once the responder answered with a status line."""
    if resp_p != PORT and not any(is_request(data) for data in orig) and not any(is_status(data) for data in orig):
        return False
    return any(is_status(data) for data in resp)
