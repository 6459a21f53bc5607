"""The logs that Zeek is writing, followed as they grow: across rotation, restarts and cutting back.

Nothing here waits: `poll` is called about once a second, and what came since the call before is read. Of a
log that was rotated the rest is read wherever it went, because its file is held open; logs that were
rotated away before the follower began are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hopscope.config import Config
from hopscope.errors import InputError
from hopscope.records import Batch, InputCount
from hopscope.sources import zeek_join, zeek_logs
from hopscope.sources.addresses import Networks
from hopscope.sources.growing import GrowingFile
from hopscope.sources.telling import Telling
from hopscope.sources.zeek_columns import Place
from hopscope.sources.zeek_files import KNOWN
from hopscope.sources.zeek_headers import USED
from hopscope.sources.zeek_join import OWN, Join
from hopscope.sources.zeek_lines import Splitter
from hopscope.sources.zeek_rows import Rows, rows_of

WAIT_S = 5.0  # by event time: so long a row of conn.log or dns.log waits for what other logs tell of it
QUIET_POLLS = 3  # polls that bring nothing, after which no row waits any longer
LEAVING_POLLS = 30  # polls that bring nothing, after which a file that was replaced is let go
WAITING_ROWS = 1_000_000  # rows that wait, beyond which the logs that they wait for are read first


class Follower:
    """The records of the logs in a directory, as Zeek writes them. Raises InputError when there is none such.

    What can't be read is told in `count`, once for each file.
    """

    def __init__(self, directory: Path, config: Config, count: InputCount) -> None:
        if not directory.is_dir():
            raise InputError(str(directory), "no such directory", "name the directory in which Zeek writes its logs")
        self._directory, self._count = directory, count
        self._logs = {log: _Log(log, directory, count) for log in USED}
        self._join = Join(Networks(config.network.local_nets), opened=False)
        self._telling = Telling(count)
        self._waiting: list[Rows] = []
        self._columns: dict[str, set[str]] = {}
        self._quiet = 0

    def poll(self, *, last: bool = False) -> list[Batch]:
        """The records of the lines that came since the last call, of rows that have waited long enough.

        With `last` no row waits: what was read is handed over.
        """
        came = False
        batches: list[Batch | None] = []
        full = sum(len(rows.table) for rows in self._waiting) > WAITING_ROWS
        for name, log in self._logs.items():
            if full and name in OWN:
                continue
            for rows in log.more():
                came = True
                self._fill(rows)
                if name in OWN:
                    self._waiting.append(rows)
                else:
                    batches.append(self._join.add(rows))
        self._quiet = 0 if came else self._quiet + 1
        ready = [rows for rows in self._waiting if last or self._has_waited(rows)]
        self._waiting = [rows for rows in self._waiting if not any(rows is other for other in ready)]
        batches += map(self._join.add, ready)
        self._tell_what_was_dropped()
        return [batch for batch in batches if batch is not None and (len(batch.connections) or len(batch.dns_queries))]

    def _tell_what_was_dropped(self) -> None:
        for log, number in self._join.dropped().items():
            problem = f"{number:,} rows of {log} were let go, because too many wait for their connections"
            self._telling.tell(log, f"{self._directory}: {problem}; what they tell is lacking there")

    def close(self) -> None:
        """Let go of the files."""
        for log in self._logs.values():
            log.close()

    def _has_waited(self, rows: Rows) -> bool:
        """The logs have gone on, or nothing more comes; those that tell of the row aren't being caught up with."""
        others = (OWN[rows.log], *(zeek_logs.SIDES if rows.log == "conn" else ()))
        if any(log.behind and log.reached < rows.reached + WAIT_S for log in (self._logs[name] for name in others)):
            return False
        return self._quiet >= QUIET_POLLS or max(log.reached for log in self._logs.values()) >= rows.reached + WAIT_S

    def _fill(self, rows: Rows) -> None:
        known = self._columns.setdefault(rows.log, set())
        if not known.issuperset(rows.columns):
            known.update(rows.columns)
            zeek_join.tell_filled(self._columns, self._count)


@dataclass
class _File:
    """One file with what of it wasn't a whole line yet."""

    growing: GrowingFile
    splitter: Splitter
    unusable: bool = False
    quiet: int = 0


@dataclass
class _Log:
    """The file that has the log's name, after those that had it before and aren't read to their ends."""

    log: str
    directory: Path
    count: InputCount
    reached: float = -float("inf")
    behind: bool = False
    files: list[_File] = field(default_factory=list)
    trouble: str | None = None  # why the file that has the name can't be opened

    def more(self) -> Iterator[Rows]:
        """The rows that came since the last call, as much as is read at a time."""
        self._see_whether_replaced()
        self.behind = False
        for file in list(self.files):
            for rows in self._rows(file):
                self.reached = max(self.reached, rows.reached)
                yield rows
            if file.growing.behind:
                self.behind = True
                return  # what stands in later files was written later
            if file is not self.files[-1] and file.quiet >= LEAVING_POLLS:
                yield from self._left(file)

    def close(self) -> None:
        for file in self.files:
            file.growing.close()
        self.files = []

    def _see_whether_replaced(self) -> None:
        if self.files and self.files[-1].growing.is_named():
            return
        for name in (f"{self.log}.log", f"json_streaming_{self.log}.log"):
            path = self.directory / name
            if not path.is_file():
                continue
            try:
                growing = GrowingFile(path)
            except OSError as e:
                problem = f"{path}: can't be opened ({e.strerror}); check its permissions"
                if problem != self.trouble:
                    self.count.note(problem)
                self.trouble = problem
                return
            self.trouble = None
            self.count.inputs += 1
            self.files.append(_File(growing, self._splitter(path)))
            return

    def _splitter(self, path: Path) -> Splitter:
        return Splitter(Place(str(path), self.count), (self.log, False), KNOWN)

    def _rows(self, file: _File) -> Iterator[Rows]:
        path = file.growing.path
        try:
            if file.growing.was_rewritten():
                self.count.note(f"{path}: was cut back or written anew; what was added in between may be lost")
                file.splitter, file.unusable = self._splitter(path), False
            data = file.growing.more()
        except OSError as e:
            self.count.note(f"{path}: can't be read further ({e.strerror}); it is left alone until it is replaced")
            file.unusable, data = True, b""
        file.quiet = 0 if data else file.quiet + 1
        if data and not file.unusable:
            yield from self._rows_in(file, data)

    def _rows_in(self, file: _File, data: bytes) -> Iterator[Rows]:
        try:
            for lines in file.splitter.feed(data):
                yield from (rows for rows in rows_of(lines) if len(rows.table))
        except InputError as e:
            self.count.note(str(e))
            file.unusable = True

    def _left(self, file: _File) -> Iterator[Rows]:
        """Let go of a file that was replaced, with what it ends in."""
        rest = file.splitter.rest.rstrip()
        if rest.endswith(b"}") and not file.unusable:
            yield from self._rows_in(file, b"\n")
        elif rest:
            self.count.refused += 1
            problem = "was replaced while its last line hadn't ended"
            self.count.note(f"{file.growing.path}: {problem}; the line was left out")
        file.growing.close()
        self.files.remove(file)
