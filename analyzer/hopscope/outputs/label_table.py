"""Labels as a table: what was said, what it was then, what the last run says of it now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hopscope import labels
from hopscope.findings import SEVERITIES, Entity, Finding
from hopscope.labels import Fit, Label
from hopscope.outputs import words
from hopscope.outputs.page import Row, table


def rows(kept: Sequence[Label], findings: Sequence[Finding], severity: str) -> Iterator[Row]:
    """The labels in force, newest first, then precision and recall of the findings from this severity up."""
    if not kept:
        yield Row("nothing is labelled yet; hopscope label FINDING hop|benign says what a finding is")
        return
    told = _told(findings, labels.of(findings, kept))
    cells = [("verdict", "what", "id", "then", "now", "by", "on", "note")]
    for given in kept:
        then = "" if given.score_db is None else words.decibans(given.score_db)
        now = told.get(_key(given), "no finding")
        day = given.time[:10]
        cells.append((given.verdict, given.entity.value, given.id, then, now, given.author, day, given.note))
    yield from table(cells)
    yield Row()
    yield Row(f"at {severity} or above: {labels.measure(at_least(findings, severity), kept).text}")


def at_least(findings: Sequence[Finding], severity: str) -> list[Finding]:
    """Those of this severity and above."""
    floor = SEVERITIES.index(severity)
    return [f for f in findings if SEVERITIES.index(f.severity) >= floor]


def _told(findings: Sequence[Finding], fits: dict[str, Fit]) -> dict[tuple[str, Entity], str]:
    """What the strongest finding of each label is now."""
    out: dict[tuple[str, Entity], str] = {}
    for f in sorted(findings, key=lambda f: (-f.score_db, f.id)):
        fit = fits.get(f.id)
        if fit is not None and _key(fit.label) not in out:
            new = "" if fit.counts else f", new: {', '.join(fit.new)}"
            out[_key(fit.label)] = f"{f.severity} {words.decibans(f.score_db)}{new}"
    return out


def _key(given: Label) -> tuple[str, Entity]:
    return given.sensor, given.entity
