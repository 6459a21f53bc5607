"""`make quality` on the project's own captures: the page is made, and says what is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page and its figures, made of pcaps/ alone."""
    out = tmp_path_factory.mktemp("quality")
    command = [sys.executable, "-m", "bench.quality", "--out", out, "--shared", out / "none", "--only", "lab"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return out


def test_every_hop_of_our_captures_is_found_and_nothing_else(made: Path) -> None:
    page = (made / "quality.md").read_text(encoding="utf-8")
    assert "9 of 9 hops found, 0 false findings, in 8 captures" in page
    assert "were not at hand" in page


def test_the_page_shows_its_figures(made: Path) -> None:
    page = (made / "quality.md").read_text(encoding="utf-8")
    for figure in ("quality-recall.svg", "quality-calibration.svg"):
        assert f"]({figure})" in page
        drawn = (made / figure).read_text(encoding="utf-8")
        assert "</svg>" in drawn
        assert "dc:date" not in drawn


def test_the_page_kept_in_docs_was_made_of_more_than_our_own_captures() -> None:
    kept = (ROOT / "docs/quality.md").read_text(encoding="utf-8")
    assert "## Captures of real software" in kept
    for figure in ("quality-recall.svg", "quality-calibration.svg"):
        assert (ROOT / "docs" / figure).is_file()
