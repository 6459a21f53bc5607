"""Kerberos 5 (RFC 4120) over TCP and UDP: the frame of its messages."""

from __future__ import annotations

from hopscope.sensor.dissect.ber import length_at
from hopscope.sensor.dissect.step import Step

# Application tags of AS-REQ to AP-REP, SAFE, PRIV, CRED, ERROR
TAGS = frozenset((*range(0x6A, 0x70), 0x74, 0x75, 0x76, 0x7E))


def message(data: bytes, pos: int = 0) -> bool:
    """A Kerberos message: an application tag, a sequence in it, and the protocol's version 5 first."""
    if len(data) < pos + 10 or data[pos] not in TAGS:
        return False
    outer = length_at(data, pos + 1)
    if outer is None or len(data) <= outer[1] or data[outer[1]] != 0x30:
        return False
    inner = length_at(data, outer[1] + 1)
    if inner is None:
        return False
    at = inner[1]  # [0] or [1] INTEGER 5
    return data[at : at + 1] in (b"\xa0", b"\xa1") and data[at + 1 : at + 5] == b"\3\2\1\5"


def krb_tcp(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """Kerberos over TCP: a message after its length, from either side."""
    for stream in (client, server):
        if len(stream) >= 14 and message(stream, 4):
            size = int.from_bytes(stream[:4], "big")
            if size <= 0xFFFFFF and len(stream) >= min(4 + size, 4096):
                return Step(("krb_tcp",))
    return None
