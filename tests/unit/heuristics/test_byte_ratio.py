"""byte_ratio: uploads stand out against the host's own habit."""

from __future__ import annotations

from typing import Any

import pytest

from hopscope.config import VantageSettings
from hopscope.heuristics.byte_ratio import HEURISTIC
from support.windows import make_window


def ordinary(n: int, up: int = 800, down: int = 30_000) -> list[dict[str, Any]]:
    return [{"server": f"192.0.2.{i}", "orig_bytes": up + i, "resp_bytes": down} for i in range(n)]


def weigh(pairs: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = HEURISTIC.weigh(make_window(pairs=pairs, **more), HEURISTIC.defaults).to_pylist()
    return rows


def test_exfiltration_from_a_host_that_downloads() -> None:
    (row,) = weigh([*ordinary(8), {"orig_bytes": 900_000, "resp_bytes": 9_000}])
    assert row["server"] == "203.0.113.9"
    assert row["decibans"] == HEURISTIC.defaults.most_db
    assert row["ratio"] == pytest.approx(0.98)
    assert "900,000 bytes up" in HEURISTIC.sentence(row)


def test_a_host_that_uploads_everywhere_is_not_unusual() -> None:
    assert weigh([*ordinary(8, 900_000, 9_000), {"orig_bytes": 900_000, "resp_bytes": 9_000}]) == []


@pytest.mark.parametrize(("up", "fires"), [(1_999, False), (2_000, True)])
def test_too_few_bytes_say_nothing(up: int, fires: bool) -> None:
    assert bool(weigh([*ordinary(8), {"orig_bytes": up, "resp_bytes": 100}])) is fires


@pytest.mark.parametrize(("down", "fires"), [(5_400, False), (5_384, True)])
def test_floor(down: int, fires: bool) -> None:
    assert bool(weigh([*ordinary(8), {"orig_bytes": 10_000, "resp_bytes": down}])) is fires


def test_a_host_without_a_habit_counts_half() -> None:
    (row,) = weigh([{"orig_bytes": 900_000, "resp_bytes": 9_000}])
    assert row["decibans"] == HEURISTIC.defaults.most_db / 2


def test_one_sided_links_void_it() -> None:
    (row,) = weigh([{"orig_bytes": 900_000, "resp_bytes": 0}], vantage=VantageSettings(one_sided=True))
    assert row["server"] is None
    assert row["void"]
