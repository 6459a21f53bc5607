"""`hopscope sigma` as it is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hopscope import cli

SYSMON = {"product": "windows", "category": "network_connection"}
GOOD = {"sel": {"DestinationPort": 4444}, "condition": "sel"}


def rule(path: Path, title: str, detection: Any = GOOD, logsource: Any = SYSMON, **more: Any) -> None:
    """A file of one rule."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"title": title, "logsource": logsource, "detection": detection, **more}))


@pytest.fixture
def some(tmp_path: Path) -> Path:
    """A directory of rules: one that can be applied, and others that can't."""
    rule(tmp_path / "some" / "a.yml", "Good", level="high", tags=["attack.t1090.002"])
    rule(tmp_path / "some" / "b.yml", "Of Command Lines", {"sel": {"CommandLine": "x"}, "condition": "sel"})
    rule(tmp_path / "some" / "c.yml", "Elsewhere", logsource={"product": "windows", "category": "image_load"})
    rule(tmp_path / "some" / "d.yml", "Hostile \x1b[31m\u202etitle", {"sel": ["word"], "condition": "sel"})
    return tmp_path / "some"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command; gives exit code, standard output and standard error."""

    def command(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(["sigma", *arguments, "--config", "none"])
        return code, *capsys.readouterr()

    return command


def test_check_names_each_rule_that_can_t_be_applied(run: Any, some: Path) -> None:
    code, out, err = run("check", str(some), "--format", "table")
    assert (code, err) == (cli.FOUND, "")
    assert "host events have no CommandLine" in out
    assert "1: its log source (product windows, category image_load) is not among the records" in out
    assert "c.yml" not in out
    assert out.splitlines()[-1] == "1 rule applied, 3 unsupported; 1 to connections, 1 to host events"
    assert "c.yml" in run("check", str(some), "--format", "table", "--all")[1]


def test_check_as_json_lines(run: Any, some: Path) -> None:
    code, out, _ = run("check", str(some), "--format", "jsonl")
    told = [json.loads(line) for line in out.splitlines()]
    assert (code, [t["applied"] for t in told]) == (cli.FOUND, [True, False, False, False])
    assert told[0] == {
        "applied": True, "id": "Good", "title": "Good", "level": "high", "tags": ["attack.t1090.002"],
        "kinds": ["host_event", "connection"], "place": str(some / "a.yml"),
    }  # fmt: skip
    assert told[1].keys() == {"applied", "title", "place", "cause", "reason"}
    assert [t["cause"] for t in told[1:]] == ["fields", "log source", "keywords"]


def test_check_of_rules_that_can_all_be_applied(run: Any, some: Path) -> None:
    assert run("check", str(some / "a.yml"))[0] == cli.NOTHING
    code, out, _ = run("check", "--format", "table")  # those that are shipped
    assert (code, " 0 unsupported" in out) == (cli.NOTHING, True)


def test_no_rule_acts_on_the_terminal(run: Any, some: Path) -> None:
    for form in ("table", "jsonl"):
        out = run("check", str(some), "--format", form)[1]
        assert "Hostile" in out
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_paths_that_hold_no_rule(run: Any, tmp_path: Path) -> None:
    code, out, err = run("check", str(tmp_path / "nowhere"))
    assert (code, out) == (cli.USAGE, "")
    assert err.startswith(f"hopscope: {tmp_path / 'nowhere'}: can't be read")
    code, _, err = run("list", str(tmp_path))
    assert (code, "holds no Sigma rule" in err) == (cli.USAGE, True)


def test_list_has_the_shipped_rules_and_those_that_are_named(run: Any, some: Path) -> None:
    code, out, _ = run("list", str(some / "a.yml"), "--format", "table")
    assert code == cli.NOTHING
    [good] = [line for line in out.splitlines() if "Good" in line]
    assert "host events, connections" in good
    assert "T1090.002" in good
    assert "rdp_reverse_tunnel_security.yml" in out
    told = [json.loads(line) for line in run("list", str(some / "a.yml"), "--format", "jsonl")[1].splitlines()]
    assert [t["title"] for t in told].count("Good") == 1
    assert all(t["applied"] for t in told)


def test_list_follows_the_settings(some: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(f'[sigma]\nshipped = false\nrules = ["{some / "a.yml"}"]\n')
    assert cli.run(["sigma", "list", "--format", "jsonl", "--config", str(config)]) == cli.NOTHING
    assert [json.loads(line)["title"] for line in capsys.readouterr().out.splitlines()] == ["Good"]
    config.write_text(f'[sigma]\nshipped = false\nrules = ["{some / "a.yml"}"]\ndisabled = ["good"]\n')
    assert cli.run(["sigma", "list", "--format", "table", "--config", str(config)]) == cli.NOTHING
    assert "no rule is applied" in capsys.readouterr().out


def test_rules_below_the_home_directory_and_what_is_disabled(
    some: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = tmp_path / "hopscope.toml"
    settings.write_text('[sigma]\nshipped = false\nrules = ["~/some/a.yml"]\n')
    for command in ("list", "check"):
        assert cli.run(["sigma", command, "--format", "table", "--config", str(settings)]) == 0
        assert "1 rule applied, 0 unsupported" in capsys.readouterr().out
    settings.write_text(settings.read_text() + 'disabled = ["Good"]\n')
    for command in ("list", "check"):
        assert cli.run(["sigma", command, "--format", "table", "--config", str(settings)]) == 0
        assert "1 rule" not in capsys.readouterr().out


def test_help_reads_well(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["sigma", "--help"], ["sigma", "check", "--help"], ["sigma", "list", "--help"]):
        assert cli.run(arguments) == cli.NOTHING
        assert "rule" in capsys.readouterr().out
