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


# 30 exchanges of 300 bytes up and 400 down after a login of 4000 bytes each way
FORWARD: dict[str, Any] = {
    "port": 22, "service": "ssh", "replies": 30, "orig_bytes": 4000 + 30 * 300, "resp_bytes": 4000 + 30 * 400,
    "uid": "C1",
}  # fmt: skip


def forwarded(**change: Any) -> list[dict[str, Any]]:
    return weigh(pairs=[{"port": change.get("port", 22)}], samples=[{**FORWARD, **change}])


def test_ssh_that_carries_requests_and_answers() -> None:
    (row,) = forwarded()
    assert row["decibans"] == HEURISTIC.defaults.forward_db
    assert (row["request"], row["reply"], row["uids"]) == (300.0, 400.0, ["C1"])
    assert HEURISTIC.sentence(row) == (
        "SSH in 1 connection; one session's 30 exchanges carry 300 bytes up and 400 down on average, "
        "more than typing does"
    )


@pytest.mark.parametrize(
    ("replies", "up", "down", "fires"),
    [
        (19, 300, 400, False), (20, 300, 400, True),
        (100, 36, 500, False), (100, 69, 400, False), (100, 70, 400, True),  # key presses
        (100, 400, 69, False), (100, 400, 70, True),  # receipts of an upload
        (100, 199, 150, False), (100, 200, 150, True),
        (100, 70, 16_000, True), (100, 70, 16_001, False),  # a download
    ],
)  # fmt: skip
def test_how_much_an_exchange_carries(replies: int, up: int, down: int, fires: bool) -> None:
    size = {"replies": replies, "orig_bytes": 4000 + replies * up, "resp_bytes": 4000 + replies * down}
    assert bool(forwarded(**size)) is fires


def test_other_protocols_forward_nothing() -> None:
    assert forwarded(service="ssl", port=4444) == []
    assert forwarded(replies=None) == []


def test_ssh_that_forwards_on_a_port_for_tls() -> None:
    (row,) = forwarded(port=443)
    assert row["decibans"] == HEURISTIC.defaults.forward_db + HEURISTIC.defaults.misfit_db
    assert HEURISTIC.sentence(row).startswith("ssh on port 443 in 1 connection; one session's 30 exchanges")


def test_the_busiest_session_speaks_for_the_server() -> None:
    sessions = [{**FORWARD, "uid": f"C{i}", "hash": i, "replies": 20 + i} for i in range(5)]
    rows = [weigh(pairs=[{"port": 22}], samples=copies(s)) for s in (sessions, sessions[::-1])]
    assert rows[0] == rows[1]
    assert (rows[0][0]["exchanges"], rows[0][0]["asked"]) == (24, 5)


class TestHttpWithoutAHost:
    CALLS = staticmethod(
        lambda **change: [{"port": 80, "service": "http", "orig_bytes": 80, "resp_bytes": 300, "uid": "C1"} | change]
    )
    AGENT = staticmethod(lambda **change: [{"port": 80, "kind": "user_agent", "value": "x/1"} | change])

    def test_a_client_that_names_no_host(self) -> None:
        (row,) = weigh(pairs=[{"port": 80}], samples=self.CALLS(), sets=self.AGENT())
        assert (row["decibans"], row["asked"], row["accepted"]) == (HEURISTIC.defaults.no_host_db, 1, None)
        assert HEURISTIC.sentence(row) == "HTTP without a Host header in 1 connection"

    def test_one_that_does(self) -> None:
        named = {"name": "203.0.113.9"}
        args = {"pairs": [{"port": 80, **named}], "samples": self.CALLS(**named), "sets": self.AGENT(**named)}
        assert weigh(**args) == []

    def test_where_headers_were_not_seen_nothing_is_known(self) -> None:
        assert weigh(pairs=[{"port": 80}], samples=self.CALLS()) == []


def test_a_service_that_speaks_as_it_should_to_others_only_lost_a_hello() -> None:
    pairs = [{"client": f"10.0.0.{i}"} for i in range(5)]
    samples = [
        {**p, "uid": f"C{i}", "hash": i, "service": "ssl" if i else None, "orig_bytes": 9, "resp_bytes": 9}
        for i, p in enumerate(pairs)
    ]
    assert weigh(pairs=pairs, samples=samples) == []
    (row,) = weigh(pairs=pairs[:1], samples=samples[:1])
    assert row["protocol"] == "an unknown protocol on port 443"
