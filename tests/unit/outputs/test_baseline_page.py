"""Baselines on a page: what was learnt, which one is used, and nothing from the wire unescaped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hopscope.baselines.model import About
from hopscope.outputs import baseline_page, page
from hopscope.outputs.page import Row
from support.baselines import ABOUT, make_baseline


def text(rows: Iterator[Row]) -> str:
    return "\n".join(line.plain for line in page.lines(rows, 100))


def about(**changes: Any) -> About:
    return About(**{**ABOUT, "hosts": 42, "destinations": 1203, **changes})


def test_what_was_learnt_in_one_look() -> None:
    assert text(baseline_page.learnt(about(), 7)) == (
        "baseline 3 learnt: 7 days, 2023-11-06 22:13 to 2023-11-13 22:13 UTC, 42 hosts of ours, 1,203\ndestinations"
    )
    assert "2 days (of 7 asked for)" in text(baseline_page.learnt(about(days=2), 7))


def test_what_was_left_out_is_named_up_to_a_bound() -> None:
    left = tuple(f"203.0.113.{i} (medium, +1.0 dB)" for i in range(12))
    said = text(baseline_page.learnt(about(left_out=left), 7))
    assert "left out, since they look like hops or are labelled so: 12" in said
    assert "  203.0.113.9 (medium, +1.0 dB)\n  and 2 more: hopscope baseline show 3\n" in said
    assert "--keep" in said
    assert "203.0.113.11" in text(baseline_page.shown(make_baseline({"left_out": left})))


@pytest.mark.parametrize(
    ("use", "used", "last"),
    [
        ("latest", "4", "* hunts are judged by this one"),
        ("3", "3", "* hunts are judged by this one"),
        ("none", None, "hunts are judged by none of them (baseline.use)"),
    ],
)
def test_the_list_marks_the_one_that_is_used(use: str, used: str | None, last: str) -> None:
    said = text(baseline_page.listed([about(), about(version=4)], use)).splitlines()
    assert [line.split()[1] for line in said if line.startswith("*  ")] == ([used] if used else [])
    assert said[-1] == last


def test_of_none_it_says_how_to_learn_one() -> None:
    assert "hopscope baseline learn INPUT" in text(baseline_page.listed([], "latest"))


def test_what_a_baseline_holds() -> None:
    members = [{"client": f"10.0.0.{i}", "members": 3} for i in range(3)]
    places = [
        {"kind": "name", "value": "www.big.example", "clients": 9},
        {"kind": "name", "value": "evil\x1b[31m.example", "clients": 2},
        {"kind": "name", "value": "left.example", "clients": 0, "days": 0},
        {},
    ]
    baseline = make_baseline({"left_out": ("left.example (high, +12.0 dB)",)}, communities=members, places=places)
    said = text(baseline_page.shown(baseline))
    assert said.startswith("baseline 3 of 2023-11-14, 7 days\n  from records  2023-11-06 22:13")
    assert "1 group" in said
    assert "  3 hosts       10.0.0.0, 10.0.0.1, 10.0.0.2" in said
    assert "1 by address, 2 by name" in said
    used = said[said.index("used by most") : said.index("left out")].splitlines()[1:]
    assert [line.split()[0] for line in used if line] == ["www.big.example", r"evil\x1b[31m.example"]
    assert "\x1b" not in said
