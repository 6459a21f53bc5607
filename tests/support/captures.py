"""Captures built byte by byte, right or wrong on purpose, and what the sensor's front makes of them."""

from __future__ import annotations

import io
import ipaddress
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from hopscope.records import InputCount
from hopscope.sensor import containers
from hopscope.sensor.columns import Chunk, Packets
from hopscope.sensor.decode import Decoder

ETHERNET, RAW = 1, 101


class Frame(NamedTuple):
    """A packet for a file: `ts` in nanoseconds; `wirelen` None means that all of it was captured."""

    data: bytes
    ts: int = 1_700_000_000_000_000_000
    wirelen: int | None = None


def pcap(
    frames: Iterable[Frame],
    *,
    order: str = "<",
    nano: bool = True,
    snap: int = 262144,
    link: int = ETHERNET,
    modified: bool = False,
) -> bytes:
    """A classic pcap file; `order` is struct's, `modified` gives the variant with longer record headers."""
    magic = 0xA1B2CD34 if modified else 0xA1B23C4D if nano else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for f in frames:
        seconds, rest = divmod(f.ts, 1_000_000_000)
        wire = len(f.data) if f.wirelen is None else f.wirelen
        out.append(struct.pack(order + "IIII", seconds, rest if nano else rest // 1000, len(f.data), wire))
        if modified:
            out.append(struct.pack(order + "IHBB", 0, 0, 0, 0))
        out.append(f.data)
    return b"".join(out)


def padded(data: bytes) -> bytes:
    """`data` and zeros up to a multiple of four."""
    return data + bytes(-len(data) % 4)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    size = len(padded(body)) + 12
    return struct.pack(order + "II", kind, size) + padded(body) + struct.pack(order + "I", size)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """A pcapng option."""
    return struct.pack(order + "HH", code, len(value)) + padded(value)


def section(order: str = "<", major: int = 1) -> bytes:
    """A section header block."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1), order)


def interface(link: int = ETHERNET, snap: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    """An interface description block."""
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)


def enhanced(data: bytes, stamp: int = 0, which: int = 0, order: str = "<", wirelen: int | None = None) -> bytes:
    """An enhanced packet block; `stamp` in the interface's units."""
    wire = len(data) if wirelen is None else wirelen
    head = struct.pack(order + "IIIII", which, stamp >> 32, stamp & 0xFFFFFFFF, len(data), wire)
    return block(6, head + padded(data), order)


def read_all(raw: bytes | io.RawIOBase, *, chunk_bytes: int = containers.CHUNK_BYTES) -> tuple[list[Chunk], InputCount]:
    """The chunks of a capture in memory, and what was counted."""
    count = InputCount()
    stream: Any = io.BytesIO(raw) if isinstance(raw, bytes) else raw
    return list(containers.read(stream, "x.pcap", count, chunk_bytes=chunk_bytes)), count


def packets_of(chunks: Sequence[Chunk]) -> list[tuple[int, bytes, int, int, int]]:
    """Every packet as (ts, bytes, wirelen, link, file_offset)."""
    return [
        (int(t), c.data[o : o + n].tobytes(), int(w), int(k), int(f))
        for c in chunks
        for o, n, w, t, k, f in zip(c.offset, c.caplen, c.wirelen, c.ts, c.link, c.file_offset, strict=True)
    ]


class Row(NamedTuple):
    """A row of Packets with its bytes, for comparing."""

    src: str
    dst: str
    proto: int
    sport: int
    dport: int
    ip_bytes: int
    payload: bytes
    payload_len: int
    seq: int
    ack: int
    flags: int
    window: int
    outer: int
    carrier: bool
    bad_checksum: bool
    ts: int


def address(version: int, hi: int, lo: int) -> str:
    """The address in its usual form."""
    return str(ipaddress.IPv4Address(lo) if version == 4 else ipaddress.IPv6Address(hi << 64 | lo))


def rows_of(p: Packets, first: int = 0) -> list[Row]:
    """The rows; `outer` counts from `first`."""
    return [
        Row(
            address(int(p.version[i]), int(p.src_hi[i]), int(p.src_lo[i])),
            address(int(p.version[i]), int(p.dst_hi[i]), int(p.dst_lo[i])),
            int(p.proto[i]),
            int(p.sport[i]),
            int(p.dport[i]),
            int(p.ip_bytes[i]),
            p.data[p.payload_off[i] : p.payload_off[i] + p.payload_cap[i]].tobytes(),
            int(p.payload_len[i]),
            int(p.seq[i]),
            int(p.ack[i]),
            int(p.flags[i]),
            int(p.window[i]),
            int(p.outer[i]) + first if p.outer[i] >= 0 else -1,
            bool(p.carrier[i]),
            bool(p.bad_checksum[i]),
            int(p.ts[i]),
        )
        for i in range(p.ts.size)
    ]


def decode_all(chunks: Iterable[Chunk], *, checksums: bool = False) -> tuple[list[Row], int]:
    """All rows of a capture's chunks and how many packets were refused."""
    decoder, rows, refused = Decoder(checksums), list[Row](), 0
    for chunk in chunks:
        packets = decoder.decode(chunk)
        rows += rows_of(packets, len(rows))
        refused += packets.refused
    return rows, refused


def chunk_of(*frames: Frame | bytes, link: int = ETHERNET) -> Chunk:
    """A chunk of these frames without a file."""
    made = [f if isinstance(f, Frame) else Frame(f) for f in frames]
    caplen = np.array([len(f.data) for f in made], np.int32)
    return Chunk(
        data=np.frombuffer(bytearray().join(f.data for f in made), np.uint8),
        offset=np.cumsum(caplen, dtype=np.int64) - caplen,
        caplen=caplen,
        wirelen=np.array([len(f.data) if f.wirelen is None else f.wirelen for f in made], np.int32),
        ts=np.array([f.ts for f in made], np.int64),
        link=np.full(len(made), link, np.int32),
        file_offset=np.zeros(len(made), np.int64),
    )
