import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.heuristics.segments import distinct, group_ids, means, offsets_of, order_of, quantiles, spans, unique

GROUPS = st.lists(st.lists(st.floats(-1e9, 1e9), max_size=8), max_size=12)


@given(GROUPS)
def test_statistics_of_groups_are_those_of_each_group_alone(groups: list[list[float]]) -> None:
    values = np.array([v for g in groups for v in g], np.float64)
    offsets = np.concatenate([[0], np.cumsum([len(g) for g in groups])]).astype(np.int64)
    found, mean = quantiles(values, offsets, (0.25, 0.5, 1.0)), means(values, offsets)
    for k, group in enumerate(groups):
        if group:
            assert found[:, k] == pytest.approx(np.quantile(group, [0.25, 0.5, 1.0]), abs=1e-3)
            assert mean[k] == pytest.approx(np.mean(group), abs=1e-3)
        else:
            assert np.isnan(found[:, k]).all()
            assert np.isnan(mean[k])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))))
def test_rows_share_an_id_exactly_where_all_columns_are_equal(rows: list[tuple[int, int]]) -> None:
    table = np.array(rows, np.int64).reshape(-1, 2)
    ids = group_ids(table[:, 0], table[:, 1])
    assert [[a == b for b in rows] for a in rows] == (ids[:, None] == ids).tolist()


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5))))
def test_spans_are_ranges_end_to_end(ranges: list[tuple[int, int]]) -> None:
    begin, length = np.array(ranges, np.int64).reshape(-1, 2).T
    assert spans(begin, length).tolist() == [i for b, n in ranges for i in range(b, b + n)]


def test_offsets_bound_runs_of_equal_ids() -> None:
    assert offsets_of(np.array([4, 4, 1, 1, 1, 4])).tolist() == [0, 2, 5, 6]
    assert offsets_of(np.array([], np.int64)).tolist() == [0]


@pytest.mark.parametrize("far", [0, 1 << 60])
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-3, 3))))
def test_rows_are_ordered_by_group_then_value_and_stay_as_they_are_otherwise(
    far: int, rows: list[tuple[int, int]]
) -> None:
    """Also where groups and values are too far apart for one number."""
    group = np.array([g * far if far else g for g, _ in rows], np.int64)
    values = np.array([v * far if far else v for _, v in rows], np.int64)
    expected = sorted(range(len(rows)), key=lambda i: (group[i], values[i]))
    assert order_of(group, values).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4))))
def test_different_values_are_counted(rows: list[tuple[int, int]]) -> None:
    group, values = np.array(rows, np.int64).reshape(-1, 2).T
    assert unique(values).tolist() == sorted(set(values.tolist()))
    assert distinct(group, values, 5).tolist() == [len({v for g, v in rows if g == k}) for k in range(5)]


@given(st.lists(st.lists(st.one_of(st.integers(0, 1 << 62), st.floats(-1e18, 1e18)), max_size=8), max_size=6))
def test_quantiles_of_any_numbers_are_exact_where_they_are_values(groups: list[list[float]]) -> None:
    values = np.array([v for g in groups for v in g], np.float64)
    offsets = np.concatenate([[0], np.cumsum([len(g) for g in groups])]).astype(np.int64)
    least, most = quantiles(values, offsets, (0.0, 1.0))
    for k, group in enumerate(groups):
        if group:
            assert (least[k], most[k]) == (min(map(float, group)), max(map(float, group)))
