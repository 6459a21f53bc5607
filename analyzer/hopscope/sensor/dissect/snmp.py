"""SNMP versions 1, 2c and 3 (RFC 1157, 3416, 3412)."""

from __future__ import annotations

from hopscope.sensor.dissect.ber import element, length_at

SEQUENCE, INTEGER, OCTETS = 0x30, 0x02, 0x04


def snmp(data: bytes) -> bool:
    """An SNMP message's header: a version, then a community (1, 2c) or the global data (3)."""
    if not data or data[0] != SEQUENCE:
        return False
    outer = length_at(data, 1)
    if outer is None:
        return False
    version = element(data, outer[1], INTEGER)
    if version is None or version[1] - version[0] != 1:
        return False
    number = data[version[0]]
    if number in (0, 1):
        return element(data, version[1], OCTETS) is not None
    return number == 3 and element(data, version[1], SEQUENCE) is not None
