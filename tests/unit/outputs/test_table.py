"""The overview: what a tired analyst reads first."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hopscope.findings import Findings, RuleMatch
from hopscope.outputs import page, table
from hopscope.records import InputCount
from support.findings import FINDING, GAP, MATCH, PROCESS, finding

COUNT = InputCount(packets=4799, connections=512, dns_queries=1, inputs=1, refused=3)


def text(
    severity: str,
    *kept: object,
    shown: tuple[object, ...] = (),
    count: InputCount = COUNT,
    matches: tuple[RuleMatch, ...] = (),
) -> str:
    told = table.told(count, Path("/var/findings.jsonl"), shown, "x y.pcap")  # type: ignore[arg-type]
    all_of = Findings(kept, count, matches)  # type: ignore[arg-type]
    rows = table.rows(Findings(shown, count, matches), all_of, severity, told)  # type: ignore[arg-type]
    return "\n".join(line.plain for line in page.lines(rows, 100))


def test_a_finding_says_what_who_why_and_where_it_goes() -> None:
    high = finding("high", 12.0, entity=FINDING.entity)
    assert text("medium", high, shown=(high,)) == (
        "HIGH      192.0.2.102:443/tcp (sync.cover.example)  +12.0 dB                          hop-3fa9c21b7d\n"
        "  used by   10.0.0.11, 10.0.0.12\n"
        "  why       the address answers from 12 ms away, what it relays to answers from 70 ms [+33.2]\n"
        "            no DNS answer led to the address [+8.0]\n"
        "  against   half of the clients use it [-3.5]\n"
        "  far end   about 58 ms behind the hop, give or take 2.0 ms\n"
        "  seen      2026-11-21 23:16:37 to 23:17:02 UTC\n"
        "\n"
        "1 finding at medium or above\n"
        "read      1 capture: 4,799 packets, 512 connections, 1 DNS query; 3 refused\n"
        "kept in   /var/findings.jsonl\n"
        "next      hopscope explain hop-3fa9c21b7d\n"
        "          hopscope dissect hop-3fa9c21b7d --pcap 'x y.pcap'"
    )


def test_nothing_found_says_what_was_looked_at_and_what_lies_below() -> None:
    low, lower = finding(), finding("info", -20.0, id="hop-0")
    assert text("medium", low, lower) == (
        "nothing at medium or above (1 low, 1 info below that: see them with --severity info)\n"
        "read      1 capture: 4,799 packets, 512 connections, 1 DNS query; 3 refused\n"
        "kept in   /var/findings.jsonl"
    )


def test_the_strongest_comes_first() -> None:
    weak, strong = finding("medium", 3.0, id="hop-weak"), finding("critical", 30.0, id="hop-strong")
    shown = text("medium", weak, strong, shown=(weak, strong))
    assert shown.index("hop-strong") < shown.index("hop-weak")
    assert "next      hopscope explain hop-strong" in shown


def test_three_reasons_are_enough() -> None:
    evidence = tuple(
        dataclasses.replace(GAP, heuristic=f"h{i}", sentence=f"reason {i}", decibans=i) for i in range(1, 6)
    )
    many = finding("high", 12.0, evidence=evidence)
    shown = text("medium", many, shown=(many,))
    assert [i for i in range(1, 6) if f"reason {i}" in shown] == [3, 4, 5]


def test_every_problem_is_told() -> None:
    count = dataclasses.replace(COUNT, problems=["a.pcap at byte 9: cut", "b.pcap: empty"])
    assert "problem   a.pcap at byte 9: cut\n          b.pcap: empty" in text("medium", count=count)


def test_a_directory_full_of_problems_does_not_bury_the_findings() -> None:
    shown = text("medium", count=dataclasses.replace(COUNT, problems=[f"{i}.pcap: empty" for i in range(1000)]))
    assert "19.pcap: empty\n          and 980 further problems" in shown
    assert "20.pcap" not in shown


def test_names_from_the_wire_are_spelled_out() -> None:
    hostile = finding("high", 12.0, names=("\x1b]0;x\x07\u202e.example",), clients=("10.0.0.1\r",))
    shown = text("medium", hostile, shown=(hostile,))
    assert r"(\x1b]0;x\x07\u202e.example)" in shown
    assert r"used by   10.0.0.1\x0d" in shown
    assert not any(c in shown for c in "\x1b\x07\u202e\r")


def test_a_finding_names_the_process_and_the_rules_that_fired_there() -> None:
    others = tuple(dataclasses.replace(PROCESS, pid=n, connections=0, offset_s=None) for n in (1, 2))
    shown = text("low", shown=(finding(processes=(PROCESS, *others), rules=(MATCH,)),))
    assert (
        "  process   C:\\Users\\alice\\sync.exe (pid 812) as CORP\\alice on WS01.corp.example: 10 events, 9\n"
        "            connections matched, 13 ms later by its host's clock\n"
        "            C:\\Users\\alice\\sync.exe (pid 1) as CORP\\alice on WS01.corp.example: 10 events of its\n"
        "            host, none matched with a connection here\n"
        "  rule      Tunnel of the user's own (high): 10 host events, rule-77aa01b2c3\n"
    ) in shown
    assert "(pid 2)" not in shown, "explain has them all"


def test_what_a_rule_fired_on_is_told_where_nothing_else_was_found() -> None:
    assert text("medium", matches=(MATCH,)).startswith(
        "HIGH      rule: Tunnel of the user's own                                             rule-77aa01b2c3\n"
        "  where     10.0.0.11 to 192.0.2.102:443/tcp\n"
        "  process   C:\\Users\\alice\\sync.exe (pid 812) as CORP\\alice on WS01.corp.example\n"
        "  ATT&CK    T1090.002 Proxy: External Proxy\n"
        "  seen      10 host events, 2026-11-21 23:16:37 to 23:17:02 UTC\n"
        "  records   WS01.corp.example/4711 and 9 more\n"
        "\n"
        "no finding at medium or above, and Sigma rules fired at 1 place\n"
    )


def test_what_rules_of_a_lower_level_fired_on_is_counted() -> None:
    low = dataclasses.replace(MATCH, id="rule-1", severity="low")
    for shown, fired in (((), 0), ((MATCH,), 1)):
        row = table.verdict(Findings((), COUNT, shown), Findings((), COUNT, (*shown, low)), "medium")
        places = "1 place" if fired else "0 places"
        assert row.text == (
            f"no finding at medium or above, and Sigma rules fired at {places} (1 of lower level: see them with "
            "--severity low)"
        )


def test_a_name_that_a_host_asked_for_itself() -> None:
    asked = dataclasses.replace(MATCH, client=None, server=None, port=None, name="a.example")
    assert "  where     WS01.corp.example asked for a.example\n" in text("medium", matches=(asked,))


def test_records_that_are_not_named_are_counted_though_only_ten_are_kept() -> None:
    shown = text("medium", matches=(dataclasses.replace(MATCH, records=25, uids=tuple(f"C{n}" for n in range(10))),))
    assert "  records   C0, C1, C2 and 22 more\n" in shown


def test_files_of_which_nothing_was_used_are_no_captures() -> None:
    shown = text("medium", count=InputCount(inputs=2, packets=9, connections=1, passed_over=7))
    assert "read      2 inputs: 9 packets, 1 connection, 0 DNS queries; 0 refused\n" in shown


def test_a_query_that_a_rule_fired_on_has_no_server() -> None:
    asked = dataclasses.replace(MATCH, kind="dns_query", server=None, port=None, host=None, process=None, records=1,
                                name="x\x1b[2J.example")  # fmt: skip
    shown = text("medium", matches=(asked,))
    assert "\x1b" not in shown
    assert "  where     10.0.0.11 asked for x" in shown
    assert "  seen      1 DNS query, " in shown
    assert "process" not in shown


def test_of_a_rule_that_fires_everywhere_the_first_few_places_are_told() -> None:
    noisy = tuple(dataclasses.replace(MATCH, id=f"rule-{n:010}", client=f"10.0.0.{n}") for n in range(9))
    other = dataclasses.replace(MATCH, rule="another", id="rule-other", title="Another")
    shown = text("medium", matches=(*noisy, other))
    assert shown.count("rule: Tunnel of the user's own") == 5
    assert "  records   WS01.corp.example/4711" in shown
    assert (
        "            and 4 more places where this rule fired: --format jsonl tells all\n\nHIGH      rule: Another"
        in shown
    )
    assert "Sigma rules fired at 10 places" in shown
