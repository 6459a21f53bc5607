"""What is missing of a numbered series, whatever numbers come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hopscope.sources.sequence import MOST_JUMP, Sequence

FAR = 1 << 62


def test_one_number_far_beyond_is_none_of_the_series() -> None:
    series = Sequence(from_start=True)
    assert [series.came(i, 2) for i in (0, FAR, FAR, 2)] == [True, True, False, True]
    assert (series.missing, series.missing_batches, series.strays) == (2, 1, 1)
    series.counters(3, 7)
    assert (series.missing, series.exact) == (3, True)


def test_where_the_next_go_on_from_it_the_series_begins_anew() -> None:
    series = Sequence(from_start=True)
    for number in (0, 2, FAR, FAR + 1, FAR + 3):
        assert series.came(number, 2)
    assert (series.missing, series.missing_batches, series.exact) == (4, 2, False)
    series.counters(FAR + 4, 1000)
    series.counters(FAR + 5, 1007)
    assert series.missing == 4 + 7


def test_the_senders_own_counters_bring_a_series_back_that_another_began() -> None:
    series = Sequence(from_start=False)
    series.came(FAR, 2)
    series.counters(5, 10)
    series.came(5, 2)
    series.counters(7, 15)
    assert series.missing == 3
    assert series.strays == 1


def test_counters_that_no_sender_reaches_are_left() -> None:
    series = Sequence(from_start=True)
    series.came(0, 2)
    series.counters(FAR, FAR)
    assert (series.missing, series.strays) == (0, 1)
    series.counters(2, FAR)
    assert (series.missing, series.exact) == (2, False)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 300))))
def test_missing_batches_are_those_below_the_highest_that_did_not_come(steps: list[tuple[bool, int, int]]) -> None:
    series = Sequence(from_start=True)
    came: set[int] = set()
    due = 0
    for is_batch, number, records in steps:
        if is_batch:
            assert series.came(number, 1) == (number not in came)
            came.add(number)
            due = max(due, number + 1)
        else:
            series.counters(number, records)
            due = max(due, number)
        assert series.missing_batches == due - len(came)
        assert series.missing >= 0


def test_a_jump_that_can_be_is_believed() -> None:
    series = Sequence(from_start=True)
    series.came(0, 1)
    series.came(MOST_JUMP, 1)
    assert series.missing_batches == MOST_JUMP - 1
