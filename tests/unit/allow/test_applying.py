"""The allowlist over findings: hidden, lowered or shown, and never in silence."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import pytest

from hopscope import fusion
from hopscope.allow import applying, entries
from hopscope.config import FusionSettings
from hopscope.dossier import severity
from hopscope.findings import Entity, Evidence, Finding
from support.findings import BARE

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
SETTINGS = FusionSettings()


def piece(heuristic: str, raw_db: float) -> Evidence:
    return Evidence(heuristic, raw_db, f"{heuristic} speaks", "", {}, {}, "10.0.0.1", 1, (), raw_db=raw_db)


def finding(number: int, *pieces: Evidence, **changes: Any) -> Finding:
    """A finding at 203.0.113.NUMBER whose score is that of its pieces."""
    base = dataclasses.replace(
        BARE, id=f"hop-{number}", entity=Entity("service", f"203.0.113.{number}:443/tcp"), hop=f"203.0.113.{number}",
        clients=("10.0.0.1",), clients_total=1, names=(), evidence=pieces,
    )  # fmt: skip
    score = fusion.score_of(fusion.pieces_of(base), SETTINGS)
    return dataclasses.replace(base, score_db=round(score, 1), severity=severity(score, SETTINGS), **changes)


STRONG = finding(1, piece("path_gap", 36.0), piece("byte_ratio", 8.0), piece("unnamed", 10.0))  # 14: high
CRITICAL = finding(2, piece("proxy_protocol", 45.0), piece("path_gap", 30.0))  # 35
LOW = finding(3, piece("path_gap", 35.0))  # -5


def applied(lines: str, *findings: Finding, expires: str = '"never"') -> applying.Shown:
    text = f'[[allow]]\nid = "x"\nreason = "known"\nauthor = "ada"\nexpires = {expires}\n{lines}\n'
    return applying.apply(findings, entries.parse(text, Path("allow.toml")), NOW, SETTINGS)


def test_without_entries_nothing_changes() -> None:
    shown = applying.apply([STRONG, LOW], entries.Allowlist(), NOW, SETTINGS)
    assert shown == applying.Shown((STRONG, LOW), (), (), frozenset())


def test_what_an_entry_covers_is_hidden_and_says_by_what() -> None:
    shown = applied('addresses = ["203.0.113.1:443"]', STRONG, LOW)
    assert shown.shown == (LOW,)
    [hidden] = shown.hidden
    assert hidden == dataclasses.replace(STRONG, suppression="allowlist entry x: known (ada)")
    assert shown.lines == (
        "1 finding hidden by the allowlist (1 high): 1 by x (known); hopscope findings --all shows them",
    )
    assert shown.matched == {"x"}


def test_critical_findings_are_told_though_hidden() -> None:
    shown = applied('networks = ["203.0.113.0/24"]', STRONG, CRITICAL, LOW)
    assert "(1 critical, 1 high, 1 low)" in shown.lines[0]
    assert shown.lines[1] == "hidden though critical: hop-2 203.0.113.2:443/tcp +35.0 dB, by " \
                             "allowlist entry x: known (ada)"  # fmt: skip


def test_an_entry_ends_at_its_day_and_what_it_hid_is_told() -> None:
    assert applied('addresses = ["203.0.113.1"]', STRONG, expires="2026-11-23").shown == ()
    over = applied('addresses = ["203.0.113.1"]', STRONG, expires="2026-11-22")
    assert over.shown == (STRONG,)
    assert over.lines == ("1 finding not hidden any more: x expired on 2026-11-22",)
    assert applied('addresses = ["203.0.113.1"]', STRONG, expires="2026-10-01").lines == ()


def test_a_heuristic_that_is_left_out_lowers_what_it_spoke_for() -> None:
    shown = applied('heuristics = ["byte_ratio"]', STRONG, LOW)
    lowered, low = shown.shown
    assert low == LOW
    assert lowered.score_db == pytest.approx(STRONG.score_db - 8.0)
    assert lowered.severity == "medium"
    assert lowered.suppression is None
    assert "byte_ratio" in lowered.allowance[0]
    assert "+14.0 dB without the allowlist" in lowered.allowance[0]
    by = {e.heuristic: e for e in lowered.evidence}
    assert by["byte_ratio"].decibans == 0.0
    assert by["byte_ratio"].sentence == "not counted by x: byte_ratio speaks"
    assert lowered.prior_db + sum(e.decibans for e in lowered.evidence) == pytest.approx(lowered.score_db)
    assert lowered.counterfactuals["unnamed"] == pytest.approx(lowered.score_db - 10.0)
    assert "byte_ratio" not in lowered.counterfactuals
    assert shown.lines == ("1 finding counting for less by the allowlist",)


def test_what_sinks_below_low_is_hidden_with_its_old_score() -> None:
    shown = applied('heuristics = ["path_gap"]', LOW)
    [hidden] = shown.hidden
    assert hidden.score_db == LOW.score_db
    assert hidden.suppression is not None
    assert "leaves out path_gap, which leaves -40.0 dB, less than low" in hidden.suppression


def test_leaving_out_never_makes_a_finding_stronger() -> None:
    against = finding(4, piece("path_gap", 36.0), piece("prevalence", -6.0))
    assert applied('heuristics = ["prevalence"]', against).shown == (against,)


def test_group_caps_hold_for_what_is_left() -> None:
    both = finding(5, piece("cadence", 18.0), piece("payload_profile", 12.0), piece("path_gap", 30.0))
    [lowered] = applied('heuristics = ["cadence"]', both).shown
    left = {h: p for h, p in fusion.pieces_of(both).items() if h != "cadence"}
    assert lowered.score_db == pytest.approx(fusion.score_of(left, SETTINGS), abs=0.1)
    profile = next(e for e in lowered.evidence if e.heuristic == "payload_profile")
    assert profile.decibans == pytest.approx(12.0)
    assert profile.capped_from is None


def test_findings_of_older_versions_are_lowered_too() -> None:
    old = dataclasses.replace(STRONG, evidence=tuple(dataclasses.replace(e, raw_db=None) for e in STRONG.evidence))
    [lowered] = applied('heuristics = ["byte_ratio"]', old).shown
    assert lowered.score_db == pytest.approx(STRONG.score_db - 8.0)


def test_an_entry_that_nearly_covers_says_why_it_does_not() -> None:
    [shown] = applied('addresses = ["203.0.113.1"]\nclients = ["10.0.0.2"]', STRONG).shown
    assert shown.allowance == ("x doesn't hide it: its clients aren't in 10.0.0.2",)
    [other] = applied('addresses = ["203.0.113.7"]\nclients = ["10.0.0.1"]', STRONG).shown
    assert other.allowance == ()


def test_as_numbers_without_a_database_are_told_once() -> None:
    shown = applied("asns = [64500]", STRONG, LOW)
    assert shown.shown == (STRONG, LOW)
    [line] = shown.lines
    assert line.startswith("x can't be judged: AS numbers need network.asn_database")


def test_the_first_entry_of_the_file_is_named() -> None:
    text = "".join(
        f'[[allow]]\nid = "{i}"\nreason = "r"\nexpires = "never"\nnetworks = ["203.0.113.0/24"]\n' for i in "ab"
    )
    shown = applying.apply([STRONG], entries.parse(text, Path("a")), NOW, SETTINGS)
    assert shown.hidden[0].suppression == "allowlist entry a: r"
    assert shown.matched == {"a", "b"}


def test_what_is_shown_survives_json() -> None:
    [shown] = applied('heuristics = ["byte_ratio"]', STRONG).shown
    assert Finding.from_json(shown.to_json()) == shown
