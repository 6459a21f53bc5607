"""RFB, the protocol of VNC (RFC 6143): the two version lines."""

from __future__ import annotations

import re

from hopscope.sensor.dissect.step import Step

_VERSION = re.compile(rb"RFB \d{3}\.\d{3}")


def rfb(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """RFB once both version lines were said (they are 12 bytes)."""
    if len(client) < 12 or not _VERSION.match(client) or not _VERSION.match(server):
        return None
    return Step(("rfb",))
