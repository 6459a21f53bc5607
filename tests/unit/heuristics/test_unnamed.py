"""unnamed: bare addresses stand out, unless DNS isn't seen."""

from __future__ import annotations

from typing import Any

import pytest

from hopscope.config import VantageSettings
from hopscope.heuristics.unnamed import HEURISTIC
from support.windows import SERVER, make_window


def weigh(bare: int, named: int, **more: Any) -> list[dict[str, Any]]:
    """Evidence in a window with `bare` destinations without and `named` ones with a DNS answer."""
    pairs = [{"server": f"198.51.100.{i}"} for i in range(bare)] + [{"server": f"203.0.113.{i}"} for i in range(named)]
    names = [{"address": f"203.0.113.{i}", "name": f"n{i}.example"} for i in range(named)]
    table = HEURISTIC.weigh(make_window(pairs=pairs, names=names, **more), HEURISTIC.defaults)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def test_one_bare_address_among_named_ones() -> None:
    (row,) = weigh(1, 30)
    assert row["server"] == "198.51.100.0"
    assert 5 < row["decibans"] <= HEURISTIC.defaults.most_db
    assert HEURISTIC.sentence(row) == "reached by bare address: no DNS answer led to it"


def test_the_more_bare_addresses_the_less_each_means() -> None:
    weights = [weigh(bare, 40)[0]["decibans"] for bare in (1, 10, 30)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > weights[-1] + 2


@pytest.mark.parametrize(("bare", "named", "void"), [(5, 6, False), (6, 6, True), (8, 0, True), (4, 1, False)])
def test_void_where_dns_is_not_seen(bare: int, named: int, void: bool) -> None:
    rows = weigh(bare, named)
    assert (rows[0]["server"] is None) is void
    if void:
        assert "DNS is not seen" in rows[0]["void"]


def test_void_where_the_vantage_says_so() -> None:
    (row,) = weigh(1, 30, vantage=VantageSettings(dns_seen=False))
    assert row["decibans"] == 0
    assert "dns_seen" in row["void"]


def test_a_name_that_dns_never_gave_is_told() -> None:
    window = make_window(
        pairs=[{"name": "www.big.example"}, {"server": "192.0.2.1", "name": "ok.example"}],
        names=[{"address": "192.0.2.1", "name": "ok.example"}],
    )
    (row,) = HEURISTIC.weigh(window, HEURISTIC.defaults).to_pylist()
    assert row["server"] == SERVER
    assert "www.big.example" in HEURISTIC.sentence(row)


def test_another_clients_answer_counts() -> None:
    window = make_window(pairs=[{"client": "10.0.0.7"}], names=[{"client": "10.0.0.99"}])
    assert HEURISTIC.weigh(window, HEURISTIC.defaults).num_rows == 0
