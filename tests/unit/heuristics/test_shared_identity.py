"""shared_identity: one key at unrelated bare addresses; names, crowds and fleets explain it away."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hopscope.config import VantageSettings
from hopscope.heuristics.shared_identity import HEURISTIC
from support.windows import CLIENT, Rows, make_window

DEFAULTS = HEURISTIC.defaults
HOPS = ["192.0.2.10", "198.51.100.20", "203.0.113.30", "198.18.5.40"]
KEY_OF = {"kind": "cert_sha256", "value": "ab" * 32}


def ordinary(n: int = 60) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Pairs, sets and names of services with names and certificates of their own."""
    key = [{"server": f"100.70.{i}.1", "name": f"n{i}.example"} for i in range(n)]
    kinds = ("cert_sha256", "server_hello")
    sets = [{**k, "kind": kind, "value": f"{i:064x}"} for i, k in enumerate(key) for kind in kinds]
    return key, sets, [{"address": k["server"], "name": k["name"]} for k in key]


def weigh(
    servers: list[str], shows: Any = KEY_OF, names: Rows = (), vantage: VantageSettings | None = None, **pair: Any
) -> list[dict[str, Any]]:
    """The evidence where each of the addresses shows `shows` to one client, among ordinary services."""
    pairs, sets, led = ordinary()
    mine = [{"server": s, **pair} for s in servers]
    identities = [{**m, "uid": f"C{m['server']}", **shows} for m in mine]
    return rows_of(pairs + mine, sets + identities, [*led, *names], vantage)


def rows_of(pairs: Any, sets: Any, names: Any, vantage: VantageSettings | None = None) -> list[dict[str, Any]]:
    window = make_window(pairs=pairs, sets=sets, names=names, vantage=vantage)
    rows: list[dict[str, Any]] = HEURISTIC.weigh(window, DEFAULTS).to_pylist()
    return rows


def test_one_certificate_at_two_bare_addresses() -> None:
    rows = weigh(HOPS[:2])
    assert [(r["server"], r["decibans"], r["uids"]) for r in rows] == [
        (HOPS[0], DEFAULTS.two_db, [f"C{HOPS[0]}"]),
        (HOPS[1], DEFAULTS.two_db, [f"C{HOPS[1]}"]),
    ]
    assert HEURISTIC.sentence(rows[0]) == (
        "the same certificate answers at 2 addresses in 2 networks that no name led to "
        "(192.0.2.10, 198.51.100.20), met by 1 client of ours"
    )


def test_one_address_is_nothing_and_more_networks_weigh_more_up_to_a_most() -> None:
    weights = [max((r["decibans"] for r in weigh(HOPS[:n])), default=0) for n in (1, 2, 3, 4)]
    assert weights == [0, DEFAULTS.two_db, DEFAULTS.two_db + DEFAULTS.further_db, DEFAULTS.most_db]


@pytest.mark.parametrize("kind", ["cert_sha256", "ssh_host_key"])
def test_host_keys_weigh_as_certificates(kind: str) -> None:
    assert weigh(HOPS[:2], {"kind": kind, "value": "cd"})[0]["decibans"] == DEFAULTS.two_db


@pytest.mark.parametrize(
    ("servers", "weight"),
    [
        (["192.0.2.1", "192.0.2.200"], None),  # one site's network
        (["2001:db8:1:1::1", "2001:db8:1:2::1"], None),
        (["198.18.1.1", "198.18.2.1"], 10.0),  # one provider's block
        (["2001:db8:1::1", "2001:db8:2::1"], 10.0),
        (["198.18.1.1", "198.51.2.1"], 20.0),
        (["2001:db8:1::1", "2001:db9:2::1"], 20.0),
        (["192.0.2.1", "2001:db9:2::1"], 20.0),
    ],
)
def test_networks_are_unrelated_or_not(servers: list[str], weight: float | None) -> None:
    rows = weigh(servers)
    assert [r["decibans"] for r in rows] == ([] if weight is None else [weight] * 2)


class TestLookAlikes:
    def test_a_content_network_s_certificate_is_reached_by_name(self) -> None:
        assert weigh(HOPS, name="www.cdn.example") == []

    def test_one_address_with_a_name_makes_it_a_service_s(self) -> None:
        """Load balancers, of which some answers were not seen; dynamic DNS, one name and addresses in turn."""
        assert weigh(HOPS, names=[{"address": HOPS[2], "name": "lb.example"}]) == []

    def test_an_address_asked_for_by_itself_is_no_name(self) -> None:
        pairs, sets, led = ordinary()
        mine = [{"server": s, "name": s} for s in HOPS[:2]]
        assert len(rows_of(pairs + mine, sets + [{**m, **KEY_OF} for m in mine], led)) == 2

    @pytest.mark.parametrize(("clients", "weight"), [(3, 20.0), (4, 17.14), (9, 2.86), (10, None)])
    def test_many_clients_make_it_a_service_s(self, clients: int, weight: float | None) -> None:
        pairs, sets, led = ordinary()
        mine = [{"server": s, "client": f"10.0.0.{i}"} for s in HOPS[:2] for i in range(clients)]
        rows = rows_of(pairs + mine, sets + [{**m, **KEY_OF} for m in mine], led)
        assert {r["decibans"] for r in rows} == (set() if weight is None else {weight})

    @pytest.mark.parametrize(("addresses", "weight"), [(8, 25.0), (9, 23.96), (31, 1.04), (32, None)])
    def test_many_addresses_make_it_a_maker_s_default(self, addresses: int, weight: float | None) -> None:
        rows = weigh([f"198.{18 + i}.1.1" for i in range(addresses)])
        assert {r["decibans"] for r in rows} == (set() if weight is None else {weight})

    def test_own_proxies_and_hosts_of_ours_do_not_count(self) -> None:
        assert weigh(HOPS[:2], vantage=VantageSettings(own_proxies=(HOPS[0],))) == []
        pairs, sets, led = ordinary()
        for local in ({"server_local": True}, {"client_local": False}, {"established": 0}):
            mine = [{"server": s, **local} for s in HOPS]
            assert rows_of(pairs + mine, sets + [{"server": s, **KEY_OF} for s in HOPS], led) == []


class TestServerHello:
    HELLO = ("kind", "server_hello"), ("value", "0303,c02f,0000-ff01")

    def test_one_that_nobody_else_shows_weighs_little(self) -> None:
        (row, _) = weigh(HOPS[:2], dict(self.HELLO))
        assert (row["decibans"], row["identity"]) == (DEFAULTS.hello_db, "ServerHello")

    @pytest.mark.parametrize(("others", "fires"), [(49, False), (50, True), (51, True)])
    def test_rare_among_enough_others(self, others: int, fires: bool) -> None:
        pairs, sets, led = ordinary(others)
        mine = [{"server": s} for s in HOPS[:2]]
        assert bool(rows_of(pairs + mine, sets + [{**m, **dict(self.HELLO)} for m in mine], led)) is fires

    def test_common_software_is_nothing(self) -> None:
        assert weigh(HOPS[:2], {"kind": "server_hello", "value": f"{5:064x}"}) == []

    def test_the_certificate_counts_before_it(self) -> None:
        pairs, sets, led = ordinary()
        mine = [{"server": s} for s in HOPS[:2]]
        both = [{**m, **identity} for m in mine for identity in (KEY_OF, dict(self.HELLO))]
        assert {r["identity"] for r in rows_of(pairs + mine, sets + both, led)} == {"certificate"}


def test_void_where_dns_is_not_seen() -> None:
    (row,) = weigh(HOPS, vantage=VantageSettings(dns_seen=False))
    assert row["void"]
    (row,) = rows_of([{"server": s} for s in HOPS] + [{"server": "100.64.9.9"}], [{"server": HOPS[0], **KEY_OF}], [])
    assert row["void"] == "no DNS answer led to 5 of 5 destinations: DNS is not seen"


def test_the_order_of_rows_does_not_matter() -> None:
    pairs, sets, led = ordinary()
    mine = [{"server": s, "client": c} for s in HOPS for c in (CLIENT, "10.0.0.9")]
    sets += [{**m, "uid": f"{m['server']}{m['client']}", **KEY_OF} for m in mine]
    pairs += mine
    first = rows_of(pairs, sets, led)
    for rows in (pairs, sets, led):
        random.Random(2).shuffle(rows)
    assert len(first) == 8
    assert rows_of(pairs, sets, led) == first
