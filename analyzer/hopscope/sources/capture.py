"""What the user names on the command line to inputs: files, directories, patterns, standard input.

Captures and files of Windows events are inputs each for itself; all of Zeek's logs together are one, because they
are read side by side.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hopscope.errors import InputError, UsageError
from hopscope.records import InputCount
from hopscope.sources import windows_events
from hopscope.sources.windows_events import EVTX_MAGIC, EventFile

if TYPE_CHECKING:
    from hopscope.sources.zeek_files import LogArchive, LogFile

STDIN = "-"
SUFFIXES = (".pcap", ".pcapng", ".cap")
PACKED_SUFFIXES = (".gz", ".zst")
LOG_SUFFIXES = (".json", ".jsonl", ".ndjson", ".tsv")  # besides .log anywhere in the name
EVENT_SUFFIXES = (".evtx", ".xml", ".json", ".jsonl", ".ndjson")
EVENT_BEGINS = (EVTX_MAGIC[:4],)
LOG_BEGINS = (b"#sep", b"#fie", b"#pat")
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


def find(names: Iterable[str], count: InputCount) -> list[EventFile | Capture | LogArchive]:
    """The inputs behind the names: files of events, so that these are known before connections; captures; both in
    the order given, each once; then what there is of Zeek's logs.

    Directories are searched in order of name; where logs and captures lie in one, the logs are read, and events
    beside either. A name without an input becomes a problem in `count`. Raises InputError when none is left, and
    UsageError when standard input is named twice.
    """
    events: dict[str, EventFile] = {}
    captures: dict[str, Capture] = {}
    logs: dict[str, LogFile] = {}
    problems: list[InputError] = []
    named: list[str] = []
    for name in names:
        if name == STDIN and STDIN in named:
            raise UsageError("standard input is named twice; it can be read once")
        named.append(name)
        for found in _inputs(name, problems, count):
            if isinstance(found, Capture):
                captures.setdefault(STDIN if found.path == STDIN else os.path.realpath(found.path), found)
            elif isinstance(found, EventFile):
                events.setdefault(os.path.realpath(found.path), found)
            else:
                logs.setdefault(os.path.realpath(found.path), found)
    if not captures and not logs and not events and problems:
        raise nothing_read(problems)
    for problem in problems:
        count.note(str(problem))
    return [*events.values(), *captures.values(), *([_archive(named, list(logs.values()))] if logs else [])]


def nothing_read(problems: Sequence[InputError]) -> InputError:
    """The error of a run of which no input could be read: the first one's, the others as its notes."""
    first, *others = problems
    for other in others:
        first.add_note(str(other))
    return first


def _inputs(name: str, problems: list[InputError], count: InputCount) -> Iterator[EventFile | Capture | LogFile]:
    if name == STDIN:
        yield Capture(STDIN, "standard input", None)
    elif os.path.isdir(name):
        before = len(problems)
        found = list(_below(name, problems))
        logs = [f for f in found if not isinstance(f, Capture | EventFile)]
        captures = [f for f in found if isinstance(f, Capture)]
        if not found and len(problems) == before:
            wanted = ", ".join(SUFFIXES)
            remedy = f"name a file, or a directory with {wanted} files, Zeek's logs or Windows events"
            problems.append(InputError(name, "no capture, no Zeek log and no Windows events in this directory", remedy))
        if logs and captures:
            some = f"{len(captures):,} captures" if len(captures) > 1 else "1 capture"
            count.note(
                f"{name}: Zeek's logs were read, not the {some} beside them ({captures[0].name}"
                f"{' and others' if len(captures) > 1 else ''}); name captures themselves to have them read"
            )
        yield from (f for f in found if isinstance(f, EventFile))
        yield from logs or captures
    elif os.path.exists(name):
        yield from _file(name, problems)
    elif glob.has_magic(name):
        matches = [m for m in sorted(glob.glob(name, recursive=True)) if os.path.isfile(m)]
        if not matches:
            problems.append(InputError(name, "the pattern fits no file", "check the pattern and the directory"))
        for match in matches:
            yield from _file(match, problems)
    else:
        problems.append(InputError(name, "no such file or directory", "check the path"))


def _file(path: str, problems: list[InputError]) -> Iterator[EventFile | Capture | LogFile]:
    """A file that is no log at all is taken for a capture: the sensor tells what is wrong with it.

    A pipe or device has no size, and isn't looked into before it is read; a file that vanished meanwhile is
    reported when it is opened.
    """
    if not os.path.isfile(path) or named_like_a_capture(path) or _begins_like(path, MAGICS):
        yield Capture(path, path, os.path.getsize(path) if os.path.isfile(path) else None)
        return
    before = len(problems)
    found = (_named_like_events(path) and _events(path, problems)) or _log(path, problems)
    if not found and len(problems) == before and not _named_like_events(path):
        found = _events(path, problems)
    if found:
        yield found
    elif len(problems) == before and _is_another_log(path):
        from hopscope.sources.zeek_headers import USED

        used = ", ".join(USED)
        problems.append(InputError(path, "this log of Zeek's isn't used", f"the logs that are: {used}"))
    elif len(problems) == before:
        yield Capture(path, path, os.path.getsize(path))


def _below(directory: str, problems: list[InputError]) -> Iterator[EventFile | Capture | LogFile]:
    """The captures and logs below a directory, links to other directories not followed."""

    def unreadable(e: OSError) -> None:
        problems.append(InputError(str(e.filename), f"can't be searched ({e.strerror})", "check its permissions"))

    for parent, folders, files in os.walk(directory, onerror=unreadable):
        folders.sort()
        for file in sorted(files):
            path = os.path.join(parent, file)
            if not os.path.isfile(path):
                continue
            if named_like_a_capture(file) or _begins_like(path, MAGICS):
                yield Capture(path, path, os.path.getsize(path))
            elif (_named_like_events(file) or _begins_like(path, EVENT_BEGINS)) and (events := _events(path, problems)):
                yield events
            elif _named_like_a_log(file) or _begins_like(path, LOG_BEGINS):
                log = _log(path, problems)
                if log is not None:
                    yield log


def _log(path: str, problems: list[InputError]) -> LogFile | None:
    from hopscope.sources import zeek_files

    try:
        return zeek_files.look(path)
    except InputError as e:
        problems.append(e)
        return None


def _events(path: str, problems: list[InputError]) -> EventFile | None:
    """A file that can't be opened is told of when it is looked at as a log."""
    try:
        found = windows_events.look(path)
    except InputError:
        return None
    if found is None and _without_packing(path).endswith(".evtx"):
        remedy = "copy it again; a log that Windows has open is exported with wevtutil epl"
        problems.append(InputError(path, "this is no event log (it doesn't begin with ElfFile)", remedy))
    return found


def _is_another_log(path: str) -> bool:
    from hopscope.sources import zeek_files

    return zeek_files.reads_like_a_log(path)


def _archive(named: list[str], logs: list[LogFile]) -> LogArchive:
    from hopscope.sources import zeek_files

    return zeek_files.archive(named[0] if len(named) == 1 else f"{len(logs):,} logs", logs)


def _without_packing(file: str) -> str:
    name = file.lower()
    for packed in PACKED_SUFFIXES:
        name = name.removesuffix(packed)
    return name


def _named_like_events(file: str) -> bool:
    return _without_packing(file).endswith(EVENT_SUFFIXES)


def _named_like_a_log(file: str) -> bool:
    name = _without_packing(file)
    return ".log" in name or name.endswith(LOG_SUFFIXES)


def named_like_a_capture(file: str) -> bool:
    """A name that captures have, packed or not."""
    # tcpdump -C appends a number to the name: trace.pcap1
    return _without_packing(file).rstrip("0123456789").endswith(SUFFIXES)


def _begins_like(path: str, magics: tuple[bytes, ...]) -> bool:
    try:
        with Path(path).open("rb", buffering=0) as f:
            return (f.read(4) or b"").startswith(magics)
    except OSError:
        return False
