"""What values of events become: addresses, ports, protocols, directions, times, names; and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hopscope.records import InputCount
from hopscope.sources import windows_events, windows_fields, windows_text
from support import windows_events as forms
from support.windows_events import Event, Value, lines, security_5156, sysmon_3, sysmon_22


def one(event: Event | dict[str, Any], tmp_path: Path, count: InputCount | None = None) -> dict[str, Any]:
    row = forms.winlogbeat(event) if isinstance(event, Event) else event
    (tmp_path / "e").write_bytes(lines([row]))
    file = windows_events.look(str(tmp_path / "e"))
    assert file is not None
    [batch] = windows_events.records(file, count or InputCount())
    [found] = batch.host_events.to_pylist()
    return dict(found)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("0:0:0:0:0:0:0:1", "::1"),
        ("fe80:0:0:0:80ac:4126:fa58:1b81", "fe80::80ac:4126:fa58:1b81"),
        ("FE80::1%12", "fe80::1"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("0:0:0:0:0:ffff:a01:203", "10.1.2.3"),
        ("192.0.2.255", "192.0.2.255"),
        ("-", None),
        ("", None),
        (None, None),
    ],
)
def test_addresses_come_in_their_shortest_form(written: Value, address: str | None, tmp_path: Path) -> None:
    count = InputCount()
    assert one(sysmon_3(DestinationIp=written), tmp_path, count)["dst_h"] == address
    assert (count.refused, count.problems) == (0, None)


@pytest.mark.parametrize("field", ["SourceIp", "DestinationIp", "SourcePort", "DestinationPort"])
@pytest.mark.parametrize("garbage", ["300.1.1.1", "10.0.0.01", "host.example", "65536", "-1", "4 4", "\uff11\uff12"])
def test_an_address_or_port_that_is_none_is_counted_and_the_event_kept(
    field: str, garbage: str, tmp_path: Path
) -> None:
    count = InputCount()
    found = one(sysmon_3(**{field: garbage}), tmp_path, count)
    name = {"SourceIp": "src_h", "DestinationIp": "dst_h", "SourcePort": "src_p", "DestinationPort": "dst_p"}[field]
    assert found[name] is None
    assert found["process"] == r"C:\Users\ann\plink.exe"
    assert count.refused == 1
    assert count.problems == [f"{tmp_path / 'e'}: 1 address or port not valid; the event was kept without it"]


@pytest.mark.parametrize(
    ("written", "proto"), [(6, "tcp"), ("17", "udp"), (1, "icmp"), (58, "icmp"), ("TCP", "tcp"), (47, "47")]
)
def test_protocols_have_names(written: Value, proto: str, tmp_path: Path) -> None:
    assert one(security_5156(Protocol=written), tmp_path)["proto"] == proto


@pytest.mark.parametrize(
    ("written", "initiated"),
    [("%%14593", True), ("%%14592", False), ("Outbound", True), ("Inbound", False), ("%%14608", None), ("-", None)],
)
def test_the_direction_of_security_events(written: str, initiated: bool | None, tmp_path: Path) -> None:
    assert one(security_5156(Direction=written), tmp_path)["initiated"] is initiated


@pytest.mark.parametrize(("written", "initiated"), [(True, True), (False, False), ("-", None)])
def test_who_initiated_in_sysmon(written: Value, initiated: bool | None, tmp_path: Path) -> None:
    assert one(sysmon_3(Initiated=written), tmp_path)["initiated"] is initiated


def test_the_ends_stay_as_the_event_has_them_when_a_connection_was_accepted(tmp_path: Path) -> None:
    found = one(security_5156(Direction="%%14592", SourcePort="3389", DestPort="49271"), tmp_path)
    assert (found["src_p"], found["dst_p"], found["initiated"]) == (3389, 49271, False)


@pytest.mark.parametrize("name", ["DestAddress", "DestinationAddress", "Destination_Address", "dest_ip"])
def test_names_old_and_new(name: str, tmp_path: Path) -> None:
    event = security_5156()
    data = {name if n == "DestAddress" else n: v for n, v in event.data.items()}
    assert one(forms.splunk(Event(event.provider, 5156, data)), tmp_path)["dst_h"] == "127.0.0.2"


@pytest.mark.parametrize(("written", "pid"), [("820", 820), ("0x334", 820), (820, 820), ("-", None), ("many", None)])
def test_process_ids_are_decimal_or_hexadecimal(written: Value, pid: int | None, tmp_path: Path) -> None:
    assert one(security_5156(ProcessID=written), tmp_path)["pid"] == pid


def test_5157_is_a_blocked_connection(tmp_path: Path) -> None:
    assert one(security_5156(event_id=5157), tmp_path)["event_id"] == 5157


def test_a_text_longer_than_any_needs_to_be_loses_its_middle(tmp_path: Path) -> None:
    long = "C:\\" + "\u00e4" * 30_000 + r"\agent.exe"
    told = one(sysmon_3(Image=long), tmp_path)["process"]
    assert len(told) == windows_fields.LONGEST
    assert (told[:2048], told[2048], told[2049:]) == (long[:2048], "\N{HORIZONTAL ELLIPSIS}", long[-2047:])
    most = "\u00e4" * windows_fields.LONGEST
    assert one(sysmon_3(Image=most), tmp_path)["process"] == most


def test_long_events_come_in_smaller_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_events, "BATCH_BYTES", 1 << 20)
    (tmp_path / "e").write_bytes(lines([forms.winlogbeat(sysmon_3(Image="x" * 4000))] * 3000))
    file = windows_events.look(str(tmp_path / "e"))
    assert file is not None
    sizes = [b.host_events.num_rows for b in windows_events.records(file, InputCount())]
    assert sum(sizes) == 3000
    assert max(sizes) * 4000 <= 2 * windows_text.PIECE_BYTES


def test_a_query_is_without_its_final_dot(tmp_path: Path) -> None:
    assert one(sysmon_22(QueryName="relay.example.net."), tmp_path)["query"] == "relay.example.net"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2024-05-01T12:00:07.5123409Z", 1714564807.51234),
        ("2024-05-01T12:00:07Z", 1714564807.0),
        ("2024-05-01 12:00:07.5", 1714564807.5),
        ("2024-05-01T14:00:07.5+02:00", 1714564807.5),
        ("/Date(1714564807512)/", 1714564807.512),
        ("/Date(1714564807512+0200)/", 1714564807.512),
        (1714564807.25, 1714564807.25),
        ("1714564807.25", 1714564807.25),
        (1714564807512, 1714564807.512),
    ],
)
def test_times_in_whatever_form(written: Any, seconds: float, tmp_path: Path) -> None:
    row = forms.winlogbeat(security_5156()) | {"@timestamp": written}
    assert one(row, tmp_path)["ts"].timestamp() == seconds


def test_sysmons_own_time_goes_before_the_logs_unless_it_is_none(tmp_path: Path) -> None:
    assert one(sysmon_3(), tmp_path)["ts"].timestamp() == 1714564805.871
    assert one(sysmon_3(UtcTime="yesterday"), tmp_path)["ts"].timestamp() == 1714564807.512


@pytest.mark.parametrize("written", ["7/19/2019 2:50:25 PM", "2024-13-01T00:00:00Z", None, [1], "9" * 30])
def test_an_event_without_a_time_is_left_out_and_counted(written: Any, tmp_path: Path) -> None:
    row = forms.winlogbeat(security_5156()) | {"@timestamp": written}
    (tmp_path / "e").write_bytes(lines([row, forms.winlogbeat(sysmon_3())]))
    file = windows_events.look(str(tmp_path / "e"))
    assert file is not None
    count = InputCount()
    [batch] = windows_events.records(file, count)
    assert batch.host_events["event_id"].to_pylist() == [3]
    assert count.refused == 1
    assert count.problems is not None
    assert "1 event without a readable time left out" in count.problems[0]


def test_values_of_any_type_are_text_or_none() -> None:
    values = ["a", 5, True, 7.0, 7.5, None, "-", "", [1], {"b": 1}, "\ud800"]
    assert windows_fields.texts(values).to_pylist() == [
        "a", "5", "true", "7", "7.5", None, None, None, None, None, "?",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "event_id", "used"),
    [
        ("Microsoft-Windows-Sysmon", 3, True),
        ("Linux-Sysmon", 3, True),
        ("Microsoft-Windows-Bits-Client", 3, False),
        ("Microsoft-Windows-Sysmon", 5156, False),
        ("Microsoft-Windows-Security-Auditing", 3, False),
        ("Microsoft-Windows-Security-Auditing", 5158, False),
        ("Microsoft-Windows-Sysmon", 1, False),
    ],
)
def test_events_of_other_providers_and_kinds_are_passed_over(
    provider: str, event_id: int, used: bool, tmp_path: Path
) -> None:
    event = Event(provider, event_id, sysmon_3().data)
    for write in (forms.winlogbeat, forms.velociraptor, forms.nxlog, forms.evtx_dump):
        (tmp_path / "e").write_bytes(lines([write(event), write(sysmon_22())]))
        file = windows_events.look(str(tmp_path / "e"))
        assert file is not None
        count = InputCount()
        [batch] = windows_events.records(file, count)
        assert batch.host_events["event_id"].to_pylist() == ([event_id] if used else []) + [22]
        assert count.passed_over == (0 if used else 1)
        assert count.refused == 0
