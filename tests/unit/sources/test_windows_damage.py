"""Files that are damaged, hostile or something else: nothing crashes, what is sound is read, the rest is counted."""

from __future__ import annotations

import contextlib
import gzip
import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopscope.errors import InputError
from hopscope.records import InputCount
from hopscope.sources import windows_events, windows_json
from hopscope.sources.windows_events import EventFile, Form
from hopscope.sources.windows_rows import Gathered
from support import windows_events as forms
from support.evtx_writer import chunks, evtx
from support.windows_events import lines, sysmon_3, xml

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FORMS: tuple[Form, ...] = ("evtx", "json lines", "json", "xml")


def ports(path: Path, count: InputCount, form: Form | None = None) -> list[int]:
    """The source ports of a file's events, which name them in these tests."""
    file = windows_events.look(str(path)) if form is None else EventFile(str(path), "e", None, form)
    assert file is not None
    return [p for batch in windows_events.records(file, count) for p in batch.host_events["src_p"].to_pylist()]


def events(number: int) -> list[forms.Event]:
    return [sysmon_3({"record": n}, SourcePort=n) for n in range(1, number + 1)]


@pytest.mark.parametrize(
    "bad",
    [b"{", b"nonsense", b'{"a": \xff\xfe}', b"null", b"[]", b'"text"', b"{" * 5000, b'{"a":' * 5000, b"{}", b"\0"],
)
def test_a_bad_line_among_good_ones_is_counted(bad: bytes, tmp_path: Path) -> None:
    good = lines(map(forms.winlogbeat, events(2))).splitlines()
    (tmp_path / "e").write_bytes(b"\n".join([good[0], bad, b"", good[1], b""]))
    count = InputCount()
    assert ports(tmp_path / "e", count) == [1, 2]
    assert count.refused == 1
    assert count.problems == [f"{tmp_path / 'e'}: 1 record or line not understood and left out; export the file again"]


def test_lines_that_lost_their_begin_are_known(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(lines(map(forms.winlogbeat, events(3)))[100:])
    count = InputCount()
    assert ports(tmp_path / "e", count) == [2, 3]
    assert count.refused == 1


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    line = lines([forms.winlogbeat(sysmon_3(User="CORP\\X"))]).replace(b"CORP\\\\X", b"CORP\\\\\xe4")
    (tmp_path / "e").write_bytes(line)
    file = windows_events.look(str(tmp_path / "e"))
    assert file is not None
    [batch] = windows_events.records(file, InputCount())
    assert batch.host_events["user"].to_pylist() == ["CORP\\�"]


@pytest.mark.parametrize(
    "text",
    [
        b"<!--a-->" * 5000 + b"<x><EventID/>",
        b"<!DOCTYPE a [ ]>" * 5000 + b"<x><EventID/>",
        b"<Event><System>" + b"<EventID" * 200_000 + b"</System></Event>",
        b'{"Id": 3, "ProviderName": "Microsoft-Windows-Sysmon", "Message": "Image: x' + b" " * 200_000 + b'y"}\n',
    ],
)  # each of them took minutes, or longer than anyone lives
def test_text_that_was_made_to_be_searched_for_long_is_not(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(text)
    file = windows_events.look(str(tmp_path / "e"))
    if file is not None:
        with contextlib.suppress(InputError):  # nothing of it can be used
            list(windows_events.records(file, InputCount()))


def test_an_array_that_was_cut_keeps_what_is_whole(tmp_path: Path) -> None:
    text = json.dumps([forms.evtx_dump(e) for e in events(3)], indent=2).encode()
    (tmp_path / "e").write_bytes(text[:-200])
    count = InputCount()
    assert ports(tmp_path / "e", count) == [1, 2]
    assert count.refused == 1


def test_braces_and_quotes_within_text_do_not_end_an_object(tmp_path: Path) -> None:
    odd = [
        sysmon_3({"record": n}, SourcePort=n, Image=image) for n, image in enumerate(('}{"', "\\", '\\"}', "{[,"), 1)
    ]
    (tmp_path / "e").write_bytes(json.dumps([forms.evtx_dump(e) for e in odd], indent=1).encode())
    count = InputCount()
    assert ports(tmp_path / "e", count) == [1, 2, 3, 4]
    assert count.refused == 0


@UNHURRIED
@given(st.lists(st.text('{}[]"\\,a \n', max_size=12), max_size=6), st.integers(1, 40))
def test_objects_are_found_wherever_pieces_end(texts: list[str], size: int) -> None:
    rows = [{"EventID": 1, "comment": text} for text in texts]
    document = json.dumps(rows).encode()
    gathered = Gathered()
    for _ in windows_json.objects((document[at : at + size] for at in range(0, len(document), size)), gathered):
        pass
    assert (gathered.others, gathered.strange) == (len(rows), 0)


HOSTILE = {
    "entities that multiply": '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
    "an entity from a file": '<!DOCTYPE a [<!ENTITY c SYSTEM "file:///etc/hostname">]>',
    "an entity from elsewhere": '<!DOCTYPE a SYSTEM "http://203.0.113.1/a.dtd">',
}


@pytest.mark.parametrize("where", ["before", "within"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_entities_of_xml_do_nothing(kind: str, where: str, tmp_path: Path) -> None:
    bad = xml(sysmon_3(SourcePort=9, User="here")).replace("here", "&c;")
    if where == "within":
        bad = bad.replace("<System>", HOSTILE[kind] + "<System>")
    begin = HOSTILE[kind] if where == "before" else ""
    first, last = map(xml, events(2))
    (tmp_path / "e").write_text(f'<?xml version="1.0"?>{begin}<Events>{first}{bad}{last}</Events>')
    count = InputCount()
    assert ports(tmp_path / "e", count) == [1, 2]
    assert count.refused == 1


def test_text_of_xml_in_another_encoding_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes("".join(map(xml, [sysmon_3(SourcePort=1, User="Zoë"), *events(1)])).encode("latin-1"))
    assert ports(tmp_path / "e", InputCount()) == [1, 1]


@pytest.mark.parametrize("bad", ["<Event><System></Events></Event>", "<Event>\x01<EventID>3</EventID></Event>"])
def test_an_event_of_xml_that_is_broken_costs_itself(bad: str, tmp_path: Path) -> None:
    first, last = map(xml, events(2))
    if "EventID" not in bad:
        bad = bad.replace("<System>", "<System><EventID>3</EventID>")
    (tmp_path / "e").write_text(first + bad + last)
    count = InputCount()
    assert ports(tmp_path / "e", count) == [1, 2]
    assert count.refused == 1


def test_xml_that_was_cut_keeps_what_is_whole(tmp_path: Path) -> None:
    (tmp_path / "e").write_text("".join(map(xml, events(3)))[:-30])
    count = InputCount()
    assert ports(tmp_path / "e", count) == [1, 2]
    assert count.refused == 1


def test_rendered_text_and_data_of_other_elements_are_not_mistaken_for_the_events(tmp_path: Path) -> None:
    rendered = "<RenderingInfo><Message>SourcePort: 7</Message><Provider>Other</Provider></RenderingInfo>"
    (tmp_path / "e").write_text(
        xml(events(1)[0]).replace(
            "</Event>", f"<UserData><Data Name='SourcePort'>7</Data></UserData>{rendered}</Event>"
        )
    )
    assert ports(tmp_path / "e", InputCount()) == [1]


def test_a_damaged_chunk_of_evtx_costs_itself(tmp_path: Path) -> None:
    log = bytearray(evtx(events(150)))
    spans = list(chunks(bytes(log)))
    assert len(spans) >= 3
    begin, _ = spans[1]
    log[begin : begin + 8] = b"GARBAGE!"
    (tmp_path / "e").write_bytes(log)
    count = InputCount()
    found = ports(tmp_path / "e", count)
    assert found[0] == 1
    assert found[-1] == 150
    assert 50 < len(found) < 150
    assert count.refused


def test_a_chain_of_strings_that_was_made_to_circle_is_not_followed(tmp_path: Path) -> None:
    log = bytearray(evtx(events(2)))
    # a name in a chunk: the next in its chain, hash, length, text
    first, then = (log.index(f"{name}\0".encode("utf-16-le")) - 8 - 4096 for name in ("EventData", "Computer"))
    struct.pack_into("<I", log, 4096 + first, then)
    struct.pack_into("<I", log, 4096 + then, first)
    struct.pack_into("<64I", log, 4096 + 128, *[first] * 64)
    (tmp_path / "e").write_bytes(log)
    assert ports(tmp_path / "e", InputCount()) == [1, 2]


def test_a_log_that_was_cut_keeps_what_is_whole(tmp_path: Path) -> None:
    log = evtx(events(100))
    (tmp_path / "e").write_bytes(log[: 4096 + (1 << 16) + 20_000])
    count = InputCount()
    found = ports(tmp_path / "e", count)
    assert 20 < len(found) < 40, "20 are in the first chunk"
    assert found == list(range(1, len(found) + 1))
    cut = f"{tmp_path / 'e'}: the file ends in the middle, what it held behind that is lost; copy it again"
    assert cut in (count.problems or [])


def test_a_log_that_was_cut_in_its_header_is_told(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(evtx(events(1))[:2000])
    count = InputCount()
    with pytest.raises(InputError, match="the file ends in the middle"):
        ports(tmp_path / "e", count)


def test_a_whole_log_is_not_taken_for_a_cut_one(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(evtx(events(100)))
    count = InputCount()
    assert len(ports(tmp_path / "e", count)) == 100
    assert not count.problems


def test_events_that_tell_nothing_are_told(tmp_path: Path) -> None:
    german = [forms.get_winevent(e) | {"Message": "Netzwerkverbindung", "Properties": ["System"]} for e in events(2)]
    (tmp_path / "e").write_text(json.dumps(german))
    count = InputCount()
    with pytest.raises(InputError, match="e: 2 events without process, address and name left out; of Get-WinEvent's, "):
        ports(tmp_path / "e", count)
    assert count.refused == 2


def test_events_of_which_no_time_can_be_read_are_known_for_events(tmp_path: Path) -> None:
    text = "7/19/2019 2:50:25 PM"
    rows = [forms.nxlog(e) | {"UtcTime": text, "EventTime": text} for e in events(2)]
    (tmp_path / "e").write_bytes(lines(rows))
    count = InputCount()
    with pytest.raises(InputError, match="e: 2 events without a readable time left out; export times in ISO 8601"):
        ports(tmp_path / "e", count)
    assert count.refused == 2
    (tmp_path / "e").write_bytes(lines([*rows, forms.nxlog(sysmon_3(SourcePort=3))]))
    count = InputCount()
    assert ports(tmp_path / "e", count) == [3], "one that is read makes the rest a line"
    assert count.problems == [f"{tmp_path / 'e'}: 2 events without a readable time left out; export times in ISO 8601"]


def test_a_log_of_which_only_the_header_is_there(tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(evtx([])[:4096])
    assert ports(tmp_path / "e", InputCount()) == []


def test_packing_that_is_damaged_is_told_and_what_stood_before_kept(tmp_path: Path) -> None:
    packed = gzip.compress(lines(map(forms.winlogbeat, events(2000))))
    (tmp_path / "e").write_bytes(packed[:-100])
    count = InputCount()
    assert ports(tmp_path / "e", count)[:2] == [1, 2]
    assert any("gzip data ends before its end mark" in problem for problem in count.problems or [])


@UNHURRIED
@given(st.binary(max_size=300), st.sampled_from(FORMS))
def test_no_bytes_crash_it(tmp_path: Path, data: bytes, form: Form) -> None:
    (tmp_path / "e").write_bytes(data)
    with contextlib.suppress(InputError):
        ports(tmp_path / "e", InputCount(), form)
    windows_events.look(str(tmp_path / "e"))


SOUND = {
    "evtx": evtx(events(3)),
    "json lines": lines(map(forms.winlogbeat, events(3))),
    "json": json.dumps([forms.get_winevent(e) for e in events(3)]).encode(),
    "xml": "".join(map(xml, events(3))).encode(),
}


@UNHURRIED
@given(st.data(), st.sampled_from(FORMS))
def test_no_damage_to_a_file_crashes_it(tmp_path: Path, data: st.DataObject, form: Form) -> None:
    damaged = bytearray(SOUND[form])
    end = min(len(damaged), 9000)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, end - 1))
        damaged[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    (tmp_path / "e").write_bytes(damaged)
    with contextlib.suppress(InputError):
        ports(tmp_path / "e", InputCount(), form)


NAMES = st.sampled_from([
    "Event", "System", "EventData", "EventID", "winlog", "event_id", "event_data", "Provider", "TimeCreated", "source",
    "destination", "process", "user", "network", "dns", "host", "Properties", "Message", "Value", "SourceIp", "UtcTime",
    "SourcePort", "ProcessGuid", "event", "code", "_source", "result", "@timestamp", "Id",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from((3, "22", 5156, "Microsoft-Windows-Sysmon", "10.0.0.1")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=16,
)  # fmt: skip


@UNHURRIED
@given(st.lists(st.dictionaries(NAMES, JSON, max_size=8), max_size=4))
def test_no_shape_of_json_crashes_it(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    (tmp_path / "e").write_bytes(lines(rows))
    with contextlib.suppress(InputError):
        ports(tmp_path / "e", InputCount(), "json lines")


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "<html></html>", "<Eventful/>", "<Events><Event><When/></Event></Events>",
        '{"ts":1.0,"uid":"C1","id.orig_h":"10.0.0.1"}\n',
        '{"timestamp":"2024-05-01T00:00:00","event_type":"flow","src_ip":"10.0.0.1"}\n', "time,EventID\n1,3\n", "Elf",
        '{"EventData": 1}', "[1, 2]",
    ],
)  # fmt: skip
def test_other_files_are_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "e").write_text(text)
    assert windows_events.look(str(tmp_path / "e")) is None


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be opened"):
        windows_events.look(str(tmp_path / "absent"))
