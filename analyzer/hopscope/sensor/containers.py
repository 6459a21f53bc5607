"""Capture files to chunks of raw packets: pcap and pcapng, plain or inside gzip or zstd, or from a pipe.

The format is told by the first bytes, never by the name. Whatever the file's size, memory stays within a
few times the chunk size. Packets come in the file's order, which is the order Zeek processes them in; those of
several interfaces in one file are put in the order of their times (see `order`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hopscope.errors import InputError
from hopscope.records import InputCount
from hopscope.sensor import links
from hopscope.sensor.columns import Chunk
from hopscope.sensor.index import Walker
from hopscope.sensor.order import Sorter
from hopscope.sensor.pcap import FILE_HEADER, MAGICS, PcapWalker
from hopscope.sensor.pcapng import MAGIC as PCAPNG_MAGIC
from hopscope.sensor.pcapng import PcapngWalker
from hopscope.sensor.unpack import Damage, Source

CHUNK_BYTES = 8 << 20  # bytes of unpacked capture taken at a time

# first bytes of what people hand over by mistake, and what to do about each
_OTHERS = (
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"\xfd7zXZ\x00", "xz-packed", "unpack it with xz -d first"),
    (b"BZh", "bzip2-packed", "unpack it with bunzip2 first"),
    (b"\x04\x22\x4d\x18", "lz4-packed", "unpack it with lz4 -d first"),
    (b"\x1f\x8b", "gzip-packed twice", "unpack it with gunzip once"),
    (b"\x28\xb5\x2f\xfd", "zstd-packed twice", "unpack it with unzstd once"),
    (b"snoop\x00\x00\x00", "a snoop capture", "convert it with editcap -F pcapng"),
    (b"GMBU", "a Network Monitor capture", "convert it with editcap -F pcapng"),
    (b"RTSS", "a Network Monitor capture", "convert it with editcap -F pcapng"),
    (b"TRSNIFF data", "a Sniffer capture", "convert it with editcap -F pcapng"),
    (b"XCP\x00", "a NetXRay capture", "convert it with editcap -F pcapng"),
    (b"#separator", "a Zeek log", "name the file, or the directory of the logs, to have it read as one"),
)


def read(
    path: str | Path | BinaryIO,
    name: str,
    count: InputCount,
    progress: Callable[[int], None] | None = None,
    *,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[Chunk]:
    """The packets of one capture, chunk by chunk.

    `path` is a file, "-" for standard input, or an open binary file (need not be seekable, is not closed);
    `name` is what messages call it. `progress` is told the number of input bytes (packed, if packed) read so
    far. `count` is told packets, the finished input, and one line for each problem; damage after the first
    packet ends the reading but keeps what stood before. Raises InputError when no packet could be read.
    """
    with Source(path, name, progress) as source:
        walker, head = _begin(source, name)
        seen = 0
        for chunk, damage in _in_order(_walk(source, walker, head, chunk_bytes), walker):
            for warning in walker.warnings:
                count.note(warning.line(name))
            walker.warnings.clear()
            if damage is not None:
                if not seen:
                    raise InputError(name, damage.problem, damage.remedy, damage.offset)
                count.note(damage.line(name))
            if chunk is not None:
                seen += chunk.offset.size
                count.packets += chunk.offset.size
                yield chunk
        count.inputs += 1
        for link in sorted(walker.links - links.UNDERSTOOD):
            count.note(f"{name}: link type {link} is not understood; capture on an Ethernet, raw IP or cooked device")


def _begin(source: Source, name: str) -> tuple[Walker, bytes]:
    """Tell the format by the first bytes; returns its walker and the bytes that are the walker's to walk."""
    buffer = np.empty(FILE_HEADER, np.uint8)
    head = buffer[: source.readinto(buffer)].tobytes()
    if source.damage is not None and len(head) < FILE_HEADER:
        raise InputError(name, source.damage.problem, source.damage.remedy, source.damage.offset)
    if not head:
        raise InputError(name, "the file is empty", "check how it was captured or copied")
    if head[:4] in MAGICS:
        if len(head) < FILE_HEADER:
            raise InputError(name, "ends within the pcap file header", "copy the file again, it was cut", len(head))
        walker = PcapWalker(head)
        refusal = walker.refusal()
        if refusal is not None:
            raise InputError(name, *refusal, offset=4)
        return walker, b""
    if head.startswith(PCAPNG_MAGIC):
        return PcapngWalker(), head
    for magic, what, remedy in _OTHERS:
        if head.startswith(magic):
            raise InputError(name, f"{what}, not a capture", remedy, 0)
    remedy = "give a capture as tcpdump and Wireshark write it, or a file of Zeek's logs or Windows events"
    raise InputError(name, "not a capture (neither pcap nor pcapng)", remedy, 0)


def _in_order(
    chunks: Iterator[tuple[Chunk | None, Damage | None]], walker: Walker
) -> Iterator[tuple[Chunk | None, Damage | None]]:
    """The same, sorted by time from where the file has several interfaces; see `order`."""
    sorter = Sorter()
    for chunk, damage in chunks:
        if chunk is not None and walker.several:
            for ready in sorter.push(chunk):
                yield ready, None
        elif chunk is not None:
            yield chunk, None
        if damage is not None:
            for ready in sorter.flush():
                yield ready, None
            yield None, damage
    for ready in sorter.flush():
        yield ready, None


def _walk(
    source: Source, walker: Walker, head: bytes, chunk_bytes: int
) -> Iterator[tuple[Chunk | None, Damage | None]]:
    """Chunks, and last the damage that ended the reading, if any."""
    rest = np.frombuffer(head, np.uint8)
    base = source.produced - rest.size
    size = chunk_bytes
    while True:
        data = np.empty(max(size, 2 * rest.size), np.uint8)
        data[: rest.size] = rest
        filled = rest.size + source.readinto(data[rest.size :])
        ended = filled < data.size
        index, used, damage = walker.walk(data[:filled], base)
        if index.offset.size:
            yield Chunk(data[:used], *index), None
        if damage is None and ended:
            damage = source.damage
            if damage is None and used < filled:
                damage = Damage(base + used, walker.unfinished(filled - used), "copy the file again, it was cut")
            if damage is None:
                return
        if damage is not None:
            yield None, damage
            return
        rest = data[used:filled]
        base += used
