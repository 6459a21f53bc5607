import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hopscope.heuristics.cadence import HEURISTIC, Settings
from support.windows import make_window, starts

Rows = list[dict[str, Any]]


def weigh(rows: Rows, settings: Settings | None = None, **window: Any) -> Rows:
    table = HEURISTIC.weigh(make_window(starts=rows, **window), settings or HEURISTIC.defaults)
    out: Rows = table.to_pylist()
    return out


def decibans(times: Any, settings: Settings | None = None, **row: Any) -> float:
    """Of the single destination that is called at `times` (s)."""
    rows = weigh(starts(times, **row), settings)
    assert len(rows) <= 1
    return float(rows[0]["decibans"]) if rows else 0.0


def calls(count: int, interval: float, jitter: float = 0.0, seed: int = 1) -> list[float]:
    """Start times with intervals uniform within ± `jitter` of `interval`."""
    rng = np.random.default_rng(seed)
    return [0.0, *np.cumsum(interval * (1 + rng.uniform(-jitter, jitter, count)))]


def browsing(pages: int, seed: int) -> list[float]:
    """A person: each page opens several connections at once, pauses are heavy-tailed."""
    rng = np.random.default_rng(seed)
    times, t = [], 0.0
    for _ in range(pages):
        times += [t + d for d in np.cumsum(rng.exponential(0.2, rng.integers(1, 8)))]
        t += 3 * (1 + rng.pareto(1.2))
    return sorted(times)


def test_a_beacon_is_found_and_explained() -> None:
    (row,) = weigh(starts(calls(30, 60, 0.1)))
    assert 8 < row["decibans"] <= 9.6
    assert row["interval_s"] == pytest.approx(60, rel=0.05)
    assert (row["connections"], row["burst"], row["size_spread"], row["coverage"]) == (31, 1.0, 0.0, 1.0)
    assert row["spread"] == pytest.approx(0.05, abs=0.03)
    assert (row["server"], row["port"], row["proto"], row["name"]) == ("203.0.113.9", 443, "tcp", None)
    assert len(row["uids"]) == 10
    assert HEURISTIC.sentence(row).startswith("31 calls, one every 1.0 min") or "59." in HEURISTIC.sentence(row)


@pytest.mark.parametrize("seed", range(20))
def test_a_person_browsing_is_not(seed: int) -> None:
    assert decibans(browsing(60, seed)) < 1


@pytest.mark.parametrize("seed", range(20))
def test_calls_at_random_are_not(seed: int) -> None:
    assert decibans(np.cumsum(np.random.default_rng(seed).exponential(10, 100))) < 3  # one in a hundred passes 0


@pytest.mark.parametrize("seed", range(5))
def test_half_jitter_still_weighs_something_and_less_than_none(seed: int) -> None:
    jittered, steady = decibans(calls(60, 60, 0.5, seed)), decibans(calls(60, 60, 0.0, seed))
    assert 3 < jittered < steady


@pytest.mark.parametrize(
    "shape",
    [
        lambda: calls(20, 3, 0.2),
        lambda: calls(60, 60, 0.5),
        lambda: browsing(60, 3),
        lambda: [*calls(15, 60, 0.1), *(t + 30_000 for t in calls(15, 60, 0.1, 2))],
    ],
    ids=["short", "jitter", "browsing", "sleep"],
)
@pytest.mark.parametrize("scale", [100, 0.01])
def test_the_scale_of_time_matters_to_habits_alone(shape: Callable[[], list[float]], scale: float) -> None:
    times, any_time = [round(t, 4) for t in shape()], Settings(long_db=Settings().max_db, long_burst=0.0)
    assert decibans([t * scale for t in times], any_time) == pytest.approx(decibans(times, any_time), abs=0.02)


@pytest.mark.parametrize(("intervals", "found"), [(5, False), (6, True), (7, True)])
def test_fewest_intervals(intervals: int, found: bool) -> None:
    assert (decibans(calls(intervals, 10)) > 0) is found


def test_more_calls_weigh_more() -> None:
    weights = [decibans(calls(n, 10)) for n in (6, 12, 50, 250)]
    assert weights == sorted(weights)
    assert weights[-1] <= Settings().max_db


@pytest.mark.parametrize(("spread", "found"), [(0.49, True), (0.5, False), (0.51, False)])
def test_spread_just_below_at_and_above(spread: float, found: bool) -> None:
    # intervals 1 - spread, 1 and 1 + spread in turn, as often as makes the MAD equal to spread
    intervals = np.tile([1.0, 1 - spread, 1 + spread, 1 - spread, 1 + spread], 40)
    lenient = Settings(chance_low_db=-1e9, chance_high_db=-1e9 + 1, score_low=0.0)
    assert (decibans([0.0, *np.cumsum(intervals)], lenient) > 0) is found


def test_a_long_sleep_does_not_hide_a_beacon() -> None:
    night = 8 * 3600
    times = [*calls(20, 60, 0.2), *(t + night for t in calls(20, 60, 0.2, 2))]
    (row,) = weigh(starts(times))
    assert row["decibans"] > 6
    assert row["interval_s"] == pytest.approx(60, rel=0.2)


def test_a_change_of_mode_does_not_hide_a_beacon() -> None:
    slow = calls(40, 300, 0.1)
    fast = [slow[-1] + 5 + t for t in calls(150, 5, 0.1, 2)]
    slow_again = [fast[-1] + 300 + t for t in calls(40, 300, 0.1, 3)]
    (row,) = weigh(starts([*slow, *fast, *slow_again]))
    assert row["decibans"] > 4


def test_a_beacon_after_browsing_to_the_same_place_is_found() -> None:
    before = browsing(30, 4)
    assert decibans([*before, *(before[-1] + 60 + t for t in calls(40, 60, 0.1))]) > 4


def test_missed_calls_do_not_hide_a_beacon() -> None:
    times = [t for k, t in enumerate(calls(60, 60, 0.1)) if k % 9]
    assert decibans(times) > 6


def test_two_connections_a_call_weigh_less_and_many_nothing() -> None:
    single = calls(30, 60, 0.1)
    weights = [decibans(sorted(t + 0.05 * k for t in single for k in range(n))) for n in (1, 2, 3, 6)]
    assert weights[0] > weights[1] > 0
    assert weights[2:] == [0.0, 0.0]


def test_connections_side_by_side_are_no_calls() -> None:
    rows = starts([0.002 * k for k in range(12)])
    long = [{"uid": r["uid"], "duration": 1.0} for r in rows]
    assert decibans([0.002 * k for k in range(12)]) > 0
    assert weigh(rows, samples=long) == []


def test_sizes_that_vary_weigh_less() -> None:
    rng = random.Random(1)
    same = starts(calls(40, 60, 0.4))
    varied = [{**r, "orig_bytes": round(10 ** rng.uniform(2, 5))} for r in same]
    unknown = [{**r, "orig_bytes": None} for r in same]
    by_size = [weigh(rows)[0]["decibans"] for rows in (varied, same)]
    assert by_size[0] < by_size[1] - 1
    assert weigh(unknown)[0]["size_spread"] is None


def test_a_name_is_one_beacon_whatever_the_address() -> None:
    times = calls(40, 60, 0.1)
    rows = [
        *starts(times[::2], server="203.0.113.1", name="a.example"),
        *starts(times[1::2], server="203.0.113.2", name="a.example"),
    ]
    found = weigh(rows)
    assert {(r["server"], r["name"]) for r in found} == {("203.0.113.1", "a.example"), ("203.0.113.2", "a.example")}
    assert all(r["connections"] == 41 and r["interval_s"] == pytest.approx(60, rel=0.05) for r in found)


def test_ports_in_turn_are_one_beacon() -> None:
    times = calls(40, 60, 0.1)
    rows = [r for p in range(10) for r in starts(times[p::10], port=4000 + p)]
    (row,) = weigh(rows)
    assert (row["server"], row["port"], row["proto"], row["connections"]) == ("203.0.113.9", None, None, 41)


def test_names_in_turn_at_one_service_are_one_beacon() -> None:
    times = calls(40, 60, 0.1)
    rows = [r for k in range(8) for r in starts(times[k::8], name=f"n{k}.example")]
    (row,) = weigh(rows)
    assert (row["port"], row["name"], row["connections"]) == (443, None, 41)


def test_a_beacon_s_name_stands_out_on_a_shared_edge() -> None:
    rows = [*starts(calls(40, 60, 0.1), name="quiet.example"), *starts(browsing(80, 5), name="busy.example")]
    assert {r["name"] for r in weigh(rows) if r["name"]} == {"quiet.example"}


def test_only_our_hosts_towards_the_internet_count() -> None:
    rows = starts(calls(40, 60, 0.1))
    for client_local, server_local in ((False, True), (True, True), (False, False)):
        pair = {"connections": 41, "client_local": client_local, "server_local": server_local}
        assert weigh(rows, pairs=[pair]) == []


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [*starts(calls(30, 60, 0.2)), *starts(browsing(50, 6), server="203.0.113.3"),
            *starts(calls(30, 60, 0.2, 2), port=80), *starts(calls(30, 60, 0.2, 3), name="a.example")]  # fmt: skip
    expected = weigh(rows)
    random.Random(7).shuffle(rows)
    assert weigh(rows) == expected


def test_nothing_seen_gives_nothing() -> None:
    assert weigh([]) == []


DAY = 24 * 3600


def test_a_rhythm_that_lasts_all_day_weighs_more() -> None:
    short, day = calls(40, 300, 0.1), calls(DAY // 300, 300, 0.1)
    (row,) = weigh(starts(day))
    assert row["hours"] >= 24
    assert Settings().max_db < row["decibans"] <= Settings().long_db
    assert "heard in 2" in HEURISTIC.sentence(row)
    (row,) = weigh(starts(short))
    assert row["hours"] < 6
    assert row["decibans"] < 11


@pytest.mark.parametrize(("hours", "more"), [(2, False), (3, False), (4, True)])
def test_from_how_many_hours_it_is_a_habit(hours: int, more: bool) -> None:
    """START is 13 minutes after the hour."""
    times = calls(3600 * hours // 30 - 100, 30)
    only = Settings(long_low_calls=0, long_high_calls=1)
    without = Settings(long_db=Settings().max_db, long_burst=0.0)
    (row,) = weigh(starts(times), only)
    assert row["hours"] == hours
    assert (row["decibans"] > weigh(starts(times), without)[0]["decibans"]) is more


@pytest.mark.parametrize(("interval", "more"), [(4600, False), (4100, True), (3600, True)])
def test_from_how_many_calls_it_is_a_habit(interval: float, more: bool) -> None:
    times = calls(int(DAY // interval), interval)  # 19, 22 and 25 calls
    without = Settings(long_db=Settings().max_db, long_burst=0.0)
    assert (decibans(times) > decibans(times, without)) is more


def test_hours_of_all_regular_stretches_count_together() -> None:
    nights = [t + 6 * 3600 * k for k in range(4) for t in calls(40, 60, 0.1, k)]
    (row,) = weigh(starts(nights))
    assert 4 <= row["hours"] <= 8


@pytest.mark.parametrize("connections", [3, 5, 12])
def test_bursts_all_day_are_no_page(connections: int) -> None:
    rng = np.random.default_rng(3)
    beside = np.cumsum(rng.exponential(0.3, (DAY // 300 + 1, connections)), axis=1)
    times = [t + d for t, burst in zip(calls(DAY // 300, 300, 0.1), beside, strict=True) for d in burst]
    assert 7 < decibans(times) < Settings().long_db * 0.75
    assert decibans(times[: 30 * connections]) < 1


@pytest.mark.parametrize("seed", range(5))
def test_a_person_browsing_all_day_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = [t + 3600 * h for h in range(8, 20) for t in browsing(int(rng.integers(2, 40)), seed + h) if t < 3600]
    assert decibans(times) < 3
