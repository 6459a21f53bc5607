"""SMTP (RFC 5321) with STARTTLS (RFC 3207)."""

from __future__ import annotations

import re

from hopscope.sensor.dissect.step import Step, after_starttls, lines

PORTS = frozenset((25, 587))
COMMANDS = frozenset(
    b"EHLO HELO MAIL RCPT DATA QUIT RSET VRFY EXPN HELP NOOP STARTTLS X-ANONYMOUSTLS SEND SOML SAML TURN BDAT ETRN"
    b" AUTH".split()
)

_GREETING = re.compile(rb"\s*220[\s-]")
_HELLO = re.compile(rb"(?:^|[\r\n])\s*+(?:HELO|EHLO)", re.IGNORECASE)
_REPLY = re.compile(rb"[1-5]\d\d")


def smtp(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """SMTP once the client sent a command, as long as the server answers with reply codes."""
    if resp_p not in PORTS and not (_GREETING.match(server) and _HELLO.search(client[:1024])):
        return None
    inner = after_starttls(client, server)
    left, right = inner or (len(client), len(server))
    if not all(_REPLY.match(line) for line in lines(server[:right])):
        return None
    if not any(line.split(maxsplit=1)[:1] and line.split(maxsplit=1)[0].upper() in COMMANDS
               for line in lines(client[:left])):  # fmt: skip
        return None
    return Step(("smtp",), inner)
