"""hopscope label and labels, as users run them."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from hopscope import cli, fusion, labels, places, runs, store
from hopscope.findings import Finding
from support import kept_hunt
from support.kept_hunt import Run

AT = "192.0.2.102:443"


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return kept_hunt.home(tmp_path, monkeypatch)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.fixture
def beacon(kept: Path) -> Finding:
    """The finding at AT."""
    [found] = [f for f in store.read(kept) if f.entity.value == f"{AT}/tcp"]
    return found


def place() -> Path:
    return places.labels_file(os.environ)


def test_a_finding_is_labelled_by_the_beginning_of_its_id(run: Run, beacon: Finding) -> None:
    code, out, err = run("label", beacon.id[:8], "benign", "--note", "the \x1b[31m backup")
    assert (code, out, err) == (0, f"{beacon.id} ({AT}/tcp) labelled benign\n", "")
    [given] = labels.read(place())
    assert (given.author, given.note, given.id) == ("ana", "the \x1b[31m backup", beacon.id)
    assert given.pieces == fusion.pieces_of(beacon)
    assert stat.S_IMODE(place().stat().st_mode) == 0o600
    code, out, _ = run("labels", "list", "--format", "table")
    assert code == 0
    assert "\x1b" not in out
    assert r"the \x1b[31m backup" in out
    assert f"{beacon.severity} {beacon.score_db:+.1f}" in out


def test_labels_of_one_address_at_two_sites_are_removed_by_their_ids(run: Run, beacon: Finding) -> None:
    run("label", beacon.id, "hop")
    [given] = labels.read(place())
    labels.write(place(), [given, dataclasses.replace(given, sensor="branch", id="hop-0000000000")])
    code, _, err = run("label", AT, "--remove")
    assert code == cli.USAGE
    assert err.endswith(f"fits hop-0000000000, {beacon.id}; they are of several sensors: give the id of one\n")
    assert run("label", "hop-0000000000", "--remove")[0] == 0
    assert labels.read(place()) == [given]


def test_the_last_word_counts_and_the_first_is_remembered(run: Run, beacon: Finding) -> None:
    run("label", beacon.id, "benign", "--author", "ben", "--note", "looks like ours")
    _, out, _ = run("label", AT, "hop")
    assert out.startswith(f"{beacon.id} ({AT}/tcp) labelled hop (was benign: looks like ours (ben, 20")
    assert [given.verdict for given in labels.read(place())] == ["benign", "hop"]
    assert [json.loads(line)["verdict"] for line in run("labels")[1].splitlines()] == ["hop"]


def test_labels_survive_another_hunt(run: Run, pcaps: Path, beacon: Finding) -> None:
    run("label", beacon.id, "hop", "--note", "dead drop")
    capture = str(pcaps / "socat-beacon.pcap.gz")
    [told] = [json.loads(line) for line in run("hunt", capture)[1].splitlines()]
    assert told["label"].startswith("hop: dead drop (ana, 20")
    assert [f.label for f in store.read(places.findings_file(os.environ))] == [None]
    assert f"hop      {AT}/tcp  {beacon.id}" in run("labels", "list", "--format", "table")[1]
    assert "recall 1.00 (1 of 1 labelled hops)" in run("labels", "list", "--format", "table")[1]


def test_what_is_no_finding_has_the_pieces_that_the_run_knows(run: Run, kept: Path) -> None:
    """An ordinary destination, an address of which a service is a finding, and one that nobody went to."""
    told = {f.hop for f in store.read(kept)}
    pairs = runs.load(places.run_of(kept)).window.pairs.to_pyarrow().to_pylist()
    quiet = next(p for p in pairs if p["server"] not in told and p["name"] is not None and not p["server_local"])
    assert run("label", quiet["server"], "benign")[2] == ""
    assert run("label", AT.split(":")[0], "hop")[2] == ""
    assert run("label", quiet["name"].upper() + ".", "benign")[2] == ""
    _, _, err = run("label", "nobody.example", "hop")
    assert (
        err == "hopscope: nothing is known of its evidence: tune leaves this label out until it is given after a hunt\n"
    )
    address, hop, name, unseen = labels.read(place())
    assert address.pieces is not None
    assert address.score_db is not None
    assert address.score_db < -10
    assert quiet["name"] in address.names
    assert name.entity.value == quiet["name"]
    assert name.hop is not None
    assert hop.groups["gap"] > 20
    assert (unseen.pieces, unseen.hop) == (None, None)
    assert "precision 1.00 (1 of 1 labelled findings), recall 0.50" in run(
        "labels", "list", "--format", "table")[1].replace("\n", " ")  # fmt: skip


def test_what_was_said_can_be_taken_back(run: Run, beacon: Finding) -> None:
    run("label", beacon.id, "benign")
    run("label", beacon.id, "hop")
    assert run("label", beacon.id, "--remove")[1] == f"2 of {beacon.id} ({AT}/tcp) removed\n"
    assert labels.read(place()) == []
    code, _, err = run("label", beacon.id, "--remove")
    assert (code, err) == (
        cli.USAGE,
        f"hopscope: nothing was said of '{beacon.id}' itself; hopscope labels lists what was said\n",
    )
    run("label", beacon.hop, "hop")
    assert f"it is labelled through {labels.read(place())[0].id} ({beacon.hop}), remove that" in run(
        "label", beacon.id, "--remove")[2]  # fmt: skip


def test_several_are_labelled_at_once_or_none_of_them(run: Run, beacon: Finding) -> None:
    _, out, _ = run("label", beacon.id, "198.51.100.7", "benign", "--note", "both ours")
    assert [line.split(" ", 1)[1] for line in out.splitlines()] == [
        f"({AT}/tcp) labelled benign", "(198.51.100.7) labelled benign"]  # fmt: skip
    assert [(given.verdict, given.note) for given in labels.read(place())] == [("benign", "both ours")] * 2
    code, _, err = run("label", "198.51.100.8", "hop-nonesuch", "hop")
    assert (code, "no finding 'hop-nonesuch'" in err) == (cli.USAGE, True)
    assert run("label", beacon.id, "198.51.100.8", "--remove")[0] == cli.USAGE
    assert len(labels.read(place())) == 2
    run("label", beacon.id, "198.51.100.7", "--remove")
    assert labels.read(place()) == []


def test_labels_go_from_one_machine_to_another(
    run: Run, beacon: Finding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("label", beacon.id, "benign")
    run("label", "198.51.100.7", "hop")
    told = run("labels", "export")[1]
    assert told.isascii()
    out = tmp_path / "theirs.jsonl"
    assert run("labels", "export", "-o", str(out))[:2] == (0, "")
    assert out.read_text() == told
    assert run("labels", "import", str(out))[1] == "2 labels read: 0 new, 2 there already\n"
    run("label", beacon.id, "hop")
    newer = labels.read(place())[-1].to_json()
    place().write_text(told)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{newer}\n{newer}\n"))
    assert run("labels", "import", "-")[1] == (
        f"2 labels read: 1 new, 1 there already\n{beacon.id} ({AT}/tcp) is now hop\n"
    )
    assert [given.to_json() for given in labels.read(place())] == [*told.splitlines(), newer]


def test_a_label_of_tomorrow_would_outlast_all_others(run: Run, beacon: Finding, tmp_path: Path) -> None:
    run("label", beacon.id, "benign")
    later = labels.read(place())[0].to_json().replace('"time": "20', '"time": "29')
    (tmp_path / "l").write_text(later)
    code, _, err = run("labels", "import", str(tmp_path / "l"))
    assert code == cli.USAGE
    assert "is to come" in err
    assert len(labels.read(place())) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["label", "x.example"], "say hop or benign, or --remove"),
        (["label", "x.example", "hop", "--remove"], "and not both"),
        (["label", "x.example", "maybe"], "say hop or benign, or --remove"),
        (["label", "hop"], "say hop or benign, or --remove"),
        (["label", "hop-nonesuch", "hop"], "no finding 'hop-nonesuch'"),
        (["label", "203.0.113.0/24", "hop"], "allow a whole network"),
        (["label", "203.0.113.9:99999", "hop"], "ports go up to 65535"),
        (["label", "x.example", "hop", "--labels", "/dev/null"], "not a regular file"),
        (["labels", "import", "absent.jsonl"], "absent.jsonl: can't be read"),
        (["labels", "export", "-o", "/proc/nowhere/x"], "can't be written"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(run: Run, arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (cli.USAGE, "", 1)
    assert said in err


def test_a_torn_file_is_told_and_kept(run: Run, beacon: Finding) -> None:
    place().write_text('{"id": "hop-1", "ver')
    for arguments in (["labels"], ["label", beacon.id, "hop"], ["whatif", "--disable", "cadence"]):
        code, _, err = run(*arguments)
        assert code == cli.USAGE
        assert "labels.jsonl line 1: not a label" in err
    assert place().read_text() == '{"id": "hop-1", "ver'


def test_labels_that_can_not_be_read_do_not_stop_a_hunt(run: Run, pcaps: Path) -> None:
    place().write_text("torn")
    capture = str(pcaps / "socat-beacon.pcap.gz")
    code, _, err = run("hunt", capture)
    assert code == cli.FOUND
    assert "labels aren't shown: " in err
    assert "labels.jsonl line 1: not a label" in err
    assert run("hunt", capture, "--labels", str(place()))[0] == cli.USAGE
