"""Broker's JSON: every type each way, repair of what Zeek's printer leaves undone, and nothing that raises."""

from __future__ import annotations

import ipaddress
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopscope.sources import broker_json
from hopscope.sources.broker_json import (
    Ack,
    Event,
    RecordLines,
    Refusal,
    ServerError,
    decode,
    encode,
    record_lines,
)
from hopscope.sources.broker_values import Count, Enum, Port, Set, Table, Timespan, Timestamp, Value
from support.stream import arguments, batch

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 2**64 - 1).map(Count),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1).map(Timespan),
    st.integers(0, 253402300799 * 10**9).map(Timestamp),
    TEXT,
    TEXT.map(Enum),
    st.ip_addresses(),
    st.builds(lambda a, n: ipaddress.ip_network((a, n), strict=False), st.ip_addresses(), st.integers(0, 32)),
    st.builds(Port, st.integers(0, 65535), st.sampled_from(["tcp", "udp", "icmp", "?"])),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4).map(Set),
        st.lists(st.tuples(inner, inner), max_size=3).map(Table),
    ),
    max_leaves=12,
)


def typed(value: Value) -> Any:
    """A value with its types, which Python's equality overlooks (1 == True == Count(1) == 1.0)."""
    if isinstance(value, tuple):
        return (type(value).__name__, [typed(v) for v in value])
    return (type(value).__name__, value)


def one(kind: str, data: Any) -> Any:
    """The value of an event with one argument, from JSON."""
    message = decode(json.dumps(event([{"@data-type": kind, "data": data}])))
    assert isinstance(message, Event), message
    return message.args[0]


def event(args: list[Any], *more: Any, name: str = "X::y") -> dict[str, Any]:
    """The JSON of an event."""
    count = {"@data-type": "count", "data": 1}
    inner = [{"@data-type": "string", "data": name}, {"@data-type": "vector", "data": args}, *more]
    return {
        "type": "data-message", "topic": "/t", "@data-type": "vector",
        "data": [count, count, {"@data-type": "vector", "data": inner}],
    }  # fmt: skip


@settings(deadline=None)
@given(st.lists(VALUES, max_size=4))
def test_every_value_comes_back_as_it_was(values: list[Value]) -> None:
    message = decode(encode("/t", "X::y", values))
    assert isinstance(message, Event)
    assert (message.topic, message.name, typed(message.args)) == ("/t", "X::y", typed(tuple(values)))


def test_types_are_told_apart() -> None:
    assert typed((one("count", 1), one("integer", 1), one("boolean", True))) == (
        "tuple",
        [("Count", 1), ("int", 1), ("bool", True)],
    )
    assert typed(one("real", 1)) == ("float", 1.0)


def test_reals_are_sent_with_a_point() -> None:
    """Zeek takes 1 for an integer and refuses the event."""
    assert b'{"@data-type":"real","data":1.0}' in encode("/t", "X::y", (1.0,))


@pytest.mark.parametrize(
    ("text", "ns"),
    [("1500ms", 1_500_000_000), ("7ns", 7), ("2us", 2000), ("3s", 3 * 10**9), ("-1min", -60 * 10**9),
     ("2h", 7200 * 10**9), ("1d", 86400 * 10**9), ("1.5s", 1_500_000_000), ("0s", 0)],
)  # fmt: skip
def test_timespans(text: str, ns: int) -> None:
    assert one("timespan", text) == Timespan(ns)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00.000", 0),
        ("2026-11-21T20:54:29.831", 1795294469_831_000_000),
        ("2026-11-21T20:54:29.831533999", 1795294469_831_533_999),
        ("2026-11-21T20:54:29", 1795294469_000_000_000),
        ("2026-11-21T21:54:29Z", 1795298069_000_000_000),
        ("2026-11-21T21:54:29+01:00", 1795294469_000_000_000),
    ],
)
def test_timestamps_are_utc_unless_they_say_otherwise(text: str, ns: int) -> None:
    assert one("timestamp", text) == Timestamp(ns)


def test_network_time_stands_in_the_metadata_which_may_be_empty_or_absent() -> None:
    pair = [{"@data-type": "count", "data": 1}, {"@data-type": "timestamp", "data": "1970-01-01T00:00:01.500"}]
    with_time = {"@data-type": "vector", "data": [{"@data-type": "vector", "data": pair}]}
    for more, time in (
        ([], None),
        ([{"@data-type": "vector", "data": []}], None),
        ([with_time], Timestamp(1_500_000_000)),
    ):
        message = decode(json.dumps(event([], *more)))
        assert isinstance(message, Event)
        assert message.network_time == time


def test_acknowledgement_and_error() -> None:
    assert decode('{"type":"ack","endpoint":"e","version":"8.0.10"}') == Ack("e", "8.0.10")
    assert decode(b'{"type":"error","code":"c","context":"x"}') == ServerError("c", "x")


@pytest.mark.parametrize("more", [[], [{"@data-type": "vector", "data": []}]])
def test_batches_are_decoded_to_lines(more: list[Any]) -> None:
    of = batch(7)
    raw = json.loads(encode("/t", "Hopscope::batch", arguments(of)))
    raw["data"][2]["data"] += more
    assert decode(json.dumps(raw)) == of
    assert decode(json.dumps(raw, indent=1)) == of


def test_a_batch_whose_frame_needs_repair_is_the_same_batch() -> None:
    r"""Raw control characters, \v and bytes that are not UTF-8, in one line of many."""
    of = batch(0, ["a\tb", "c%%d", "e\\x00\tf\\\\"])
    raw = encode("/t", "Hopscope::batch", arguments(of))
    got = [decode(raw.replace(b"%%", odd)) for odd in (b"\\v", b"\x0b", b"\\u000b")]
    assert got == [batch(0, ["a\tb", "c\x0bd", "e\\x00\tf\\\\"])] * 3
    assert decode(raw.replace(b"%%", b"\xe9\xff")) == batch(0, ["a\tb", "c\\xe9\\xffd", "e\\x00\tf\\\\"])


def test_a_line_with_a_newline_is_left_out_and_missed() -> None:
    got = record_lines(("s", "n", "b", "connection", Count(0), Count(3), ("a", "b\nc", b"d\xff")))
    assert (got.lines, got.count, got.n) == (b"a\nd\\xff", 2, 3)


def test_an_empty_batch_is_no_line() -> None:
    got = record_lines(("s", "n", "b", "connection", Count(0), Count(0), ()))
    assert (got.lines, got.count) == (b"", 0)


@pytest.mark.parametrize(
    "args",
    [
        (), ("s",) * 7, ("s", "n", "b", "k", 0, 0, "text"), ("s", "n", "b", "k", -1, 0, ()),
        ("s", "n", "b", "k", 0, 0, (1,)), ("s", "n", "b", 5, 0, 0, ()), ("s", "n", "b", "k", 0, 0, (), 1),
    ],
)  # fmt: skip
def test_other_arguments_are_no_batch(args: tuple[Value, ...]) -> None:
    with pytest.raises(ValueError, match="not the arguments of a batch"):
        record_lines(args)
    assert isinstance(decode(encode("/t", "Hopscope::batch", args)), Refusal)


def test_text_that_only_names_the_batch_is_an_event() -> None:
    assert isinstance(decode(encode("/t", "X::y", ("Hopscope::batch",))), Event)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("count", -1), ("count", 2**64), ("count", 1.5), ("count", "1"), ("integer", 2**63), ("boolean", 1),
        ("real", "x"),
        ("timespan", "5 parsecs"), ("timespan", "ms"), ("timespan", "9999999999999d"), ("timestamp", "yesterday"),
        ("timestamp", "2026-13-01T00:00:00.000"), ("address", "10.0.0"), ("subnet", "10.0.0.0/33"), ("port", "443"),
        ("port", "65536/tcp"), ("port", "1/sctp"), ("vector", {}), ("vector", [1]), ("set", None), ("table", [{}]),
        ("table", [{"key": 1, "value": 2}]), ("unheard-of", 1), ("string", None),
    ],
)  # fmt: skip
def test_a_value_that_its_type_can_not_have_is_refused(kind: str, data: Any) -> None:
    assert isinstance(decode(json.dumps(event([{"@data-type": kind, "data": data}]))), Refusal)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**63, Count(-1), Port(1, "sctp"), Port(70000, "tcp"), object()])
def test_what_broker_has_no_type_for_is_not_sent(value: Any) -> None:
    with pytest.raises(ValueError, match=r"Broker has no type|out of its type"):
        encode("/t", "X::y", (value,))


@pytest.mark.parametrize("depth", [500, 5_000, 200_000])
def test_a_deep_frame_is_refused_or_read(depth: int) -> None:
    inner = '{"@data-type":"vector","data":[' * depth + "]}" * depth
    message = decode(json.dumps(event([])).replace('"data": []', f'"data": [{inner}]', 1))
    assert isinstance(message, Event | Refusal)


MARKS = ['"', "\\", "\\v", "\\u", "\\ud800", "{", "}", "[", "]", ":", ",", '"@data-type"', '"data"', '"type"', "1",
         "\x00", '"vector"', '"string"', "null", "Hopscope::batch", "\udcff", "é"]  # fmt: skip


@settings(deadline=None)
@given(st.one_of(st.binary(), st.text(), st.lists(st.sampled_from(MARKS)).map("".join)))
def test_no_frame_raises(frame: bytes | str) -> None:
    decode(frame)


@settings(deadline=None)
@given(st.data())
def test_no_damage_to_a_frame_raises(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([encode("/t", "X::y", (1, "a\\b", (Count(1),))),
                                       encode("/t", "Hopscope::batch", arguments(batch(0)))]))  # fmt: skip
    at = data.draw(st.integers(0, len(whole)))
    put = data.draw(
        st.one_of(st.binary(max_size=3), st.sampled_from(MARKS).map(lambda m: m.encode("utf-8", "surrogatepass")))
    )
    cut = data.draw(st.integers(0, 3))
    message = decode(whole[:at] + put + whole[at + cut :])
    if isinstance(message, RecordLines) and message.count:
        assert message.lines.count(b"\n") == message.count - 1


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["@data-type", "data", "key", "value", "type", "topic"]), inner, max_size=4),
        st.builds(lambda kind, data: {"@data-type": kind, "data": data},
                  st.sampled_from(["none", "count", "real", "timestamp", "vector", "table", "port", "address"]), inner),
    ),
    max_leaves=20,
)  # fmt: skip


@settings(deadline=None)
@given(JSON)
def test_no_json_raises(value: Any) -> None:
    decode(json.dumps(value))
    decode(json.dumps(event([value])))
    decode(json.dumps(event([value], name="Hopscope::batch")))
    decode(json.dumps({"type": "data-message", "topic": "/t", "data": value}))


@pytest.mark.parametrize("end", [b"", b"\\", b"\x00"])
def test_a_text_that_nothing_closes_is_refused_and_not_searched_again_from_each_quote_in_it(end: bytes) -> None:
    """A megabyte of these would otherwise take an hour."""
    assert decode(b'{"type":"' + b'\\"' * (1 << 19) + end) == Refusal("not JSON")


def test_a_frame_over_which_the_decoder_fails_is_refused_by_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(raw: bytes) -> None:
        raise AttributeError(raw)

    monkeypatch.setattr(broker_json, "_repaired", fail)
    assert decode(b"{") == Refusal("AttributeError: an error of hopscope's")
