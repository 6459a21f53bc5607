"""Quantities and places, as people read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hopscope.findings import Entity, FarEnd, endpoint
from hopscope.outputs import words
from support.findings import finding


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0004, "0.4 ms"), (0.00994, "9.9 ms"), (0.00996, "10 ms"), (0.155, "155 ms"), (0.9994, "999 ms"),
        (0.9996, "1 s"), (2.5, "2.5 s"), (99.4, "99.4 s"), (100, "1 min 40 s"), (3599, "59 min 59 s"),
        (12_000, "3 h 20 min"), (-0.02, "-20 ms"),
    ],
)  # fmt: skip
def test_seconds(value: float, said: str) -> None:
    assert words.seconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1500, "1.5 kB"), (20_500_000, "20.5 MB"), (3e9, "3 GB")],
)
def test_octets(value: float, said: str) -> None:
    assert words.octets(value) == said


@pytest.mark.parametrize(("value", "said"), [(12, "+12.0"), (-3.46, "-3.5"), (0.0, "0.0"), (-0.04, "0.0")])
def test_decibans_are_signed(value: float, said: str) -> None:
    assert words.decibans(value) == said


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (None, "ms", "unknown"), (11.5, "ms", "12 ms"), (0.5, "s", "500 ms"), (1500, "bytes", "1.5 kB"),
        (1000, "connections", "1,000 connections"), (0.25, "fraction", "0.25"), (True, "", "yes"),
        ([443, 8443], "", "443, 8443"), (list("abcdefghij"), "", "a, b, c, d, e, f, g, h and 2 more"),
        ([], "", "none"), ("below TLS", "", "below TLS"),
    ],
)  # fmt: skip
def test_facts_have_their_unit(value: Any, unit: str, said: str) -> None:
    assert words.quantity(value, unit) == said


def test_an_ipv6_endpoint_is_in_brackets() -> None:
    assert endpoint("2001:db8::1", 443) == "[2001:db8::1]:443"
    assert endpoint("2001:db8::1", None) == "2001:db8::1"
    assert endpoint("192.0.2.1", 443) == "192.0.2.1:443"


def test_what_a_finding_is_about() -> None:
    assert words.entity(finding()) == "the service at 192.0.2.102:443/tcp"
    assert words.entity(finding(entity=Entity("name", "x.example"))) == "the name x.example"
    assert words.hop(finding(port=None, proto=None, names=())) == "192.0.2.102"
    assert words.hop(finding(names=tuple("abcde"))) == "192.0.2.102:443/tcp (a, b, c and 2 more)"


def test_the_far_end_in_words() -> None:
    measured = FarEnd(distance_ms=135.0, spread_ms=4.0, hop_rtt_ms=20.0, answer_rtt_ms=155.0)
    assert words.far_end(measured) == (
        "about 135 ms behind the hop, give or take 4.0 ms; "
        "the address answers from 20 ms away, what it relays to answers from 155 ms"
    )
    assert words.behind(FarEnd(leaked="198.51.100.7:4444")) == "198.51.100.7:4444, named in clear by the relay"
    assert words.behind(FarEnd(asked="c2.example:443")) == "c2.example:443, which the client asked it for"
    assert words.far_end(FarEnd()) is None


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-11-21T23:16:37.287Z", "2026-11-21T23:17:02Z", "2026-11-21 23:16:37 to 23:17:02 UTC"),
        ("2026-11-21T23:16:37Z", "2026-11-22T01:00:00Z", "2026-11-21 23:16:37 UTC to 2026-11-22 01:00:00 UTC"),
        ("2026-11-21T23:16:37Z", "2026-11-21T23:16:37.5Z", "2026-11-21 23:16:37 UTC"),
        ("some day", "2026-11-21T23:16:37Z", "some day to 2026-11-21 23:16:37 UTC"),
        ("2026-11-21T23:16:37+02:00", "2026-11-21T23:16:37+02:00", "2026-11-21 21:16:37 UTC"),
    ],
)
def test_periods(first: str, last: str, said: str) -> None:
    assert words.period(first, last) == said


def test_places_are_told_from_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ana")
    assert words.place(Path("/home/ana/x/y.jsonl")) == "~/x/y.jsonl"
    assert words.place(Path("/var/x.jsonl")) == "/var/x.jsonl"


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [(1, "finding", "1 finding"), (0, "finding", "0 findings"), (1234, "DNS query", "1,234 DNS queries")],
)
def test_plurals(count: int, noun: str, said: str) -> None:
    assert words.plural(count, noun) == said
