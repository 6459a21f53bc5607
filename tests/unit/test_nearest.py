"""nearest: one-to-one pairs, the nearest in time first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope import nearest
from hopscope.nearest import one_to_one

Side = list[tuple[int, int]]
SIDE = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=25)


def paired(left: Side, right: Side, most_us: int) -> list[tuple[int, int]]:
    columns = [np.array([row[i] for row in side], np.int64) for side in (left, right) for i in (0, 1)]
    found = one_to_one(*columns, most_us)
    return list(zip(*(places.tolist() for places in found), strict=True))


def greedy(left: Side, right: Side, most_us: int) -> list[tuple[int, int]]:
    """Every pair that could be, in order of how near it is, taken while both are free."""
    line = sorted([(g, t, 0, i) for i, (g, t) in enumerate(left)] + [(g, t, 1, i) for i, (g, t) in enumerate(right)])
    near = sorted(
        (b[1] - a[1], y - x, x, y)
        for x, a in enumerate(line)
        for y, b in enumerate(line[x + 1 :], x + 1)
        if a[0] == b[0] and a[2] != b[2] and b[1] - a[1] <= most_us
    )
    taken: set[int] = set()
    out = []
    for _, _, x, y in near:
        if not {x, y} & taken:
            taken |= {x, y}
            one, other = sorted((line[x], line[y]), key=lambda row: row[2])
            out.append((one[3], other[3]))
    return sorted(out)


@given(SIDE, SIDE, st.integers(0, 30))
def test_it_is_the_greedy_choice(left: Side, right: Side, most_us: int) -> None:
    assert paired(left, right, most_us) == greedy(left, right, most_us)


def test_a_chain_in_which_each_is_nearer_to_the_next_is_resolved_from_its_end() -> None:
    times = np.cumsum(np.arange(60, 0, -1)).tolist()
    left, right = [(0, t) for t in times[::2]], [(0, t) for t in times[1::2]]
    assert paired(left, right, 100) == [(i, i) for i in range(30)]


def test_times_made_to_last_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "ROUNDS", 5)
    assert len(paired([(0, 0)] * 8, [(0, 1)] * 8, 1)) == 5
