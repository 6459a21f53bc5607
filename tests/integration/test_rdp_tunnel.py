"""RDP reached through loopback by a process that holds a connection to a hop: the tunnel leads to where it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hopscope import hunting
from hopscope.findings import Findings
from support.windows_events import Event, evtx_dump, lines, sysmon_3

HOP = ("192.0.2.102", 443)


@pytest.fixture(scope="module")
def sysmon(pcaps: Path) -> list[dict[str, Any]]:
    """What the host tells of its connections in the capture."""
    lines = (pcaps / "socat-beacon.sysmon.jsonl").read_text().splitlines()
    return [json.loads(line)["winlog"] for line in lines]


def through_loopback(told: dict[str, Any], **data: str | int | bool) -> Event:
    """RDP on the host itself, reached by the process of one of its events."""
    whose = {name: told["event_data"][name] for name in ("UtcTime", "ProcessGuid", "ProcessId", "Image", "User")}
    loopback = {
        "SourceIp": "127.0.0.1", "SourcePort": 49186, "DestinationIp": "127.0.0.2", "DestinationPort": 3389,
        "DestinationHostname": "-",
    }  # fmt: skip
    return sysmon_3({"computer": told["computer_name"]}, **(whose | loopback | data))


def hunted(pcaps: Path, tmp_path: Path, *events: Event) -> Findings:
    (tmp_path / "rdp.json").write_bytes(lines(map(evtx_dump, events)))
    inputs = [pcaps / "socat-beacon.pcap.gz", pcaps / "socat-beacon.sysmon.jsonl", tmp_path / "rdp.json"]
    return hunting.hunt(inputs, config=hunting.settings("none", None))


def is_hop(told: dict[str, Any]) -> bool:
    data = told["event_data"]
    return (data["DestinationIp"], int(data["DestinationPort"])) == HOP


def test_the_hop_of_the_process_is_where_the_tunnel_goes(
    pcaps: Path, tmp_path: Path, sysmon: list[dict[str, Any]]
) -> None:
    beacon = next(e for e in sysmon if is_hop(e))
    server: dict[str, str | bool] = {
        "ProcessId": "1276",
        "Image": r"C:\Windows\System32\svchost.exe",
        "Initiated": False,
    }
    found = hunted(pcaps, tmp_path, through_loopback(beacon), through_loopback(beacon, **server))
    (finding,) = [f for f in found if (f.hop, f.port) == HOP]
    (evidence,) = [e for e in finding.evidence if e.heuristic == "sigma_rules"]
    program, user = beacon["event_data"]["Image"], beacon["event_data"]["User"]
    assert (evidence.facts["process"], evidence.facts["user"]) == (program, user)
    assert (evidence.facts["through"], evidence.facts["level"]) == ("127.0.0.2:3389", "high")
    assert evidence.sentence.startswith(f"{program} of {user} on {beacon['computer_name']} reaches 127.0.0.2:3389")
    assert {c["uid"] for c in finding.connections} >= set(evidence.uids)
    assert finding.processes[0].process == program
    assert not [f for f in found if (f.hop, f.port) != HOP and any(e.heuristic == "sigma_rules" for e in f.evidence)]


def test_another_process_on_that_host_says_nothing_of_the_hop(
    pcaps: Path, tmp_path: Path, sysmon: list[dict[str, Any]]
) -> None:
    beacon = next(e for e in sysmon if is_hop(e))
    other = through_loopback(beacon, ProcessId="4", Image=r"C:\Tools\monitor.exe")
    found = hunted(pcaps, tmp_path, other)
    assert not any(e.heuristic == "sigma_rules" for f in found for e in f.evidence)
    assert {m.process for m in found.matches} == {r"C:\Tools\monitor.exe"}, "the rule is told by itself"
