"""interning: texts as numbers and back."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from hopscope.interning import Texts

COLUMN = st.lists(st.none() | st.sampled_from(["b", "a", "", "é", "aa"]), max_size=10)


@given(st.lists(COLUMN, max_size=4), COLUMN)
def test_numbers_stand_for_texts_in_any_batch(columns: list[list[str | None]], asked: list[str | None]) -> None:
    texts = Texts()
    numbers = [texts.numbers(pa.array(column, pa.string())).tolist() for column in columns]
    known = texts.values.to_pylist()
    for column, told in zip(columns, numbers, strict=True):
        assert [None if n < 0 else known[n] for n in told] == column
    looked_up = texts.look_up(pa.array(asked, pa.string())).tolist()
    assert looked_up == [known.index(text) if text in known else -1 for text in asked]
    ordered, place = texts.ranks()
    assert ordered.to_pylist() == sorted(known, key=str.encode)
    assert [ordered.to_pylist()[place[n]] for n in range(len(known))] == known
    assert place[-1] == -1
