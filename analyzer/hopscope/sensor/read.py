"""A capture in, records out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from hopscope.config import Config
from hopscope.records import Batch, InputCount
from hopscope.sensor import containers, names
from hopscope.sensor.ahead import Ahead
from hopscope.sensor.assemble import Assembler
from hopscope.sensor.decode import Decoder
from hopscope.sensor.state import OPEN
from hopscope.sensor.track import Rows, Tracker

SENSOR = "pcap"  # its name in the records


def records(
    path: str | Path | BinaryIO,
    name: str,
    config: Config,
    count: InputCount,
    progress: Callable[[int], None] | None = None,
    *,
    checksums: bool = False,
    sensor: str = SENSOR,
    chunk_bytes: int = containers.CHUNK_BYTES,
    most_open: int = OPEN,
) -> Iterator[Batch]:
    """The records of one capture, in batches, in the order in which connections end.

    `path` is a file, "-" or an open binary file, `name` what messages call it. `count` is told what was
    read and refused, `progress` the input bytes read so far. `checksums`: packets with wrong ones count as
    Zeek counts them without -C. Of more than `most_open` connections at a time some end early, which is
    told. Raises InputError when no packet could be read.
    """
    tracker = Tracker(names.seed_of(sensor), most_open)
    assembler = Assembler(sensor, names.Addresses(config.network.local_nets))
    position = 0  # input bytes read; told from here, not from the thread

    def at(read: int) -> None:
        nonlocal position
        position = read

    def rows() -> Iterator[Rows]:
        decoder = Decoder(checksums)
        for chunk in containers.read(path, name, count, at, chunk_bytes=chunk_bytes):
            packets = decoder.decode(chunk)
            count.refused += packets.refused
            yield from tracker.feed(packets)
        count.refused += decoder.waiting
        yield from tracker.finish()

    # The compiled loops run without the interpreter's lock, so that dissecting goes on beside them.
    with Ahead(rows()) as ready:
        for some in ready:
            yield from assembler.add(some)
            if progress is not None:
                progress(position)
    yield assembler.flush()
    if tracker.evicted:
        count.note(
            f"{name}: {tracker.evicted:,} connections ended early, more than {most_open:,} were open at a time; "
            "split the capture by network"
        )
    if tracker.starved:
        count.note(f"{name}: {tracker.starved:,} times a connection's content or timing was left out, for lack of room")
