"""hopscope explain, as users run it: what it says would change a finding does, what it has them paste hides it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
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
def hop(kept: Path) -> Finding:
    """The finding that would be none without its gap."""
    return next(f for f in store.read(kept) if f.severity == "high" and f.counterfactuals["path_gap"] < -10)


def explained(run: Run, finding: Finding, *options: str) -> str:
    code, out, err = run("explain", finding.id, *options)
    assert (code, err) == (cli.NOTHING, "")
    return out


def labelled(page: str, label: str) -> list[str]:
    """The rows of the page with that label."""
    return re.findall(rf"^  {label} {{2,}}(.*)$", page, re.MULTILINE)


def test_the_threshold_it_names_has_the_finding_vanish_and_less_does_not(run: Run, hop: Finding) -> None:
    page = explained(run, hop)
    assert labelled(page, "no finding")[0].startswith("without path_gap (")
    (command,) = labelled(page, "try it")
    program, *arguments = shlex.split(command)
    setting, _, value = arguments[-1].partition("=")
    assert (program, setting) == ("hopscope", "path_gap.floor_ms")
    _, out, _ = run(*arguments, "--severity", "low", "--format", "jsonl")
    changed = {c["id"]: c["change"] for c in map(json.loads, out.splitlines())}
    assert changed[hop.id] == "vanishes"
    _, out, _ = run("whatif", "--set", f"{setting}={float(value) * 0.8}", "--severity", "low", "--format", "jsonl")
    changed = {c["id"]: c["change"] for c in map(json.loads, out.splitlines())}
    assert changed.get(hop.id) != "vanishes"


def test_the_ordinary_destination_is_no_finding_and_not_what_was_called_a_hop(
    run: Run, kept: Path, hop: Finding
) -> None:
    (first,) = labelled(explained(run, hop), "which")
    place = first.split()[0]
    assert not any(place.startswith(f.hop) for f in store.read(kept))
    run("label", place.split(":")[0], "hop")
    (second,) = labelled(explained(run, hop), "which")
    assert second.split(":")[0] != first.split(":")[0]


def test_the_entry_to_paste_hides_it_and_it_then_says_so(run: Run, hop: Finding) -> None:
    page = explained(run, hop)
    entry = re.search(r"^  or paste +(\[\[allow\]\]\n(?: {14}.*\n)+)", page, re.MULTILINE)
    assert entry is not None
    place = places.allow_file(os.environ)
    place.parent.mkdir(parents=True)
    place.write_text(re.sub(r"^ +", "", entry[1], flags=re.MULTILINE))
    assert hop.id not in run("findings", "--severity", "low")[1]
    hidden = explained(run, hop)
    assert "allowlist entry" in labelled(hidden, "hidden")[0]
    assert "or paste" not in hidden
    assert not labelled(explained(run, hop, "--allow", "none"), "hidden")


def test_the_command_to_hide_it_does(run: Run, hop: Finding) -> None:
    (command,) = labelled(explained(run, hop), "hide")
    assert run(*shlex.split(command)[1:])[0] == cli.NOTHING
    assert labelled(explained(run, hop), "hidden")


def test_a_label_is_told_instead_of_asked_for(run: Run, hop: Finding) -> None:
    (command,) = labelled(explained(run, hop), "benign")
    assert run(*shlex.split(command)[1:])[0] == cli.NOTHING
    page = explained(run, hop)
    assert labelled(page, "label")[0].startswith("benign")
    assert "hopscope label" not in page


def test_evidence_that_the_allowlist_leaves_out_is_not_moved(run: Run, hop: Finding) -> None:
    added = run("allow", "add", "--from", hop.id, "--heuristic", "cadence", "--reason", "a timer of ours")
    assert added[0] == cli.NOTHING
    page = explained(run, hop)
    assert "a-timer-of-ours" in "".join(labelled(page, "allowlist"))
    assert "with cadence." not in page
    assert "without cadence" not in page


def test_without_the_run_it_says_in_one_line_what_is_lacking(run: Run, kept: Path, hop: Finding) -> None:
    whole = explained(run, hop)
    shutil.rmtree(places.run_of(kept))
    page = explained(run, hop)
    (lacking,) = labelled(page, "unknown")
    assert "what is ordinary here" in lacking
    assert "The ordinary destination" not in page
    assert labelled(page, "try it") == []
    for section in ("Evidence, in decibans", "What would change it", "Connections behind it", "To say what it is"):
        assert section in page
        assert section in whole


def test_a_run_of_another_hunt_is_not_asked(run: Run, kept: Path, tmp_path: Path, hop: Finding) -> None:
    other = tmp_path / "other.jsonl"
    text = hop.to_json().replace('"packets": ', '"packets": 1')
    other.write_text(text + "\n")
    shutil.copytree(places.run_of(kept), places.run_of(other))
    page = explained(run, hop, "--findings", str(other))
    assert "of another hunt" in " ".join(page.split())
    assert "The ordinary destination" not in page


def test_findings_of_an_older_version_are_explained_as_far_as_they_go(run: Run, tmp_path: Path, hop: Finding) -> None:
    old = json.loads(hop.to_json())
    for field in ("fingerprints", "clients_total", "sensor", "label", "allowance"):
        del old[field]
    for evidence in old["evidence"]:
        del evidence["raw_db"]
    place = tmp_path / "old.jsonl"
    place.write_text(json.dumps(old) + "\n")
    page = explained(run, hop, "--findings", str(place))
    assert labelled(page, "no finding")[0].startswith("without path_gap (")
    assert labelled(page, "unknown")


@pytest.mark.parametrize("name", ["inside-relay", "two-hops"])
def test_captures_of_the_lab(run: Run, shared: Path, tmp_path: Path, name: str) -> None:
    place = tmp_path / "findings.jsonl"
    code = run("hunt", str(shared / "captures" / f"{name}.pcap.gz"), *kept_hunt.OPTIONS, "--findings", str(place))[0]
    assert code == cli.FOUND
    for finding in store.read(place):
        page = explained(run, finding, "--findings", str(place))
        assert labelled(page, "no finding")
        assert labelled(page, "try it")
        assert len(labelled(page, "which")) == 1
