"""hopscope baseline, and hunts that are judged by one, as users run them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hopscope import cli, places
from hopscope.baselines import versions
from hopscope.baselines.model import Baseline
from support.kept_hunt import Run

HOP = "192.0.2.102"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home of its own; what is compiled stays where it is kept."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOPSCOPE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


@pytest.fixture
def beacon(pcaps: Path) -> str:
    return str(pcaps / "socat-beacon.pcap.gz")


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, pcaps: Path) -> Iterator[tuple[Path, str]]:
    """The baselines directory after one `learn`, and what it printed."""
    with pytest.MonkeyPatch.context() as patch, pytest.MonkeyPatch.context() as output:
        home = tmp_path_factory.mktemp("learnt")
        patch.setenv("HOME", str(home))
        patch.delenv("XDG_STATE_HOME", raising=False)
        said = home / "said"
        with said.open("w", encoding="utf-8") as f:
            output.setattr("sys.stdout", f)
            assert cli.run(["baseline", "learn", str(pcaps / "socat-beacon.pcap.gz")]) == cli.NOTHING
        output.undo()
        yield places.baselines(os.environ), said.read_text(encoding="utf-8")


@pytest.fixture
def learnt(once: tuple[Path, str], home: Path) -> Path:
    """The same baseline in this test's home."""
    place = places.baselines(os.environ)
    shutil.copytree(once[0], place)
    return place


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def used(baseline: Baseline) -> set[str]:
    """The places whose users count."""
    return {r["value"] for r in baseline.places.to_pylist() if r["clients"]}


def test_learning_tells_what_it_learnt_and_what_it_left_out(once: tuple[Path, str]) -> None:
    place, said = once
    assert said.startswith(
        "baseline 1 learnt: 1 day (of 7 asked for), 2026-11-21 23:16 to 2026-11-21 23:17 UTC, 5 hosts"
    )
    assert f"  {HOP} (high, +" in said
    assert "--keep" in said
    baseline = versions.load(place, 1)
    assert HOP not in used(baseline)
    assert baseline.about.hosts == len(set(baseline.host_hours["host"].to_pylist())) == 5


def test_list_show_and_remove(run: Run, learnt: Path) -> None:
    code, out, err = run("baseline", "list", "--format", "table")
    assert (code, err) == (cli.NOTHING, "")
    assert "*  1       20" in out
    assert "* hunts are judged by this one" in out
    [row] = lines(run("baseline", "list")[1])
    assert (row["version"], row["sensors"], row["left_out"][0].split()[0]) == (1, ["pcap"], HOP)
    code, out, err = run("baseline", "show")
    assert (code, err) == (cli.NOTHING, "")
    assert out == run("baseline", "show", "1")[1]
    assert "10.0.0.11, 10.0.0.12" in out
    assert run("baseline", "remove", "1") == (cli.NOTHING, "baseline 1 removed\n", "")
    assert run("baseline", "list", "--format", "table")[1].startswith("no baseline was learnt yet")
    assert run("baseline", "list") == (cli.NOTHING, "", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show"], "no baseline was learnt yet; hopscope baseline learn INPUT learns one"),
        (["show", "3"], "no baseline 3: none was learnt yet"),
        (["show", "-1x"], "No such option"),
        (["show", "first"], "'first' is no baseline's number"),
        (["show", "9" * 5000], "is no baseline's number"),
        (["remove", "latest"], "'latest' is no baseline's number"),
        (["learn", "--days", "0", "x.pcap"], "Invalid value for '--days'"),
    ],
)
def test_wrong_usage_is_one_line(run: Run, arguments: list[str], said: str) -> None:
    code, out, err = run("baseline", *arguments)
    assert (code, out) == (cli.USAGE, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_input_that_cannot_be_read_leaves_no_baseline(run: Run, tmp_path: Path) -> None:
    code, _, err = run("baseline", "learn", str(tmp_path / "none.pcap"))
    assert code == cli.INPUT
    assert "none.pcap" in err
    (tmp_path / "text.pcap").write_text("not a capture")
    assert run("baseline", "learn", str(tmp_path / "text.pcap"))[0] == cli.INPUT
    assert list(places.baselines(os.environ).iterdir()) == []


def test_traffic_without_our_hosts_is_nothing_to_learn(run: Run, beacon: str) -> None:
    code, _, err = run("baseline", "learn", beacon, "--local-nets", "172.16.0.0/12")
    assert code == cli.USAGE
    assert "nothing to learn: none of our hosts (172.16.0.0/12) talks to the internet here; see --local-nets" in err


def test_findings_say_by_which_baseline_they_were_judged(run: Run, learnt: Path, beacon: str) -> None:
    code, out, err = run("hunt", beacon)
    [found] = lines(out)
    assert code == cli.FOUND
    label = versions.about(learnt, 1).label
    assert found["versions"]["baseline"] == label
    assert f"baseline {label}, learnt from these very days" in " ".join(err.split())
    facts = {e["heuristic"]: e["facts"] for e in found["evidence"]}
    assert facts["community"]["baseline"] == 1
    assert facts["community"]["learnt_users"] is None
    assert facts["community"]["left_out"] is True
    assert facts["community"]["learnt_peers"] is True
    assert f"baseline    {label}" in run("explain", found["id"])[1]
    [other] = lines(run("hunt", "--baseline", "none", beacon)[1])
    assert other["versions"]["baseline"] == "none"
    assert {e["facts"].get("baseline") for e in other["evidence"]} == {None}


def test_a_baseline_of_another_network_is_used_only_where_it_is_named(run: Run, learnt: Path, beacon: str) -> None:
    nets = ("--local-nets", "10.0.0.0/8")
    _, out, err = run("hunt", beacon, *nets)
    assert {f["versions"]["baseline"] for f in lines(out)} == {"none"}
    assert "--baseline 1 uses it all the same" in " ".join(err.split())
    _, out, err = run("hunt", beacon, *nets, "--baseline", "1")
    assert {f["versions"]["baseline"] for f in lines(out)} == {versions.about(learnt, 1).label}
    assert "was learnt with other monitored networks" in " ".join(err.split())


def test_a_number_that_is_not_there_and_what_is_no_number(run: Run, learnt: Path, beacon: str) -> None:
    assert run("hunt", "--baseline", "7", beacon)[::2] == (cli.USAGE, "hopscope: no baseline 7; there are 1\n")
    code, _, err = run("hunt", "--baseline", "x", beacon)
    assert code == cli.USAGE
    assert "--baseline x: name latest, none or a number" in err


def test_what_if_needs_the_baseline_that_the_hunt_was_judged_by(run: Run, learnt: Path, beacon: str) -> None:
    run("hunt", beacon)
    code, out, err = run("whatif", "--set", "community.share_db=1", "--format", "table")
    assert err == ""
    assert code == cli.NOTHING
    assert "weighed   community" in out
    run("baseline", "remove", "1")
    code, _, err = run("whatif", "--set", "community.share_db=1")
    assert code == cli.USAGE
    assert "judged by a baseline that is no more: no baseline 1: none was learnt yet" in err
    assert err.endswith("; hunt again\n")


def test_the_setting_names_one_too(run: Run, learnt: Path, beacon: str, tmp_path: Path) -> None:
    settings = tmp_path / "hopscope.toml"
    settings.write_text('[baseline]\nuse = "none"\n')
    [found] = lines(run("hunt", "--config", str(settings), beacon)[1])
    assert found["versions"]["baseline"] == "none"
    assert (
        "hunts are judged by none of them" in run("baseline", "list", "--format", "table", "--config", str(settings))[1]
    )


def test_what_is_kept_is_learnt(run: Run, beacon: str) -> None:
    code, out, err = run("baseline", "learn", beacon, "--keep", HOP, "--keep", "192.0.2.250", "--days", "1")
    assert code == cli.NOTHING
    assert "left out" not in out
    assert "(of" not in out
    assert "--keep 192.0.2.250: nothing of that name looks like a hop" in err
    assert HOP in used(versions.load(places.baselines(os.environ), 1))


def test_a_label_has_the_last_word(run: Run, beacon: str) -> None:
    [found] = lines(run("hunt", beacon)[1])
    run("label", found["id"], "benign", "--note", "ours")
    assert "left out" not in run("baseline", "learn", beacon)[1]
    run("label", found["id"], "hop")
    assert f"{HOP} (labelled hop, high)" in run("baseline", "learn", beacon)[1]


def test_a_damaged_one_is_one_line_with_a_remedy(run: Run, learnt: Path, beacon: str) -> None:
    (learnt / "1" / "places.parquet").write_bytes(b"")
    code, _, err = run("hunt", beacon)
    assert code == cli.USAGE
    assert "remove it with `hopscope baseline remove 1` and learn another" in err
    assert len(err.splitlines()) == 1
    assert run("baseline", "remove", "1")[0] == cli.NOTHING


def test_another_days_hunt_on_the_lab_network(run: Run, shared: Path) -> None:
    """Learnt from ordinary traffic and a relay in one network, a hunt in another capture of it finds its hop."""
    captures = shared / "captures"
    code, out, _ = run(
        "baseline", "learn", str(captures / "benign.pcap.gz"), str(captures / "socat-plain.pcap.gz")
    )  # fmt: skip
    assert code == cli.NOTHING
    [hop] = json.loads((captures / "socat-plain.json").read_text())["hops"]
    left = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    known = versions.load(places.baselines(os.environ), 1)
    assert not set(left) & used(known)
    assert hop["hop"] in left
    truth = json.loads((captures / "socat-beacon.json").read_text())
    _, out, _ = run("hunt", str(captures / "socat-beacon.pcap.gz"))
    found = {f["hop"]: f["versions"]["baseline"] for f in lines(out)}
    assert {h["hop"] for h in truth["hops"]} <= found.keys()
    assert set(found.values()) == {known.about.label}
