"""XMPP (RFC 6120) with STARTTLS."""

from __future__ import annotations

import re

from hopscope.sensor.dissect.step import Step

PORTS = frozenset((5222, 5269))

_STREAM = re.compile(rb"(?:<\?xml[^?>]*\?>)?\s*<stream:stream [^>]*xmlns=['\"]jabber:")
_ANY_STREAM = re.compile(rb"(?:<\?xml[^?>]*\?>)?\s*<stream:stream[ >]")


def xmpp(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """XMPP once the client opened its stream."""
    if not (_ANY_STREAM if resp_p in PORTS else _STREAM).match(client):
        return None
    if b"starttls" not in client:
        return Step(("xmpp",))
    left, right = client.find(b">\x16\x03"), server.find(b">\x16\x03")
    if left < 0:
        return Step(("xmpp",))
    return Step(("xmpp",), (left + 1, right + 1 if right >= 0 else len(server)))
