"""What a kept run, or findings alone, know of the places of findings."""

from __future__ import annotations

import pytest

from hopscope import runs
from hopscope.allow.items import Service
from hopscope.config import Config
from hopscope.exporting import known
from hopscope.findings import Entity, Finding
from support.findings import finding
from support.windows import make_window

HOP = "203.0.113.9"


def about(kind: str, value: str, hop: str = HOP, **changes: object) -> Finding:
    return finding(entity=Entity(kind, value), hop=hop, sensor="s", **changes)


def run_of(**tables: object) -> runs.Run:
    window = make_window(**tables)  # type: ignore[arg-type]
    return runs.Run(window, {}, Config(), {}, {}, {}, lambda name, places: [])


@pytest.mark.parametrize(
    ("port", "service", "established", "resolves"),
    [
        (53, "dns", 1, True),
        (53, "ssl,dns", 1, True),
        (5353, "dns", 1, False),
        (53, "ssl", 1, False),
        (53, "dns", 0, False),
        (53, "nodns", 1, False),
    ],
)
def test_a_resolver_answered_dns_on_its_port(port: int, service: str, established: int, resolves: bool) -> None:
    at = {"server": "198.51.100.53", "port": port, "proto": "udp"}
    run = run_of(pairs=[{**at, "established": established}], sets=[{**at, "value": service}])
    facts = known.of_run(run, [about("address", HOP)])
    assert facts.resolvers == ({"198.51.100.53"} if resolves else set())
    assert bool(facts.doubts) is not resolves


def test_names_by_dns_and_asked_for_and_where_a_name_is() -> None:
    run = run_of(
        pairs=[
            {"name": "hop.example"},
            {"name": "neighbour.example"},
            {"name": "hop.example", "server": "198.51.100.7", "port": 8443},
            {"name": "hop.example", "sensor": "other", "server": "198.51.100.8"},
            {"name": "elsewhere.example", "server": "192.0.2.1"},
        ],
        names=[
            {"name": "hop.example", "address": "198.51.100.7"},
            {"name": "third.example", "address": "198.51.100.7", "sensor": "other"},
            {"name": "unrelated.example", "address": "192.0.2.1"},
        ],
    )
    facts = known.of_run(run, [about("name", "hop.example")])
    assert facts.places["s", "hop.example"] == {Service(HOP, 443, "tcp"), Service("198.51.100.7", 8443, "tcp")}
    assert facts.at(HOP) == {"hop.example", "neighbour.example"}
    assert facts.at("198.51.100.7") == {"hop.example", "third.example"}
    assert facts.led([HOP]) == frozenset()
    assert facts.at("192.0.2.1") == frozenset()


def test_a_64_is_all_addresses_in_it() -> None:
    run = run_of(names=[
        {"name": "a.example", "address": "2001:db8::1"},
        {"name": "b.example", "address": "2001:db8::2"},
        {"name": "c.example", "address": "2001:db8:0:1::1"},
        {"name": "d.example", "address": "12:34"},  # a text record's, which looks like one
    ])  # fmt: skip
    facts = known.of_run(run, [about("network", "2001:db8::/64", hop="2001:db8::1")])
    assert facts.inside("2001:db8::/64") == ["2001:db8::1", "2001:db8::2"]
    assert facts.led(facts.inside("2001:db8::/64")) == {"a.example", "b.example"}


def test_findings_alone_know_less_and_say_so() -> None:
    resolver = {"resp_h": "198.51.100.53", "resp_p": 53, "service": "dns"}
    odd = {"resp_h": "no address", "resp_p": 53, "service": "dns"}
    named = about("name", "hop.example", port=443, proto="tcp", dns_names=("x.example",), names=("hop.example",),
                  connections=(resolver, odd))  # fmt: skip
    facts = known.of_findings([named])
    assert not facts.whole
    assert facts.resolvers == {"198.51.100.53"}
    assert facts.at(HOP) == {"x.example", "hop.example"}
    assert facts.places["s", "hop.example"] == {Service(HOP, 443, "tcp")}
    assert len(facts.doubts) == 2
