"""The allowlist over findings: what is shown, what is hidden by what, and what counts for less."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hopscope import fusion
from hopscope.allow.entries import Allowlist, Entry
from hopscope.allow.matching import Subject, Verdict, judge, subject
from hopscope.config import FusionSettings
from hopscope.dossier import severity
from hopscope.findings import SEVERITIES, Evidence, Finding, RuleMatch
from hopscope.outputs import words

TOLD = 10  # lines of one kind
RECENT = timedelta(days=30)  # for so long it is told what an expired entry would still hide
LOWERED = "counts for less"


@dataclass(frozen=True)
class Shown:
    """Findings after the allowlist, in the order they came.

    `shown` are as they are to be told: where entries took evidence away, with the score that is left, and with
    `allowance` saying so; `hidden` have `suppression` set. `lines` say for people what was hidden by what; `matched`
    are the ids of entries that hid or changed something.
    """

    shown: tuple[Finding, ...]
    hidden: tuple[Finding, ...]
    lines: tuple[str, ...]
    matched: frozenset[str]


def apply(findings: Iterable[Finding], allowlist: Allowlist, now: datetime, settings: FusionSettings) -> Shown:
    """Hide, lower or leave each finding by the entries in force at `now` (UTC).

    Nothing is hidden silently: `lines` count what is, name the entries, and name each critical finding among it.
    """
    today = now.date()
    force = [e for e in allowlist.entries if e.in_force(today)]
    ended = [e for e in allowlist.entries if e.expires is not None and e.expires <= today < e.expires + RECENT]
    shown: list[Finding] = []
    hidden: list[tuple[Finding, Entry]] = []
    matched: set[str] = set()
    again: Counter[str] = Counter()
    for finding in findings:
        about = subject(finding)
        verdicts = [v for e in force if (v := judge(e, about, allowlist.asn_of)).holds or v.near]
        whole = [v.entry for v in verdicts if v.holds and not v.entry.heuristics]
        partly = [v.entry for v in verdicts if v.holds and v.entry.heuristics]
        matched |= {e.id for e in (*whole, *partly)}
        if whole:
            hidden.append((dataclasses.replace(finding, suppression=told(whole[0])), whole[0]))
            continue
        lowered = _without(finding, partly, settings)
        if lowered.score_db < settings.low_db <= finding.score_db:
            said = f"{_left_out(partly)}, which leaves {words.decibans(lowered.score_db)} dB, less than low"
            hidden.append((dataclasses.replace(finding, suppression=said), partly[0]))
            continue
        notes = _notes(about, verdicts)
        shown.append(dataclasses.replace(lowered, allowance=(*lowered.allowance, *notes)))
        again.update(e.id for e in ended if judge(e, about, allowlist.asn_of).holds)
    lowered_now = [f for f in shown if f.allowance and f.allowance[0].startswith(LOWERED)]
    lines = [
        *summary(hidden, "finding"),
        *critical([(f"{f.id} {words.hop(f)} {words.decibans(f.score_db)} dB", f, e) for f, e in hidden], "finding"),
        *_lowered(lowered_now),
        *_ended(again, ended),
        *_blind(allowlist, force),
    ]
    return Shown(tuple(shown), tuple(f for f, _ in hidden), tuple(lines), frozenset(matched))


def told(entry: Entry) -> str:
    """An entry in a few words."""
    until = "" if entry.expires is None else f", until {entry.expires.isoformat()}"
    by = f"{entry.author}{until}" if entry.author else until.removeprefix(", ")
    return f"allowlist entry {entry.id}: {entry.reason}" + (f" ({by})" if by else "")


def _without(finding: Finding, partly: Sequence[Entry], settings: FusionSettings) -> Finding:
    """The finding without what the entries' heuristics say for it."""
    pieces = fusion.pieces_of(finding)
    left = {h for e in partly for h in e.heuristics if pieces.get(h, (0.0, 0))[0] > 0}
    if not left:
        return finding
    kept = {h: p for h, p in pieces.items() if h not in left}
    base = fusion.score_of(kept, settings)
    # the difference, as the store may be of other settings or of a version that kept no raw decibans
    score = round(finding.score_db + base - fusion.score_of(pieces, settings), 1)
    if score >= finding.score_db:
        return finding
    scaled = fusion.scaled_of(kept, settings)
    return dataclasses.replace(
        finding,
        score_db=score,
        severity=severity(score, settings),
        evidence=tuple(_piece(e, scaled, partly) for e in finding.evidence),
        counterfactuals={
            h: round(score + fusion.score_of({k: p for k, p in kept.items() if k != h}, settings) - base, 1)
            for h in kept
        },
        allowance=(f"{LOWERED} ({words.decibans(finding.score_db)} dB without the allowlist): {_left_out(partly)}",),
    )


def _piece(e: Evidence, scaled: dict[str, float], partly: Sequence[Entry]) -> Evidence:
    if e.heuristic in scaled:
        full = e.decibans if e.capped_from is None else e.capped_from
        given = round(scaled[e.heuristic], 1)
        return dataclasses.replace(e, decibans=given, capped_from=full if abs(full - given) > 0.05 else None)
    by = next(entry.id for entry in partly if e.heuristic in entry.heuristics)
    return dataclasses.replace(e, decibans=0.0, capped_from=None, sentence=f"not counted by {by}: {e.sentence}")


def _left_out(partly: Sequence[Entry]) -> str:
    return "; ".join(f"{told(e)}, leaves out {', '.join(e.heuristics)}" for e in partly)


def _notes(about: Subject, verdicts: Sequence[Verdict]) -> list[str]:
    """Entries that nearly hide what is shown, and why they don't."""
    return [
        f"{v.entry.id} doesn't hide it: {'; '.join(c.why for c in v.failing)}"
        for v in verdicts
        if v.near and not v.holds
    ]


def counts(findings: Sequence[Finding | RuleMatch]) -> str:
    """`1 critical, 3 low`."""
    parts = [(s, sum(f.severity == s for f in findings)) for s in reversed(SEVERITIES)]
    return ", ".join(f"{n} {s}" for s, n in parts if n)


def summary(hidden: Sequence[tuple[Finding | RuleMatch, Entry]], noun: str) -> list[str]:
    """How many are hidden, and by which entries; nothing where none is."""
    if not hidden:
        return []
    by = Counter(e.id for _, e in hidden)
    reasons = {e.id: e.reason for _, e in hidden}
    parts = [f"{n} by {i} ({reasons[i]})" for i, n in by.most_common(TOLD)]
    parts += [f"{len(by) - TOLD} further entries"] if len(by) > TOLD else []
    what = f"{words.plural(len(hidden), noun)} hidden by the allowlist ({counts([f for f, _ in hidden])})"
    return [f"{what}: {', '.join(parts)}; hopscope findings --all shows them"]


def critical(hidden: Iterable[tuple[str, Finding | RuleMatch, Entry]], noun: str) -> list[str]:
    """Each critical one that is hidden, in the words given with it."""
    worst = [(said, e) for said, f, e in hidden if f.severity == "critical"]
    lines = [f"hidden though critical: {said}, by {told(e)}" for said, e in worst[:TOLD]]
    return [*lines, f"and {len(worst) - TOLD} further critical {noun}s"] if len(worst) > TOLD else lines


def _lowered(lowered: Sequence[Finding]) -> list[str]:
    return [f"{words.plural(len(lowered), 'finding')} counting for less by the allowlist"] if lowered else []


def _ended(again: Counter[str], ended: Sequence[Entry]) -> list[str]:
    dates = {e.id: e.expires for e in ended}
    return [
        f"{words.plural(n, 'finding')} not hidden any more: {i} expired on {dates[i]}"
        for i, n in again.most_common(TOLD)
    ]


def _blind(allowlist: Allowlist, force: Sequence[Entry]) -> list[str]:
    lame = [e.id for e in force if e.asns] if allowlist.asn_of is None else []
    if not lame:
        return []
    return [
        f"{words.listed(lame, 5)} can't be judged: AS numbers need network.asn_database, a database in MaxMind's format"
    ]
