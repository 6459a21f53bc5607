"""terminal_session: many small exchanges in one session, or a far side that drives it; not what only looks so."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hopscope.heuristics.terminal_session import HEURISTIC
from support.windows import make_window

DEFAULTS = HEURISTIC.defaults


def rows_of(*sessions: dict[str, Any]) -> list[dict[str, Any]]:
    window = make_window(pairs=[{}], samples=sessions)
    rows: list[dict[str, Any]] = HEURISTIC.weigh(window, DEFAULTS).to_pylist()
    return rows


SHELL: dict[str, Any] = {"replies": 200, "orig_bytes": 12_000, "resp_bytes": 20_000, "duration": 90.0, "uid": "C1"}


class TestSmallExchanges:
    def weigh(self, **session: Any) -> list[dict[str, Any]]:
        return rows_of({**SHELL, **session})

    def test_a_shell(self) -> None:
        (row,) = self.weigh()
        assert row["decibans"] == DEFAULTS.most_db
        assert HEURISTIC.sentence(row) == (
            "200 exchanges in one session, one every 0.45 s, of 60 bytes up and 100 down on average"
        )

    def test_of_segments_with_as_many_replies_the_last_tells_whatever_their_order(self) -> None:
        early = {**SHELL, "seg": 0, "orig_bytes": 12_000, "duration": 90.0}
        late = {**SHELL, "seg": 1, "orig_bytes": 14_000, "duration": 100.0}
        facts = [(r["request"], r["pace"]) for order in ((early, late), (late, early)) for r in rows_of(*order)]
        assert facts == [(70.0, 0.5)] * 2

    @pytest.mark.parametrize(("replies", "fires"), [(19, False), (20, True), (21, True)])
    def test_enough_exchanges(self, replies: int, fires: bool) -> None:
        assert bool(self.weigh(replies=replies, orig_bytes=100, resp_bytes=100, duration=10.0)) is fires

    def test_weight_grows_with_their_number(self) -> None:
        weights = [
            self.weigh(replies=n, orig_bytes=n * 50, resp_bytes=n * 50, duration=n * 1.0)[0]["decibans"]
            for n in (20, 40, 60, 600)
        ]
        assert weights[0] < weights[1] < weights[2] == weights[3]

    @pytest.mark.parametrize(
        "ordinary",
        [{"resp_bytes": 200 * 501}, {"orig_bytes": 200 * 251}, {"duration": 1001.0}],
        ids=lambda o: next(iter(o)),
    )
    def test_downloads_uploads_and_slow_polls_are_not(self, ordinary: dict[str, Any]) -> None:
        assert self.weigh(**ordinary) == []

    @pytest.mark.parametrize(
        ("service", "fires"),
        [(None, True), ("ssl", True), ("http,websocket", True), ("ssh", False), ("mqtt", False), ("smtp", False)],
    )
    def test_only_where_it_is_hidden_what_is_done(self, service: str | None, fires: bool) -> None:
        assert bool(self.weigh(service=service)) is fires

    def test_a_host_of_ours_is_not_spoken_of(self) -> None:
        window = make_window(pairs=[{"server_local": True}], samples=[SHELL])
        assert HEURISTIC.weigh(window, DEFAULTS).num_rows == 0


def driven(asked: int = 20, lulls: tuple[float, ...] = (1.0, 2.0, 3.0, 6.0), **session: Any) -> dict[str, Any]:
    """A segment in which the far side asked `asked` times, after lulls (s) that repeat in turn."""
    after = [round(1000 * lulls[i % len(lulls)]) for i in range(asked)]
    return {
        "uid": "C1", "service": "ssh", "duration": 290.0, "orig_bytes": 90_000, "resp_bytes": 15_000,
        "resumed": asked, "resumed_by_resp": asked, "asked_by_resp": asked, "lull_ms": sum(after),
        "lull_ms2": sum(ms * ms for ms in after), **session,
    }  # fmt: skip


class TestDrivenByTheFarSide:
    def test_a_reverse_tunnel_in_ssh(self) -> None:
        (row,) = rows_of(driven(resumed=24))
        assert row["decibans"] == DEFAULTS.ssh_db
        assert HEURISTIC.sentence(row) == (
            "the far side drives the SSH session: it broke 20 of 24 silences (after 3 s on average, irregularly), "
            "and our side answered at once with more than it was sent"
        )
        assert row["uids"] == ["C1"]

    def test_other_protocols_weigh_less_since_agents_wait_for_orders_too(self) -> None:
        weights = [rows_of(driven(service=s))[0]["decibans"] for s in ("ssh", "ssl,ssh", None, "ssl", "http,websocket")]
        assert weights == [DEFAULTS.ssh_db] * 2 + [DEFAULTS.plain_db] + [DEFAULTS.other_db] * 2

    @pytest.mark.parametrize(("asked", "fires"), [(7, False), (8, True), (9, True)])
    def test_enough_of_them(self, asked: int, fires: bool) -> None:
        assert bool(rows_of(driven(asked, lulls=(1.0, 4.0)))) is fires

    def test_weight_grows_with_their_number(self) -> None:
        eight, more, all_, beyond = (rows_of(driven(n, (1.0, 4.0)))[0]["decibans"] for n in (8, 14, 20, 200))
        assert eight == 20.0 < more < all_ == beyond == 30.0

    @pytest.mark.parametrize(("silences", "fires"), [(32, True), (33, True), (34, False)])
    def test_most_silences_end_so(self, silences: int, fires: bool) -> None:
        assert bool(rows_of(driven(20, resumed=silences))) is fires

    @pytest.mark.parametrize(("jitter", "fires"), [(0.29, False), (0.3, True), (0.31, True)])
    def test_the_silences_vary_more_than_a_timer_s(self, jitter: float, fires: bool) -> None:
        assert bool(rows_of(driven(20, (10.0 - 10 * jitter, 10.0 + 10 * jitter)))) is fires

    @pytest.mark.parametrize(("got", "fires"), [(89_999, True), (90_000, False), (90_001, False)])
    def test_our_side_sends_more_than_it_is_sent(self, got: int, fires: bool) -> None:
        """Push messages, long polls and keep-alives are answered too, but with little."""
        assert bool(rows_of(driven(resp_bytes=got))) is fires

    def test_keep_alives_of_the_server_are_a_timer_s(self) -> None:
        assert rows_of(driven(60, lulls=(60.0,), orig_bytes=5_000, resp_bytes=4_000)) == []

    def test_an_administrator_breaks_the_silences(self) -> None:
        assert rows_of(driven(2, resumed=40, resumed_by_resp=4, orig_bytes=9_000, resp_bytes=30_000)) == []

    def test_a_call_over_udp_is_not(self) -> None:
        window = make_window(pairs=[{"proto": "udp"}], samples=[driven(proto="udp", service=None)])
        assert HEURISTIC.weigh(window, DEFAULTS).num_rows == 0

    def test_segments_in_which_the_tunnel_was_used_count_beside_idle_ones_and_uploads(self) -> None:
        sizes = [(3_000, 3_000), (40_000, 8_000), (41_000, 9_000), (45_000, 900_000), (90_000, 905_000)]
        counts = [0, 6, 0, 5, 7]  # the fourth segment brought our side a large file
        idle: dict[str, Any] = {"resumed": 10, "resumed_by_resp": 0}
        segments = [
            driven(n, seg=i, orig_bytes=up, resp_bytes=down, **({} if n else idle))
            for i, (n, (up, down)) in enumerate(zip(counts, sizes, strict=True))
        ]
        (row,) = rows_of(*segments)
        assert (row["asked"], row["silences"]) == (13, 13)

    def test_sessions_are_told_apart_and_their_order_does_not_matter(self) -> None:
        many = [driven(5, uid=f"C{i}") for i in range(10)]
        assert rows_of(*many) == []
        sessions = [*many, driven(9, uid="D1"), driven(9, uid="D0"), driven(12, uid="E0")]
        random.Random(3).shuffle(sessions)
        (row,) = rows_of(*sessions)
        assert row["asked"] == 12
        assert row == rows_of(*sorted(sessions, key=lambda s: s["uid"]))[0]

    def test_without_on_starts_there_is_nothing_to_tell(self) -> None:
        empty: dict[str, Any] = dict.fromkeys(("resumed", "resumed_by_resp", "asked_by_resp", "lull_ms", "lull_ms2"))
        assert rows_of(driven(**empty)) == []

    def test_the_greater_weight_counts_when_both_are_seen(self) -> None:
        (row,) = rows_of(driven(service="ssl", replies=200, orig_bytes=12_000, resp_bytes=11_000, duration=90.0))
        assert row["decibans"] == DEFAULTS.other_db
