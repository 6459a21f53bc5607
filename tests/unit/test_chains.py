"""Chains: which candidates lead to which, and what a finding says of it."""

from __future__ import annotations

import dataclasses
import random

import pytest

from hopscope import chains
from hopscope.findings import Entity, Evidence, FarEnd, Finding
from support.findings import BARE

RELAY, OUTER, LAST = "10.0.0.80", "203.0.113.9", "198.51.100.7"


def hop(address: str, port: int | None = 443, score_db: float = 12.0, **changes: object) -> Finding:
    entity = Entity("address", address) if port is None else Entity("service", f"{address}:{port}/tcp")
    far = FarEnd(**{k: changes.pop(k) for k in ("leaked", "seen", "asked", "distance_ms") if k in changes})  # type: ignore[arg-type]
    plain = {"clients": ("10.0.0.5",), "names": (), **changes}
    return dataclasses.replace(
        BARE, id=f"hop-{address}", entity=entity, hop=address, port=port, score_db=score_db, far_end=far, **plain
    )


def texts(*findings: Finding) -> list[str]:
    return [c.text for c in chains.enumerate_chains(findings).chains]


def test_a_relay_of_ours_that_leads_to_an_external_candidate() -> None:
    inner = hop(RELAY, 8443, 15.0, seen=f"{OUTER}:443", attack=("T1090.001",))
    outer = hop(OUTER, 443, 3.0, clients=(RELAY,), distance_ms=41.6)
    (chain,) = chains.enumerate_chains([inner, outer]).chains
    assert chain.text == "10.0.0.5 -> 10.0.0.80:8443 -> 203.0.113.9:443 -> unseen, about 42 ms behind"
    assert chain.score_db == 3.0
    assert [f.attack for f in chains.with_chains([inner, outer])] == [
        ("T1090.001", "T1090.003"), ("T1090.002", "T1090.003"),
    ]  # fmt: skip
    assert {f.chains for f in chains.with_chains([inner, outer])} == {(chain.text,)}


def test_a_proxy_that_is_asked_for_another_candidate_by_name() -> None:
    outer = hop(OUTER, 1080, asked="Relay.example:443")
    inner = hop(LAST, names=("relay.example",), leaked="192.0.2.1:22")
    assert texts(outer, inner) == [f"10.0.0.5 -> {OUTER}:1080 -> {LAST}:443 -> 192.0.2.1:22"]


@pytest.mark.parametrize(
    ("fact", "decibans", "leads"),
    [("targets", 40.0, True), ("far_ends", 40.0, True), ("targets", -3.0, False), ("servers", 40.0, False)],
)
def test_one_of_several_far_ends_is_a_candidate(fact: str, decibans: float, leads: bool) -> None:
    asked = {fact: ["192.0.2.1:80", f"{LAST}:443", None]}
    proxy = Evidence("proxy_protocol", decibans, "", "", asked, {}, None, 1, ())
    assert bool(texts(hop(OUTER, 1080, asked="192.0.2.1:80", evidence=(proxy,)), hop(LAST))) is leads


@pytest.mark.parametrize(
    ("far", "leads"),
    [
        (f"{LAST}:443", True), (f"{LAST}:444", False), (f"{LAST}", False), ("192.0.2.1:443", False),
        (f"{OUTER}:443", False), ("", False), (":", False), (f"{LAST}:443443", False), (f"{LAST}:٤٤٣", False),
    ],
)  # fmt: skip
def test_only_what_is_the_same_place_leads_on(far: str, leads: bool) -> None:
    assert bool(texts(hop(OUTER, asked=far), hop(LAST))) is leads


def test_a_candidate_known_by_its_address_is_met_on_any_port() -> None:
    assert texts(hop(OUTER, seen=f"{LAST}:8000"), hop(LAST, None))


def test_addresses_of_ipv6() -> None:
    assert texts(hop(OUTER, asked="[2001:db8::1]:443"), hop("2001:db8::1")) == [
        f"10.0.0.5 -> {OUTER}:443 -> [2001:db8::1]:443 -> unseen"
    ]


def test_ordinary_findings_are_left_as_they_are() -> None:
    findings = [hop(OUTER), hop(LAST, seen="192.0.2.1:443")]
    assert chains.with_chains(findings) == findings


def test_hops_that_lead_to_each_other_end_somewhere() -> None:
    assert texts(hop(OUTER, asked=f"{LAST}:443"), hop(LAST, asked=f"{OUTER}:443"))


def test_longer_and_further_chains_are_cut_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    row = [hop(f"192.0.2.{i}", clients=() if i else ("10.0.0.5",), seen=f"192.0.2.{i + 1}:443") for i in range(4)]
    assert not chains.enumerate_chains(row).cut
    monkeypatch.setattr(chains, "HOPS", 3)
    found = chains.enumerate_chains(row)
    assert found.cut
    assert max(len(c.hops) for c in found.chains) == 3
    monkeypatch.setattr(chains, "HOPS", 5)
    monkeypatch.setattr(chains, "CHAINS", 1)
    found = chains.enumerate_chains([*row, hop(OUTER, asked="192.0.2.0:443")])
    assert (len(found.chains), found.cut) == (1, True)


def test_forged_targets_do_not_keep_the_search_going(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "STEPS", 50)
    every = [hop(f"192.0.2.{i}", names=("x.example",), asked="x.example:443") for i in range(30)]
    found = chains.enumerate_chains(every)
    assert found.cut
    assert len(found.chains) <= 50


def test_the_order_of_findings_is_irrelevant() -> None:
    findings = [hop(f"192.0.2.{i}", score_db=i, seen=f"192.0.2.{(i * 3 + 1) % 8}:443") for i in range(8)]
    shuffled = findings[:]
    random.Random(3).shuffle(shuffled)
    assert texts(*findings) == texts(*shuffled)
    assert texts(*findings)
