"""Quantities and places in words, the same in every output.

Text from the wire passes through unchanged: `page` makes it harmless where it reaches the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hopscope.findings import FarEnd, Finding, Process, RuleMatch, endpoint

STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": ""}
"""How a severity looks on a terminal that has colours."""


def plural(count: int, noun: str) -> str:
    """`1 record`, `12,345 records`, `2 queries`, `3 matches`."""
    if count == 1:
        return f"1 {noun}"
    if noun.endswith("ch"):
        return f"{count:,} {noun}es"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("ry") else f"{count:,} {noun}s"


def milliseconds(ms: float) -> str:
    """`0.8 ms`, `20 ms`, `1.25 s`: three digits at most before the unit changes."""
    if abs(ms) >= 999.5:
        return seconds(ms / 1000)
    return f"{ms:.0f} ms" if abs(ms) >= 9.95 else f"{ms:.1f} ms"


def seconds(value: float) -> str:
    """`155 ms`, `2.5 s`, `4 min 10 s`, `3 h 20 min`."""
    size = abs(value)
    if size < 0.9995:
        return milliseconds(value * 1000)
    if size < 99.5:
        return f"{value:.3g} s"
    minutes, rest = divmod(round(size), 60)
    sign = "-" if value < 0 else ""
    if minutes < 60:
        return f"{sign}{minutes} min {rest} s"
    return f"{sign}{minutes // 60} h {minutes % 60} min"


def octets(count: float) -> str:
    """`517 bytes`, `1.5 kB`, `20 MB` (thousands, as disks and links count)."""
    if abs(count) < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB"):
        count /= 1000
        if abs(count) < 999.5:
            return f"{count:.3g} {unit}"
    return f"{count / 1000:,.3g} GB"


def decibans(value: float) -> str:
    """Signed, one decimal: `+12.0`, `-3.5`, `0.0`; a typewriter's minus, so that it can be searched for."""
    return "0.0" if abs(value) < 0.05 else f"{value:+.1f}"


def quantity(value: Any, unit: str = "") -> str:
    """A fact of an evidence with its unit."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        shown = ", ".join(quantity(v) for v in value[:8])
        shown += f" and {len(value) - 8} more" if len(value) > 8 else ""
        return f"{shown} {unit}".rstrip() if value else "none"
    if isinstance(value, int | float):
        if unit == "s":
            return seconds(value)
        if unit == "ms":
            return milliseconds(value)
        if unit == "bytes":
            return octets(value)
        number = f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if unit else str(value)
        return number if unit in ("", "fraction") else f"{number} {unit}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {quantity(v)}" for k, v in value.items())
    return f"{value} {unit}".rstrip()


def entity(finding: Finding) -> str:
    """What a finding is about, in words."""
    about = finding.entity
    if about.kind == "service":
        return f"the service at {_place(finding)}"
    return f"the {about.kind} {about.value}"


def hop(finding: Finding) -> str:
    """The hop with its port and transport, and the names it was asked for."""
    return _place(finding) + (f" ({listed(finding.names, 3)})" if finding.names else "")


def _place(finding: Finding) -> str:
    return endpoint(finding.hop, finding.port, finding.proto)


def behind(known: FarEnd) -> str | None:
    """Where the far end is, in short; None when nothing is known of it."""
    parts = []
    if known.leaked is not None:
        parts.append(f"{known.leaked}, named in clear by the relay")
    if known.seen is not None and known.seen != known.leaked:
        parts.append(f"{known.seen}, to which the other leg was seen")
    if known.asked is not None and known.asked != known.leaked:
        parts.append(f"{known.asked}, which the client asked it for")
    if known.distance_ms is not None:
        spread = "" if known.spread_ms is None else f", give or take {milliseconds(known.spread_ms)}"
        parts.append(f"about {milliseconds(known.distance_ms)} behind the hop{spread}")
    return "; ".join(parts) or None


def far_end(known: FarEnd) -> str | None:
    """The same with the two times that it rests on, as sentences."""
    parts = [short] if (short := behind(known)) is not None else []
    if known.hop_rtt_ms is not None and known.answer_rtt_ms is not None:
        parts.append(
            f"the address answers from {milliseconds(known.hop_rtt_ms)} away, "
            f"what it relays to answers from {milliseconds(known.answer_rtt_ms)}"
        )
    return "; ".join(parts) or None


def process(known: Process) -> str:
    """A program that a host names, whose it is, and how many connections its events were matched with."""
    events = plural(known.events, "event")
    if not known.connections:
        return f"{program(known)}: {events} of its host, none matched with a connection here"
    offset = known.offset_s or 0.0
    clocks = f", {seconds(abs(offset))} {'later' if offset > 0 else 'earlier'} by its host's clock" if offset else ""
    return f"{program(known)}: {events}, {plural(known.connections, 'connection')} matched{clocks}"


def program(known: Process | RuleMatch) -> str:
    """`C:\\agent.exe (pid 812) as CORP\\alice on WS01`."""
    pid = "" if known.pid is None else f" (pid {known.pid})"
    user = "" if known.user is None else f" as {known.user}"
    return f"{known.process or 'a process'}{pid}{user} on {known.host}"


def listed(values: Sequence[str], most: int, of: int | None = None) -> str:
    """`a, b, c and 4 more`; empty when there are none. `of`: how many there are, where fewer are known."""
    shown = values[:most]
    left = (len(values) if of is None else of) - len(shown)
    return ", ".join(shown) + (f" and {left} more" if left > 0 else "")


def moment(text: str) -> str:
    """An RFC 3339 time as `2026-11-21 22:10:02 UTC`; what is no such time stays as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if when.tzinfo is not None else text


def period(first: str, last: str) -> str:
    """From when to when; the day is said once where it is the same."""
    start, end = moment(first), moment(last)
    if start == end:
        return start
    if start[:10] == end[:10] and start.endswith(" UTC") and end.endswith(" UTC"):
        return f"{start[:-4]} to {end[11:]}"
    return f"{start} to {end}"


def place(path: Path) -> str:
    """A path as a person would type it: below the home directory with `~`."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
