"""Sigma rules for people and programs: those that are applied, and why the others aren't."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator

from hopscope.outputs import techniques
from hopscope.outputs.escape import ascii_json
from hopscope.outputs.page import Row, table
from hopscope.sigma.columns import NAMES
from hopscope.sigma.refusing import ELSEWHERE, Cause
from hopscope.sigma.rules import Rule, Rules, Unsupported, severest_first


def listed(told: Rules) -> Iterator[Row]:
    """The rules that are applied, the severest first."""
    if not told.rules:
        yield Row("no rule is applied; --sigma PATH or the setting sigma.rules names some")
        return
    cells = [("level", "title", "records", "techniques", "id", "file")]
    for r in sorted(told.rules, key=severest_first):
        named = "" if r.id == r.title else r.id
        cells.append((r.level, r.title, _records(r), ", ".join(techniques.numbers(r.tags)), named, r.place))
    yield from table(cells)
    yield Row()
    yield Row(told.count())


def checked(told: Rules, everything: bool) -> Iterator[Row]:
    """How many rules are applied, then those that can't be by what stands in the way.

    Rules about log sources and events that aren't read are summed up, unless everything is to be told.
    """
    by_cause: dict[Cause, list[Unsupported]] = {}
    for one in told.unsupported:
        by_cause.setdefault(one.cause, []).append(one)
    for cause in Cause:
        rules = by_cause.get(cause, [])
        if not rules:
            continue
        yield Row(f"{cause} ({len(rules):,})", style="bold")
        if cause in ELSEWHERE and not everything:
            yield from _summed(rules)
        else:
            for one in rules:
                yield Row(f"{one.place}: {one.title}" if one.title else one.place, indent=2)
                yield Row(one.reason, indent=6)
        yield Row()
    kinds = Counter(kind for rule in told.rules for kind in rule.kinds)
    applied = ", ".join(f"{kinds[kind]:,} to {NAMES[kind]}" for kind in sorted(kinds))
    yield Row(f"{told.count()}{'; ' if applied else ''}{applied}")


def applied(told: Rules) -> Iterator[str]:
    """Each rule that is applied as a line of JSON."""
    for r in sorted(told.rules, key=severest_first):
        yield _line(applied=True, id=r.id, title=r.title, level=r.level, tags=r.tags, kinds=r.kinds, place=r.place)


def unsupported(told: Rules) -> Iterator[str]:
    """Each rule that can't be applied as a line of JSON."""
    for one in told.unsupported:
        yield _line(applied=False, title=one.title, place=one.place, cause=one.cause, reason=one.reason)


def _summed(rules: Iterable[Unsupported]) -> Iterator[Row]:
    reasons = Counter(one.reason for one in rules).most_common()
    for reason, number in itertools.islice(reasons, 10):
        yield Row(f"{number:,}: {reason}", indent=2)
    if len(reasons) > 10:
        rest = sum(number for _, number in reasons[10:])
        yield Row(f"{rest:,}: others like these; --all names each", indent=2)


def _records(rule: Rule) -> str:
    return ", ".join(NAMES[kind] for kind in rule.kinds)


def _line(**told: object) -> str:
    return ascii_json(json.dumps(told))
