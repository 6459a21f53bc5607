"""Which label fits which finding: labels stick to behaviours, and stop to count when those change."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hopscope import labels
from hopscope.findings import Entity, Evidence, Finding
from hopscope.labels import Label, Verdict
from support.findings import GAP, UNNAMED, finding

PUBLIC, PRIVATE, SIX = "203.0.113.9", "10.1.2.3", "2001:db8::9"


def entity(value: str) -> tuple[Entity, str | None, int | None, str | None]:
    """Entity, hop, port and transport of `name X at ADDRESS`, `ADDRESS:PORT/PROTO`, `ADDRESS` or a /64."""
    if value.startswith("name "):
        name, _, hop = value.removeprefix("name ").partition(" at ")
        return Entity("name", name), hop or None, 443 if hop else None, "tcp" if hop else None
    if value.endswith("/64"):
        return Entity("network", value), value.replace("/64", "9"), None, None
    if "/" in value:
        place, proto = value.split("/")
        hop, _, port = place.rpartition(":")
        return Entity("service", value), hop.strip("[]"), int(port), proto
    return Entity("address", value), value, None, None


def label(value: str, verdict: Verdict = "benign", **changes: Any) -> Label:
    about, hop, port, proto = entity(value)
    made = Label("hop-1", verdict, about, hop, "2026-11-21T10:00:00Z", port, proto, sensor="edge")
    return dataclasses.replace(made, **changes)


def seen(value: str, names: tuple[str, ...] = (), dns: tuple[str, ...] = (), **changes: Any) -> Finding:
    about, hop, port, proto = entity(value)
    changes = {"evidence": (), "id": "hop-1", "sensor": "edge"} | changes
    return finding(entity=about, hop=hop, port=port, proto=proto, names=names, dns_names=dns, **changes)


@pytest.mark.parametrize(
    ("labelled", "then", "now", "fits"),
    [
        (f"{PUBLIC}:443/tcp", {}, seen(f"{PUBLIC}:443/tcp"), "both"),
        (f"{PUBLIC}:443/tcp", {}, seen(f"{PUBLIC}:443/udp"), "none"),
        (f"{PUBLIC}:443/tcp", {}, seen(f"{PUBLIC}:8443/tcp"), "none"),
        # an address label speaks of all its services, a service's of the whole address only when it is a hop
        (PUBLIC, {}, seen(f"{PUBLIC}:8443/tcp"), "both"),
        (f"{PUBLIC}:443/tcp", {}, seen(PUBLIC), "hop"),
        ("2001:db8::/64", {}, seen(f"[{SIX}]:443/tcp"), "both"),
        ("2001:db8::/64", {}, seen("2001:db8:0:1::9"), "none"),
        (SIX, {}, seen("2001:db8::/64"), "hop"),
        # names: one of several on a service is not the service
        ("name a.example at 203.0.113.9", {}, seen(f"{PUBLIC}:443/tcp", ("a.example",)), "both"),
        ("name a.example at 203.0.113.9", {}, seen(f"{PUBLIC}:443/tcp", ("a.example", "b.example")), "hop"),
        (f"{PUBLIC}:443/tcp", {"names": ("a.example",)}, seen("name a.example at 203.0.113.9"), "both"),
        (f"{PUBLIC}:443/tcp", {"names": ("a.example",)}, seen("name b.example at 203.0.113.9"), "none"),
        # a new address of a name, where DNS gave it; what a client says in SNI anybody can say
        ("name a.example at 203.0.113.9", {}, seen("198.51.100.7:443/tcp", ("a.example",), ("a.example",)), "both"),
        ("name a.example at 203.0.113.9", {}, seen("198.51.100.7:443/tcp", ("a.example",)), "none"),
        ("name a.example at 203.0.113.9", {}, seen("198.51.100.7:443/tcp", ("a.example",), ("b.example",)), "none"),
        ("name a.example", {}, seen("198.51.100.7:443/tcp", (), ("a.example",)), "both"),
        ("name a.example", {}, seen("198.51.100.7:443/tcp", (), ("a.example", "b.example")), "none"),
        (f"{PUBLIC}:443/tcp", {"dns_names": ("a.example", "b.example")},
         seen("198.51.100.7:443/tcp", (), ("a.example",)), "both"),
        (f"{PUBLIC}:443/tcp", {}, seen("198.51.100.7:443/tcp"), "none"),
        # a name leads to all ports of its host: that one is benign says nothing of the others
        (f"{PUBLIC}:443/tcp", {"dns_names": ("a.example",)}, seen(f"{PUBLIC}:1080/tcp", (), ("a.example",)), "hop"),
        (f"{PUBLIC}:443/tcp", {"dns_names": ("a.example",)},
         seen("198.51.100.7:1080/tcp", (), ("a.example",)), "hop"),
        # a public address is the same from everywhere, a private one only within a site
        (PUBLIC, {}, seen(PUBLIC, sensor="branch"), "both"),
        (PRIVATE, {}, seen(PRIVATE, sensor="branch"), "none"),
        (PRIVATE, {}, seen(PRIVATE), "both"),
        (PRIVATE, {}, seen(PRIVATE, sensor=""), "both"),
    ],
)  # fmt: skip
def test_a_label_fits_its_behaviour(labelled: str, then: dict[str, Any], now: Finding, fits: str) -> None:
    for verdict in labels.VERDICTS:
        given = label(labelled, verdict, **then)
        assert (now.id in labels.of([now], [given])) == (fits in ("both", verdict)), verdict


def test_the_newest_that_fits_wins_whatever_the_order() -> None:
    old = label(PUBLIC, "hop", time="2026-11-20T10:00:00Z")
    new = label(f"{PUBLIC}:443/tcp", "benign")
    at, beside = seen(f"{PUBLIC}:443/tcp"), seen(f"{PUBLIC}:8443/tcp", id="hop-2")
    for given in ([old, new], [new, old]):
        fits = labels.of([at, beside], given)
        assert {i: fit.label.verdict for i, fit in fits.items()} == {"hop-1": "benign", "hop-2": "hop"}


def evidence(decibans: float, piece: Evidence = GAP) -> tuple[Evidence, ...]:
    return (dataclasses.replace(piece, decibans=decibans),)


@pytest.mark.parametrize(
    ("then", "now", "counts"),
    [({}, 5.9, True), ({}, 6.0, False), ({"gap": 1.0}, 6.9, True), ({"gap": 1.0}, 7.0, False),
     ({"gap": 6.0}, 38.0, True), ({"gap": 20.0}, -3.0, True), ({"naming": 13.0}, 38.0, False)],
)  # fmt: skip
def test_a_benign_label_stops_to_count_when_a_new_kind_of_evidence_speaks(
    then: dict[str, float], now: float, counts: bool
) -> None:
    at = seen(f"{PUBLIC}:443/tcp", evidence=evidence(now))
    fit = labels.of([at], [label(PUBLIC, groups=then, note="backup", author="ana")])["hop-1"]
    assert fit.counts is counts
    said = "benign: backup (ana, 2026-11-21)"
    assert fit.text == (said if counts else f"labelled benign, but now also gap {now:+.1f} dB: {said}")
    [shown] = labels.marked([at], [fit.label])
    assert shown.label == fit.text
    assert labels.of([at], [label(PUBLIC, "hop", groups=then)])["hop-1"].counts


def test_what_several_heuristics_of_a_group_say_is_added() -> None:
    pieces = {"path_gap": 4.0, "unnamed": 8.0, "prevalence": -3.5, "of_another_version": 9.0}
    assert labels.groups_of(pieces) == {"gap": 4.0, "naming": 8.0}
    assert labels.groups_of({"cadence": 4.0, "payload_profile": 5.0}) == {"rhythm": 9.0}


def test_precision_and_recall_with_their_counts() -> None:
    given = [
        label("192.0.2.1", "hop"),
        label("192.0.2.2", "hop"),  # none finds it
        label("192.0.2.3:443/tcp", "hop", time="2026-11-20T10:00:00Z"),  # thought otherwise of since
        label("192.0.2.3", "benign"),
        label("192.0.2.4", "benign"),
        label("192.0.2.5", "benign"),  # no finding
        label("name c.example", "hop"),  # never seen
    ]
    findings = [
        seen("192.0.2.1:443/tcp", id="a"),
        seen("192.0.2.1:80/tcp", id="b"),
        seen("192.0.2.3:443/tcp", id="c"),
        seen("192.0.2.4", id="d", evidence=evidence(9.0, UNNAMED)),  # its label no longer counts
        seen("192.0.2.6", id="e"),
    ]
    got = labels.measure(findings, given)
    assert got == labels.Measure(hops=2, benign=1, outgrown=1, unlabelled=1, found=1, missed=2)
    assert (got.precision, got.recall) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    nothing = labels.measure([], [])
    assert (nothing.precision, nothing.recall) == (None, None)
