"""Modbus/TCP and DNP3 by their frames."""

from __future__ import annotations

from hopscope.sensor.dissect.step import Step

MODBUS_PORT = 502
_DNP3_POLYNOMIAL = 0xA6BC  # reflected 0x3D65


def modbus(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """Modbus/TCP on its port: a whole frame of either side (protocol identifier 0)."""
    if resp_p != MODBUS_PORT or not any(_modbus(stream) for stream in (client, server)):
        return None
    return Step(("modbus",))


def dnp3_tcp(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """DNP3 over TCP: a link header with its checksum, of either side."""
    return Step(("dnp3_tcp",)) if dnp3(client) or dnp3(server) else None


def dnp3(data: bytes) -> bool:
    """A DNP3 link header whose checksum is right starts here."""
    if len(data) < 10 or data[:2] != b"\x05\x64":
        return False
    crc = 0
    for byte in data[:8]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ _DNP3_POLYNOMIAL if crc & 1 else crc >> 1
    return crc ^ 0xFFFF == int.from_bytes(data[8:10], "little")


def _modbus(stream: bytes) -> bool:
    if len(stream) < 8 or stream[2:4] != b"\0\0":
        return False
    length = int.from_bytes(stream[4:6], "big")
    return 2 <= length <= 260 and len(stream) >= 6 + length and 1 <= stream[7] & 0x7F <= 0x2B
