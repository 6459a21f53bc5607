"""What would have changed a finding: single heuristics, several together, thresholds moved until it is less."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from hopscope import config, fusion
from hopscope.config import Config
from hopscope.dossier import severity
from hopscope.explaining import counterfactuals
from hopscope.explaining.counterfactuals import Piece, Weigher, crossings, grid
from hopscope.findings import Evidence, Finding
from support.findings import finding


@pytest.fixture(scope="module")
def settings() -> Config:
    return config.load()


THRESHOLDS = {"path_gap": "path_gap.floor_ms = 15 ms", "cadence": "cadence.max_spread = 0.5 (MAD / median)"}


def of(settings: Config, **raw: float) -> Finding:
    """A finding of these heuristics' decibans, as fusion would tell it."""
    pieces = {h: (db, 1) for h, db in raw.items()}
    score = fusion.score_of(pieces, settings.fusion)
    evidence = tuple(
        Evidence(h, db, "", THRESHOLDS.get(h, ""), {}, {}, "10.0.0.11", 1, (), raw_db=raw[h])
        for h, db in fusion.scaled_of(pieces, settings.fusion).items()
    )
    without = {
        h: fusion.score_of({k: p for k, p in pieces.items() if k != h}, settings.fusion) for h in pieces
    }  # fmt: skip
    return finding(severity(score, settings.fusion), score, evidence=evidence, counterfactuals=without)


def test_single_heuristics_come_by_what_is_left_without_them(settings: Config) -> None:
    told = counterfactuals.singly(of(settings, path_gap=32.0, unnamed=10.0, prevalence=-4.0), settings.fusion)
    assert [(w.heuristics, round(w.score_db), w.severity) for w in told] == [
        (("path_gap",), -34, "info"),
        (("unnamed",), -12, "info"),
        (("prevalence",), 2, "medium"),
    ]


def test_several_are_told_together_only_where_no_single_one_changes_it(settings: Config) -> None:
    strong = of(settings, path_gap=35.0, relay_pattern=28.0, unnamed=3.0)
    assert strong.severity == "critical"
    together = counterfactuals.together(strong, settings.fusion)
    assert together is None  # without path_gap it would be no finding
    certain = of(settings, path_gap=38.0, relay_pattern=45.0, proxy_protocol=45.0, unnamed=3.0)
    together = counterfactuals.together(certain, settings.fusion)
    assert together is not None
    assert together.heuristics == ("proxy_protocol", "relay_pattern")
    assert together.severity == "medium" or together.severity == "low"


def gap(weight: float, above_ms: float) -> Callable[[str], Weigher | None]:
    """A heuristic that gives `weight` while its floor is up to `above_ms`, and half of it up to twice that."""

    def of(name: str) -> Weigher | None:
        def weigh(s: Any) -> Piece | None:
            part = 1.0 if s.floor_ms <= above_ms else 0.5 if s.floor_ms <= 2 * above_ms else 0.0
            return (weight * part, 1) if part else None

        return weigh if name == "path_gap" else None

    return of


def test_a_threshold_is_moved_as_far_as_it_takes_and_no_further(settings: Config) -> None:
    found = crossings(of(settings, path_gap=32.0, unnamed=10.0), settings, gap(32.0, 58.0))
    assert [(c.setting, c.now, c.at, c.up, c.severity) for c in found] == [
        ("path_gap.floor_ms", 15.0, 62.0, True, "info")  # half of the weight is too little already
    ]
    assert found[0].unit == "ms"
    assert found[0].score_db == pytest.approx(-14.0)


def test_of_several_steps_down_the_lowest_is_told(settings: Config) -> None:
    strong = of(settings, path_gap=36.0, cadence=12.0, unnamed=10.0)
    assert strong.severity == "high"
    (crossing,) = crossings(strong, settings, gap(36.0, 58.0))
    assert (crossing.at, crossing.severity) == (120.0, "info")


def test_a_threshold_that_lets_less_through_when_it_falls(settings: Config) -> None:
    def of_cadence(name: str) -> Weigher | None:
        return (lambda s: (12.0, 1) if s.max_spread > 0.1 else None) if name == "cadence" else None

    # max_burst is a greatest number as well; moving it changes nothing here
    found = crossings(of(settings, cadence=12.0, path_gap=32.0), settings, of_cadence)
    assert [(c.setting, c.at, c.up) for c in found] == [("cadence.max_spread", 0.1, False)]


def test_whole_numbers_stay_whole(settings: Config) -> None:
    seen = []

    def of_gap(name: str) -> Weigher | None:
        def weigh(s: Any) -> Piece | None:
            seen.append(s.min_samples)
            return (32.0, 1) if s.min_samples <= 12 else None

        return weigh if name == "path_gap" else None

    found = crossings(of(settings, path_gap=32.0, unnamed=10.0), settings, of_gap)
    assert [(c.setting, c.at) for c in found] == [("path_gap.min_samples", 13.0)]
    assert all(isinstance(n, int) for n in seen)


def test_nothing_is_said_where_the_heuristic_cannot_be_weighed_anew(settings: Config) -> None:
    assert crossings(of(settings, path_gap=32.0, unnamed=10.0), settings, lambda name: None) == []


def test_a_heuristic_that_decides_nothing_is_not_weighed(settings: Config) -> None:
    asked: list[str] = []

    def weigher(name: str) -> None:
        asked.append(name)

    strong = of(settings, path_gap=36.0, cadence=8.0, unnamed=8.0, community=1.0)  # 13 decibans, 10 make it high
    crossings(strong, settings, weigher)
    assert asked == ["path_gap", "cadence", "unnamed"]


def test_the_number_of_trials_is_bounded(settings: Config) -> None:
    count = 0

    def weigher(name: str) -> Weigher:
        def weigh(s: Any) -> Piece | None:
            nonlocal count
            count += 1
            return (1.0, 1)

        return weigh

    weak = of(settings, path_gap=6.0, cadence=8.0, unnamed=8.0, payload_profile=5.0, community=4.0)
    crossings(dataclasses.replace(weak, severity="low"), settings, weigher)
    assert 0 < count <= counterfactuals.WEIGHINGS


@pytest.mark.parametrize(
    ("now", "up", "most", "whole", "nearest", "farthest"),
    [
        (15.0, True, None, False, 16.0, 1500.0),
        (0.5, False, None, False, 0.47, 0.0051),
        (0.5, True, 1.0, False, 0.51, 1.0),
        (0.3, True, 0.3, False, None, None),
        (3, True, None, True, 4.0, 300.0),
        (3, False, None, True, 2.0, 1.0),
        (0, True, None, True, None, None),
    ],
)
def test_the_values_tried(
    now: float, up: bool, most: float | None, whole: bool, nearest: float | None, farthest: float | None
) -> None:
    values = grid(now, up, most, whole)
    assert values == sorted(values, reverse=not up)
    assert now not in values
    assert (values[0] if values else None, values[-1] if values else None) == (nearest, farthest)
