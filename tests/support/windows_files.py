"""Windows events as the files that hosts export: one event's data in each of the forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

PROVIDERS = {
    "sysmon": ("Microsoft-Windows-Sysmon", "Microsoft-Windows-Sysmon/Operational"),
    "security": ("Microsoft-Windows-Security-Auditing", "Security"),
}
TIME = "2026-11-22T10:00:00.1234567Z"


class Event(NamedTuple):
    """An event: `data` as its EventData names it."""

    provider: str
    event_id: int
    data: Mapping[str, str]
    record: int = 1
    host: str = "ws1.example"


def write_json(path: Path, events: list[Event]) -> None:
    """JSON lines in the form of evtx_dump."""
    lines = []
    for e in events:
        name, channel = PROVIDERS[e.provider]
        system = {
            "Provider": {"#attributes": {"Name": name}}, "EventID": e.event_id, "Channel": channel,
            "EventRecordID": e.record, "Computer": e.host, "TimeCreated": {"#attributes": {"SystemTime": TIME}},
        }  # fmt: skip
        lines.append(json.dumps({"Event": {"System": system, "EventData": dict(e.data)}}) + "\n")
    path.write_text("".join(lines))


def write_xml(path: Path, events: list[Event]) -> None:
    """A row of elements without a root, as `wevtutil qe /f:xml` writes them."""
    lines = []
    for e in events:
        name, channel = PROVIDERS[e.provider]
        data = "".join(f"<Data Name={quoteattr(key)}>{escape(value)}</Data>" for key, value in e.data.items())
        lines.append(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
            f"<Provider Name='{name}'/><EventID>{e.event_id}</EventID><TimeCreated SystemTime='{TIME}'/>"
            f"<EventRecordID>{e.record}</EventRecordID><Channel>{channel}</Channel><Computer>{escape(e.host)}</Computer>"
            f"</System><EventData>{data}</EventData></Event>\n"
        )
    path.write_text("".join(lines))


FORMS: dict[str, Callable[[Path, list[Event]], None]] = {"json": write_json, "xml": write_xml}
"""What writes each form."""
