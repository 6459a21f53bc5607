"""One event in every form that exports have: the records are the same."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from hopscope.records import HOST_EVENT_SCHEMA, InputCount
from hopscope.sources import windows_events
from support import windows_events as forms
from support.evtx_writer import evtx
from support.windows_events import Event, lines, security_5156, sysmon_3, sysmon_22

SYSMON_3 = {
    "ts": 1714564805.871, "provider": "sysmon", "event_id": 3, "record": 3757, "host": "pc01.corp.example",
    "process": r"C:\Users\ann\plink.exe", "pid": 3912, "process_guid": "{747F3D96-D6F7-5D31-0000-00104ACE2500}",
    "user": r"CORP\ann", "proto": "tcp", "initiated": True, "src_h": "10.0.2.15", "src_p": 49727,
    "src_name": "pc01.corp.example", "dst_h": "203.0.113.7", "dst_p": 443, "dst_name": "relay.example.net",
}  # fmt: skip
SYSMON_22 = {
    "ts": 1714564804.1, "provider": "sysmon", "event_id": 22, "record": 3757, "host": "pc01.corp.example",
    "process": r"C:\Users\ann\plink.exe", "pid": 3912, "process_guid": "{747F3D96-D6F7-5D31-0000-00104ACE2500}",
    "user": r"CORP\ann", "query": "relay.example.net", "query_status": "0", "query_results": "::ffff:203.0.113.7;",
}  # fmt: skip
SECURITY_5156 = {
    "ts": 1714564807.51234, "provider": "security", "event_id": 5156, "record": 3757, "host": "pc01.corp.example",
    "process": r"\device\harddiskvolume1\users\ann\plink.exe", "pid": 820, "proto": "tcp", "initiated": True,
    "src_h": "127.0.0.1", "src_p": 49271, "dst_h": "127.0.0.2", "dst_p": 3389, "filter_origin": "Unknown",
}  # fmt: skip
EVENTS = {
    "sysmon 3": (sysmon_3(), SYSMON_3),
    "sysmon 22": (sysmon_22(), SYSMON_22),
    "5156": (security_5156(), SECURITY_5156),
}


def read(path: Path, count: InputCount | None = None) -> list[dict[str, Any]]:
    """The host events of a file, unset fields left out, times as epoch seconds."""
    file = windows_events.look(str(path))
    assert file is not None, "it isn't taken for a file of events"
    found = []
    for batch in windows_events.records(file, count if count is not None else InputCount()):
        assert batch.host_events.schema == HOST_EVENT_SCHEMA
        assert not batch.connections.num_rows
        assert not batch.dns_queries.num_rows
        found += batch.host_events.to_pylist()
    return [{n: v.timestamp() if n == "ts" else v for n, v in row.items() if v is not None} for row in found]


def rows(write: Callable[[Event], dict[str, Any]]) -> Callable[[list[Event]], bytes]:
    return lambda events: lines(write(event) for event in events)


def document(write: Callable[[Event], dict[str, Any]], indent: int | None = 4) -> Callable[[list[Event]], bytes]:
    return lambda events: json.dumps([write(event) for event in events], indent=indent).encode()


def xml(begin: str = "", between: str = "", end: str = "") -> Callable[[list[Event]], bytes]:
    return lambda events: (begin + between.join(map(forms.xml, events)) + end).encode()


DECLARED = '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\r\n<Events>'
WHOLE_TIME: dict[str, Callable[[list[Event]], bytes]] = {
    "evtx": evtx,
    "evtx_dump": rows(forms.evtx_dump),
    "evtx_dump, attributes beside": rows(lambda event: forms.evtx_dump(event, separate=True)),
    "velociraptor": rows(forms.velociraptor),
    "velociraptor, one array": document(forms.velociraptor),
    "objects over several lines": lambda events: b"\n".join(document(forms.evtx_dump)([e])[1:-1] for e in events),
    "objects one behind the other": lambda events: b"".join(lines([forms.evtx_dump(e)]).strip() for e in events),
    "elasticsearch's hits": rows(lambda event: {"_index": "x", "_source": forms.evtx_dump(event)}),
    "wevtutil": xml(),
    "wevtutil, one on a line": xml(between="\r\n"),
    "event viewer": xml(DECLARED, end="</Events>"),
}  # fmt: skip
MILLISECONDS: dict[str, Callable[[list[Event]], bytes]] = {
    "winlogbeat": rows(forms.winlogbeat),
    "winlogbeat, one array": document(forms.winlogbeat),
    "splunk": rows(forms.splunk),
    "get-winevent": document(forms.get_winevent),
    "get-winevent, compressed": document(forms.get_winevent, None),
    "get-winevent, powershell 7": document(lambda e: forms.get_winevent(e, time="2024-05-01T14:00:07.5120000+02:00")),
    "get-winevent, a date as an object": document(
        lambda e: forms.get_winevent(e, time={"value": "/Date(1714564807512)/", "DateTime": "1. Mai 2024"})
    ),
}


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("form", WHOLE_TIME)
def test_each_form_gives_the_same_record(form: str, kind: str, tmp_path: Path) -> None:
    event, expected = EVENTS[kind]
    file = tmp_path / "events"
    file.write_bytes(WHOLE_TIME[form]([event, replace(event, record=9)]))
    assert read(file) == [expected, expected | {"record": 9}]


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("form", MILLISECONDS)
def test_each_form_that_keeps_milliseconds_gives_the_same_record(form: str, kind: str, tmp_path: Path) -> None:
    event, expected = EVENTS[kind]
    if kind == "5156":
        expected = expected | {"ts": 1714564807.512}
    file = tmp_path / "events"
    file.write_bytes(MILLISECONDS[form]([event, replace(event, record=9)]))
    assert read(file) == [expected, expected | {"record": 9}]


@pytest.mark.parametrize("kind", EVENTS)
def test_nxlog_has_whole_seconds_where_the_event_has_no_time_of_its_own(kind: str, tmp_path: Path) -> None:
    event, expected = EVENTS[kind]
    (tmp_path / "events").write_bytes(rows(forms.nxlog)([event]))
    assert read(tmp_path / "events") == [expected if kind != "5156" else expected | {"ts": 1714564807.0}]


@pytest.mark.parametrize("winlog", [False, True])
def test_the_elastic_common_schema_gives_the_same_record(winlog: bool, tmp_path: Path) -> None:
    (tmp_path / "events").write_bytes(lines([forms.ecs(sysmon_3(), winlog)]))
    expected = SYSMON_3 if winlog else {n: v for n, v in SYSMON_3.items() if n != "record"}
    assert read(tmp_path / "events") == [expected]


@pytest.mark.parametrize("kind", EVENTS)
def test_splunk_may_name_the_log_alone(kind: str, tmp_path: Path) -> None:
    event, expected = EVENTS[kind]
    row = forms.splunk(event)
    del row["result"]["SourceName"]
    (tmp_path / "events").write_bytes(lines([row]))
    assert read(tmp_path / "events") == [expected if kind != "5156" else expected | {"ts": 1714564807.512}]


SYSMON_MESSAGE = "Network connection detected:\r\n" + "\r\n".join(
    f"{n}: {v}" for n, v in forms.texts(sysmon_3()).items()
)
SECURITY_MESSAGE = """The Windows Filtering Platform has permitted a connection.

Application Information:
\tProcess ID:\t\t820
\tApplication Name:\t\\device\\harddiskvolume1\\users\\ann\\plink.exe

Network Information:
\tDirection:\t\tOutbound
\tSource Address:\t\t127.0.0.1
\tSource Port:\t\t49271
\tDestination Address:\t127.0.0.2
\tDestination Port:\t\t3389
\tProtocol:\t\t6

Filter Information:
\tFilter Origin:\t\tUnknown
\tFilter Run-Time ID:\t65865
\tLayer Name:\t\tConnect
"""  # fmt: skip


@pytest.mark.parametrize(
    ("event", "message", "expected"),
    [
        (sysmon_3(), SYSMON_MESSAGE, SYSMON_3),
        (security_5156(), SECURITY_MESSAGE, SECURITY_5156 | {"ts": 1714564807.512}),
    ],
    ids=["sysmon 3", "5156"],
)
def test_without_its_properties_the_english_message_is_read(
    event: Event, message: str, expected: dict[str, Any], tmp_path: Path
) -> None:
    row = forms.get_winevent(event, message, deep=False)
    (tmp_path / "events").write_bytes(json.dumps([row], indent=2).encode())
    assert read(tmp_path / "events") == [expected]


@pytest.mark.parametrize(
    "dropped",
    [("InterfaceIndex", "FilterOrigin"), ("InterfaceIndex", "FilterOrigin", "RemoteUserID", "RemoteMachineID")],
)
def test_the_properties_of_older_versions_of_5156(dropped: tuple[str, ...], tmp_path: Path) -> None:
    event = security_5156()
    older = replace(event, data={n: v for n, v in event.data.items() if n not in dropped})
    (tmp_path / "events").write_bytes(document(forms.get_winevent)([older]))
    [found] = read(tmp_path / "events")
    assert found == {n: v for n, v in SECURITY_5156.items() if n != "filter_origin"} | {"ts": 1714564807.512}


def test_the_properties_of_sysmon_before_it_named_its_rules(tmp_path: Path) -> None:
    event = sysmon_3()
    older = replace(event, version=4, data={n: v for n, v in event.data.items() if n != "RuleName"})
    (tmp_path / "events").write_bytes(document(forms.get_winevent)([older]))
    assert read(tmp_path / "events") == [SYSMON_3]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("form", ["xml", "xml, declared", "get-winevent", "lines"])
def test_text_may_be_in_any_of_windows_encodings(form: str, encoding: str, tmp_path: Path) -> None:
    event = sysmon_3(User="CORP\\Zoë")
    text = {
        "xml": forms.xml(event),
        "xml, declared": DECLARED.replace("utf-8", "utf-16") + forms.xml(event) + "</Events>",
        "get-winevent": json.dumps([forms.get_winevent(event)], indent=2, ensure_ascii=False),
        "lines": json.dumps(forms.winlogbeat(event), ensure_ascii=False) + "\r\n",
    }[form]
    (tmp_path / "events").write_bytes(text.encode(encoding))
    assert read(tmp_path / "events") == [SYSMON_3 | {"user": "CORP\\Zoë"}]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("form", ["evtx", "evtx_dump", "wevtutil"])
def test_files_may_be_packed(form: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "events").write_bytes(pack(WHOLE_TIME[form]([sysmon_3()])))
    assert read(tmp_path / "events") == [SYSMON_3]


def test_more_events_than_a_chunk_holds_keep_their_order(tmp_path: Path) -> None:
    events = [sysmon_3({"record": n}, SourcePort=1024 + n) for n in range(200)]
    log = evtx(events)
    assert len(log) > 3 * (1 << 16)
    (tmp_path / "log.evtx").write_bytes(log)
    assert [row["src_p"] for row in read(tmp_path / "log.evtx")] == [1024 + n for n in range(200)]
