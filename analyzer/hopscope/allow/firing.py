"""The allowlist over what Sigma rules fired on: a place that is known to be ordinary is no alarm."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from hopscope.allow.applying import critical, summary, told
from hopscope.allow.entries import Allowlist, Entry
from hopscope.allow.matching import judge, subject_of_match
from hopscope.findings import RuleMatch

NOUN = "rule match"


@dataclass(frozen=True)
class Fired:
    """Matches after the allowlist, in the order they came; `hidden` have `suppression` set. `lines` say for people
    what was hidden by what; `matched` are the ids of entries that hid something."""

    shown: tuple[RuleMatch, ...]
    hidden: tuple[RuleMatch, ...]
    lines: tuple[str, ...]
    matched: frozenset[str]


def apply(matches: Iterable[RuleMatch], allowlist: Allowlist, now: datetime) -> Fired:
    """Hide or leave each match by the entries in force at `now` (UTC); those that take heuristics away hide none."""
    force = [e for e in allowlist.entries if e.in_force(now.date()) and not e.heuristics]
    shown: list[RuleMatch] = []
    hidden: list[tuple[RuleMatch, Entry]] = []
    for match in matches:
        about = subject_of_match(match)
        by = next((e for e in force if judge(e, about, allowlist.asn_of).holds), None)
        if by is None:
            shown.append(match)
        else:
            hidden.append((dataclasses.replace(match, suppression=told(by)), by))
    worst = ((f"{m.id} {m.title}", m, e) for m, e in hidden)
    return Fired(
        tuple(shown),
        tuple(m for m, _ in hidden),
        (*summary(hidden, NOUN), *critical(worst, NOUN)),
        frozenset(e.id for _, e in hidden),
    )
