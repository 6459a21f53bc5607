"""From the first byte of a frame to its IP header: link headers, tags and labels.

Follows Zeek's packet analyzers (which frames lead to IP, and that the payload of an MPLS stack is taken
for IP). A frame that leads elsewhere (ARP, spanning tree, control frames) gives no position.
"""

from __future__ import annotations

import numpy as np

from hopscope.sensor import links
from hopscope.sensor.compiled import helper
from hopscope.sensor.wire import u16

_ETHERNET, _PPP, _PPP_SERIAL, _PPP_ETHER = links.ETHERNET, links.PPP, links.PPP_SERIAL, links.PPP_ETHER
_NULL, _LOOP, _HDLC, _NFLOG, _FDDI = links.NULL, links.LOOP, links.CISCO_HDLC, links.NFLOG, links.FDDI
_SLL, _SLL2, _WLAN, _RADIO = links.LINUX_SLL, links.LINUX_SLL2, links.IEEE802_11, links.IEEE802_11_RADIO
_RAW, _RAW_BSD, _RAW_OPENBSD, _IPV4, _IPV6 = links.RAW, links.RAW_BSD, links.RAW_OPENBSD, links.IPV4, links.IPV6

_MAX_TAGS = 16  # tags and labels one behind another; more is no network's doing

# what the bytes at hand are, when an EtherType doesn't say
_T_SNAP, _T_ETHERNET, _T_PPP, _T_NONE = -1, -2, -3, -4


@helper
def to_ip(d, p, end, link):  # type: ignore[no-untyped-def]
    """Where the IP header of the frame d[p:end] stands, as (start, end); start is -1 when there is none.

    `end` comes back smaller when a layer on the way says so (PPPoE's length).
    """
    if link == _RADIO:
        if end - p < 4:
            return -1, end
        p += np.int64(d[p + 2]) | np.int64(d[p + 3]) << 8
        link = _WLAN
    if link == _ETHERNET:
        kind = _T_ETHERNET
    elif link in (_RAW, _RAW_BSD, _RAW_OPENBSD, _IPV4, _IPV6):
        return p, end
    elif link == _SLL:
        if end - p < 16:
            return -1, end
        kind = u16(d, p + 14)
        p += 16
    elif link == _SLL2:
        if end - p < 20:
            return -1, end
        kind = u16(d, p)
        p += 20
    elif link in (_NULL, _LOOP):
        return _null(d, p, end), end
    elif link in (_PPP, _PPP_SERIAL):
        kind = _T_PPP
    elif link == _PPP_ETHER:
        kind = 0x8864
    elif link == _FDDI:
        return p + 21, end  # 13 bytes and LLC with SNAP; as Zeek, IP without a look at them
    elif link == _HDLC:
        if end - p < 4:
            return -1, end
        kind = u16(d, p + 2)
        p += 4
    elif link == _WLAN:
        p = _wlan(d, p, end)
        if p < 0:
            return -1, end
        kind = _T_SNAP
    elif link == _NFLOG:
        return _nflog(d, p, end), end
    else:
        return -1, end
    return _by_type(d, p, end, kind)


@helper
def _by_type(d, p, end, kind):  # type: ignore[no-untyped-def]
    """Peel tags and labels off until IP; `kind` is an EtherType or one of _T_."""
    for _ in range(_MAX_TAGS):
        if kind == 0x0800 or kind == 0x86DD:
            return p, end
        if kind == _T_ETHERNET:
            if end - p < 14:
                return -1, end
            kind = u16(d, p + 12)
            if kind == 0x8903:  # Cisco FabricPath: 16 bytes, then the Ethernet frame
                p += 16
                if end - p < 14:
                    return -1, end
                kind = u16(d, p + 12)
            p += 14
            if kind <= 1500:
                kind = _T_SNAP
        elif kind == 0x8100 or kind == 0x88A8 or kind == 0x9100:  # 802.1Q and its outer tags
            if end - p < 4:
                return -1, end
            kind = u16(d, p + 2)
            p += 4
            if kind <= 1500:
                kind = _T_SNAP
        elif kind == 0x8847 or kind == 0x8848:  # MPLS
            while True:
                if end - p < 4:
                    return -1, end
                bottom = d[p + 2] & 1
                p += 4
                if bottom:
                    return p, end
        elif kind == 0x8864:  # PPPoE session
            if end - p < 8:
                return -1, end
            end = min(end, p + 6 + max(u16(d, p + 4), 2))
            kind = _ppp(u16(d, p + 6))
            p += 8
        elif kind == _T_PPP:
            if end - p < 4:
                return -1, end
            if (d[p] == 0xFF and d[p + 1] == 0x03) or d[p] == 0x0F:  # HDLC-like framing; 0x0F is Cisco's address
                p += 2
            kind = _ppp(u16(d, p))
            p += 2
        elif kind == 0x8926:  # VN-Tag
            if end - p < 6:
                return -1, end
            kind = u16(d, p + 4)
            p += 6
        elif kind == 0x88E7:  # provider backbone bridging: I-TAG, then a customer's Ethernet frame
            p += 4
            kind = _T_ETHERNET
        elif kind == _T_SNAP:
            if end - p < 3 or u16(d, p) != 0xAAAA:
                return -1, end
            p += 3 if d[p + 2] & 3 == 3 else 4  # unnumbered frames have a control field of one byte
            if end - p < 5 or d[p] != 0 or u16(d, p + 1) != 0:
                return -1, end
            kind = u16(d, p + 3)
            p += 5
        else:
            return -1, end
    return -1, end


@helper
def _ppp(protocol):  # type: ignore[no-untyped-def]
    """The EtherType that a PPP protocol number stands for."""
    if protocol == 0x0021:
        return 0x0800
    if protocol == 0x0057:
        return 0x86DD
    if protocol == 0x0281:
        return 0x8847
    return _T_NONE


@helper
def _null(d, p, end):  # type: ignore[no-untyped-def]
    """BSD loopback: the address family in the capturing machine's byte order (LOOP: network order)."""
    if end - p < 4:
        return -1
    family = np.int64(d[p]) | np.int64(d[p + 1]) << 8 | np.int64(d[p + 2]) << 16 | np.int64(d[p + 3]) << 24
    if family > 0xFFFF:
        family = np.int64(d[p + 3]) | np.int64(d[p + 2]) << 8
    # AF_INET6 is 10 on Linux, 24, 28 or 30 on the BSDs and macOS
    if family == 2 or family == 10 or family == 24 or family == 28 or family == 30:
        return p + 4
    return -1


@helper
def _wlan(d, p, end):  # type: ignore[no-untyped-def]
    """The LLC header of an unencrypted 802.11 data frame, -1 when it has none."""
    if end - p < 26:
        return -1
    control, flags = np.int64(d[p]), np.int64(d[p + 1])
    if control >> 2 & 3 != 2 or control >> 4 & 4 or flags & 0x40:  # no data frame, no data, encrypted
        return -1
    size = 30 if flags & 3 == 3 else 24
    if control >> 4 & 8:  # QoS
        if end - p < size + 2:
            return -1
        if d[p + size] & 0x80:  # A-MSDU: the first of several frames
            size += 14
        size += 2
    return p + size if p + size < end else -1


@helper
def _nflog(d, p, end):  # type: ignore[no-untyped-def]
    """Linux NFLOG: a list of type-length-value, number 9 is the IP packet (little-endian hosts)."""
    if end - p < 4 or d[p + 1] != 0:
        return -1
    p += 4
    while end - p >= 4:
        size = np.int64(d[p]) | np.int64(d[p + 1]) << 8
        if d[p + 2] == 9 and d[p + 3] == 0:
            return p + 4
        if size < 4:
            return -1
        p += (size + 3) & ~3
    return -1
