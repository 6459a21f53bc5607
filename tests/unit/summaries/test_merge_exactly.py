"""A summary of any partition of the records, merged, equals the summary of all."""

import random

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopscope.config import Config
from hopscope.records import Batch
from hopscope.summaries import Summaries, engine, prepare, schema
from hopscope.summaries import merge as merges
from hopscope.summaries.merge import BOUNDS, Bounds
from support import generate
from support.tables import assert_same, rows

TIGHT = Bounds(samples=5, floors=3, starts=4, sets=2, leg_rows=12)


@pytest.fixture(scope="module")
def con():
    return engine.connect()


def condense(con, batch, bounds):
    inputs = {
        "connections": prepare.prepare_connections(pa.Table.from_batches([batch.connections])),
        "dns_queries": prepare.prepare_dns(pa.Table.from_batches([batch.dns_queries])),
    }
    return engine.run(con, engine.condense_sql(bounds), inputs, schema.TABLES)


def merge(con, summaries, bounds):
    together = {name: pa.concat_tables([s[name] for s in summaries]) for name in schema.TABLES}
    return engine.run(con, engine.merge_sql(bounds), together, schema.TABLES)


def partition(batch, parts, seed):
    """The records dealt out at random to `parts` batches, some perhaps empty."""
    rng = np.random.default_rng(seed)
    dealt = [rng.integers(0, parts, table.num_rows) for table in (batch.connections, batch.dns_queries)]
    return [
        Batch(batch.connections.filter(pa.array(dealt[0] == i)), batch.dns_queries.filter(pa.array(dealt[1] == i)))
        for i in range(parts)
    ]


def records(seed):
    return generate.batch(250, seed=seed, hours=2.2, clients=4, servers=9, sensors=("s1", "s2"))


@given(st.integers(0, 2**32), st.integers(1, 6), st.sampled_from([TIGHT, BOUNDS]))
@settings(max_examples=8, deadline=None)
def test_any_partition_merged_in_any_order_is_the_summary_of_all(con, seed, parts, bounds):
    batch = records(seed)
    summaries = [condense(con, part, bounds) for part in partition(batch, parts, seed)]
    order = random.Random(seed)
    while len(summaries) > 1:  # a random tree of merges
        order.shuffle(summaries)
        many = order.randint(2, len(summaries))
        summaries = [merge(con, summaries[:many], bounds), *summaries[many:]]
    assert_same(summaries[0], condense(con, batch, bounds))


def test_the_tight_bounds_bite(con):
    tight, wide = (condense(con, records(1), bounds) for bounds in (TIGHT, BOUNDS))
    for name in ("samples", "floors", "starts", "sets", "legs"):
        assert 0 < tight[name].num_rows < wide[name].num_rows, name
    for name in ("pairs", "leg_buckets", "names"):
        assert rows(tight[name]) == rows(wide[name]), name


def test_the_expressions_merge_summaries_that_lie_apart(con):
    batch = records(4)
    parts = [condense(con, part, TIGHT) for part in partition(batch, 2, seed=4)]
    memory = ibis.duckdb.connect()
    for i, part in enumerate(parts):
        for name, table in part.items():
            memory.con.register(f"{name}_{i}", table)
    tables = [{name: memory.table(f"{name}_{i}") for name in schema.TABLES} for i in range(2)]
    merged = {name: t.to_pyarrow().cast(schema.TABLES[name]) for name, t in merges.merge(tables, TIGHT).items()}
    assert_same(merged, condense(con, batch, TIGHT))


def test_merging_a_summary_alone_changes_nothing(con):
    summary = condense(con, records(2), TIGHT)
    assert_same(merge(con, [summary], TIGHT), summary)


@pytest.mark.parametrize("rows_at_a_time", [37, 1000])
def test_hours_fed_in_batches_are_the_summary_of_all(con, rows_at_a_time):
    batch = records(3)
    summaries = Summaries(Config(), bounds=TIGHT, batch_rows=rows_at_a_time)
    for piece in generate.pieces(batch, 20):
        summaries.add(piece)
    assert_same(summaries.tables(), condense(con, batch, TIGHT))


def test_no_records_make_empty_tables(con):
    empty = condense(con, generate.batch(0, 0), BOUNDS)
    assert all(table.num_rows == 0 for table in empty.values())
    assert_same(merge(con, [empty, empty], BOUNDS), empty)
