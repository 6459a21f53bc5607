"""A capture with what a host tells of the same connections, and Sigma rules over both: the page and JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hopscope import cli, hunting

RULE = """\
title: Someone's own {level} rule
id: {id}
logsource: {{category: network_connection}}
detection:
  there: {{DestinationIp: 192.0.2.102, DestinationPort: 443}}
  condition: there
level: {level}
tags: [attack.command-and-control, attack.t1090.002]
"""
IDS = {"high": "11111111-1111-4111-8111-111111111111", "low": "22222222-2222-4222-8222-222222222222"}
PROGRAM = r"C:\Users\alice\AppData\Local\Temp\sync.exe"
BROKEN = (
    "title: A rule that counts\nlogsource: {category: dns}\ndetection: {s: {query: a}, condition: s | count() > 5}\n"
)


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    def lines(self, kind: str | None = None) -> list[dict[str, Any]]:
        return [line for text in self.out.splitlines() if (line := json.loads(text)).get("kind") == kind]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def ran(*arguments: object) -> Ran:
        code = cli.run([str(a) for a in arguments])
        return Ran(code, *capsys.readouterr())

    return ran


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """Two rules of a user's, and one that can't be applied."""
    (tmp_path / "rules").mkdir()
    for level, number in IDS.items():
        (tmp_path / "rules" / f"{level}.yml").write_text(RULE.format(level=level, id=number))
    (tmp_path / "rules" / "counting.yml").write_text(BROKEN)
    return tmp_path / "rules"


@pytest.fixture(scope="module")
def capture(pcaps: Path) -> Path:
    return pcaps / "socat-beacon.pcap.gz"


@pytest.fixture(scope="module")
def events(pcaps: Path) -> Path:
    return pcaps / "socat-beacon.sysmon.jsonl"


def test_the_process_behind_a_hop_is_named_whatever_the_order_of_inputs(capture: Path, events: Path, run: Any) -> None:
    found = run("hunt", capture, events, "--format", "jsonl")
    (finding,) = found.lines()
    (process,) = finding["processes"]
    assert (process["process"], process["user"], process["host"]) == (PROGRAM, r"CORP\alice", "WS01.corp.example")
    assert (process["events"], process["connections"], process["initiated"]) == (10, 10, True)
    assert 0 < process["offset_s"] < 0.03
    assert {c["uid"] for c in finding["connections"]} >= set(process["uids"])
    page = run("explain", finding["id"])
    assert f"process     {PROGRAM} (pid {process['pid']}) as CORP\\alice on\n" in page.out
    assert page.out.count(" sync.exe\n") == 10, "one beside each connection"


def test_a_finding_without_events_names_no_process(capture: Path, run: Any) -> None:
    (finding,) = run("hunt", capture, "--format", "jsonl").lines()
    assert finding["processes"] == finding["rules"] == []


def test_rules_fire_on_what_the_sensor_and_what_the_host_saw(
    capture: Path, events: Path, rules: Path, run: Any
) -> None:
    hunted = run("hunt", capture, events, "--sigma", rules, "--format", "jsonl")
    matches = hunted.lines("rule_match")
    assert [(m["of"], m["records"], m["severity"], m["hop"], m["port"]) for m in matches] == [
        ("connection", 10, "high", "192.0.2.102", 443),
        ("host_event", 10, "high", "192.0.2.102", 443),
    ]
    assert matches[1]["process"] == PROGRAM
    (finding,) = hunted.lines()
    assert {m["id"] for m in finding["rules"]} > {m["id"] for m in matches}, "of all levels"
    assert "rules applied, 1 unsupported" in hunted.err
    assert "A rule that counts: it counts events" in " ".join(hunted.err.split()), "a rule that isn't applied is named"


def test_a_rule_is_told_where_nothing_else_is_found(events: Path, rules: Path, run: Any) -> None:
    high = run("hunt", events, "--sigma", rules / "high.yml", "--format", "table")
    assert high.code == 1
    assert high.out.startswith("HIGH      rule: Someone's own high rule ")
    assert "no finding at medium or above, and Sigma rules fired at 1 place\n" in high.out
    assert f"  process   {PROGRAM} (pid " in high.out
    assert "1 input: 0 connections, 0 DNS queries, 77 host events; 0 refused" in high.out
    kept = run("findings", "--format", "jsonl")
    assert (kept.code, [m["title"] for m in kept.lines("rule_match")]) == (1, ["Someone's own high rule"])


def test_a_rule_below_the_severity_is_not_told(events: Path, rules: Path, run: Any) -> None:
    assert run("hunt", events, "--sigma", rules / "low.yml", "--format", "jsonl").code == 0
    low = run("hunt", events, "--sigma", rules / "low.yml", "--format", "jsonl", "--severity", "low")
    assert (low.code, len(low.lines("rule_match"))) == (1, 1)


def test_rules_that_the_settings_name_and_disable(events: Path, rules: Path, tmp_path: Path, run: Any) -> None:
    settings = tmp_path / "hopscope.toml"
    settings.write_text(f'[sigma]\nrules = ["{rules}"]\ndisabled = ["{IDS["high"]}"]\n')
    found = run("hunt", events, "--config", settings, "--severity", "low", "--format", "jsonl")
    assert [m["severity"] for m in found.lines("rule_match")] == ["low"]
    settings.write_text('[sigma]\ndisabled = ["no such rule"]\n')
    refused = run("hunt", events, "--config", settings)
    assert (refused.code, refused.out) == (2, "")
    assert "sigma.disabled: no rule has the id or title 'no such rule'" in refused.err


def test_rules_that_are_not_there_stop_the_hunt_before_it_begins(events: Path, tmp_path: Path, run: Any) -> None:
    refused = run("hunt", events, "--sigma", tmp_path / "nowhere")
    assert (refused.code, refused.out) == (2, "")
    assert "nowhere" in refused.err


def test_what_if_needs_the_traffic_for_other_rules(capture: Path, run: Any) -> None:
    run("hunt", capture)
    refused = run("whatif", "--set", "sigma.shipped=false")
    assert refused.code == 2
    assert "sigma.shipped: what is kept was made with True; hunt again" in refused.err


def test_python_has_matches_beside_findings(events: Path, rules: Path) -> None:
    config = hunting.settings("none", None)
    found = hunting.hunt([events], config=config)
    assert (len(found), found.matches) == (0, ())
