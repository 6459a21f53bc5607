"""Scores in columns are fusion's scores, and labels of one place count as one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope import config, fusion
from hopscope.config import FusionSettings
from hopscope.heuristics import registry
from hopscope.tuning import model
from hopscope.tuning.model import Example

HEURISTICS = sorted(registry())
DECIBANS = st.floats(-40, 60).map(lambda db: round(db, 2))  # smaller ones times a weight are none
PIECES = st.dictionaries(st.sampled_from(HEURISTICS), st.tuples(DECIBANS, st.integers(1, 9)), min_size=1, max_size=8)
WEIGHTS = st.dictionaries(st.sampled_from(HEURISTICS), st.floats(0, 3).map(lambda w: round(w, 2)), max_size=5)
CAPS = st.dictionaries(st.sampled_from(sorted(fusion.GROUPS)), st.floats(0, 60), max_size=4)


@pytest.fixture(scope="module")
def settings() -> FusionSettings:
    return config.load().fusion


@given(st.lists(PIECES, min_size=1, max_size=4), WEIGHTS, CAPS, st.floats(-60, 0))
def test_scores_are_those_of_fusion(
    pieces: list[dict[str, tuple[float, int]]], weights: dict[str, float], caps: dict[str, float], prior: float
) -> None:
    settings = FusionSettings(prior_db=prior, weights=weights, caps=caps)
    labels = model.labelled([Example(True, p, "192.0.2.1") for p in pieces], settings, frozenset())
    given_weights = np.array([weights.get(h, 1.0) for h in labels.heuristics])
    got = model.scores(labels, prior, given_weights, model.shape(labels.heuristics, settings))
    assert got == pytest.approx([fusion.score_of(p, settings) for p in pieces], abs=1e-6)


def test_what_the_fit_follows_is_close_to_the_scores_and_has_their_slopes(settings: FusionSettings) -> None:
    pieces = [{"path_gap": (20.0, 2), "cadence": (9.0, 1)}, {"cadence": (14.0, 1), "payload_profile": (9.0, 1)}]
    labels = model.labelled([Example(True, p, "192.0.2.1") for p in pieces], settings, frozenset())
    shape, at = model.shape(labels.heuristics, settings), np.array([0.9, 1.1, 1.0])
    score, slopes = model.smooth(labels, -40.0, at, shape)
    assert score == pytest.approx(model.scores(labels, -40.0, at, shape), abs=0.7)
    for column in range(len(at)):
        moved = at.copy()
        moved[column] += 1e-6
        change = (model.smooth(labels, -40.0, moved, shape)[0] - score) / 1e-6
        assert change == pytest.approx(slopes[:, column], abs=1e-3)
    # together 22 dB of rhythm, more than the group's 18: neither weight moves that score much
    assert labels.heuristics == ("cadence", "path_gap", "payload_profile")
    assert slopes[1] == pytest.approx([0, 0, 0], abs=1)


def test_heuristics_that_are_off_or_unknown_say_nothing(settings: FusionSettings) -> None:
    pieces = {"path_gap": (20.0, 1), "cadence": (9.0, 1), "of_a_later_version": (50.0, 1)}
    labels = model.labelled([Example(True, pieces, "192.0.2.1")], settings, frozenset({"cadence"}))
    assert labels.heuristics == ("path_gap",)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("192.0.2.1", ()), ("192.0.2.1", ()), True),
        (("192.0.2.1", ()), ("192.0.2.2", ()), False),
        (("192.0.2.1", ("A.example.",)), ("192.0.2.2", ("b.example", "a.example")), True),
        (("2001:db8::1", ()), ("2001:db8::2", ()), True),
        (("2001:db8::1", ()), ("2001:db8:0:1::1", ()), False),
        ((None, ("a.example",)), ("192.0.2.2", ("a.example",)), True),
        ((None, ()), (None, ()), False),
    ],
)
def test_labels_of_one_address_or_name_are_of_one_place(
    settings: FusionSettings,
    one: tuple[str | None, tuple[str, ...]],
    other: tuple[str | None, tuple[str, ...]],
    same: bool,
) -> None:
    labels = model.labelled([Example(True, {}, *one), Example(False, {}, *other)], settings, frozenset())
    assert (labels.place[0] == labels.place[1]) is np.bool_(same)


def test_places_join_over_others(settings: FusionSettings) -> None:
    chain = [("192.0.2.1", ("a.example",)), ("192.0.2.2", ("b.example",)), ("192.0.2.1", ("b.example",)),
             ("192.0.2.3", ("c.example",))]  # fmt: skip
    labels = model.labelled([Example(True, {}, *c) for c in chain], settings, frozenset())
    assert len(set(labels.place[:3].tolist())) == 1
    assert labels.shares == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])
    assert dataclasses.replace(labels).take(np.array([3])).place.tolist() == [labels.place[3]]
