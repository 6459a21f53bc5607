"""The allowlist over what Sigma rules fired on."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hopscope.allow import entries, firing
from hopscope.findings import RuleMatch
from support.findings import MATCH

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CONNECTION = dataclasses.replace(MATCH, kind="connection", sensor="s", host=None, process=None, name="x.example")
QUERY = dataclasses.replace(MATCH, kind="dns_query", sensor="s", host=None, server=None, port=None, name="x.example")
HOP = 'addresses = ["192.0.2.102"]'


def fired(lines: str, *matches: RuleMatch, expires: str = '"never"') -> firing.Fired:
    text = f'[[allow]]\nid = "ours"\nreason = "known"\nauthor = "ada"\nexpires = {expires}\n{lines}\n'
    return firing.apply(matches, entries.parse(text, Path("allow.toml")), NOW)


@pytest.mark.parametrize(
    ("lines", "hidden"),
    [
        ('addresses = ["192.0.2.102:443/tcp"]', True),
        ('addresses = ["192.0.2.102:80"]', False),
        ('networks = ["192.0.2.0/24"]\nclients = ["10.0.0.11"]', True),
        ('networks = ["192.0.2.0/24"]\nclients = ["10.0.0.12"]', False),
        ('clients = ["10.0.0.0/24"]', True),
        (f'{HOP}\nheuristics = ["sigma_rules"]', False),
        (f'{HOP}\nfingerprints = ["ja4:t13d0000"]', False),
    ],
)
def test_an_entry_that_covers_server_and_client_hides_a_match(lines: str, hidden: bool) -> None:
    after = fired(lines, MATCH)
    assert (after.shown == (), len(after.hidden)) == (hidden, int(hidden))


def test_a_name_counts_where_dns_was_asked_for_it_alone() -> None:
    told = dataclasses.replace(MATCH, name="x.example")
    after = fired('names = ["x.example"]', QUERY, CONNECTION, told)
    assert after.shown == (CONNECTION, told), "clients and hosts say what name they like"
    assert fired(HOP, QUERY).shown == (QUERY,), "where the name led isn't known"


def test_what_is_hidden_is_told() -> None:
    grave = dataclasses.replace(MATCH, severity="critical", id="rule-grave")
    after = fired(HOP, MATCH, grave)
    assert (after.shown, after.matched) == ((), frozenset({"ours"}))
    assert [m.suppression for m in after.hidden] == ["allowlist entry ours: known (ada)"] * 2
    assert after.lines == (
        "2 rule matches hidden by the allowlist (1 critical, 1 high): 2 by ours (known); "
        "hopscope findings --all shows them",
        f"hidden though critical: rule-grave {MATCH.title}, by allowlist entry ours: known (ada)",
    )


def test_an_entry_that_has_ended_hides_nothing() -> None:
    assert fired(HOP, MATCH, expires="2026-11-22").shown == (MATCH,)
