"""What a defender does on the second day, all commands in one home, on captures of the lab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hopscope import cli
from support.kept_hunt import Run

CAPTURES = ("haproxy-beacon", "socat-plain", "stunnel-nested")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USER", "ana")
    return Run(capsys)


@pytest.mark.parametrize("name", CAPTURES)
def test_a_hop_is_labelled_supposed_explained_hidden_and_shown_again(run: Run, shared: Path, name: str) -> None:
    captures = shared / "captures"
    hop = json.loads((captures / f"{name}.json").read_text())["hops"][0]["hop"]

    def shown(*options: str) -> list[str]:
        return [f["hop"] for f in map(json.loads, run("findings", "--format", "jsonl", *options)[1].splitlines())]

    # settings: a file to begin with, what is wrong in it, and where a value comes from
    own = Path.home() / ".config" / "hopscope" / "hopscope.toml"
    assert run("config", "init")[0] == cli.NOTHING
    assert "# floor_ms = 15.0" in own.read_text()
    own.write_text('[heuristics.path_gap]\nfloor_ms = "14 ms"\nflor_ms = 3\n')
    code, said, _ = run("config", "check")
    assert code == cli.USAGE
    for part in ("line 3", "flor_ms", "floor_ms"):
        assert part in said
    own.write_text('[heuristics.path_gap]\nfloor_ms = "14 ms"\n')
    assert "14" in run("config", "show", "--origin", "path_gap.floor_ms")[1]

    # what is ordinary is learnt from another day, and findings say by which baseline they are judged
    code, _, said = run("baseline", "learn", str(captures / "benign.pcap.gz"))
    assert code == cli.NOTHING, said
    code, out, _ = run("hunt", str(captures / f"{name}.pcap.gz"), "--format", "jsonl")
    assert code == cli.FOUND
    found = {f["hop"]: f for f in map(json.loads, out.splitlines())}
    assert found[hop]["versions"]["baseline"].startswith("1 of ")
    finding = found[hop]["id"]

    # labels, and what other settings would do to them
    assert run("label", finding, "hop", "--note", "from the exercise")[0] == cli.NOTHING
    assert "from the exercise" in run("labels", "list", "--format", "table")[1]
    strongest = found[hop]["evidence"][0]["heuristic"]
    code, out, _ = run("whatif", "--disable", strongest, "--format", "jsonl")
    (change,) = [c for c in map(json.loads, out.splitlines()) if c.get("id") == finding]
    assert change["change"] in ("falls", "vanishes")
    assert change["after"]["score_db"] < change["before"]["score_db"]
    code, _, said = run("tune")
    assert code == cli.USAGE
    assert "too few labels" in said

    # the explanation says how to hide it; hidden at once, with who and why, and shown again
    page = run("explain", finding)[1]
    assert "What would change it" in page
    assert f"hopscope allow add --from {finding}" in page
    code, _, _ = run("allow", "add", "--from", finding, "--reason", "the exercise is over", "--id", "exercise")
    assert code == cli.NOTHING
    assert hop not in shown()
    assert hop in shown("--all")
    assert "the exercise is over" in run("allow", "list", "--format", "table")[1]
    assert run("allow", "test", finding)[0] == cli.NOTHING
    assert run("allow", "expire", "exercise")[0] == cli.NOTHING
    assert hop in shown()

    # labels travel
    exported = Path.home() / "labels.jsonl"
    assert run("labels", "export", "--out", str(exported))[0] == cli.NOTHING
    assert run("label", finding, "--remove")[0] == cli.NOTHING
    assert run("labels", "import", str(exported))[0] == cli.NOTHING
    assert "from the exercise" in run("labels", "list", "--format", "table")[1]
