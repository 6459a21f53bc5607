"""What is kept in mind of logs stays small and quick to look through, and forgets the oldest first."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from hopscope.sources.zeek_memory import Uids


def uids(*numbers: int | None) -> pa.Array:
    return pa.array([None if n is None else f"C{n}" for n in numbers], pa.string())


def test_many_small_runs_become_few() -> None:
    told = Uids()
    for i in range(5000):
        told.add(uids(i))
    assert len(told._runs) < 20
    assert told.among(uids(0, 4999, 5000)).to_pylist() == [True, True, False]


def test_a_row_without_uid_was_not_told() -> None:
    told = Uids()
    told.add(uids(1, None))
    assert told.among(uids(None, 1)).to_pylist() == [False, True]
    assert told.among(uids(None, 1, 2, 3)).to_pylist() == [False, True, False, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=120), st.integers(1, 300))
def test_the_latest_are_known_and_memory_is_bounded(sizes: list[int], most: int) -> None:
    told, added = Uids(most), 0
    for size in sizes:
        told.add(uids(*range(added, added + size)))
        added += size
        assert sum(map(len, told._runs)) <= most + max(most // 8, 0) + 2 * 40
    known = told.among(uids(*range(added))).to_pylist()
    assert all(known[-most:])
    assert known == sorted(known)
