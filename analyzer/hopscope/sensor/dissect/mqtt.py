"""MQTT (OASIS 3.1, 3.1.1, 5): the CONNECT packet."""

from __future__ import annotations

from hopscope.sensor.dissect.step import Step

NAMES = (b"\0\4MQTT", b"\0\6MQIsdp")


def mqtt(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """MQTT: a whole CONNECT packet with the protocol's name."""
    if client[:1] != b"\x10":
        return None
    length = shift = 0
    pos = 1
    while True:
        if pos >= len(client) or pos > 4:
            return None
        length |= (client[pos] & 0x7F) << shift
        shift += 7
        pos += 1
        if not client[pos - 1] & 0x80:
            break
    if not client.startswith(NAMES, pos) or len(client) < pos + length:
        return None
    return Step(("mqtt",))
