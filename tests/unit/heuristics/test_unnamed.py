"""unnamed: bare addresses stand out, unless DNS isn't seen."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hopscope.config import VantageSettings
from hopscope.heuristics.unnamed import HEURISTIC
from support.windows import CLIENT, SERVER, START, make_window


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
    weights = [weigh(bare, 40)[0]["decibans"] for bare in (1, 4, 10)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > weights[-1] + 2


@pytest.mark.parametrize(("bare", "named", "void"), [(5, 6, False), (6, 6, True), (8, 0, True), (4, 1, False)])
def test_void_where_dns_is_not_seen(bare: int, named: int, void: bool) -> None:
    rows = weigh(bare, named)
    assert (rows[0]["server"] is None) is void
    if void:
        assert "DNS is not seen" in rows[0]["void"]


@pytest.mark.parametrize(
    "none", [("usual_weight",), ("client_weight",), ("usual_weight", "client_weight"), ("grace_s",)]
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_settings_may_be_nothing(none: tuple[str, ...]) -> None:
    settings = dataclasses.replace(HEURISTIC.defaults, **dict.fromkeys(none, 0.0))
    window = make_window(pairs=[{}], names=[{"address": "192.0.2.1", "client": "10.0.0.77"}])
    assert all(0 < row["decibans"] <= settings.most_db for row in HEURISTIC.weigh(window, settings).to_pylist())


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


HOUR = 3_600_000_000
S = HEURISTIC.defaults
REST = [{"server": f"192.0.2.{i}"} for i in range(30)]
REST_NAMES = [{"address": f"192.0.2.{i}", "name": f"n{i}.example"} for i in range(30)]


def one(
    pair: dict[str, Any] | None = None, names: list[dict[str, Any]] | None = None, at_h: float = 5.0, **more: Any
) -> dict[str, Any] | None:
    """Evidence about SERVER among 30 named destinations, its connection `at_h` hours after the records begin."""
    at = START + round(at_h * HOUR)
    pairs = [*REST, {"first_us": at, "last_us": at, **(pair or {})}]
    table = HEURISTIC.weigh(make_window(pairs=pairs, names=[*REST_NAMES, *(names or [])], **more), S)
    found = [r for r in table.to_pylist() if r["server"] == SERVER]
    return found[0] if found else None


def db(row: dict[str, Any] | None) -> float:
    return float(row["decibans"]) if row else 0.0


FULL = db(one())


def test_a_bare_address_weighs_all() -> None:
    assert 8 < FULL <= S.most_db


@pytest.mark.parametrize(("past_s", "explained"), [(-1, True), (0, True), (S.margin_s, True), (S.margin_s + 1, False)])
def test_an_answer_holds_for_its_ttl_and_a_margin(past_s: float, explained: bool) -> None:
    until = START + 5 * HOUR - round(past_s * 1e6)
    row = one(names=[{"until_us": until}])
    assert (row is None) is explained
    if row:
        assert db(row) == pytest.approx(FULL * (1 - S.hint_credit), abs=0.2)
        assert "too old" in HEURISTIC.sentence(row)


def test_an_answer_that_came_later_is_a_hint() -> None:
    row = one(names=[{"first_us": START + 6 * HOUR, "until_us": START + 7 * HOUR}])
    assert db(row) == pytest.approx(FULL * (1 - S.hint_credit), abs=0.2)


@pytest.mark.parametrize(
    ("asks", "asked_for", "explained"), [(True, None, False), (False, None, True), (True, "www.example.com", True)]
)
def test_an_answer_for_others(asks: bool, asked_for: str | None, explained: bool) -> None:
    """Whole for a client that asks a resolver of its own, and for the very name; else a hint."""
    until = START + 6 * HOUR
    own = [{"address": "192.0.2.1", "name": "n1.example"}] if asks else []
    pair = {"first_us": START + 5 * HOUR, "name": asked_for}
    names = [{**n, "client": "10.0.0.99"} for n in REST_NAMES] + own + [{"client": "10.0.0.99", "until_us": until}]
    rows = HEURISTIC.weigh(make_window(pairs=[*REST, pair], names=names), S).to_pylist()
    assert (SERVER not in {r["server"] for r in rows}) is explained


def test_half_of_the_connections_without_an_answer_weigh_half() -> None:
    samples = [{"uid": f"C{i}", "ts_us": START + i * HOUR} for i in range(4, 8)]
    pair = {"first_us": START + 4 * HOUR, "last_us": START + 7 * HOUR}
    row = one(pair, names=[{"until_us": START + 5 * HOUR - 1, "first_us": START + 4 * HOUR}], samples=samples)
    assert row is not None
    assert row["bare_share"] == 0.5  # with the margin, the answer holds at 4 and 5 hours, not quite at 6
    assert row["uids"] == ["C4", "C5", "C6", "C7"]
    assert "50% of its" in HEURISTIC.sentence(row)


def test_segments_of_one_connection_count_once() -> None:
    samples = [{"uid": "C0", "seg": i, "ts_us": START + 5 * HOUR} for i in range(9)]
    samples += [{"uid": "C1", "ts_us": START + 9 * HOUR}]
    row = one({"last_us": START + 9 * HOUR}, names=[{"until_us": START + 6 * HOUR}], samples=samples)
    assert row is not None
    assert row["bare_share"] == 0.5


@pytest.mark.parametrize(("at_s", "excused"), [(0.0, 1.0), (S.grace_s / 2, 0.5), (S.grace_s, 0), (S.grace_s + 60, 0)])
def test_the_first_connections_are_excused_in_part(at_s: float, excused: float) -> None:
    assert db(one(at_h=at_s / 3600)) == pytest.approx(FULL * (1 - S.early_credit * excused), abs=0.05)


def test_an_asked_name_weighs_less_than_none() -> None:
    assert 0 < db(one({"name": "www.big.example"})) < FULL - 2


def test_a_host_header_that_is_the_address_is_none() -> None:
    assert db(one({"name": SERVER})) == FULL
    assert db(one({"name": SERVER}, names=[{"until_us": START + 9 * HOUR}])) > FULL - 0.1  # whatever DNS said


def test_a_proxys_target_is_no_name_of_the_proxys() -> None:
    target = [{"name": "far.example", "kind": "proxy_target", "value": "far.example:443"}]
    row = one({"name": "far.example"}, sets=target)
    assert db(row) == FULL
    assert row is not None
    assert row["name"] == "far.example"


def test_a_peer_over_udp_weighs_little_and_a_resolver_nothing() -> None:
    assert 0 < db(one({"proto": "udp", "port": 3478})) < FULL / 2
    resolver = {"proto": "udp", "port": 53}
    assert one(resolver, sets=[{**resolver, "kind": "service", "value": "dns"}]) is None
    assert one({"proto": "icmp", "port": 0}) is None


def test_a_client_that_has_many_bare_destinations_says_little_by_one_more() -> None:
    """Its DNS goes another way: encrypted, or to a resolver that isn't seen."""
    doh = [{"client": "10.0.0.7", "server": f"198.51.100.{i}"} for i in range(20)]
    many = [{"client": f"10.0.1.{i % 9}", "server": f"192.0.2.{i}"} for i in range(30)]
    rows = HEURISTIC.weigh(make_window(pairs=[*REST, *many, *doh, {}], names=REST_NAMES), S).to_pylist()
    weights = {(r["client"], r["server"]): r["decibans"] for r in rows}
    assert weights.get(("10.0.0.7", "198.51.100.3"), 0.0) == 0
    assert weights[(CLIENT, SERVER)] > 1


LED = {"until_us": START + 9 * HOUR}


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("x.portmap.io", S.tunnel_db), ("portmap.io", 0.0), ("www.portmap.io", 0.0), ("notportmap.io", 0.0),
        ("home.duckdns.org", S.dyndns_db), ("nas.synology.me", S.device_db), ("www.example.com", 0.0),
    ],
)  # fmt: skip
def test_names_of_tunnel_and_dynamic_dns_services(name: str, weight: float) -> None:
    asked = one({"name": name}, names=[{**LED, "name": name}])
    led = one(names=[{**LED, "name": name}])
    cover = one({"name": "www.big.example"}, names=[{**LED, "name": name}])  # the name that led there is another
    assert [db(asked), db(led), db(cover)] == [weight] * 3
    if asked:
        assert name in HEURISTIC.sentence(asked)


def test_a_name_that_led_others_there_is_not_the_clients() -> None:
    led = {**LED, "name": "x.portmap.io", "client": "10.0.0.99"}
    assert db(one({"name": "www.big.example"}, names=[{**LED, "name": "www.big.example"}, led])) == 0


def test_a_name_that_spells_the_address_is_a_bare_address() -> None:
    name = "203-0-113-9.nip.io"
    assert db(one(names=[{**LED, "name": name}])) == FULL


def test_a_tunnels_name_counts_where_dns_is_not_seen_otherwise() -> None:
    pairs = [{"server": f"198.51.100.{i}"} for i in range(9)] + [{"name": "x.portmap.io"}]
    rows = HEURISTIC.weigh(make_window(pairs=pairs), S).to_pylist()
    assert [(r["server"], r["decibans"]) for r in rows] == [(SERVER, S.tunnel_db)]


def test_the_order_of_rows_is_irrelevant() -> None:
    pairs, names = [*REST, {}, {"port": 80}], [*REST_NAMES, {"client": "10.0.0.9"}, {"name": "b.duckdns.org"}]
    first = HEURISTIC.weigh(make_window(pairs=pairs, names=names), S)
    second = HEURISTIC.weigh(make_window(pairs=pairs[::-1], names=names[::-1]), S)
    assert first.to_pylist() == second.to_pylist()
