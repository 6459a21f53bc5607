"""FTP's control connection (RFC 959) with AUTH TLS (RFC 4217)."""

from __future__ import annotations

import re

from hopscope.sensor.dissect.step import Step, after_starttls, lines

PORTS = frozenset((21, 2811))

_USER = re.compile(rb"(?:^|[\n\r]) *USER ", re.IGNORECASE)
_GREETING = re.compile(rb"[\n\r ]*(?:120|220)[^0-9].*[\n\r] *(?:230|331)[^0-9]", re.DOTALL)
_REPLY = re.compile(rb"[1-9]\d\d(?:[ -]|$)")
_COMMAND = re.compile(rb"\s*[!-~]{3,100}(?:\s|$)")


def ftp(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """FTP once the client sent what looks like a command, as long as the server's replies are FTP's."""
    if resp_p not in PORTS and not (_GREETING.match(server[:1024]) and _USER.search(client[:1024])):
        return None
    inner = after_starttls(client, server)
    left, right = inner or (len(client), len(server))
    if not _replies(server[:right]) or not any(_COMMAND.match(line) for line in lines(client[:left])):
        return None
    return Step(("ftp",), inner)


def _replies(server: bytes) -> bool:
    """Every reply is a code from 100 followed by a space, a hyphen or nothing (continuations apart)."""
    pending = b""
    for line in lines(server):
        if pending:
            if line[:3] == pending and line[3:4] == b" ":
                pending = b""
        elif line and (
            not line[:3].isdigit() or len(line) < 3 or line[0] == 0x30 or line[3:4] not in (b"", b" ", b"-")
        ):
            return False
        elif line[3:4] == b"-":
            pending = line[:3]
    return True
