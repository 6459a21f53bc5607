"""Whether an entry holds for a finding: the ways in which somebody could get himself allowed stay shut."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hopscope.allow import entries
from hopscope.allow.asns import AsnOf
from hopscope.allow.matching import Check, Verdict, judge, subject
from hopscope.findings import Entity, Finding
from support.findings import BARE, GAP, UNNAMED


def judged(lines: str, finding: Finding, asn_of: AsnOf | None = None) -> Verdict:
    text = f'[groups]\nbackup = ["10.0.0.0/28"]\n[[allow]]\nid = "x"\nreason = "r"\nexpires = "never"\n{lines}\n'
    return judge(entries.parse(text, Path("allow.toml")).entries[0], subject(finding), asn_of)


def only(verdict: Verdict) -> Check:
    [check] = verdict.checks
    return check


def about(kind: str = "service", value: str = "203.0.113.9:443/tcp", **changes: Any) -> Finding:
    return dataclasses.replace(BARE, entity=Entity(kind, value), **({"names": ()} | changes))


SERVICE = about()
ADDRESS = about("address", "203.0.113.9", port=None, proto=None)
SIX = about("network", "2001:db8:0:1::/64", hop="2001:db8:0:1::9", port=None, proto=None)


def connection(address: str, port: int = 443) -> dict[str, Any]:
    return {"uid": address, "resp_h": address, "resp_p": port, "proto": "tcp"}


# places


@pytest.mark.parametrize(
    ("lines", "finding", "holds", "part"),
    [
        ('networks = ["203.0.113.0/24"]', SERVICE, True, False),
        ('networks = ["203.0.112.0/24"]', SERVICE, False, False),
        ('networks = ["2001:db8::/32"]', SIX, True, False),
        ('networks = ["2001:db8:0:1::9"]', SIX, False, True),
        ('addresses = ["203.0.113.9"]', SERVICE, True, False),
        ('addresses = ["203.0.113.9:443"]', SERVICE, True, False),
        ('addresses = ["203.0.113.9:443/udp"]', SERVICE, False, True),
        ('addresses = ["203.0.113.9:80", "203.0.113.8"]', SERVICE, False, True),
        ('addresses = ["203.0.113.9"]', ADDRESS, True, False),
        ('addresses = ["203.0.113.9:443"]', ADDRESS, False, True),
        ('addresses = ["2001:db8:0:1::9"]', SIX, False, True),
        ('addresses = ["203.0.113.8"]', ADDRESS, False, False),
        ('addresses = ["::ffff:203.0.113.9"]', SERVICE, True, False),
    ],
)
def test_places(lines: str, finding: Finding, holds: bool, part: bool) -> None:
    check = only(judged(lines, finding))
    assert (check.holds, check.part) == (holds, part)


def test_a_name_at_several_places_is_covered_when_all_are() -> None:
    name = about("name", "a.example", connections=(connection("203.0.113.9"), connection("198.51.100.1")))
    assert not judged('addresses = ["203.0.113.9"]', name).holds
    assert "198.51.100.1" in only(judged('addresses = ["203.0.113.9"]', name)).why
    assert judged('networks = ["203.0.113.0/24", "198.51.100.0/24"]', name).holds


# names


def test_a_name_counts_when_dns_led_there_by_it() -> None:
    led = about(names=("a.example",), dns_names=("a.example",))
    assert judged('names = ["A.example."]', led).holds
    assert not judged('names = [".a.example"]', led).holds
    assert not judged('names = [".example.com"]', led).near


def test_a_name_that_was_only_asked_for_is_the_clients_choice() -> None:
    claimed = judged('names = ["popular.example"]', about(names=("popular.example",)))
    assert not claimed.holds
    assert claimed.near
    assert "SNI" in only(claimed).why


def test_a_finding_about_a_name_needs_dns_as_well() -> None:
    # two names on a service of the attacker's make the one that stands out a finding of its own
    forged = about("name", "popular.example", names=("popular.example",), dns_names=("evil.example",))
    assert not judged('names = ["popular.example"]', forged).holds
    real = about("name", "popular.example", names=("popular.example",), dns_names=("other.example", "popular.example"))
    assert judged('names = ["popular.example"]', real).holds


@pytest.mark.parametrize("where", ["names", "dns_names"])
def test_one_allowed_name_on_a_shared_edge_does_not_hide_its_neighbours(where: str) -> None:
    shared = {"names": ("good.example",), "dns_names": ("good.example",)}
    shared[where] += ("evil.example",)
    verdict = judged('names = ["good.example"]', about(**shared))
    assert not verdict.holds
    assert "1 of its 2 names" in only(verdict).why
    assert judged('names = ["good.example", "evil.example"]', about(**shared)).holds


def test_more_names_than_are_kept_may_hide_another() -> None:
    many = tuple(f"h{i:02}.good.example" for i in range(50))
    assert not judged('names = [".good.example"]', about(names=many, dns_names=many)).holds
    assert judged('names = [".good.example"]', about(names=many[1:], dns_names=many[1:])).holds


def test_a_client_that_came_without_any_name_is_not_covered_by_names() -> None:
    bare = dataclasses.replace(UNNAMED, facts={"asked_for": None, "service_name": None})
    led = about(names=("a.example",), dns_names=("a.example",), evidence=(bare,))
    assert not judged('names = ["a.example"]', led).holds
    assert "10.0.0.11 came by bare address" in only(judged('names = ["a.example"]', led)).why
    for excused in ({"asked_for": "a.example"}, {"service_name": "a.example"}):
        asked = dataclasses.replace(bare, facts={"asked_for": None, "service_name": None} | excused)
        assert judged('names = ["a.example"]', dataclasses.replace(led, evidence=(asked,))).holds


def test_hostile_names_are_covered_by_none() -> None:
    hostile = about(names=("a.example", "\u202egood.example\x1b"), dns_names=("a.example",))
    assert not judged('names = ["a.example", ".example"]'.replace('".example"', '".good.example"'), hostile).holds


# clients


def test_clients_must_all_be_in_the_group() -> None:
    two = about(clients=("10.0.0.1", "10.0.0.2"), clients_total=2)
    assert judged('clients = ["backup"]', two).holds
    other = dataclasses.replace(two, clients=("10.0.0.1", "10.0.0.2", "10.9.0.1"), clients_total=3)
    verdict = judged('clients = ["backup"]', other)
    assert not verdict.holds
    assert only(verdict).why == "it covers 2 of its 3 clients"
    assert not judged('clients = ["backup"]', about(clients=("10.9.0.1",), clients_total=1)).near


@pytest.mark.parametrize(("kept", "total", "holds"), [(50, 51, False), (50, None, False), (14, None, True)])
def test_clients_that_are_not_known_are_not_covered(kept: int, total: int | None, holds: bool) -> None:
    finding = about(clients=tuple(f"10.0.0.{i % 14 + 1}" for i in range(kept)), clients_total=total)
    assert judged('clients = ["backup"]', finding).holds is holds


def test_a_finding_without_clients_is_not_covered_by_clients() -> None:
    assert not judged('clients = ["backup"]', about(clients=(), clients_total=0)).holds


# fingerprints


@pytest.mark.parametrize(
    ("seen", "holds", "part"),
    [
        (("ja4:a", "ssh_server:x"), True, False),
        (("ja4:a", "ja4:b"), False, True),
        (("ja4:b",), False, False),
        ((), False, False),
        (("ja4:a", *(f"ssh_server:{i}" for i in range(49))), False, True),
    ],
)
def test_of_a_kind_that_is_named_all_fingerprints_must_be(seen: Sequence[str], holds: bool, part: bool) -> None:
    check = only(judged('fingerprints = ["ja4:a"]', about(fingerprints=tuple(seen))))
    assert (check.holds, check.part) == (holds, part)


# AS numbers


def test_as_numbers_need_a_database() -> None:
    check = only(judged("asns = [64500]", SERVICE))
    assert check.holds is None
    assert "network.asn_database" in check.why
    assert judged("asns = [64500]", SERVICE, {"203.0.113.9": 64500}.get).holds
    assert not judged("asns = [64501]", SERVICE, {"203.0.113.9": 64500}.get).holds
    assert not judged("asns = [64501]", SERVICE, {}.get).holds


# several conditions, and heuristics


def test_all_conditions_must_hold() -> None:
    lines = 'addresses = ["203.0.113.9"]\nclients = ["backup"]'
    inside = about(clients=("10.0.0.1",), clients_total=1)
    assert judged(lines, inside).holds
    outside = judged(lines, about(clients=("10.9.0.1",), clients_total=1))
    assert not outside.holds
    assert outside.near
    assert not judged(lines, dataclasses.replace(inside, hop="203.0.113.1")).near


def test_heuristics_must_speak_for_it() -> None:
    assert judged('heuristics = ["path_gap"]', about(evidence=(GAP,))).holds
    against = dataclasses.replace(GAP, decibans=-2.0)
    assert not judged('heuristics = ["path_gap"]', about(evidence=(against,))).holds
    assert not judged('addresses = ["203.0.113.9:1"]\nheuristics = ["cadence"]', about(evidence=(GAP,))).near
