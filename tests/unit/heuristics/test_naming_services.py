"""naming_services: the file is whole and dated, and names match on labels only."""

from __future__ import annotations

import datetime
import re

import pyarrow as pa
import pytest

from hopscope.heuristics.naming_services import CATEGORIES, Service, matches, services

SUFFIX = re.compile(r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$")


@pytest.mark.parametrize("service", services(), ids=lambda s: s.operator)
def test_every_entry_has_source_date_and_valid_suffixes(service: Service) -> None:
    assert service.source
    assert datetime.date(2020, 1, 1) <= datetime.date.fromisoformat(service.date)
    assert service.category in CATEGORIES
    assert service.suffixes
    for suffix in service.suffixes:
        assert SUFFIX.match(suffix), suffix
    for own in service.own:
        assert "." not in own


def test_no_suffix_stands_twice() -> None:
    every = [suffix for service in services() for suffix in service.suffixes]
    assert len(every) == len(set(every))


def test_every_category_is_used() -> None:
    assert {s.category for s in services()} == set(CATEGORIES)


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("abc.portmap.io", "tunnel"),
        ("a.b.portmap.io", "tunnel"),
        ("portmap.io", None),  # the service's own website
        ("www.portmap.io", None),
        ("notportmap.io", None),
        ("portmap.io.example.com", None),
        ("abc.portmap.io.", None),
        ("bore.pub", "tunnel"),  # ports of the name itself
        ("update.argotunnel.com", None),
        ("region1.v2.argotunnel.com", "tunnel"),
        ("home.duckdns.org", "dyndns"),
        ("duckdns.org", None),
        ("checkip.dyndns.org", None),
        ("nas.synology.me", "device"),
        ("203-0-113-9.nip.io", "literal"),
        ("www.example.com", None),
    ],
)
def test_customers_names_match_and_the_services_own_do_not(name: str, category: str | None) -> None:
    found = matches(pa.array([name, None, name])).to_pylist()
    assert [r["category"] for r in found] == ([category] if category else [])
    assert not found or found[0]["name"] == name


def test_names_from_the_wire_may_be_anything() -> None:
    assert matches(pa.array([], pa.string())).num_rows == 0
    assert matches(pa.array(["", ".", "..portmap.io\n", "(((", "x" * 5000])).num_rows == 0
