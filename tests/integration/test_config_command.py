"""`hopscope config` as it is run, and what the file of settings does to a hunt."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hopscope import cli
from hopscope.configuring.catalogue import catalogue


@pytest.fixture(autouse=True)
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's user has the file of settings."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [n for n in os.environ if n.startswith("HOPSCOPE_")] + ["XDG_STATE_HOME", "XDG_CONFIG_HOME"]:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home" / ".config" / "hopscope" / "hopscope.toml"


class Run:
    """Runs a command in this process; gives exit code, standard output and standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = cli.run(list(arguments))
        said = self._capsys.readouterr()
        return code, said.out, said.err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def put(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# init


def test_none_is_no_file_to_begin_or_to_miss(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("config", "init", "none")[0] == 2
    monkeypatch.setenv("HOPSCOPE_CONFIG", "none")
    code, _, said = run("config", "init")
    assert code == 2
    assert "stands for no file" in said
    assert not (tmp_path / "none").exists()
    assert run("config", "check") == (0, "", "hopscope: HOPSCOPE_CONFIG=none: no file of settings is read\n")


def test_init_writes_every_setting_for_the_user_and_check_finds_nothing_wrong(run: Run, usual: Path) -> None:
    assert run("config", "init") == (0, "", f"hopscope: wrote {usual}; every setting in it is commented out\n")
    text = usual.read_text()
    assert all(f"# {s.key} = " in text and s.doc in text for s in catalogue().values())
    assert stat.S_IMODE(usual.stat().st_mode) & 0o022 == 0
    code, out, err = run("config", "check")
    assert (code, out) == (0, "")
    assert err == f"hopscope: {usual}: nothing is wrong; it sets 0 settings and 0 overrides\n"


def test_init_keeps_its_hands_off_a_file_that_is_there(run: Run, usual: Path, tmp_path: Path) -> None:
    put(usual, "mine = 1")
    code, _, err = run("config", "init")
    assert (code, usual.read_text()) == (2, "mine = 1")
    assert "is there already" in err
    assert "--force" in err
    (tmp_path / "link.toml").symlink_to(tmp_path / "nowhere")
    assert run("config", "init", str(tmp_path / "link.toml"))[0] == 2
    assert run("config", "init", "--force")[0] == 0
    assert "[window]" in usual.read_text()


def test_init_to_another_file_or_standard_output(run: Run, tmp_path: Path) -> None:
    assert run("config", "init", str(tmp_path / "new" / "c.toml"))[0] == 0
    code, out, err = run("config", "init", "-")
    assert (code, err) == (0, "")
    assert out == (tmp_path / "new" / "c.toml").read_text()
    assert set(tomllib.loads(out)) == {
        "network",
        "vantage",
        "window",
        "baseline",
        "events",
        "sigma",
        "keep",
        "live",
        "fusion",
        "heuristics",
    }
    code, _, err = run("config", "init", "/proc/nowhere/c.toml")
    assert (code, err.count("\n")) == (2, 1)


# check


def test_check_tells_all_that_is_wrong_with_lines(run: Run, tmp_path: Path) -> None:
    file = put(tmp_path / "c.toml", """
[window]
hours = "1 dB"
[heuristics.path_gap]
flor_ms = 3
[[override]]
hours = "25-3"
disabled = ["cadence\\u001b[31m"]
""")  # fmt: skip
    code, out, err = run("config", "check", file)
    assert (code, err) == (2, "")
    told = out.splitlines()
    assert [line.partition(": ")[0] for line in told] == [f"{file} line {n}" for n in (3, 5, 7, 8)]
    assert "window.hours is in hours, not in 'dB'" in told[0]
    assert "did you mean heuristics.path_gap.floor_ms?" in told[1]
    assert "\x1b" not in out
    code, out, _ = run("config", "check", file, "--format", "jsonl")
    assert code == 2
    assert [(p["file"], p["line"], p["key"]) for p in lines(out)] == [
        (file, 3, "window.hours"), (file, 5, "heuristics.path_gap.flor_ms"), (file, 7, "override.hours"),
        (file, 8, "override.disabled"),
    ]  # fmt: skip


def test_check_of_the_users_own_file_looks_at_the_environment_too(
    run: Run, usual: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOPSCOPE_WINDOW__DAYS", "1")
    code, out, err = run("config", "check")
    assert code == 2
    assert out == "environment HOPSCOPE_WINDOW__DAYS: unknown setting 'window.days'; window has hours, timezone\n"
    assert err == f"hopscope: there is no file of settings at {usual}; hopscope config init writes one\n"
    assert run("config", "check", put(tmp_path / "c.toml", "[window]\nhours = 3"))[0] == 0


def test_check_of_a_file_that_is_not_there(run: Run) -> None:
    code, out, err = run("config", "check", "absent.toml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("hopscope: absent.toml: can't be read")


# show


def test_show_says_what_is_in_force_and_from_where(run: Run, usual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(
        usual, "[window]\nhours = 12\n[live]\ntick_s = '1 min'\n\n[[override]]\nhours = '1-2'\ndisabled = ['cadence']\n"
    )
    monkeypatch.setenv("HOPSCOPE_LIVE__TICK_S", "5 s")
    code, out, err = run("config", "show", "--origin", "--local-nets", "10.0.0.0/8")
    assert (code, err) == (0, "")
    shown = out.splitlines()
    assert f"window.hours = 12  # hours; {usual} line 2" in shown
    assert "live.tick_s = 5.0  # s; environment HOPSCOPE_LIVE__TICK_S" in shown
    assert 'network.local_nets = ["10.0.0.0/8"]  # command line' in shown
    assert "heuristics.path_gap.floor_ms = 15.0  # ms; default" in shown
    assert f"[[override]]  # {usual} line 6" in shown
    assert len([line for line in shown if " = " in line]) == len(catalogue()) + 2
    assert len(run("config", "show", "--changed")[1].splitlines()) == 2 + 4
    told = {row["key"]: row for row in lines(run("config", "show", "--format", "jsonl")[1])}
    assert told["window.hours"] == {"key": "window.hours", "value": 12, "unit": "hours", "origin": f"{usual} line 2"}
    assert (told["override"]["hours"], told["override"]["disabled"]) == ([1], ["cadence"])


@pytest.mark.parametrize(
    ("keys", "first", "number"),
    [
        (("path_gap.floor_ms",), "heuristics.path_gap.floor_ms = 15.0  # ms", 1),
        (("heuristics.path_gap.floor_ms", "window"), "heuristics.path_gap.floor_ms = 15.0  # ms", 3),
        (("fusion.weights.cadence",), "fusion.weights.cadence = 1.0", 1),
        (("disabled",), "disabled = []", 1),
    ],
)
def test_show_takes_settings_and_tables(run: Run, keys: tuple[str, ...], first: str, number: int) -> None:
    code, out, _ = run("config", "show", *keys)
    assert (code, out.splitlines()[0], len(out.splitlines())) == (0, first, number)


def test_show_of_what_there_is_not_says_what_may_be_meant(run: Run) -> None:
    code, out, err = run("config", "show", "path_gap.flor_ms")
    assert (code, out) == (2, "")
    assert "did you mean heuristics.path_gap.floor_ms?" in err


def test_show_refuses_a_broken_file_as_every_command_does(run: Run, usual: Path) -> None:
    put(usual, "[window]\nhours = 12\ndays = 1\n")
    code, out, err = run("config", "show")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{usual} line 3: unknown setting 'window.days'" in err


def test_config_alone_shows_its_commands(run: Run) -> None:
    code, out, err = run("config")
    assert (code, out) == (2, "")
    assert all(f"  {command} " in err for command in ("init", "check", "show"))
    assert run("config", "chekc")[2].endswith("Did you mean 'check'? (hopscope --help tells more)\n")


# what the file does to a hunt


def score(out: str) -> float:
    return float(lines(out)[0]["score_db"])


def test_a_hunt_reads_the_users_file_unless_told_otherwise(run: Run, pcaps: Path, usual: Path, tmp_path: Path) -> None:
    hunt = ("hunt", str(pcaps / "socks-microsocks.pcap.gz"), "--severity", "low")
    plain = score(run(*hunt)[1])
    put(usual, "[fusion]\nprior_db = -37\n")
    assert score(run(*hunt)[1]) == pytest.approx(plain + 3)
    assert score(run(*hunt, "--config", "none")[1]) == pytest.approx(plain)
    named = put(tmp_path / "c.toml", "[fusion]\nprior_db = -38\n")
    assert score(run(*hunt, "--config", named)[1]) == pytest.approx(plain + 2)
    put(usual, "[fusion]\nprior_db = 'x'\n")
    code, out, err = run(*hunt)
    assert (code, out) == (2, "")
    assert f"{usual} line 2: fusion.prior_db must be a number of decibans" in err


def test_overrides_by_network_and_hour_change_what_a_hunt_finds(run: Run, pcaps: Path, tmp_path: Path) -> None:
    hunt = ("hunt", str(pcaps / "socat-beacon.pcap.gz"), "--severity", "low", "--config")
    [found] = [f for f in lines(run(*hunt, "none")[1]) if f["severity"] != "low"]
    [best] = [e for e in found["evidence"] if e["heuristic"] == "path_gap"]
    hour = int(found["connections"][0]["ts"][11:13])
    [client] = found["clients"]
    apart = f"{(hour + 8) % 24}-{(hour + 9) % 24}"  # hours in which nothing happens

    judged = {found["versions"]["settings"]}

    def pieces(override: str) -> set[str]:
        out = run(*hunt, put(tmp_path / "o.toml", f"[[override]]\n{override}\ndisabled = ['path_gap']\n"))[1]
        same = [f for f in lines(out) if f["id"] == found["id"]]
        judged.update(f["versions"]["settings"] for f in same)
        return {e["heuristic"] for f in same for e in f["evidence"]}

    assert best["client"] == client
    assert "path_gap" in pieces('networks = ["192.0.2.0/24"]')
    assert "path_gap" not in pieces(f'networks = ["{client}/32"]')
    assert "path_gap" in pieces(f'networks = ["{client}/32"]\nhours = "{apart}"')
    assert "path_gap" not in pieces(f'hours = "{hour}-{hour + 2}"')
    assert len(judged) > 2  # findings by other overrides are by other settings
