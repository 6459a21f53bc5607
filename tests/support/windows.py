"""Windows for heuristics' tests, built from a few rows with defaults for what a test doesn't care about."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import ibis
import pyarrow as pa

from hopscope.baselines.model import Baseline
from hopscope.config import VantageSettings
from hopscope.heuristics.base import Window
from hopscope.summaries.schema import PAIR, TABLES

Row = Mapping[str, Any]
Rows = Iterable[Row] | pa.Table

START = 1_700_000_000_000_000  # µs; some moment on no hour's boundary
CLIENT, SERVER = "10.0.0.5", "203.0.113.9"

_PAIR: dict[str, Any] = {
    "sensor": "s", "client": CLIENT, "server": SERVER, "port": 443, "proto": "tcp", "name": None,
}  # fmt: skip
DEFAULTS: dict[str, dict[str, Any]] = {
    "pairs": {
        **_PAIR, "client_local": True, "server_local": False, "connections": 1, "segments": 1, "established": 1,
        "failed": 0, "orig_bytes": 500, "resp_bytes": 1500, "orig_pkts": 8, "resp_pkts": 8, "open_us": 100_000,
        "first_us": START, "last_us": START + 100_000,
    },
    "samples": {**_PAIR, "hash": 0, "uid": "C0", "seg": 0, "ts_us": START, "end_us": START + 100_000},
    "floors": {**_PAIR, "measure": "tcp_rtt", "value_us": 20_000, "uid": "C0"},
    "starts": {**_PAIR, "ts_us": START, "uid": "C0", "orig_bytes": 500, "resp_bytes": 1500},
    "sets": {**_PAIR, "kind": "service", "value": "ssl", "hash": 0, "uid": "C0", "connections": 1},
    "legs": {
        "sensor": "s", "host": "10.0.0.80", "role": "accept", "uid": "L0", "seg": 0, "final": True,
        "peer": "198.51.100.7", "peer_port": 50_000, "own_port": 8443, "proto": "tcp", "peer_local": False,
        "start_us": START, "end_us": START + 1_000_000, "in_bytes": 500, "out_bytes": 1500, "on_starts": [],
        "service": "ssl", "name": None, "hour": START // 3_600_000_000, "bucket": START // 10_000_000,
    },
    "names": {
        "sensor": "s", "client": CLIENT, "name": "www.example.com", "address": SERVER, "first_us": START,
        "last_us": START, "until_us": START + 300_000_000, "answers": 1,
    },
    "host_hours": {
        "sensor": "s", "host": CLIENT, "hour": START // 3_600_000_000, "orig_bytes": 50_000, "resp_bytes": 950_000,
        "connections": 40,
    },
}  # fmt: skip
HOST_HOURS = pa.schema([
    ("sensor", pa.string()), ("host", pa.string()), ("hour", pa.int64()),
    ("orig_bytes", pa.int64()), ("resp_bytes", pa.int64()), ("connections", pa.int64()),
])  # fmt: skip
FIRST_SEEN = pa.schema([("kind", pa.string()), ("value", pa.string()), ("first_us", pa.int64())])


def window_schema(table: str) -> pa.Schema:
    """The columns of one of the window's tables: those of the summary, `hour` only where the window keeps it."""
    if table == "first_seen":
        return FIRST_SEEN
    if table == "host_hours":
        return HOST_HOURS
    schema = TABLES[table]
    return schema if table == "legs" else schema.remove(schema.get_field_index("hour"))


def rows(table: str, given: Rows) -> pa.Table:
    """`given` as the window's `table`: missing keys take the default, a key the table lacks is an error."""
    schema = window_schema(table)
    if isinstance(given, pa.Table):
        return given.select(schema.names).cast(schema)
    full = []
    for row in given:
        if unknown := row.keys() - set(schema.names):
            raise KeyError(f"{table} has no column {sorted(unknown)}")
        complete = {**DEFAULTS.get(table, {}), **row}
        if "pair" in schema.names:
            complete["pair"] = zlib.crc32(repr([complete[k] for k in PAIR]).encode())
        full.append(complete)
    return pa.Table.from_pylist(full, schema=schema)


def starts(times: Iterable[float], orig_bytes: int = 500, resp_bytes: int = 1500, **pair: Any) -> list[dict[str, Any]]:
    """Connections of one pair at `times` (seconds after START), as rows of `starts` with uids of their own."""
    tag = ":".join(str(pair.get(k, _PAIR[k])) for k in PAIR)
    sizes = {"orig_bytes": orig_bytes, "resp_bytes": resp_bytes}
    return [{**pair, "ts_us": START + round(t * 1e6), "uid": f"{tag}#{i}", **sizes} for i, t in enumerate(times)]


def make_window(
    *,
    pairs: Rows | None = None,
    samples: Rows = (),
    floors: Rows = (),
    starts: Rows = (),
    sets: Rows = (),
    legs: Rows = (),
    names: Rows = (),
    first_seen: Rows = (),
    host_hours: Rows = (),
    start_us: int | None = None,
    end_us: int | None = None,
    history_us: int | None = None,
    vantage: VantageSettings | None = None,
    baseline: Baseline | None = None,
) -> Window:
    """A window of the given rows, in an embedded DuckDB of its own.

    `pairs` left out are counted from `starts` (connections, bytes, first and last times). The bounds
    default to the least and greatest time in pairs, starts and legs.
    """
    start_table = rows("starts", starts)
    tables = {
        "pairs": _pairs_of(start_table) if pairs is None else rows("pairs", pairs),
        "samples": rows("samples", samples), "floors": rows("floors", floors),
        "starts": start_table, "sets": rows("sets", sets), "legs": rows("legs", legs), "names": rows("names", names),
        "first_seen": rows("first_seen", first_seen), "host_hours": rows("host_hours", host_hours),
    }  # fmt: skip
    bounds = (
        ("pairs", "first_us"),
        ("pairs", "last_us"),
        ("starts", "ts_us"),
        ("legs", "start_us"),
        ("legs", "end_us"),
    )
    times = [t for table, column in bounds for t in tables[table][column].to_pylist()] or [START]
    first = min(times) if start_us is None else start_us
    con = ibis.duckdb.connect()
    for name, table in tables.items():
        con.con.register(name, table)
    return Window(
        **{name: con.table(name) for name in tables},
        start_us=first,
        end_us=max(times) if end_us is None else end_us,
        history_us=first if history_us is None else history_us,
        vantage=vantage or VantageSettings(),
        baseline=baseline,
    )


def _pairs_of(start_table: pa.Table) -> pa.Table:
    sums: dict[tuple[Any, ...], dict[str, Any]] = {}
    for r in start_table.to_pylist():
        key = tuple(r[k] for k in PAIR)
        p = sums.setdefault(key, {
            **dict(zip(PAIR, key, strict=True)), "connections": 0, "segments": 0, "established": 0,
            "orig_bytes": 0, "resp_bytes": 0, "open_us": 0, "first_us": r["ts_us"], "last_us": r["ts_us"],
        })  # fmt: skip
        for k in ("connections", "segments", "established"):
            p[k] += 1
        for k in ("orig_bytes", "resp_bytes"):
            p[k] += r[k] or 0
        p["open_us"] += 100_000
        p["first_us"], p["last_us"] = min(p["first_us"], r["ts_us"]), max(p["last_us"], r["ts_us"] + 100_000)
    return rows("pairs", sums.values())
