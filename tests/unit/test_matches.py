"""Processes and rule matches of the window, at the places of a finding."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa
import pytest

from hopscope.findings import Entity
from hopscope.fusion import Scored
from hopscope.heuristics.base import MATCHES, PROCESSES, Window
from hopscope.matches import KEPT, HostsTold, told
from support import windows
from support.windows import CLIENT, SERVER, START

PROCESS: dict[str, Any] = {
    "host": "WS01", "process": r"C:\a.exe", "pid": 4, "user": r"CORP\a", "client": CLIENT, "server": SERVER,
    "port": 443, "proto": "tcp", "name": None, "initiated": True, "events": 2, "first_us": START, "last_us": START,
    "sensor": "s", "connections": 2, "offset_us": 1500, "uids": ["C1", "C2"],
}  # fmt: skip
MATCH: dict[str, Any] = {
    "rule": "r1", "title": "One", "level": "medium", "tags": ["attack.t1090"], "kind": "connection", "sensor": "s",
    "client": CLIENT, "server": SERVER, "port": 443, "proto": "tcp", "name": None, "host": None, "process": None,
    "pid": None, "user": None, "records": 3, "first_us": START, "last_us": START + 5, "uids": ["C1"],
}  # fmt: skip
NONE = PROCESSES.empty_table()
PAIR = {"client": CLIENT, "server": SERVER, "port": 443, "proto": "tcp", "name": "www.example.com"}


def window(processes: list[dict[str, Any]], matches: list[dict[str, Any]]) -> Window:
    return dataclasses.replace(
        windows.make_window(),
        processes=pa.Table.from_pylist([PROCESS | p for p in processes], schema=PROCESSES),
        matches=pa.Table.from_pylist([MATCH | m for m in matches], schema=MATCHES),
    )


def scored(kind: str = "service", value: str = f"{SERVER}|443|tcp") -> Scored:
    return Scored(Entity(kind, value), "s", 1.0, {}, {}, SERVER, {})


def pids(*rows: dict[str, Any], of: Scored | None = None, uids: frozenset[str] = frozenset()) -> list[int | None]:
    hosts = HostsTold(window(list(rows), []), [SERVER], [])
    return [p.pid for p in hosts.processes(of or scored(), [PAIR], uids)]


def test_processes_at_the_finding_s_places_alone_those_with_most_connections_first() -> None:
    elsewhere = [{"port": 80}, {"server": "203.0.113.77"}, {"client": "10.9.9.9"}, {"proto": "udp"}, {"sensor": "t"}]
    others = [{"pid": 100 + i, **e} for i, e in enumerate(elsewhere)]
    assert pids(*others, {"pid": 1}, {"pid": 2, "connections": 5}, {"pid": 3, "sensor": None, "connections": 0}) == [
        2, 1, 3,
    ]  # fmt: skip


def test_a_process_that_accepted_the_connection_is_not_who_used_the_hop() -> None:
    assert pids({"pid": 1, "initiated": False}, {"pid": 2, "initiated": None}) == [2]


def test_at_an_address_that_names_share_the_name_s_own_processes_are_told() -> None:
    name = scored("name", "www.example.com")
    rows = ({"pid": 1, "uids": ["C9"]}, {"pid": 2, "name": "www.example.com", "uids": []}, {"pid": 3, "uids": ["C5"]})
    assert pids(*rows, of=name, uids=frozenset({"C5"})) == [2, 3]


def test_rows_behind_many_others_of_the_server_are_found() -> None:
    busy = [{"pid": n, "port": 80, "connections": 1000 - n} for n in range(600)]
    assert pids(*busy, {"pid": 7001}, *busy, {"pid": 7002, "connections": 3}) == [7002, 7001]


def test_a_bounded_number_is_kept() -> None:
    assert len(pids(*({"pid": n} for n in range(KEPT + 5)))) == KEPT


def test_rules_at_the_place_and_on_queries_for_its_names() -> None:
    query = {"kind": "dns_query", "server": None, "port": None, "proto": None}
    rows: list[dict[str, Any]] = [
        {"title": "here"},
        {"title": "other port", "port": 80},
        {"title": "asked by name", **query, "name": "www.example.com"},
        {"title": "asked in DNS", **query, "name": "alias.example.com"},
        {"title": "asked by another", **query, "name": "www.example.com", "client": "10.9.9.9"},
        {"title": "asked for another", **query, "name": "other.example.com"},
        {"title": "told by a host", "sensor": None, "kind": "host_event"},
    ]
    hosts = HostsTold(window([], rows), [SERVER], ["www.example.com", "alias.example.com"])
    titles = {m.title for m in hosts.rules(scored(), [PAIR], ["alias.example.com"])}
    assert titles == {"here", "asked by name", "asked in DNS", "told by a host"}


def test_the_gravest_match_comes_first_and_ids_stay() -> None:
    rows = [MATCH | {"level": level} for level in ("informational", "critical", "low")]
    found = told(rows, NONE)
    assert [m.severity for m in found] == ["critical", "low", "info"]
    later = told([MATCH | {"records": 99, "last_us": START + 10**9, "uids": ["C7"]}], NONE)
    assert later[0].id == found[0].id, "more of the same is the same match"
    assert told([MATCH | {"client": "10.9.9.9"}], NONE)[0].id != found[0].id


def test_a_process_caught_between_loopbacks_leads_to_where_it_connects() -> None:
    caught = MATCH | {
        "kind": "host_event", "client": "127.0.0.1", "server": "::1", "port": 3389, "host": "WS01", "pid": 4,
        "process": r"\device\harddiskvolume1\tmp\PLINK.exe",
    }  # fmt: skip
    mine = {"process": r"C:\tmp\plink.exe", "server": "203.0.113.5", "port": 22}
    others: list[dict[str, Any]] = [
        {"host": "WS02"}, {"pid": 5}, {"process": r"C:\other.exe"}, {"initiated": False}, {"server": "127.0.0.1"},
    ]  # fmt: skip
    processes = window([mine, *(mine | {"port": 80} | other for other in others)], []).processes
    assert told([caught], processes)[0].leads_to == ("203.0.113.5:22",)
    assert told([caught | {"client": "10.0.0.5"}], processes)[0].leads_to == (), "it says where itself"
    system = window([mine | {"process": r"C:\Windows\System32\svchost.exe"}], []).processes
    assert told([caught | {"process": r"C:\Windows\System32\svchost.exe"}], system)[0].leads_to == ()
    borrowed = window([mine | {"process": r"C:\tmp\svchost.exe"}], []).processes
    assert told([caught | {"process": r"C:\tmp\svchost.exe"}], borrowed)[0].leads_to == ("203.0.113.5:22",)


@pytest.mark.parametrize(("tag", "shown"), [("attack.t1090.002", 1), ("attack.g0007", 0), ("cve.2024-1", 0)])
def test_techniques_among_a_rule_s_tags(tag: str, shown: int) -> None:
    from hopscope.outputs import techniques

    assert len(techniques.numbers([tag])) == shown
