"""The rules that hopscope brings: each branch and each exclusion, from every form in which hosts' events come."""

from __future__ import annotations

import dataclasses
import functools
import uuid
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from hopscope import sigma
from hopscope.records import Batch, InputCount
from hopscope.sources import windows_events
from support.events import batch
from support.evtx_writer import evtx
from support.windows_events import Event, Value, lines, security_5156, sysmon_3, sysmon_22, winlogbeat, xml

RDP_SECURITY = "98902635-cfd4-403b-90e5-4dbe8914ada6"
RDP_SYSMON = "bdc33aeb-99c2-4921-bb8d-63e9dc620362"
PORTMAP = "50c74746-0607-4a35-8c84-e41dda0c7f5b"
PORTMAP_DNS = "aae14f2e-690b-45df-b96d-375ed8d68803"
PORTMAP_QUERY = "b3de8e92-ba30-4d35-985c-63611bd5eed3"

FORMS: dict[str, Callable[[Event], bytes]] = {
    "evtx": lambda event: evtx([event]),
    "json": lambda event: lines([winlogbeat(event)]),
    "xml": lambda event: xml(event).encode(),
}
On = Callable[[Event], set[str]]


@functools.cache
def shipped() -> sigma.Rules:
    return sigma.load([], shipped=True)


def fired(*batches: Batch) -> list[dict[str, Any]]:
    matcher = sigma.Matcher(shipped())
    for each in batches:
        matcher.add(each)
    rows: list[dict[str, Any]] = matcher.matches().to_pylist()
    return rows


def rules(*batches: Batch) -> set[str]:
    return {row["rule"] for row in fired(*batches)}


@pytest.fixture(params=list(FORMS))
def on(request: pytest.FixtureRequest, tmp_path: Path) -> On:
    """What fires on an event that was read from a file of each form."""

    def read(event: Event) -> set[str]:
        path = tmp_path / "events"
        path.write_bytes(FORMS[request.param](event))
        file = windows_events.look(str(path))
        assert file is not None
        count = InputCount()
        batches = list(windows_events.records(file, count))
        assert sum(b.host_events.num_rows for b in batches) == 1, count
        return rules(*batches)

    return read


def security(event_id: int = 5156, **data: Value) -> Event:
    """RDP that answers a loopback address; what is None isn't in the event."""
    svchost = r"\device\harddiskvolume2\windows\system32\svchost.exe"
    answers: dict[str, Value] = {
        "Application": svchost, "Direction": "%%14592", "SourceAddress": "127.0.0.2", "SourcePort": "3389",
        "DestAddress": "127.0.0.1", "DestPort": "49271",
    }  # fmt: skip
    return _without_none(security_5156(event_id=event_id, **(answers | data)))


def sysmon(**data: Value) -> Event:
    """A process that opens a connection to a name of portmap.io."""
    there: dict[str, Value] = {"DestinationHostname": "desk.portmap.io"}
    return _without_none(sysmon_3(**(there | data)))


def rdp(**data: Value) -> Event:
    """A process that reaches RDP through loopback."""
    through: dict[str, Value] = {"SourceIp": "127.0.0.1", "DestinationIp": "127.0.0.2", "DestinationPort": 3389}
    return sysmon(**(through | {"DestinationHostname": None} | data))


def query(name: str | None) -> Event:
    """A process that asked for a name."""
    return _without_none(sysmon_22(QueryName=name))


def _without_none(event: Event) -> Event:
    return dataclasses.replace(event, data={name: value for name, value in event.data.items() if value is not None})


LOOPBACK = ["127.0.0.1", "127.0.0.2", "127.255.255.254", "127.0.0.0", "::1", "0:0:0:0:0:0:0:1"]
ELSEWHERE = ["128.0.0.1", "126.255.255.255", "10.0.0.5", "::2", "fe80::1", "12.7.0.1", None]
SCANNERS = [r"C:\Tools\thor.exe", r"\device\harddiskvolume2\tools\thor64.exe", r"D:\THOR64.EXE"]
NO_SCANNERS = [
    r"C:\Tools\thor.exe.txt", r"C:\Tools\author.exe", r"C:\Tools\thor64.exe\plink.exe", "thor.exe",
    r"C:\Tools\thor32.exe", None,
]  # fmt: skip
NAMES = ["desk.portmap.io", "a.b.portmap.io", "DESK.PortMap.IO"]
NO_NAMES = [
    "portmap.io", "notportmap.io", "evil-portmap.io", "desk.portmap.io.evil.example", "desk.portmap.iox",
    "desk.portmap.com", "portmap.io.example", None,
]  # fmt: skip


class TestRdpOverSecurity:
    @pytest.mark.parametrize("there", LOOPBACK)
    def test_rdp_answers_a_loopback_address(self, on: On, there: str) -> None:
        assert on(security(DestAddress=there)) == {RDP_SECURITY}

    @pytest.mark.parametrize("there", LOOPBACK)
    def test_a_loopback_address_reaches_rdp(self, on: On, there: str) -> None:
        assert on(security(SourceAddress=there, SourcePort="50000", DestPort="3389")) == {RDP_SECURITY}

    @pytest.mark.parametrize("name", ["DestAddress", "DestinationAddress"])
    def test_names_old_and_new(self, on: On, name: str) -> None:
        assert on(security(**{"DestAddress": None, "SourceAddress": "10.0.0.5", name: "127.0.0.2"})) == {RDP_SECURITY}

    @pytest.mark.parametrize("there", ELSEWHERE)
    def test_other_addresses(self, on: On, there: str | None) -> None:
        assert on(security(DestAddress=there)) == set()
        assert on(security(SourceAddress=there, SourcePort="50000", DestPort="3389")) == set()

    def test_the_loopback_address_must_be_the_other_side_s(self, on: On) -> None:
        assert on(security(DestAddress="203.0.113.9")) == set()
        assert on(security(SourceAddress="203.0.113.9", SourcePort="50000", DestPort="3389")) == set()

    @pytest.mark.parametrize("port", ["3388", "3390", "33890", "338", None])
    def test_other_ports(self, on: On, port: str | None) -> None:
        assert on(security(SourcePort=port)) == set()
        assert on(security(SourcePort="50000", DestPort=port)) == set()

    def test_what_was_blocked(self, on: On) -> None:
        assert on(security(5157)) == set()

    def test_packaged_applications_are_left_out(self, on: On) -> None:
        assert on(security(FilterOrigin="AppContainer Loopback")) == set()
        assert on(security(FilterOrigin="AppContainer Loopback", SourcePort="50000", DestPort="3389")) == set()

    @pytest.mark.parametrize("origin", ["AppContainer Loopback 2", "AppContainer", "Stealth", None])
    def test_other_origins_are_not(self, on: On, origin: str | None) -> None:
        assert on(security(FilterOrigin=origin)) == {RDP_SECURITY}

    @pytest.mark.parametrize("program", SCANNERS)
    def test_the_scanner_is_left_out(self, on: On, program: str) -> None:
        assert on(security(Application=program)) == set()
        assert on(security(Application=program, SourcePort="50000", DestPort="3389")) == set()

    @pytest.mark.parametrize("program", NO_SCANNERS)
    def test_programs_with_names_like_it_are_not(self, on: On, program: str | None) -> None:
        assert on(security(Application=program)) == {RDP_SECURITY}


class TestRdpOverSysmon:
    @pytest.mark.parametrize("there", LOOPBACK)
    def test_a_loopback_address_reaches_rdp(self, on: On, there: str) -> None:
        assert on(rdp(SourceIp=there)) == {RDP_SYSMON}

    @pytest.mark.parametrize("there", LOOPBACK)
    def test_rdp_answers_a_loopback_address(self, on: On, there: str) -> None:
        accepted = {"Initiated": False, "SourceIp": "127.0.0.2", "SourcePort": 3389, "DestinationPort": 49186}
        assert on(rdp(**accepted, DestinationIp=there)) == {RDP_SYSMON}

    @pytest.mark.parametrize("there", ELSEWHERE)
    def test_other_addresses(self, on: On, there: str | None) -> None:
        assert on(rdp(SourceIp=there)) == set()
        assert on(rdp(SourcePort=3389, DestinationIp=there, DestinationPort=49186)) == set()

    @pytest.mark.parametrize("port", [3388, 3390, None])
    def test_other_ports(self, on: On, port: int | None) -> None:
        assert on(rdp(DestinationPort=port)) == set()

    @pytest.mark.parametrize("program", SCANNERS)
    def test_the_scanner_is_left_out(self, on: On, program: str) -> None:
        assert on(rdp(Image=program)) == set()

    @pytest.mark.parametrize("program", NO_SCANNERS)
    def test_programs_with_names_like_it_are_not(self, on: On, program: str | None) -> None:
        assert on(rdp(Image=program)) == {RDP_SYSMON}


class TestPortmapOverSysmon:
    @pytest.mark.parametrize("name", NAMES)
    def test_a_process_opened_a_connection_there(self, on: On, name: str) -> None:
        assert on(sysmon(DestinationHostname=name)) == {PORTMAP}

    @pytest.mark.parametrize("name", NO_NAMES)
    def test_other_names(self, on: On, name: str | None) -> None:
        assert on(sysmon(DestinationHostname=name)) == set()

    @pytest.mark.parametrize("initiated", [False, None])
    def test_what_the_process_did_not_open(self, on: On, initiated: bool | None) -> None:
        assert on(sysmon(Initiated=initiated)) == set()

    def test_the_source_s_name_is_another_s(self, on: On) -> None:
        assert on(sysmon(DestinationHostname=None, SourceHostname="desk.portmap.io")) == set()

    @pytest.mark.parametrize("name", NAMES)
    def test_a_process_asked_for_it(self, on: On, name: str) -> None:
        assert on(query(name)) == {PORTMAP_QUERY}

    @pytest.mark.parametrize("name", NO_NAMES)
    def test_a_process_asked_for_others(self, on: On, name: str | None) -> None:
        assert on(query(name)) == set()


class TestPortmapOnTheNetwork:
    @pytest.mark.parametrize("field", ["sni", "http_host"])
    @pytest.mark.parametrize("name", NAMES)
    def test_the_name_that_was_asked_for(self, field: str, name: str) -> None:
        assert rules(batch(connections=[{field: name}])) == {PORTMAP}

    @pytest.mark.parametrize("field", ["sni", "http_host"])
    @pytest.mark.parametrize("name", NO_NAMES)
    def test_other_names_that_were(self, field: str, name: str | None) -> None:
        assert rules(batch(connections=[{field: name}])) == set()

    def test_a_host_with_its_port(self) -> None:
        assert rules(batch(connections=[{"http_host": "desk-40123.portmap.io:40123"}])) == {PORTMAP}

    def test_what_a_proxy_was_asked_for(self) -> None:
        assert rules(batch(connections=[{"proxy_target": "desk.portmap.io:443"}])) == {PORTMAP}

    @pytest.mark.parametrize("name", NAMES)
    def test_a_query_and_an_answer(self, name: str) -> None:
        assert rules(batch(dns_queries=[{"query": name}])) == {PORTMAP_DNS}
        aliased = {"query": "cdn.example", "answers": ["x.example", name, "203.0.113.9"]}
        assert rules(batch(dns_queries=[aliased])) == {PORTMAP_DNS}

    @pytest.mark.parametrize("name", NO_NAMES)
    def test_other_queries_and_answers(self, name: str | None) -> None:
        asked = {"query": name, "answers": None if name is None else [name, "203.0.113.9"]}
        assert rules(batch(dns_queries=[asked])) == set()


def test_a_match_names_who_and_where() -> None:
    (row,) = fired(batch(events=[{"dst_name": "desk.portmap.io", "record": 77}]))
    assert (row["title"], row["level"], row["kind"]) == ("Connection To A Name Of portmap.io", "medium", "host_event")
    assert (row["process"], row["user"], row["host"]) == (r"C:\Tools\agent.exe", r"CORP\ann", "ws1.example")
    assert (row["client"], row["server"], row["port"]) == ("10.0.0.5", "203.0.113.9", 443)
    assert (row["name"], row["uids"]) == ("desk.portmap.io", ["ws1.example/77"])


@pytest.mark.parametrize(("name", "rule"), [
    ("DE_RDP_Tunnel_5156.evtx", RDP_SECURITY), ("DE_sysmon-3-rdp-tun.evtx", RDP_SYSMON),
    ("tunna_iis_rdp_smb_tunneling_sysmon_3.evtx", RDP_SYSMON),
])  # fmt: skip
def test_public_recordings_of_the_technique_fire(evtx_samples: Path, name: str, rule: str) -> None:
    (path,) = evtx_samples.rglob(name)
    file = windows_events.look(str(path))
    assert file is not None
    rows = fired(*windows_events.records(file, InputCount()))
    assert {row["rule"] for row in rows} == {rule}
    assert {row["port"] for row in rows} == {3389}


def test_the_rules_are_complete() -> None:
    assert not shipped().unsupported
    assert {rule.id for rule in shipped().rules} == {RDP_SECURITY, RDP_SYSMON, PORTMAP, PORTMAP_DNS, PORTMAP_QUERY}
    for file in resources.files("hopscope.sigma").joinpath("rules").iterdir():
        rule = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert rule["author"] == "hopscope"
        assert uuid.UUID(rule["id"]).version == 4
        assert "attack.t1090.002" in rule["tags"]
        assert rule["falsepositives"]
        assert rule["description"]
        assert all(reference.startswith("https://") for reference in rule["references"])
