"""Lines of hopscope's logs and of the stream become records; what can't be read is counted, the rest is kept."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopscope.errors import InputError
from hopscope.records import CONNECTION, CONNECTION_SCHEMA, DNS_QUERY, DNS_QUERY_SCHEMA, InputCount
from hopscope.sources import zeek_columns, zeek_json
from hopscope.sources.addresses import Networks
from hopscope.sources.zeek_columns import Place
from support import zeek_text
from support.zeek_text import COLUMNS, hopscope

NAMES = COLUMNS["hopscope"]


def read(
    rows: list[dict[str, Any]] | bytes, columns: tuple[str, ...] = NAMES, count: InputCount | None = None
) -> list[dict[str, Any]]:
    data = rows if isinstance(rows, bytes) else zeek_text.lines(rows, columns)
    batch = zeek_columns.connections(data, columns, count or InputCount())
    assert batch.schema == CONNECTION_SCHEMA
    batch.validate(full=True)
    return batch.to_pylist()


def test_a_line_becomes_a_record_with_null_for_what_is_unset() -> None:
    [row] = read([hopscope("C1", 1700000000.123456, sni="x.example", tls_sizes=[100, -200], on_starts=[0.5, -1.25])])
    assert row["ts"] == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert row["seg_end"] == datetime(2023, 11, 14, 22, 13, 21, 623456, UTC)
    assert (row["orig_h"], row["resp_p"], row["seg"], row["final"], row["tcp_rtt"]) == (
        "10.0.0.5", 443, 0, True, 0.02,
    )  # fmt: skip
    assert (row["sni"], row["tls_sizes"], row["on_starts"]) == ("x.example", [100, -200], [0.5, -1.25])
    assert {name for name, value in row.items() if value is None} >= {"alpn", "duration", "tunnel_parents", "replies"}


def test_columns_go_by_name() -> None:
    columns = ("extra", *reversed(NAMES), "later")
    row = hopscope("C1", 1700000000.0, user_agent="curl/8")
    assert read([row | {"extra": "x", "later": 3}], columns) == read([row])
    [short] = read([row], tuple(name for name in NAMES if name not in ("user_agent", "orig_p")))
    assert (short["user_agent"], short["orig_p"], short["uid"]) == (None, None, "C1")


@pytest.mark.parametrize("gone", [("seg", "seg_end", "final", "sensor"), ("seg_end",), ("seg_end", "duration")])
@pytest.mark.parametrize("unset", [False, True])
def test_what_no_record_can_lack_is_filled(gone: tuple[str, ...], unset: bool) -> None:
    row = hopscope("C1", 1700000000.0, duration=2.5, seg=3, final=False)
    if unset:
        made = read([row | dict.fromkeys(gone), row | {"uid": "C2"}])[0]
    else:
        [made] = read([row], tuple(n for n in NAMES if n not in gone))
    end = 1700000000.0 if "duration" in gone else 1700000002.5
    assert made["seg_end"].timestamp() == end
    assert (made["seg"], made["final"], made["sensor"]) == (
        (0, True, "zeek") if "seg" in gone else (3, False, "worker-1")
    )


@pytest.mark.parametrize("name", zeek_columns.NEEDED_OF_CONNECTION)
def test_a_missing_column_that_every_record_needs_is_named(name: str) -> None:
    with pytest.raises(InputError, match=f"no column {name};"):
        read([hopscope("C1", 1.0)], tuple(n for n in NAMES if n != name))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ts": None}, "no ts"),
        ({"uid": None}, "no uid"),
        ({"orig_h": "10.0.0.256"}, "address"),
        ({"resp_h": "host.example"}, "address"),
        ({"orig_bytes": "many"}, "orig_bytes"),
        ({"orig_bytes": -1}, "orig_bytes"),
        ({"orig_bytes": (1 << 53) + 1}, "orig_bytes"),
        ({"replies": 10**18 - 1}, "replies"),
        ({"duration": "1e30"}, "duration"),
        ({"on_starts": ["0.5", "1e30"]}, "on_starts"),
        ({"on_starts": ["0.5", "inf"]}, "on_starts"),
        ({"seg_end": "9999-12-31T23:59:59Z"}, "seg_end"),
        ({"ts": "1969-12-31T23:59:59Z"}, r"\(ts\)"),
        ({"resp_p": 65536}, "resp_p"),
        ({"final": "yes"}, "final"),
        ({"tcp_rtt": "inf"}, "tcp_rtt"),
        ({"ts": -5.0}, r"\(ts\)"),
        ({"seg_end": "yesterday"}, "seg_end"),
        ({"tls_sizes": [1, 99999999999]}, "tls_sizes"),
        ({"on_starts": ["x"]}, "on_starts"),
    ],
)
def test_a_line_with_a_bad_value_is_counted_and_takes_no_other_along(change: dict[str, Any], problem: str) -> None:
    rows = [hopscope(f"C{i}", 1700000000.0 + i) for i in range(50)]
    good = zeek_text.lines(rows[:20], NAMES)
    data = good + zeek_text.lines([rows[20] | change], NAMES) + zeek_text.lines(rows[21:], NAMES)
    count = InputCount()
    batch = zeek_columns.connections(data, NAMES, count, None, Place("a.log", count, 1000))
    assert batch["uid"].to_pylist() == [f"C{i}" for i in range(50) if i != 20]
    assert count.refused == 1
    assert len(count.problems or []) == 1
    assert re.search(problem, (count.problems or [""])[0])


def test_the_place_of_the_first_bad_line_is_told_once() -> None:
    rows = zeek_text.lines([hopscope("C1", 1.0)], NAMES)
    count = InputCount()
    place = Place("a.log", count, 1000)
    for _ in range(2):
        batch = zeek_columns.connections(
            rows + b"too\tfew\n" + rows + b"\n" + b"bad\n" + rows, NAMES, count, None, place
        )
        assert len(batch) == 3
    assert count.refused == 4
    assert count.problems == [
        f"a.log at byte {1000 + len(rows)}: a line has too few or too many columns; "
        "the rest was read, `refused` counts what wasn't"
    ]


def test_bad_values_far_apart_are_each_found() -> None:
    rows = [hopscope(f"C{i}", 1.0, user_agent="x" * 1000) for i in range(12_000)]  # several stretches
    for i in (5, 6000, 11_999):
        rows[i]["orig_bytes"] = "x"
    count = InputCount()
    assert len(read(rows, count=count)) == 11_997
    assert count.refused == 3


def test_only_bad_lines_and_no_lines_give_no_records() -> None:
    count = InputCount()
    assert read(b"a\tb\nc\n", count=count) == []
    assert count.refused == 2
    assert read(b"", count=count) == read(b"\n\n", count=count) == []
    assert count.refused == 2


def test_a_bad_line_that_is_not_utf8_is_counted() -> None:
    line = zeek_text.lines([hopscope("C1", 1.0)], NAMES)
    count = InputCount()
    assert len(read(line + b"\xff\tx\n" + line, count=count)) == 2
    assert count.refused == 1


def test_windows_line_ends() -> None:
    rows = [hopscope("C1", 1.0, leaked_far_end="h:1"), hopscope("C2", 2.0)]
    assert read(zeek_text.lines(rows, NAMES).replace(b"\n", b"\r\n")) == read(rows)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (rb"\x2d", "-"),
        (rb"\x28empty)", "(empty)"),
        (b"(empty)", ""),
        (rb"a\\x01b", r"a\x01b"),  # the package's own escape of a byte, doubled by the writer
        (rb"a\\\\b", r"a\\b"),
        (rb"\xee\x80\x80", r"\xee\x80\x80"),  # the writer's escape of a character that it doesn't write
        ("ü€😀".encode(), "ü€😀"),
        (b"a\xffb\xc3\xbc", "a\\xffbü"),  # not UTF-8: not from Zeek
        (b"\"quoted\" and 'so'", "\"quoted\" and 'so'"),
    ],
)
def test_text_is_what_the_package_logged(written: bytes, text: str) -> None:
    line = zeek_text.lines([hopscope("C1", 1.0, user_agent="HERE")], NAMES).replace(b"HERE", written)
    assert [row["user_agent"] for row in read(line)] == [text]


def test_commas_in_elements_of_lists() -> None:
    [row] = read([hopscope("C1", 1.0, tunnel_parents=["Ca,b", r"C\x2cd", "-", "Ce"])])
    assert row["tunnel_parents"] == ["Ca,b", r"C\x2cd", "-", "Ce"]
    [row] = read([hopscope("C1", 1.0, tunnel_parents=[])])
    assert row["tunnel_parents"] == []


def test_the_monitored_networks_say_what_is_local() -> None:
    rows = [hopscope("C1", 1.0, local_orig=False, local_resp=True), hopscope("C2", 1.0, orig_h="fd00::5", resp_h="::1")]
    lines = zeek_text.lines(rows, NAMES)
    networks = Networks(("10.0.0.0/8", "fd00::/8"))
    batch = zeek_columns.connections(lines, NAMES, InputCount(), networks)
    assert (batch["local_orig"].to_pylist(), batch["local_resp"].to_pylist()) == ([True, True], [False, False])
    batch = zeek_columns.connections(lines, NAMES, InputCount())
    assert (batch["local_orig"].to_pylist(), batch["local_resp"].to_pylist()) == ([False, None], [True, None])


def test_dns_queries() -> None:
    row = {
        "ts": 1700000000.0, "uid": "C1", "sensor": "s", "client": "10.0.0.5", "resolver": "2001:db8::1",
        "query": "x.example", "qtype": "TXT", "rcode": "NOERROR", "answers": ["TXT 3 a,b", "y"], "ttls": [60.0, 0.5],
        "rtt": 0.25,
    }  # fmt: skip
    columns = COLUMNS["hopscope_dns"]
    count = InputCount()
    data = zeek_text.lines([row, {**row, "client": "nobody"}, {**row, "answers": None, "ttls": None}], columns)
    batch = zeek_columns.dns_queries(data, columns, count)
    assert batch.schema == DNS_QUERY_SCHEMA
    first, second = batch.to_pylist()
    assert first == {**row, "ts": datetime(2023, 11, 14, 22, 13, 20, 0, UTC)}
    assert (second["answers"], second["ttls"], count.refused) == (None, None, 1)


# any record reads back as it was written, in both forms

_ADDRESSES = st.ip_addresses().map(str)
_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)
_SECONDS = st.integers(0, 10**9).map(lambda micros: micros / 1e6)
_BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "string": _TEXT,
    "int64": st.integers(0, 1 << 53),
    "int32": st.integers(0, 65535),
    "bool": st.booleans(),
    "double": _SECONDS,
    "timestamp[us, tz=UTC]": st.integers(0, 4_102_444_800_000_000).map(lambda micros: micros / 1e6),
    "list<item: string>": st.lists(_TEXT.filter(lambda t: t != ""), max_size=3),
    "list<item: int32>": st.lists(st.integers(-16_000, 16_000), max_size=4),
    "list<item: double>": st.lists(_SECONDS, max_size=4),
}


def _records(fields: Any, needed: tuple[str, ...]) -> st.SearchStrategy[list[dict[str, Any]]]:
    def values(f: Any) -> st.SearchStrategy[Any]:
        if f.name in ("orig_h", "resp_h", "client", "resolver"):
            return _ADDRESSES
        kind = _BY_TYPE[str(f.type)]
        return kind if f.name in needed else st.none() | kind

    return st.lists(st.fixed_dictionaries({f.name: values(f) for f in fields}), max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.tuples(
            st.just("hopscope"),
            _records(CONNECTION, (*zeek_columns.NEEDED_OF_CONNECTION, *zeek_columns.FILLED, "seg_end")),
        ),
        st.tuples(st.just("hopscope_dns"), _records(DNS_QUERY, (*zeek_columns.NEEDED_OF_DNS, "sensor"))),
    ),
    st.randoms(),
)
def test_any_records_read_back_from_both_forms(made: tuple[str, list[dict[str, Any]]], random: Any) -> None:
    log, rows = made
    schema = CONNECTION_SCHEMA if log == "hopscope" else DNS_QUERY_SCHEMA
    columns = list(schema.names)
    random.shuffle(columns)
    count = InputCount()
    data = zeek_text.lines(rows, columns)
    reader = zeek_columns.connections if log == "hopscope" else zeek_columns.dns_queries
    batch = reader(data, columns, count)
    assert count.refused == 0, count.problems
    got = batch.to_pylist()
    for row in got:
        for name, value in row.items():
            if isinstance(value, datetime):
                row[name] = round((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds(), 6)
    assert got == rows
    place = Place("a.log", count)
    table = zeek_json.read(zeek_text.as_json(rows), schema, place, own_escapes=schema.names)
    assert count.refused == 0, count.problems
    assert table.to_pylist() == batch.to_pylist()
