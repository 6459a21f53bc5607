"""community: what a host uses that its peers don't, how much of it, and with what program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from hopscope.baselines.model import Baseline
from hopscope.heuristics.community import DAY_US, HEURISTIC
from support.baselines import make_baseline
from support.windows import CLIENT, SERVER, START, make_window

S = HEURISTIC.defaults
PEERS = [f"10.0.0.{i}" for i in range(10, 15)]


def shared(hosts: list[str], places: int = 12, connections: int = 5) -> list[dict[str, Any]]:
    """Destinations that all of `hosts` use."""
    return [{"client": h, "server": f"192.0.2.{p}", "connections": connections} for h in hosts for p in range(places)]


def weigh(pairs: list[dict[str, Any]], **more: Any) -> dict[str, dict[str, Any]]:
    table = HEURISTIC.weigh(make_window(pairs=pairs, **more), S)
    return {r["server"]: r for r in table.to_pylist() if r["client"] == CLIENT}


def test_alone_with_a_destination_among_peers() -> None:
    rows = weigh([*shared([CLIENT, *PEERS]), {}])
    assert list(rows) == [SERVER]
    assert rows[SERVER]["peers"] == 5
    assert 0 < rows[SERVER]["decibans"] <= S.outside_db
    assert "none of the host's 5 peers goes there" in HEURISTIC.sentence(rows[SERVER])


def test_a_host_with_much_of_its_own_says_little_by_one_more() -> None:
    own = [{"server": f"198.51.100.{i}"} for i in range(40)]
    few = weigh([*shared([CLIENT, *PEERS]), {}])[SERVER]["decibans"]
    many = weigh([*shared([CLIENT, *PEERS]), *own, {}])[SERVER]["decibans"]
    assert 0 < many < few - 0.2


@pytest.mark.parametrize(("peers", "speaks"), [(S.min_peers - 1, False), (S.min_peers, True), (S.min_peers + 1, True)])
def test_from_how_many_peers_on(peers: int, speaks: bool) -> None:
    assert bool(weigh([*shared([CLIENT, *PEERS[:peers]]), {}])) is speaks


@pytest.mark.parametrize(("others", "speaks"), [(0, True), (1, False), (4, False)])
def test_what_a_peer_uses_too_is_not_outside(others: int, speaks: bool) -> None:
    used = [{"client": h} for h in PEERS[:others]]
    assert bool(weigh([*shared([CLIENT, *PEERS]), *used, {}])) is speaks


@pytest.mark.parametrize(("connections", "weight"), [(3, 0.0), (10, 0.0), (18, 2.0), (39, S.share_db)])
def test_share_of_a_small_networks_traffic(connections: int, weight: float) -> None:
    """90 other connections: 3 are 3 %, 10 are 10 %, 18 are close to 17 %, 39 just over 30 %."""
    rows = weigh([*shared([CLIENT], places=9, connections=10), {"connections": connections}])
    found = rows[SERVER]["decibans"] if SERVER in rows else 0.0
    assert found == pytest.approx(weight, abs=0.8)


@pytest.mark.parametrize(("connections", "speaks"), [(9, False), (10, True)])
def test_a_share_of_few_connections_is_none(connections: int, speaks: bool) -> None:
    rows = weigh([*shared([CLIENT], places=9, connections=1), {"connections": connections}])
    assert (SERVER in rows) is speaks


@pytest.mark.parametrize(("others", "speaks"), [(3, False), (4, True)])
def test_an_appliances_one_server_is_all_it_has(others: int, speaks: bool) -> None:
    rows = weigh([*shared([CLIENT], places=others), {"connections": 300}])
    assert (SERVER in rows) is speaks


def test_a_named_service_may_take_much_of_a_hosts_traffic() -> None:
    pairs = [*shared([CLIENT], places=9), {"connections": 300, "name": "www.example.com"}]
    assert weigh(pairs, names=[{}])[SERVER]["decibans"] == pytest.approx(S.named_credit * S.share_db)
    assert weigh(pairs)[SERVER]["decibans"] == S.share_db  # the name was borrowed


def test_what_many_use_is_left_alone() -> None:
    used = [{"client": h} for h in PEERS[: S.few]]
    assert not weigh([*shared([CLIENT], places=9), *used, {"connections": 300}])


def fingerprint(value: str, **pair: Any) -> dict[str, Any]:
    return {**pair, "kind": "ja4", "value": value}


def test_a_program_of_its_own() -> None:
    pairs = [*shared([CLIENT, PEERS[0]], places=3), {}]
    browser = [fingerprint("browser", client=h, server=f"192.0.2.{p}") for h in (CLIENT, PEERS[0]) for p in range(3)]
    rows = weigh(pairs, sets=[*browser, fingerprint("implant")])
    assert rows[SERVER]["decibans"] == S.fingerprint_db
    assert rows[SERVER]["fingerprint"] == "implant"
    assert not weigh(pairs, sets=[*browser, fingerprint("browser")])  # the browser goes there
    assert not weigh(pairs, sets=[*browser, fingerprint("implant"), fingerprint("browser")])  # both do
    assert not weigh(pairs, sets=[fingerprint("implant")])  # nothing to compare with
    elsewhere = fingerprint("implant", client=PEERS[0], server="192.0.2.1")
    assert not weigh(pairs, sets=[*browser, fingerprint("implant"), elsewhere])


@pytest.mark.parametrize(("history", "weight"), [(0.0, 0.0), (0.9, 0.0), (3.5, 1.5), (7.0, S.new_db), (70.0, S.new_db)])
def test_new_only_where_there_is_history(history: float, weight: float) -> None:
    rows = weigh([{}], history_us=START - round(history * DAY_US), start_us=START)
    found = rows[SERVER]["decibans"] if SERVER in rows else 0.0
    assert found == pytest.approx(weight, abs=0.01)


@pytest.mark.parametrize("kind", ["address", "name"])
def test_an_old_name_or_address_is_not_new(kind: str) -> None:
    value = SERVER if kind == "address" else "www.example.com"
    known = [{"kind": kind, "value": value, "first_us": START - DAY_US}]
    named = {"name": "www.example.com"}
    assert not weigh([named], names=[{}], first_seen=known, history_us=START - 9 * DAY_US, start_us=START)


def test_a_borrowed_name_is_no_place() -> None:
    """No DNS answer led from the popular name to the address: the address stands for itself."""
    popular = [{"client": h, "server": "192.0.2.200", "name": "www.big.example"} for h in (CLIENT, *PEERS)]
    rows = weigh([*shared([CLIENT, *PEERS]), *popular, {"name": "www.big.example"}])
    assert SERVER in rows


def test_one_name_on_an_edge_network_is_one_place() -> None:
    """The name moves over addresses; peers use it too, at other ones."""
    names = [{"name": "cdn.example", "address": f"203.0.113.{i}", "client": h} for i, h in enumerate((CLIENT, *PEERS))]
    pairs = [{"name": "cdn.example", "server": f"203.0.113.{i}", "client": h} for i, h in enumerate((CLIENT, *PEERS))]
    assert not weigh([*shared([CLIENT, *PEERS]), *pairs], names=names)


def test_resolvers_are_left_out() -> None:
    told = [{"kind": "service", "value": "dns"}]
    assert not weigh([*shared([CLIENT, *PEERS]), {"connections": 500}], sets=told)


# a learnt baseline

GROUP = [{"client": h, "members": 6} for h in (CLIENT, *PEERS)]


def settled(**given: Iterable[Mapping[str, Any]]) -> Baseline:
    """A baseline that knows the destination, so that it isn't new."""
    return make_baseline(places=[{}], **given)


def test_a_host_has_the_community_that_was_learnt() -> None:
    """Today it is seen alone, so that nobody would be its peer."""
    rows = weigh([{}], baseline=settled(communities=GROUP))
    assert rows[SERVER]["peers"] == 5
    assert "the host's 5 peers goes there, nor did in the days of baseline 3" in HEURISTIC.sentence(rows[SERVER])
    assert not weigh([{}], baseline=settled(communities=[{"members": S.min_peers}]))
    assert not weigh([{}], baseline=settled(communities=[{**g, "sensor": "other"} for g in GROUP]))


def test_hosts_that_were_not_learnt_have_todays_community() -> None:
    rows = weigh([*shared([CLIENT, *PEERS]), {}], baseline=settled(communities=GROUP[1:]))
    assert rows[SERVER]["peers"] == 5
    assert rows[SERVER]["learnt_peers"] is None
    assert "nor did" not in HEURISTIC.sentence(rows[SERVER])


@pytest.mark.parametrize(
    ("habit", "outside"),
    [
        ({"users": 1, "user": PEERS[0]}, False),
        ({"users": 1, "user": CLIENT}, True),  # its own habit makes it no one else's
        ({"users": 2, "user": None}, False),
        ({"users": 2, "user": None, "community": 1}, True),
        ({"users": 2, "user": None, "sensor": "other"}, True),
        ({"users": 2, "user": None, "place": "203.0.113.10"}, True),
    ],
)
def test_what_a_peer_used_while_it_was_learnt_is_not_outside(habit: dict[str, Any], outside: bool) -> None:
    assert bool(weigh([{}], baseline=settled(communities=GROUP, habits=[habit]))) is outside


@pytest.mark.parametrize(("clients", "left_alone"), [(S.few, False), (S.few + 1, True)])
@pytest.mark.parametrize("kind", ["address", "name"])
def test_what_many_used_while_it_was_learnt_is_left_alone(clients: int, left_alone: bool, kind: str) -> None:
    value = SERVER if kind == "address" else "www.example.com"
    known = make_baseline(places=[{"clients": clients, "kind": kind, "value": value}])
    pairs = [*shared([CLIENT], places=9), {"connections": 300, "name": "www.example.com"}]
    rows = weigh(pairs, names=[{}], baseline=known)
    assert (SERVER not in rows) is left_alone
    if not left_alone:
        assert rows[SERVER]["learnt_users"] == clients


ELSEWHERE = [{"value": "192.0.2.99"}]


def days(first: float, last: float) -> dict[str, Any]:
    return {"first_us": START - round(first * DAY_US), "last_us": START - round(last * DAY_US)}


@pytest.mark.parametrize(
    ("learnt", "own", "weight"),
    [
        (days(8, 1), 0.0, S.new_db),
        (days(4.5, 1), 0.0, 1.5),
        (days(1.8, 1), 0.0, 0.0),  # too short
        (days(4.5, 1), 1.0, 4.5 / 7 * S.new_db),  # its days and the window's own history end to end
        (days(4.5, 1), 4.5, 4.5 / 7 * S.new_db),  # the same days count once
        (days(3.5, -7), 0.0, 1.5),  # learnt days beyond the window's start are no history
    ],
)
def test_learnt_days_are_history(learnt: dict[str, Any], own: float, weight: float) -> None:
    baseline = make_baseline(learnt, places=ELSEWHERE)
    rows = weigh([{}], baseline=baseline, history_us=START - round(own * DAY_US), start_us=START)
    found = rows[SERVER]["decibans"] if SERVER in rows else 0.0
    assert found == pytest.approx(weight, abs=0.02)
    if found:
        assert "days of history, those of baseline 3 among them, don't know it" in HEURISTIC.sentence(rows[SERVER])


@pytest.mark.parametrize(
    ("place", "new"),
    [
        ({}, False),
        ({"kind": "name", "value": "www.example.com"}, False),
        ({"kind": "name", "value": SERVER}, True),
        ({"sensor": "other"}, True),
        ({"first_us": START}, True),  # first used in the window itself
        ({"clients": 0}, False),  # it was there, though it was left out
    ],
)
def test_what_was_learnt_is_not_new(place: dict[str, Any], new: bool) -> None:
    named = [{"name": "www.example.com"}]
    rows = weigh(named, names=[{}], baseline=make_baseline(places=[place]), start_us=START)
    assert (SERVER in rows) is new


@pytest.mark.parametrize("kind", ["address", "name"])
def test_what_was_left_out_is_as_if_nothing_had_been_learnt_of_it(kind: str) -> None:
    value = SERVER if kind == "address" else "www.example.com"
    baseline = make_baseline(communities=GROUP, places=[{"kind": kind, "value": value, "clients": 0}])
    pairs = [*shared([CLIENT, *PEERS]), {"name": "www.example.com"}]
    row = weigh(pairs, names=[{}], baseline=baseline)[SERVER]
    assert row["decibans"] == weigh(pairs, names=[{}])[SERVER]["decibans"]
    assert (row["learnt_users"], row["left_out"]) == (None, True)
    said = HEURISTIC.sentence(row)
    assert "nor did" not in said
    assert "baseline 3 left it out, since it looked like a hop or was labelled so" in said


def test_another_sensors_baseline_makes_nothing_new() -> None:
    assert not weigh([{}], baseline=make_baseline({"sensors": ("other",)}, places=ELSEWHERE), start_us=START)


def test_the_order_of_rows_is_irrelevant() -> None:
    pairs = [*shared([CLIENT, *PEERS]), {"connections": 60}]
    assert weigh(pairs) == weigh(pairs[::-1])
