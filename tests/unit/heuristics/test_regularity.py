import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hopscope.heuristics.regularity import NEIGHBOURS, usual


@given(st.lists(st.lists(st.floats(0, 1e9), max_size=20), max_size=6))
def test_the_usual_interval_is_the_median_of_the_neighbours_in_the_group(groups: list[list[float]]) -> None:
    x = np.array([v for g in groups for v in g], np.float64)
    bounds = np.cumsum([0, *map(len, groups)])
    group = np.repeat(np.arange(len(groups)), np.diff(bounds))
    behind, ahead = usual(x, bounds[group], bounds[group + 1])
    at = 0
    for g in groups:
        for i in range(len(g)):
            assert behind[at] == np.median(g[max(i + 1 - NEIGHBOURS, 0) : i + 1])
            after = g[i + 1 : i + 1 + NEIGHBOURS]
            assert ahead[at] == np.median(after) if after else np.isnan(ahead[at])
            at += 1
