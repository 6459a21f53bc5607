"""What is pointed out about entries: dead ones, ones that hide too much, and ones that others can slip through."""

from __future__ import annotations

import dataclasses
import datetime
import re
from pathlib import Path

import pytest

from hopscope.allow import entries
from hopscope.allow.asns import AsnOf
from hopscope.allow.doubts import doubts
from hopscope.findings import Finding
from support.findings import finding

TODAY = datetime.date(2026, 11, 22)


def doubted(
    lines: str,
    *hidden: Finding,
    expires: str = '"never"',
    last: datetime.date | None = TODAY,
    asn_of: AsnOf | None = None,
) -> list[str]:
    text = f'[[allow]]\nid = "x"\nreason = "r"\nadded = 2026-10-01\nexpires = {expires}\n{lines}\n'
    allowlist = entries.parse(text, Path("allow.toml"), asn_of)
    return doubts(allowlist.entries[0], allowlist, hidden, last, TODAY)


NARROW = 'addresses = ["203.0.113.9:443"]\nclients = ["10.0.0.1"]'


def test_a_narrow_entry_of_use_is_not_doubted() -> None:
    assert doubted(NARROW, finding("high", 12.0)) == []


@pytest.mark.parametrize(
    ("last", "expires", "said"),
    [
        (datetime.date(2026, 10, 24), '"never"', []),
        (datetime.date(2026, 10, 23), '"never"', ["matched nothing for 30 days: is it still needed?"]),
        (None, '"never"', ["matched nothing for 52 days: is it still needed?"]),
        (TODAY, "2026-11-30", []),
        (TODAY, "2026-11-29", ["expires on 2026-11-29, in 7 days"]),
        (TODAY, "2026-11-22", ["expired on 2026-11-22: it hides nothing any more; renew it or take it out"]),
        (None, "2026-11-01", ["expired on 2026-11-01: it hides nothing any more; renew it or take it out"]),
    ],
)
def test_ends(last: datetime.date | None, expires: str, said: list[str]) -> None:
    assert doubted(NARROW, last=last, expires=expires) == said


def test_what_it_hides() -> None:
    critical = finding("critical", 25.0, id="hop-c")
    assert doubted(NARROW, critical) == ["hides 1 critical finding: hop-c"]
    lowers = NARROW + '\nheuristics = ["path_gap"]'
    assert doubted(lowers, critical) == ["takes evidence from 1 critical finding: hop-c"]
    labelled = dataclasses.replace(finding("high", 12.0), label="hop: seen in the incident (ada, 2026-11-01)")
    assert doubted(NARROW, labelled) == ["touches what is labelled a hop: hop-3fa9c21b7d"]
    edge = finding("high", 12.0, names=("a.example", "b.example"), dns_names=("c.example", "d.example"))
    assert doubted(NARROW, edge) == ["192.0.2.102 answers to 4 names, all of which the entry covers"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("asns = [64500]", "covers whatever is rented in that AS"),
        ('fingerprints = ["ja4:x"]', "a fingerprint can be copied"),
        ('clients = ["10.0.0.1"]', "hides whatever these clients do"),
        ('heuristics = ["cadence"]', "takes cadence from every finding"),
        ('networks = ["52.0.0.0/8"]', "networks: 52.0.0.0/8 holds 16,777,216 addresses"),
        ('networks = ["2600::/24"]', r"networks: 2600::/24 holds 2\^104 addresses"),
        ('networks = ["203.0.0.0/16", "203.1.0.0/16"]', "networks: 203.0.0.0/15 holds 131,072 addresses"),
        ('addresses = ["203.0.113.9"]\nclients = ["10.0.0.0/8"]', "clients: 10.0.0.0/8 holds"),
        ('names = [".cloudfront.net"]', "anybody gets a name under cloudfront.net"),
        ('names = [".core.windows.net"]', "anybody gets a name under blob.core.windows.net"),
        ('names = ["x.ngrok.io"]', "ngrok leads to any machine of its customers"),
        ('names = [".ngrok.io"]', "ngrok leads to any machine of its customers"),
    ],
)
def test_what_others_could_slip_through(lines: str, said: str) -> None:
    assert any(re.search(said, d) for d in doubted(lines, asn_of={}.get))


def test_an_exact_name_of_a_content_network_is_one_customers() -> None:
    assert doubted('names = ["d111111abcdef8.cloudfront.net"]') == []


def test_as_numbers_without_a_database() -> None:
    assert any("network.asn_database" in d for d in doubted('asns = [64500]\nnames = ["a.example"]'))


def test_a_name_that_only_ends_like_a_tunnels_is_another() -> None:
    assert doubted('names = ["grok.io", ".grok.io", "visualstudio.com"]') == []
    assert any("Microsoft dev tunnels" in d for d in doubted('names = [".visualstudio.com"]'))
