"""What other settings would change, as a table and as JSON Lines."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hopscope.configuring.catalogue import DISABLED, catalogue
from hopscope.findings import Finding
from hopscope.outputs import words
from hopscope.outputs.escape import ascii_json
from hopscope.outputs.page import Row, table
from hopscope.whatif.changes import Change, Moved, Outcome

LABELS = 10
Differences = Mapping[str, tuple[Any, Any]]


def rows(outcome: Outcome, marks: Mapping[str, Finding]) -> Iterator[Row]:
    """The changes; `marks` has by id the findings as labels and allowlist mark them."""
    if not outcome.changes:
        return
    cells = [("change", "what", "id", "before", "after", "moved most by", "")]
    for change in outcome.changes:
        found = change.finding
        before = _score(change.before_db, change.before)
        after = _score(change.after_db, change.after)
        cells.append((change.kind, found.entity.value, found.id, before, after, _moved(change), _marks(change, marks)))
    yield from table(cells)
    yield Row()


def summary(
    outcome: Outcome, differences: Differences, overrides: int, again: Sequence[str], severity: str
) -> Iterator[Row]:
    """What was supposed, what stays, what labels say, and what was weighed again."""
    yield Row("; ".join(_supposed(differences, overrides)) or "nothing but what is in force", "supposed", LABELS)
    yield Row(f"{words.plural(outcome.same, 'finding')} at {severity} or above", "same", LABELS)
    if outcome.measured is not None:
        before, after = outcome.measured
        yield Row(before.text, "before", LABELS)
        yield Row(after.text, "after", LABELS)
    weighed = ", ".join(again) or "nothing: scores alone were added up anew"
    yield Row(weighed, "weighed", LABELS)


def jsonl(outcome: Outcome, marks: Mapping[str, Finding]) -> Iterator[str]:
    """One line for each change, in ASCII."""
    for change in outcome.changes:
        found = change.finding
        marked = marks.get(found.id, found)
        line = json.dumps({
            "change": change.kind, "id": found.id, "entity": dataclasses.asdict(found.entity), "hop": found.hop,
            "port": found.port, "before": _side(change.before_db, change.before),
            "after": _side(change.after_db, change.after), "moved": _plain(change.why), "label": marked.label,
            "suppression": marked.suppression,
        }, separators=(", ", ": "))  # fmt: skip
        yield ascii_json(line)


def _score(score_db: float, finding: Finding | None) -> str:
    return f"{words.decibans(score_db)} {'not told' if finding is None else finding.severity}"


def _moved(change: Change) -> str:
    if change.why is None:
        untold = change.before is None or change.after is None
        return "which entity is told" if untold else "where the severity begins"
    what, before, after = change.why.what, change.why.before, change.why.after
    return f"{what} {_part(before)} -> {_part(after)}"


def _part(decibans: float | None) -> str:
    return "nothing" if decibans is None else words.decibans(decibans)


def _marks(change: Change, marks: Mapping[str, Finding]) -> str:
    """What else is to be known: another entity than before, a label, an allowlist entry."""
    found = marks.get(change.finding.id, change.finding)
    parts = [found.label] if found.label is not None else []
    if found.suppression is not None:
        parts.append(f"hidden: {found.suppression}")
    if change.before is not None and change.after is not None and change.before.entity != change.after.entity:
        parts.append(f"was told as {change.before.entity.value}")
    return "; ".join(parts)


def _supposed(differences: Differences, overrides: int) -> Iterator[str]:
    known = catalogue()
    for name, (old, new) in differences.items():
        if name == DISABLED:
            yield from (f"{heuristic} disabled" for heuristic in sorted(set(new) - set(old)))
            yield from (f"{heuristic} enabled" for heuristic in sorted(set(old) - set(new)))
            continue
        unit = f" {known[name].unit}" if known[name].unit else ""
        yield f"{name.removeprefix('heuristics.')} {_value(new)}{unit} (was {_value(old)})"
    if overrides:
        yield f"{overrides:+d} overrides"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return words.listed([str(v) for v in value], 4) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _side(score_db: float, finding: Finding | None) -> dict[str, Any]:
    return {"score_db": score_db, "severity": None if finding is None else finding.severity}


def _plain(why: Moved | None) -> dict[str, Any] | None:
    return None if why is None else {"what": why.what, "before_db": why.before, "after_db": why.after}
