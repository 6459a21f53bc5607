"""Two published beacon tests, on calls whose scores are worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.quality import baseline
from bench.quality.baseline import Calls

DAY = 86_400.0


def calls(times: object, up: float | list[float] = 100.0, down: float | list[float] = 200.0) -> Calls:
    at = np.asarray(times, float)
    return Calls(
        at, np.broadcast_to(np.asarray(up, float), at.shape), np.broadcast_to(np.asarray(down, float), at.shape)
    )


def test_rita_gives_a_perfect_beacon_all_there_is() -> None:
    assert baseline.rita(calls(np.arange(0, DAY, 300)), 0, DAY) == pytest.approx(1.0, abs=0.001)


def test_rita_scores_nothing_below_four_calls_or_three_intervals() -> None:
    assert baseline.rita(calls([0, 3600, 7200]), 0, DAY) == 0
    assert baseline.rita(calls([0.1, 0.2, 0.3, 0.4, 60]), 0, DAY) == 0


def test_rita_by_hand() -> None:
    # intervals 60, 60, 80, 100, 120: quartiles 60, 80, 110 (halves without the middle one), Bowley 10 / 50 = 0.2,
    # MAD 20: (0.8 + 0.75) / 2 = 0.775. Sizes all alike: 1. One bar of 24: variation above 1: 0. No six hours: 0.
    times = np.cumsum([0, 60, 60, 80, 100, 120])
    assert baseline.rita(calls(times), 0, DAY) == pytest.approx((0.775 + 1) / 4, abs=0.001)


def test_rita_takes_symmetry_for_granted_where_quartiles_are_close() -> None:
    # intervals 10, 11, 12, 13, 18: quartiles 10.5, 12, 15.5 are less than 10 apart; MAD 1
    times = np.cumsum([0, 10, 11, 12, 13, 18])
    assert baseline.rita(calls(times), 0, DAY) == pytest.approx(((1 + 11 / 12) / 2 + 1) / 4, abs=0.001)


def test_rita_fits_two_heights() -> None:
    # twelve hours with ten calls, twelve with two: flat it is not, of two heights it is
    times = [h * 3600 + i * 60 for h in range(24) for i in range(10 if h % 2 else 2)]
    score = baseline.rita(calls(times), 0, DAY)
    assert score > baseline.rita(calls([t for t in times if t < 8 * 3600]), 0, DAY)


def test_rita_wraps_the_longest_run_around_the_end() -> None:
    late_and_early = [h * 3600 + 60 * i for h in (0, 1, 2, 21, 22, 23) for i in range(10)]
    middle = [h * 3600 + 60 * i for h in (6, 7, 8, 14, 15, 16) for i in range(10)]
    # covering nearly the whole day is worth more than a run of six hours
    assert baseline.rita(calls(late_and_early), 0, DAY) > baseline.rita(calls(middle), 0, DAY)


def test_elastic_by_hand() -> None:
    steady = baseline.elastic(calls(np.arange(30, 6 * 3600, 60)), 0, 6 * 3600)
    assert steady.score == 3  # one call in each minute, all of one size


def test_elastic_sees_a_period_longer_than_its_minute() -> None:
    periodic = baseline.elastic(calls(np.arange(30, 6 * 3600, 600)), 0, 6 * 3600)
    assert periodic.score == 3
    assert periodic.autocovariance == pytest.approx(1.0)


def test_elastic_wants_low_spread_of_bytes_each_way() -> None:
    times = np.arange(30, 6 * 3600, 60)
    sizes = [100.0 if i % 2 else 300.0 for i in range(times.size)]
    assert baseline.elastic(calls(times, up=sizes), 0, 6 * 3600).score == 2
    assert baseline.elastic(calls(times, up=sizes, down=sizes), 0, 6 * 3600).score == 1


def test_elastic_says_nothing_of_few_buckets() -> None:
    assert baseline.elastic(calls(np.arange(30, 600, 60)), 0, 6 * 3600).score == 0


def test_elastic_takes_the_best_window() -> None:
    first_six_hours = np.arange(30, 6 * 3600, 60)
    assert baseline.elastic(calls(first_six_hours), 0, 12 * 3600).score == 3


def test_plain_variation() -> None:
    assert baseline.variation(calls([0, 10, 20, 30])) == 0
    assert baseline.variation(calls([0, 10, 30, 40])) == pytest.approx(np.std([10, 20, 10]) / (40 / 3))
    assert baseline.variation(calls([0, 10])) == math.inf


def test_ranks_tell_ties_as_a_range() -> None:
    scores = {("a", str(i)): v for i, v in enumerate([5.0, 3.0, 3.0, 1.0])}
    assert baseline.rank(scores, ("a", "0")) == (1, 1)
    assert baseline.rank(scores, ("a", "2")) == (2, 3)
