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
        fixed = {k: v for k, v in c.items() if k in ("replies", "pause", "client_rtt", "tcp_rtt")}
        times = {k: None if v is None else RTT + v for k, v in c.items() if k not in fixed}
        times.setdefault("first_reply", times.get("hello_rtt"))
        samples.append({"uid": f"C{i}", "hash": i, "tcp_rtt": RTT, "replies": 0, **fixed, **times})
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


def ended(*replies: float, **more: Any) -> list[dict[str, Any]]:
    """Connections whose TLS ends at the hop, with these later replies."""
    return [{"hello_rtt": 0.001, "finished_rtt": 0.001, "reply_p10": r, "replies": 1, **more} for r in replies]


class TestTlsEndsAtTheHop:
    def test_an_edge_with_a_far_origin_weighs_little(self) -> None:
        row = one([{**c, "replies": 5} for c in ended(*[0.140] * 6)])
        assert 0 < row["decibans"] <= HEURISTIC.defaults.late_db
        assert row["pattern"] == "late answers"
        assert "thinks" in HEURISTIC.sentence(row)

    def test_steady_and_never_quick_weighs_more(self) -> None:
        row = one(ended(*[0.300 + i / 1e3 for i in range(12)]))
        assert row["pattern"] == "steady late answers"
        assert HEURISTIC.defaults.late_db < row["decibans"] <= HEURISTIC.defaults.steady_late_db
        assert "each time alike" in HEURISTIC.sentence(row)

    def test_its_delay_is_no_distance_since_dials_may_be_in_it(self) -> None:
        row = one(ended(*[0.300 + i / 1e3 for i in range(12)]))
        assert row["reply_gap_ms"] == pytest.approx(301, abs=1)
        assert row["distance_ms"] is None
        assert row["spread_ms"] is None

    def test_think_time_that_varies_does_not(self) -> None:
        row = one(ended(*[0.100 * 1.2**i for i in range(12)]))
        assert row["pattern"] == "late answers"

    def test_one_quick_reply_says_that_the_others_thought(self) -> None:
        assert one(ended(*[0.300] * 11, 0.002))["pattern"] == "late answers"

    @pytest.mark.parametrize(("connections", "pattern"), [(7, "late answers"), (8, "steady late answers")])
    def test_steadiness_needs_connections(self, connections: int, pattern: str) -> None:
        assert one(ended(*[0.200] * connections))["pattern"] == pattern

    @pytest.mark.parametrize(("half_iqr", "pattern"), [(0.018, "steady late answers"), (0.023, "late answers")])
    def test_steadiness_has_a_limit(self, half_iqr: float, pattern: str) -> None:
        replies = [0.2, 0.2, 0.2, 0.2, 0.2 + 2 * half_iqr, 0.2 + 2 * half_iqr, 0.2 + 2 * half_iqr, 0.2 + 2 * half_iqr]
        assert one(ended(*replies))["pattern"] == pattern


class TestOurOwnSide:
    def test_a_reply_held_until_a_slow_client_acknowledged_is_not_late(self) -> None:
        assert weigh(ended(*[0.560 + i / 1e3 for i in range(12)], client_rtt=0.560)).num_rows == 0

    def test_what_the_clients_way_cannot_explain_stays_late(self) -> None:
        row = one(ended(*[0.760 + i / 1e3 for i in range(12)], client_rtt=0.560))
        assert row["own_rtt_ms"] == 560.0

    def test_a_slow_client_behind_a_relay_below_tls_is_told_by_the_handshake(self) -> None:
        slow = {"client_rtt": 0.560, "reply_p10": 0.100, "replies": 4}
        row = one([{"hello_rtt": 0.200 + i / 1e3, "finished_rtt": 0.100 + i / 1e3, **slow} for i in range(5)])
        assert row["decibans"] > 30
        assert row["distance_ms"] == pytest.approx(100, abs=1)

    def test_a_jittery_client_changes_nothing_below_tls(self) -> None:
        far = [
            {"hello_rtt": 0.200, "finished_rtt": 0.100, "client_rtt": c} for c in (0.002, 0.030, 0.001, 0.050, 0.009)
        ]
        assert one(far)["decibans"] > 30

    @staticmethod
    def _site(floors_ms: list[float], far: int, client: str = "10.0.0.5") -> dict[str, list[dict[str, Any]]]:
        """A client of outside servers at these distances; the first `far` of them answer hellos 100 ms later."""
        pairs: list[dict[str, Any]] = []
        samples: list[dict[str, Any]] = []
        floors: list[dict[str, Any]] = []
        for i, ms in enumerate(floors_ms):
            key = {"client": client, "server": f"203.0.113.{i + 1}"}
            late = 0.100 if i < far else 0.001
            pairs.append({**key, "connections": 4})
            floors.append({**key, "value_us": round(ms * 1e3), "uid": f"{client}-{i}-0"})
            rtt = ms / 1e3
            times = {"tcp_rtt": rtt, "hello_rtt": rtt + 2 * late, "finished_rtt": rtt + late, "first_reply": rtt + late}
            samples += [{**key, "uid": f"{client}-{i}-{n}", "hash": n, "replies": 0, **times} for n in range(4)]
        return {"pairs": pairs, "samples": samples, "floors": floors}

    def test_a_syn_proxy_of_ours_voids_the_client_and_is_named(self) -> None:
        table = HEURISTIC.weigh(make_window(**self._site([0.4, 0.5, 0.4, 0.6, 0.5], 5)), HEURISTIC.defaults)
        assert table["server"].to_pylist() == [None]
        assert table["decibans"].to_pylist() == [0.0]
        assert "10.0.0.5 (0.5 ms)" in table["void"][0].as_py()

    def test_other_clients_keep_their_evidence(self) -> None:
        met, free = self._site([0.4] * 5, 5), self._site([9, 25, 70, 12, 40], 1, client="10.0.0.6")
        both = {k: met[k] + free[k] for k in met}
        table = HEURISTIC.weigh(make_window(**both), HEURISTIC.defaults)
        assert table["client"].to_pylist() == ["10.0.0.6", None]

    @pytest.mark.parametrize(
        ("floors_ms", "far", "void"),
        [
            ([0.4] * 4, 4, False),  # too few servers
            ([0.4] * 5, 2, False),  # most answer from where they are
            ([0.4] * 5, 3, True),
            ([0.4] * 6, 3, True),
            ([5, 12, 30, 80, 140], 5, False),  # servers at distances of their own: hops, not our device
        ],
    )
    def test_what_it_takes(self, floors_ms: list[float], far: int, void: bool) -> None:
        table = HEURISTIC.weigh(make_window(**self._site(floors_ms, far)), HEURISTIC.defaults)
        assert (None in table["server"].to_pylist()) is void
        assert (table.num_rows == far) is not void


class TestTheDial:
    def test_answered_without_a_dial_weighs_less(self) -> None:
        dialled = one([{"hello_rtt": 0.200, "finished_rtt": 0.100, "pause": 0.001}] * 5)
        without = one([{"hello_rtt": 0.101, "finished_rtt": 0.100, "pause": 0.001}] * 5)
        assert (dialled["pattern"], without["pattern"]) == ("dialled on accept, below TLS", "below TLS")
        lost = HEURISTIC.defaults.dialled_tls_db - HEURISTIC.defaults.below_tls_db
        assert dialled["decibans"] - without["decibans"] == pytest.approx(lost, abs=0.5)

    def test_a_dial_hidden_by_the_clients_pause_is_not_missed(self) -> None:
        hidden = one([{"hello_rtt": 0.101, "finished_rtt": 0.100, "pause": 0.300}] * 5)
        assert hidden["decibans"] > 33

    def test_a_pause_shortens_the_first_answer_and_is_added_back(self) -> None:
        row = one([{"hello_rtt": 0.160, "finished_rtt": 0.100, "pause": 0.040}] * 5)
        assert row["pattern"] == "dialled on accept, below TLS"
        row = one([{"hello_rtt": 0.140, "finished_rtt": 0.100, "pause": 0.040}] * 5)
        assert row["pattern"] == "dialled on accept, below TLS"


def test_a_route_that_changed_is_no_gap() -> None:
    early = [{"hello_rtt": 0.001, "finished_rtt": 0.001}]
    later = [{"tcp_rtt": 0.080, "hello_rtt": 0.061, "finished_rtt": 0.061} for _ in range(30)]
    assert weigh([*early, *later]).num_rows == 0


def test_order_of_rows_is_irrelevant() -> None:
    rows = [{"hello_rtt": 0.300 + i / 1e3, "finished_rtt": 0.150 + i / 1e3} for i in range(5)]
    assert {k: v for k, v in one(rows).items() if k != "uids"} == {
        k: v for k, v in one(rows[::-1]).items() if k != "uids"
    }


def test_missing_fields_are_no_evidence_and_no_error() -> None:
    assert weigh([{} for _ in range(5)]).num_rows == 0
    row = one([{"hello_rtt": 0.200} for _ in range(5)])
    assert row["pattern"] == "hellos only"
    assert row["distance_ms"] == pytest.approx(100)


class TestDistance:
    def test_spread_is_half_the_interquartile_range(self) -> None:
        row = one([{"hello_rtt": 0.300, "finished_rtt": 0.150 + i / 100} for i in range(5)])
        assert row["distance_ms"] == 150.0
        assert row["spread_ms"] == pytest.approx(10.0)

    def test_many_replies_know_better_than_one_finished(self) -> None:
        row = one([{"hello_rtt": 0.250, "finished_rtt": 0.128, "reply_p10": 0.123, "replies": 100}])
        assert row["distance_ms"] == 123.0
        assert row["spread_ms"] == pytest.approx(2.5)

    def test_replies_that_think_do_not(self) -> None:
        row = one([{"hello_rtt": 0.200, "finished_rtt": 0.110, "reply_p10": 9.0, "replies": 7}])
        assert row["distance_ms"] == 100.0

    def test_overlapping_requests_do_not_shorten_a_dialled_distance(self) -> None:
        row = one([{"first_reply": 0.200 + i / 1e3, "reply_p10": 0.080, "replies": 2} for i in range(5)])
        assert row["distance_ms"] == 100.0
        assert row["spread_ms"] == pytest.approx(0.5)


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

    def test_each_further_answer_counts_until_there_are_enough(self) -> None:
        weights = [one([{"first_reply": 0.200}] * n)["decibans"] for n in (3, 4, 5)]
        assert weights[0] < 12 < weights[1] < weights[2] <= HEURISTIC.defaults.steady_db

    def test_a_close_that_the_hop_answers_itself_takes_some(self) -> None:
        far = one([{"first_reply": 0.200} for _ in range(8)])
        near = one([{"first_reply": 0.200, "close_rtt": 0.001} for _ in range(8)])
        assert far["decibans"] - near["decibans"] == pytest.approx(HEURISTIC.defaults.near_close_db, abs=0.3)

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


def test_a_near_tls_handshake_beside_them_does_not_hide_how_far_first_answers_come_from() -> None:
    far = {"tcp_rtt": 0.02, "first_reply": 0.32, "reply_p10": 0.17, "replies": 5, "pause": 0.001, "service": None}
    near = {"tcp_rtt": 0.02, "hello_rtt": 0.022, "finished_rtt": 0.021, "first_reply": 0.022, "service": "ssl"}
    samples = [{**far, "uid": f"F{i}", "hash": i} for i in range(6)] + [{**near, "uid": "N", "hash": 99}]
    window = make_window(pairs=[{}], samples=samples, floors=[{"value_us": 20_000}])
    (row,) = HEURISTIC.weigh(window, HEURISTIC.defaults).to_pylist()
    assert (row["pattern"], row["distance_ms"]) == ("dialled on accept", 150.0)
