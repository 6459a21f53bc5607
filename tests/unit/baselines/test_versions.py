"""Baselines on disk: numbered, whole or not at all, private, and never another one's tables."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from hopscope.baselines import versions
from hopscope.baselines.model import TABLES, About
from hopscope.errors import UsageError
from support.baselines import ABOUT, make_tables
from support.tables import assert_same

TOLD = About(**ABOUT)
ROWS = make_tables(
    host_hours=[{}, {"hour": 1}],
    places=[{}, {"kind": "name", "value": "www.example.com"}],
    communities=[{}],
    habits=[{"users": 2, "user": None}],
)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    about = versions.save(tmp_path, ROWS, TOLD)
    loaded = versions.load(tmp_path, 1)
    assert loaded.about == about
    assert_same({name: getattr(loaded, name) for name in TABLES}, ROWS)
    assert about.version == 1
    assert about.label == "1 of 2023-11-14, 7 days"


def test_the_same_tables_have_the_same_digest(tmp_path: Path) -> None:
    first, second = (versions.save(tmp_path, ROWS, TOLD) for _ in range(2))
    other = versions.save(tmp_path, {**ROWS, "habits": ROWS["habits"].slice(0, 0)}, TOLD)
    assert first.digest == second.digest != other.digest


def test_a_number_is_given_once(tmp_path: Path) -> None:
    for expected in (1, 2):
        assert versions.save(tmp_path, ROWS, TOLD).version == expected
    versions.remove(tmp_path, 2)
    assert versions.save(tmp_path, ROWS, TOLD).version == 3
    assert [about.version for about in versions.listed(tmp_path)] == [1, 3]


@pytest.mark.parametrize(("use", "version"), [("none", None), ("latest", 10), ("2", 2)])
def test_which_one_is_chosen(tmp_path: Path, use: str, version: int | None) -> None:
    for _ in range(10):
        versions.save(tmp_path, ROWS, TOLD)
    found = versions.chosen(tmp_path, use)
    assert (None if found is None else found.about.version) == version


def test_without_any_the_latest_is_none_and_a_number_is_an_error(tmp_path: Path) -> None:
    assert versions.chosen(tmp_path / "never", "latest") is None
    with pytest.raises(UsageError, match="no baseline 1: none was learnt yet"):
        versions.chosen(tmp_path / "never", "1")
    versions.save(tmp_path, ROWS, TOLD)
    with pytest.raises(UsageError, match="no baseline 7; there are 1"):
        versions.chosen(tmp_path, "7")
    with pytest.raises(UsageError, match="no baseline 7; there are 1"):
        versions.remove(tmp_path, 7)


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    versions.save(tmp_path / "state" / "baselines", ROWS, TOLD)
    for path in (tmp_path / "state").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_changed_tables_are_refused(tmp_path: Path) -> None:
    versions.save(tmp_path, ROWS, TOLD)
    versions.save(tmp_path, {**ROWS, "places": ROWS["places"].slice(0, 1)}, TOLD)
    os.replace(tmp_path / "2" / "places.parquet", tmp_path / "1" / "places.parquet")
    with pytest.raises(UsageError, match="not those that were learnt; remove it with `hopscope baseline remove 1`"):
        versions.load(tmp_path, 1)


@pytest.mark.parametrize("name", ["baseline.json", "habits.parquet"])
@pytest.mark.parametrize("damage", [b"", b"\x00\xff{", b"{}", b"[1, 2]"])
def test_damage_is_one_line_with_a_remedy(tmp_path: Path, name: str, damage: bytes) -> None:
    versions.save(tmp_path, ROWS, TOLD)
    (tmp_path / "1" / name).write_bytes(damage)
    with pytest.raises(UsageError, match=r"can't be read .* remove it with `hopscope baseline remove 1`"):
        versions.load(tmp_path, 1)
    versions.remove(tmp_path, 1)
    assert versions.listed(tmp_path) == []


def test_another_ones_description_is_refused(tmp_path: Path) -> None:
    for _ in range(2):
        versions.save(tmp_path, ROWS, TOLD)
    told = json.loads((tmp_path / "1" / "baseline.json").read_text())
    (tmp_path / "1" / "baseline.json").write_text(json.dumps({**told, "version": 2}))
    with pytest.raises(UsageError, match="speaks of baseline 2"):
        versions.about(tmp_path, 1)


def test_what_was_half_made_is_no_baseline(tmp_path: Path) -> None:
    (tmp_path / "4").mkdir()
    (tmp_path / ".learning.x").mkdir()
    assert versions.listed(tmp_path) == []
    assert versions.save(tmp_path, ROWS, TOLD).version == 5


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        with versions.temporary(tmp_path) as spool:
            (spool / "0.parquet").write_bytes(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "baselines").write_text("")
    with pytest.raises(UsageError, match="can't be written"):
        versions.save(tmp_path / "baselines", ROWS, TOLD)
