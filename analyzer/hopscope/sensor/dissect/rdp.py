"""RDP (MS-RDPBCGR): X.224 connection, and the first MCS data where it goes in clear."""

from __future__ import annotations

from hopscope.sensor.dissect.step import Step

REQUEST, CONFIRM = 0xE0, 0xD0
NEGOTIATED = 2  # type of the server's answer to the negotiation


def rdp(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """An RDP connection's start.

    Zeek confirms RDP by the settings the two exchange in clear; where they agree on TLS instead, it goes
    on to that and says no more of RDP.
    """
    left = _tpkt(client, REQUEST)
    right = _tpkt(server, CONFIRM)
    if left is None:
        return None
    if right is not None and len(server) >= right and right >= 19 and server[11] == NEGOTIATED:
        selected = int.from_bytes(server[15:19], "little")
        if selected:
            return Step((), (left, right))
    if b"Duca" in client[left : left + 1024] or b"McDn" in server[right or 0 : 1024]:
        return Step(("rdp",))
    return Step()


def _tpkt(stream: bytes, kind: int) -> int | None:
    """The length of the first TPKT packet, when it is an X.224 TPDU of the kind."""
    if len(stream) < 11 or stream[0] != 3 or stream[1] != 0 or stream[5] & 0xF0 != kind:
        return None
    length = int.from_bytes(stream[2:4], "big")
    return length if 11 <= length <= 512 else None
