"""POP3 (RFC 1939) with STLS (RFC 2595)."""

from __future__ import annotations

import re

from hopscope.sensor.dissect.step import Step, after_starttls, lines

_COMMAND = re.compile(rb"(?:^|[\r\n])\s*+(?:USER\s|APOP\s|CAPA|AUTH|STLS)", re.IGNORECASE)
_CONFIRMING = (b"USER", b"CAPA", b"STLS")


def pop3(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """POP3 once the server granted USER, CAPA or STLS, as long as it speaks in +OK and -ERR."""
    if server[:3] != b"+OK" or not _COMMAND.search(client[:1024]):
        return None
    inner = after_starttls(client, server)
    left, right = inner or (len(client), len(server))
    commands = [line.split() for line in lines(client[:left]) if line.strip()]
    confirmed = False
    answered = -1  # the greeting answers no command
    multiline = False
    for line in lines(server[:right]):
        if multiline:
            multiline = line != b"."
            continue
        if line[:3] != b"+OK" and line[:4] != b"-ERR" and line[:1] != b"+":
            return None
        if 0 <= answered < len(commands):
            word = commands[answered][0].upper()
            granted = line[:3] == b"+OK"
            confirmed = confirmed or (granted and word in _CONFIRMING)
            multiline = granted and (word in (b"CAPA", b"RETR", b"TOP") or commands[answered] in ([b"LIST"], [b"UIDL"]))
        answered += 1
    return Step(("pop3",), inner) if confirmed else None
