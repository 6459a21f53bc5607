"""known_names: age speaks for a name, where there is history and DNS led to the address."""

from __future__ import annotations

import pytest

from hopscope.heuristics.known_names import DAY_US, HEURISTIC
from support.windows import START, make_window


def against(days: float, named: bool = True) -> float:
    window = make_window(
        pairs=[{"name": "www.example.com"}],
        names=[{}] if named else [],
        first_seen=[{"kind": "name", "value": "www.example.com", "first_us": START - round(days * DAY_US)}],
        end_us=START,
    )
    rows = HEURISTIC.weigh(window, HEURISTIC.defaults).to_pylist()
    return float(rows[0]["decibans"]) if rows else 0.0


@pytest.mark.parametrize(("days", "speaks"), [(0.5, False), (6.9, False), (7.5, True), (40, True)])
def test_young_names_say_nothing(days: float, speaks: bool) -> None:
    assert (against(days) < 0) is speaks


def test_weight_grows_with_age_up_to_the_cap() -> None:
    assert 0 > against(10) > against(20) > against(30) == against(300) == -HEURISTIC.defaults.most_db


def test_a_name_that_dns_did_not_give_for_this_address_protects_nothing() -> None:
    assert against(300, named=False) == 0
