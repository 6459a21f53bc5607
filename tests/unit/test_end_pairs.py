"""end_pairs: two connections have one number if, and only if, they have the same ends."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hopscope.end_pairs import both_ends, known_pairs, pair_numbers, renumbered

ADDRESSES = 5
END = st.tuples(st.integers(-1, ADDRESSES - 1), st.sampled_from([-1, 0, 80, 65_535, 65_536, 1 << 31]))
ROWS = st.lists(st.tuples(END, END, st.integers(-1, 1)), max_size=20)
Row = tuple[tuple[int, int], tuple[int, int], int]
Ends = tuple["np.ndarray[tuple[int], np.dtype[np.int64]]", "np.ndarray[tuple[int], np.dtype[np.int64]]"]


def ends(rows: list[Row]) -> Ends:
    one, other, transport = (
        np.array([r[i] for r in rows], np.int64).reshape(-1, w) for i, w in ((0, 2), (1, 2), (2, 1))
    )
    return both_ends((one[:, 0], one[:, 1]), (other[:, 0], other[:, 1]), transport[:, 0])


def key(row: Row) -> tuple[frozenset[tuple[int, int]], int] | None:
    one, other, transport = row
    whole = transport >= 0 and all(address >= 0 and 0 <= port < 1 << 16 for address, port in (one, other))
    return (frozenset((one, other)), transport) if whole else None


@given(ROWS, ROWS)
def test_a_number_stands_for_both_ends_either_way_round(known: list[Row], asked: list[Row]) -> None:
    pairs = known_pairs(*ends(known))
    of_known, of_asked = (pair_numbers(*ends(rows), pairs) for rows in (known, asked))
    number = {key(row): n for row, n in zip(known, of_known.tolist(), strict=True) if key(row)}
    assert len(set(number.values())) == len(number)
    assert of_known.tolist() == [number.get(key(row), -1) for row in known]
    assert of_asked.tolist() == [number.get(key(row), -1) for row in asked]


@given(ROWS, st.permutations(range(ADDRESSES)))
def test_addresses_may_be_numbered_anew(rows: list[Row], order: list[int]) -> None:
    whole = [row for row in rows if key(row)]
    other = [((order[a], p), (order[b], q), t) for (a, p), (b, q), t in whole]
    for made, expected in zip(renumbered(*ends(whole), np.array(order)), ends(other), strict=True):
        assert made.tolist() == expected.tolist()
