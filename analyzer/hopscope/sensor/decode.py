"""Raw packets to header columns: a compiled loop over the packets, layer by layer, outer first.

What counts as a packet, and what is followed into tunnels, is as in Zeek 8: at most four tunnels deep; the
IP header's length rules over the frame's (padding is no payload), except where it is 0 (segmentation
offload), where the captured length does; an IP packet longer than its frame was on the wire gives no row.
Fragments are set aside here and put together in `fragments.py`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopscope.sensor import links
from hopscope.sensor.columns import Chunk, Packets
from hopscope.sensor.fragments import Fragment, Reassembler
from hopscope.sensor.linklayer import to_ip
from hopscope.sensor.splice import splice
from hopscope.sensor.tunnels import FRAME, NOTHING, RAW_IP, WLAN_FRAME, gre, is_ip, over_udp
from hopscope.sensor.wire import helper, kernel, ones_sum, sums_to_ones, u16, u32, u64

MAX_TUNNELS = 4  # Zeek's Tunnel::max_depth
_LAYERS = MAX_TUNNELS + 1  # rows a packet gives at most

_ETHERNET, _RAW, _WLAN = links.ETHERNET, links.RAW, links.IEEE802_11
_TCP, _UDP, _ICMP, _ICMP6 = 6, 17, 1, 58
_IPIP, _IP6, _GRE = 4, 41, 47
_HOPS, _ROUTING, _FRAGMENT, _ESP, _AH, _NONE, _OPTIONS, _MOBILITY = 0, 43, 44, 50, 51, 59, 60, 135

# columns of the arrays that the loop fills, by type
_SRC_HI, _SRC_LO, _DST_HI, _DST_LO = 0, 1, 2, 3  # uint64
_SEQ, _ACK = 0, 1  # uint32
_SPORT, _DPORT, _WINDOW = 0, 1, 2  # uint16
_VERSION, _PROTO, _FLAGS, _CARRIER, _BAD = 0, 1, 2, 3, 4  # uint8
_IP_BYTES, _CAP, _LEN, _OUTER = 0, 1, 2, 3  # int32
_TS, _OFF, _PACKET = 0, 1, 2  # int64

# columns of a fragment set aside
F_PACKET, F_IP, F_HEADER, F_TOTAL, F_OFFSET, F_MORE, F_ID, F_PROTO, F_DEPTH, F_OUTER, F_ROW = range(11)
_F_COLUMNS = 11


@dataclass(frozen=True)
class Decoded:
    """Rows of a run of packets and the fragments met among them.

    `fragments` has a row per fragment with the F_ columns: packet, position of its IP header in `data`,
    header length, total length, fragment offset, more to come,
    identification, protocol, tunnel depth, enclosing row (-1), and the row before which it stood.
    """

    packets: Packets
    packet: NDArray[np.int64]  # of each row, its packet's number in the chunk
    fragments: NDArray[np.int64]


class Decoder:
    """Decodes the chunks of one capture in order, putting fragments together across them.

    With `checksums`, packets with a wrong IPv4 header checksum are refused and rows with a wrong
    transport checksum marked, where all of their bytes were captured.
    """

    def __init__(self, checksums: bool = False):
        self._checksums = checksums
        self._reassembler = Reassembler()

    @property
    def waiting(self) -> int:
        """Fragments of datagrams not complete yet; at the end of a capture they gave no row."""
        return self._reassembler.waiting

    def decode(self, chunk: Chunk) -> Packets:
        """The header columns of a chunk's packets. Reassembled datagrams stand where their last fragment
        stood; their bytes follow the chunk's in `data`. Fragments given up count as refused."""
        lost = self._reassembler.lost
        packets = self._decode(chunk, np.zeros(chunk.offset.size, np.int64)).packets
        lost = self._reassembler.lost - lost
        return dataclasses.replace(packets, refused=packets.refused + lost) if lost else packets

    def _decode(self, chunk: Chunk, depth: NDArray[np.int64]) -> Decoded:
        decoded = decode_layers(chunk, depth, self._checksums)
        whole = [(row, self._reassembler.add(_fragment(chunk, row))) for row in decoded.fragments]
        done = [(row, packet) for row, packet in whole if packet is not None]
        if not done:
            return decoded
        completing = np.array([row for row, _ in done])
        sizes = np.array([len(packet) for _, packet in done], np.int32)
        of = completing[:, F_PACKET]
        datagrams = Chunk(
            data=np.frombuffer(bytearray().join(packet for _, packet in done), np.uint8),  # writable, as a file's
            offset=np.cumsum(sizes, dtype=np.int64) - sizes,
            caplen=sizes,
            wirelen=sizes,
            ts=chunk.ts[of],
            link=np.full(sizes.size, links.RAW, np.int32),
            file_offset=chunk.file_offset[of],
        )
        # a datagram may hold a tunnel with fragments in turn; the tunnels' depth bounds the recursion
        inner = self._decode(datagrams, completing[:, F_DEPTH])
        at = completing[inner.packet]
        packets, position = splice(decoded.packets, inner.packets, at[:, F_ROW], at[:, F_OUTER])
        packet = np.empty(position.size, np.int64)
        packet[position] = np.concatenate([decoded.packet, at[:, F_PACKET]])
        return Decoded(packets, packet, decoded.fragments)


def _fragment(chunk: Chunk, row: NDArray[np.int64]) -> Fragment:
    start, header, total = int(row[F_IP]), int(row[F_HEADER]), int(row[F_TOTAL])
    data = chunk.data[start : start + total].tobytes()
    version = data[0] >> 4
    return Fragment(
        ts=int(chunk.ts[row[F_PACKET]]),
        version=version,
        header=data[: header if version == 4 else header - 8],
        payload=data[header:],
        offset=int(row[F_OFFSET]),
        more=bool(row[F_MORE]),
        ident=int(row[F_ID]),
        proto=int(row[F_PROTO]),
    )


def decode(chunk: Chunk, *, checksums: bool = False) -> Packets:
    """The header columns of a chunk that stands alone; see `Decoder` for one after another."""
    return Decoder(checksums).decode(chunk)


def decode_layers(chunk: Chunk, depth: NDArray[np.int64], checksums: bool) -> Decoded:
    """As `decode`, for packets that already stand `depth` tunnels deep, with the fragments met."""
    n = chunk.offset.size
    room = _LAYERS * n + 1
    wide, long = np.empty((4, room), np.uint64), np.empty((2, room), np.uint32)
    short, byte = np.empty((3, room), np.uint16), np.empty((5, room), np.uint8)
    size, place = np.empty((4, room), np.int32), np.empty((3, room), np.int64)
    pieces = np.empty((n + 1, _F_COLUMNS), np.int64)
    rows, fragments, refused = _decode(
        chunk.data,
        chunk.offset,
        chunk.caplen,
        chunk.wirelen,
        chunk.ts,
        chunk.link,
        depth,
        checksums,
        wide,
        long,
        short,
        byte,
        size,
        place,
        pieces,
    )
    packets = Packets(
        data=chunk.data,
        ts=place[_TS, :rows],
        version=byte[_VERSION, :rows],
        src_hi=wide[_SRC_HI, :rows],
        src_lo=wide[_SRC_LO, :rows],
        dst_hi=wide[_DST_HI, :rows],
        dst_lo=wide[_DST_LO, :rows],
        proto=byte[_PROTO, :rows],
        sport=short[_SPORT, :rows],
        dport=short[_DPORT, :rows],
        ip_bytes=size[_IP_BYTES, :rows],
        payload_off=place[_OFF, :rows],
        payload_cap=size[_CAP, :rows],
        payload_len=size[_LEN, :rows],
        seq=long[_SEQ, :rows],
        ack=long[_ACK, :rows],
        flags=byte[_FLAGS, :rows],
        window=short[_WINDOW, :rows],
        outer=size[_OUTER, :rows],
        carrier=byte[_CARRIER, :rows].view(np.bool_),
        bad_checksum=byte[_BAD, :rows].view(np.bool_),
        refused=refused,
    )
    return Decoded(packets, place[_PACKET, :rows], pieces[:fragments])


@kernel
def _decode(  # type: ignore[no-untyped-def]
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
            place[_TS, row], place[_OFF, row], place[_PACKET, row] = stamp[i], q + skip, i
            byte[_VERSION, row], byte[_PROTO, row], byte[_FLAGS, row] = version, proto, flags
            byte[_CARRIER, row], byte[_BAD, row] = carrier, wrong
            wide[_SRC_HI, row], wide[_SRC_LO, row] = src_hi, src_lo
            wide[_DST_HI, row], wide[_DST_LO, row] = dst_hi, dst_lo
            short[_SPORT, row], short[_DPORT, row], short[_WINDOW, row] = sport, dport, window
            long[_SEQ, row], long[_ACK, row] = seq, ack
            size[_IP_BYTES, row], size[_OUTER, row] = total, outer
            size[_LEN, row], size[_CAP, row] = payload_len, min(captured - skip, payload_len)
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
