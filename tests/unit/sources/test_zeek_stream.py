"""The package's events to records: nothing is lost, or weighed twice, in silence."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch, InputCount
from hopscope.sources import zeek_columns, zeek_stream
from hopscope.sources.broker_json import Event, Message, Refusal, ServerError
from hopscope.sources.broker_values import Timestamp
from hopscope.sources.zeek_nodes import Heartbeat
from hopscope.sources.zeek_stream import ZeekStream
from support import stream
from support.stream import batch, connection, heartbeat, hello


class Fed:
    """A stream and its count."""

    def __init__(self, *messages: Message) -> None:
        self.count = InputCount()
        self.stream = ZeekStream(self.count)
        self.batches = self.feed(*messages)

    def feed(self, *messages: Message) -> list[Batch]:
        return self.stream.feed(messages)

    def problems(self) -> str:
        return "\n".join(self.count.problems or ())


def uids(batches: Iterable[Batch]) -> list[str]:
    return [uid for b in batches for uid in b.connections["uid"].to_pylist()]


def test_batches_become_records_of_the_schemas() -> None:
    fed = Fed(hello(), batch(0), batch(0, kind="dns_query"), batch(1))
    [got] = fed.batches
    assert got.connections.schema == CONNECTION_SCHEMA
    assert got.dns_queries.schema == DNS_QUERY_SCHEMA
    assert uids(fed.batches) == ["C0", "C1", "C2", "C3"]
    assert got.connections["tls_sizes"].to_pylist()[0] == [120, -330]
    assert got.connections["sni"].null_count == 4
    assert got.dns_queries["answers"].to_pylist() == [["203.0.113.9"]] * 2
    assert (fed.count.missing, fed.count.refused, fed.count.problems) == (0, 0, None)
    assert fed.stream.status().records == 6


def test_columns_come_in_any_order_and_number() -> None:
    """Another version of the package: a column that is not known here, one that is not known there."""
    columns = ["new_thing", *reversed([c for c in stream.CONNECTIONS if c != "sni"])]
    fed = Fed(hello(columns=columns), batch(0, columns=columns))
    assert uids(fed.batches) == ["C0", "C1"]
    assert fed.batches[0].connections["sni"].to_pylist() == [None, None]
    assert fed.count.lacks == {"sni"}


def test_batches_wait_for_the_hello_that_names_their_columns() -> None:
    columns = tuple(reversed(stream.CONNECTIONS))
    fed = Fed(batch(0, columns=columns), batch(1, columns=columns))
    assert fed.batches == []
    assert fed.stream.status().held == 4
    assert uids(fed.feed(hello(columns=columns))) == ["C0", "C1", "C2", "C3"]
    assert fed.stream.status().held == 0


def test_what_waits_is_bounded_and_what_waits_in_vain_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = tuple(reversed(stream.CONNECTIONS))
    one = batch(0, columns=columns)
    monkeypatch.setattr(zeek_stream, "HELD_BYTES", len(one.lines))
    fed = Fed(one, batch(1, columns=columns), batch(2, columns=columns))
    assert fed.count.missing == 4
    fed.stream.end()
    assert fed.count.missing == 6
    assert "6 records came before any word of their columns" in fed.problems()


def test_a_lost_batch_is_counted_to_the_record_by_the_next_heartbeat() -> None:
    big = [connection(i) for i in range(7)]
    fed = Fed(hello(), heartbeat(0, 0), batch(0), batch(2))
    assert fed.count.missing == 2  # of the usual size, as far as is known
    assert "about 2 connection records were sent and never came (1 batches)" in fed.problems()
    fed.feed(batch(3, big), heartbeat(2 + 9 + 2 + 7, 4))
    assert fed.count.missing == 9
    assert fed.count.problems == [
        "node worker-1: 9 connection records were sent and never came (1 batches); findings rest on the others"
    ]


def test_a_lost_end_is_noticed_by_the_heartbeat() -> None:
    fed = Fed(hello(), batch(0), heartbeat(12, 3))
    assert fed.count.missing == 10


def test_what_was_sent_before_the_analyzer_came_is_not_missing() -> None:
    assert Fed(batch(17), batch(18), heartbeat(9000, 19)).count.missing == 0
    assert Fed(heartbeat(9000, 17), batch(17), heartbeat(9002, 18)).count.missing == 0
    assert Fed(heartbeat(9000, 17), heartbeat(9005, 18)).count.missing == 5


def test_batches_may_overtake_each_other_and_the_heartbeat() -> None:
    fed = Fed(heartbeat(0, 0), batch(1), heartbeat(6, 3))
    assert fed.count.missing == 4
    fed.feed(batch(2), batch(0))
    assert fed.count.missing == 0
    assert sorted([*uids(fed.batches), "C0", "C1", "C4", "C5"]) == [f"C{i}" for i in range(6)]
    assert fed.count.problems == ["node worker-1: connection records came late; none is missing"]


def test_what_comes_twice_is_used_once() -> None:
    fed = Fed(batch(0), batch(1), batch(0), batch(1), batch(1))
    assert uids(fed.batches) == ["C0", "C1", "C2", "C3"]
    assert fed.stream.status().duplicates == 3
    assert fed.count.missing == 0


def test_a_restart_is_told_and_its_batches_are_due_from_the_first() -> None:
    fed = Fed(batch(5), batch(2, boot="Hboot2"), heartbeat(11, 3, boot="Hboot2"))
    assert fed.count.missing == 9
    assert "node worker-1: Zeek was started anew" in fed.problems()
    fed.feed(batch(6))  # a straggler of the first start is no third start
    assert fed.stream.status().nodes[0].restarts == 1
    for i in range(9):
        fed.feed(batch(1, boot=f"Hagain{i}"))
    assert fed.count.missing == 9 + 9 * 2
    assert "started anew 10 times" in fed.problems()


def test_nodes_and_kinds_are_numbered_apart() -> None:
    fed = Fed(*(batch(0, node=f"w{i}", kind=kind) for i in range(3) for kind in ("connection", "dns_query")))
    fed.feed(batch(2, node="w1"), batch(1, node="w2", kind="dns_query"))
    assert fed.count.missing == 2
    assert [n.missing for n in fed.stream.status().nodes] == [0, 2, 0]


def test_packet_loss_is_told_as_a_share_since_the_node_was_heard() -> None:
    fed = Fed(heartbeat(0, 0, received=1000, dropped=500), heartbeat(0, 0, received=1970, dropped=530))
    [node] = fed.stream.status().nodes
    assert node.loss == pytest.approx(0.03)
    assert "Zeek dropped 3.00% of its packets (30)" in fed.problems()


def test_batches_that_zeek_could_not_send_are_missing_and_told() -> None:
    fed = Fed(heartbeat(0, 0), batch(1), heartbeat(7, 2, unsent=1))
    assert fed.count.missing == 5
    assert "Zeek could not send 1 batches" in fed.problems()


def test_a_problem_is_one_line_whose_number_grows() -> None:
    fed = Fed(*[Refusal("not JSON")] * 3)
    fed.feed(*[Refusal("not JSON")] * 4, ServerError("code", "context"))
    assert fed.count.refused == 7
    assert fed.count.problems is not None
    assert len(fed.count.problems) == 2
    assert fed.count.problems[0].startswith("Zeek's stream: 7 frames from Zeek could not be understood")


def test_problems_of_ever_new_senders_are_bounded() -> None:
    fed = Fed(*(batch(0, node=f"n{i}", n=3) for i in range(3000)))
    assert len(fed.count.problems or ()) < 300
    assert fed.count.refused == 3000


@pytest.mark.parametrize(
    "odd",
    [
        Event(zeek_stream.TOPIC, zeek_stream.HELLO, ()),
        Event(zeek_stream.TOPIC, zeek_stream.HELLO, (("x",),)),
        Event(zeek_stream.TOPIC, zeek_stream.HEARTBEAT, ((1, 2, 3),)),
        hello(hashed="0" * 16),
    ],
    ids=["no argument", "short hello", "odd heartbeat", "hash of other columns"],
)
def test_odd_introductions_are_refused(odd: Event) -> None:
    fed = Fed(odd, batch(0))
    assert fed.count.refused == 1 or not odd.args
    assert uids(fed.batches) == ["C0", "C1"]


def test_lines_that_can_not_be_read_are_refused_and_the_others_kept() -> None:
    fed = Fed(batch(0, [connection(0), "x\ty", connection(2)]), batch(1, n=5), batch(2, kind="logon", columns=("a",)))
    assert uids(fed.batches) == ["C0", "C2", "C2", "C3"]
    assert fed.count.refused == 1 + 3 + 2


def test_a_newer_protocol_is_told() -> None:
    assert "version 2 of the stream, not 1" in Fed(hello(protocol=2)).problems()


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=30),
    lost=st.sets(st.integers(0, 29)),
    beats=st.sets(st.integers(0, 30)),
    chance=st.randoms(use_true_random=False),
)
def test_whatever_is_lost_doubled_or_late_is_known_exactly_in_the_end(
    sizes: list[int], lost: set[int], beats: set[int], chance: random.Random
) -> None:
    """Heartbeats stay in their place, batches come up to three places late or twice."""
    sent: list[tuple[float, Message]] = [(-1.0, heartbeat(0, 0))]
    for i, size in enumerate(sizes):
        if i not in lost:
            lines = [connection(100 * i + k) for k in range(size)]
            sent += [(i + 3 * chance.random(), batch(i, lines)) for _ in range(chance.choice((1, 1, 2)))]
        if i in beats:
            sent.append((i + 0.5, heartbeat(sum(sizes[: i + 1]), i + 1)))
    sent.append((99.0, heartbeat(sum(sizes), len(sizes))))
    fed = Fed()
    got = [b for _, message in sorted(sent, key=lambda s: s[0]) for b in fed.feed(message)]
    due = sum(size for i, size in enumerate(sizes) if i not in lost)
    assert len(uids(got)) == len(set(uids(got))) == due
    status = fed.stream.status()
    assert status.missing == fed.count.missing
    assert fed.count.missing == sum(sizes) - due
    assert status.nodes[0].exact
    assert pa.concat_batches([b.connections for b in got]).num_rows == due if got else due == 0


ODD = st.text(st.sampled_from("\t\t\t,-\\xT(empty)0159.:aé\x00\x0b\r\u2028"), max_size=40)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            ODD, st.builds(lambda name, odd: connection(1, **{name: odd}), st.sampled_from(stream.CONNECTIONS), ODD)
        ),
        max_size=5,
    )
)
def test_no_line_makes_it_raise_and_none_vanishes(lines: list[str]) -> None:
    lines = [line.replace("\n", "") for line in lines]
    fed = Fed(batch(0, lines), batch(1))
    came = sum(b.connections.num_rows for b in fed.batches)
    assert came + fed.count.refused == len(lines) + 2


@pytest.mark.parametrize("ns", [253402300799 * 10**9 + 999_999_999, 2**63 - 1, 2**80, -1])
def test_a_clock_that_python_can_not_tell_is_none(ns: int) -> None:
    odd = hello()
    [record] = odd.args
    assert isinstance(record, tuple)
    fed = Fed(dataclasses.replace(odd, args=((*record[:5], Timestamp(ns), *record[6:]),)), batch(0))
    assert uids(fed.batches) == ["C0", "C1"]
    assert fed.count.refused == 0


def test_an_error_over_one_message_is_a_refusal_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(record: object) -> None:
        raise ZeroDivisionError(record)

    monkeypatch.setattr(Heartbeat, "of", fail)
    fed = Fed(batch(0), heartbeat(2, 1), batch(1))
    assert uids(fed.batches) == ["C0", "C1", "C2", "C3"]
    assert fed.count.refused == 1
    assert "(ZeroDivisionError: an error of hopscope's)" in fed.problems()


def test_an_error_over_one_batch_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    real = zeek_columns.connections

    def fail(lines: bytes, *rest: Any) -> pa.RecordBatch:
        if b"oops" in lines:
            raise pa.ArrowInvalid("so odd")
        return real(lines, *rest)

    monkeypatch.setattr(zeek_columns, "connections", fail)
    fed = Fed(batch(0, ["x", connection(0)]), batch(1, [connection(1, sni="oops"), connection(2)]), batch(2))
    assert uids(fed.batches) == ["C0", "C4", "C5"]
    assert fed.count.refused == 3
    assert "2 records can't be used (ArrowInvalid: an error of hopscope's)" in fed.problems()


def test_forged_numbers_are_told_and_not_believed() -> None:
    fed = Fed(batch(0), batch(2**62, [connection(9)]), batch(1), batch(2, n=2**62), heartbeat(6, 3))
    assert (fed.count.missing, fed.count.refused) == (2, 2)
    assert "1 times connection records were numbered far beyond what was due" in fed.problems()
