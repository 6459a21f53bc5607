"""peers: hosts that share destinations belong together, in whatever order they are told."""

from __future__ import annotations

import random

import pyarrow as pa

from hopscope.heuristics import peers
from hopscope.heuristics.peers import communities


def groups(rows: list[tuple[str, str]]) -> set[frozenset[str]]:
    table = pa.table({"sensor": ["s"] * len(rows), "client": [r[0] for r in rows], "place": [r[1] for r in rows]})
    found: dict[int, set[str]] = {}
    for r in communities(table).to_pylist():
        found.setdefault(r["community"], set()).add(r["client"])
        assert r["members"] >= 1
    return {frozenset(members) for members in found.values()}


TWO = [(f"{x}{i}", f"{use}{j}") for x, use in (("a", "sales"), ("b", "dev")) for i in range(4) for j in range(5)]
BRIDGE = [("a0", "news"), ("b0", "news")]


def test_two_departments() -> None:
    expected = {frozenset(f"{x}{i}" for i in range(4)) for x in "ab"}
    assert groups([*TWO, *BRIDGE]) == expected


def test_the_order_of_rows_is_irrelevant() -> None:
    rows = [*TWO, *BRIDGE]
    expected = groups(rows)
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        assert groups(rows) == expected


def test_hosts_that_share_nothing_belong_to_nothing() -> None:
    assert groups([("a", "x"), ("b", "y")]) == set()


def test_what_everybody_uses_ties_nobody() -> None:
    assert groups([(f"h{i}", "everybody's") for i in range(peers.MOST_USERS)])
    assert groups([(f"h{i}", "everybody's") for i in range(peers.MOST_USERS + 1)]) == set()
