"""`explain` leaves nothing out that the finding knows, says first what decides, and what would change it."""

from __future__ import annotations

import dataclasses

from hopscope.explaining.beside import Beside, Ordinary
from hopscope.explaining.comparing import Compared, Comparison
from hopscope.explaining.counterfactuals import Crossing, Without
from hopscope.findings import Finding
from hopscope.outputs import explanation, page
from support.findings import CONNECTION, FINDING, GAP, finding

BESIDE = Beside(
    without=(
        Without(("path_gap",), -35.5, "info"),
        Without(("unnamed",), -10.3, "info"),
        Without(("prevalence",), 1.2, "medium"),
    ),
    crossings=(Crossing("path_gap.floor_ms", "ms", 15.0, 62.0, True, -35.5, "info"),),
    nearest=Ordinary(
        Comparison(
            kind="service", value="192.0.2.7|443|tcp", shown="192.0.2.7:443/tcp", address="192.0.2.7",
            names=("cdn.example",), shared=True, among=1234,
            rows=(
                Compared("connections", "connections", 10.0, 1200.0, True),
                Compared("sent", "bytes", 517.0, 1500.0, True),
                Compared("received", "bytes", 2_050_000.0, 2_040_000.0, False),
                Compared("ratio", "", -0.99, -0.5, True),
                Compared("open", "s", None, 0.25, True),
                Compared("way", "ms", 12.0, 11.0, False),
                Compared("answer", "ms", 70.0, 12.0, True),
                Compared("clients", "clients", 1.0, 1.0, False),
            ),
        ),
        -31.04,
        {"unnamed": 3.0, "cadence": 6.0},
    ),
    allow_toml='[[allow]]\nid = "x"\naddresses = ["192.0.2.102:443/tcp"]\n',
    allow_command="hopscope allow add --from hop-3fa9c21b7d --reason 'say why'",
)  # fmt: skip


def text(f: Finding, beside: Beside = BESIDE) -> str:
    return "\n".join(line.plain for line in page.lines(explanation.rows(f, beside), 100))


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
    +8.0  unnamed: no DNS answer led to the address
    -3.5  prevalence: half of the clients use it
    -2.3  in all: low

What would change it
  no finding      without path_gap (-35.5), unnamed (-10.3)
                  with path_gap.floor_ms at 62 ms or more, now 15 ms
  medium          without prevalence (+1.2)
  try it          hopscope whatif --set path_gap.floor_ms=62

The ordinary destination most like it, of 1,234 that the same clients use
  which           192.0.2.7:443/tcp (cdn.example)
                  this       that
  score           -2.3       -31.0
  connections     10         1,200   120 times less
  first answer    70 ms      12 ms   5.8 times
  sent each       517 bytes  1.5 kB  2.9 times less
  up to down      -0.99      -0.5
  open each       -          250 ms
  alike           received each 2.05 MB and 2.04 MB; way there 12 ms and 11 ms; of our hosts 1 and 1
  only this       path_gap +33.2
  both            unnamed +8.0 and +3.0

What this sensor couldn't tell
  known_names  no client's DNS queries pass the sensor

To say what it is, or to hide it
  hop         hopscope label hop-3fa9c21b7d hop --note "..."
  benign      hopscope label hop-3fa9c21b7d benign --note "..."
  hide        hopscope allow add --from hop-3fa9c21b7d --reason 'say why'
  or paste    [[allow]]
              id = "x"
              addresses = ["192.0.2.102:443/tcp"]

What each piece of evidence rests on
  path_gap
    threshold   path_gap.floor_ms = 15 ms
    facts       hop_rtt_ms 12 ms; hello_samples 10 connections; pattern below TLS
    for         10.0.0.11 and 1 other client for whom it says no more
    capped      from +35.0: evidence of one kind counts up to a cap
    seen in     C4afbeacon, Cother
  unnamed
    threshold   unnamed.least = 3 connections
    facts       connections 10 connections
    for         10.0.0.11
    seen in     C4afbeacon
  prevalence
    threshold   prevalence.share = 0.5
    facts       share 0.5

Connections behind it to 192.0.2.102:443
  uid         at        from             sent     received  way    answer
  C4afbeacon  23:16:37  10.0.0.11:33886  1.03 kB  20.5 MB   12 ms  159 ms

  ATT&CK      T1090.002 Proxy: External Proxy
  D3FEND      D3-PMAD Protocol Metadata Anomaly Detection
  input       packets 4799; refused 2; problems x.pcap: cut
  made by     hopscope 0.1.0, settings a1b2c3"""
    )


def test_without_the_run_the_page_says_what_is_lacking() -> None:
    shown = text(FINDING, Beside(without=BESIDE.without, lacking="x.run: isn't kept here; hunt again"))
    assert (
        """\
What would change it
  no finding      without path_gap (-35.5), unnamed (-10.3)
  medium          without prevalence (+1.2)
  unknown         how thresholds bear on it, and what is ordinary here: x.run: isn't kept here; hunt
                  again

What this sensor couldn't tell"""
        in shown
    )
    assert "try it" not in shown


def test_what_changes_nothing_and_what_it_takes_together() -> None:
    alone = tuple(Without((h,), 25.0, "critical") for h in ("relay_pattern", "path_gap"))
    together = Without(("path_gap", "proxy_protocol", "relay_pattern"), 3.0, "medium")
    assert """\
What would change it
  medium          without path_gap, proxy_protocol and relay_pattern together (+3.0)
  still critical  without relay_pattern (+25.0), path_gap (+25.0)
""" in text(finding("critical", 40.0), Beside(without=alone, together=together))


def test_a_threshold_below_which_less_comes_through() -> None:
    down = Crossing("cadence.max_spread", "", 0.5, 0.03, False, 1.0, "medium")
    count = Crossing("path_gap.min_samples", "connections", 3, 15.0, True, 1.0, "medium")
    shown = text(finding("high", 12.0), Beside(crossings=(down, count)))
    assert "  medium          with cadence.max_spread at 0.03 or less, now 0.5\n" in shown
    assert "                  with path_gap.min_samples at 15 or more, now 3\n" in shown
    assert "hopscope whatif --set cadence.max_spread=0.03\n" in shown


def test_a_destination_that_other_clients_use_is_said_to_be() -> None:
    assert BESIDE.nearest is not None
    other = dataclasses.replace(BESIDE.nearest.comparison, shared=False, among=1, names=())
    shown = text(FINDING, Beside(nearest=dataclasses.replace(BESIDE.nearest, comparison=other)))
    assert "The ordinary destination most like it, of 1 that our hosts use" in shown
    assert "  which           192.0.2.7:443/tcp\n" in shown


def test_a_relay_inside_has_clients_that_needn_t_be_ours() -> None:
    assert BESIDE.nearest is not None
    other = dataclasses.replace(BESIDE.nearest.comparison, shared=False)
    beside = Beside(nearest=dataclasses.replace(BESIDE.nearest, comparison=other))
    shown = text(finding(attack=("T1090.001",)), beside)
    assert "of 1,234 that others use" in shown
    assert "; clients 1 and 1" in shown
    assert "our hosts" not in shown.partition("The ordinary destination")[2].partition("To say")[0]


def test_what_people_said_of_it_is_told_and_not_asked_again() -> None:
    told = finding(
        label="benign: the night's backup (ana, 2026-11-21)",
        suppression="hidden by allowlist entry x",
        allowance=("y doesn't hide it: 2 of 5 clients",),
        versions={"hopscope": "0.1.0", "baseline": "3 of 2026-11-20, 7 days"},
    )
    shown = text(told)
    assert "  label       benign: the night's backup (ana, 2026-11-21)\n" in shown
    assert "  hidden      hidden by allowlist entry x\n" in shown
    assert "  allowlist   y doesn't hide it: 2 of 5 clients\n" in shown
    assert "  baseline    3 of 2026-11-20, 7 days\n" in shown
    assert "  made by     hopscope 0.1.0" in shown
    assert "hopscope label" not in shown
    assert "hopscope allow" not in shown


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
