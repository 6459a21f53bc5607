"""FTP's control connection (RFC 959) with AUTH TLS (RFC 4217)."""

from __future__ import annotations

import re
from base64 import b64decode

from hopscope.sensor.dissect.step import Step, after_starttls, lines

PORTS = frozenset((21, 2811))

_USER = re.compile(rb"(?:^|[\n\r]) *+USER ", re.IGNORECASE)
_GREETING = re.compile(rb"[\n\r ]*(?:120|220)[^0-9].*[\n\r] *(?:230|331)[^0-9]", re.DOTALL)
_ADAT = re.compile(rb"(?:\d{3}[ -])?ADAT[ =]([A-Za-z0-9+/=]+)$")
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
    if inner is None and (tokens := _adat(client)):
        return Step(("ftp",), (0, 0), (tokens, _adat(server)))
    return Step(("ftp",), inner)


def _adat(stream: bytes) -> bytes:
    """The security data of AUTH GSSAPI (RFC 2228), joined: GridFTP carries a TLS handshake in it."""
    out = b""
    for line in lines(stream):
        match = _ADAT.match(line)
        if match is not None:
            try:
                out += b64decode(match.group(1))
            except ValueError:
                break
    return out


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
