"""opaque_first_bytes: first payloads that meet none of the published exemptions."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from hopscope.heuristics.opaque_first_bytes import HEURISTIC, Settings
from support.windows import SERVER, make_window

# 400 bytes as random ones are: 4.0 of 8 bits set, 37 % printable, in short runs
RANDOM: dict[str, Any] = {
    "port": 8388, "first_speaker": "orig", "first_len": 400, "first_bits": 4.0, "first_printable": 0.37,
    "first_run": 6, "first_head_printable": False, "service": None, "tcp_rtt": 0.02, "conn_state": "SF",
}  # fmt: skip
FULL = 16.2


def varied(n: int, **change: Any) -> list[dict[str, Any]]:
    """`n` connections whose first payloads differ by a few bits around the mean."""
    return [
        {
            **RANDOM,
            "uid": f"C{i}",
            "hash": i,
            "first_bits": 4.0 + (i % 2 * 2 - 1) * ((i + 1) // 2) / change.get("first_len", 400),
            **change,
        }
        for i in range(n)
    ]


def weigh(samples: list[dict[str, Any]], pairs: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    window = make_window(pairs=pairs or [{"port": 8388}], samples=samples)
    rows: list[dict[str, Any]] = HEURISTIC.weigh(window, HEURISTIC.defaults).to_pylist()
    return rows


def test_different_random_messages() -> None:
    (row,) = weigh(varied(10))
    assert row["decibans"] == pytest.approx(FULL, abs=0.01)
    assert (row["server"], row["opaque"], row["messages"], row["peers"]) == (SERVER, 10, 10, 1)
    assert HEURISTIC.sentence(row) == (
        "10 of 10 connections begin with bytes of no known protocol that look encrypted: "
        "4.00 of 8 bits set, 37% printable"
    )


@pytest.mark.parametrize(
    ("change", "opaque"),
    [
        ({"first_bits": 3.4}, False), ({"first_bits": 3.41}, True), ({"first_bits": 4.59}, True),
        ({"first_bits": 4.6}, False),
        ({"first_head_printable": True}, False), ({"first_head_printable": None}, True),
        ({"first_printable": 0.5}, True), ({"first_printable": 0.501}, False),
        ({"first_run": 20}, True), ({"first_run": 21}, False),
        ({"service": "ssl"}, False), ({"service": "http"}, False), ({"service": "ssh"}, False),
        ({"first_len": 15}, False), ({"first_len": 16}, True),
        ({"first_speaker": "resp"}, False),
        ({"first_bits": None}, False), ({"first_printable": None}, False), ({"first_run": None}, False),
    ],
)  # fmt: skip
def test_the_five_exemptions(change: dict[str, Any], opaque: bool) -> None:
    assert bool(weigh([{**RANDOM, **change}])) is opaque


def test_what_is_picked_up_midstream_is_left_out() -> None:
    assert weigh(varied(10, tcp_rtt=None, conn_state="OTH")) == []
    assert weigh(varied(10, tcp_rtt=None, pause=0.001)) != []  # a SYN sent twice has no round trip


def test_udp_is_left_out() -> None:
    assert weigh(varied(10, proto="udp"), [{"port": 8388, "proto": "udp"}]) == []


def test_the_same_message_counts_once() -> None:
    same = [{**RANDOM, "uid": f"C{i}", "hash": i} for i in range(30)]
    (row,) = weigh(same)
    assert row["messages"] == 1
    assert row["decibans"] == pytest.approx(FULL * HEURISTIC.defaults.one_part, abs=0.01)
    assert "(always the same message)" in HEURISTIC.sentence(row)
    weights = [weigh(varied(n, first_len=2000))[0]["decibans"] for n in (1, 2, 4, 8, 16)]
    assert weights == sorted(weights)
    assert weights[-1] == weights[-2]


def test_structure_within_the_exemptions_weighs_less() -> None:
    random_ = weigh(varied(10))[0]["decibans"]
    for change in ({"first_bits": 3.7}, {"first_printable": 0.45}):
        rows = [{**s, **change, "first_len": 400 + i} for i, s in enumerate(varied(10))]
        assert weigh(rows)[0]["decibans"] == pytest.approx(random_ * HEURISTIC.defaults.structured_part, abs=0.01)


def test_few_bytes_cannot_show_that_they_are_random() -> None:
    weights = [weigh(varied(10, first_len=n))[0]["decibans"] for n in (20, 100, 200, 400)]
    assert weights[0] < weights[1] < weights[2] == weights[3]


def test_the_share_of_connections_counts() -> None:
    plain = {**RANDOM, "first_printable": 1.0, "first_head_printable": True}
    found = [
        weigh(varied(n) + [{**plain, "uid": f"P{i}", "hash": 100 + i} for i in range(20 - n)]) for n in (10, 14, 18, 20)
    ]
    weights = [rows[0]["decibans"] if rows else 0.0 for rows in found]
    assert weights[0] == 0.0
    assert 0.0 < weights[1] < weights[2] == weights[3] == pytest.approx(FULL, abs=0.01)


def test_a_client_of_many_such_servers_is_a_peer_of_theirs() -> None:
    pairs = [{"server": f"198.51.100.{i}", "port": 40_000 + i} for i in range(60)]
    samples = [
        {**s, "server": p["server"], "port": p["port"], "uid": f"{p['server']}-{s['uid']}"}
        for p in pairs
        for s in varied(8)
    ]
    rows = weigh(samples, pairs)
    assert len(rows) == 60
    assert max(r["decibans"] for r in rows) < 1.0
    few = weigh([s for s in samples if s["port"] < 40_003], pairs)
    assert all(10.0 < r["decibans"] < FULL for r in few)
    assert "3 servers" in HEURISTIC.sentence(few[0])


def test_segments_of_one_connection_count_once() -> None:
    (row,) = weigh([{**RANDOM, "uid": "C1", "seg": i, "hash": i} for i in range(9)])
    assert row["opaque"] == 1


def test_servers_of_ours_are_left_out() -> None:
    assert weigh(varied(10), [{"port": 8388, "server_local": True}]) == []


def test_the_order_of_rows_is_irrelevant() -> None:
    samples = [{**s, "server": f"203.0.113.{i % 2}"} for i, s in enumerate(varied(12))]
    pairs = [{"server": f"203.0.113.{i}", "port": 8388} for i in range(2)]
    first = weigh(samples, pairs)
    random.Random(5).shuffle(samples)
    assert weigh(samples, pairs) == first
    assert len(first) == 2


def test_settings_are_heeded() -> None:
    window = make_window(pairs=[{"port": 8388}], samples=varied(10))
    settings: Settings = dataclasses.replace(HEURISTIC.defaults, hop_rate=0.06)
    assert HEURISTIC.weigh(window, settings)["decibans"].to_pylist() == [pytest.approx(10.0, abs=0.01)]
