"""What tune proposes on made-up evidence: better on labels held out, or nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from hopscope import config
from hopscope.config import FusionSettings
from hopscope.errors import UsageError
from hopscope.tuning import fitting, model, validation
from hopscope.tuning.fitting import Fitted
from hopscope.tuning.model import Example, Labelled, Settings, Shape
from hopscope.tuning.validation import Effect, Parting, Proposal

SETTINGS = config.load().fusion
Drawn = dict[str, tuple[float, int]]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer partings and strengths than the command's: each test fits a few hundred times less."""
    monkeypatch.setattr(validation, "PARTINGS", 1)
    monkeypatch.setattr(fitting, "STRENGTHS", (np.inf, 10.0, 3.0))


def hop(rng: np.random.Generator) -> Drawn:
    """A gap, and at most a loose rhythm, by bare address."""
    return {
        "path_gap": (float(rng.normal(36, 0.5)), 1),
        "cadence": (float(rng.uniform(0, 6)), 1),
        "unnamed": (float(rng.uniform(5, 10)), 1),
    }


def look_alike(rng: np.random.Generator) -> Drawn:
    """An agent through an accelerator: a gap as well, a strict rhythm, and a name."""
    rhythm = {"cadence": (float(rng.uniform(9, 14)), 1), "payload_profile": (float(rng.uniform(0, 4)), 1)}
    return rhythm | {"path_gap": (float(rng.normal(32, 1)), int(rng.integers(1, 3)))}


def examples(hops: int, benign: int, seed: int) -> Iterator[Example]:
    rng = np.random.default_rng(seed)
    kinds = rng.permutation([True] * hops + [False] * benign)
    for i, is_hop in enumerate(kinds):
        yield Example(bool(is_hop), hop(rng) if is_hop else look_alike(rng), f"192.0.{i // 200 + 2}.{i % 200}")


def columns(given: list[Example]) -> tuple[Labelled, Settings, Shape]:
    labels = model.labelled(given, SETTINGS, frozenset())
    return labels, shipped(labels, SETTINGS), model.shape(labels.heuristics, SETTINGS)


def shipped(labels: Labelled, settings: FusionSettings) -> Settings:
    ones = np.ones(len(labels.heuristics))
    return Settings(settings.prior_db, ones, settings.medium_db, settings.high_db, settings.critical_db)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fewer_false_findings_at_equal_recall_on_labels_it_has_not_seen(seed: int) -> None:
    labels, current, shape = columns(list(examples(60, 140, seed)))
    seen, unseen = labels.take(np.arange(100)), labels.take(np.arange(100, 200))
    proposal = validation.propose(seen, current, shape)
    assert proposal.refused is None
    before, after = (validation.effects(unseen, s, shape)[0] for s in (current, proposal.fitted.settings))
    assert after.found >= before.found
    assert after.false < before.false / 2
    # and it didn't promise more than that
    held = proposal.middle.after[0]
    assert held.false / held.benign == pytest.approx(after.false / after.benign, abs=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_verdicts_by_chance_give_no_proposal(seed: int) -> None:
    given = list(examples(40, 80, seed))
    verdicts = np.random.default_rng(seed + 10).permutation([e.hop for e in given])
    labels, current, shape = columns(
        [Example(bool(v), e.pieces, e.address) for v, e in zip(verdicts, given, strict=True)]
    )
    assert validation.propose(labels, current, shape).refused


def test_labels_of_one_hop_are_held_out_together() -> None:
    labels, _, _ = columns([Example(i % 2 == 0, {}, f"192.0.2.{i // 4}") for i in range(120)])
    for rest, out in fitting.split(labels, 5, 1):
        assert not set(labels.place[rest]) & set(labels.place[out])
        assert labels.hop[out].any()
        assert not labels.hop[out].all()


def test_more_evidence_never_lowers_a_score() -> None:
    """Even where the labels say the contrary: what speaks for a hop is at most left out."""
    rng = np.random.default_rng(5)
    given = [
        Example(i % 3 == 0, {"path_gap": (30.0, 1), "cadence": (2.0 if i % 3 == 0 else 14.0, 1), "unnamed": (9.0, 1),
                             "byte_ratio": (float(rng.uniform(0, 8)), 1)}, f"192.0.2.{i}")
        for i in range(120)
    ]  # fmt: skip
    labels, current, shape = columns(given)
    weights = validation.propose(labels, current, shape).fitted.settings.weights
    assert (weights >= 0).all()
    assert weights[labels.heuristics.index("cadence")] < 0.5


def test_how_many_benign_labels_there_are_does_not_matter_to_the_weights() -> None:
    given = list(examples(30, 240, 4))
    few = [e for n, e in enumerate(given) if e.hop or n % 4 == 0]
    (many, current, shape), (less, _, _) = columns(given), columns(few)
    a, b = (fitting.fit(labels, current, shape, 5, 1).settings for labels in (many, less))
    assert a.weights == pytest.approx(b.weights, abs=0.4)
    assert a.prior_db == pytest.approx(b.prior_db, abs=3)


@pytest.mark.parametrize(
    ("hops", "benign", "told"),
    [
        (9, 20, r"label 1 more hops \(9 of 10\), each"),
        (10, 19, r"label 1 more benign destinations \(19 of 20\)"),
        (0, 0, r"10 more hops \(0 of 10\) and 20 more benign destinations \(0 of 20\)"),
    ],
)
def test_too_few_labels_are_refused_and_it_says_which(hops: int, benign: int, told: str) -> None:
    labels, current, shape = columns(list(examples(hops, benign, 1)))
    with pytest.raises(UsageError, match=told):
        validation.propose(labels, current, shape)


def test_many_labels_of_few_places_are_few() -> None:
    given = [Example(e.hop, e.pieces, f"192.0.2.{i % 8}") for i, e in enumerate(examples(40, 80, 1))]
    with pytest.raises(UsageError, match=r"2 more hops \(8 of 10\) and 12 more benign destinations \(8 of 20\)"):
        validation.check(columns(given)[0])


def test_places_that_are_both_teach_nothing() -> None:
    given = [Example(v, {}, f"192.0.2.{i}") for i in range(30) for v in (True, False)]
    with pytest.raises(UsageError, match="30 places are labelled hop and benign both"):
        validation.check(columns(given)[0])


def test_just_enough_labels_are_taken() -> None:
    labels, current, shape = columns(list(examples(10, 20, 2)))
    assert validation.propose(labels, current, shape).before[0].hops == 10


def test_without_false_findings_there_is_nothing_to_tune() -> None:
    given = [e if e.hop else Example(False, {"cadence": (5.0, 1)}, e.address) for e in examples(20, 40, 1)]
    refused = validation.propose(*columns(given)).refused
    assert refused is not None
    assert "no false finding to lose" in refused


def proposed(was: tuple[int, int], now: tuple[int, int], moved: tuple[int, int], weight: float = 0.5) -> Proposal:
    """Found and false before and after, and places whose false findings vanished and appeared."""
    before, after = (Effect(found, 20, false, 40) for found, false in (was, now))
    parting = Parting((after,) * 3, {}, *moved, tuple(range(was[0] - now[0])), ())
    settings = Settings(-40.0, np.array([weight]), 0.0, 10.0, 20.0)
    return Proposal(Fitted(settings, 10.0), (before,) * 3, (parting,), None)


@pytest.mark.parametrize(
    ("proposal", "lose", "told"),
    [
        (proposed((20, 30), (20, 10), (20, 0)), 0, None),
        (proposed((20, 30), (19, 10), (20, 0)), 0, "19 are found instead of 20"),
        (proposed((20, 30), (19, 10), (20, 0)), 1, None),
        (proposed((20, 30), (18, 10), (20, 0)), 1, "--lose 2 would"),
        (proposed((20, 30), (20, 30), (4, 4)), 0, "false findings do not fall: 30 of 40 held out, 30 today"),
        (proposed((20, 30), (20, 26), (4, 0)), 0, "4 go and 0 come, which chance could do as well"),
        (proposed((20, 30), (20, 25), (5, 0)), 0, None),
        (proposed((20, 30), (20, 25), (10, 5)), 0, "10 go and 5 come"),
        (proposed((0, 30), (0, 10), (20, 0)), 0, "none of the labelled hops is found"),
        (proposed((20, 30), (20, 10), (20, 0), 1.0), 0, "ask for the settings that you have"),
    ],
)
def test_what_is_no_improvement_is_refused(proposal: Proposal, lose: int, told: str | None) -> None:
    current = Settings(-40.0, np.array([1.0]), 0.0, 10.0, 20.0)
    why = validation.reason(proposal, current, lose)
    assert (why is None) if told is None else (why is not None and told in why)


def test_few_hops_leave_much_open() -> None:
    assert proposed((20, 30), (20, 10), (20, 0)).lost_at_most == pytest.approx(1 - 0.05 ** (1 / 20))
    assert proposed((20, 30), (19, 10), (20, 0)).lost_at_most > 0.2
