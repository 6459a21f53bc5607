"""path_gap: what stands behind the hop is told from slow servers, near edges and noise."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa
import pytest

from hopscope.config import VantageSettings
from hopscope.heuristics.path_gap import HEURISTIC, Settings
from support.windows import make_window

RTT = 0.020


def weigh(connections: list[dict[str, Any]], settings: Settings = HEURISTIC.defaults, **more: Any) -> pa.Table:
    """The evidence of one pair whose connections have the given reply times (s) beyond the way to the hop."""
    samples = []
    for i, c in enumerate(connections):
        times = {k: None if v is None else RTT + v for k, v in c.items() if k != "replies"}
        times.setdefault("first_reply", times.get("hello_rtt"))
        samples.append({"uid": f"C{i}", "hash": i, "tcp_rtt": RTT, "replies": c.get("replies", 0), **times})
    floors = [{"value_us": 20_000 + i * 500, "uid": f"C{i}"} for i in range(len(connections))]
    window = make_window(pairs=[{"connections": len(samples)}], samples=samples, floors=floors, **more)
    return HEURISTIC.weigh(window, settings)


def one(connections: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    table = weigh(connections, **more)
    assert table.num_rows == 1
    row: dict[str, Any] = table.to_pylist()[0]
    return row


def test_relay_below_tls_that_dials_on_accept_gives_its_distance() -> None:
    row = one([{"hello_rtt": 0.300 + i / 1e3, "finished_rtt": 0.150 + i / 1e3} for i in range(5)])
    assert row["decibans"] > 30
    assert row["pattern"] == "dialled on accept, below TLS"
    assert row["distance_ms"] == pytest.approx(150, abs=3)
    assert row["hop_rtt_ms"] == 20.0
    assert len(row["uids"]) == 5


def test_one_session_with_later_replies_is_enough() -> None:
    row = one([{"hello_rtt": 0.200, "finished_rtt": 0.100, "reply_p10": 0.101, "replies": 12}])
    assert row["decibans"] > 30
    assert row["distance_ms"] == pytest.approx(100, abs=2)


def test_one_connection_without_later_replies_is_not() -> None:
    assert weigh([{"hello_rtt": 0.200}]).num_rows == 0


@pytest.mark.parametrize(("gap_ms", "fires"), [(14.9, False), (15.1, True), (40.0, True)])
def test_floor(gap_ms: float, fires: bool) -> None:
    table = weigh([{"hello_rtt": gap_ms / 1e3, "finished_rtt": gap_ms / 1e3} for _ in range(4)])
    assert (table.num_rows == 1) is fires


def test_weight_grows_with_the_gap_up_to_full() -> None:
    weights = [
        one([{"hello_rtt": g / 1e3, "finished_rtt": g / 1e3} for _ in range(4)])["decibans"] for g in (16, 22, 30, 90)
    ]
    assert weights[0] < weights[1] < weights[2] == weights[3]


def test_server_slow_to_greet_is_not_far_away() -> None:
    assert weigh([{"hello_rtt": 0.120, "finished_rtt": 0.001} for _ in range(6)]).num_rows == 0


def test_edge_with_a_far_origin_weighs_little() -> None:
    row = one([{"hello_rtt": 0.001, "finished_rtt": 0.001, "reply_p10": 0.140, "replies": 5} for _ in range(6)])
    assert 0 < row["decibans"] <= HEURISTIC.defaults.late_db
    assert row["pattern"] == "late answers"
    assert "thinks" in HEURISTIC.sentence(row)


def test_ordinary_server_says_nothing() -> None:
    assert weigh([{"hello_rtt": 0.003, "finished_rtt": 0.001, "reply_p10": 0.004, "replies": 9}] * 5).num_rows == 0


def test_a_retransmitted_syn_or_one_slow_hello_changes_nothing() -> None:
    quick: list[dict[str, Any]] = [{"hello_rtt": 0.002, "finished_rtt": 0.001} for _ in range(9)]
    assert weigh([*quick, {"hello_rtt": 1.0, "finished_rtt": 0.9}]).num_rows == 0


class TestWithoutTls:
    def test_first_answer_at_twice_the_later_ones_means_a_dial(self) -> None:
        row = one([{"first_reply": 0.200, "reply_p10": 0.100, "replies": 4}])
        assert row["pattern"] == "dialled on accept"
        assert row["decibans"] > 20
        assert row["distance_ms"] == pytest.approx(100, abs=1)

    def test_steady_late_first_answers(self) -> None:
        row = one([{"first_reply": 0.200 + i / 1e3} for i in range(8)])
        assert row["pattern"] == "steady first answers"
        assert 10 < row["decibans"] <= HEURISTIC.defaults.steady_db

    def test_think_time_that_varies_weighs_little(self) -> None:
        row = one([{"first_reply": t} for t in (0.02, 0.05, 0.09, 0.2, 0.4, 0.7, 1.1)])
        assert row["decibans"] <= HEURISTIC.defaults.late_db

    def test_slow_first_answer_of_a_server_that_is_quick_later(self) -> None:
        assert weigh([{"first_reply": 0.2, "reply_p10": 0.001, "replies": 9} for _ in range(5)]).num_rows == 0


def test_hop_inside_or_never_answered_gives_no_evidence() -> None:
    far = [{"hello_rtt": 0.3, "finished_rtt": 0.15} for _ in range(5)]
    samples = [{"uid": f"C{i}", "hash": i, **{k: RTT + v for k, v in c.items()}} for i, c in enumerate(far)]
    for pair in ({"server_local": True}, {"client_local": False}, {"established": 0}):
        window = make_window(pairs=[pair], samples=samples, floors=[{}])
        assert HEURISTIC.weigh(window, HEURISTIC.defaults).num_rows == 0


def test_one_sided_links_void_it() -> None:
    table = weigh([{"hello_rtt": 0.3, "finished_rtt": 0.15}] * 4, vantage=VantageSettings(one_sided=True))
    assert table["server"].to_pylist() == [None]
    assert table["decibans"].to_pylist() == [0.0]
    assert "one direction" in table["void"][0].as_py()


def test_floor_is_a_setting() -> None:
    far = [{"hello_rtt": 0.050, "finished_rtt": 0.050} for _ in range(4)]
    assert weigh(far, dataclasses.replace(HEURISTIC.defaults, floor_ms=60.0)).num_rows == 0


def test_sentence_tells_both_distances() -> None:
    row = one([{"hello_rtt": 0.270, "finished_rtt": 0.135} for _ in range(5)])
    assert HEURISTIC.sentence(row) == ("the address answers from 20 ms away, what it relays to answers from 155 ms")
