"""ON/OFF coincidence between groups of legs."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopscope.heuristics.coincidence import CAUSES, Coincidences, Ons, Rule, coincide
from hopscope.heuristics.leg_matching import Legs

RULE = Rule(delta_us=80_000, share=0.3, few=4, direct_run=2, kept_run=4, run_idles=100)
S = 1_000_000


def legs(spans: list[tuple[int, float, float]]) -> Legs:
    """Legs of one host: (group, start, end) in seconds."""
    group, start, end = (np.array(column) for column in zip(*spans, strict=True))
    none = np.zeros(len(spans))
    times = ((t * S).astype(np.int64) for t in (start, end))
    return Legs(np.zeros(len(spans), np.int64), group.astype(np.int64), *times, none, none)


def ons(inward: list[float], outward: list[float], leg: int = 0) -> Ons:
    times = np.array([*inward, *outward])
    way = np.array([True] * len(inward) + [False] * len(outward), bool)
    return Ons(np.full(len(times), leg), np.round(times * S).astype(np.int64), way)


def joined(*parts: Ons) -> Ons:
    return Ons(*(np.concatenate([getattr(p, k) for p in parts]) for k in ("leg", "time", "inward")))


def typing(n: int, seed: int = 1) -> list[float]:
    """Times at which somebody types again, seconds apart."""
    rng, t, out = random.Random(seed), 5.0, []
    for _ in range(n):
        t += rng.uniform(0.8, 4.0)
        out.append(t)
    return out


def relayed(n: int = 20, lag: float = 0.002, answer: float = 0.1, rule: Rule = RULE) -> Coincidences:
    asked = typing(n)
    near = ons(asked, [t + answer + 2 * lag for t in asked])
    far = ons([t + answer + lag for t in asked], [t + lag for t in asked])
    return coincide(legs([(0, 0, 100)]), legs([(0, 4, 90)]), near, far, rule)


def found(c: Coincidences) -> bool:
    return len(c.near) == 1


def test_what_goes_out_after_it_came_in_is_found_with_its_counts() -> None:
    c = relayed()
    assert (c.near.tolist(), c.far.tolist(), c.near_leg.tolist(), c.far_leg.tolist()) == ([0], [0], [0], [0])
    assert (c.up.hits[0], c.down.hits[0], c.up.causes[0], c.up.run[0]) == (20, 20, 20, 20)
    assert c.up.lag_s[0] == pytest.approx(0.002)
    assert c.up.odd[0] > 15
    assert c.up.chance_db[0] > 100


def test_unrelated_activity_is_not() -> None:
    mine, other = typing(60, 1), typing(60, 2)
    near = ons(mine, [t + 0.1 for t in mine])
    far = ons([t + 0.1 for t in other], other)
    assert not found(coincide(legs([(0, 0, 300)]), legs([(0, 0, 300)]), near, far, RULE))


def test_the_direction_matters() -> None:
    asked = typing(20)
    near = ons([t + 0.004 for t in asked], [t + 0.1 for t in asked])
    far = ons([t + 0.2 for t in asked], asked)
    assert not found(coincide(legs([(0, 0, 100)]), legs([(0, 0, 100)]), near, far, RULE))


def test_both_ways_are_asked_for() -> None:
    asked = typing(20)
    near = ons(asked, [t + 0.5 for t in asked])
    far = ons([t + 0.1 for t in asked], [t + 0.002 for t in asked])
    assert not found(coincide(legs([(0, 0, 100)]), legs([(0, 0, 100)]), near, far, RULE))


@pytest.mark.parametrize(("lag", "expected"), [(0.079, True), (0.08, True), (0.081, False)])
def test_delta(lag: float, expected: bool) -> None:
    assert found(relayed(lag=lag, answer=0.3)) is expected


@pytest.mark.parametrize(("n", "expected"), [(3, False), (4, True)])
def test_the_least_number(n: int, expected: bool) -> None:
    assert found(relayed(n)) is expected


@pytest.mark.parametrize(("of", "expected"), [(19, True), (20, True), (21, False)])
def test_the_share_of_the_fewer(of: int, expected: bool) -> None:
    asked = typing(6)
    more = [60 + t for t in typing(of - 6, 3)]
    elsewhere = [60 + t for t in typing(of - 6, 4)]
    near = ons([*asked, *more], [t + 0.104 for t in [*asked, *more]])
    far = ons([t + 0.102 for t in asked] + [t + 0.3 for t in elsewhere], [t + 0.002 for t in asked] + elsewhere)
    assert found(coincide(legs([(0, 0, 200)]), legs([(0, 4, 200)]), near, far, RULE)) is expected


@pytest.mark.parametrize(("far_start", "run", "expected"), [(4, 2, True), (4, 1, False), (-1, 3, False), (-1, 4, True)])
def test_in_a_row_two_when_the_far_leg_came_later_and_four_when_it_was_there(
    far_start: float, run: int, expected: bool
) -> None:
    asked = typing(36)
    heard = [t for k, t in enumerate(asked) if k % (run + 1) < run]
    near = ons(asked, [t + 0.104 for t in asked])
    sent = [t + (0.002 if t in heard else 0.3) for t in asked]
    far = ons([t + 0.1 for t in sent], sent)
    assert found(coincide(legs([(0, 0, 300)]), legs([(0, far_start, 300)]), near, far, RULE)) is expected


@pytest.mark.parametrize(("idles", "expected"), [(200, True), (201, False)])
def test_more_in_a_row_are_asked_for_where_there_are_many(idles: int, expected: bool) -> None:
    asked = typing(idles)
    heard = {k for k in range(idles) if k % 5 < 4}
    near = ons(asked, [t + 0.104 for t in asked])
    later = [t + (0.002 if k in heard else 0.3) for k, t in enumerate(asked)]
    far = ons([t + 0.1 for t in later], later)
    c = coincide(legs([(0, 0, 2000)]), legs([(0, 4, 2000)]), near, far, RULE)
    assert found(c) is expected


def test_a_common_clock_counts_once() -> None:
    asked = [10.0 * k for k in range(1, 40)]
    near = ons(asked, [t + 0.104 for t in asked])
    far = ons([t + 0.102 for t in asked], [t + 0.002 for t in asked])
    c = coincide(legs([(0, 0, 400)]), legs([(0, 4, 400)]), near, far, RULE)
    assert c.up.hits[0] == 39
    assert c.up.odd[0] == 1


def test_busy_times_raise_the_chance() -> None:
    """All within one minute of an hour: what is found a few seconds off counts against it."""
    rng = random.Random(1)
    asked = sorted(rng.uniform(10, 40) for _ in range(40))
    near, far = ons(asked, [t + 0.1 for t in asked]), ons([t + 0.05 for t in asked], [t + 0.02 for t in asked])
    short = coincide(legs([(0, 0, 50)]), legs([(0, 4, 50)]), near, far, RULE)
    long = coincide(legs([(0, 0, 3600)]), legs([(0, 4, 3600)]), near, far, RULE)
    assert long.up.chance_db[0] == pytest.approx(short.up.chance_db[0], rel=0.3)


def test_one_near_leg_and_several_far_legs_in_time() -> None:
    asked = typing(24)
    middle = (asked[11] + asked[12]) / 2
    near = ons(asked, [t + 0.104 for t in asked])
    parts = [ons([t + 0.102 for t in some], [t + 0.002 for t in some], leg=k)
             for k, some in enumerate((asked[:12], asked[12:]))]  # fmt: skip
    c = coincide(legs([(0, 0, 120)]), legs([(0, 4, middle - 0.1), (0, middle, 110)]), near, joined(*parts), RULE)
    assert (c.near_leg.tolist(), c.far_leg.tolist()) == ([0, 0], [0, 1])
    assert c.up.hits[0] == 24


def test_several_near_legs_in_time_and_one_far_leg_that_is_kept() -> None:
    asked = typing(24)
    middle = (asked[11] + asked[12]) / 2
    parts = [ons(some, [t + 0.104 for t in some], leg=k) for k, some in enumerate((asked[:12], asked[12:]))]
    far = ons([t + 0.102 for t in asked], [t + 0.002 for t in asked])
    c = coincide(legs([(0, 0, middle - 0.1), (0, middle, 110)]), legs([(0, 4, 120)]), joined(*parts), far, RULE)
    assert (c.near_leg.tolist(), c.far_leg.tolist()) == ([0, 1], [0, 0])


def test_other_hosts_are_not_compared() -> None:
    asked = typing(20)
    near = ons(asked, [t + 0.104 for t in asked])
    far = ons([t + 0.102 for t in asked], [t + 0.002 for t in asked])
    one = legs([(0, 0, 100)])
    other = Legs(one.host + 1, one.group, one.start, one.end, one.into, one.out)
    assert not found(coincide(one, other, near, far, RULE))


def test_no_on_starts() -> None:
    nothing = ons([], [])
    assert not found(coincide(legs([(0, 0, 100)]), legs([(0, 0, 100)]), nothing, nothing, RULE))


def test_a_relay_is_found_on_a_host_with_many_other_clients() -> None:
    """Others that come in between must not crowd out the leg that was passed on just now."""
    rng = random.Random(5)
    asked = typing(20)
    near = [ons(asked, [t + 0.104 for t in asked])]
    spans = [(0, 0.0, 100.0)]
    for k in range(1, 60):
        times = sorted(rng.uniform(0, 100) for _ in range(30))
        near.append(ons(times, [t + 0.05 for t in times], leg=k))
        spans.append((k, 0.0, 100.0))
    far = ons([t + 0.102 for t in asked], [t + 0.002 for t in asked])
    c = coincide(legs(spans), legs([(0, 4, 100)]), joined(*near), far, RULE)
    assert c.near.tolist() == [0]
    assert c.compared.tolist() == [60]
    assert CAUSES < 60


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 4), st.integers(0, 40))
def test_any_activity_gives_counts_that_fit_together(rng: random.Random, groups: int, n: int) -> None:
    def side() -> tuple[Legs, Ons]:
        spans = [(k, 0.0, 20.0) for k in range(groups)]
        parts = [ons(sorted(rng.uniform(0, 20) for _ in range(n)), sorted(rng.uniform(0, 20) for _ in range(n)), k)
                 for k in range(groups)]  # fmt: skip
        return legs(spans), joined(*parts)

    (near, near_ons), (far, far_ons) = side(), side()
    c = coincide(near, far, near_ons, far_ons, RULE)
    for d in (c.up, c.down):
        assert np.all(d.hits <= np.minimum(d.causes, d.effects))
        assert np.all(d.run <= d.hits)
        assert np.all((d.odd >= 1) & (d.odd <= d.hits))
        assert np.all(d.chance_db >= 0)
    assert len(c.offsets) == len(c.near) + 1
    assert c.offsets[-1] == len(c.near_leg)
    order = np.random.default_rng(rng.randint(0, 99)).permutation(len(near_ons.leg))
    again = coincide(near, far, near_ons.of(order), far_ons, RULE)
    assert again.near.tolist() == c.near.tolist()
    assert again.up.chance_db.tolist() == c.up.chance_db.tolist()
