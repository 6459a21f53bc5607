"""One finding in full: every piece of evidence with its number, and what the number rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hopscope.findings import Evidence, Finding
from hopscope.outputs import techniques, words
from hopscope.outputs.page import Row
from hopscope.outputs.table import STYLES

LABELS = 12
NUMBERS = 8  # width of the column of decibans
CONNECTIONS = 20  # connections shown; the finding keeps a bounded sample itself


def rows(f: Finding) -> Iterator[Row]:
    """The page of `hopscope explain`."""
    yield Row(f"{f.severity.upper()}  {words.hop(f)}", right=f.id, style=STYLES[f.severity])
    yield Row()
    yield from _about(f)
    yield Row()
    yield from _evidence(f)
    if f.void:
        yield Row()
        yield Row("What this sensor couldn't tell", style="bold")
        width = max(len(name) for name in f.void) + 2
        for name, why in sorted(f.void.items()):
            yield Row(why, name, width, indent=2)
    yield Row()
    yield from _connections(f)
    yield Row()
    yield from _origin(f)


def _about(f: Finding) -> Iterator[Row]:
    yield Row(words.entity(f), "about", LABELS, indent=2)
    yield Row(words.listed(f.clients, 10) or "unknown", "used by", LABELS, indent=2)
    if f.names:
        yield Row(words.listed(f.names, 10), "asked for", LABELS, indent=2)
    yield Row(words.period(f.first_seen, f.last_seen), "seen", LABELS, indent=2)
    yield Row(
        words.far_end(f.far_end) or "unknown: nothing named it and no gap measured it", "far end", LABELS, indent=2
    )
    if f.suppression is not None:
        yield Row(f.suppression, "suppressed", LABELS, indent=2)


def _evidence(f: Finding) -> Iterator[Row]:
    yield Row("Evidence, in decibans (+10 makes a hop ten times as likely, -10 a tenth)", style="bold")
    yield _number(f.prior_db, "before any evidence: few destinations are hops")
    for e in sorted(f.evidence, key=lambda e: (-e.decibans, e.heuristic)):
        yield from _piece(e, f.counterfactuals)
    yield _number(f.score_db, f"in all: {f.severity}")


def _piece(e: Evidence, without: Mapping[str, float]) -> Iterator[Row]:
    yield _number(e.decibans, f"{e.heuristic}: {e.sentence}")
    if e.threshold:
        yield _detail("threshold", e.threshold)
    if e.facts:
        facts = (f"{name} {words.quantity(value, e.units.get(name, ''))}" for name, value in e.facts.items())
        yield _detail("facts", "; ".join(facts))
    if e.client is not None:
        others = f" and {words.plural(e.clients - 1, 'other client')} for whom it says no more" if e.clients > 1 else ""
        yield _detail("for", f"{e.client}{others}")
    if e.capped_from is not None:
        yield _detail("capped", f"from {words.decibans(e.capped_from)}: evidence of one kind counts up to a cap")
    if e.heuristic in without:
        yield _detail("without it", f"the score would be {words.decibans(without[e.heuristic])}")
    if e.uids:
        yield _detail("seen in", words.listed(e.uids, 4))


def _number(decibans: float, text: str) -> Row:
    return Row(text, f"{words.decibans(decibans):>{NUMBERS - 2}}", NUMBERS, indent=2)


def _detail(label: str, text: str) -> Row:
    return Row(text, label, LABELS, indent=2 + NUMBERS)


def _connections(f: Finding) -> Iterator[Row]:
    shown = f.connections[:CONNECTIONS]
    yield Row(f"Connections behind it ({len(shown)} of a sample of {len(f.connections)})", style="bold")
    for c in shown:
        yield Row(_connection(c), str(c.get("uid", "?")), 20, indent=2)


def _connection(c: Mapping[str, Any]) -> str:
    ends = f"{_end(c, 'orig')} -> {_end(c, 'resp')}"
    parts = [words.moment(str(c["ts"])) if c.get("ts") is not None else None, ends]
    for key, label in (("orig_bytes", "sent"), ("resp_bytes", "received")):
        if c.get(key) is not None:
            parts.append(f"{label} {words.octets(c[key])}")
    for key, label in _TIMES:
        if c.get(key) is not None:
            parts.append(f"{label} {words.seconds(c[key])}")
    return ", ".join(p for p in parts if p is not None)


_TIMES = (
    ("duration", "lasted"),
    ("tcp_rtt", "way to it"),
    ("hello_rtt", "hello answered in"),
    ("finished_rtt", "Finished answered in"),
    ("first_reply", "first reply in"),
    ("reply_p10", "later replies in"),
)


def _end(c: Mapping[str, Any], side: str) -> str:
    return words.endpoint(str(c.get(f"{side}_h", "?")), c.get(f"{side}_p"))


def _origin(f: Finding) -> Iterator[Row]:
    yield Row("; ".join(map(techniques.named, f.attack)) or "none", "ATT&CK", LABELS, indent=2)
    yield Row("; ".join(map(techniques.named, f.d3fend)) or "none", "D3FEND", LABELS, indent=2)
    if f.input:
        yield Row("; ".join(f"{k} {words.quantity(v)}" for k, v in f.input.items()), "input", LABELS, indent=2)
    if f.versions:
        yield Row(", ".join(f"{k} {v}" for k, v in f.versions.items()), "made by", LABELS, indent=2)
