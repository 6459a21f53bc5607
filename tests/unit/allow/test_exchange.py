"""Lists of others, in and out: nothing is widened so that it fits, and what is left out is told."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.allow import adding, entries, exchange
from hopscope.allow.entries import Allowlist, Entry
from hopscope.errors import UsageError

INTEL = (
    "#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\n"
    "203.0.113.9\tIntel::ADDR\tcsirt\tscanner of ours\n"
    "203.0.113.0/24\tIntel::SUBNET\tcsirt\t-\n"
    "Update.Example.com\tIntel::DOMAIN\tcsirt\t-\n"
    "da39a3ee5e6b4b0d3255bfef95601890afd80709\tIntel::CERT_HASH\tcsirt\t-\n"
    f"{'ab' * 32}\tIntel::CERT_HASH\tcsirt\t-\n"
    "http://x/\tIntel::URL\tcsirt\t-\n"
    "com\tIntel::DOMAIN\tcsirt\t-\n"
)


def misp(kind: str, *values: object) -> str:
    return json.dumps({"name": "Known hosts", "version": 3, "description": "", "type": kind, "list": list(values)})


def conditions(text: str, form: str | None = None) -> dict[str, list[str]]:
    return {c: [str(v) for v in values] for c, values in exchange.read(text, "f", form).conditions.items()}


def test_zeek_intel() -> None:
    taken = exchange.read(INTEL, "f")
    assert conditions(INTEL) == {
        "networks": ["203.0.113.0/24"],
        "addresses": ["203.0.113.9"],
        "names": ["update.example.com"],
        "fingerprints": [f"cert_sha256:{'ab' * 32}"],
    }
    assert taken.source == "csirt"
    assert taken.lines == [
        "1 left out (CERT_HASH is SHA-1): da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "1 left out (of type Intel::URL): http://x/",
        "1 left out (nothing that an entry can name): com",
    ]


def test_misp_hostnames_have_subdomains_strings_have_none() -> None:
    assert conditions(misp("hostname", "example.com", ".example.net", "org")) == {
        "names": ["example.com", ".example.com", "example.net", ".example.net"]
    }
    assert conditions(misp("string", "a.example", "203.0.113.9", "d41d8cd98f00b204e9800998ecf8427e")) == {
        "addresses": ["203.0.113.9"], "names": ["a.example"]
    }  # fmt: skip
    assert conditions(misp("cidr", "203.0.113.0/24", "2001:db8::/32", "203.0.113.9/32", 7)) == {
        "networks": ["203.0.113.0/24", "2001:db8::/32"], "addresses": ["203.0.113.9"]
    }  # fmt: skip
    assert exchange.read(misp("cidr", "203.0.113.0/24"), "f").source == "Known hosts version 3"


def test_plain_lists() -> None:
    text = "# ours\n203.0.113.9:443/tcp # vault\n\n.example.com\nexample.com\r\n"
    text += "[2001:db8::1]:22\n10.0.0.0/8\n0.0.0.0/0\n?\n"
    assert conditions(text) == {
        "networks": ["10.0.0.0/8"],
        "addresses": ["203.0.113.9:443/tcp", "[2001:db8::1]:22"],
        "names": [".example.com", "example.com"],
    }
    assert exchange.read(text, "f").lines == ["2 left out (nothing that an entry can name): 0.0.0.0/0, ?"]


@pytest.mark.parametrize(
    ("text", "form", "said"),
    [
        ("", None, "holds nothing"),
        ("?\n!\n", None, "2 left out"),
        ("203.0.113.9\tIntel::ADDR\n", "zeek-intel", "line 1: comes before #fields"),
        ("#fields\tindicator\n", None, "lacks indicator or indicator_type"),
        ("{", None, "not valid JSON"),
        ("{}", None, "has no `list`"),
        ("[1]", "misp", "has no `list`"),
        (misp("regex", ".*"), None, "of type 'regex'"),
        ("\n".join(f"h{i}.example" for i in range(exchange.MOST + 1)), None, "no list that somebody looked through"),
    ],
)
def test_what_can_not_be_taken_is_one_line(text: str, form: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        exchange.read(text, "list.txt", form)
    assert str(caught.value).startswith("list.txt")


@given(st.text(max_size=300), st.sampled_from(exchange.FORMATS))
def test_any_text_is_a_list_or_one_error(text: str, form: str) -> None:
    try:
        taken = exchange.read(text, "f", form)
    except UsageError:
        return
    assert taken.conditions


def listed(text: str) -> list[entries.Entry]:
    return list(entries.parse(text, Path("a")).entries)


OURS = listed("""\
[[allow]]
id = "vault"
reason = "our\\tvault \\\\ é"
expires = "never"
addresses = ["203.0.113.9", "203.0.113.8:443"]
[[allow]]
id = "names"
reason = "r"
expires = "never"
names = ["a.example", ".a.example", "b.example", ".c.example"]
[[allow]]
id = "site"
reason = "r"
expires = "never"
networks = ["198.51.100.0/24"]
[[allow]]
id = "night"
reason = "r"
expires = "never"
names = ["d.example"]
clients = ["10.0.0.0/24"]
[[allow]]
id = "as"
reason = "r"
expires = "never"
asns = [64500]
""")


def test_out_as_zeek_intel() -> None:
    text, left = exchange.write(OURS, "zeek-intel", "cidr", "20261122")
    head, *rows = text.splitlines()
    assert head == "#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\tmeta.whitelist"
    assert [row.split("\t") for row in rows] == [
        ["203.0.113.9", "Intel::ADDR", "hopscope", "our vault   é", "T"],
        ["a.example", "Intel::DOMAIN", "hopscope", "r", "T"],
        ["b.example", "Intel::DOMAIN", "hopscope", "r", "T"],
        ["198.51.100.0/24", "Intel::SUBNET", "hopscope", "r", "T"],
    ]
    assert left == [
        "1 left out (names and clients): night",
        "1 left out (asns): as",
        "1 left out (Zeek's Intel has no type for such addresses): 203.0.113.8:443",
        "2 left out (Zeek's Intel has no type for such names): .a.example, .c.example",
    ]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("cidr", ["198.51.100.0/24", "203.0.113.9"]),
        ("hostname", ["a.example"]),
        ("string", ["203.0.113.9", "b.example"]),
    ],
)
def test_out_as_misp(kind: str, values: list[str]) -> None:
    text, left = exchange.write(OURS, "misp", kind, "20261122")
    tree = json.loads(text)
    assert (tree["type"], tree["version"], tree["list"]) == (kind, 20261122, values)
    assert {"name", "description", "matching_attributes"} <= tree.keys()
    assert any("203.0.113.8:443" in line for line in left)


def test_out_and_in_again_as_a_list() -> None:
    text, left = exchange.write(OURS, "list", "cidr", "20261122")
    assert conditions(text) == {
        "networks": ["198.51.100.0/24"],
        "addresses": ["203.0.113.9", "203.0.113.8:443"],
        "names": ["a.example", ".a.example", "b.example", ".c.example"],
    }
    assert len(left) == 2


def test_an_import_is_an_entry_for_each_kind_of_item() -> None:
    asked = adding.Asked("their list", "ada", datetime.date(2026, 11, 22), None)
    taken = exchange.read(INTEL, "f")
    made = adding.imported(asked, taken, Allowlist(), "f")
    assert [e.id for e in made] == ["csirt-networks", "csirt-addresses", "csirt-names", "csirt-fingerprints"]
    assert {e.reason for e in made} == {"their list (from csirt)"}
    again = adding.imported(asked, taken, Allowlist(tuple(made)), "f")
    assert not {e.id for e in made} & {e.id for e in again}


@pytest.mark.parametrize("form", [None, "zeek-intel"])
def test_a_byte_order_mark_is_no_part_of_a_list(form: str | None) -> None:
    assert conditions(f"\ufeff{INTEL}", form) == conditions(INTEL)


def test_names_of_an_entry_are_looked_through_once_however_many_there_are() -> None:
    looks = 0

    class Names(tuple[str, ...]):
        def __iter__(self) -> Iterator[str]:
            nonlocal looks
            looks += 1
            return super().__iter__()

    entry = Entry("x", "r", names=Names(f"{i}.example" for i in range(100)))
    exchange.write([entry], "misp", "hostname", "20261122")
    assert looks < 10
