"""Sessions inside a websocket, and ports that several servers share."""

from __future__ import annotations

import pyarrow as pa
import pytest

from hopscope.heuristics.carried_protocol import HEURISTIC, Settings
from support.windows import make_window


def weighed(*services: str) -> pa.Table:
    sets = [{"kind": "service", "value": v, "uid": f"C{i}", "hash": i} for i, v in enumerate(services)]
    return HEURISTIC.weigh(make_window(pairs=[{}], sets=sets), Settings())


@pytest.mark.parametrize("service", ["http,websocket,ssl", "http,websocket,ssh", "http,websocket,http,socks"])
def test_a_session_inside_a_websocket(service: str) -> None:
    (row,) = weighed(service).to_pylist()
    assert (row["decibans"], row["trait"], row["protocols"]) == (30.0, "inside a websocket", service)
    assert row["uids"] == ["C0"]
    assert service in HEURISTIC.sentence(row)


@pytest.mark.parametrize("services", [["http,websocket"], ["ssl"], ["ssh"], ["http", "ssl"], ["ssl,websocket"], []])
def test_what_is_ordinary(services: list[str]) -> None:
    assert weighed(*services).num_rows == 0


def test_one_port_that_speaks_ssh_and_tls_whichever_client_saw_what() -> None:
    pairs = [{"client": "10.0.0.1"}, {"client": "10.0.0.2", "name": "a.example"}, {"client": "10.0.0.2", "port": 22}]
    sets = [
        {"kind": "service", "value": v, "uid": f"C{i}", **p}
        for i, (v, p) in enumerate(zip(["ssh", "ssl", "ssh"], pairs, strict=True))
    ]
    for order in (sets, sets[::-1]):
        rows = HEURISTIC.weigh(make_window(pairs=pairs, sets=order), Settings()).to_pylist()
        assert [(r["client"], r["port"], r["decibans"]) for r in rows] == [("10.0.0.1", 443, 22), ("10.0.0.2", 443, 22)]
    assert "multiplexer" in HEURISTIC.sentence(rows[0])


def test_ssh_and_tls_at_two_ports_of_one_address_are_two_services() -> None:
    pairs = [{"port": 22}, {"port": 443}]
    sets = [{"kind": "service", "value": v, **p} for v, p in zip(["ssh", "ssl"], pairs, strict=True)]
    assert HEURISTIC.weigh(make_window(pairs=pairs, sets=sets), Settings()).num_rows == 0


def test_our_own_server_is_no_hop() -> None:
    sets = [{"kind": "service", "value": "http,websocket,ssl", "server": "10.0.0.9"}]
    window = make_window(pairs=[{"server": "10.0.0.9", "server_local": True}], sets=sets)
    assert HEURISTIC.weigh(window, Settings()).num_rows == 0
