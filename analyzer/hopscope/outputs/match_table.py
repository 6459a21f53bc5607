"""What Sigma rules fired on, for a person: which rule, where, whose process, when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hopscope.findings import RuleMatch, endpoint
from hopscope.outputs import techniques, words
from hopscope.outputs.page import Row

if TYPE_CHECKING:
    from hopscope.findings import Findings

LABELS = 10
PLACES = 5  # shown of a rule
UIDS = 3
SIGMA = "sigma"
RECORDS = {"connection": "connection", "dns_query": "DNS query", "host_event": "host event"}


def rows(matches: Sequence[RuleMatch]) -> Iterator[Row]:
    """Matches in their order, each followed by an empty row; of a rule that fired at many places the first few."""
    places = Counter(m.rule for m in matches)
    told: Counter[str] = Counter()
    for match in matches:
        told[match.rule] += 1
        if told[match.rule] > PLACES:
            continue
        yield from told_of(match)
        if told[match.rule] == PLACES < places[match.rule]:
            more = words.plural(places[match.rule] - PLACES, "more place")
            yield _row("", f"and {more} where this rule fired: --format jsonl tells all")
        yield Row()


def told_of(match: RuleMatch) -> Iterator[Row]:
    """One match as a few lines."""
    yield Row(
        f"rule: {match.title}", match.severity.upper(), LABELS, right=match.id, style=words.STYLES[match.severity]
    )
    yield _row("where", where(match))
    if match.host is not None:
        yield _row("process", words.program(match))
    if match.leads_to:
        yield _row("leads to", words.listed(match.leads_to, 4))
    attack = [techniques.named(number) for number in techniques.numbers(match.tags)]
    if attack:
        yield _row("ATT&CK", "; ".join(attack))
    period = words.period(match.first_seen, match.last_seen)
    yield _row("seen", f"{words.plural(match.records, RECORDS[match.kind])}, {period}")
    if match.uids:  # at most ten of them are kept
        yield _row("records", words.listed(match.uids, UIDS, of=match.records))
    if match.suppression is not None:
        yield _row("hidden by", match.suppression)


def where(match: RuleMatch) -> str:
    """Who, and where it went: `10.1.2.3 to 203.0.113.9:443/tcp (name)`, or who asked for which name."""
    client = match.client or match.host or "an unknown client"
    if match.server is None:
        return f"{client} asked for {match.name or 'no name'}"
    name = "" if match.name is None else f" ({match.name})"
    return f"{client} to {endpoint(match.server, match.port, match.proto)}{name}"


def listed(matches: Sequence[RuleMatch]) -> list[str]:
    """The rules that fired at a finding's places, each once: its level, on how many records of which kind, its ids."""
    lines = []
    for rule in dict.fromkeys(m.rule for m in matches):
        mine = [m for m in matches if m.rule == rule]
        kinds = dict.fromkeys(m.kind for m in mine)
        records = (words.plural(sum(m.records for m in mine if m.kind == kind), RECORDS[kind]) for kind in kinds)
        ids = words.listed([m.id for m in mine], 2)
        lines.append(f"{mine[0].title} ({mine[0].severity}): {' and '.join(records)}, {ids}")
    return lines


def told(found: Findings) -> list[Row]:
    """What is to be said of the rules that the settings name."""
    lines = (line.removeprefix(f"{SIGMA}: ") for line in found.rules)
    return [Row(line, SIGMA if i == 0 else "", LABELS) for i, line in enumerate(lines)]


def _row(label: str, text: str) -> Row:
    return Row(text, label, LABELS, indent=2)
