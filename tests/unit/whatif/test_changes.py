"""What other settings change: each finding's fate, the piece that moved it, and what labels say of both sides."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from hopscope import labels
from hopscope.config import FusionSettings
from hopscope.dossier import severity
from hopscope.findings import Entity, Evidence, Finding
from hopscope.labels import Label
from hopscope.labels.making import Said, of_finding
from hopscope.whatif import changes
from hopscope.whatif.changes import Moved, Outcome, Parts
from support.findings import GAP, UNNAMED, finding


def seen(id_: str, gap: float, naming: float = 0.0, hop: str = "192.0.2.1", prior: float = -40.0) -> Finding:
    evidence: list[Evidence] = [dataclasses.replace(GAP, decibans=gap)] if gap else []
    evidence += [dataclasses.replace(UNNAMED, decibans=naming)] if naming else []
    score = prior + gap + naming
    return finding(severity(score, FusionSettings()), score, id=id_, hop=hop, prior_db=prior, evidence=tuple(evidence),
                   entity=Entity("service", f"{hop}:443/tcp"))  # fmt: skip


def below(finding: Finding) -> Parts:
    return {"prior": -40.0, "unnamed": 8.0}


def outcome(
    before: Sequence[Finding], after: Sequence[Finding], said: Sequence[Label] = (), severity: str = "medium"
) -> Outcome:
    return changes.outcome(before, after, said, severity, below, below)


@pytest.mark.parametrize(
    ("before", "after", "kind", "scores", "why"),
    [
        (seen("a", 41), None, "vanishes", (1.0, -32.0), Moved("path_gap", 41, None)),
        (None, seen("a", 41), "appears", (-32.0, 1.0), Moved("path_gap", None, 41)),
        (seen("a", 41), seen("a", 39), "vanishes", (1.0, -1.0), Moved("path_gap", 41, 39)),
        (seen("a", 39), seen("a", 39, 8), "appears", (-1.0, 7.0), Moved("unnamed", None, 8)),
        (seen("a", 41), seen("a", 43), "rises", (1.0, 3.0), Moved("path_gap", 41, 43)),
        (seen("a", 43, 8), seen("a", 43), "falls", (11.0, 3.0), Moved("unnamed", 8, None)),
        (seen("a", 41), seen("a", 41, prior=-30), "rises", (1.0, 11.0), Moved("prior", -40, -30)),
    ],
)
def test_what_becomes_of_a_finding(
    before: Finding | None, after: Finding | None, kind: str, scores: tuple[float, float], why: Moved
) -> None:
    got = outcome([before] if before else [], [after] if after else [])
    [change] = got.changes
    assert (change.kind, (change.before_db, change.after_db), change.why) == (kind, scores, why)
    assert change.finding.id == "a"
    assert got.same == 0


def test_what_stays_is_counted_and_what_nobody_sees_is_not() -> None:
    stays, low, lower = seen("a", 50), seen("b", 35, hop="192.0.2.2"), seen("b", 31, hop="192.0.2.2")
    assert outcome([stays, low], [stays, lower]) == Outcome((), 1, None)
    told = outcome([stays, low], [stays, lower], severity="low")
    assert [(c.kind, c.finding.id) for c in told.changes] == [("falls", "b")]


def test_the_severity_that_begins_elsewhere_is_a_change_without_a_piece() -> None:
    now = dataclasses.replace(seen("a", 41), severity="low")
    [change] = outcome([seen("a", 41)], [now]).changes
    assert (change.kind, change.why, change.before_db, change.after_db) == ("vanishes", None, 1.0, 1.0)


def test_a_hop_told_as_another_entity_is_the_same_hop() -> None:
    service = seen("a", 41)
    address = dataclasses.replace(seen("b", 50), entity=Entity("address", "192.0.2.1"), port=None, proto=None)
    other = seen("c", 45, hop="192.0.2.2")
    [change] = outcome([service, other], [address, other]).changes
    assert (change.kind, change.before, change.after) == ("rises", service, address)
    # three services of it become one address: the strongest is that address, the others are gone
    more = [service, seen("d", 43), seen("e", 42)]
    assert [(c.kind, c.before and c.before.id) for c in outcome(more, [address]).changes] == [
        ("vanishes", "e"), ("vanishes", "a"), ("rises", "d")]  # fmt: skip


def test_changes_stand_by_kind_and_strength() -> None:
    hops = [f"192.0.2.{i}" for i in range(5)]
    before = [seen("a", 41, hop=hops[0]), seen("b", 45, hop=hops[1]), seen("c", 41, hop=hops[2])]
    after = [seen("c", 45, hop=hops[2]), seen("d", 41, hop=hops[3]), seen("e", 42, hop=hops[4])]
    assert [c.finding.id for c in outcome(before, after).changes] == ["e", "d", "b", "a", "c"]


def test_labels_measure_both_sides_at_the_severity() -> None:
    hop, agent = seen("a", 41, hop="192.0.2.1"), seen("b", 45, hop="192.0.2.2")
    now = datetime(2026, 11, 22, tzinfo=UTC)
    said = [of_finding(hop, Said("hop", now)), of_finding(agent, Said("benign", now))]
    got = outcome([hop, agent], [hop, seen("b", 35, hop="192.0.2.2")], said)
    assert got.measured == (
        labels.Measure(hops=1, benign=1, outgrown=0, unlabelled=0, found=1, missed=0),
        labels.Measure(hops=1, benign=0, outgrown=0, unlabelled=0, found=1, missed=0),
    )
    missed = outcome([hop], [], said).measured
    assert missed is not None
    assert (missed[0].recall, missed[1].recall, missed[1].precision) == (1.0, 0.0, None)
