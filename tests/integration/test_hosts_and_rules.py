"""A capture with what a host tells of the same connections, and Sigma rules over both: the page and JSON Lines."""

from __future__ import annotations

import dataclasses
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hopscope import cli, hunting
from support import kept_hunt

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


def run(*arguments: object) -> Ran:
    """Run a command in this process."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = cli.run([str(a) for a in arguments])
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rules of a user's, and one that can't be applied."""
    directory = tmp_path_factory.mktemp("rules")
    for level, number in IDS.items():
        (directory / f"{level}.yml").write_text(RULE.format(level=level, id=number))
    (directory / "counting.yml").write_text(BROKEN)
    return directory


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `hunted` keeps its findings."""
    return tmp_path_factory.mktemp("state") / "findings.jsonl"


@pytest.fixture(scope="module")
def hunted(pcaps: Path, events: Path, rules: Path, store: Path) -> Ran:
    """A hunt in a capture and its events, named in that order, with the rules."""
    capture = pcaps / "socat-beacon.pcap.gz"
    return run("hunt", capture, events, "--sigma", rules, "--format", "jsonl", "--findings", store)


@pytest.fixture(scope="module")
def events(pcaps: Path) -> Path:
    return pcaps / "socat-beacon.sysmon.jsonl"


def test_the_process_behind_a_hop_is_named_whatever_the_order_of_inputs(hunted: Ran, store: Path) -> None:
    (finding,) = hunted.lines()
    (process,) = finding["processes"]
    assert (process["process"], process["user"], process["host"]) == (PROGRAM, r"CORP\alice", "WS01.corp.example")
    assert (process["events"], process["connections"], process["initiated"]) == (10, 10, True)
    assert 0 < process["offset_s"] < 0.03
    assert {c["uid"] for c in finding["connections"]} >= set(process["uids"])
    page = run("explain", finding["id"], "--findings", store)
    assert f"process     {PROGRAM} (pid {process['pid']}) as CORP\\alice on\n" in page.out
    assert page.out.count(" sync.exe\n") == 10, "one beside each connection"


def test_a_finding_without_events_names_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_hunt.home(tmp_path, monkeypatch)
    found = run("findings", "--format", "jsonl").lines()
    assert found
    assert all(finding["processes"] == finding["rules"] == [] for finding in found)


def test_rules_fire_on_what_the_sensor_and_what_the_host_saw(hunted: Ran) -> None:
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


def test_a_rule_is_told_where_nothing_else_is_found(events: Path, rules: Path) -> None:
    high = run("hunt", events, "--sigma", rules / "high.yml", "--format", "table")
    assert high.code == 1
    assert high.out.startswith("HIGH      rule: Someone's own high rule ")
    assert "no finding at medium or above, and Sigma rules fired at 1 place\n" in high.out
    assert f"  process   {PROGRAM} (pid " in high.out
    assert "1 input: 0 connections, 0 DNS queries, 77 host events; 0 refused" in high.out
    kept = run("findings", "--format", "jsonl")
    assert (kept.code, [m["title"] for m in kept.lines("rule_match")]) == (1, ["Someone's own high rule"])


def test_a_rule_below_the_severity_is_not_told(events: Path, rules: Path) -> None:
    medium = run("hunt", events, "--sigma", rules / "low.yml", "--format", "jsonl")
    assert (medium.code, medium.out) == (0, "")
    low = run("findings", "--format", "jsonl", "--severity", "low")
    assert (low.code, len(low.lines("rule_match"))) == (1, 1)


def test_rules_that_the_settings_name_and_disable(events: Path, rules: Path, tmp_path: Path) -> None:
    settings = tmp_path / "hopscope.toml"
    settings.write_text(f'[sigma]\nrules = ["{rules}"]\ndisabled = ["{IDS["high"]}"]\n')
    found = run("hunt", events, "--config", settings, "--severity", "low", "--format", "jsonl")
    assert [m["severity"] for m in found.lines("rule_match")] == ["low"]
    settings.write_text('[sigma]\ndisabled = ["no such rule"]\n')
    refused = run("hunt", events, "--config", settings)
    assert (refused.code, refused.out) == (2, "")
    assert "sigma.disabled: no rule has the id or title 'no such rule'" in refused.err


def test_rules_that_are_not_there_stop_the_hunt_before_it_begins(events: Path, tmp_path: Path) -> None:
    refused = run("hunt", events, "--sigma", tmp_path / "nowhere")
    assert (refused.code, refused.out) == (2, "")
    assert "nowhere" in refused.err


def test_what_if_needs_the_traffic_for_other_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_hunt.home(tmp_path, monkeypatch)
    refused = run("whatif", "--set", "sigma.shipped=false")
    assert refused.code == 2
    assert "sigma.shipped: what is kept was made with True; hunt again" in refused.err


def test_python_has_matches_beside_findings(events: Path, rules: Path) -> None:
    settings = hunting.settings("none", None)
    named = dataclasses.replace(settings.sigma, rules=(str(rules),))
    found = hunting.hunt([events], config=dataclasses.replace(settings, sigma=named))
    assert len(found) == 0
    assert [(m.rule, m.process) for m in found.matches] == [(IDS["high"], PROGRAM), (IDS["low"], PROGRAM)]
    assert [m.rule for m in found.at_least("medium").matches] == [IDS["high"]]


def test_events_that_fit_no_connection_are_told(pcaps: Path, events: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.jsonl"
    late.write_text(events.read_text().replace('"UtcTime": "2026-11-21 23:', '"UtcTime": "2026-11-21 22:'))
    capture = pcaps / "socat-beacon.pcap.gz"
    told = " ".join(run("hunt", capture, late, "--format", "jsonl").err.split())
    assert "no host event fits a connection that was read: are the clocks further apart than events.tolerance_s" in told
    assert f"dissect hop-10b237edcc --pcap {capture}" in told, "the one capture among the inputs"


def test_an_allowed_place_is_no_alarm(events: Path, rules: Path, tmp_path: Path) -> None:
    allow = tmp_path / "allow.toml"
    allow.write_text(
        '[[allow]]\nid = "lab"\nreason = "our test"\nexpires = "never"\n'
        'addresses = ["192.0.2.102:443"]\nclients = ["10.0.0.11"]\n'
    )
    told = run("hunt", events, "--sigma", rules / "high.yml", "--allow", allow, "--format", "jsonl")
    assert (told.code, told.out) == (0, "")
    assert "1 rule match hidden by the allowlist (1 high): 1 by lab (our test)" in " ".join(told.err.split())
    assert run("findings", "--allow", allow, "--format", "jsonl").out == ""
    everything = run("findings", "--allow", allow, "--all", "--format", "table")
    assert "  hidden by allowlist entry lab: our test\n" in everything.out
    assert run("findings", "--allow", "none", "--format", "jsonl").lines("rule_match")
