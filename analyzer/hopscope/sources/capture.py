"""What the user names on the command line to captures: files, directories, patterns, standard input."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hopscope.errors import InputError, UsageError
from hopscope.records import InputCount

STDIN = "-"
SUFFIXES = (".pcap", ".pcapng", ".cap")
PACKED_SUFFIXES = (".gz", ".zst")
MAGICS = (
    b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1",  # pcap, µs and ns
    b"\x0a\x0d\x0d\x0a",  # pcapng
)  # fmt: skip


@dataclass(frozen=True)
class Capture:
    """One input: `path` is where it is read from ("-" is standard input), `name` what messages call it.

    `size` is its bytes on disk; None where that isn't known before it has been read.
    """

    path: str
    name: str
    size: int | None


def find(names: Iterable[str], count: InputCount) -> list[Capture]:
    """The captures behind the names, in the order given, each once; directories are searched in order of name.

    A name without a capture becomes a problem in `count`. Raises InputError when none is left, and
    UsageError when standard input is named twice.
    """
    captures: dict[str, Capture] = {}
    problems: list[InputError] = []
    stdin_named = False
    for name in names:
        if name == STDIN:
            if stdin_named:
                raise UsageError("standard input is named twice; it can be read once")
            stdin_named = True
        for capture in _captures(name, problems):
            captures.setdefault(STDIN if capture.path == STDIN else os.path.realpath(capture.path), capture)
    if not captures and problems:
        raise nothing_read(problems)
    for problem in problems:
        count.note(str(problem))
    return list(captures.values())


def nothing_read(problems: Sequence[InputError]) -> InputError:
    """The error of a run of which no input could be read: the first one's, the others as its notes."""
    first, *others = problems
    for other in others:
        first.add_note(str(other))
    return first


def _captures(name: str, problems: list[InputError]) -> Iterator[Capture]:
    if name == STDIN:
        yield Capture(STDIN, "standard input", None)
    elif os.path.isdir(name):
        found = len(problems)
        for path in _below(name, problems):
            found = -1
            yield _file(path)
        if found == len(problems):
            wanted = ", ".join(SUFFIXES)
            problems.append(
                InputError(name, "no capture in this directory", f"name a file, or a directory with {wanted} files")
            )
    elif os.path.exists(name):
        yield _file(name)
    elif glob.has_magic(name):
        matches = [m for m in sorted(glob.glob(name, recursive=True)) if os.path.isfile(m)]
        if not matches:
            problems.append(InputError(name, "the pattern fits no file", "check the pattern and the directory"))
        yield from map(_file, matches)
    else:
        problems.append(InputError(name, "no such file or directory", "check the path"))


def _file(path: str) -> Capture:
    """A pipe or device has no size; a file that vanished meanwhile is reported when it is opened."""
    return Capture(path, path, os.path.getsize(path) if os.path.isfile(path) else None)


def _below(directory: str, problems: list[InputError]) -> Iterator[str]:
    """The captures below a directory, links to other directories not followed."""

    def unreadable(e: OSError) -> None:
        problems.append(InputError(str(e.filename), f"can't be searched ({e.strerror})", "check its permissions"))

    for parent, folders, files in os.walk(directory, onerror=unreadable):
        folders.sort()
        for file in sorted(files):
            path = os.path.join(parent, file)
            if os.path.isfile(path) and (_named_like_a_capture(file) or _begins_like_a_capture(path)):
                yield path


def _named_like_a_capture(file: str) -> bool:
    name = file.lower()
    for packed in PACKED_SUFFIXES:
        name = name.removesuffix(packed)
    # tcpdump -C appends a number to the name: trace.pcap1
    return name.rstrip("0123456789").endswith(SUFFIXES)


def _begins_like_a_capture(path: str) -> bool:
    try:
        with Path(path).open("rb", buffering=0) as f:
            return (f.read(4) or b"").startswith(MAGICS)
    except OSError:
        return False
