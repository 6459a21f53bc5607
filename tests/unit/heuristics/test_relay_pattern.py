import random
from typing import Any

import numpy as np
import pytest

from hopscope.config import VantageSettings
from hopscope.heuristics.leg_matching import NEAREST, Legs, match
from hopscope.heuristics.relay_pattern import HEURISTIC, Settings
from support.windows import START, make_window

HOST, STRANGER, FAR = "10.0.0.80", "198.51.100.7", "203.0.113.66"


def leg(role: str, uid: str, start: float, length: float, into: int, out: int, **more: Any) -> dict[str, Any]:
    peer = {
        "accept": {"peer": STRANGER, "own_port": 8443},
        "connect": {"peer": FAR, "peer_port": 443, "own_port": 40_000},
    }
    return {
        "role": role, "host": HOST, "uid": uid, "start_us": START + round(start * 1e6),
        "end_us": START + round((start + length) * 1e6), "in_bytes": into, "out_bytes": out, **peer[role], **more,
    }  # fmt: skip


def relayed(
    sessions: int = 12, lag: float = 0.07, end_gap: float = 0.06, header: int = 0, seed: int = 1, **far: Any
) -> list[dict[str, Any]]:
    """TLS sessions of a stranger and the far legs that carry them on; `header` bytes are the relay's own words."""
    rng = random.Random(seed)
    legs = []
    for k in range(sessions):
        start, length = 4 * k + rng.random(), 1 + rng.random()
        up, down = rng.randint(900, 1100), rng.choice([1375, 2112]) + rng.randint(0, 2)
        legs.append(leg("accept", f"A{k}", start, length, up + header, down))
        legs.append(leg("connect", f"C{k}", start + lag, length - lag + end_gap, down, up, **far))
    return legs


def shop(
    visits: int = 40, seed: int = 2, page: int = 11_662, answer: int = 1012, call: int = 575
) -> list[dict[str, Any]]:
    """Visitors come in; each makes the shop call a payment service."""
    rng = random.Random(seed)
    legs = []
    for k in range(visits):
        start = 2 * k + rng.random()
        legs.append(
            leg("accept", f"V{k}", start, 0.15, 743, page + rng.randint(0, 2), peer=f"198.51.100.{k % 9}", own_port=443)
        )
        legs.append(
            leg("connect", f"P{k}", start + 0.04, 0.1, answer, call + 31 * rng.randint(0, 1), peer="203.0.113.119")
        )
    return legs


def anew(
    n: int = 20, visitors: int = 1, every: float | None = None, answers: float = 1.1, work: float = 0.002, seed: int = 4
) -> list[dict[str, Any]]:
    """Sessions at SSH whose content goes out encrypted anew in one session of TLS; bytes differ.

    With more `visitors` each has a share of the far leg; `answers` is the near leg's share of what came back.
    """
    rng = random.Random(seed)
    at = [8 + (every * k if every else 2.5 * k + rng.random()) for k in range(n)]
    near = [at[v::visitors] for v in range(visitors)]
    legs = [
        leg("accept", f"A{v}", 0, 100, 18_000 // visitors, round(43_000 * answers) // visitors,
            peer=f"198.51.100.{v + 7}", own_port=22, service="ssh",
            on_starts=[x for t in times for x in (t, -t - 0.104)])
        for v, times in enumerate(near)
    ]  # fmt: skip
    heard = [x for t in at for x in (t - 5 + work, -(t - 5 + 0.102))]
    return [*legs, leg("connect", "C", 5, 90, 43_000, 10_000, on_starts=heard)]


def weigh(legs: list[dict[str, Any]], settings: Settings | None = None, **window: Any) -> list[dict[str, Any]]:
    table = HEURISTIC.weigh(make_window(legs=legs, **window), settings or HEURISTIC.defaults)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def test_a_relay_is_found_and_explained() -> None:
    (row,) = weigh(relayed())
    assert (row["server"], row["port"], row["proto"], row["client"], row["name"]) == (HOST, 8443, "tcp", STRANGER, None)
    assert (row["far_peer"], row["far_port"]) == (FAR, 443)
    assert (row["matched"], row["near_sessions"], row["far_sessions"]) == (12, 12, 12)
    assert row["decibans"] >= 40, "several matched sessions lift the host from the prior to medium"
    assert row["start_lag_s"] == pytest.approx(0.07)
    assert row["byte_agreement"] == 1.0
    assert len(row["uids"]) == 10
    assert {u[0] for u in row["uids"]} == {"A", "C"}
    assert "203.0.113.66 port 443" in HEURISTIC.sentence(row)


def test_a_shop_that_calls_out_for_each_visitor_is_not() -> None:
    assert weigh(shop()) == []


def test_a_call_whose_sizes_happen_to_be_near_stays_below_low() -> None:
    rows = weigh(shop(page=2300, answer=2200, call=700))
    assert all(r["decibans"] < 30 for r in rows)


def test_a_relay_is_found_amid_other_work_of_the_host() -> None:
    rng = random.Random(3)
    browsing = [
        leg("connect", f"B{k}", rng.uniform(0, 48), 1, rng.randint(2000, 40_000), 1180, peer="192.0.2.105")
        for k in range(30)
    ]
    (row,) = weigh([*relayed(), *browsing])
    assert row["far_peer"] == FAR
    assert row["decibans"] >= 40


def test_a_relay_s_own_words_are_allowed_for() -> None:
    (row,) = weigh(relayed(header=118))
    assert row["matched"] == 12
    assert row["decibans"] >= 30


@pytest.mark.parametrize(("lag", "found"), [(4.9, True), (5.0, True), (5.1, False), (-0.1, False)])
def test_the_far_leg_starts_within_the_lag(lag: float, found: bool) -> None:
    far = leg("connect", "C", 10 + lag, 100 - lag, 80_000, 30_000)
    assert bool(weigh([leg("accept", "A", 10, 100, 30_000, 80_000), far])) is found


@pytest.mark.parametrize(("gap", "found"), [(1.9, True), (2.0, True), (2.1, False), (-2.1, False)])
def test_the_far_leg_ends_with_the_near_one(gap: float, found: bool) -> None:
    far = leg("connect", "C", 10.1, 9.9 + gap, 80_000, 30_000)
    assert bool(weigh([leg("accept", "A", 10, 10, 30_000, 80_000), far])) is found


@pytest.mark.parametrize(("gap", "found"), [(99, True), (101, False)])
def test_long_sessions_may_end_a_tenth_apart(gap: float, found: bool) -> None:
    far = leg("connect", "C", 10, 1000 + gap, 80_000, 30_000)
    assert bool(weigh([leg("accept", "A", 10, 1000, 30_000, 80_000), far])) is found


def test_a_single_session_of_many_bytes_suffices_for_medium_and_a_small_one_does_not() -> None:
    (large,) = weigh(
        [leg("accept", "A", 10, 100, 3_141_592, 27_182_818), leg("connect", "C", 10, 100, 27_182_818, 3_141_592)]
    )
    (small,) = weigh([leg("accept", "A", 10, 1, 743, 2112), leg("connect", "C", 10, 1, 2112, 743)])
    assert large["decibans"] >= 40
    assert small["decibans"] < 40


def handshakes(legs: list[dict[str, Any]], into: int, out: int) -> list[dict[str, Any]]:
    """The same with more bytes at the near legs."""
    return [
        {**r, "in_bytes": r["in_bytes"] + into, "out_bytes": r["out_bytes"] + out} if r["role"] == "accept" else r
        for r in legs
    ]


@pytest.mark.parametrize(("more", "found"), [(5_900, True), (6_000, True), (6_001, False)])
def test_sessions_each_encrypted_anew_differ_by_a_handshake(more: int, found: bool) -> None:
    rows = weigh(handshakes(relayed(), more, 3_000))
    assert bool(rows) is found
    assert all(r["decibans"] >= 40 and r["level_db"] == 0 for r in rows)


@pytest.mark.parametrize("seed", range(5))
def test_a_form_that_is_passed_on_without_the_answer_is_no_relay(seed: int) -> None:
    rng = random.Random(seed)
    legs = []
    for k in range(40):
        form = rng.randint(0, 200)
        legs.append(leg("accept", f"V{k}", 4 * k, 0.5, 1_743 + form, 4_662 + rng.randint(0, 900), own_port=443))
        legs.append(leg("connect", f"P{k}", 4 * k + 0.1, 0.3, 1_012 + rng.randint(0, 90), 575 + form))
    assert weigh(legs) == []


def test_bytes_that_agree_one_way_only_are_not_enough() -> None:
    assert weigh([leg("accept", "A", 10, 10, 30_000, 80_000), leg("connect", "C", 10, 10, 8_000, 30_000)]) == []


def test_sizes_common_to_the_host_s_other_connections_weigh_less() -> None:
    others = [leg("connect", f"B{k}", 500 + k, 0.5, 2112, 1000, peer="192.0.2.105") for k in range(50)]
    alike = [leg(r, f"{r}{k}", 4 * k + (r == "connect") * 0.05, 1, *((1000, 2112) if r == "accept" else (2112, 1000)))
             for k in range(6) for r in ("accept", "connect")]  # fmt: skip
    (alone,), (among,) = weigh(alike), weigh([*alike, *others])
    assert among["decibans"] < alone["decibans"] - 20


def test_most_of_the_far_end_s_connections_must_match() -> None:
    stray = [leg("connect", f"S{k}", 1000 + 10 * k, 1, 5000, 1000) for k in range(108)]
    (all_match,), (one_in_ten,) = weigh(relayed()), weigh([*relayed(), *stray])
    assert one_in_ten["far_sessions"] == 120
    assert one_in_ten["decibans"] < 0.3 * all_match["decibans"]


def test_a_relay_that_encrypts_anew_is_found_by_its_pauses() -> None:
    (row,) = weigh(anew())
    assert (row["server"], row["port"], row["client"], row["far_peer"]) == (HOST, 22, STRANGER, FAR)
    assert (row["coincidences"], row["pauses"], row["far_share"]) == (40, 40, 1.0)
    assert row["decibans"] >= 40
    assert row["uids"] == ["A0", "C"]
    assert "in 40 of 40 cases" in HEURISTIC.sentence(row)
    assert "within 2 ms" in HEURISTIC.sentence(row)


def test_a_server_that_many_visitors_share_is_explained_by_none_of_them() -> None:
    assert weigh(anew(60, visitors=4)) == []


def test_a_server_that_calls_out_with_other_content_stays_low() -> None:
    (row,) = weigh(anew(answers=11.0))
    assert row["volume_db"] < -5
    assert row["decibans"] < 25


@pytest.mark.parametrize(("work", "less"), [(0.009, 0), (0.011, 0.33), (0.04, 10), (0.07, 10)])
def test_a_server_that_works_on_what_comes_in_takes_its_time(work: float, less: float) -> None:
    free = Settings(max_db=100)
    (swift,), (slow,) = weigh(anew(), free), weigh(anew(work=work), free)
    assert slow["decibans"] == pytest.approx(swift["decibans"] - less, abs=0.02)


def test_clients_and_calls_on_the_same_clock_are_no_relay() -> None:
    assert weigh(anew(every=3.0)) == []


@pytest.mark.parametrize(("n", "least", "most"), [(4, 0, 39), (5, 1, 39), (20, 40, 45)])
def test_pauses_weigh_more_the_more_there_are(n: int, least: float, most: float) -> None:
    db = max((r["decibans"] for r in weigh(anew(n))), default=0)
    assert least <= db <= most


def test_a_peer_that_we_call_back_is_no_third_party() -> None:
    assert weigh([{**r, "peer": STRANGER} for r in anew()]) == []


def test_pauses_need_on_starts() -> None:
    assert weigh([{**r, "on_starts": None} for r in anew()]) == []


def test_pauses_need_no_later_segments_of_a_long_near_leg() -> None:
    """The near leg went on for hours with other things: what counts is the time of both."""
    hours = [
        leg("accept", "A0", 0, 300.0 * (k + 1), 500_000, 2_000_000, seg=k, own_port=22, service="ssh", on_starts=[])
        for k in range(2, 20)
    ]
    (alone,), (long,) = weigh(anew()), weigh([*anew(), *hours])
    assert long["volume_db"] == alone["volume_db"]
    assert long["bytes"] == alone["bytes"]


def test_one_near_leg_and_several_far_legs_in_time() -> None:
    far = [leg("connect", f"C{k}", 10 + 20 * k, 19.5, 500_000 + k, 40_000 + k) for k in range(5)]
    near = leg("accept", "A", 9.9, 100, sum(r["out_bytes"] for r in far) + 60, sum(r["in_bytes"] for r in far))
    (row,) = weigh([near, *far])
    assert (row["matched"], row["far_matched"], row["far_sessions"]) == (1, 5, 5)
    assert row["decibans"] >= 40
    assert "5 of 5 connections to" in HEURISTIC.sentence(row)
    assert row["uids"] == ["A", "C0"]


def test_several_near_legs_in_time_and_one_far_leg() -> None:
    near = [leg("accept", f"A{k}", 10 + 20 * k, 19.5, 40_000 + k, 500_000 + k) for k in range(5)]
    far = leg("connect", "C", 10.1, 99.5, sum(r["out_bytes"] for r in near), sum(r["in_bytes"] for r in near))
    (row,) = weigh([*near, far])
    assert (row["matched"], row["near_sessions"], row["far_matched"], row["far_sessions"]) == (5, 5, 1, 1)
    assert row["decibans"] >= 40


@pytest.mark.parametrize(("more", "expected"), [(1_900, True), (2_000, True), (2_101, False)])
def test_a_run_s_bytes_agree_within_a_hundredth(more: int, expected: bool) -> None:
    far = [leg("connect", f"C{k}", 10 + 20 * k, 19.5, 500_000 + k, 40_000 + k) for k in range(5)]
    near = leg("accept", "A", 9.9, 100, sum(r["out_bytes"] for r in far) + more, sum(r["in_bytes"] for r in far))
    assert bool(weigh([near, *far])) is expected


def test_far_legs_at_the_same_time_are_no_run() -> None:
    far = [leg("connect", f"C{k}", 10 + 0.1 * k, 98, 500_000 + k, 40_000 + k) for k in range(5)]
    near = leg("accept", "A", 9.9, 100, sum(r["out_bytes"] for r in far), sum(r["in_bytes"] for r in far))
    assert weigh([near, *far]) == []


def test_segments_of_one_connection_are_one_session() -> None:
    halves = []
    for full in relayed():
        first = {**full, "seg": 0, "final": False, "in_bytes": 400, "out_bytes": 300, "end_us": full["start_us"] + 1000}
        halves += [first, {**full, "seg": 1, "in_bytes": full["in_bytes"] - 400, "out_bytes": full["out_bytes"] - 300}]
    # near in = far out needs the same cut on both legs' directions
    for r in halves:
        if r["role"] == "connect":
            r["in_bytes"] += -100 if r["seg"] == 0 else 100
            r["out_bytes"] += 100 if r["seg"] == 0 else -100
    assert weigh(halves) == weigh(relayed())


@pytest.mark.parametrize("service", ["dns", "ntp", "smtp", "smtp,ssl"])
def test_servers_that_pass_on_by_design_are_left_out(service: str) -> None:
    assert weigh([{**r, "service": service} for r in relayed()]) == []


def test_our_own_proxies_are_left_out() -> None:
    assert weigh(relayed(), vantage=VantageSettings(own_proxies=(HOST,))) == []


@pytest.mark.parametrize(("clients", "ends", "less"), [(1, 1, 0), (1, 10, 10), (4, 10, 16.02)])
def test_a_proxy_that_serves_many_of_ours_weighs_less_and_a_stranger_s_all(
    clients: int, ends: int, less: float
) -> None:
    legs = []
    for c in range(clients):
        for e in range(ends):
            later = 1000.0 * (c * ends + e)
            for r in relayed(6, seed=c * ends + e):
                peer = f"10.0.0.{c + 1}" if r["role"] == "accept" else f"203.0.113.{e + 1}"
                shift = {k: r[k] + round(later * 1e6) for k in ("start_us", "end_us")}
                legs.append({**r, **shift, "uid": f"{c}.{e}.{r['uid']}", "peer": peer})
    strangers = [{**r, "peer_local": False} for r in legs]
    ours = [{**r, "peer_local": r["role"] == "accept"} for r in legs]
    full, tempered = weigh(strangers), weigh(ours)
    assert len(full) == clients * ends
    assert [r["decibans"] for r in tempered] == pytest.approx([r["decibans"] - less for r in full], abs=0.02)


def test_a_reverse_proxy_towards_internal_servers_has_no_far_leg_outside() -> None:
    assert weigh(relayed(peer="10.0.0.99", peer_local=True)) == []


def test_one_sided_links_are_void() -> None:
    (row,) = weigh(relayed(), vantage=VantageSettings(one_sided=True))
    assert row["void"] is not None
    assert row["decibans"] == 0


def test_unknown_bytes_give_no_evidence() -> None:
    assert weigh([{**r, "in_bytes": None} for r in relayed()]) == []


def test_no_legs_no_evidence() -> None:
    assert weigh([]) == []


def test_the_order_of_rows_does_not_matter() -> None:
    legs = [*relayed(), *shop(page=2300, answer=2200, call=700), *anew()]
    expected = weigh(legs)
    random.Random(5).shuffle(legs)
    assert weigh(legs) == expected


def test_each_leg_is_matched_once() -> None:
    twice = [*relayed(3), *(({**r, "uid": r["uid"] + "x"}) for r in relayed(3) if r["role"] == "accept")]
    (row,) = weigh(twice)
    assert (row["matched"], row["near_sessions"], row["far_sessions"]) == (3, 6, 3)


def test_a_busy_host_costs_a_bounded_number_of_candidates() -> None:
    rng = np.random.default_rng(1)
    n = 5000
    start = np.sort(rng.integers(0, 1_000_000, n))
    same = np.zeros(n, np.int64)
    sizes = rng.integers(1000, 10**6, (2, n)).astype(float)
    near = Legs(same, same, start, start + 10_000, sizes[0], sizes[1])
    found = match(near, near, 5_000_000, 2_000_000, 0.1, 600.0)
    assert found.looks.max() <= NEAREST
