"""Windows events from XML: `wevtutil qe /f:xml` (events in a row), the Event Viewer's export (within Events).

Each Event element is parsed by itself or with its neighbours, and nothing of what stands outside: no declaration of a
document type or an entity ever reaches the parser, and what refers to one is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from xml.parsers import expat

from hopscope.sources.windows_rows import EVENTS, Gathered, data_of, provider_of

MOST_BYTES = 1 << 22  # of one event; what goes on longer has lost its end

_BEGIN = re.compile(rb"<Event[\s>]")
_END = b"</Event>"
_WANTED = re.compile(rb"<EventID[^>]*>\s*(?:3|22|5156|5157)\s*</EventID>")


def events(pieces: Iterable[bytes], into: Gathered) -> Iterator[None]:
    """Take events, pausing after each piece."""
    rest = b""
    for piece in pieces:
        text = rest + piece
        rest = _take(text, into)
        if len(rest) > MOST_BYTES:
            into.strange, rest = into.strange + 1, b""
        yield
    if _BEGIN.search(rest):
        into.strange += 1  # cut off


def _take(text: bytes, into: Gathered) -> bytes:
    """Take the events that are complete; the rest is what begins behind them."""
    found: list[bytes] = []
    at = 0
    while begin := _BEGIN.search(text, at):
        end = text.find(_END, begin.start())
        if end < 0:
            at = begin.start()
            break
        at = end + len(_END)
        if _WANTED.search(text, begin.start(), at):
            found.append(text[begin.start() : at])
        else:
            into.others += 1
    else:
        at = max(at, len(text) - len(b"<Event"))  # the beginning of one may be cut
    try:
        _parse(found, into)
    except expat.ExpatError:
        for event in found:
            try:
                _parse([event], into)
            except expat.ExpatError:
                into.strange += 1
    return text[at:]


def _parse(events: list[bytes], into: Gathered) -> None:
    """Parse events and take them all, or none where one is broken. Raises expat.ExpatError."""
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.Parse(b"<Events>", False)
    for event in events:
        parser.Parse(event, False)
    parser.Parse(b"</Events>", True)
    for system, data in reader.events:
        _add(system, data, into)


def _add(system: dict[str, str], data: dict[str, str], into: Gathered) -> None:
    try:
        event_id = int(system.get("EventID", ""))
    except ValueError:
        into.strange += 1
        return
    provider = provider_of(system.get("Provider"), system.get("Channel"))
    if provider is None or event_id not in EVENTS[provider]:
        into.others += 1
        return
    record, host, time = system.get("EventRecordID"), system.get("Computer"), system.get("TimeCreated")
    into.add(provider, event_id, record, host, time, data_of(data))


class _Reader:
    """The values of System and EventData of each event. Rendered text, which repeats them, is left out."""

    def __init__(self) -> None:
        self.events: list[tuple[dict[str, str], dict[str, str]]] = []
        self._path: list[str] = []
        self._system: dict[str, str] = {}
        self._data: dict[str, str] = {}
        self._into: dict[str, str] | None = None
        self._name = ""
        self._told: list[str] = []

    def start(self, tag: str, attributes: dict[str, Any]) -> None:
        path = self._path
        path.append(tag)
        if len(path) == 2:
            self._system, self._data = {}, {}
        elif len(path) == 4 and path[2] == "EventData" and tag == "Data":
            self._into, self._name, self._told = self._data, attributes.get("Name", ""), []
        elif len(path) == 4 and path[2] == "System":
            self._into, self._name, self._told = self._system, tag, []
            for name in ("Name", "SystemTime"):
                if name in attributes:
                    self._system[tag] = attributes[name]

    def text(self, text: str) -> None:
        if self._into is not None:
            self._told.append(text)

    def end(self, tag: str) -> None:
        self._path.pop()
        if self._into is not None and len(self._path) == 3:
            told = "".join(self._told).strip()
            if told:
                self._into[self._name] = told
            self._into = None
        elif len(self._path) == 1:
            self.events.append((self._system, self._data))
