"""The bytes of a log, as they come, to runs of whole lines that are written alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hopscope.errors import InputError
from hopscope.sources import zeek_headers
from hopscope.sources.zeek_columns import Place
from hopscope.sources.zeek_headers import Header

LONGEST_LINE = 1 << 24  # bytes; what has no end by then is no line of a log
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Lines:
    """Whole lines of one log, of which `place.offset` is the first byte's place.

    `header` is None for JSON; `log` is None where each line of JSON says which log it belongs to. `is_open`:
    they tell of what was still open when they were written.
    """

    log: str | None
    is_open: bool
    header: Header | None
    data: bytes
    place: Place


class Splitter:
    """Takes a log's bytes in any portions. `named` is the log that the file's name stands for."""

    def __init__(self, place: Place, named: tuple[str, bool] | None, known: frozenset[str]) -> None:
        self.rest = b""  # a line that hasn't ended yet
        self._place, self._named, self._known = place, named, known
        self._offset = 0  # of the first byte in hand
        self._header = Header()

    def feed(self, data: bytes) -> Iterator[Lines]:
        """The whole lines in hand, without those of logs that aren't used.

        Raises InputError when lines are neither JSON nor stand under the names of their columns.
        """
        data = self.rest + data if self.rest else data
        end = data.rfind(b"\n") + 1
        self.rest = data[end:]
        at = len(_BOM) if self._offset == 0 and data.startswith(_BOM) else 0
        while at < end:
            first = data[at : at + 1]
            if first in b"\r\n#":
                stop = data.find(b"\n", at) + 1
                self._header = self._header.then(data[at:stop])
                at = stop
                continue
            stop = _run_end(data, at, end)
            if first != b"{" and not self._header.columns:
                at = self._names_alone(data, at)
                continue
            self._place.offset = self._offset + at
            lines = self._json(data[at:stop]) if first == b"{" else self._separated(data[at:stop])
            if lines is not None:
                yield lines
            at = stop
        self._offset += end
        if len(self.rest) > LONGEST_LINE:
            self._place.offset = self._offset
            self._place.refuse(1, "a line doesn't end", 0)
            self._offset += len(self.rest)
            self.rest = b""

    def _names_alone(self, data: bytes, at: int) -> int:
        stop = data.find(b"\n", at) + 1
        header = zeek_headers.bare(data[at:stop], self._known)
        if header is None:
            raise InputError(
                self._place.name,
                "its lines are neither JSON nor have a header with the columns' names (#fields)",
                "give the log as Zeek wrote it",
            )
        self._header = header
        return stop

    def _separated(self, data: bytes) -> Lines | None:
        path = self._header.path
        told = self._named if path is None else zeek_headers.log_named(path)
        if told is None:
            return None
        is_open = told[1] or (self._named is not None and self._named[1])
        return Lines(told[0], is_open, self._header, data, self._place)

    def _json(self, data: bytes) -> Lines | None:
        first = data[: data.find(b"\n")]
        told = [zeek_headers.log_named(path) for path in zeek_headers.json_paths(first)]
        if not told:
            return None if self._named is None else Lines(*self._named, None, data, self._place)
        one = self._named is not None and told[0] is not None and told[0][0] == self._named[0]
        log = told[0][0] if one and told[0] is not None else None
        return Lines(log, self._named is not None and self._named[1], None, data, self._place)


def _run_end(data: bytes, at: int, end: int) -> int:
    """Where lines of a header follow the lines at `at`, else the end."""
    if data.find(b"#", at, end) < 0:  # a single byte is found many times faster, and mostly isn't there
        return end
    found = data.find(b"\n#", at, end)
    return end if found < 0 else found + 1
