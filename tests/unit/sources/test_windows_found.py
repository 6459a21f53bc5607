"""From what the user names to files of events, and into a hunt's records."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from evtx import PyEvtxParser

from hopscope import config, hunting
from hopscope.errors import InputError
from hopscope.outputs import jsonl
from hopscope.records import InputCount
from hopscope.sources import windows_events
from hopscope.sources.capture import find
from hopscope.sources.windows_events import EventFile
from support import windows_events as forms
from support.evtx_writer import evtx
from support.windows_events import Event, lines, security_5156, sysmon_3
from support.zeek_text import as_json, conn, tsv

PCAP = b"\xd4\xc3\xb2\xa1" + bytes(20)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Events beside captures, and beside Zeek's logs."""
    monkeypatch.chdir(tmp_path)
    log = evtx([sysmon_3()])
    for name, data in {
        "with captures/a.pcap": PCAP,
        "with captures/b.evtx": log,
        "with captures/renamed": log,
        "with captures/sub/c.json.gz": gzip.compress(lines([forms.winlogbeat(sysmon_3())])),
        "with captures/d.xml": forms.xml(sysmon_3()).encode(),
        "with captures/notes.json": b'{"a": 1}',
        "with captures/notes.xml": b"<notes/>",
        "with logs/conn.log": tsv("conn", [conn("C1", 1.0)]),
        "with logs/events.jsonl": lines([forms.velociraptor(sysmon_3())]),
        "with logs/a.pcap": PCAP,
        "events.log": lines([forms.nxlog(sysmon_3())]),
    }.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)
    return tmp_path


def paths(*names: str, count: InputCount | None = None) -> list[str]:
    return [file.path for file in find(names, count or InputCount())]


def test_in_a_directory_events_come_first_and_displace_nothing(tree: Path) -> None:
    assert paths("with captures") == [
        "with captures/b.evtx",
        "with captures/d.xml",
        "with captures/renamed",
        "with captures/sub/c.json.gz",
        "with captures/a.pcap",
    ]


def test_beside_logs_events_are_read_too(tree: Path) -> None:
    count = InputCount()
    assert paths("with logs", count=count) == ["with logs/events.jsonl", "with logs"]
    assert count.problems == [
        "with logs: Zeek's logs were read, not the 1 capture beside them (with logs/a.pcap); "
        "name captures themselves to have them read"
    ]


def test_named_files_are_known_by_what_they_hold_and_read_once(tree: Path) -> None:
    found = find(["with captures/a.pcap", "events.log", "with captures/*e*", "./events.log"], InputCount())
    assert [(f.path, f.form) for f in found if isinstance(f, EventFile)] == [
        ("events.log", "json lines"),
        ("with captures/b.evtx", "evtx"),
        ("with captures/renamed", "evtx"),
    ]


def test_a_log_of_windows_that_is_none_is_told(tree: Path) -> None:
    Path("with captures/b.evtx").write_bytes(b"")
    count = InputCount()
    assert "with captures/b.evtx" not in paths("with captures", count=count)
    assert count.problems == [
        "with captures/b.evtx: this is no event log (it doesn't begin with ElfFile); "
        "copy it again; a log that Windows has open is exported with wevtutil epl"
    ]
    with pytest.raises(InputError, match="this is no event log"):
        find(["with captures/b.evtx"], InputCount())


def test_zeeks_json_is_not_taken_for_events(tree: Path) -> None:
    Path("conn.json").write_bytes(as_json([conn("C1", 1.0)], _path="conn"))
    assert not isinstance(find(["conn.json"], InputCount())[0], EventFile)


@pytest.mark.parametrize(
    "write",
    [evtx, lambda e: lines(map(forms.winlogbeat, e)), lambda e: "".join(map(forms.xml, e)).encode()],
    ids=["evtx", "json", "xml"],
)
def test_events_are_records_of_a_run(write: Callable[[list[Event]], bytes], tmp_path: Path) -> None:
    other = Event("Microsoft-Windows-Sysmon", 1, {"UtcTime": "2024-05-01 12:00:05.871"})
    (tmp_path / "e").write_bytes(write([sysmon_3(), other, security_5156(), other]))
    count = InputCount()
    batches = hunting.records(tmp_path / "e", config=config.load(None, {}, {}), count=count)
    printed = [json.loads(line) for batch in batches for line in jsonl.records(batch)]
    assert [(row["kind"], row["event_id"], row["dst_p"]) for row in printed] == [
        ("host_event", 3, 443),
        ("host_event", 5156, 3389),
    ]
    assert printed[0]["ts"] == 1714564805.871
    assert (count.host_events, count.passed_over, count.refused, count.inputs) == (2, 2, 0, 1)
    assert count.problems == [
        "2 Windows events of other kinds were passed over; Sysmon's 3 and 22 and Security's 5156 and 5157 are used"
    ]


def test_the_public_samples_are_read(evtx_samples: Path) -> None:
    count = InputCount()
    files = [f for f in find([str(evtx_samples)], count) if isinstance(f, EventFile)]
    assert len(files) > 200
    batches = hunting.records([f.path for f in files], config=config.load(None, {}, {}), count=count)
    events = sum(batch.host_events.num_rows for batch in batches)
    assert events > 200
    assert count.passed_over > 5_000
    assert count.refused == 0


@pytest.mark.parametrize("form", ["xml", "json", "json lines"])
def test_the_public_samples_are_the_same_in_other_forms(form: str, evtx_samples: Path, tmp_path: Path) -> None:
    compared = 0
    for path in sorted(evtx_samples.rglob("*.evtx")):
        parser = PyEvtxParser(str(path), number_of_threads=1, indent=form != "json lines")
        texts = [record["data"] for record in (parser.records() if form == "xml" else parser.records_json())]
        file = EventFile(str(tmp_path / "e"), "e", None, form)  # type: ignore[arg-type]
        (tmp_path / "e").write_text("\n".join(texts))
        found = [b.host_events for b in windows_events.records(file, InputCount())]
        assert found == [
            b.host_events for b in windows_events.records(EventFile(str(path), "e", None, "evtx"), InputCount())
        ]
        compared += sum(events.num_rows for events in found)
    assert compared > 200
