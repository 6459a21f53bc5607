"""Findings as a page for the analyst: what, who, why and where it goes, then what was read and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from hopscope.findings import SEVERITIES, Evidence, Finding, Findings, RuleMatch
from hopscope.heuristics import registry
from hopscope.heuristics.base import missing
from hopscope.outputs import match_table, words
from hopscope.outputs.page import Row
from hopscope.outputs.words import STYLES
from hopscope.records import InputCount

REASONS = 3  # sentences of evidence in the overview; `explain` has them all
PROBLEMS = 20  # lines about what could not be read
CHAINS = 2  # likewise of chains
PROCESSES = 2  # programs in the overview; `explain` has more
RULES = 2  # likewise of Sigma rules
LABELS = 10


def rows(shown: Findings, kept: Findings, severity: str, told: Sequence[Row]) -> Iterator[Row]:
    """The findings in `shown`, strongest first, what rules fired on, how many findings there are, then `told`."""
    for finding in shown:
        yield from told_of(finding)
        yield Row()
    yield from match_table.rows(shown.matches)
    yield verdict(shown, kept, severity)
    yield from told


def told(count: InputCount, store: Path | None, shown: Sequence[Finding], pcap: str | None) -> list[Row]:
    """What was read, what could not be, where findings are kept, and the next commands.

    `pcap` is the capture to dissect, None where there is none.
    """
    lines = [Row(summary(count), "read", LABELS)]
    silent = [name for name, heuristic in registry().items() if missing(heuristic, count.lacks or frozenset())]
    if silent:
        lines.append(Row(f"{', '.join(silent)}: the input lacks what they weigh (docs/records.md)", "silent", LABELS))
    problems = count.problems or []
    lines += [Row(problem, "problem" if i == 0 else "", LABELS) for i, problem in enumerate(problems[:PROBLEMS])]
    if len(problems) > PROBLEMS:
        lines.append(Row(f"and {words.plural(len(problems) - PROBLEMS, 'further problem')}", "", LABELS))
    if store is not None:
        lines.append(Row(words.place(store), "kept in", LABELS))
    if shown:
        first = max(shown, key=lambda f: (f.score_db, f.id)).id
        lines.append(Row(f"hopscope explain {first}", "next", LABELS))
        if pcap is not None:
            lines.append(Row(f"hopscope dissect {first} --pcap {shlex.quote(pcap)}", "", LABELS))
    return lines


def allowed(lines: Sequence[str]) -> list[Row]:
    """What the allowlist hid, lowered or can't judge: the lines of `allow.applying.Shown`."""
    return [Row(line, "allowlist" if i == 0 else "", LABELS) for i, line in enumerate(lines)]


def summary(count: InputCount) -> str:
    """One line of what a run read."""
    read = [words.plural(count.connections, "connection"), words.plural(count.dns_queries, "DNS query")]
    if count.host_events:
        read.append(words.plural(count.host_events, "host event"))
    if count.packets:
        read.insert(0, words.plural(count.packets, "packet"))
    logs = "log file" if count.connections or count.dns_queries else "input"
    what = "input" if count.host_events or count.passed_over else "capture" if count.packets else logs
    inputs = f"{words.plural(count.inputs, what)}: " if count.inputs else ""
    missing = f", {count.missing:,} missing" if count.missing else ""
    return f"{inputs}{', '.join(read)}; {count.refused:,} refused{missing}"


def verdict(shown: Findings, kept: Findings, severity: str) -> Row:
    """How many findings there are, how many places at which rules fired, and how many findings lie below the severity
    asked for."""
    hidden = [f for f in kept if f not in shown]
    below = ""
    if hidden:
        parts = [(s, sum(f.severity == s for f in hidden)) for s in reversed(SEVERITIES)]
        counts = ", ".join(f"{n} {s}" for s, n in parts if n)
        below = f" ({counts} below that: see them with --severity {min(hidden, key=_rank).severity})"
    fired = _fired(shown, kept)
    if not shown:
        return Row(f"{'no finding' if fired else 'nothing'} at {severity} or above{below}{fired}")
    return Row(f"{words.plural(len(shown), 'finding')} at {severity} or above{below}{fired}")


def _fired(shown: Findings, kept: Findings) -> str:
    told_ids = {m.id for m in shown.matches}
    lower = [m for m in kept.matches if m.id not in told_ids]
    if not shown.matches and not lower:
        return ""
    told = f", and Sigma rules fired at {words.plural(len(shown.matches), 'place')}"
    if lower:
        least = min(lower, key=_rank).severity
        told += f" ({len(lower):,} of lower level: see them with --severity {least})"
    return told


def _rank(finding: Finding | RuleMatch) -> int:
    return SEVERITIES.index(finding.severity)


def told_of(f: Finding) -> Iterator[Row]:
    """One finding: who, why and where it goes."""
    head = f"{f.severity.upper()}"
    yield Row(f"{words.hop(f)}  {words.decibans(f.score_db)} dB", head, LABELS, right=f.id, style=STYLES[f.severity])
    if f.entity.kind not in ("service", "address"):
        yield _row("about", words.entity(f))
    yield _row("used by", words.listed(f.clients, 4) or "unknown")
    for i, evidence in enumerate(strongest(f.evidence)[:REASONS]):
        yield _row("why" if i == 0 else "", f"{evidence.sentence} [{words.decibans(evidence.decibans)}]")
    against = [e for e in f.evidence if e.decibans < 0]
    if against:
        least = min(against, key=lambda e: e.decibans)
        yield _row("against", f"{least.sentence} [{words.decibans(least.decibans)}]")
    behind = words.behind(f.far_end)
    if behind is not None:
        yield _row("far end", behind)
    for chain in f.chains[:CHAINS]:
        yield _row("chain", chain)
    for i, process in enumerate(f.processes[:PROCESSES]):
        yield _row("process" if i == 0 else "", words.process(process))
    for i, line in enumerate(match_table.listed(f.rules)[:RULES]):
        yield _row("rule" if i == 0 else "", line)
    yield _row("seen", words.period(f.first_seen, f.last_seen))
    if f.label is not None:
        yield _row("label", f.label)
    if f.suppression is not None:
        yield _row("hidden by", f.suppression)
    for i, line in enumerate(f.allowance):
        yield _row("allowlist" if i == 0 else "", line)


def strongest(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The evidence for, strongest first."""
    return sorted((e for e in evidence if e.decibans > 0), key=lambda e: (-e.decibans, e.heuristic))


def _row(label: str, text: str) -> Row:
    return Row(text, label, LABELS, indent=2)
