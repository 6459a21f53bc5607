"""Windows events from files: which file holds them, in which form, and their records.

Used are Sysmon's events 3 (network connection) and 22 (DNS query), and Security's 5156 and 5157 (connection permitted,
blocked); others are passed over and counted. The forms are EVTX, JSON and XML (docs/host-events.md).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hopscope.errors import InputError
from hopscope.records import Batch, InputCount

if TYPE_CHECKING:
    from hopscope.sensor.unpack import Source
    from hopscope.sources.windows_rows import Gathered

Form = Literal["evtx", "json lines", "json", "xml"]

EVTX_MAGIC = b"ElfFile\0"
HEAD_BYTES = 1 << 18
BATCH_EVENTS = 50_000
BATCH_BYTES = 1 << 26  # of columns, where events are long
# what was read is never given back (the pluses): comments could be taken together in 2^n ways
_XML = re.compile(
    rb"\s*+(?>(?:<\?xml[^>]*+>|<!--.*?-->|<!DOCTYPE[^\[>]*+(?:\[.*?\]\s*+)?>)\s*+)*+<Events?[\s>]", re.DOTALL
)


@dataclass(frozen=True)
class EventFile:
    """A file with Windows events: `path` is where it is read from, `name` what messages call it, `size` its bytes on
    disk, `form` how it is written."""

    path: str
    name: str
    size: int | None
    form: Form


_AGAIN = "export the file again"
_DEPTH = "of Get-WinEvent's, ConvertTo-Json -Depth 4 writes them"


def look(path: str) -> EventFile | None:
    """The file of events that a file is, None when it is none. Raises InputError when it can't be opened.

    What it holds decides, whatever it is called; of JSON the first objects must look like a host's events.
    """
    from hopscope.sensor.unpack import Source

    with Source(path, path) as source:
        form = _form(source)
    return None if form is None else EventFile(path, path, os.path.getsize(path), form)


def records(file: EventFile, count: InputCount, tell: Callable[[int], None] | None = None) -> Iterator[Batch]:
    """The events of a file in its order, in batches of some 50,000. What isn't used or understood is counted.

    Raises InputError when it can't be opened, and when nothing at all could be read of it.
    """
    from hopscope.sensor.unpack import Source
    from hopscope.sources.windows_rows import Gathered

    gathered, taken = Gathered(), False
    with Source(file.path, file.name, tell) as source:
        for _ in _reader(file.form, source, gathered):
            if gathered.settle() >= BATCH_EVENTS or gathered.size() >= BATCH_BYTES:
                taken = True
                yield Batch(host_events=gathered.batch())
        if gathered.settle():
            taken = True
            yield Batch(host_events=gathered.batch())
    damage = source.damage
    gathered.cut &= damage is None  # that says why it ends
    problems = list(_problems(file.name, gathered))
    count.refused += gathered.strange + gathered.timeless + gathered.bare + gathered.odd
    if not taken and not gathered.others:
        if damage is not None:
            raise InputError(file.name, damage.problem, damage.remedy, damage.offset)
        if problems:
            for problem in problems[1:]:
                count.note(str(problem))
            raise problems[0]
    count.inputs += 1
    count.passed_over += gathered.others
    if damage is not None:
        count.note(damage.line(file.name))
    for problem in problems:
        count.note(str(problem))


def _problems(name: str, gathered: Gathered) -> Iterator[InputError]:
    if gathered.cut:
        yield InputError(name, "the file ends in the middle, what it held behind that is lost", "copy it again")
    for number, one, several, what, remedy in (
        (gathered.strange, "record or line", "records or lines", "not understood and left out", _AGAIN),
        (gathered.timeless, "event", "events", "without a readable time left out", "export times in ISO 8601"),
        (gathered.bare, "event", "events", "without process, address and name left out", _DEPTH),
        (gathered.odd, "address or port", "addresses or ports", "not valid", "the event was kept without it"),
    ):
        if number:
            yield InputError(name, f"{number:,} {one if number == 1 else several} {what}", remedy)


def _reader(form: Form, source: Source, into: Gathered) -> Iterator[None]:
    from hopscope.sources import windows_evtx, windows_json, windows_text, windows_xml

    if form == "evtx":
        return windows_evtx.events(source, into)
    pieces = windows_text.pieces(source)
    if form == "xml":
        return windows_xml.events(pieces, into)
    return windows_json.lines(pieces, into) if form == "json lines" else windows_json.objects(pieces, into)


def _form(source: Source) -> Form | None:
    from hopscope.sources import windows_text

    head = next(windows_text.pieces(source, HEAD_BYTES), b"")
    if head.startswith(EVTX_MAGIC):
        return "evtx"
    text = head.lstrip()
    if text.startswith(b"<"):
        return "xml" if _XML.match(text) and b"<EventID" in text else None
    if not text.startswith((b"{", b"[")) and b"\n{" not in text:
        return None
    from hopscope.sources import windows_json
    from hopscope.sources.windows_rows import Gathered

    found = Gathered()
    is_lines = windows_json.is_lines(text)
    for _ in (windows_json.lines if is_lines else windows_json.objects)([text], found):
        pass
    if found.others or found.settle() or found.timeless or found.bare:
        return "json lines" if is_lines else "json"
    return None
