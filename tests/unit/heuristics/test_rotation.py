import random
from typing import Any

import numpy as np
import pytest

from hopscope.config import VantageSettings
from hopscope.heuristics.rotation import HEURISTIC, Settings
from support.windows import START, make_window, starts

Rows = list[dict[str, Any]]
SETTINGS = Settings()
HOPS = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
NAMED = [{"address": f"198.51.100.{i}", "name": f"site{i}.example"} for i in range(20)]
OTHERS = [{"server": f"198.51.100.{i}"} for i in range(20)]  # so that most destinations have names


def weigh(rows: Rows, settings: Settings = SETTINGS, names: Rows | None = None, **window: Any) -> Rows:
    names = NAMED if names is None else names
    noise = [r for pair in OTHERS for r in starts([5e5], 100, 77, **pair)]
    made = make_window(starts=[*rows, *noise], names=names, **window)
    out: Rows = HEURISTIC.weigh(made, settings).to_pylist()
    return out


def clock(count: int, interval: float = 60, jitter: float = 0.1, seed: int = 1) -> list[float]:
    rng = np.random.default_rng(seed)
    return [0.0, *np.cumsum(interval * (1 + rng.uniform(-jitter, jitter, count - 1)))]


def spread_over(times: list[float], which: list[int], **pair: Any) -> Rows:
    """Each time a call to the hop that `which` tells."""
    of = {h: [t for t, w in zip(times, which, strict=True) if w == h] for h in range(len(HOPS))}
    return [r for h, server in enumerate(HOPS) for r in starts(of[h], **{"server": server, **pair})]


def in_turn(each: int = 8) -> Rows:
    return spread_over(clock(3 * each), [i // each for i in range(3 * each)])


def at_random(count: int = 30, seed: int = 2, **pair: Any) -> Rows:
    rng = random.Random(seed)
    return spread_over(clock(count), [rng.randrange(3) for _ in range(count)], **pair)


def test_a_rhythm_that_goes_on_elsewhere_is_found_and_explained() -> None:
    found = weigh(in_turn())
    assert [r["server"] for r in found] == HOPS
    for r in found:
        assert r["decibans"] > 7
        assert (r["destinations"], r["connections"], r["here"], r["switches"], r["on_beat"]) == (3, 24, 8, 2, 2)
        assert r["in_turn"] is True
        assert r["interval_s"] == pytest.approx(60, rel=0.1)
        assert len(r["uids"]) == 8
    assert found[0]["others"] == "203.0.113.2, 203.0.113.3"
    assert "one rhythm over 3 destinations one after the other: 24 calls" in HEURISTIC.sentence(found[0])


def test_hops_used_at_random_are_one_rhythm() -> None:
    found = weigh(at_random())
    assert [r["server"] for r in found] == HOPS
    assert all(r["decibans"] == SETTINGS.max_db and r["in_turn"] is False for r in found)
    assert "in alternation" in HEURISTIC.sentence(found[0])


@pytest.mark.parametrize("seed", range(8))
def test_calls_at_random_to_several_addresses_are_not(seed: int) -> None:
    times = list(np.cumsum(np.random.default_rng(seed).exponential(60, 30)))
    assert weigh(spread_over(times, [i % 3 for i in range(30)])) == []


@pytest.mark.parametrize("seed", range(8))
def test_two_agents_with_clocks_of_their_own_weigh_little(seed: int) -> None:
    rng = np.random.default_rng(seed)
    periods = rng.uniform(20, 120, 2)
    rows = [r for k in range(2) for r in starts([rng.uniform(0, 60) + t for t in clock(30, periods[k], 0.05, seed + k)],
            server=HOPS[k])]  # fmt: skip
    assert all(r["decibans"] <= 5 for r in weigh(rows))


def test_strict_alternation_counts_once_for_each_further_destination() -> None:
    found = weigh(spread_over(clock(40, jitter=0.02), [i % 2 for i in range(40)]))
    assert {r["switches"] for r in found} == {39}
    assert all(0 < r["decibans"] < 6 for r in found)


def test_a_stray_call_at_the_end_of_a_rhythm_is_nothing() -> None:
    assert weigh(spread_over(clock(20), [0] * 19 + [1])) == []


def test_a_call_beside_another_is_no_change_of_destination() -> None:
    times = clock(20)
    beside = starts([times[k] + 0.2 for k in (3, 4, 11)], server=HOPS[1])
    assert weigh([*spread_over(times, [0] * 20), *beside]) == []


def test_one_name_over_many_addresses_is_one_destination() -> None:
    assert weigh(at_random(name="pool.example")) == []
    led = [*NAMED, *({"address": h, "name": "pool.example"} for h in HOPS)]
    assert weigh(at_random(), names=led) == []


def test_several_names_weigh_half() -> None:
    rows = [{**r, "name": f"{r['server'][-1]}.example"} for r in at_random()]
    found = weigh(rows)
    assert {r["name"] for r in found} == {"1.example", "2.example", "3.example"}
    assert all(r["decibans"] == SETTINGS.max_db * SETTINGS.named_share for r in found)


def test_where_dns_is_not_seen_it_weighs_half() -> None:
    half = SETTINGS.max_db * SETTINGS.named_share
    assert {r["decibans"] for r in weigh(at_random(), vantage=VantageSettings(dns_seen=False))} == {half}
    assert {r["decibans"] for r in weigh(at_random(), names=[])} == {half}


@pytest.mark.parametrize(("calls", "found"), [(7, False), (8, True), (9, True)])
def test_fewest_calls(calls: int, found: bool) -> None:
    rows = spread_over(clock(calls, jitter=0.01), [int(i > 1) + int(i > 4) for i in range(calls)])
    assert bool(weigh(rows)) is found


@pytest.mark.parametrize(("reply", "found"), [(1640, True), (1650, True), (1655, False)])
def test_answers_of_other_sizes_are_another_behaviour(reply: int, found: bool) -> None:
    rows = [{**r, "resp_bytes": reply if r["server"] == HOPS[0] else 1500} for r in in_turn() if r["server"] != HOPS[2]]
    assert bool(weigh(rows)) is found


def test_another_fingerprint_is_another_behaviour() -> None:
    ja4 = [{"server": h, "kind": "ja4", "value": f"t13d_{i}"} for i, h in enumerate(HOPS)]
    assert weigh(at_random(), sets=ja4) == []
    assert len(weigh(at_random(), sets=[{**r, "value": "t13d"} for r in ja4])) == 3


def test_resolvers_used_in_turn_are_left_out() -> None:
    assert weigh(at_random(proto="udp", port=53), samples=[
        {"server": h, "proto": "udp", "port": 53, "service": "dns"} for h in HOPS]) == []  # fmt: skip


def test_unknown_sizes_are_tolerated() -> None:
    assert len(weigh([{**r, "orig_bytes": None, "resp_bytes": None} for r in at_random()])) == 3


def test_sessions_of_two_clients_are_not_mixed() -> None:
    rows = [{**r, "client": f"10.0.0.{r['server'][-1]}"} for r in at_random()]
    assert weigh(rows) == []


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [*in_turn(), *at_random(client="10.0.0.9"), *starts(clock(30), server="203.0.113.7")]
    expected = weigh(rows)
    random.Random(7).shuffle(rows)
    assert weigh(rows) == expected


def test_nothing_seen_gives_nothing() -> None:
    assert HEURISTIC.weigh(make_window(start_us=START, end_us=START), SETTINGS).num_rows == 0
