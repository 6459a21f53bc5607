"""DuckDB as the engine of the summaries: the expressions' SQL, made once per process, run over Arrow tables."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from hopscope.summaries import condense, merge, parts, prepare, schema, window
from hopscope.summaries.merge import Bounds
from hopscope.summaries.parts import Summary

Tables = Mapping[str, pa.Table]

CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": "false"
}  # a table is one that was registered, never a Python variable


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB database in memory, which prints nothing: in a notebook or a shell it would draw bars."""
    con = duckdb.connect(":memory:", config=CONFIG)
    con.execute("SET enable_progress_bar = false")
    return con


def backend() -> Backend:
    """The same, as a backend of Ibis."""
    made = ibis.duckdb.connect(**CONFIG)
    made.con.execute("SET enable_progress_bar = false")
    return made


def run(
    con: duckdb.DuckDBPyConnection, queries: Mapping[str, str], inputs: Tables, schemas: Mapping[str, pa.Schema]
) -> dict[str, pa.Table]:
    """The results of `queries` (by name) over `inputs`, as Arrow tables of `schemas`."""
    with _registered(con, inputs):
        return {name: con.sql(query).to_arrow_table().cast(schemas[name]) for name, query in queries.items()}


def condensed(con: duckdb.DuckDBPyConnection, connections: pa.Table, bounds: Bounds) -> Summary:
    """The summary of connections as `prepare` makes them."""
    queries = {name: query for name, query in condense_sql(bounds).items() if name != "names"}
    return parts.empty() | run(con, queries, {"connections": connections}, schema.TABLES)


def named(con: duckdb.DuckDBPyConnection, dns_queries: pa.Table) -> Summary:
    """The summary of DNS queries as `prepare` makes them."""
    return parts.empty() | run(con, names_sql(), {"dns_queries": dns_queries}, schema.TABLES)


def merged(con: duckdb.DuckDBPyConnection, summaries: Iterable[Summary], bounds: Bounds) -> Summary:
    """One summary of the records of all."""
    return run(con, merge_sql(bounds), parts.concat(summaries), schema.TABLES)


@functools.cache
def condense_sql(bounds: Bounds) -> dict[str, str]:
    """SQL of `condense` over tables named connections and dns_queries.

    Put together from the SQL of `lift` and that of merging, which is needed anyway: compiling takes longer
    than condensing a small capture.
    """
    rows = condense.lift(unbound("connections", prepare.CONNECTIONS), unbound("dns_queries", prepare.DNS_QUERIES))
    lifted = _all_sql({**rows, "leg_buckets": condense.bucket_rows(summaries()["legs"])})
    of_legs = ("legs", "leg_buckets")
    return {
        name: _with({n: lifted[n] for n in (of_legs if name in of_legs else (name,))}, reduced)
        for name, reduced in merge_sql(bounds).items()
    }


@functools.cache
def names_sql() -> dict[str, str]:
    """SQL of the table names alone, over a table named dns_queries."""
    rows = condense.of_dns_queries(unbound("dns_queries", prepare.DNS_QUERIES))
    return _all_sql({"names": merge.reduce("names", rows)})


@functools.cache
def merge_sql(bounds: Bounds) -> dict[str, str]:
    """SQL that merges the parts that lie together in tables named as in `schema.TABLES`."""
    return _all_sql(merge.merge([summaries()], bounds))


@functools.cache
def first_seen_sql() -> dict[str, str]:
    """SQL of `window.first_seen` over connections, the tables pairs and names of `schema.TABLES`, and `known`."""
    rows = condense.of_connections("pairs", unbound("connections", prepare.CONNECTIONS))
    held = summaries()
    seen = {"pairs": merge.union([rows, held["pairs"]]), "names": held["names"]}
    return _all_sql({"first_seen": window.first_seen(seen, unbound("known", window.FIRST_SEEN))})


@functools.cache
def host_hours_sql() -> dict[str, str]:
    """SQL of `window.host_hours` over connections, the table pairs of `schema.TABLES`, and `known_hosts`."""
    rows = condense.of_connections("pairs", unbound("connections", prepare.CONNECTIONS))
    pairs = merge.union([rows, summaries()["pairs"]])
    return _all_sql({"host_hours": window.host_hours(pairs, unbound("known_hosts", window.HOST_HOURS))})


@functools.cache
def pair_hours_sql() -> dict[str, str]:
    """SQL of `window.pair_hours` over connections and the table pairs of `schema.TABLES`."""
    rows = condense.of_connections("pairs", unbound("connections", prepare.CONNECTIONS))
    return _all_sql({"pair_hours": window.pair_hours(merge.union([rows, summaries()["pairs"]]))})


@contextmanager
def _registered(con: duckdb.DuckDBPyConnection, tables: Tables) -> Iterator[None]:
    for name, table in tables.items():
        con.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            con.unregister(name)


def _with(tables: Mapping[str, str], query: str) -> str:
    """`query` over tables that are queries themselves."""
    named = ", ".join(f'"{name}" AS ({sql})' for name, sql in tables.items())
    return f"WITH {named} SELECT * FROM ({query})"  # noqa: S608 # names and SQL are our own


def summaries() -> dict[str, ir.Table]:
    """The tables of `schema.TABLES` by their names, unbound."""
    return {name: unbound(name, columns) for name, columns in schema.TABLES.items()}


def unbound(name: str, columns: pa.Schema) -> ir.Table:
    """A table of that name and schema, wherever it may lie."""
    return ibis.table(ibis.Schema.from_pyarrow(columns), name=name)


def _all_sql(expressions: Mapping[str, ir.Table]) -> dict[str, str]:
    return {name: sql(e) for name, e in expressions.items()}


def sql(expression: ir.Table) -> str:
    """The expression in DuckDB's SQL."""
    return str(ibis.to_sql(expression, dialect="duckdb", pretty=False))
