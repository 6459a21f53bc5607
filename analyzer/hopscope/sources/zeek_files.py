"""The logs among files: which log each is, in what form, from when, told by its first lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA
from hopscope.sensor.unpack import Source
from hopscope.sources import zeek_headers
from hopscope.sources.zeek_headers import Header
from hopscope.sources.zeek_logs import LOGS
from hopscope.sources.zeek_values import LATEST_S

HEAD_BYTES = 1 << 14
KNOWN = frozenset(
    (*CONNECTION_SCHEMA.names, *DNS_QUERY_SCHEMA.names, *(name for schema in LOGS.values() for name in schema.names))
)
_HEADERS = (b"#separator", b"#fields", b"#path", b"#set_separator")
_TIMES = ("seg_end", "ts", "duration")  # which tell when a row was written


@dataclass(frozen=True)
class LogFile:
    """One log on disk. `log` is None where each line of JSON names its own; `size` is its bytes on disk.

    `begin` is when its first lines were written, by event time in seconds (infinite where it has none);
    `columns` are its header's, None where it has none. `is_open`: it tells of what was still open.
    """

    path: str
    name: str
    size: int | None
    log: str | None
    is_open: bool
    begin: float
    columns: tuple[str, ...] | None


@dataclass(frozen=True)
class LogArchive:
    """Logs that are read as one input, in order of time. `name` is what messages call it."""

    path: str
    name: str
    size: int | None
    files: tuple[LogFile, ...]


def archive(name: str, files: Iterable[LogFile]) -> LogArchive:
    """The files as one input."""
    ordered = tuple(sorted(files, key=lambda f: (f.begin, f.path)))
    sizes = [f.size for f in ordered if f.size is not None]
    return LogArchive(name, name, sum(sizes) if len(sizes) == len(ordered) else None, ordered)


def look(path: str) -> LogFile | None:
    """The log that a file is, None when it is none that is used. Raises InputError when it can't be opened."""
    named = zeek_headers.log_named(os.path.basename(path))
    head = _head(path)
    size = os.path.getsize(path) if os.path.isfile(path) else None
    is_log = named is not None and ".log" in os.path.basename(path)
    lines = head[: head.rfind(b"\n") + 1]
    if not head:
        return LogFile(path, path, size, named[0], named[1], np.inf, None) if named and is_log else None
    if head.startswith(b"{"):
        told = {found for text in zeek_headers.json_paths(head) if (found := zeek_headers.log_named(text))}
        if not told and (named is None or zeek_headers.json_paths(head)):
            return None
        log = named[0] if named and {log for log, _ in told} <= {named[0]} else None
        is_open = named[1] if named else False
        return LogFile(path, path, size, log, is_open, _begin(_json_times(lines)), None)
    header = _header(lines)
    if header is None or not header.columns:
        if named is None or not is_log or b"\0" in head:
            return None
        return LogFile(path, path, size, named[0], named[1], np.inf, None)
    told_one = named if header.path is None else zeek_headers.log_named(header.path)
    if told_one is None:
        return None
    is_open = told_one[1] or (named is not None and named[1])
    return LogFile(path, path, size, told_one[0], is_open, _begin(_times(lines, header)), header.columns)


def reads_like_a_log(path: str) -> bool:
    """The file has the header of a log, or lines of JSON with times. Raises InputError when it can't be opened."""
    head = _head(path)
    return head.startswith(_HEADERS) or (head.startswith(b"{") and b'"ts"' in head)


def _head(path: str) -> bytes:
    with Source(path, path) as source:
        buffer = np.empty(HEAD_BYTES, np.uint8)
        return buffer[: source.readinto(buffer)].tobytes().removeprefix(b"\xef\xbb\xbf").lstrip()


def _header(lines: bytes) -> Header | None:
    """The header that stands before the first row, None where there is none."""
    if not lines.startswith(_HEADERS):
        return zeek_headers.bare(lines[: lines.find(b"\n") + 1], KNOWN)
    header = Header()
    for line in lines.splitlines():
        if not line.startswith(b"#"):
            break
        header = header.then(line)
    return header


def _times(lines: bytes, header: Header) -> Iterator[list[Any]]:
    at = [header.columns.index(name) if name in header.columns else None for name in _TIMES]
    for line in lines.splitlines():
        row = line.decode("utf-8", "replace").split(header.marks.separator)
        if not line.startswith(b"#") and len(row) == len(header.columns):
            yield [None if i is None else row[i] for i in at]


def _json_times(lines: bytes) -> Iterator[list[Any]]:
    for line in lines.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # nested too deep
            continue
        if isinstance(row, dict):
            yield [row.get(name) for name in _TIMES]


def _begin(times: Iterable[list[Any]]) -> float:
    """When the first of the rows was written: rows are written when what they tell of has ended."""
    written = (_seconds(end) or (_seconds(ts) + _seconds(duration)) for end, ts, duration in times)
    return min((at for at in written if at), default=np.inf)


def _seconds(value: Any) -> float:
    """Seconds of a time or duration in any form, 0 for what is none."""
    try:
        number = float(value)
        number = number / 1000 if number >= LATEST_S else number
        return number if 0 < number < LATEST_S else 0.0
    except OverflowError:
        return 0.0
    except (TypeError, ValueError):
        pass
    try:
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
