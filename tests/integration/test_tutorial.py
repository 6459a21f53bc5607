"""docs/tuning.md tells what its commands print, on the office that bench/synthetic.py makes."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path

import pytest

from support.documents import script

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_command_of_the_tutorial_prints_what_the_page_says(tmp_path: Path) -> None:
    now = script("tutorial").refreshed(PAGE, tmp_path)
    difference = difflib.unified_diff(PAGE.splitlines(), now.splitlines(), "docs/tuning.md", "now", lineterm="", n=1)
    assert now == PAGE, "run `make docs`\n" + "\n".join(difference)

    # the page's own promise, from what the last hunt kept
    truth = json.loads((tmp_path / "office" / "site" / "truth.json").read_text())
    hops = {p["address"] for p in truth["programs"] if p["hop"] and p["kind"] != "exercise"}
    last = [json.loads(line) for line in (tmp_path / "office" / "left.jsonl").read_text().splitlines()]
    assert {finding["hop"] for finding in last} == hops
    assert len(hops) == len(last) == 4


def page(tmp_path: Path, text: str) -> str:
    work = tmp_path / "work"
    work.mkdir()
    shown: str = script("tutorial").refreshed(text, work)
    return shown


def test_a_block_is_played_anew_in_one_directory(tmp_path: Path) -> None:
    before = "<!-- file: a.toml -->\n```toml\nx = 1\n```\n\n```console\n$ cat a.toml\n"
    after = "$ for i in 1 2; do\n> echo $i; done\n"
    shown = page(tmp_path, f"{before}old\n{after}```\nThe rest stays.\n")
    assert shown == f"{before}x = 1\n{after}1\n2\n```\nThe rest stays.\n"


def test_a_command_that_ends_otherwise_than_said_stops_the_page(tmp_path: Path) -> None:
    refused = "```console\n$ hopscope explain nothing\n```\n"
    with pytest.raises(SystemExit, match="exit code 2"):
        page(tmp_path, refused)


def test_a_page_can_say_that_a_command_is_refused(tmp_path: Path) -> None:
    text = page(tmp_path, "<!-- exits: 2 -->\n```console\n$ hopscope explain nothing\n```\n")
    assert "no findings are kept here" in text


def test_every_kind_of_program_is_told_in_the_page() -> None:
    for row in script("tutorial").office():
        assert row in PAGE, "run `make docs`"
    assert re.search(r"bench/synthetic\.py --week", PAGE)
