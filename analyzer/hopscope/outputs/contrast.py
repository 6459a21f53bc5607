"""What would change a finding, and the ordinary destination most like it: parts of the page of `hopscope explain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hopscope.findings import SEVERITIES, Finding
from hopscope.outputs import words
from hopscope.outputs.page import Row

if TYPE_CHECKING:
    from hopscope.explaining.beside import Beside
    from hopscope.explaining.comparing import Compared
    from hopscope.explaining.counterfactuals import Crossing

WIDE = 16  # of `still critical`
RELAY_INSIDE = "T1090.001"  # of a finding about a host of ours: anybody may be its client
MEASURES = ("ms", "s", "bytes")  # units without which a number says nothing
TRAITS = {
    "sent": "sent each",
    "received": "received each",
    "ratio": "up to down",
    "open": "open each",
    "way": "way there",
    "answer": "first answer",
    "clients": "of our hosts",
}
"""What a trait of a comparison is called; bytes and time open are per connection."""


def changes(f: Finding, beside: Beside) -> Iterator[Row]:
    """What it would be without each heuristic and beyond each threshold; the greatest change first."""
    yield Row("What would change it", style="bold")
    by: dict[str, list[str]] = {severity: [] for severity in SEVERITIES}
    for severity in SEVERITIES:
        left_out = [w for w in beside.without if w.severity == severity]
        if left_out:
            each = ", ".join(f"{w.heuristics[0]} ({words.decibans(w.score_db)})" for w in left_out)
            by[severity].append(f"without {each}")
    if beside.together is not None:
        names = beside.together.heuristics
        score = words.decibans(beside.together.score_db)
        by[beside.together.severity].append(f"without {', '.join(names[:-1])} and {names[-1]} together ({score})")
    for crossing in beside.crossings:
        by[crossing.severity].append(_crossing(crossing))
    for severity, lines in by.items():
        label = f"still {severity}" if severity == f.severity else "no finding" if severity == "info" else severity
        for i, line in enumerate(lines):
            yield Row(line, label if i == 0 else "", WIDE, indent=2)
    if beside.crossings:
        first = beside.crossings[0]
        yield Row(f"hopscope whatif --set {first.setting}={first.at:g}", "try it", WIDE, indent=2, whole=True)
    if beside.lacking is not None:
        yield Row(f"how thresholds bear on it, and what is ordinary here: {beside.lacking}", "unknown", WIDE, indent=2)


def _crossing(c: Crossing) -> str:
    at = f"{_number(c.at, c.unit)} or {'more' if c.up else 'less'}"
    return f"with {c.setting} at {at}, now {_number(c.now, c.unit)}"


def nearest(f: Finding, beside: Beside) -> Iterator[Row]:
    """The finding and an ordinary destination side by side: what differs line by line, the rest in one."""
    ordinary = beside.nearest
    if ordinary is None:
        return
    other = ordinary.comparison
    inside = RELAY_INSIDE in f.attack
    whose = "the same clients" if other.shared else "others" if inside else "our hosts"
    yield Row(f"The ordinary destination most like it, of {other.among:,} that {whose} use", style="bold")
    yield Row(other.shown + (f" ({words.listed(other.names, 3)})" if other.names else ""), "which", WIDE, indent=2)
    unlike = sorted((row for row in other.rows if row.differs), key=_times, reverse=True)
    lines = [("", "this", "that", ""), ("score", words.decibans(f.score_db), words.decibans(ordinary.score_db), "")]
    lines += [(_title(r, inside), _number(r.this, r.unit), _number(r.that, r.unit), _factor(r)) for r in unlike]
    widths = [max(len(line[i]) for line in lines) for i in (1, 2)]
    for label, this, that, factor in lines:
        yield Row(f"{this:<{widths[0]}}  {that:<{widths[1]}}  {factor}", label, WIDE, indent=2, whole=True)
    alike = [r for r in other.rows if not r.differs and r.this is not None]
    if alike:
        told = (f"{_title(r, inside)} {_number(r.this, r.unit)} and {_number(r.that, r.unit)}" for r in alike)
        yield Row("; ".join(told), "alike", WIDE, indent=2)
    mine = {e.heuristic: e.decibans for e in f.evidence if e.decibans > 0}
    theirs = {h: d for h, d in ordinary.scaled.items() if d > 0}
    only = [f"{h} {words.decibans(d)}" for h, d in mine.items() if h not in theirs]
    both = [f"{h} {words.decibans(d)} and {words.decibans(theirs[h])}" for h, d in mine.items() if h in theirs]
    for label, pieces in (("only this", only), ("both", both)):
        if pieces:
            yield Row(", ".join(pieces), label, WIDE, indent=2)


def _title(row: Compared, inside: bool) -> str:
    return row.trait if inside and row.trait == "clients" else TRAITS.get(row.trait, row.trait)


def _number(value: float | None, unit: str) -> str:
    """With its unit where that isn't plain from what it is about."""
    if value is None:
        return "-"
    return words.quantity(value, unit) if unit in MEASURES else f"{value:.3g}" if value % 1 else f"{value:,.0f}"


def _times(row: Compared) -> float:
    """How many times the one is the other; 0 where that says nothing."""
    if not row.this or not row.that or not row.unit:
        return 0.0
    return max(row.this / row.that, row.that / row.this)


def _factor(row: Compared) -> str:
    times = _times(row)
    if not times or not row.this or not row.that:
        return ""
    return f"{times:{'.2g' if times < 9.5 else ',.0f'}} times" + (" less" if row.this < row.that else "")
