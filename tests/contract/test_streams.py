"""The package's own stream, as a real Zeek sent it for the project's captures, with every mishap on the way."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.fake_zeek import Act, Client, fake_zeek, until
from hopscope.config import LiveSettings
from hopscope.records import Batch, InputCount
from hopscope.sources.broker_json import Event, RecordLines, decode
from hopscope.sources.zeek_stream import HEARTBEAT
from hopscope.sources.zeek_websocket import ZeekWebSocket

STREAMS = sorted((Path(__file__).resolve().parents[1] / "fixtures" / "zeek").rglob("*.jsonl.gz"))
if not STREAMS:
    pytest.skip("no stream of the package has been recorded yet", allow_module_level=True)


@pytest.fixture(scope="module", params=STREAMS, ids=lambda path: path.name.split(".")[0])
def frames(request: pytest.FixtureRequest) -> list[str]:
    """What the server sent after its acknowledgement."""
    with gzip.open(request.param, "rt", encoding="utf-8") as lines:
        sent = [frame["text"] for frame in map(json.loads, lines) if frame["dir"] == "server"]
    return sent[1:]


def records(frames: list[str]) -> int:
    """How many records the frames carry."""
    return sum(m.n for m in map(decode, frames) if isinstance(m, RecordLines))


def plays(frames: list[str], *, cut: bool = False) -> Act:
    """An act: accept, send these, and stay or break off."""

    def act(client: Client) -> None:
        client.accept()
        client.send(*frames)
        client.cut() if cut else client.stay()

    return act


@contextmanager
def analyzer(*acts: Act) -> Iterator[tuple[ZeekWebSocket, InputCount]]:
    """Connected to a server with these acts."""
    count = InputCount()
    with fake_zeek(*acts) as zeek, ZeekWebSocket(zeek.url, LiveSettings(), count, wait=lambda _: False) as source:
        yield source, count


def read(source: ZeekWebSocket, due: int) -> list[Batch]:
    """Poll until so many records came or are known to be missing."""
    got: list[Batch] = []

    def rows() -> int:
        got.extend(source.poll(0.02))
        return sum(b.connections.num_rows + b.dns_queries.num_rows for b in got)

    until(lambda: rows() + source.status.stream.missing >= due)
    return got


def test_every_record_arrives(frames: list[str]) -> None:
    with analyzer(plays(frames)) as (source, count):
        got = read(source, records(frames))
        assert records(frames) > 0
        assert (count.missing, count.refused, count.problems) == (0, 0, None)
        assert sum(b.connections.num_rows for b in got) > 0
        [node] = source.status.stream.nodes
        assert (node.restarts, node.missing, node.exact) == (0, 0, True)
        assert node.zeek is not None


def test_what_a_heartbeat_counts_is_what_came(frames: list[str]) -> None:
    """The package's counters agree with its batches, at every heartbeat."""
    sent = {"connection": [0, 0], "dns_query": [0, 0]}
    beats = 0
    for message in map(decode, frames):
        if isinstance(message, RecordLines):
            assert message.seq == sent[message.kind][1]
            assert message.n == message.count
            sent[message.kind][0] += message.n
            sent[message.kind][1] += 1
        elif isinstance(message, Event) and message.name == HEARTBEAT:
            [record] = message.args
            assert isinstance(record, tuple)
            counters = record[3]
            assert isinstance(counters, tuple)
            told = {c[0]: list(c[1:3]) for c in counters if isinstance(c, tuple)}
            assert told == sent
            beats += 1
    assert beats > 0


def test_a_lost_batch_is_known_to_the_record(frames: list[str]) -> None:
    batches = [i for i, frame in enumerate(frames) if isinstance(decode(frame), RecordLines)]
    lost = batches[len(batches) // 2]
    rest = frames[:lost] + frames[lost + 1 :]
    with analyzer(plays(rest)) as (source, count):
        read(source, records(frames))
        until(lambda: source.poll(0.02) == [] and source.status.stream.nodes[0].exact)
        assert count.missing == records([frames[lost]])


def test_a_break_in_the_middle_is_known_to_the_record(frames: list[str]) -> None:
    """A third is lost in a break, and what the break itself took; the last third comes over two connections."""
    third = len(frames) // 3
    first, lost, last = frames[:third], frames[third : 2 * third], frames[2 * third :]
    with analyzer(plays(first, cut=True), plays(last, cut=True), plays(last)) as (source, count):
        until(lambda: source.status.reconnects == 2)
        got = read(source, records(frames))
        until(lambda: source.poll(0.02) == [] and source.status.waiting_bytes == 0)
        uids = [uid for b in got for c in (b.connections, b.dns_queries) for uid in c["uid"].to_pylist()]
        assert len(uids) + count.missing == records(frames)
        assert count.missing >= records(lost)
        assert count.refused == 0


def test_batches_in_another_order_are_all_taken(frames: list[str]) -> None:
    with analyzer(plays(frames[:2] + frames[:1:-1])) as (source, count):
        read(source, records(frames))
        until(lambda: source.poll(0.02) == [] and source.status.stream.missing == 0)
        assert (count.missing, count.refused) == (0, 0)
