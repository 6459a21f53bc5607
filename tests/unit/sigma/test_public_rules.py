"""A public rule set: every rule is applied or named with its reason, and none is lost."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from hopscope import sigma
from hopscope.records import Batch
from hopscope.sigma import reading
from hopscope.sigma.refusing import ELSEWHERE
from support import sigma_cases

CATEGORIES = frozenset({"network_connection", "dns", "dns_query", "firewall", "proxy"})
Documents = list[tuple[str, Any]]


@pytest.fixture(scope="module")
def loaded(sigma_rules: Path) -> sigma.Rules:
    """The public rules."""
    return sigma.load([sigma_rules], shipped=False)


@pytest.fixture(scope="module")
def documents(sigma_rules: Path) -> Documents:
    """Every document that is meant as a rule, of files that are YAML."""
    found = []
    for file in sorted(p for p in sigma_rules.rglob("*") if p.suffix in (".yml", ".yaml")):
        try:
            read = list(yaml.load_all(file.read_bytes(), yaml.CSafeLoader))
        except yaml.YAMLError:
            continue
        found += [(str(file), d) for d in read if isinstance(d, dict) and not reading.MARKS.isdisjoint(d)]
    return found


def test_none_is_lost_and_each_that_is_not_applied_has_a_reason(documents: Documents, loaded: sigma.Rules) -> None:
    broken = [one for one in loaded.unsupported if "is no YAML" in one.reason]
    assert len(loaded.rules) + len(loaded.unsupported) - len(broken) == len(documents)
    assert all(one.reason and one.place for one in loaded.unsupported)


def test_two_hundred_rules_about_networks_are_read_and_most_are_applied(
    documents: Documents, loaded: sigma.Rules
) -> None:
    places = {
        place
        for place, document in documents
        if isinstance(source := document.get("logsource"), dict)
        and (source.get("category") in CATEGORIES or source.get("product") == "zeek")
    }
    applied = [rule for rule in loaded.rules if rule.place in places]
    refused = [one for one in loaded.unsupported if one.place in places and one.cause not in ELSEWHERE]
    assert len(places) >= 200
    assert len(applied) > len(refused)


def test_every_rule_is_evaluated_over_records(loaded: sigma.Rules) -> None:
    matcher = sigma.Matcher(loaded)
    chance = random.Random(1)
    for _ in range(3):
        kinds = (sigma_cases.records(kind, 500, chance) for kind in ("connection", "dns_query", "host_event"))
        matcher.add(Batch(*kinds))
    assert matcher.matches().num_rows
