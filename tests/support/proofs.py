"""Holds the rows of the coverage table to their proofs: names exist, tests are run, captures show what they should."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from hopscope.coverage.rows import KINDS, Coverage, Row
from support.collecting import Collected

SENTENCE = 300  # characters that limits may have: what doesn't fit belongs to docs/limits.md


@dataclass(frozen=True)
class Known:
    """What there is: heuristics with their techniques, files of shipped rules, formats of export, sources, captures."""

    heuristics: Mapping[str, str] = field(default_factory=dict)
    rules: Set[str] = frozenset()
    outputs: Set[str] = frozenset()
    sources: Set[str] = frozenset()
    captures: Set[str] = frozenset()


def problems(
    told: Coverage, known: Known, tests: Mapping[str, Collected], shown: Callable[[str], Set[str]]
) -> Iterator[str]:
    """What is wrong with the rows, one sentence each.

    `tests` are what pytest collected, by node id without parameters; `shown` gives the heuristics with positive
    evidence of a true hop in a capture that is known.
    """
    for what, times in Counter(r.id for r in told.rows).items():
        if times > 1:
            yield f"{what}: {times} rows have this id"
    for kind in KINDS:
        if not told.of(kind):
            yield f"there is no row of kind {kind}"
    techniques = {r.id for r in told.of("technique")}
    for name, number in known.heuristics.items():
        if number in told.elsewhere:
            continue
        if number not in techniques:
            yield f"{number}: heuristic {name} names it, and there is no row for it, nor a reason among `elsewhere`"
        elif not any(name in r.served.heuristics for r in told.rows if r.id == number):
            yield f"{number}: heuristic {name} names it, and its row doesn't name the heuristic"
    for row in told.rows:
        yield from (f"{row.id}: {problem}" for problem in _row(row, known, tests, shown))


def _row(row: Row, known: Known, tests: Mapping[str, Collected], shown: Callable[[str], Set[str]]) -> Iterator[str]:
    if not row.name.strip() or not row.reference.startswith("https://"):
        yield "it needs a name, and a reference by URL"
    if not row.limits.strip() or len(row.limits) > SENTENCE:
        yield f"its limits are said in 1 to {SENTENCE} characters"
    if not row.served.named():
        yield "nothing serves it"
    for kind, names in row.served.named().items():
        yield from (f"there is no {kind[:-1]} {n}" for n in names if n not in getattr(known, kind))
    if not row.proof.captures and not row.proof.tests:
        yield "it has no proof"
    elif not row.proof.captures and not any(t in tests and not tests[t].needs for t in row.proof.tests):
        yield "each of its proofs is left out somewhere; one must hold wherever the tests are run"
    yield from _tests(row, tests)
    yield from _captures(row, known, shown)
    yield from _unproven(row)


def _tests(row: Row, tests: Mapping[str, Collected]) -> Iterator[str]:
    for node in row.proof.tests:
        if node not in tests:
            yield f"there is no test {node}"
        elif tests[node].never:
            yield f"test {node} is never run: {tests[node].never}"


def _captures(row: Row, known: Known, shown: Callable[[str], Set[str]]) -> Iterator[str]:
    for proof in row.proof.captures:
        if proof.capture not in known.captures:
            yield f"there is no capture {proof.capture} with its truth in pcaps/"
            continue
        if not proof.heuristics:
            yield f"capture {proof.capture} proves nothing: which heuristics find its hop?"
        for name in proof.heuristics:
            if name not in row.served.heuristics:
                yield f"capture {proof.capture} is to show {name}, which doesn't serve it"
            elif name not in shown(proof.capture):
                yield f"in capture {proof.capture} {name} says nothing for the true hop"


def _unproven(row: Row) -> Iterator[str]:
    """Heuristics that neither a capture nor a test of their own proves; of tools, one that looks at them all may."""
    if row.kind == "tool":
        return
    by_capture = {n for proof in row.proof.captures for n in proof.heuristics}
    files = {Path(re.split("::", node)[0]).name for node in row.proof.tests}
    for name in row.served.heuristics:
        if name not in by_capture and f"test_{name}.py" not in files:
            yield f"nothing proves heuristic {name}: name a capture, or a test of test_{name}.py"
