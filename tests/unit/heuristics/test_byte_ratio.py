"""byte_ratio: uploads stand out against the host's own habit."""

from __future__ import annotations

from typing import Any

import pytest

from hopscope.baselines.model import Baseline
from hopscope.config import VantageSettings
from hopscope.heuristics.byte_ratio import HEURISTIC
from support.baselines import make_baseline
from support.windows import START, make_window


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


HOUR = START // 3_600_000_000
EXFIL = {"orig_bytes": 900_000, "resp_bytes": 9_000}


def hours(count: int, up: int = 50_000, down: int = 950_000, every: int = 1, **more: Any) -> list[dict[str, Any]]:
    return [{"hour": HOUR - every * i, "orig_bytes": up + i, "resp_bytes": down, **more} for i in range(count)]


def past(row: dict[str, Any]) -> list[bool]:
    return [row[f"median_{span}"] is not None for span in ("3h", "day", "week")]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (hours(2), [False, False, False]),
        (hours(3), [True, False, False]),
        (hours(3, up=100, down=1_899), [False, False, False]),
        (hours(3, up=100, down=1_900), [True, False, False]),
        (hours(7), [True, False, False]),
        (hours(8), [True, True, False]),
        (hours(23, every=7), [False, False, False]),
        (hours(24, every=7), [False, False, True]),
        (hours(24), [True, True, True]),
        (hours(24, hour=HOUR - 168), [False, False, False]),
        (hours(24, host="10.0.0.6"), [False, False, False]),
        (hours(24, sensor="other"), [False, False, False]),
        (hours(24, orig_bytes=None), [False, False, False]),
    ],
)
def test_spans_with_too_few_hours_say_nothing(given: list[dict[str, Any]], told: list[bool]) -> None:
    (row,) = weigh([*ordinary(8), EXFIL], host_hours=given)
    assert past(row) == told
    assert row["decibans"] == HEURISTIC.defaults.most_db
    assert (row["baselines"], row["unlike"]) == (1 + sum(told), 1 + sum(told))


def test_a_host_that_fed_the_internet_all_week_counts_less() -> None:
    (row,) = weigh([*ordinary(8), EXFIL], host_hours=hours(100, up=950_000, down=50_000))
    assert (row["baselines"], row["unlike"]) == (4, 1)
    assert row["decibans"] == HEURISTIC.defaults.most_db / 4
    assert "of its hours over 3 hours +0.90, over a day +0.90, over a week +0.90" in HEURISTIC.sentence(row)


def test_its_own_upload_in_these_hours_does_not_make_it_a_habit_of_the_week() -> None:
    given = [*hours(3, up=950_000, down=50_000), *hours(40)[3:]]
    (row,) = weigh([*ordinary(8), EXFIL], host_hours=given)
    assert (row["baselines"], row["unlike"]) == (4, 3)


def test_a_host_of_few_destinations_has_its_own_past() -> None:
    (unlike,) = weigh([EXFIL], host_hours=hours(24))
    assert unlike["decibans"] == HEURISTIC.defaults.most_db
    assert weigh([EXFIL], host_hours=hours(24, up=950_000, down=50_000)) == []


def test_the_order_of_hours_is_irrelevant() -> None:
    given = [
        row for i, row in enumerate(hours(30)) for row in (row, {**row, "host": "10.0.0.6", "orig_bytes": i * 9_999})
    ]
    assert weigh([*ordinary(8), EXFIL], host_hours=given) == weigh([*ordinary(8), EXFIL], host_hours=given[::-1])


# a learnt baseline


def learnt(count: int, up: int = 950_000, down: int = 50_000, first: int = 48, **row: Any) -> Baseline:
    return make_baseline(
        host_hours=[
            {"hour": HOUR - first - i, "orig_bytes": up + i, "resp_bytes": down, **row} for i in range(count)
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("baseline", "told"),
    [
        (learnt(23), False),
        (learnt(24), True),
        (learnt(24, host="10.0.0.6"), False),
        (learnt(24, sensor="other"), False),
        (learnt(24, up=100, down=1_800), False),
        (learnt(24, first=0), False),  # one of them is the window's own hour
        (learnt(25, first=0), True),
    ],
)
def test_learnt_hours_are_one_more_baseline(baseline: Baseline, told: bool) -> None:
    (row,) = weigh([*ordinary(8), EXFIL], baseline=baseline)
    assert (row["baselines"], row["unlike"]) == (1 + told, 1)
    assert row["decibans"] == HEURISTIC.defaults.most_db / (1 + told)
    assert (row["median_learnt"] is not None) is told
    assert ("over the days of baseline 3 +0.90" in HEURISTIC.sentence(row)) is told


def test_a_habit_that_was_learnt_speaks_for_a_host_that_is_seen_for_the_first_time() -> None:
    assert weigh([EXFIL], baseline=learnt(24)) == []
    (unlike,) = weigh([EXFIL], baseline=learnt(24, up=50_000, down=950_000))
    assert unlike["decibans"] == HEURISTIC.defaults.most_db
