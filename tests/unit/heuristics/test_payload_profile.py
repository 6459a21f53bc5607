import random
from typing import Any

import numpy as np
import pytest

from hopscope.heuristics.payload_profile import HEURISTIC, Settings, alike
from support.windows import make_window, starts

Rows = list[dict[str, Any]]
SETTINGS = Settings()


def weigh(rows: Rows, settings: Settings = SETTINGS, **window: Any) -> Rows:
    out: Rows = HEURISTIC.weigh(make_window(starts=rows, **window), settings).to_pylist()
    return out


def sized(requests: list[int], replies: list[int], **pair: Any) -> Rows:
    """Connections of one pair with these sizes, at times without rhythm."""
    times = np.cumsum(np.random.default_rng(1).exponential(30, len(replies)))
    return [{**r, "orig_bytes": q, "resp_bytes": a}
            for r, q, a in zip(starts(times, **pair), requests, replies, strict=True)]  # fmt: skip


def polling(n: int = 30, tasks: int = 3, **pair: Any) -> Rows:
    """The same question and answer, a few larger answers between."""
    replies = [9000 + 700 * (i // 5) if i % 5 == 4 and i < 5 * tasks else 1377 + i % 3 for i in range(n)]
    return sized([990 + 7 * (i % 5) for i in range(n)], replies, **pair)


def browsing(n: int = 30, seed: int = 1, **pair: Any) -> Rows:
    rng = np.random.default_rng(seed)
    return sized([int(x) for x in rng.integers(400, 3000, n)], [int(x) for x in 10 ** rng.uniform(3, 6, n)], **pair)


def decibans(rows: Rows, settings: Settings = SETTINGS) -> float:
    found = weigh(rows, settings)
    assert len(found) <= 1
    return float(found[0]["decibans"]) if found else 0.0


def test_constant_answers_with_tasks_between_are_found_and_explained() -> None:
    (row,) = weigh(polling())
    assert 3 < row["decibans"] < SETTINGS.alone_db
    assert (row["connections"], row["reply"], row["request"]) == (30, 1378.0, 1004.0)
    assert (row["replies_alike"], row["larger"], row["clients"], row["peers"]) == (0.9, 0.1, 1, 0)
    assert (row["server"], row["port"], row["proto"], row["name"]) == ("203.0.113.9", 443, "tcp", None)
    assert len(row["uids"]) == 10
    said = HEURISTIC.sentence(row)
    assert said.startswith("90 % of 30 calls got the same 1378 bytes")
    assert said.endswith("no other client of ours calls there")


def test_browsing_is_not() -> None:
    assert weigh(browsing()) == []


def test_requests_that_vary_weigh_half() -> None:
    constant = sized([500] * 20, [900] * 20)
    uploads = sized([10_000 * (i + 1) for i in range(20)], [900] * 20)
    assert decibans(uploads) == pytest.approx(decibans(constant) / 2, abs=0.01)


@pytest.mark.parametrize(("calls", "found"), [(7, False), (8, True), (9, True)])
def test_fewest_calls(calls: int, found: bool) -> None:
    assert (decibans(polling(calls, 0)) > 0) is found


@pytest.mark.parametrize(("alike_replies", "found"), [(9, False), (10, False), (11, True)])
def test_half_of_the_answers_alike_are_too_few(alike_replies: int, found: bool) -> None:
    replies = [1000] * alike_replies + [5000 * (i + 2) for i in range(20 - alike_replies)]
    assert (decibans(sized([500] * 20, replies)) > 0) is found


def test_more_calls_weigh_more() -> None:
    weights = [decibans(polling(n, 0)) for n in (8, 20, 100)]
    assert weights == sorted(weights)
    assert weights[-1] < SETTINGS.alone_db


@pytest.mark.parametrize("by", [{}, {"name": "updates.example"}])
def test_what_every_client_polls_weighs_little(by: dict[str, str]) -> None:
    found = weigh([r for c in range(4) for r in polling(client=f"10.0.0.{c}", **by)])
    assert len(found) == 4
    assert all(0 < r["decibans"] <= SETTINGS.common_db for r in found)
    assert {(r["clients"], r["peers"], r["peers_alike"]) for r in found} == {(4, 3, 3)}


def test_one_client_that_polls_where_others_browse_deviates() -> None:
    others = [r for c in range(3) for r in browsing(seed=c, client=f"10.0.1.{c}", name="docs.example")]
    (row,) = weigh([*polling(name="docs.example"), *others])
    assert row["client"] == "10.0.0.5"
    assert SETTINGS.alone_db < row["decibans"] < SETTINGS.deviant_db
    assert HEURISTIC.sentence(row).endswith("so did 0 of 3 other clients")


@pytest.mark.parametrize(("peers", "deviates"), [(1, False), (2, True), (3, True)])
def test_fewest_peers(peers: int, deviates: bool) -> None:
    others = [r for c in range(peers) for r in browsing(seed=c, client=f"10.0.1.{c}")]
    (row,) = weigh([*polling(), *others])
    assert (row["decibans"] > SETTINGS.alone_db) is deviates


def test_a_name_is_one_destination_whatever_its_addresses() -> None:
    half = polling(8, 0, name="a.example", server="203.0.113.1")
    found = weigh([*half, *polling(8, 0, name="a.example", server="203.0.113.2")])
    assert {(r["server"], r["connections"]) for r in found} == {("203.0.113.1", 16), ("203.0.113.2", 16)}


@pytest.mark.parametrize("service", ["dns", "ntp"])
def test_protocols_that_are_constant_by_design_are_left_out(service: str) -> None:
    assert weigh(polling(port=9999), samples=[{"port": 9999, "service": service}]) == []
    assert len(weigh(polling(port=9999), samples=[{"port": 9999, "service": "ssl"}])) == 1


@pytest.mark.parametrize("field", ["orig_bytes", "resp_bytes"])
def test_unknown_sizes_give_nothing(field: str) -> None:
    assert weigh([{**r, field: None} for r in polling()]) == []


def test_unanswered_calls_do_not_count() -> None:
    assert weigh([{**r, "resp_bytes": 0} for r in polling()]) == []
    assert weigh(polling(30, 0), pairs=[{"connections": 30, "established": 0}]) == []


def test_times_to_the_answers_are_told_where_known() -> None:
    samples = [{"uid": f"C{i}", "hash": i, "reply_p10": 0.5 + 0.01 * i} for i in range(3)]
    (row,) = weigh(polling(), samples=samples)
    assert (row["reply_s"], row["reply_spread"]) == (0.51, 0.02)
    (row,) = weigh(polling())
    assert row["reply_s"] is None
    assert row["reply_spread"] is None


def test_only_our_hosts_towards_the_internet_count() -> None:
    for client_local, server_local in ((False, True), (True, True), (False, False)):
        pair = {"connections": 30, "client_local": client_local, "server_local": server_local}
        assert weigh(polling(), pairs=[pair]) == []


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [*polling(), *browsing(client="10.0.0.9"), *polling(name="a.example"), *polling(port=80, client="10.0.0.9")]
    expected = weigh(rows)
    random.Random(7).shuffle(rows)
    assert weigh(rows) == expected


class TestAlike:
    def of(self, *groups: list[float], share: float = 0.02, slack: float = 8.0) -> list[tuple[float, float]]:
        sizes = np.array([s for g in groups for s in g], np.float64)
        group = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
        found = alike(sizes, group, len(groups), share, slack)
        return [(round(float(a), 3), float(b)) for a, b in zip(*found, strict=True)]

    def test_the_largest_set_of_each_group(self) -> None:
        assert self.of([100, 5000, 5010, 5020], [7, 7]) == [(0.75, 5010.0), (1.0, 7.0)]

    @pytest.mark.parametrize(("second", "share"), [(1039, 1.0), (1040, 1.0), (1041, 0.5)])
    def test_how_far_apart_sizes_are_alike(self, second: float, share: float) -> None:
        assert self.of([1000, second])[0][0] == share

    @pytest.mark.parametrize(("second", "share"), [(55, 1.0), (56, 1.0), (57, 0.5)])
    def test_small_sizes_have_some_bytes_of_slack(self, second: float, share: float) -> None:
        assert self.of([40, second])[0][0] == share

    def test_no_group_reaches_into_the_next(self) -> None:
        assert self.of([10, 1e9], [1e9, 10]) == [(0.5, 10.0), (0.5, 10.0)]

    def test_one_huge_size_makes_no_others_alike(self) -> None:
        assert self.of([100, 5000], [4.0e18], [100, 5000])[2] == (0.5, 100.0)
