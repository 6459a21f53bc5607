"""The allowlist as it is listed: what each entry covers, hides and is doubtful for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from hopscope import labels, options, places, store
from hopscope.allow import matched
from hopscope.allow.applying import counts
from hopscope.allow.doubts import doubts
from hopscope.allow.entries import CONDITIONS, Entry
from hopscope.allow.matching import judge, subject
from hopscope.allow.showing import made
from hopscope.allow.using import Using
from hopscope.findings import Finding
from hopscope.outputs import words
from hopscope.outputs.page import Row

LABELS = 10
ITEMS = 6  # of a condition that are shown


@dataclass(frozen=True)
class Listed:
    """An entry with what it does: `findings` of the last run that it hides or lowers, `last` the day it matched."""

    entry: Entry
    findings: tuple[Finding, ...]
    last: date | None
    warnings: tuple[str, ...]


def hidden_by(using: Using, store_file: str | None) -> dict[str, list[Finding]]:
    """The kept findings that each entry in force covers, by its id."""
    return _covered(using, _kept(store_file, None))


def listed(using: Using, store_file: str | None, labels_file: str | None, now: datetime) -> list[Listed]:
    """The entries in the file's order."""
    kept = _kept(store_file, labels_file)
    if kept:
        using.over(kept, made(options.kept(store_file)))  # keeps when entries matched
    covered = _covered(using, kept)
    last = matched.last(places.matches_file(os.environ), using.path)
    today = now.date()
    out = []
    for entry in using.allowlist.entries:
        mine = covered.get(entry.id, [])
        doubtful = doubts(entry, using.allowlist, mine, last.get(entry.id), today)
        out.append(Listed(entry, tuple(mine), last.get(entry.id), tuple(doubtful)))
    return out


def _kept(store_file: str | None, labels_file: str | None) -> list[Finding]:
    """What the last run found, with what labels say; nothing where there was no run and none was named."""
    path = options.kept(store_file)
    if store_file is None and not path.exists():
        return []
    said = labels.read(Path(labels_file) if labels_file is not None else places.labels_file(os.environ))
    return labels.marked(store.read(path), said)


def _covered(using: Using, kept: Sequence[Finding]) -> dict[str, list[Finding]]:
    today = using.today
    out: dict[str, list[Finding]] = {}
    force = [e for e in using.allowlist.entries if e.in_force(today)]
    for finding in kept:
        about = subject(finding)
        for entry in force:
            if judge(entry, about, using.allowlist.asn_of).holds:
                out.setdefault(entry.id, []).append(finding)
    return out


def rows(entries: Sequence[Listed], path: Path, today: date) -> Iterator[Row]:
    """The page of `hopscope allow list`."""
    for e in entries:
        by = f" ({e.entry.author})" if e.entry.author else ""
        yield Row(f"{e.entry.id}  {e.entry.reason}{by}", style="bold" if e.entry.in_force(today) else "dim")
        for condition in CONDITIONS:
            values = [f"AS{v}" if condition == "asns" else str(v) for v in getattr(e.entry, condition)]
            if values:
                what = "leaves out" if condition == "heuristics" else condition
                yield Row(words.listed(values, ITEMS), what, LABELS + 4, indent=2)
        does = "lowers" if e.entry.heuristics else "hides"
        found = f"{words.plural(len(e.findings), 'finding')} of the last run ({counts(e.findings)})"
        yield Row(found if e.findings else "no finding of the last run", does, LABELS + 4, indent=2)
        yield Row(_days(e.last, today) if e.last else "not yet", "matched", LABELS + 4, indent=2)
        yield Row(_days(e.entry.expires, today) if e.entry.expires else "never", "expires", LABELS + 4, indent=2)
        for warning in e.warnings:
            yield Row(warning, "warning", LABELS + 4, indent=2, style="yellow")
        yield Row()
    what = f"{words.plural(len(entries), 'allowlist entry')} in {words.place(path)}"
    yield Row(what if entries else f"no allowlist entries in {words.place(path)}; hopscope allow add makes one")


def _days(day: date, today: date) -> str:
    left = (day - today).days
    ago = f"in {words.plural(left, 'day')}" if left > 0 else f"{words.plural(-left, 'day')} ago" if left else "today"
    return f"{day}, {ago}"


def to_json(e: Listed) -> str:
    """An entry as one line: conditions as texts, days as ISO 8601, `expires` null for never."""
    conditions = {c: [f"AS{v}" if c == "asns" else str(v) for v in getattr(e.entry, c)] for c in CONDITIONS}
    return json.dumps({
        "id": e.entry.id, "reason": e.entry.reason, "author": e.entry.author, "added": _iso(e.entry.added),
        "expires": _iso(e.entry.expires), **{c: v for c, v in conditions.items() if v}, "last_match": _iso(e.last),
        "findings": [f.id for f in e.findings], "warnings": list(e.warnings),
    })  # fmt: skip


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
