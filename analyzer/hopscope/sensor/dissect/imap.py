"""IMAP (RFC 9051) with STARTTLS."""

from __future__ import annotations

import re

from hopscope.sensor.dissect.step import Step, after_starttls

PORT = 143

_GREETING = re.compile(rb"\* (?:OK|PREAUTH)[ \r\n]", re.IGNORECASE)
_COMMAND = re.compile(rb"[!-~]+ +(?:CAPABILITY|LOGIN|AUTHENTICATE|STARTTLS|ID|NOOP|ENABLE)(?=[ \r\n])", re.IGNORECASE)


def imap(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """IMAP: the server's greeting, on its port alone, elsewhere with a tagged command of the client's."""
    if not _GREETING.match(server) or (resp_p != PORT and not _COMMAND.match(client)):
        return None
    return Step(("imap",), after_starttls(client, server))
