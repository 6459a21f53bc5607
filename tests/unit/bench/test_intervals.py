from __future__ import annotations

import math

import pytest

from bench.quality import intervals


def test_none_of_222_bounds_a_rate_at_about_1_4_percent() -> None:
    low, high = intervals.exact(0, 222)
    assert low == 0
    assert high == pytest.approx(0.0134, abs=1e-4)
    assert intervals.rule_of_three(222) == pytest.approx(0.0135, abs=1e-4)


def test_exact_as_published() -> None:
    # Clopper and Pearson 1934, as in any table: 10 of 100
    assert intervals.exact(10, 100) == pytest.approx((0.0490, 0.1762), abs=1e-4)
    assert intervals.exact(1, 10) == pytest.approx((0.0025, 0.4450), abs=1e-4)


def test_all_of_a_few_is_no_certainty() -> None:
    low, high = intervals.exact(22, 22)
    assert high == 1
    assert low == pytest.approx(0.05 ** (1 / 22))


def test_wilson_as_published() -> None:
    # Newcombe 1998, table I: 81 of 263 and 15 of 148, 0 of 20
    assert intervals.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert intervals.wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert intervals.wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


@pytest.mark.parametrize("interval", [intervals.exact, intervals.wilson])
def test_nothing_tried_says_nothing(interval: object) -> None:
    assert callable(interval)
    assert interval(0, 0) == (0.0, 1.0)


def test_rates_of_events_in_time() -> None:
    # Garwood 1936: 3 events
    assert intervals.rate(3, 1.0) == pytest.approx((0.6187, 8.7673), abs=1e-4)
    assert intervals.rate(3, 2.0) == pytest.approx((0.30935, 4.38365), abs=1e-4)
    assert intervals.rate(0, 1.0) == pytest.approx((0.0, 2.9957), abs=1e-4)
    assert intervals.rate(0, 0.0) == (0.0, math.inf)
