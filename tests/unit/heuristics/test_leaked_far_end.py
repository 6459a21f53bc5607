"""leaked_far_end: a relay's own words are close to proof, a tool's trait is evidence, all else is silence."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import pytest

from hopscope import fusion
from hopscope.heuristics.leaked_far_end import HEURISTIC, USES, openings, relay_tools
from hopscope.summaries.prepare import SET_KINDS
from support.windows import make_window

DEFAULTS = HEURISTIC.defaults


def weigh(*sets: dict[str, Any], **pair: Any) -> list[dict[str, Any]]:
    window = make_window(pairs=[pair], sets=[{"uid": f"C{i}", **s} for i, s in enumerate(sets)])
    rows: list[dict[str, Any]] = HEURISTIC.weigh(window, DEFAULTS).to_pylist()
    return rows


def leak(far_end: str = "198.51.100.66:443", **values: Any) -> dict[str, Any]:
    return {"kind": "leaked_far_end", "value": far_end, "connections": 3, **values}


def test_a_relay_that_names_its_far_end() -> None:
    (row,) = weigh(leak())
    assert row["decibans"] == DEFAULTS.leaked_db >= fusion.CERTAIN_DB
    assert (row["far_ends"], row["told"], row["tool"], row["uids"]) == (["198.51.100.66:443"], 3, None, ["C0"])
    assert HEURISTIC.sentence(row) == "the relay named its far end in clear: 198.51.100.66:443"


def test_several_far_ends_in_order_whatever_the_order_of_rows() -> None:
    ends = [leak(f"198.51.100.{i}:443", uid=f"C{i}") for i in range(9)]
    (row,) = weigh(*ends)
    assert row["far_ends"] == [f"198.51.100.{i}:443" for i in range(DEFAULTS.told)]
    random.Random(1).shuffle(ends)
    assert weigh(*ends) == [row]


@pytest.mark.parametrize("trait", relay_tools(), ids=lambda t: t.tool)
def test_a_tool_s_trait_names_no_far_end_and_weighs_less(trait: Any) -> None:
    (row,) = weigh({"kind": trait.field, "value": trait.values[0].swapcase(), "connections": 2})
    assert row["decibans"] == (DEFAULTS.service_db if trait.use == "service" else DEFAULTS.tool_db)
    assert row["decibans"] < fusion.CERTAIN_DB
    assert (row["tool"], row["far_ends"], row["told"]) == (trait.tool, None, 2)
    assert f"relay tool {trait.tool} ({trait.field} " in HEURISTIC.sentence(row)


def test_the_far_end_counts_before_the_tool() -> None:
    (row,) = weigh(leak(), {"kind": "alpn", "value": "frp"})
    assert (row["decibans"], row["tool"]) == (DEFAULTS.leaked_db, None)


@pytest.mark.parametrize(
    "ordinary",
    [
        {"kind": "alpn", "value": "h2"},
        {"kind": "alpn", "value": "frpc"},
        {"kind": "user_agent", "value": "frp"},  # another field than the tool's
        {"kind": "ssh_server", "value": "SSH-2.0-OpenSSH_9.6"},
        {"kind": "cert_subject", "value": "CN=www.gost.run"},
    ],
    ids=lambda s: f"{s['kind']} {s['value']}",
)
def test_ordinary_values(ordinary: dict[str, Any]) -> None:
    assert weigh(ordinary) == []


def opened(first: bytes, sets: tuple[dict[str, Any], ...] = (), **more: Any) -> list[dict[str, Any]]:
    bits, printable = (sum(n(b) for b in first) / len(first) for n in (int.bit_count, lambda b: 32 <= b < 127))
    sample = {"first_speaker": "orig", "first_len": len(first), "first_bits": bits, "first_printable": printable}
    sample |= {"service": None, "uid": "C9", **more}
    window = make_window(pairs=[{}], samples=[sample], sets=sets)
    rows: list[dict[str, Any]] = HEURISTIC.weigh(window, DEFAULTS).to_pylist()
    return rows


OPENINGS = {
    "0101 0000 0000": "EarthWorm",
    "0104 0000 0000": "EarthWorm",
    "0001 0001 0000 0001 0000 0000": "frp",
    "0001 0001 0000 0001 005c 0000": "frp",
}


@pytest.mark.parametrize(("first", "tool"), OPENINGS.items())
def test_a_tool_s_opening_in_a_protocol_of_its_own(first: str, tool: str) -> None:
    (row,) = opened(bytes.fromhex(first))
    assert (row["decibans"], row["tool"], row["told"], row["uids"]) == (DEFAULTS.opening_db, tool, 1, ["C9"])
    assert row["decibans"] < DEFAULTS.tool_db
    sentence = HEURISTIC.sentence(row)
    assert sentence.startswith(f"the client opens with {len(bytes.fromhex(first))} bytes")
    assert sentence.endswith(f"as that of the relay tool {tool} does")


@pytest.mark.parametrize(
    "first",
    ["0100 0000 0000", "0103 0000 0000", "0101 0000 00", "0101 0000 0000 00", "4100 0000 0000", "0001 0001 0000 0001"],
)
def test_other_openings(first: str) -> None:
    assert opened(bytes.fromhex(first)) == []


@pytest.mark.parametrize(
    "otherwise", [{"service": "ssl"}, {"first_speaker": "resp"}, {"seg": 1}, {"proto": "udp"}, {"first_len": None}]
)
def test_an_opening_counts_where_the_client_speaks_first_in_no_known_protocol(otherwise: dict[str, Any]) -> None:
    assert opened(bytes.fromhex("0101 0000 0000"), **otherwise) == []


def test_a_trait_counts_before_an_opening() -> None:
    (row,) = opened(bytes.fromhex("0101 0000 0000"), ({"kind": "ssh_server", "value": "SSH-2.0-sish"},))
    assert (row["decibans"], row["tool"]) == (DEFAULTS.tool_db, "sish")


def test_only_hosts_outside_that_answered() -> None:
    assert weigh(leak(), server_local=True) == []
    assert weigh(leak(), client_local=False) == []
    assert weigh(leak(), established=0) == []


def test_every_trait_is_dated_sourced_and_in_a_field_that_sets_hold() -> None:
    for trait in relay_tools():
        assert trait.use in USES
        assert trait.field in SET_KINDS
        assert trait.source.startswith("https://")
        assert date.fromisoformat(trait.date)
        assert trait.values
    for opening in openings():
        assert opening.length >= 6
        assert opening.source.startswith("https://")
        assert date.fromisoformat(opening.date)
