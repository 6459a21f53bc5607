"""proxy_protocol: a request to relay speaks for itself; a misfit says a little."""

from __future__ import annotations

from typing import Any

import pytest

from hopscope.config import VantageSettings
from hopscope.heuristics.proxy_protocol import HEURISTIC
from support.windows import SERVER, make_window

ASKED: list[dict[str, Any]] = [
    {"kind": "proxy_protocol", "value": "socks5", "connections": 4, "uid": "C1"},
    {"kind": "proxy_target", "value": "192.0.2.7:443", "connections": 4, "uid": "C1"},
]
GRANTED = {"kind": "proxy_accepted", "value": "true", "connections": 4, "uid": "C1"}


def weigh(**tables: Any) -> list[dict[str, Any]]:
    tables.setdefault("pairs", [{"port": 1080}])
    for row in (*tables.get("sets", ()), *tables.get("samples", ())):
        row.setdefault("port", tables["pairs"][0].get("port", 443))
    rows: list[dict[str, Any]] = HEURISTIC.weigh(make_window(**tables), HEURISTIC.defaults).to_pylist()
    return rows


def copies(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict(r) for r in rows]


def test_granted_request() -> None:
    (row,) = weigh(sets=copies([*ASKED, GRANTED]))
    assert row["decibans"] == HEURISTIC.defaults.accepted_db
    assert row["server"] == SERVER
    assert HEURISTIC.sentence(row) == "asked by SOCKS5 in 4 connections to reach 192.0.2.7:443 (all granted)"
    assert row["uids"] == ["C1"]


def test_request_without_an_answer_weighs_less() -> None:
    (row,) = weigh(sets=copies(ASKED))
    assert row["decibans"] == HEURISTIC.defaults.asked_db
    assert "0 granted" in HEURISTIC.sentence(row)


def test_a_proxy_of_ours_is_no_hop() -> None:
    assert weigh(sets=copies([*ASKED, GRANTED]), vantage=VantageSettings(own_proxies=(SERVER,))) == []


def test_a_proxy_inside_is_no_external_hop() -> None:
    assert weigh(pairs=[{"port": 1080, "server_local": True}], sets=copies([*ASKED, GRANTED])) == []


@pytest.mark.parametrize(
    ("port", "service", "fires"),
    [(443, None, True), (443, "ssl", False), (443, "http", True), (22, "ssl", True), (22, "ssh", False),
     (8443, "http", False), (5223, None, False), (443, "socks,ssl", False)],
)  # fmt: skip
def test_what_is_spoken_fits_the_port(port: int, service: str | None, fires: bool) -> None:
    samples = [
        {"port": port, "service": service, "orig_bytes": 9, "resp_bytes": 9, "uid": f"C{i}", "hash": i}
        for i in range(3)
    ]
    rows = weigh(pairs=[{"port": port}], samples=samples)
    assert bool(rows) is fires
    if fires:
        assert rows[0]["decibans"] == HEURISTIC.defaults.misfit_db
        assert f"on port {port} in 3 connections" in HEURISTIC.sentence(rows[0])


def test_a_failed_handshake_among_good_ones_is_no_misfit() -> None:
    samples = [
        {"service": None if i == 0 else "ssl", "orig_bytes": 9, "resp_bytes": 9, "uid": f"C{i}", "hash": i}
        for i in range(5)
    ]
    assert weigh(pairs=[{"port": 443}], samples=samples) == []
