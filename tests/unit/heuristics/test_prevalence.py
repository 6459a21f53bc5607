"""prevalence: what many of our hosts use is seldom a hop; a popular name can't be borrowed."""

from __future__ import annotations

from typing import Any

import pytest

from hopscope.heuristics.prevalence import HEURISTIC
from support.baselines import make_baseline
from support.windows import SERVER, make_window


def visits(clients: int, **pair: Any) -> list[dict[str, Any]]:
    return [{"client": f"10.0.0.{i}", **pair} for i in range(clients)]


def others(hosts: int) -> list[dict[str, Any]]:
    return [{"client": f"10.0.0.{i}", "server": f"192.0.2.{i}"} for i in range(hosts)]


def against(pairs: list[dict[str, Any]], names: list[dict[str, Any]] | None = None) -> dict[str, float]:
    table = HEURISTIC.weigh(make_window(pairs=pairs, names=names or []), HEURISTIC.defaults)
    return {r["server"]: r["decibans"] for r in table.to_pylist()}


@pytest.mark.parametrize(("clients", "speaks"), [(1, False), (2, False), (3, True)])
def test_from_the_third_client_on(clients: int, speaks: bool) -> None:
    assert (SERVER in against([*visits(clients), *others(30)])) is speaks


def test_more_clients_weigh_more_up_to_the_cap() -> None:
    weights = [against([*visits(n), *others(64)])[SERVER] for n in (3, 8, 32, 64)]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] == -HEURISTIC.defaults.most_db


def test_everyone_in_a_small_network() -> None:
    assert against([*visits(4), *others(4)])[SERVER] <= -12


def test_a_popular_name_counts_only_where_dns_leads_to_the_address() -> None:
    popular = visits(20, server="198.51.100.1", name="www.big.example")
    rented = [{"server": SERVER, "name": "www.big.example"}]
    led = [{"name": "www.big.example", "address": "198.51.100.1"}]
    assert SERVER not in against([*popular, *rented], led)
    also = [*led, {"name": "www.big.example", "address": SERVER}]
    assert against([*popular, *rented], also)[SERVER] < -10


# a learnt baseline


def learnt(clients: int, hosts: int = 30, **place: Any) -> dict[str, dict[str, Any]]:
    """One visit today, after so many of our hosts went there while a baseline was learnt."""
    baseline = make_baseline(
        host_hours=[{"host": f"10.0.0.{i}"} for i in range(hosts)], places=[{"clients": clients, **place}]
    )
    named = [{"name": "www.example.com"}, *others(3)]
    table = HEURISTIC.weigh(make_window(pairs=named, names=[{}], baseline=baseline), HEURISTIC.defaults)
    return {r["server"]: r for r in table.to_pylist()}


@pytest.mark.parametrize(("clients", "speaks"), [(1, False), (2, False), (3, True)])
def test_the_learnt_days_count_as_today_does(clients: int, speaks: bool) -> None:
    assert (SERVER in learnt(clients)) is speaks


def test_what_was_learnt_weighs_as_much_and_is_told() -> None:
    row = learnt(16, 30)[SERVER]
    today = against([*visits(16), *others(30)])[SERVER]
    assert row["decibans"] == pytest.approx(today, abs=0.01)
    assert (row["clients"], row["hosts"]) == (1, 4)
    assert "; in the days of baseline 3 16 of 30 did" in HEURISTIC.sentence(row)


def test_a_learnt_name_counts_where_dns_leads_to_the_address() -> None:
    assert SERVER in learnt(8, kind="name", value="www.example.com")
    assert SERVER not in learnt(8, kind="name", value="www.other.example")
    assert SERVER not in learnt(8, sensor="other")
    rented = [{"name": "www.example.com"}]
    baseline = make_baseline(places=[{"clients": 8, "kind": "name", "value": "www.example.com"}])
    table = HEURISTIC.weigh(make_window(pairs=rented, baseline=baseline), HEURISTIC.defaults)
    assert len(table) == 0  # no answer led from the name to the address


def test_what_is_common_today_stays_common_though_it_was_not_learnt() -> None:
    pairs = [*visits(8), *others(30)]
    baseline = make_baseline(places=[{"clients": 1}])
    told = HEURISTIC.weigh(make_window(pairs=pairs, baseline=baseline), HEURISTIC.defaults).to_pylist()
    assert {r["decibans"] for r in told if r["server"] == SERVER} == {against(pairs)[SERVER]}


def test_what_was_left_out_is_as_if_nothing_had_been_learnt_of_it() -> None:
    pairs = [*visits(8), *others(30)]
    baseline = make_baseline(places=[{"clients": 0}])
    table = HEURISTIC.weigh(make_window(pairs=pairs, baseline=baseline), HEURISTIC.defaults)
    [row] = [r for r in table.to_pylist() if r["server"] == SERVER and r["client"] == "10.0.0.0"]
    assert row["decibans"] == against(pairs)[SERVER]
    assert HEURISTIC.sentence(row) == "8 of our 30 active hosts go there"
