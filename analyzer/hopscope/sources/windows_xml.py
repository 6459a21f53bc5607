"""Windows events from XML: `wevtutil qe /f:xml` (events in a row), the Event Viewer's export (within Events).

Each Event element is parsed by itself or with its neighbours, and nothing of what stands outside: no declaration of a
document type or an entity ever reaches the parser, and what refers to one is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from hopscope.records import HOST_EVENT_IDS
from hopscope.sources.windows_rows import ANY_ID, IDS, Gathered, provider_of
from hopscope.sources.windows_shapes import data_of

MOST_BYTES = 1 << 22  # of one event; what goes on longer has lost its end
TOGETHER = 64  # events parsed at once; trees of more slow the garbage collector down

_BEGIN = re.compile(rb"<Event[\s>]")
_END = b"</Event>"
_WANTED = re.compile(rf"<EventID[^<>]*+>\s*+(?:{ANY_ID})\s*</EventID>".encode())


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
    for first in range(0, len(found), TOGETHER):
        some = found[first : first + TOGETHER]
        try:
            _parse(some, into)
        except ElementTree.ParseError:
            for event in some:
                try:
                    _parse([event.decode("utf-8", "replace").encode()], into)
                except ElementTree.ParseError:
                    into.strange += 1
    return text[at:]


def _parse(events: list[bytes], into: Gathered) -> None:
    """Parse events and take them all, or none where one is broken. Raises ElementTree.ParseError."""
    # within an element a document type is an error of syntax, so that no entity can be declared
    root = ElementTree.fromstring(b"".join((b"<Events>", *events, b"</Events>")))  # noqa: S314
    for event in root:
        space = event.tag.removesuffix("Event")
        system = event.find(space + "System")
        if system is None:
            into.strange += 1
            continue
        provider = system.find(space + "Provider")
        name = None if provider is None else provider.get("Name")
        known = provider_of(name, system.findtext(space + "Channel"))
        event_id = IDS.get(system.findtext(space + "EventID", "").strip())
        if known is None or event_id not in HOST_EVENT_IDS[known]:
            into.others += 1
            continue
        created = system.find(space + "TimeCreated")
        time = None if created is None else created.get("SystemTime")
        record, host = system.findtext(space + "EventRecordID"), system.findtext(space + "Computer")
        data = event.find(space + "EventData")
        values = {} if data is None else {item.get("Name", ""): (item.text or "").strip() for item in data}
        into.add(known, event_id, record, host, time, data_of(values))
