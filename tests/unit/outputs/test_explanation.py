"""`explain` leaves nothing out that the finding knows."""

from __future__ import annotations

import dataclasses

from hopscope.findings import Finding
from hopscope.outputs import explanation, page
from support.findings import CONNECTION, FINDING, GAP, finding


def text(f: Finding) -> str:
    return "\n".join(line.plain for line in page.lines(explanation.rows(f), 100))


def test_the_whole_page() -> None:
    assert (
        text(FINDING)
        == """\
LOW  192.0.2.102:443/tcp (sync.cover.example)  -2.3 dB                                hop-3fa9c21b7d

  about       the service at 192.0.2.102:443/tcp
  used by     10.0.0.11, 10.0.0.12
  asked for   sync.cover.example
  seen        2026-11-21 23:16:37 to 23:17:02 UTC
  far end     about 58 ms behind the hop, give or take 2.0 ms; the address answers from 12 ms away,
              what it relays to answers from 70 ms

Evidence, in decibans (+10 makes a hop ten times as likely, -10 a tenth)
   -40.0  before any evidence: few destinations are hops
   +33.2  path_gap: the address answers from 12 ms away, what it relays to answers from 70 ms
          threshold   path_gap.floor_ms = 15 ms
          facts       hop_rtt_ms 12 ms; hello_samples 10 connections; pattern below TLS
          for         10.0.0.11 and 1 other client for whom it says no more
          capped      from +35.0: evidence of one kind counts up to a cap
          without it  the score would be -35.5
          seen in     C4afbeacon, Cother
    +8.0  unnamed: no DNS answer led to the address
          threshold   unnamed.least = 3 connections
          facts       connections 10 connections
          for         10.0.0.11
          without it  the score would be -10.3
          seen in     C4afbeacon
    -3.5  prevalence: half of the clients use it
          threshold   prevalence.share = 0.5
          facts       share 0.5
          without it  the score would be +1.2
    -2.3  in all: low

What this sensor couldn't tell
  known_names  no client's DNS queries pass the sensor

Connections behind it to 192.0.2.102:443
  uid         at        from             sent     received  way    answer
  C4afbeacon  23:16:37  10.0.0.11:33886  1.03 kB  20.5 MB   12 ms  159 ms

  ATT&CK      T1090.002 Proxy: External Proxy
  D3FEND      D3-PMAD Protocol Metadata Anomaly Detection
  input       packets 4799; refused 2; problems x.pcap: cut
  made by     hopscope 0.1.0, settings a1b2c3"""
    )


def test_connections_of_several_days_say_the_day_and_are_in_order() -> None:
    many = tuple({**CONNECTION, "uid": f"C{i:02}", "ts": f"2026-11-{30 - i:02}T01:02:03Z"} for i in range(25))
    shown = text(finding(connections=many, first_seen="2026-11-06T01:02:03Z"))
    assert "Connections behind it to 192.0.2.102:443, the first 20 of a sample of 25" in shown
    assert shown.index("C24  2026-11-06 01:02:03  10.0.0.11") < shown.index("C05  ")
    assert "C04 " not in shown


def test_both_legs_of_a_relay_say_where_they_go() -> None:
    legs = ({**CONNECTION, "uid": "Cnear"}, {**CONNECTION, "uid": "Cfar", "resp_h": "2001:db8::9", "tcp_rtt": None})
    shown = text(finding(connections=legs))
    assert "Connections behind it\n" in shown
    assert "10.0.0.11:33886  [2001:db8::9]:443" in shown


def test_what_is_unknown_is_said() -> None:
    bare = finding(far_end=type(FINDING.far_end)(), clients=(), connections=(), void={}, names=())
    shown = text(bare)
    assert "far end     unknown: nothing named it and no gap measured it" in shown
    assert "used by     unknown" in shown
    assert "couldn't tell" not in shown


def test_hostile_facts_are_spelled_out() -> None:
    evil = dataclasses.replace(GAP, sentence="led to \x1b[2J", facts={"name": "a\u202eb", "list": ["\x00"]})
    connection = {**FINDING.connections[0], "uid": "C\x1b"}
    shown = text(finding(evidence=(evil,), connections=(connection,), void={"h": "\x9b"}))
    assert r"led to \x1b[2J" in shown
    assert r"name a\u202eb; list \x00" in shown
    assert not set(shown) & set("\x1b\x00\x9b\u202e")
