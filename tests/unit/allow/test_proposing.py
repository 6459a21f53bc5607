"""Proposals: narrow, ready to paste, and they do hide what they are for."""

from __future__ import annotations

import dataclasses
import datetime
import shlex
from pathlib import Path
from typing import Any

import pytest

from hopscope.allow import entries, proposing
from hopscope.allow.matching import judge, subject
from hopscope.findings import Entity, Finding
from support.findings import BARE, FINDING, UNNAMED

TODAY = datetime.date(2026, 11, 22)


def about(kind: str, value: str, **changes: Any) -> Finding:
    return dataclasses.replace(BARE, entity=Entity(kind, value), clients_total=2, **({"names": ()} | changes))


LED = {"names": ("a.example",), "dns_names": ("a.example", "b.example")}
CASES = {
    "address and port": about("service", "203.0.113.9:443/tcp"),
    "names": about("service", "203.0.113.9:443/tcp", **LED),
    "only asked for": about("service", "203.0.113.9:443/tcp", names=("a.example",)),
    "no usable name": about("service", "203.0.113.9:443/tcp", names=("\u202e",), dns_names=("\u202e",)),
    "address": about("address", "203.0.113.9", port=None, proto=None),
    "network": about("network", "2001:db8:0:1::/64", hop="2001:db8:0:1::9", port=None, proto=None),
    "name": about("name", "a.example", **LED),
    "name at two places": about("name", "a.example", names=("a.example",),
                                connections=({"resp_h": "203.0.113.8", "resp_p": 443, "proto": "tcp"},)),
}  # fmt: skip
KINDS = {"address and port": "addresses", "names": "names", "only asked for": "addresses",
         "no usable name": "addresses", "address": "addresses", "network": "networks", "name": "names",
         "name at two places": "addresses"}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_proposed_hides_the_finding(case: str) -> None:
    finding = CASES[case]
    text = proposing.toml_for(finding, TODAY)
    assert text.isascii()
    [entry] = entries.parse(text, Path("allow.toml")).entries
    assert judge(entry, subject(finding), None).holds
    assert getattr(entry, KINDS[case])
    assert entry.clients == finding.clients
    assert (entry.added, entry.expires) == (TODAY, datetime.date(2027, 2, 20))


def test_many_clients_are_not_listed_and_many_names_neither() -> None:
    crowd = about("service", "203.0.113.9:443/tcp", clients=tuple(f"10.0.0.{i}" for i in range(1, 9)))
    assert "clients" not in proposing.toml_for(dataclasses.replace(crowd, clients_total=8), TODAY)
    names = tuple(f"h{i}.example" for i in range(9))
    edge = about("service", "203.0.113.9:443/tcp", names=names, dns_names=names)
    assert 'addresses = ["203.0.113.9:443/tcp"]' in proposing.toml_for(edge, TODAY)


def test_without_a_day_the_findings_own_dates_it() -> None:
    assert "added = 2026-11-21\nexpires = 2027-02-19\n" in proposing.toml_for(FINDING)
    assert "added = 1970-01-01" in proposing.toml_for(dataclasses.replace(FINDING, last_seen=""))


def test_where_no_entry_could_a_comment_says_so() -> None:
    strange = about("network", "2001:db8:0:1::/64", hop="x", clients=())
    assert (
        entries.parse(proposing.toml_for(dataclasses.replace(strange, clients=("?",)), TODAY), Path("a")).entries != ()
    )
    nowhere = about("service", "?", hop="?", clients=())
    assert proposing.toml_for(nowhere, TODAY).startswith("# no entry")


def test_parts_that_are_asked_for_are_taken_alone() -> None:
    finding = CASES["names"]
    for parts, given in ((["addresses"], {"addresses"}), (["names", "clients"], {"names", "clients"}),
                         (["clients"], {"clients"})):  # fmt: skip
        entry = proposing.proposed(finding, TODAY, parts)
        assert entry is not None
        assert {c for c in entries.CONDITIONS if getattr(entry, c)} == given
    assert proposing.proposed(CASES["only asked for"], TODAY, ["names"]) is None
    assert "SNI" in proposing.why_not(CASES["only asked for"], TODAY, ["names"])
    bare = dataclasses.replace(finding, evidence=(dataclasses.replace(UNNAMED, facts={}),))
    assert "bare address" in proposing.why_not(bare, TODAY, ["names"])
    assert "no names" in proposing.why_not(CASES["address"], TODAY, ["names"])


def test_the_command_is_safe_to_paste() -> None:
    hostile = dataclasses.replace(FINDING, id="hop-1; rm -rf ~")
    words = shlex.split(proposing.command_for(hostile))
    assert words[:5] == ["hopscope", "allow", "add", "--from", "hop-1; rm -rf ~"]


def test_ids() -> None:
    assert proposing.entry_id("Backups at night, see #12!") == "backups-at-night-see-12"
    assert proposing.entry_id("\u202e") == "entry"
    assert proposing.entry_id("a", {"a", "a-2"}) == "a-3"
    assert len(proposing.entry_id("x" * 500)) <= 40
