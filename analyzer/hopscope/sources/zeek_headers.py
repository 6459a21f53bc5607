"""What a log says of itself: which log it is, how its lines are written, what its columns are called."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from hopscope.sources.zeek_values import Marks

USED = ("conn", "dns", "ssl", "x509", "http", "ssh", "socks", "hopscope", "hopscope_dns")
OPEN = "open_"  # logs of what is still open, written from time to time, are named so

_LOGS = "|".join(sorted(USED, key=len, reverse=True))
_NAMES = re.compile(rf"^(?:json_streaming_)?(?P<open>{OPEN})?(?P<log>{_LOGS})(?=$|\.|[-_]?[0-9])")
_JSON_PATH = re.compile(rb'"_path"\s*:\s*"([^"\\]{1,64})"')


@dataclass(frozen=True)
class Header:
    """The header lines of a log in tab-separated form. `path` is None where it doesn't say which log it is."""

    columns: tuple[str, ...] = ()
    path: str | None = None
    marks: Marks = field(default_factory=Marks)

    def then(self, line: bytes) -> Header:
        """The header with one more of its lines; a line that says nothing of use changes nothing."""
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if text.startswith("#separator"):
            separator = _plain(text[len("#separator ") :])
            # columns are told apart by one byte, which ends no line; a log that names another is refused line by line
            fits = len(separator) == 1 and separator.isascii() and separator not in "\r\n\0"
            return Header(marks=Marks(separator=separator if fits else "\t"))
        key, _, value = text.partition(self.marks.separator)
        match key:
            case "#fields":
                return replace(self, columns=tuple(value.split(self.marks.separator)))
            case "#path":
                return replace(self, path=value)
            case "#set_separator":
                return replace(self, marks=replace(self.marks, set_separator=_plain(value) or ","))
            case "#empty_field":
                return replace(self, marks=replace(self.marks, empty=_plain(value)))
            case "#unset_field":
                return replace(self, marks=replace(self.marks, unset=_plain(value)))
            case _:
                return self


def bare(line: bytes, known: Collection[str]) -> Header | None:
    """The header of a log whose first line is nothing but its columns' names, as LogAscii::tsv writes it."""
    names = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
    return Header(columns=tuple(names)) if len(set(names) & set(known)) > 2 else None


def log_named(name: str) -> tuple[str, bool] | None:
    """Which of the used logs a path or file name stands for, and whether it tells of what is still open."""
    found = _NAMES.match(name)
    return None if found is None else (found["log"], found["open"] is not None)


def json_paths(lines: bytes) -> set[str]:
    """The logs that lines of JSON say they belong to."""
    return {path.decode("utf-8", "replace") for path in _JSON_PATH.findall(lines)}


def _plain(text: str) -> str:
    """A mark as it is: headers write bytes that aren't printable as \\xNN."""
    return re.sub(r"\\x([0-9a-fA-F]{2})", lambda hexadecimal: chr(int(hexadecimal[1], 16)), text)
