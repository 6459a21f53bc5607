"""DuckDB as the engine of the summaries: the expressions' SQL, made once per process, run over Arrow tables."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa

from hopscope.summaries import condense, prepare, schema, window
from hopscope.summaries.merge import Bounds, merge

Tables = Mapping[str, pa.Table]

CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": "false"
}  # a table is one that was registered, never a Python variable


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB database in memory."""
    return duckdb.connect(":memory:", config=CONFIG)


def run(
    con: duckdb.DuckDBPyConnection, sql: Mapping[str, str], inputs: Tables, schemas: Mapping[str, pa.Schema]
) -> dict[str, pa.Table]:
    """The results of `sql` (by name) over `inputs`, as Arrow tables of `schemas`."""
    with _registered(con, inputs):
        return {name: con.sql(query).to_arrow_table().cast(schemas[name]) for name, query in sql.items()}


@functools.cache
def condense_sql(bounds: Bounds) -> dict[str, str]:
    """SQL of `condense` over tables named connections and dns_queries.

    Put together from the SQL of `lift` and that of merging, which is needed anyway: compiling takes longer
    than condensing a small capture.
    """
    rows = condense.lift(_unbound("connections", prepare.CONNECTIONS), _unbound("dns_queries", prepare.DNS_QUERIES))
    lifted = _sql({**rows, "leg_buckets": condense.bucket_rows(_summaries()["legs"])})
    of_legs = ("legs", "leg_buckets")
    return {
        name: _with({n: lifted[n] for n in (of_legs if name in of_legs else (name,))}, reduced)
        for name, reduced in merge_sql(bounds).items()
    }


@functools.cache
def merge_sql(bounds: Bounds) -> dict[str, str]:
    """SQL that merges the parts that lie together in tables named as in `schema.TABLES`."""
    return _sql(merge([_summaries()], bounds))


@functools.cache
def window_sql(name: str) -> dict[str, str]:
    """SQL of `window.join_hours` for the table `name`, over the table of that name of `schema.TABLES`."""
    return _sql({name: window.join_hours(name, _summaries()[name])})


@functools.cache
def first_seen_sql() -> dict[str, str]:
    """SQL of `window.first_seen` over the tables pairs and names of `schema.TABLES`, and `known`."""
    return _sql({"first_seen": window.first_seen(_summaries(), _unbound("known", window.FIRST_SEEN))})


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


def _summaries() -> dict[str, ir.Table]:
    return {name: _unbound(name, columns) for name, columns in schema.TABLES.items()}


def _unbound(name: str, columns: pa.Schema) -> ir.Table:
    return ibis.table(ibis.Schema.from_pyarrow(columns), name=name)


def _sql(expressions: Mapping[str, ir.Table]) -> dict[str, str]:
    return {name: str(ibis.to_sql(e, dialect="duckdb", pretty=False)) for name, e in expressions.items()}
