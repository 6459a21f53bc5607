"""Findings for tests: one that has everything, changed where a test cares."""

from __future__ import annotations

import dataclasses
from typing import Any

from hopscope.findings import Entity, Evidence, FarEnd, Finding, Process, RuleMatch

CONNECTION = {
    "uid": "C4afbeacon",
    "ts": "2026-11-21T23:16:37.287Z",
    "orig_h": "10.0.0.11",
    "orig_p": 33886,
    "resp_h": "192.0.2.102",
    "resp_p": 443,
    "proto": "tcp",
    "duration": 0.5,
    "orig_bytes": 1032,
    "resp_bytes": 20_500_000,
    "tcp_rtt": 0.0115,
    "hello_rtt": 0.159,
    "first_reply": None,
}

GAP = Evidence(
    heuristic="path_gap",
    decibans=33.2,
    sentence="the address answers from 12 ms away, what it relays to answers from 70 ms",
    threshold="path_gap.floor_ms = 15 ms",
    facts={"hop_rtt_ms": 11.5, "hello_samples": 10, "pattern": "below TLS"},
    units={"hop_rtt_ms": "ms", "hello_samples": "connections"},
    client="10.0.0.11",
    clients=2,
    uids=("C4afbeacon", "Cother"),
    capped_from=35.0,
)
UNNAMED = Evidence(
    heuristic="unnamed",
    decibans=8.0,
    sentence="no DNS answer led to the address",
    threshold="unnamed.least = 3 connections",
    facts={"connections": 10},
    units={"connections": "connections"},
    client="10.0.0.11",
    clients=1,
    uids=("C4afbeacon",),
)
PREVALENCE = Evidence(
    heuristic="prevalence",
    decibans=-3.5,
    sentence="half of the clients use it",
    threshold="prevalence.share = 0.5",
    facts={"share": 0.5},
    units={"share": "fraction"},
    client=None,
    clients=4,
    uids=(),
)

PROCESS = Process(
    host="WS01.corp.example", process="C:\\Users\\alice\\sync.exe", pid=812, user="CORP\\alice", client="10.0.0.11",
    server="192.0.2.102", port=443, initiated=True, events=10, connections=9, first_seen="2026-11-21T23:16:37.300Z",
    last_seen="2026-11-21T23:17:02.000Z", offset_s=0.013, uids=("C4afbeacon",),
)  # fmt: skip
MATCH = RuleMatch(
    id="rule-77aa01b2c3", rule="9c2b0e34-0000-4000-8000-000000000001", title="Tunnel of the user's own",
    severity="high", tags=("attack.command-and-control", "attack.t1090.002"), kind="host_event", sensor=None,
    client="10.0.0.11", server="192.0.2.102", port=443, proto="tcp", name=None, host="WS01.corp.example",
    process="C:\\Users\\alice\\sync.exe", pid=812, user="CORP\\alice", records=10,
    first_seen="2026-11-21T23:16:37.300Z", last_seen="2026-11-21T23:17:02.000Z", uids=("WS01.corp.example/4711",),
)  # fmt: skip
FINDING = Finding(
    id="hop-3fa9c21b7d",
    entity=Entity("service", "192.0.2.102:443/tcp"),
    hop="192.0.2.102",
    port=443,
    proto="tcp",
    clients=("10.0.0.11", "10.0.0.12"),
    names=("sync.cover.example",),
    first_seen="2026-11-21T23:16:37.287Z",
    last_seen="2026-11-21T23:17:02.110Z",
    score_db=-2.3,
    severity="low",
    prior_db=-40.0,
    evidence=(GAP, UNNAMED, PREVALENCE),
    far_end=FarEnd(distance_ms=58.5, spread_ms=2.0, hop_rtt_ms=11.5, answer_rtt_ms=70.0),
    attack=("T1090.002",),
    d3fend=("D3-PMAD",),
    counterfactuals={"path_gap": -35.5, "unnamed": -10.3, "prevalence": 1.2},
    void={"known_names": "no client's DNS queries pass the sensor"},
    connections=(CONNECTION,),
    input={"packets": 4799, "refused": 2, "problems": ["x.pcap: cut"]},
    versions={"hopscope": "0.1.0", "settings": "a1b2c3"},
)
BARE = Finding(
    id="hop-1", entity=Entity("service", "203.0.113.9:443/tcp"), hop="203.0.113.9", port=443, proto="tcp",
    clients=("10.0.0.1", "2001:db8::1"), names=("x.example",), first_seen="", last_seen="", score_db=12.0,
    severity="high", prior_db=-40.0, evidence=(), far_end=FarEnd(), attack=("T1090.002",), d3fend=(),
    counterfactuals={}, void={}, connections=(),
)  # fmt: skip
"""A finding that is handed to Zeek."""


def finding(severity: str = "low", score_db: float = -2.3, **changes: Any) -> Finding:
    """FINDING with this severity and score and whatever else is named."""
    return dataclasses.replace(FINDING, severity=severity, score_db=score_db, **changes)
