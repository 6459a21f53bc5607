"""What stands inside a tunnel's payload: GRE and the tunnels over UDP.

Ports and checks are Zeek's. Each function says what the inner bytes are (`RAW_IP` or `FRAME`, an Ethernet
frame) and where they start; NOTHING when they are no tunnel.
"""

from __future__ import annotations

import numpy as np

from hopscope.sensor.compiled import helper
from hopscope.sensor.wire import u16

NOTHING, RAW_IP, FRAME, WLAN_FRAME = 0, 1, 2, 3

_TEREDO_PORT, _VXLAN_PORT, _GENEVE_PORT, _AYIYA_PORT = 3544, 4789, 6081, 5072
_GTP_PORT, _GTP_CONTROL_PORT, _GRE_PORT = 2152, 2123, 4754


@helper
def is_ip(d, p, end, version):  # type: ignore[no-untyped-def]
    """d[p:end] is one IP packet of that version (0: either) by its length, neither more nor less."""
    if end - p < 20 or (version != 0 and d[p] >> 4 != version):
        return False
    if d[p] >> 4 == 4:
        return u16(d, p + 2) == end - p
    return d[p] >> 4 == 6 and end - p >= 40 and u16(d, p + 4) + 40 == end - p


@helper
def gre(d, p, end):  # type: ignore[no-untyped-def]
    """RFC 2784, 2890 (version 0), 2637 (version 1, PPTP), ERSPAN I to III; returns (kind, start)."""
    if end - p < 4:
        return NOTHING, p
    flags, protocol = u16(d, p), u16(d, p + 2)
    version = flags & 7
    if version > 1 or flags & 0x4000 or flags & 0x0078:  # source routing and reserved bits: as Zeek, not followed
        return NOTHING, p
    start = p + 4
    if flags & 0x8000:
        start += 4
    if flags & 0x2000:
        start += 4
    if flags & 0x1000:
        start += 4
    if flags & 0x0080:
        start += 4
    if version == 1:
        if protocol != 0x880B or end - start < 4:
            return NOTHING, p
        version = 4 if u16(d, start + 2) == 0x0021 else 6
        known = version == 4 or u16(d, start + 2) == 0x0057
        return (RAW_IP, start + 4) if known and is_ip(d, start + 4, end, version) else (NOTHING, p)
    if protocol == 0x6558:  # transparent Ethernet bridging
        return FRAME, start
    if protocol == 0x88BE:  # ERSPAN type I, or II when there is a sequence number
        return FRAME, start + (8 if flags & 0x1000 else 0)
    if protocol == 0x22EB:  # ERSPAN type III
        if end - start < 12:
            return NOTHING, p
        return FRAME, start + (20 if d[start + 11] & 1 else 12)
    if (protocol & 0x8200 == 0x8200 and protocol & 0x0F == 0) or protocol == 0x9000:  # Aruba access points
        return WLAN_FRAME, start
    return RAW_IP, start


@helper
def over_udp(d, p, end, sport, dport):  # type: ignore[no-untyped-def]
    """A UDP payload that is a tunnel, by its port and by its content; returns (kind, start)."""
    if end - p < 8:
        return NOTHING, p
    if _VXLAN_PORT in (sport, dport):
        return (FRAME, p + 8) if d[p] & 0x08 else (NOTHING, p)
    if _GENEVE_PORT in (sport, dport):
        return _geneve(d, p)
    if dport in (_GTP_PORT, _GTP_CONTROL_PORT) or sport in (_GTP_PORT, _GTP_CONTROL_PORT):
        return _gtp(d, p, end)
    if _GRE_PORT in (sport, dport):
        return gre(d, p, end)
    if _TEREDO_PORT in (sport, dport) or d[p] >> 4 == 6 or (d[p] == 0 and d[p + 1] <= 1):
        return _teredo(d, p, end, _TEREDO_PORT in (sport, dport))
    if _AYIYA_PORT in (sport, dport) or (d[p + 1] == 0x52 and d[p + 2] == 0x11):
        return _ayiya(d, p)
    return NOTHING, p


@helper
def _geneve(d, p):  # type: ignore[no-untyped-def]
    """RFC 8926."""
    if d[p] >> 6 != 0:
        return NOTHING, p
    start = p + 8 + np.int64(d[p] & 0x3F) * 4
    inner = u16(d, p + 2)
    if inner == 0x6558:
        return FRAME, start
    if inner == 0x0800 or inner == 0x86DD:
        return RAW_IP, start
    return NOTHING, p


@helper
def _gtp(d, p, end):  # type: ignore[no-untyped-def]
    """GTP version 1 user data (3GPP TS 29.281): message type 255."""
    flags = d[p]
    if flags >> 5 != 1 or flags & 0x10 == 0 or d[p + 1] != 255:
        return NOTHING, p
    start = p + 8
    if flags & 0x07:
        start += 4
        if flags & 0x04 and start <= end:
            following = d[start - 1]
            while following != 0:
                if end - start < 4 or d[start] == 0:
                    return NOTHING, p
                start += np.int64(d[start]) * 4
                if start > end:
                    return NOTHING, p
                following = d[start - 1]
    return (RAW_IP, start) if is_ip(d, start, end, 0) else (NOTHING, p)


@helper
def _teredo(d, p, end, by_port):  # type: ignore[no-untyped-def]
    """RFC 4380: optional authentication, optional origin indication, then IPv6.

    On other ports than Teredo's, an IPv6 packet counts when one of its addresses is in 2001::/32.
    """
    start = p
    if u16(d, start) == 1:
        if end - start < 13:
            return NOTHING, p
        start += 13 + np.int64(d[start + 2]) + np.int64(d[start + 3])
        if end - start < 8:
            return NOTHING, p
    if u16(d, start) == 0:
        start += 8
    if end - start < 40 or d[start] >> 4 != 6:
        return NOTHING, p
    if not by_port and start == p:
        source = u16(d, p + 8) == 0x2001 and u16(d, p + 10) == 0
        if not source and not (u16(d, p + 24) == 0x2001 and u16(d, p + 26) == 0):
            return NOTHING, p
    size = u16(d, start + 4) + 40
    bubble = size == 40 and d[start + 6] == 59  # what follows a bubble's header is not looked at
    return (RAW_IP, start) if size == end - start or bubble else (NOTHING, p)


@helper
def _ayiya(d, p):  # type: ignore[no-untyped-def]
    """Anything in anything (draft-massar-v6ops-ayiya): the "forward" operation."""
    if d[p + 2] & 0x0F != 1 or (d[p + 3] != 41 and d[p + 3] != 4):
        return NOTHING, p
    return RAW_IP, p + 8 + (1 << np.int64(d[p] >> 4)) + np.int64(d[p + 1] >> 4) * 4
