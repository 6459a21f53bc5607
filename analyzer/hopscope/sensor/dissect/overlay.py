"""Tunnels over UDP by their headers: Teredo, VXLAN, Geneve, GTPv1, AYIYA."""

from __future__ import annotations

AYIYA_PORT, VXLAN_PORT, GENEVE_PORT = 5072, 4789, 6081
GTP_PORTS = frozenset((2123, 2152))

IPV6_HEADER = 40
_ETHERNET = b"\x65\x58"
_IP = (b"\x08\x00", b"\x86\xdd")


def overlay(orig: list[bytes], resp: list[bytes], resp_p: int) -> str | None:
    """The tunnel that the datagrams are of, as Zeek names it; None when they are of none."""
    every = (*orig, *resp)
    if resp_p == VXLAN_PORT and any(len(data) >= 8 and data[0] & 0x08 for data in every):
        return "vxlan"
    if resp_p == GENEVE_PORT and any(map(_geneve, every)):
        return "geneve"
    if resp_p == AYIYA_PORT and any(len(data) >= 8 and data[0] & 0x0F <= 3 for data in every):
        return "ayiya"
    if resp_p in GTP_PORTS and any(map(_gtp, every)):
        return "gtpv1"
    if any(map(teredo, orig)) and any(map(teredo, resp)):
        return "teredo"
    return None


def teredo(data: bytes) -> bool:
    """A whole IPv6 packet behind Teredo's authentication and origin headers (RFC 4380), if any."""
    pos = 0
    if data[:2] == b"\0\1" and len(data) >= 4:
        pos = 4 + data[2] + data[3] + 9
    if data[pos : pos + 2] == b"\0\0":
        pos += 8
    if len(data) < pos + IPV6_HEADER or data[pos] >> 4 != 6:
        return False
    return len(data) == pos + IPV6_HEADER + int.from_bytes(data[pos + 4 : pos + 6], "big")


def _geneve(data: bytes) -> bool:
    return len(data) >= 8 and data[0] >> 6 == 0 and (data[2:4] == _ETHERNET or data[2:4] in _IP)


def _gtp(data: bytes) -> bool:
    # version 1, protocol type GTP, a user packet
    return len(data) >= 8 and data[0] >> 4 == 3 and data[1] == 0xFF
