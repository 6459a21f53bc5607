"""Fusion: decibans add up per entity, caps bite, and the narrowest entity that explains the evidence is told."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from hopscope import config, dossier, fusion
from hopscope.config import Config, FusionSettings
from hopscope.findings import Finding
from hopscope.heuristics import registry
from support.windows import make_window, starts

HOP = "203.0.113.9"
PROXIED = (("proxy_protocol", "socks5"), ("proxy_accepted", "true"))


@pytest.fixture(scope="module")
def settings() -> Config:
    return config.load()


def relayed(server: str = HOP, n: int = 6, gap: float = 0.15, **pair: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Pairs, samples and floors of a TLS service whose far end lies `gap` seconds behind it."""
    key = {"server": server, **pair}
    tag = f"{server}-{pair.get('client')}-{pair.get('port')}-{pair.get('name')}"
    samples = [
        {**key, "uid": f"{tag}-{i}", "hash": i, "client_port": 40_000 + i, "tcp_rtt": 0.02, "service": "ssl",
         "hello_rtt": 0.02 + 2 * gap, "finished_rtt": 0.02 + gap, "first_reply": 0.02 + 2 * gap}
        for i in range(n)
    ]  # fmt: skip
    return [{**key, "connections": n}], samples, [{**key, "uid": f"{tag}-0"}]


def window(*services: tuple[list[Any], list[Any], list[Any]], **more: Any) -> Any:
    pairs, samples, floors = ([row for s in services for row in s[i]] for i in range(3))
    return make_window(pairs=pairs + more.pop("pairs", []), samples=samples, floors=floors, **more)


def ordinary(n: int = 30) -> dict[str, Any]:
    """Named destinations, so that DNS counts as seen."""
    return {
        "pairs": [{"server": f"192.0.2.{i}", "name": f"n{i}.example"} for i in range(n)],
        "names": [{"address": f"192.0.2.{i}", "name": f"n{i}.example"} for i in range(n)],
    }


def found(window: Any, settings: Config) -> list[Finding]:
    return dossier.findings(window, settings, {"packets": 10})


def test_a_relay_by_bare_address_is_found_and_explained(settings: Config) -> None:
    (f,) = found(window(relayed(), **ordinary()), settings)
    assert (f.hop, f.port, f.proto) == (HOP, 443, "tcp")
    assert f.severity in ("medium", "high")
    assert f.far_end.distance_ms == pytest.approx(150, abs=1)
    assert f.attack == ("T1090.002",)
    assert {e.heuristic for e in f.evidence} == {"path_gap", "unnamed"}
    total = f.prior_db + sum(e.decibans for e in f.evidence)
    assert f.score_db == pytest.approx(total, abs=0.11)
    assert f.counterfactuals["path_gap"] == pytest.approx(f.score_db - f.evidence[0].decibans, abs=0.11)
    assert len(f.connections) == 6
    assert f.connections[0]["orig_p"] >= 40_000
    assert f.input == {"packets": 10}
    assert Finding.from_json(f.to_json()) == f
    assert json.loads(f.to_json())["hop"] == HOP


def test_ids_are_stable_and_told_apart(settings: Config) -> None:
    a = found(window(relayed(), relayed("203.0.113.10"), **ordinary()), settings)
    b = found(window(relayed("203.0.113.10"), relayed(n=9), **ordinary()), settings)
    assert len({f.id for f in a}) == 2
    assert {f.hop: f.id for f in a} == {f.hop: f.id for f in b}


def test_what_all_our_hosts_use_is_no_finding(settings: Config) -> None:
    everyone = [relayed(client=f"10.0.0.{i}", name="app.example") for i in range(5)]
    led = {"names": [{"address": HOP, "name": "app.example"}]}
    assert [f for f in found(window(*everyone, **led), settings) if f.severity != "low"] == []


def test_further_clients_add_a_bonus_up_to_a_cap(settings: Config) -> None:
    one, two = (
        found(window(*[relayed(client=f"10.0.0.{i}") for i in range(n)], **ordinary()), settings)[0] for n in (1, 2)
    )
    assert two.clients == ("10.0.0.0", "10.0.0.1")
    assert [e.clients for e in two.evidence] == [2, 2]
    assert one.score_db < two.score_db <= one.score_db + 2 * settings.fusion.client_bonus_most_db


def test_group_caps() -> None:
    most = {"cadence": 99.0, "path_gap": 99.0, "unnamed": 99.0, "byte_ratio": 99.0, "prevalence": -99.0}
    scaled = fusion.capped(most, FusionSettings())
    caps = {h: fusion.GROUPS[registry()[h].group].cap_db for h in most}
    assert scaled == pytest.approx(caps | {"prevalence": -caps["prevalence"]})


def test_a_heuristic_of_another_version_keeps_what_it_said() -> None:
    kept = {"path_gap": 60.0, "of_another_version": 30.0}
    assert fusion.capped(kept, FusionSettings()) == {"path_gap": 38.0, "of_another_version": 30.0}


def test_nothing_weighs_against_a_granted_request_to_relay() -> None:
    assert fusion.capped({"proxy_protocol": 45.0, "prevalence": -25.0}, FusionSettings())["prevalence"] == 0
    assert fusion.capped({"proxy_protocol": 6.0, "prevalence": -25.0}, FusionSettings())["prevalence"] == -25.0


def test_one_name_on_a_shared_edge_is_told_as_the_name(settings: Config) -> None:
    shared = [{"server": HOP, "name": f"shop{i}.example", "client": f"10.0.0.{i + 2}"} for i in range(2)]
    more = ordinary()
    more["pairs"] += shared
    more["names"] += [{"address": HOP, "name": f"shop{i}.example"} for i in range(2)]
    beacon = starts([3 * i + 0.01 * (i % 2) for i in range(40)], server=HOP, name="cover.example")
    (f,) = found(window(relayed(name="cover.example", n=40), starts=beacon, **more), settings)
    assert (f.entity.kind, f.entity.value) == ("name", "cover.example")
    assert (f.hop, f.port) == (HOP, 443)


def test_a_hop_that_changes_ports_is_one_address(settings: Config) -> None:
    ports = [relayed(port=p, n=3) for p in range(8000, 8006)]
    (f,) = found(window(*ports, **ordinary()), settings)
    assert (f.entity.kind, f.hop, f.port) == ("address", HOP, None)


def test_two_services_of_one_address_are_two_findings(settings: Config) -> None:
    got = found(window(relayed(port=443), relayed(port=8443), **ordinary()), settings)
    assert sorted(f.port or 0 for f in got) == [443, 8443]


def test_a_host_of_ours_is_no_external_hop(settings: Config) -> None:
    inside = relayed("10.0.0.80", server_local=True)
    samples = [{k: v for k, v in s.items() if k != "server_local"} for s in inside[1]]
    floors = [{k: v for k, v in s.items() if k != "server_local"} for s in inside[2]]
    assert found(window((inside[0], samples, floors), **ordinary()), settings) == []


def test_a_disabled_heuristic_says_nothing(settings: Config) -> None:
    without = dataclasses.replace(settings, disabled=frozenset({"path_gap"}))
    assert found(window(relayed(), **ordinary()), without) == []


def test_void_evidence_is_named(settings: Config) -> None:
    blind = [{"server": f"192.0.2.{i}"} for i in range(9)]
    (f,) = found(window(relayed(), pairs=blind), settings)
    assert "DNS is not seen" in f.void["unnamed"]
    assert "unnamed" not in {e.heuristic for e in f.evidence}


@pytest.mark.parametrize(
    ("score", "name"),
    [(-10.1, "info"), (-10, "low"), (-0.1, "low"), (0, "medium"), (9.9, "medium"), (10, "high"), (20, "critical")],
)
def test_severities(settings: Config, score: float, name: str) -> None:
    assert dossier.severity(score, settings.fusion) == name


def test_ipv6_hops_are_addresses(settings: Config) -> None:
    (f,) = found(window(relayed("2001:db8::7"), **ordinary()), settings)
    assert (f.entity.kind, f.entity.value) == ("service", "[2001:db8::7]:443/tcp")


def test_a_far_end_that_was_leaked_is_told_and_is_certain(settings: Config) -> None:
    leak = {"server": HOP, "kind": "leaked_far_end", "value": "198.51.100.66:443", "uid": "C1"}
    more = ordinary()
    # many clients, over a long time: evidence against, which doesn't count here
    more["pairs"] += [{"server": HOP, "client": f"10.0.0.{i}"} for i in range(40)]
    (f,) = found(window(**more, sets=[leak]), settings)
    assert f.far_end.leaked == "198.51.100.66:443"
    assert f.score_db >= settings.fusion.medium_db
    assert all(e.decibans >= 0 for e in f.evidence)


def test_what_the_input_lacks_is_void_and_named(settings: Config) -> None:
    # all times, as in Zeek's default logs: neither a gap nor a session of replies can be told
    times = {"tcp_rtt", "hello_rtt", "finished_rtt", "first_reply", "reply_p10", "close_rtt", "replies", "on_starts"}
    lacks = frozenset(times)
    seen = dataclasses.replace(window(relayed(), **ordinary()), lacks=lacks)
    tables, void = fusion.weigh(seen, settings)
    assert "path_gap" not in tables
    assert void["path_gap"].startswith("the input has no tcp_rtt, hello_rtt, ")
    assert void["terminal_session"] == "the input has no replies, on_starts"
    # one measure of the answer is enough
    told = dataclasses.replace(seen, lacks=lacks - {"tcp_rtt", "hello_rtt"})
    assert "path_gap" in fusion.weigh(told, settings)[0]


def test_one_protocol_inside_another_is_a_tunnel_too(settings: Config) -> None:
    pairs, samples, floors = relayed()
    sets = [{**{k: v for k, v in pairs[0].items() if k in ("server", "name")}, "value": v} for v in ("ssl", "ssh")]
    plain, carried = (
        dossier.findings(make_window(pairs=pairs, samples=samples, floors=floors, sets=s), settings, {})[0]
        for s in (sets[:1], sets)
    )
    assert (plain.attack, carried.attack) == (("T1090.002",), ("T1090.002", "T1572"))


@pytest.mark.parametrize(("sent", "told"), [(700, 1400), (None, None)])
def test_a_connection_between_hosts_of_ours_is_told_once_whatever_is_known(
    settings: Config, sent: int | None, told: int | None
) -> None:
    sets = [{"server": HOP, "kind": k, "value": v, "uid": "L1"} for k, v in PROXIED]
    near = {"uid": "L1", "role": "accept", "in_bytes": sent, "out_bytes": 9}
    far = {**near, "role": "connect", "in_bytes": 9, "out_bytes": sent}
    legs = [{**leg, "seg": seg} for leg in (near, far) for seg in (0, 1)]
    (f,) = found(window(pairs=[{"server": HOP}], sets=sets, legs=legs), settings)
    assert [(c["uid"], c["orig_bytes"], c["resp_bytes"]) for c in f.connections] == [("L1", told, 18)]


def test_the_order_in_which_heuristics_are_heard_is_one(settings: Config) -> None:
    tables, _ = fusion.weigh(window(relayed(), **ordinary()), settings)
    seen = window(relayed(), **ordinary())
    (one,), (other,) = (fusion.rank(seen, dict(t), settings.fusion) for t in (tables.items(), reversed(tables.items())))
    assert list(one.pieces) == list(other.pieces) == sorted(one.pieces)
    assert one == other
