"""Records moved into another network's time, and precision where hops are rare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bench.quality import inject
from bench.quality.inject import Hop, Placed
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA

START = datetime(2026, 1, 1, tzinfo=UTC)


def hop() -> Hop:
    rows: list[dict[str, Any]] = [
        {"ts": START + timedelta(seconds=s), "seg_end": START + timedelta(seconds=s + 2), "uid": f"C{s}",
         "orig_h": "10.0.0.11", "resp_h": "203.0.113.9", "duration": 2.0, "tcp_rtt": 0.02}
        for s in (0, 30, 60)
    ]  # fmt: skip
    at = int(START.timestamp() * 1e6)
    return Hop(
        "x 203.0.113.9:443", "relay", "203.0.113.9", "10.0.0.11", pa.Table.from_pylist(rows, CONNECTION_SCHEMA),
        pa.Table.from_pylist([{"ts": START, "client": "10.0.0.11"}], DNS_QUERY_SCHEMA), at, at + 60_000_000,
    )  # fmt: skip


def test_starts_are_stretched_and_lengths_stay() -> None:
    moved = inject.move(hop(), "192.168.1.5", "office", (0, 3_600_000_000), frozenset()).connections
    assert moved["ts"].cast(pa.int64()).to_pylist() == [0, 1_800_000_000, 3_600_000_000]
    assert moved["seg_end"].cast(pa.int64()).to_pylist() == [2_000_000, 1_802_000_000, 3_602_000_000]
    assert moved["duration"].to_pylist() == [2.0] * 3
    assert set(moved["orig_h"].to_pylist()) == {"192.168.1.5"}
    assert set(moved["sensor"].to_pylist()) == {"office"}


def test_fields_that_the_log_lacks_are_unset() -> None:
    moved = inject.move(hop(), "192.168.1.5", "office", (0, 3_600_000_000), frozenset({"tcp_rtt"})).connections
    assert moved["tcp_rtt"].to_pylist() == [None] * 3
    assert moved["duration"].to_pylist() == [2.0] * 3


def test_queries_move_with_their_client() -> None:
    moved = inject.move(hop(), "192.168.1.5", "office", (0, 3_600_000_000), frozenset()).dns_queries
    assert moved["client"].to_pylist() == ["192.168.1.5"]


def placed(mine: tuple[float, ...], others: tuple[float, ...]) -> Placed:
    return Placed("log", False, tuple("abc"[: len(mine)]), {"hopscope": mine}, {"hopscope": others}, (), ())


def test_precision_is_whole_when_every_hop_is_above_all_else() -> None:
    got = list(inject.precision([placed((5.0,), tuple(np.linspace(-40, 0, 100)))], "hopscope"))
    assert [(p.top, p.mean) for p in got] == [(5, 1.0), (10, 1.0), (50, 1.0)]


def test_one_ordinary_pair_of_hundreds_above_fills_the_top_with_its_like() -> None:
    got = list(inject.precision([placed((5.0,), (6.0, *[-40.0] * 499))], "hopscope"))
    assert [p.mean for p in got] == [0.0, 0.0, 0.0]


def test_ties_count_against_hops() -> None:
    assert [p.mean for p in inject.precision([placed((5.0,), (5.0, *[-40.0] * 499))], "hopscope")] == [0.0] * 3


def test_half_the_hops_above_all_else_fill_the_top_and_half_of_the_list() -> None:
    got = {p.top: p for p in inject.precision([placed((5.0, -50.0), tuple(np.linspace(-40, 0, 100)))], "hopscope")}
    assert got[5].mean == 1.0
    assert got[50].mean == pytest.approx(0.5, abs=0.02)
    assert got[50].low < got[50].mean < got[50].high


def test_what_few_distinct_pairs_allow_to_be_known() -> None:
    pairs, bound = inject.distinct_bound([placed((5.0,), (0.0,) * 222), placed((5.0,), (0.0,) * 222)])
    assert pairs == 222
    assert bound == pytest.approx(0.0134, abs=1e-4)
