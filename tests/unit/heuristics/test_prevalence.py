"""prevalence: what many of our hosts use is seldom a hop; a popular name can't be borrowed."""

from __future__ import annotations

from typing import Any

import pytest

from hopscope.heuristics.prevalence import HEURISTIC
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
