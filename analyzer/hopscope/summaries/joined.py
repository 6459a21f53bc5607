"""The window's tables in a DuckDB of their own, from what its hours hold: records, and summaries of busy pairs.

Small tables and those that every heuristic reads are made once. The others are views, so that what nobody
asks for is never computed: a filter on `floors` or `sets` reaches down to the records' columns.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import ibis.expr.types as ir
import pyarrow as pa

from hopscope.summaries import condense, engine, merge, prepare, schema, window
from hopscope.summaries.held import MARKED
from hopscope.summaries.merge import Bounds
from hopscope.summaries.parts import Summary

_TYPES = {
    pa.string(): "VARCHAR", pa.int64(): "BIGINT", pa.int32(): "INTEGER", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN",
    pa.list_(pa.int32()): "INTEGER[]", pa.list_(pa.float64()): "DOUBLE[]",
}  # fmt: skip


def tables(
    records: Sequence[pa.Table], summary: Summary, known: pa.Table, known_hosts: pa.Table, bounds: Bounds
) -> tuple[dict[str, ir.Table], int]:
    """The window's tables, and how many leg rows were dropped.

    Of each pair-hour either `records` (of held.MARKED) or `summary` tells. `known` (of FIRST_SEEN) and
    `known_hosts` (of HOST_HOURS) are what was seen besides.
    """
    backend = engine.backend()
    con = backend.con
    for name, table in {
        "connections": pa.concat_tables([MARKED.empty_table(), *records]),
        "known": known,
        "known_hosts": known_hosts,
        **summary,
    }.items():
        con.register(name, table)
    sql = queries(bounds)
    for name in ("pairs", "names"):
        con.execute(f"CREATE TABLE window_{name} AS {sql[name]}")
    con.execute(f"CREATE TABLE window_first_seen AS {sql['first_seen']}")
    con.execute(f"CREATE TABLE leg_hosts AS {sql['hosts']}")
    ((crowded,),) = con.execute("SELECT count(*) FROM leg_hosts WHERE rows > ?", [bounds.leg_rows]).fetchall()
    con.execute(f"CREATE TABLE leg_dropped AS {sql['dropped']} {'' if crowded else 'LIMIT 0'}")  # seldom any
    # looked at twice: which of these hosts relay, and their legs
    con.execute(f"CREATE TABLE leg_possible AS {sql['possible']}")
    con.execute(f"CREATE TABLE window_legs AS {sql['legs']}")
    con.execute("DROP TABLE leg_possible")
    for name in (*schema.OF_PAIRS, "host_hours"):
        con.execute(f"CREATE VIEW window_{name} AS {sql[name]}")
    ((dropped,),) = con.execute("SELECT coalesce(sum(rows), 0) FROM leg_dropped").fetchall()
    names = (*window.TABLES, "first_seen", "host_hours")
    return {name: backend.table(f"window_{name}") for name in names}, int(dropped)


@functools.cache
def queries(bounds: Bounds) -> dict[str, str]:
    """The SQL of every step, over the tables that `tables` registers and makes."""
    marks = [field for field in MARKED if field.name not in prepare.CONNECTIONS.names]
    connections = engine.unbound("connections", pa.schema([*prepare.CONNECTIONS, *marks]))
    lifted = condense.lift(connections, engine.unbound("dns_queries", prepare.DNS_QUERIES))
    lifted["samples"] = condense.of_connections("samples", connections.filter(connections.in_samples))
    lifted["starts"] = condense.of_connections("starts", connections.filter(connections.in_starts))
    held = engine.summaries()
    rows = {name: merge.union([lifted[name], held[name]]) for name in held if name != "names"}
    rows["names"] = held["names"]  # queries are condensed as they come
    joined: dict[str, ir.Table] = {
        name: window.join_hours(name, rows[name]) for name in window.TABLES if name != "legs"
    }
    made = {name: engine.unbound(f"window_{name}", window.TABLES[name]) for name in ("pairs", "names")}
    seen = window.first_seen(made, engine.unbound("known", window.FIRST_SEEN)).select(*_FIRST_SEEN.names)
    host_hours = window.host_hours(rows["pairs"], engine.unbound("known_hosts", window.HOST_HOURS))
    # only few hosts' legs are looked at: of those that may relay, and of those that may have too many
    hosts = engine.unbound("leg_hosts", _HOSTS)
    dropped = engine.unbound("leg_dropped", schema.TABLES["leg_buckets"])
    crowds = hosts.filter(hosts.rows > bounds.leg_rows)
    possible = merge.without(
        rows["legs"].semi_join(hosts.filter(hosts.accepts, hosts.connects), ["sensor", "host"]), dropped
    )
    legs = engine.unbound("leg_possible", window.TABLES["legs"])
    steps = {
        "hosts": (window.ends(made["pairs"]), _HOSTS),
        "dropped": (
            merge.dropped_buckets(rows["leg_buckets"].semi_join(crowds, ["sensor", "host"]), bounds),
            schema.TABLES["leg_buckets"],
        ),
        "possible": (possible, window.TABLES["legs"]),
        "legs": (window.relaying(legs), window.TABLES["legs"]),
        "first_seen": (seen, _FIRST_SEEN),
        "host_hours": (host_hours, window.HOST_HOURS),
        **{name: (table, window.TABLES[name]) for name, table in joined.items()},
    }
    return {name: _typed(engine.sql(e), columns) for name, (e, columns) in steps.items()}


_HOST = pa.schema([("sensor", pa.string()), ("host", pa.string())])
_HOSTS = pa.schema([*_HOST, ("accepts", pa.bool_()), ("connects", pa.bool_()), ("rows", pa.int64())])
_FIRST_SEEN = window.FIRST_SEEN.remove(window.FIRST_SEEN.get_field_index("last_us"))


def _typed(query: str, columns: pa.Schema) -> str:
    """`query` with the columns' types as they are declared: sums of whole numbers are wider in DuckDB."""
    typed = ", ".join(f'CAST("{f.name}" AS {_TYPES[f.type]}) AS "{f.name}"' for f in columns)
    return f"SELECT {typed} FROM ({query})"  # noqa: S608 # names and SQL are our own
