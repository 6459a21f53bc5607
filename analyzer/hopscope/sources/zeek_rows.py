"""The rows of logs, file by file in pieces, each log's for itself, in about the order in which Zeek wrote them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.errors import InputError
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, InputCount
from hopscope.sensor.ahead import Ahead
from hopscope.sensor.unpack import Damage, Source
from hopscope.sources import zeek_columns, zeek_headers, zeek_json
from hopscope.sources.zeek_columns import NEEDED_OF_CONNECTION, NEEDED_OF_DNS, Place, one_chunk
from hopscope.sources.zeek_files import KNOWN, LogFile
from hopscope.sources.zeek_lines import Lines, Splitter
from hopscope.sources.zeek_logs import LOGS, NEEDED, OWN_ESCAPES

PIECE_BYTES = 40 << 20  # of a log, unpacked, that are read at a time: about 250,000 lines of conn.log
NEAR_BYTES = 1 << 16  # before the end of a piece in which the end of a line is looked for

OWN = {"hopscope": CONNECTION_SCHEMA, "hopscope_dns": DNS_QUERY_SCHEMA}
SCHEMAS = LOGS | OWN
_NEEDED = NEEDED | {"hopscope": NEEDED_OF_CONNECTION, "hopscope_dns": NEEDED_OF_DNS}
_MOST = 0.995  # of a piece's rows; some few times may be nonsense


@dataclass(frozen=True)
class Rows:
    """Rows of one log in the columns that are read of it. `reached`: when Zeek wrote the last of them, epoch
    seconds by event time. `columns`: what their log's header names, of JSON all that is read."""

    log: str
    is_open: bool
    table: pa.Table
    place: Place
    columns: Sequence[str]

    @property
    def reached(self) -> float:
        names = self.table.schema.names
        at = one_chunk(self.table["seg_end" if "seg_end" in names else "ts"]).cast(pa.int64())
        micros = at.drop_null().to_numpy()
        if not len(micros):
            return -np.inf
        if "duration" in names and "seg_end" not in names:
            longer = pc.fill_null(one_chunk(self.table["duration"]), 0.0).to_numpy(zero_copy_only=False)
            micros = micros + longer * 1e6 if len(longer) == len(micros) else micros
        return float(np.quantile(micros, _MOST)) / 1e6


def rows_of(lines: Lines) -> Iterator[Rows]:
    """The rows that lines hold; lines of JSON may be of several logs. Raises InputError when a column is missing."""
    if lines.log is not None:
        yield _rows(lines.log, lines.is_open, lines)
        return
    for path, data in zeek_json.by_log(lines.data):
        told = zeek_headers.log_named(path)
        if told is not None:
            yield _rows(told[0], told[1] or lines.is_open, Lines(told[0], told[1], None, data, lines.place))


def _rows(log: str, is_open: bool, lines: Lines) -> Rows:
    schema, needed = SCHEMAS[log], _NEEDED[log]
    own = schema.names if log in OWN else OWN_ESCAPES
    if lines.header is None:
        table = zeek_json.read(lines.data, schema, lines.place, needed, own)
        return Rows(log, is_open, zeek_columns.whole(table) if log in OWN else table, lines.place, schema.names)
    columns = lines.header.columns
    table = zeek_columns.read(lines.data, columns, schema, lines.place, needed, own, lines.header.marks)
    return Rows(log, is_open, zeek_columns.whole(table) if log in OWN else table, lines.place, columns)


@dataclass
class _File:
    log: LogFile
    rows: Iterator[tuple[list[Rows], bool]] | None = None
    reached: float = -np.inf


@dataclass
class Archive:
    """Logs of one archive, of which each log's rows are taken for itself with `take`.

    `position` says how far a log has been taken. A file that can't be used is told in `failed`; `cut` are
    those whose last line hasn't ended.
    """

    files: Sequence[LogFile]
    count: InputCount
    progress: Callable[[int], None] | None = None
    failed: list[tuple[LogFile, InputError]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    _left: dict[str | None, deque[_File]] = field(default_factory=dict)
    _waiting: dict[str, deque[Rows]] = field(default_factory=dict)
    _done: int = 0

    def __post_init__(self) -> None:
        for log in self.files:
            self._left.setdefault(log.log, deque()).append(_File(log))

    def position(self, log: str) -> float:
        """Up to when the log has been taken, epoch seconds by event time; infinite when nothing is left."""
        waiting = self._waiting.get(log)
        if waiting:
            return -np.inf
        return min((f.reached if f.rows else f.log.begin for f in self._next(log)), default=np.inf)

    def has(self, log: str) -> bool:
        """Something of the log may be left."""
        return bool(self._waiting.get(log)) or any(True for _ in self._next(log))

    def take(self, log: str) -> Rows | None:
        """The next rows of the log; None when the piece that was read next held none of them."""
        waiting = self._waiting.setdefault(log, deque())
        if not waiting:
            self._read(min(self._next(log), key=lambda f: f.reached if f.rows else f.log.begin))
        return waiting.popleft() if waiting else None

    def _next(self, log: str) -> Iterator[_File]:
        """The file of this log, and that of several logs, that are next."""
        for kind in (log, None):
            if self._left.get(kind):
                yield self._left[kind][0]

    def _read(self, file: _File) -> None:
        """Read on in a file by one piece."""
        if file.rows is None:
            file.rows = self._rows_of(file.log)
        try:
            rows, ended = next(file.rows)
        except InputError as e:
            self.failed.append((file.log, e))
            rows, ended = [], True
        if ended:
            self._left[file.log.log].popleft()
        for part in rows:
            file.reached = max(file.reached, part.reached)
            self._waiting.setdefault(part.log, deque()).append(part)

    def _rows_of(self, log: LogFile) -> Iterator[tuple[list[Rows], bool]]:
        """Piece by piece what the log holds, and whether that was the last."""
        splitter = Splitter(Place(log.name, self.count), None if log.log is None else (log.log, log.is_open), KNOWN)
        before = 0
        # unpacking goes on in a thread of its own while a piece is parsed
        with Source(log.path, log.name) as source, Ahead(_pieces(source), depth=1) as pieces:
            for data, consumed, ended in pieces:
                runs = list(splitter.feed(data))
                if ended:
                    runs += self._rest(log, splitter, source.damage)
                    self.count.inputs += 1
                self._done += consumed - before
                before = consumed
                if self.progress is not None:
                    self.progress(self._done)
                yield [rows for lines in runs for rows in rows_of(lines) if len(rows.table)], ended

    def _rest(self, log: LogFile, splitter: Splitter, damage: Damage | None) -> list[Lines]:
        """What stands behind the last end of a line."""
        if damage is not None:
            self.count.note(damage.line(log.name))
        elif splitter.rest.rstrip().endswith(b"}"):  # an object of JSON that is closed is whole
            return list(splitter.feed(b"\n"))
        elif splitter.rest.strip():
            self.cut.append(log.name)
        return []


def _pieces(source: Source) -> Iterator[tuple[bytes, int, bool]]:
    """The log unpacked, with the bytes on disk that were read so far and whether it has ended.

    Pieces are cut behind a line where there is one's end, so that they needn't be put together again.
    """
    begun, ended = np.empty(0, np.uint8), False
    while not ended:
        buffer = np.empty(len(begun) + PIECE_BYTES, np.uint8)
        buffer[: len(begun)] = begun
        got = source.readinto(buffer[len(begun) :])
        ended = got < PIECE_BYTES
        size = len(begun) + got
        near_end = max(size - NEAR_BYTES, 0)
        ends = np.flatnonzero(buffer[near_end:size] == ord("\n"))
        cut = size if ended or not len(ends) else near_end + int(ends[-1]) + 1
        begun = buffer[cut:size].copy()
        yield buffer[:cut].tobytes(), source.consumed, ended
