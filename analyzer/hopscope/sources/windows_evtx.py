"""Windows events from EVTX, the event log's own files, through the `evtx` package (Rust).

A file is a header of 4 KiB and chunks of 64 KiB that stand each for itself: they are read some at a time, so that
memory stays bounded, a packed file needs no unpacked copy, and a damaged chunk costs itself alone.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from hopscope.sensor.unpack import Source
from hopscope.sources import windows_json
from hopscope.sources.windows_rows import ANY_ID, Gathered

HEADER_BYTES = 4096
CHUNK_BYTES = 1 << 16
CHUNKS = 64  # parsed at a time
HEAD_CHARACTERS = 2000  # of an event's JSON, in which its id stands
_USED = re.compile(r'"EventID":(?:\{"#attributes":\{[^}]*\},"#text":)?"?(?:' + ANY_ID + ')[",}]')
TABLES = slice(128, 512)  # in a chunk's header
MOST_BROKEN = CHUNKS * CHUNK_BYTES // 24  # records that there can be, by the size of their header


def events(source: Source, into: Gathered) -> Iterator[None]:
    """Take the events of a log, pausing after every few chunks."""
    from evtx import PyEvtxParser

    header = _read(source, HEADER_BYTES)
    into.cut = len(header) < HEADER_BYTES
    while chunks := _read(source, CHUNKS * CHUNK_BYTES):
        into.cut |= len(chunks) % CHUNK_BYTES > 0
        try:
            parser = PyEvtxParser(io.BytesIO(header + _without_tables(chunks)), number_of_threads=1, indent=False)
        except (OSError, RuntimeError):
            into.strange += 1
            continue
        _take(parser.records_json(), into)
        yield


def _without_tables(chunks: bytes) -> bytes:
    """Whole chunks whose tables of common strings and templates are empty.

    The tables begin chains, and a chain that was made to circle holds the parser for ever. It finds each string and
    template at its place without them. A chunk that was cut is filled up: what it still has is read.
    """
    rows = np.zeros((-(-len(chunks) // CHUNK_BYTES), CHUNK_BYTES), np.uint8)
    rows.reshape(-1)[: len(chunks)] = np.frombuffer(chunks, np.uint8)
    rows[:, TABLES] = 0
    return rows.tobytes()


def _take(records: Iterable[Any], into: Gathered) -> None:
    texts: list[str] = []
    for _ in range(MOST_BROKEN):
        try:
            texts.extend(record["data"] for record in records)
            break
        except (RuntimeError, OSError):  # one record or chunk; the iterator goes on behind it
            into.strange += 1
    used = [text for text in texts if _USED.search(text, 0, HEAD_CHARACTERS)]  # most of a log isn't, nor is it parsed
    into.others += len(texts) - len(used)
    windows_json.take_lines("\n".join(used).encode("utf-8", "replace"), into)


def _read(source: Source, size: int) -> bytes:
    buffer = np.empty(size, np.uint8)
    return buffer[: source.readinto(buffer)].tobytes()
