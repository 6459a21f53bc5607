"""What other settings would change, as it is read: scores on both sides, what moved, and what else is known."""

from __future__ import annotations

import dataclasses
import json

from hopscope.findings import Entity
from hopscope.labels import Measure
from hopscope.outputs import page, whatif_table
from hopscope.whatif.changes import Change, Moved, Outcome
from support.findings import finding

BEFORE = finding("medium", 2.6)
AFTER = finding("low", -3.0, id="hop-2", entity=Entity("address", "192.0.2.102"), suppression="backup: \x1b[31m known")
MEASURE = Measure(hops=3, benign=1, outgrown=0, unlabelled=5, found=3, missed=0)
CHANGES = (
    Change("appears", None, BEFORE, 2.6, 2.6, None),
    Change("vanishes", BEFORE, AFTER, 2.6, -3.0, Moved("path_gap", 34.6, 29.0)),
    Change("vanishes", BEFORE, None, 2.6, -32.0, Moved("path_gap", 34.6, None)),
    Change("falls", BEFORE, BEFORE, 2.6, 2.6, None),
)


def shown(rows: object) -> list[str]:
    return [line.plain for line in page.lines(rows, 200)]  # type: ignore[arg-type]


def test_each_change_is_a_line() -> None:
    lines = shown(whatif_table.rows(Outcome(CHANGES, 0, None), {AFTER.id: AFTER}))
    assert [" ".join(line.split()) for line in lines] == [
        "change what id before after moved most by",
        "appears 192.0.2.102:443/tcp hop-3fa9c21b7d +2.6 not told +2.6 medium which entity is told",
        r"vanishes 192.0.2.102 hop-2 +2.6 medium -3.0 low path_gap +34.6 -> +29.0 hidden: backup: \x1b[31m known; "
        "was told as 192.0.2.102:443/tcp",
        "vanishes 192.0.2.102:443/tcp hop-3fa9c21b7d +2.6 medium -32.0 not told path_gap +34.6 -> nothing",
        "falls 192.0.2.102:443/tcp hop-3fa9c21b7d +2.6 medium +2.6 medium where the severity begins",
        "",
    ]
    assert shown(whatif_table.rows(Outcome((), 3, None), {})) == []


def test_what_was_supposed_and_what_labels_say() -> None:
    differences = {
        "disabled": (("rotation",), ("cadence",)),
        "heuristics.path_gap.floor_ms": (15.0, 25.0),
        "vantage.own_proxies": ((), ("10.0.0.1",)),
    }
    after = dataclasses.replace(MEASURE, benign=0)
    lines = shown(whatif_table.summary(Outcome((), 1, (MEASURE, after)), differences, 1, ["path_gap"], "high"))
    assert lines == [
        "supposed  cadence disabled; rotation enabled; path_gap.floor_ms 25 ms (was 15); vantage.own_proxies 10.0.0.1 "
        "(was none); +1 overrides",
        "same      1 finding at high or above",
        "before    precision 0.75 (3 of 4 labelled findings), recall 1.00 (3 of 3 labelled hops)",
        "after     precision 1.00 (3 of 3 labelled findings), recall 1.00 (3 of 3 labelled hops)",
        "weighed   path_gap",
    ]


def test_lines_of_json_have_both_sides() -> None:
    lines = list(whatif_table.jsonl(Outcome(CHANGES[1:3], 0, None), {AFTER.id: AFTER}))
    assert all(line.isprintable() and line.isascii() for line in lines)
    assert json.loads(lines[0]) == {
        "change": "vanishes", "id": "hop-2", "entity": {"kind": "address", "value": "192.0.2.102"},
        "hop": "192.0.2.102", "port": 443, "before": {"score_db": 2.6, "severity": "medium"},
        "after": {"score_db": -3.0, "severity": "low"},
        "moved": {"what": "path_gap", "before_db": 34.6, "after_db": 29.0}, "label": None,
        "suppression": "backup: \x1b[31m known",
    }  # fmt: skip
    assert json.loads(lines[1])["after"] == {"score_db": -32.0, "severity": None}
