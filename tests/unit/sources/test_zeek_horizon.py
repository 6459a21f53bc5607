"""Records from the future: refused by their sender's own clock, and none because that clock had not yet come."""

from __future__ import annotations

import pytest

from hopscope.records import Batch, InputCount
from hopscope.sources import zeek_horizon
from hopscope.sources.broker_json import Message, RecordLines
from hopscope.sources.zeek_stream import ZeekStream
from support.stream import NOW, batch, connection, heartbeat, hello, query


class Fed:
    """A stream, its count and the uids that came of each feed."""

    def __init__(self) -> None:
        self.count = InputCount()
        self.stream = ZeekStream(self.count)

    def feed(self, *messages: Message) -> list[str]:
        got: list[Batch] = self.stream.feed(messages)
        return [uid for b in got for uid in b.connections["uid"].to_pylist()]


def at(number: int, *seconds: float, node: str = "worker-1") -> RecordLines:
    """A batch of connections with these times, told at once; their uids are C0, C1, ..."""
    return batch(number, [connection(i, ts=f"{s:.6f}", seg_end=f"{s:.6f}") for i, s in enumerate(seconds)], node=node)


def test_records_after_the_nodes_clock_are_refused_counted_and_told_once() -> None:
    fed = Fed()
    assert fed.feed(hello(), at(0, NOW, 4102444800.0, NOW + 599, NOW + 601)) == ["C0", "C2"]
    assert (fed.count.refused, fed.stream.status().held) == (0, 2)
    assert fed.feed(heartbeat(4, 1)) == []
    fed.feed(at(1, NOW + 700), heartbeat(5, 2))
    fed.feed(heartbeat(5, 2))
    assert (fed.count.refused, fed.stream.status().held) == (3, 0)
    assert fed.count.problems == [
        "node worker-1: 3 records are dated more than 10 minutes after the node's own clock; "
        "set the sensors' clocks right"
    ]


def test_the_end_of_a_segment_counts_as_its_begin_does() -> None:
    fed = Fed()
    late = connection(1, ts=f"{NOW}", seg_end=f"{NOW + 3600}")
    assert fed.feed(hello(), batch(0, [connection(0), late])) == ["C0"]
    fed.stream.end()
    assert fed.count.refused == 1


def test_dns_queries_are_judged_too() -> None:
    fed = Fed()
    [got] = fed.stream.feed([hello(), batch(0, [query(1), query(200_000)], kind="dns_query")])
    assert got.dns_queries["uid"].to_pylist() == ["D1"]
    [got] = fed.stream.feed([heartbeat(2, 1, kind="dns_query", now=NOW + 100_000)])
    assert got.dns_queries["uid"].to_pylist() == ["D200000"]


def test_after_a_long_silence_records_wait_for_the_clock_and_are_not_lost() -> None:
    """The line was down for a day, and the first batches come before the first heartbeat."""
    fed = Fed()
    fed.feed(hello(), at(0, NOW))
    assert fed.feed(at(1, NOW + 86400, NOW + 86401)) == []
    assert fed.feed(heartbeat(3, 2, now=NOW + 86405), at(2, NOW + 86406)) == ["C0", "C1", "C0"]
    assert (fed.count.refused, fed.count.missing, fed.count.problems) == (0, 0, None)
    assert fed.stream.status().records == 4


def test_before_any_clock_is_known_all_are_taken() -> None:
    fed = Fed()
    assert fed.feed(at(0, NOW), hello(now=0.0)) == ["C0"]
    assert fed.feed(at(1, NOW + 5)) == ["C0"]


def test_a_node_that_never_says_what_time_it_is_is_judged_by_the_others() -> None:
    fed = Fed()
    assert fed.feed(hello(), at(0, NOW, node="w2"), at(1, NOW + 3600, node="w2")) == ["C0"]
    assert fed.feed(heartbeat(2, 2, now=NOW + 3600, node="w2")) == ["C0"]
    fed.feed(at(0, NOW + 99999, node="w3"))
    fed.stream.end()
    assert fed.count.refused == 1


def test_a_clock_never_goes_back() -> None:
    fed = Fed()
    fed.feed(hello(), heartbeat(0, 0, now=NOW - 86400))
    assert fed.feed(at(0, NOW)) == ["C0"]


def test_nodes_are_judged_by_their_own_clocks_and_bad_lines_are_counted_once() -> None:
    fed = Fed()
    day = NOW + 86400
    broken = batch(0, ["x\ty", connection(7, ts=f"{day:.6f}", seg_end=f"{day:.6f}")], node="late")
    assert fed.feed(hello(), hello(node="late", now=day), broken, at(0, day, NOW)) == ["C7", "C1"]
    assert fed.count.refused == 1
    fed.stream.end()
    assert fed.count.refused == 2


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeek_horizon, "HELD_BYTES", 0)
    fed = Fed()
    fed.feed(hello(), at(0, NOW + 3600))
    assert fed.count.refused == 1


@pytest.mark.parametrize("now", [253402300799.9, 9e9])
def test_a_clock_at_the_end_of_time_is_no_error(now: float) -> None:
    assert Fed().feed(hello(now=now), at(0, NOW)) == ["C0"]
