"""Every row of the coverage table has its proof: one that is missing, never run, or shows something else fails."""

from __future__ import annotations

import pkgutil
from collections.abc import Set
from pathlib import Path

from hopscope import exporting, sigma, sources
from hopscope.coverage.rows import coverage
from hopscope.heuristics import registry
from support import labelled
from support.collecting import collected
from support.proofs import Known, problems
from support.silencing import failing


def shown(capture: str) -> Set[str]:
    """The heuristics with positive evidence of a true hop in a capture of ours."""
    hops = labelled.hops(capture)
    told = [f for f in labelled.found(capture) if any(f.hop == hop and f.port in (None, port) for hop, port in hops)]
    return {piece.heuristic for f in told for piece in f.evidence if piece.decibans > 0}


def known() -> Known:
    """What this checkout has."""
    return Known(
        heuristics={name: h.d3fend for name, h in registry().items()},
        rules={Path(rule.place).stem for rule in sigma.load([]).rules},
        outputs=set(exporting.FORMATS),
        sources={module.name for module in pkgutil.iter_modules(sources.__path__)},
        captures={p.stem for p in labelled.PCAPS.glob("*.json") if p.with_suffix(".pcap.gz").is_file()},
    )


def test_every_row_has_its_proof() -> None:
    told = coverage()
    tests = collected(node.partition("::")[0] for row in told.rows for node in row.proof.tests)
    assert list(problems(told, known(), tests, shown)) == []


def test_the_tests_behind_heuristics_and_rules_notice_when_these_say_nothing() -> None:
    claims: dict[tuple[str, str], list[str]] = {}
    for row in coverage().rows:
        for name in row.served.heuristics:
            claims[row.id, name] = [node for node in row.proof.tests if f"/test_{name}.py::" in node]
        if row.served.rules:
            claims[row.id, "rules"] = [node for node in row.proof.tests if "/sigma/" in node]
        if row.kind == "tool":
            claims |= {(row.id, node): [node] for node in row.proof.tests}
    claims = {claim: nodes for claim, nodes in claims.items() if nodes}
    noticed = failing(dict.fromkeys(node for nodes in claims.values() for node in nodes))
    assert [claim for claim, nodes in claims.items() if not noticed.intersection(nodes)] == []
