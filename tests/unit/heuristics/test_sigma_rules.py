"""sigma_rules: what a rule fired on leads to the outbound pair, and through loopback to where the tunnel goes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa
import pytest

from hopscope.heuristics.base import MATCHES, PROCESSES
from hopscope.heuristics.sigma_rules import HEURISTIC
from hopscope.summaries.schema import PAIR
from support.windows import CLIENT, SERVER, START, make_window

Row = dict[str, Any]
DEFAULTS = HEURISTIC.defaults
PLINK = r"C:\Users\ann\plink.exe"

MATCH: Row = {
    "rule": "r1", "title": "Some tunnel", "level": "medium", "tags": ["attack.t1090.002"], "kind": "connection",
    "sensor": "s", "client": CLIENT, "server": SERVER, "port": 443, "proto": "tcp", "name": None, "records": 3,
    "first_us": START, "last_us": START, "uids": ["C0"],
}  # fmt: skip
EVENT: Row = {
    "kind": "host_event", "sensor": None, "host": "ws1", "process": PLINK, "pid": 7, "user": r"CORP\ann",
}  # fmt: skip
RDP: Row = MATCH | EVENT | {
    "title": "RDP through loopback", "level": "high", "client": "127.0.0.1", "server": "127.0.0.2", "port": 3389,
}  # fmt: skip
OPENED: Row = {
    "host": "ws1", "process": PLINK, "pid": 7, "user": r"CORP\ann", "client": CLIENT, "server": SERVER, "port": 443,
    "proto": "tcp", "initiated": True, "events": 1, "first_us": START, "last_us": START, "sensor": "s",
    "connections": 1, "offset_us": 0, "uids": ["C0"],
}  # fmt: skip


def weigh(
    *matches: Row,
    processes: tuple[Row, ...] = (),
    pairs: tuple[Row, ...] = ({},),
    names: tuple[Row, ...] = (),
    **settings: Any,
) -> list[Row]:
    window = dataclasses.replace(
        make_window(pairs=pairs, names=names, samples=[{k: v for k, v in p.items() if k in PAIR} for p in pairs]),
        matches=pa.Table.from_pylist(list(matches), MATCHES),
        processes=pa.Table.from_pylist(list(processes), PROCESSES),
    )
    rows: list[Row] = HEURISTIC.weigh(window, dataclasses.replace(DEFAULTS, **settings)).to_pylist()
    return rows


QUERY: Row = MATCH | {"kind": "dns_query", "server": None, "port": None, "proto": None, "name": "c2.example"}
NAME: Row = {"name": "c2.example"}


class TestRules:
    @pytest.mark.parametrize(("level", "decibans"), [
        ("low", DEFAULTS.low_db), ("medium", DEFAULTS.medium_db), ("high", DEFAULTS.high_db),
        ("critical", DEFAULTS.critical_db),
    ])  # fmt: skip
    def test_weigh_by_level(self, level: str, decibans: float) -> None:
        (row,) = weigh(MATCH | {"level": level})
        assert row["decibans"] == decibans
        assert (row["client"], row["server"], row["port"], row["uids"]) == (CLIENT, SERVER, 443, ["C0"])

    def test_of_no_level_weigh_nothing(self) -> None:
        assert weigh(MATCH | {"level": "informational"}) == []

    @pytest.mark.parametrize(("tags", "weighs"), [
        (["attack.t1090"], True), (["attack.t1090.003"], True), (["attack.t1572"], True),
        (["cve.2021-1", "attack.t1572"], True), (["attack.t1219"], False), (["attack.t10901"], False),
        (["attack.command-and-control"], False), ([], False), (None, False),
    ])  # fmt: skip
    def test_count_by_technique(self, tags: list[str] | None, weighs: bool) -> None:
        assert bool(weigh(MATCH | {"tags": tags})) is weighs

    def test_techniques_are_settings(self) -> None:
        assert weigh(MATCH | {"tags": ["attack.t1219"]}, techniques=("attack.T1219",))
        assert not weigh(MATCH, techniques=("attack.t1219",))

    @pytest.mark.parametrize("other", [
        {"client": "10.0.0.6"}, {"server": "203.0.113.10"}, {"port": 80}, {"proto": "udp"}, {"sensor": "t"},
        {"server": None, "port": None},
    ])  # fmt: skip
    def test_speak_of_their_place_alone(self, other: Row) -> None:
        assert weigh(MATCH | other) == []

    @pytest.mark.parametrize("pair", [{"server_local": True}, {"client_local": False}, {"established": 0}])
    def test_speak_of_outbound_pairs_alone(self, pair: Row) -> None:
        assert weigh(MATCH, pairs=(pair,)) == []

    def test_several_at_one_place_weigh_as_the_strongest(self) -> None:
        (row,) = weigh(MATCH, MATCH | {"rule": "r2", "title": "Another", "level": "high"}, MATCH | {"name": "x"})
        assert (row["decibans"], row["rule"], row["rule_id"], row["rules"]) == (DEFAULTS.high_db, "Another", "r2", 2)
        assert HEURISTIC.sentence(row) == 'the Sigma rule "Another" (high) fired 3 times, and 1 more'

    def test_on_a_name_speak_of_the_pair_that_asked_for_it(self) -> None:
        pairs = ({"name": "a.example"}, {"name": "b.example"})
        assert [r["name"] for r in weigh(MATCH | {"name": "b.example"}, pairs=pairs)] == ["b.example"]
        # a name that the pairs don't have, such as one that a host alone knows
        assert [r["name"] for r in weigh(MATCH | {"name": "c.example"}, pairs=pairs)] == ["a.example", "b.example"]

    def test_of_a_host_name_the_process_for_every_sensor(self) -> None:
        rows = weigh(MATCH | EVENT, pairs=({}, {"sensor": "t"}))
        assert [r["sensor"] for r in rows] == ["s", "t"]
        assert HEURISTIC.sentence(rows[0]) == (
            rf'the Sigma rule "Some tunnel" (medium) fired 3 times: {PLINK} of CORP\ann on ws1'
        )
        (row,) = weigh(MATCH | EVENT | {"process": None, "user": None, "records": 1})
        assert HEURISTIC.sentence(row) == 'the Sigma rule "Some tunnel" (medium) fired once: a process on ws1'

    def test_of_a_host_that_knows_no_name_speak_of_all_at_the_place(self) -> None:
        pairs = ({}, {"name": "a.example"})
        assert [r["name"] for r in weigh(MATCH | EVENT, pairs=pairs)] == ["a.example", None]
        assert [r["name"] for r in weigh(MATCH, pairs=pairs)] == [None], "a connection without a name is another pair"


class TestQueries:
    def test_lead_to_the_servers_that_the_answers_gave(self) -> None:
        other = {"server": "203.0.113.10"}
        for pair in ({}, NAME):
            (row,) = weigh(QUERY, pairs=(pair, other), names=(NAME,))
            assert (row["server"], row["name"], row["decibans"]) == (SERVER, pair.get("name"), DEFAULTS.medium_db)

    def test_the_pair_of_that_name_comes_first_and_of_another_is_none(self) -> None:
        (row,) = weigh(QUERY, pairs=({}, NAME), names=(NAME,))
        assert row["name"] == "c2.example"
        assert weigh(QUERY, pairs=({"name": "other.example"},), names=(NAME,)) == []

    @pytest.mark.parametrize("name", [{"client": "10.0.0.6"}, {"name": "x.example"}, {"sensor": "t"}])
    def test_of_others_or_for_other_names_lead_nowhere(self, name: Row) -> None:
        assert weigh(QUERY, names=(NAME | name,)) == []

    def test_of_a_process_lead_there_too(self) -> None:
        (row,) = weigh(QUERY | EVENT | {"client": None}, names=(NAME,))
        assert (row["process"], row["decibans"]) == (PLINK, DEFAULTS.medium_db)


class TestNamesOfServices:
    def test_are_not_weighed_twice_for_what_the_network_shows(self) -> None:
        told = {"name": "desk.portmap.io"}
        assert weigh(MATCH | told, QUERY | told, pairs=(told,), names=(told,)) == []

    def test_are_weighed_where_a_host_names_them(self) -> None:
        told = {"name": "desk.portmap.io"}
        (row,) = weigh(MATCH | EVENT | told, pairs=(told,))
        assert row["decibans"] == DEFAULTS.medium_db


class TestThroughLoopback:
    MOST = DEFAULTS.high_db + DEFAULTS.through_db

    def test_the_process_that_was_caught_shows_where_the_tunnel_goes(self) -> None:
        (row,) = weigh(RDP, processes=(OPENED,))
        assert (row["server"], row["port"], row["decibans"]) == (SERVER, 443, self.MOST)
        assert (row["process"], row["user"], row["host"], row["through"]) == (
            PLINK,
            r"CORP\ann",
            "ws1",
            "127.0.0.2:3389",
        )
        assert HEURISTIC.sentence(row) == (
            rf"{PLINK} of CORP\ann on ws1 reaches 127.0.0.2:3389 through loopback and connects here; "
            'the Sigma rule "RDP through loopback" (high) fired on that'
        )

    def test_it_stays_below_a_finding_by_itself(self) -> None:
        assert -40 + self.MOST < -10

    def test_of_six(self) -> None:
        (row,) = weigh(RDP | {"client": "::1", "server": "::1"}, processes=(OPENED,))
        assert row["through"] == "[::1]:3389"

    @pytest.mark.parametrize("other", [
        {"host": "ws2"}, {"pid": 8, "process": r"C:\other.exe"}, {"pid": 7, "process": r"C:\other.exe"},
        {"initiated": False}, {"server": "203.0.113.10"}, {"client": "10.0.0.6"}, {"sensor": "t"},
    ])  # fmt: skip
    def test_other_processes_hosts_and_places_do_not(self, other: Row) -> None:
        assert weigh(RDP, processes=(OPENED | other,)) == []

    @pytest.mark.parametrize("client", ["10.0.0.5", "126.0.0.1", None])
    def test_only_where_both_ends_are_loopback(self, client: str | None) -> None:
        assert weigh(RDP | {"client": client}, processes=(OPENED,)) == []

    @pytest.mark.parametrize(
        "program",
        [
            r"C:\Windows\System32\svchost.exe", "System", r"C:\WINDOWS\SYSTEM32\SVCHOST.EXE",
            r"\device\harddiskvolume2\windows\system32\svchost.exe",
        ],
    )  # fmt: skip
    def test_programs_that_connect_for_others_do_not(self, program: str) -> None:
        assert weigh(RDP | {"process": program}, processes=(OPENED | {"process": program},)) == []

    @pytest.mark.parametrize("program", [r"C:\Temp\svchost.exe", r"C:\Temp\Windows\System32\lsass.exe", r"C:\System"])
    def test_a_program_that_borrows_their_name_does(self, program: str) -> None:
        (row,) = weigh(RDP | {"process": program}, processes=(OPENED | {"process": program},))
        assert row["process"] == program

    @pytest.mark.parametrize("pid", [8, None])
    def test_a_program_that_hands_on_to_another_process_is_known_by_its_path(self, pid: int | None) -> None:
        (row,) = weigh(RDP | {"pid": pid}, processes=(OPENED | {"process": PLINK.upper()},))
        assert row["decibans"] == self.MOST

    def test_the_process_itself_comes_before_others_of_its_path(self) -> None:
        other = OPENED | {"pid": 9, "server": "203.0.113.10"}
        (row,) = weigh(RDP, processes=(OPENED, other), pairs=({}, {"server": "203.0.113.10"}))
        assert row["server"] == SERVER

    def test_security_knows_the_program_by_another_path_and_no_user(self) -> None:
        security = RDP | {"process": r"\device\harddiskvolume2\users\ann\plink.exe", "user": None}
        (row,) = weigh(security, processes=(OPENED,))
        assert (row["process"], row["user"]) == (PLINK, r"CORP\ann")

    def test_a_connection_that_no_sensor_told_apart_counts_for_each(self) -> None:
        rows = weigh(RDP, processes=(OPENED | {"sensor": None},), pairs=({}, {"sensor": "t"}))
        assert [r["sensor"] for r in rows] == ["s", "t"]

    def test_it_weighs_more_than_a_rule_at_the_place(self) -> None:
        (row,) = weigh(MATCH | EVENT | {"level": "critical"}, RDP, processes=(OPENED,))
        assert (row["decibans"], row["rules"], row["through"]) == (self.MOST, 1, "127.0.0.2:3389")
