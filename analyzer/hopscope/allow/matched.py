"""When each allowlist entry last matched a finding: kept beside the findings, so that dead entries can be told.

A file of state, not of settings: one that is lost or damaged costs what was known of last matches and nothing else.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hopscope import store


def last(path: Path, allowlist: Path) -> dict[str, datetime.date]:
    """The day on which each entry of an allowlist last matched, by its id; empty where nothing is known."""
    days = _read(path).get(_name(allowlist), {})
    out = {}
    for entry, day in days.items() if isinstance(days, Mapping) else ():
        try:
            out[str(entry)] = datetime.date.fromisoformat(day)
        except (TypeError, ValueError):
            continue
    return out


def note(path: Path, allowlist: Path, matched: Collection[str], entries: Collection[str], day: datetime.date) -> None:
    """Keep that the entries `matched` on this day; of the allowlist's other `entries` what is known stays.

    Nothing is written when nothing is new. Raises UsageError when the place can't be written.
    """
    known = last(path, allowlist)
    new = {e: d for e, d in known.items() if e in entries}
    new |= {e: max(day, new.get(e, day)) for e in matched}
    if new == known:
        return
    tree = _read(path) | {_name(allowlist): {e: d.isoformat() for e, d in sorted(new.items())}}
    store.write_private(path, json.dumps(tree, indent=2, sort_keys=True).split("\n"))


def _name(allowlist: Path) -> str:
    return str(allowlist.resolve())


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}
