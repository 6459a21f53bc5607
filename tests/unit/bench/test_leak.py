"""Single traits as classifiers, on captures that they didn't learn from."""

from __future__ import annotations

from typing import Any

from bench.quality import leak
from bench.quality.leak import Traits


def captures(*hops_and_others: tuple[list[Any], list[Any]]) -> list[Traits]:
    return [
        Traits(str(n), (True,) * len(hops) + (False,) * len(others), tuple({"t": v} for v in (*hops, *others)))
        for n, (hops, others) in enumerate(hops_and_others)
    ]


def test_a_trait_that_gives_the_truth_away_is_seen() -> None:
    [t] = leak.best(captures(([9.0], [1.0, 2.0]), ([8.0], [3.0, 1.0]), ([7.5], [2.0, 2.0])))
    assert (t.hops_right, t.others_right, t.wrong) == (1.0, 1.0, 0)


def test_either_direction() -> None:
    [t] = leak.best(captures(([1.0], [9.0, 8.0]), ([2.0], [7.0, 9.0]), ([1.5], [8.0, 8.0])))
    assert t.balanced == 1.0


def test_what_holds_for_one_capture_alone_is_no_leak() -> None:
    [t] = leak.best(captures((["a"], ["x", "y"]), (["b"], ["x", "y"]), (["c"], ["x", "y"])))
    assert (t.hops_right, t.others_right) == (0.0, 1.0)


def test_words_and_missing_values() -> None:
    [t] = leak.best(captures((["ssh"], ["ssl", None]), (["ssh"], ["ssl", "ssl"])))
    assert t.balanced == 1.0
    [u] = leak.best(captures(([None], [1.0, 2.0]), ([None], [3.0, 2.0])))
    assert u.balanced == 1.0


def test_captures_without_a_hop_are_learnt_from_and_not_judged() -> None:
    [t] = leak.best(captures(([9.0], [1.0]), ([9.0], [1.0]), ([], [9.0, 9.0, 9.0])))
    assert t.others_right == 1.0
