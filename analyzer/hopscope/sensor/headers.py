"""Raw packets to header columns: one compiled loop over the packets, layer by layer, outer first.

What counts as a packet, and what is followed into tunnels, is as in Zeek 8: at most four tunnels deep; the
IP header's length rules over the frame's (padding is no payload), except where it is 0 (segmentation
offload), where the captured length does; an IP packet longer than its frame was on the wire gives no row.
Fragments are set aside here and put together in `fragments.py`.
"""

from __future__ import annotations

import numpy as np

from hopscope.sensor import links
from hopscope.sensor.compiled import helper, kernel
from hopscope.sensor.linklayer import to_ip
from hopscope.sensor.tunnels import FRAME, NOTHING, RAW_IP, WLAN_FRAME, gre, is_ip, over_udp
from hopscope.sensor.wire import ones_sum, sums_to_ones, u16, u32, u64

MAX_TUNNELS = 4  # Zeek's Tunnel::max_depth
LAYERS = MAX_TUNNELS + 1  # rows a packet gives at most

_ETHERNET, _RAW, _WLAN = links.ETHERNET, links.RAW, links.IEEE802_11
_TCP, _UDP, _ICMP, _ICMP6 = 6, 17, 1, 58
_IPIP, _IP6, _GRE = 4, 41, 47
_HOPS, _ROUTING, _FRAGMENT, _ESP, _AH, _NONE, _OPTIONS, _MOBILITY = 0, 43, 44, 50, 51, 59, 60, 135

# columns of the arrays that the loop fills, by type
SRC_HI, SRC_LO, DST_HI, DST_LO = 0, 1, 2, 3  # uint64
SEQ, ACK = 0, 1  # uint32
SPORT, DPORT, WINDOW = 0, 1, 2  # uint16
VERSION, PROTO, FLAGS, CARRIER, BAD = 0, 1, 2, 3, 4  # uint8
IP_BYTES, CAP, LEN, OUTER = 0, 1, 2, 3  # int32
TS, OFF, PACKET = 0, 1, 2  # int64

# columns of a fragment set aside
F_PACKET, F_IP, F_HEADER, F_TOTAL, F_OFFSET, F_MORE, F_ID, F_PROTO, F_DEPTH, F_OUTER, F_ROW = range(11)
F_COLUMNS = 11


@kernel
def headers(  # type: ignore[no-untyped-def]
    d, offset, caplen, wirelen, stamp, link, depth, checksums, wide, long, short, byte, size, place, pieces
):
    """Fill the columns; returns the rows, the fragments set aside, the packets that gave neither."""
    row, fragments, refused = 0, 0, 0
    for i in range(offset.size):
        p = offset[i]
        end = p + caplen[i]
        wire_end = p + np.int64(wirelen[i])
        layer_link, deep, outer = link[i], depth[i], -1
        before = row + fragments
        while True:
            p, end = to_ip(d, p, end, layer_link)
            if p < 0 or end - p < 20:
                break
            # --- the IP header
            src_hi, src_lo, dst_hi, dst_lo = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
            frag_offset, more, ident = np.int64(0), np.int64(0), np.int64(0)
            fragment, wrong = False, False
            version = np.int64(d[p] >> 4)
            if version == 4:
                header = np.int64(d[p] & 15) * 4
                total = u16(d, p + 2)
                proto = np.int64(d[p + 9])
                if header < 20 or header > end - p:
                    break
                if checksums and not sums_to_ones(ones_sum(d, p, p + header, 0)):
                    break
                field = u16(d, p + 6)
                if field & 0x3FFF:
                    fragment = True
                    frag_offset, more, ident = (field & 0x1FFF) * 8, field >> 13 & 1, u16(d, p + 4)
                src_lo, dst_lo = np.uint64(u32(d, p + 12)), np.uint64(u32(d, p + 16))
            elif version == 6:
                if end - p < 40:
                    break
                total = u16(d, p + 4) + 40
                proto, header, routed, home, last = _chain(d, p, end)
                if last in (_ESP, _MOBILITY):  # nothing to read behind these
                    break
                if last == _FRAGMENT:
                    fragment = True
                    field = u16(d, p + header - 6)
                    frag_offset, more, ident = field & 0xFFF8, field & 1, u32(d, p + header - 4)
                src_hi, src_lo, dst_hi, dst_lo = u64(d, home), u64(d, home + 8), u64(d, routed), u64(d, routed + 8)
            else:
                break
            length = total if total else end - p
            if header > length or p + length > wire_end:
                break
            if fragment and end - p >= length:
                piece = pieces[fragments]
                piece[F_PACKET], piece[F_IP], piece[F_HEADER], piece[F_TOTAL] = i, p, header, length
                piece[F_OFFSET], piece[F_MORE], piece[F_ID], piece[F_PROTO] = frag_offset, more, ident, proto
                piece[F_DEPTH], piece[F_OUTER], piece[F_ROW] = deep, outer, row
                fragments += 1
                break
            if fragment and frag_offset:  # cut by the snap length: can't be put together
                break
            # --- the transport header
            q, stop = p + header, min(end, p + length)
            declared = length - header  # bytes behind the IP header, on the wire
            captured = stop - q
            sport, dport, window, flags = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
            seq, ack, skip = np.int64(0), np.int64(0), np.int64(0)
            carrier = False
            if proto == _TCP:
                if captured < 20:
                    break
                skip = np.int64(d[q + 12] >> 4) * 4
                if skip < 20 or skip > captured:
                    break
                sport, dport, seq, ack = u16(d, q), u16(d, q + 2), u32(d, q + 4), u32(d, q + 8)
                flags, window = np.int64(d[q + 13]), u16(d, q + 14)
            elif proto == _UDP:
                if captured < 8:
                    break
                skip = np.int64(8)
                sport, dport = u16(d, q), u16(d, q + 2)
            elif proto in (_ICMP, _ICMP6):
                if captured < 8:
                    break
                skip = np.int64(8)
                sport, dport = np.int64(d[q]), np.int64(d[q + 1])
            elif proto in (_IPIP, _IP6, _GRE):
                carrier = True
            elif proto == _NONE:
                break
            if checksums and skip and captured == declared:
                wrong = _wrong(d, q, q + declared, proto, version, src_hi, src_lo, dst_hi, dst_lo)
            payload_len = declared - skip
            if proto == _UDP and u16(d, q + 4) >= 8:
                payload_len = u16(d, q + 4) - 8
            place[TS, row], place[OFF, row], place[PACKET, row] = stamp[i], q + skip, i
            byte[VERSION, row], byte[PROTO, row], byte[FLAGS, row] = version, proto, flags
            byte[CARRIER, row], byte[BAD, row] = carrier, wrong
            wide[SRC_HI, row], wide[SRC_LO, row] = src_hi, src_lo
            wide[DST_HI, row], wide[DST_LO, row] = dst_hi, dst_lo
            short[SPORT, row], short[DPORT, row], short[WINDOW, row] = sport, dport, window
            long[SEQ, row], long[ACK, row] = seq, ack
            size[IP_BYTES, row], size[OUTER, row] = total, outer
            size[LEN, row], size[CAP, row] = payload_len, min(captured - skip, payload_len)
            row += 1
            # --- what stands inside
            if deep >= MAX_TUNNELS or not (carrier or proto == _UDP) or wrong:
                break
            inner = NOTHING
            if proto == _UDP:
                inner, q = over_udp(d, q + 8, stop, sport, dport)
            elif proto == _GRE:
                inner, q = gre(d, q, stop)
            elif is_ip(d, q, stop, 4 if proto == _IPIP else 6):
                inner = RAW_IP
            if inner == NOTHING or q >= stop:
                break
            layer_link = _ETHERNET if inner == FRAME else _WLAN if inner == WLAN_FRAME else _RAW
            outer = row - 1
            deep += 1
            # as Zeek: behind an IP header the captured bytes count for the wire length, so an inner packet
            # cut by the snap length is none; behind UDP the wire length is known further on
            wire_end = stop if carrier else stop + wire_end - end
            p, end = q, stop
        if row + fragments == before:
            refused += 1
    return row, fragments, refused


@helper
def _chain(d, p, end):  # type: ignore[no-untyped-def]
    """IPv6's extension headers: (protocol behind them, their length with the header's, position of the
    destination address, of the source address, type of the last header)."""
    home, routed = p + 8, p + 24
    last, kind, q = np.int64(_IP6), np.int64(d[p + 6]), p + 40
    while kind in (_HOPS, _ROUTING, _OPTIONS, _FRAGMENT, _AH, _ESP, _MOBILITY):
        if end - q < 8:
            break
        if kind in (_ESP, _MOBILITY):
            last = kind
            break
        length = np.int64(8) if kind == _FRAGMENT else (np.int64(d[q + 1]) + 1) * 8
        if kind == _AH:
            length = (np.int64(d[q + 1]) + 2) * 4
        if length > end - q:
            break
        if kind == _ROUTING and d[q + 3] > 0 and routed == p + 24:
            # source routing (deprecated) and Mobile IPv6: the last address is where it ends up
            if (d[q + 2] == 0 and d[q + 1] >= 2 and d[q + 1] % 2 == 0) or (d[q + 2] == 2 and d[q + 1] == 2):
                routed = q + length - 16
        elif kind == _OPTIONS and home == p + 8:
            home = _home_address(d, q + 2, q + length, home)
        last, kind = kind, np.int64(d[q])
        q += length
        if last == _FRAGMENT:
            break
    return kind, q - p, routed, home, last


@helper
def _home_address(d, p, end, otherwise):  # type: ignore[no-untyped-def]
    """Position of the Mobile IPv6 home address (RFC 6275 section 6.3) among destination options."""
    while p < end:
        if d[p] == 0:
            p += 1
        elif end - p < 2 or end - p < 2 + np.int64(d[p + 1]):
            break
        elif d[p] == 201 and d[p + 1] == 16:
            return p + 2
        else:
            p += 2 + np.int64(d[p + 1])
    return otherwise


@helper
def _wrong(d, p, end, proto, version, src_hi, src_lo, dst_hi, dst_lo):  # type: ignore[no-untyped-def]
    """The transport checksum over d[p:end] does not add up."""
    if proto == _UDP and version == 4 and u16(d, p + 6) == 0:
        return False
    total = np.int64(0)
    if proto != _ICMP:  # the pseudo header
        total += proto + (end - p)
        for part in (src_hi, src_lo, dst_hi, dst_lo):
            whole = np.int64(part)
            total += (whole & 0xFFFF) + (whole >> 16 & 0xFFFF) + (whole >> 32 & 0xFFFF) + (whole >> 48 & 0xFFFF)
    return not sums_to_ones(ones_sum(d, p, end, total))
