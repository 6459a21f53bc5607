"""docs/tools.md: every row names what there is, and the captures show what the row says."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from hopscope.heuristics import registry
from support import labelled

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
TOOLS = (
    "HTRAN", "ZXProxy", "ZXPortMap", "EarthWorm", "lcx", "Termite", "frp", "chisel", "ligolo-ng", "gost", "revsocks",
    "ngrok", "portmap.io",
)  # fmt: skip
RULES = {p.stem for p in (ROOT / "analyzer" / "hopscope" / "sigma" / "rules").glob("*.yml")}


@dataclass(frozen=True)
class Row:
    """A line of the table: what is said to catch the tool, and what that was shown on."""

    tool: str
    section: str
    caught_by: frozenset[str]
    captures: tuple[str, ...]
    tests: tuple[str, ...]
    found: bool
    cells: tuple[str, ...]


def rows() -> list[Row]:
    made = []
    for line in PAGE.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split(" | ")]
        if not (link := re.fullmatch(r"\[(.+)\]\(#(.+)\)", cells[0])):
            continue
        shown = cells[3]
        made.append(
            Row(
                tool=link[1], section=link[2], caught_by=frozenset(re.findall(r"`([^`]+)`", cells[2])),
                captures=tuple(re.findall(r"capture `([^`]+)`", shown)),
                tests=tuple(re.findall(r"`(test_\w+)`", " ".join(cells))),
                found="found" in cells[2], cells=tuple(cells),
            )
        )  # fmt: skip
    return made


@functools.cache
def _there_are() -> frozenset[str]:
    sources = (p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("test_*.py"))
    return frozenset(name for source in sources for name in re.findall(r"^\s*def (test_\w+)\(", source, re.MULTILINE))


def test_there_is_a_row_for_each_tool() -> None:
    assert tuple(row.tool for row in rows()) == TOOLS


@pytest.mark.parametrize("row", rows(), ids=lambda r: r.tool)
def test_a_row_is_whole_and_names_what_there_is(row: Row) -> None:
    assert len(row.cells) == 5
    assert all(row.cells)
    assert row.caught_by
    assert row.caught_by <= registry().keys() | RULES
    assert set(row.tests) <= _there_are()
    assert all((ROOT / "pcaps" / f"{capture}.pcap.gz").is_file() for capture in row.captures)
    assert row.captures or row.tests or row.cells[3] == "not tried"
    assert row.cells[3] != "not tried" or not row.found
    anchors = {
        re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    }
    assert row.section in anchors


@pytest.mark.parametrize("section", PAGE.split("\n## ")[1:], ids=lambda s: s.splitlines()[0])
def test_every_section_has_its_sources(section: str) -> None:
    assert re.search(r"^Sources?: <https://", section, re.MULTILINE)


@pytest.mark.parametrize("row", [r for r in rows() if r.captures], ids=lambda r: r.tool)
def test_a_capture_shows_what_its_row_says(row: Row) -> None:
    for capture in row.captures:
        found = labelled.found(capture).at_least("medium")
        assert {(f.hop, f.port) for f in found} == labelled.hops(capture)
        told = {piece.heuristic for f in found for piece in f.evidence if piece.decibans > 0}
        assert told & row.caught_by
