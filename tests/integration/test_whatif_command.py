"""hopscope whatif, as users run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hopscope import cli, places, store
from hopscope.findings import Finding
from support import kept_hunt
from support.kept_hunt import Run


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return kept_hunt.home(tmp_path, monkeypatch)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.fixture
def hops(kept: Path) -> list[Finding]:
    """What the hunt told at medium and above."""
    return [f for f in store.read(kept) if f.severity in ("medium", "high", "critical")]


def changes(out: str) -> dict[str, dict[str, object]]:
    return {c["id"]: c for c in map(json.loads, out.splitlines())}


def test_a_floor_above_the_gap_has_its_findings_vanish(run: Run, hops: list[Finding]) -> None:
    code, out, err = run("whatif", "--set", "path_gap.floor_ms=0.5 s", "--disable", "cadence")
    assert code == 0
    told = changes(out)
    gone = [f for f in hops if f.counterfactuals.get("path_gap", 0) < 0]
    assert gone
    for f in gone:
        change = told[f.id]
        assert (change["change"], change["before"]) == ("vanishes", {"score_db": f.score_db, "severity": f.severity})
        assert isinstance(change["moved"], dict)
        assert (change["moved"]["what"], change["moved"]["after_db"]) == ("path_gap", None)
    assert "cadence disabled; path_gap.floor_ms 500 ms (was 15)" in err
    assert "weighed   path_gap\n" in err


def test_a_higher_prior_has_findings_rise_and_appear_without_weighing(
    run: Run, kept: Path, hops: list[Finding]
) -> None:
    _, out, err = run("whatif", "--set", "fusion.prior_db=-25")
    told = changes(out)
    assert {i for i, c in told.items() if c["change"] == "rises"} == {f.id for f in hops}
    appear = [f for f in store.read(kept) if f.severity == "low"]
    assert {f.id for f in appear} == {i for i, c in told.items() if c["change"] == "appears"} != set()
    for f in appear:
        assert told[f.id]["after"] == {"score_db": round(f.score_db + 15, 1), "severity": "medium"}
    assert "nothing: scores alone were added up anew" in err


def test_the_score_of_what_vanishes_wholly_is_known(run: Run, hops: list[Finding]) -> None:
    _, out, _ = run("whatif", "--set", "fusion.prior_db=-130")
    for f in hops:
        change = changes(out)[f.id]
        assert change["after"] == {"score_db": pytest.approx(f.score_db - 90, abs=0.11), "severity": None}


def test_what_is_in_force_changes_nothing_and_nothing_is_kept(run: Run, kept: Path, hops: list[Finding]) -> None:
    before = {p: p.read_bytes() for p in kept.parent.rglob("*") if p.is_file()}
    code, out, err = run("whatif", "--set", "path_gap.floor_ms=15", "--set", "fusion.prior_db=-40")
    assert (code, out) == (0, "")
    assert "nothing but what is in force" in err
    assert f"same      {len(hops)} findings at medium or above" in err
    run("whatif", "--disable", "path_gap")
    assert {p: p.read_bytes() for p in kept.parent.rglob("*") if p.is_file()} == before


def test_labels_measure_both_sides_and_stand_beside(run: Run, hops: list[Finding]) -> None:
    first = hops[0]
    run("label", first.id, "hop", "--note", "\x1b[31mred")
    _, out, _ = run("whatif", "--set", "fusion.prior_db=-130", "--format", "table")
    assert "before    precision 1.00 (1 of 1 labelled findings), recall 1.00 (1 of 1" in out
    assert "after     precision unknown (0 of 0 labelled findings), recall 0.00 (0 of 1" in out
    assert r"hop: \x1b[31mred (ana, 20" in out
    assert "\x1b" not in out


def test_the_allowlist_hides_nothing_and_is_marked(run: Run, hops: list[Finding]) -> None:
    first = hops[0]
    assert run("allow", "add", "--from", first.id, "--address", "--reason", "known")[0] == 0
    _, out, _ = run("whatif", "--set", "fusion.prior_db=-30")
    marks = {i: c["suppression"] for i, c in changes(out).items()}
    assert "known" in str(marks.pop(first.id))
    assert set(marks.values()) <= {None}


def test_a_patch_and_a_file_are_taken_as_they_are(run: Run, tmp_path: Path) -> None:
    patch = tmp_path / "patch.toml"
    patch.write_text("# 3 of 4 false findings go\n[fusion]\nprior_db = -30.0\n[fusion.weights]\ncadence = 0.5\n")
    by_patch = run("whatif", "--patch", str(patch))
    assert by_patch[0] == 0
    assert "fusion.weights.cadence 0.5 (was 1)" in by_patch[2]
    by_hand = run("whatif", "--set", "fusion.prior_db=-30", "--set", "fusion.weights.cadence=0.5")
    assert by_hand == by_patch
    # a file of settings replaces the run's, which weren't as shipped in the networks alone: those stay
    assert run("whatif", "--config", str(patch)) == by_patch


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing is supposed"),
        (["--set", "path_gap.floor_ms"], "no value"),
        (["--set", "path_gap.flor_ms=1"], "did you mean"),
        (["--set", "path_gap.floor_ms=25 dB"], "is in ms"),
        (["--disable", "cadense"], "no such heuristic"),
        (["--set", "network.local_nets=10.0.0.0/24"], "hunt again"),
        (["--set", "window.hours=1"], "hunt again"),
        (["--patch", "absent.toml"], "can't be read"),
    ],
)
def test_what_can_not_be_supposed_is_one_line_and_code_2(run: Run, arguments: list[str], said: str) -> None:
    code, out, err = run("whatif", *arguments)
    assert (code, out, err.count("\n")) == (cli.USAGE, "", 1)
    assert said in err


def test_findings_without_what_they_were_weighed_from(run: Run, kept: Path) -> None:
    other = kept.with_name("other.jsonl")
    kept.rename(other)
    code, _, err = run("whatif", "--disable", "cadence", "--findings", str(other))
    assert code == cli.USAGE
    assert "hunt again" in err
    places.run_of(kept).rename(places.run_of(other))
    assert run("whatif", "--disable", "cadence", "--findings", str(other))[0] == 0
    old = [Finding.from_json(line.replace('"packets": ', '"packets": 9')) for line in other.read_text().splitlines()]
    store.save(other, old)
    code, _, err = run("whatif", "--disable", "cadence", "--findings", str(other))
    assert (code, err.count("\n")) == (cli.USAGE, 1)
    assert "of another hunt" in err
