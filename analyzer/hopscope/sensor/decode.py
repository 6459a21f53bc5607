"""Chunks of raw packets to header columns, fragments put together on the way.

The work on every packet is a compiled loop (`headers.py`); fragments are few and take a slow lane in Python.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopscope.sensor import headers as h
from hopscope.sensor import links
from hopscope.sensor.columns import Chunk, Packets
from hopscope.sensor.fragments import Fragment, Reassembler
from hopscope.sensor.splice import join, splice


@dataclass(frozen=True)
class Decoded:
    """Rows of a run of packets and the fragments met among them.

    `fragments` has a row per fragment with the F_ columns: packet, position of its IP header in `data`,
    header length, total length, fragment offset, more to come, identification, protocol, tunnel depth,
    enclosing row (-1), and the row before which it stood.
    """

    packets: Packets
    packet: NDArray[np.int64]  # of each row, its packet's number in the chunk
    fragments: NDArray[np.int64]


# the row of the fragment that completed a datagram (columns F_), and the datagram
_Whole = tuple[list[int], bytes]


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
        packets = self._decode(chunk, np.zeros(chunk.offset.size, np.int64), whole=False).packets
        lost = self._reassembler.lost - lost
        return dataclasses.replace(packets, refused=packets.refused + lost) if lost else packets

    def _decode(self, chunk: Chunk, depth: NDArray[np.int64], *, whole: bool) -> Decoded:
        """Decode packets that stand `depth` tunnels deep; `whole` ones were put together from fragments."""
        decoded = decode_layers(chunk, depth, self._checksums)
        parts, done = list[Decoded](), list[NDArray[np.int64]]()
        waiting = list[_Whole]()

        def decode_waiting() -> None:
            if waiting:
                rows = np.array([row for row, _ in waiting])
                parts.append(self._decode(_datagrams(chunk, waiting), rows[:, h.F_DEPTH].copy(), whole=True))
                done.append(rows[parts[-1].packet])
                waiting.clear()

        for row in decoded.fragments.tolist():
            if whole and row[h.F_DEPTH] == depth[row[h.F_PACKET]]:  # a fragment of a fragment: nobody sends those
                self._reassembler.lost += 1
                continue
            if row[h.F_DEPTH]:
                # a datagram may hold a tunnel with fragments in turn (the tunnels' depth bounds the recursion),
                # and those come before the ones in later packets
                decode_waiting()
            datagram = self._reassembler.add(_fragment(chunk, row))
            if datagram is not None:
                waiting.append((row, datagram))
        decode_waiting()
        if not parts:
            return decoded
        at = np.concatenate(done)
        packets, order = splice(
            decoded.packets, join([part.packets for part in parts]), at[:, h.F_ROW], at[:, h.F_OUTER]
        )
        return Decoded(packets, np.concatenate([decoded.packet, at[:, h.F_PACKET]])[order], decoded.fragments)


def _datagrams(chunk: Chunk, whole: list[_Whole]) -> Chunk:
    """IP packets as a chunk; each with the time of the packet in `chunk` that completed it."""
    of = np.array([row[h.F_PACKET] for row, _ in whole])
    size = np.array([len(datagram) for _, datagram in whole], np.int32)
    return Chunk(
        # a bytearray: the compiled loop is made for arrays that can be written to, as a file's
        data=np.frombuffer(bytearray().join(datagram for _, datagram in whole), np.uint8),
        offset=np.cumsum(size, dtype=np.int64) - size,
        caplen=size,
        wirelen=size,
        ts=chunk.ts[of],
        link=np.full(size.size, links.RAW, np.int32),
        file_offset=chunk.file_offset[of],
    )


def _fragment(chunk: Chunk, row: list[int]) -> Fragment:
    start, header = row[h.F_IP], row[h.F_HEADER]
    data = chunk.data[start : start + row[h.F_TOTAL]].tobytes()
    version = data[0] >> 4
    return Fragment(
        ts=int(chunk.ts[row[h.F_PACKET]]),
        version=version,
        header=data[: header if version == 4 else header - 8],
        payload=data[header:],
        offset=row[h.F_OFFSET],
        more=bool(row[h.F_MORE]),
        ident=row[h.F_ID],
        proto=row[h.F_PROTO],
        tunnelled=bool(row[h.F_DEPTH]),
    )


def decode(chunk: Chunk, *, checksums: bool = False) -> Packets:
    """The header columns of a chunk that stands alone; see `Decoder` for one after another."""
    return Decoder(checksums).decode(chunk)


def decode_layers(chunk: Chunk, depth: NDArray[np.int64], checksums: bool) -> Decoded:
    """As `decode`, for packets that already stand `depth` tunnels deep, with the fragments met."""
    n = chunk.offset.size
    room = h.LAYERS * n + 1
    wide, long = np.empty((4, room), np.uint64), np.empty((2, room), np.uint32)
    short, byte = np.empty((3, room), np.uint16), np.empty((5, room), np.uint8)
    size, place = np.empty((4, room), np.int32), np.empty((3, room), np.int64)
    pieces = np.empty((n + 1, h.F_COLUMNS), np.int64)
    rows, fragments, refused = h.headers(
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
        ts=place[h.TS, :rows],
        version=byte[h.VERSION, :rows],
        src_hi=wide[h.SRC_HI, :rows],
        src_lo=wide[h.SRC_LO, :rows],
        dst_hi=wide[h.DST_HI, :rows],
        dst_lo=wide[h.DST_LO, :rows],
        proto=byte[h.PROTO, :rows],
        sport=short[h.SPORT, :rows],
        dport=short[h.DPORT, :rows],
        ip_bytes=size[h.IP_BYTES, :rows],
        payload_off=place[h.OFF, :rows],
        payload_cap=size[h.CAP, :rows],
        payload_len=size[h.LEN, :rows],
        seq=long[h.SEQ, :rows],
        ack=long[h.ACK, :rows],
        flags=byte[h.FLAGS, :rows],
        window=short[h.WINDOW, :rows],
        outer=size[h.OUTER, :rows],
        carrier=byte[h.CARRIER, :rows].view(np.bool_),
        bad_checksum=byte[h.BAD, :rows].view(np.bool_),
        refused=refused,
    )
    return Decoded(packets, place[h.PACKET, :rows], pieces[:fragments])
