"""One traffic, three ways: the built-in sensor, the package's logs and the package's stream tell the same.

The logs and streams are recorded ones (tests/fixtures/zeek/record.py, with the options of zeek-scripts/replay.zeek),
so that no Zeek is needed here.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest

from hopscope import config, hunting
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch, InputCount
from hopscope.sources.addresses import Networks
from hopscope.sources.broker_json import decode
from hopscope.sources.zeek_stream import ZeekStream
from support import agreement

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "zeek"
OURS = sorted(p.name for p in FIXTURES.iterdir() if (p / "hopscope.log.gz").exists())
LABS = sorted(p.name for p in (FIXTURES / "lab").iterdir() if p.is_dir()) if (FIXTURES / "lab").exists() else []
NETS = ("10.0.0.0/8",)

# Fields in which Zeek with the package may tell another value than the built-in sensor: the least share of
# values no farther apart than that, where both have one, and why.
DIFFERENT = {
    "reply_p10": (0.90, 0.002, "Zeek tells of TLS records, HTTP messages and payloads, not of what an ACK covers"),
    "replies": (0.80, 0.0, "the same; and no more than `tls_records` and `session_payloads` are followed"),
    "close_rtt": (0.85, 0.002, "Zeek times the FIN that answers, the built-in sensor TLS's goodbye just before it"),
    "tls_sizes": (0.95, 0.0, "where both sides speak at once, Zeek orders records by their end"),
    "on_starts": (0.99, 0.0, "payload that was sent again is payload to Zeek's thresholds"),
}
# Fields that one of the two may leave unset where the other tells: by Zeek, and why.
ONLY_BUILTIN = {
    "reply_p10": "protocols whose messages Zeek doesn't follow",
    "replies": "protocols whose messages Zeek doesn't follow; none is null there, not 0",
    "finished_rtt": "anything sent again in the connection voids it in Zeek",
    "close_rtt": "payload that answers a FIN is not seen as such",
    **dict.fromkeys(("first_reply", "first_speaker", "first_len"), "UDP"),
    **dict.fromkeys(("first_bits", "first_printable", "first_run", "first_head_printable"), "known protocols, UDP"),
    "on_starts": "UDP",
}
ONLY_ZEEK = {
    "reply_p10": "what was sent again isn't seen in Zeek's records and messages",
    "close_rtt": "a FIN that was sent again isn't always seen as such",
    "client_rtt": "a SYN-ACK that was sent again isn't always seen as such",
}


@cache
def logged(directory: Path) -> tuple[Batch, ...]:
    """The records of the package's logs."""
    return tuple(hunting.records(directory, config=settings(), count=InputCount()))


@cache
def settings() -> config.Config:
    return config.load(overrides={"network.local_nets": NETS})


def streamed(transcript: Path) -> list[Batch]:
    """The records of a recorded stream; nothing of it may be refused or missing."""
    with gzip.open(transcript, "rt", encoding="utf-8") as lines:
        frames = [f["text"] for f in map(json.loads, lines) if f["dir"] == "server"]
    count = InputCount()
    batches = ZeekStream(count, Networks(NETS)).feed([decode(text) for text in frames])
    assert (count.refused, count.missing, count.problems) == (0, 0, None)
    return batches


@cache
def sensed(capture: Path) -> tuple[Batch, ...]:
    """The built-in sensor's records."""
    return tuple(hunting.records(capture, config=settings(), count=InputCount(), sensor="builtin"))


def whole(batches: list[Batch] | tuple[Batch, ...]) -> tuple[pa.Table, pa.Table]:
    """All records, in an order that doesn't depend on how they came."""
    connections = pa.Table.from_batches([b.connections for b in batches], CONNECTION_SCHEMA)
    queries = pa.Table.from_batches([b.dns_queries for b in batches], DNS_QUERY_SCHEMA)
    by = [("ts", "ascending"), ("uid", "ascending")]
    return connections.sort_by([*by, ("seg", "ascending")]), queries.sort_by([*by, ("query", "ascending")])


def check_same_text(directory: Path) -> None:
    """What is logged and what is sent are the same records."""
    log, stream = whole(logged(directory)), whole(streamed(directory.with_name(f"{directory.name}.jsonl.gz")))
    assert log[0].num_rows == stream[0].num_rows > 0
    for mine, theirs in zip(log, stream, strict=True):
        assert mine.equals(theirs)


def check_fields(directory: Path, capture: Path) -> None:
    """Field by field, with the differences that have a reason."""
    told = agreement.connections(sensed(capture), logged(directory))
    assert (told.left, told.right) == ([], [])
    for name, field in told.fields.items():
        least, within, _ = DIFFERENT.get(name, (1.0, 0.0, ""))
        share = field.share_within(within)
        assert share >= least, f"{name}: {share:.2%} agree, such as {field.example}"
        assert not field.only_left or name in ONLY_BUILTIN, f"{name}: {field.only_left} unset by Zeek"
        assert not field.only_right or name in ONLY_ZEEK, f"{name}: {field.only_right} told by Zeek alone"
    queries = agreement.dns_queries(sensed(capture), logged(directory))
    assert (queries.left, queries.right) == ([], [])
    for name, field in queries.fields.items():
        assert (field.different, field.only_left, field.only_right) == (0, 0, 0), f"{name}: {field.example}"


def check_hops(directory: Path, capture: Path) -> None:
    """What is found at medium and above is the same."""
    by_logs, by_packets = (
        {(f.hop, f.port) for f in hunting.hunt(path, config=settings()).at_least("medium")}
        for path in (directory, capture)
    )
    assert by_logs == by_packets


@pytest.mark.parametrize("name", OURS)
class TestOurCaptures:
    def test_logs_and_stream_are_the_same(self, name: str) -> None:
        check_same_text(FIXTURES / name)

    def test_the_builtin_sensor_tells_the_same_fields(self, name: str, pcaps: Path) -> None:
        check_fields(FIXTURES / name, pcaps / f"{name}.pcap.gz")

    def test_the_same_hops_are_found(self, name: str, pcaps: Path) -> None:
        check_hops(FIXTURES / name, pcaps / f"{name}.pcap.gz")


@pytest.mark.slow
@pytest.mark.parametrize("name", LABS)
class TestLabCaptures:
    def test_logs_and_stream_are_the_same(self, name: str) -> None:
        check_same_text(FIXTURES / "lab" / name)

    def test_the_builtin_sensor_tells_the_same_fields(self, name: str, shared: Path) -> None:
        check_fields(FIXTURES / "lab" / name, shared / "captures" / f"{name}.pcap.gz")

    def test_the_same_hops_are_found(self, name: str, shared: Path) -> None:
        check_hops(FIXTURES / "lab" / name, shared / "captures" / f"{name}.pcap.gz")


def test_every_capture_has_its_recording(pcaps: Path) -> None:
    assert sorted(p.name.removesuffix(".pcap.gz") for p in pcaps.glob("*.pcap.gz")) == OURS
