"""hopscope tune as users run it: labels in, a patch out, or the reason why not."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomlkit

from hopscope import config, labels, places
from hopscope.findings import Entity
from hopscope.labels import Label
from hopscope.tuning import commands, fitting, validation
from support import kept_hunt
from support.kept_hunt import Run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own; fewer partings and strengths than the command's, as each is a hundred fits."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOPSCOPE_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(validation, "PARTINGS", 1)
    monkeypatch.setattr(fitting, "STRENGTHS", (np.inf, 10.0, 3.0))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def labelled(hops: int = 30, benign: int = 60, seed: int = 1, **other: Any) -> list[Label]:
    """Hops by bare address with loose rhythm, look-alikes by name with strict rhythm; both have a gap."""
    rng = np.random.default_rng(seed)
    out = []
    for i, hop in enumerate(rng.permutation([True] * hops + [False] * benign).tolist()):
        gap, loose = float(rng.normal(36 if hop else 32, 0.5)), float(rng.uniform(0, 6))
        pieces = {"path_gap": (gap, 1), "cadence": (loose if hop else loose + 8, 1)}
        pieces |= {"unnamed": (float(rng.uniform(5, 10)), 1)} if hop else {}
        address = f"198.51.100.{i}"
        out.append(Label(
            id=f"hop-{i:010x}", verdict="hop" if hop else "benign", entity=Entity("service", f"{address}:443/tcp"),
            hop=address, time="2026-11-20T08:00:00Z", port=443, proto="tcp", **{"pieces": pieces} | other,
        ))  # fmt: skip
    return out


def kept_labels(given: Sequence[Label]) -> Path:
    path = places.labels_file(os.environ)
    labels.write(path, given)
    return path


def test_a_patch_says_what_changes_and_what_that_does(run: Run, tmp_path: Path) -> None:
    kept_labels(labelled())
    patch = tmp_path / "patch.toml"
    code, out, err = run("tune", "--out", str(patch))
    assert (code, err) == (0, "")
    assert "labels     30 hops and 60 benign, of 90 places\n" in out
    assert "medium and above: false findings 60 -> " in out
    assert f"written {patch}; nothing is applied" in " ".join(out.split())

    written = patch.read_text()
    assert written.startswith("# Proposed by hopscope tune ")
    assert "from 90 labels of 90 places: 30 hops, 60 benign." in written
    changed = tomlkit.parse(written).unwrap()
    assert changed.keys() == {"fusion"}
    assert changed["fusion"]["weights"]["cadence"] < 0.95
    for line in written.splitlines():
        if "=" in line and not line.startswith(("#", "high_db", "critical_db")):
            assert " # was " in line
            assert "without this change " in line
    # only what changes, and as the settings take it
    now, then = config.load().fusion, config.load(patch=patch).fusion
    assert then.prior_db == changed["fusion"].get("prior_db", now.prior_db)
    assert dict(then.weights) == changed["fusion"]["weights"]
    assert all(weight != 1 for weight in then.weights.values())
    assert config.load(patch).fusion == then


def test_whatif_takes_the_patch(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_hunt.home(tmp_path / "hunted", monkeypatch)
    kept_labels(labelled())
    patch = tmp_path / "patch.toml"
    run("tune", "--out", str(patch))
    code, out, _ = run("whatif", "--patch", str(patch), "--format", "table")
    assert code == 0
    assert "fusion.weights.cadence" in out


def test_the_patch_goes_to_standard_output_where_no_file_is_named(run: Run) -> None:
    kept_labels(labelled())
    code, out, err = run("tune")
    assert code == 0
    assert "cadence" in tomlkit.parse(out).unwrap()["fusion"]["weights"]
    assert "labels     30 hops and 60 benign" in err


def test_the_same_labels_give_the_same_patch(run: Run) -> None:
    kept_labels(labelled())
    assert run("tune")[1] == run("tune")[1]


def test_what_is_in_force_is_what_it_compares_with(run: Run, tmp_path: Path) -> None:
    """With the patch applied there is nothing left to gain."""
    kept_labels(labelled())
    patch = tmp_path / "patch.toml"
    run("tune", "--out", str(patch))
    code, out, _ = run("tune", "--config", str(patch))
    assert code == 1
    assert "keep what you have: " in out


def test_labels_that_tell_nothing_leave_the_settings_alone(run: Run, tmp_path: Path) -> None:
    pieces = {"path_gap": (35.0, 1), "unnamed": (8.0, 1)}
    kept_labels(labelled(pieces=pieces))
    patch = tmp_path / "patch.toml"
    code, out, err = run("tune", "--out", str(patch))
    assert (code, err) == (1, "")
    assert "keep what you have: false findings do not fall: 60 of 60 held out, 60 today" in " ".join(out.split())
    assert not patch.exists()


def test_too_few_labels_are_one_line(run: Run) -> None:
    kept_labels(labelled(4, 50))
    code, out, err = run("tune")
    assert (code, out) == (2, "")
    assert err == (
        "hopscope: too few labels to tune by: label 6 more hops (4 of 10), each with an address and name of its own; "
        "see hopscope label --help\n"
    )


def test_labels_without_evidence_are_left_out_and_counted(run: Run) -> None:
    given = labelled()
    blind = [
        Label(id="hop-x", verdict="hop", entity=Entity("address", "192.0.2.9"), hop="192.0.2.9", time=given[0].time)
    ]
    kept_labels([*given, *blind])
    code, out, _ = run("tune")
    assert code == 0
    assert "1 more left out, as nothing is known of their evidence" in " ".join(out.replace("#", "").split())


@pytest.mark.parametrize(
    ("module", "told"), [("sklearn", "scikit-learn"), ("scipy", "SciPy")]
)  # fmt: skip
def test_a_missing_library_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, module: str, told: str) -> None:
    kept_labels(labelled())
    find = importlib.util.find_spec
    monkeypatch.setattr(commands.importlib.util, "find_spec", lambda name: None if name == module else find(name))
    code, out, err = run("tune")
    assert (code, out) == (2, "")
    assert err == f"hopscope: tune needs {told}, not installed here; install with pip install 'hopscope[tune]'\n"


def test_settings_are_not_overwritten(run: Run, tmp_path: Path) -> None:
    kept_labels(labelled())
    mine = tmp_path / "hopscope.toml"
    mine.write_text("[fusion]\n")
    code, _, err = run("tune", "--out", str(mine))
    assert code == 2
    assert "is there and no patch of tune's; name another file with --out" in err
    assert mine.read_text() == "[fusion]\n"


def test_a_patch_is_replaced(run: Run, tmp_path: Path) -> None:
    kept_labels(labelled())
    patch = tmp_path / "patch.toml"
    assert run("tune", "--out", str(patch))[0] == 0
    assert run("tune", "--out", str(patch))[0] == 0


def test_names_of_lost_hops_are_harmless(run: Run, tmp_path: Path) -> None:
    """A hop that only rhythm tells is lost, and named, where one may be; its name is somebody else's text."""
    given = labelled(40, 80)
    evil = Label(
        id="hop-evil", verdict="hop", entity=Entity("name", "a\n[fusion]\x1b[31m"), hop="192.0.2.7",
        time=given[0].time, pieces={"path_gap": (30.5, 1), "cadence": (11.0, 1)},
    )  # fmt: skip
    kept_labels([*given, evil])
    code, out, _ = run("tune", "--lose", "1")
    assert code == 0
    assert r"a\x0a[fusion]\x1b[31m" in out
    assert tomlkit.parse(out)


@pytest.mark.slow
def test_200_labels_of_a_site_lower_false_findings_at_equal_recall_on_labels_not_seen() -> None:
    command = [sys.executable, ROOT / "bench" / "tune.py", "--json", "--seeds", "8"]
    (line,) = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    result = json.loads(line)
    assert result["refused"] is None
    assert (result["labels"], result["unseen_labels"] >= 190) == (200, True)
    before, after = result["unseen"]["medium"]
    assert after["found"] >= before["found"] > 40
    assert after["false"] <= 0.93 * before["false"]
