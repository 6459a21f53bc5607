"""The same expressions on DuckDB and on Spark, over the same records: every table must be the same."""

import shutil
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopscope import hunting
from hopscope.config import Config, VantageSettings
from hopscope.records import InputCount
from hopscope.summaries import condense, engine, prepare, schema
from hopscope.summaries import window as windows
from hopscope.summaries.merge import Bounds
from support import generate
from support.tables import assert_same

pytestmark = pytest.mark.slow

BOUNDS = Bounds(samples=5, floors=3, starts=4, sets=2, leg_rows=40)  # small enough to cut these few records

SPARK = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    # a few hundred rows: what pays off on a cluster costs most of the time here
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


@pytest.fixture(scope="module")
def spark():
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java: install a Java runtime (Debian: default-jre-headless)")
    sql = pytest.importorskip("pyspark.sql", reason="Spark needs pyspark: pip install 'hopscope[spark]'")
    session = sql.SparkSession.builder.master("local[1]").appName("hopscope-tests").config(map=SPARK).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield ibis.pyspark.connect(session)
    session.stop()


@pytest.fixture(scope="module")
def records(pcaps: Path) -> dict[str, pa.Table]:
    """A capture's records, and generated ones that reach over several hours and sensors."""
    captured = hunting.records(pcaps / "hop-rotation.pcap.gz", config=Config(), count=InputCount(), sensor="builtin")
    batches = [*captured, generate.batch(300, seed=11, hours=2.2, clients=5, servers=12, sensors=("s1", "s2"))]
    return {
        "connections": prepare.prepare_connections(pa.Table.from_batches([b.connections for b in batches])),
        "dns_queries": prepare.prepare_dns(pa.Table.from_batches([b.dns_queries for b in batches])),
    }


@pytest.fixture(scope="module")
def summaries(records) -> dict[str, pa.Table]:
    """The records condensed by DuckDB."""
    return engine.run(engine.connect(), engine.condense_sql(BOUNDS), records, schema.TABLES)


def on(backend, directory: Path, tables: dict[str, pa.Table]):
    """The tables as the backend's, by way of Parquet files."""
    for name, table in tables.items():
        pq.write_table(table, directory / f"{name}.parquet")
    return {name: backend.read_parquet(str(directory / f"{name}.parquet"), table_name=name) for name in tables}


def test_condense(spark, records, summaries, tmp_path):
    condensed = condense.condense(**on(spark, tmp_path, records), bounds=BOUNDS)
    assert_same(
        {name: spark.to_pyarrow(table).cast(schema.TABLES[name]) for name, table in condensed.items()}, summaries
    )


def test_window(spark, summaries, tmp_path):
    hours = sorted(set(summaries["pairs"]["hour"].to_pylist()))
    start_us, end_us = (hour * prepare.HOUR_US + 1 for hour in (hours[1], hours[-1]))  # all hours but the first
    first_seen = pa.schema([windows.FIRST_SEEN.field(i) for i in range(3)])
    expected = {**windows.TABLES, "first_seen": first_seen, "host_hours": windows.HOST_HOURS}
    results = []
    for backend in (ibis.duckdb.connect(), spark):
        window = windows.window(on(backend, tmp_path, summaries), start_us, end_us, VantageSettings())
        results.append({name: backend.to_pyarrow(getattr(window, name)).cast(expected[name]) for name in expected})
    assert_same(*results)
    assert all(table.num_rows for table in results[0].values())
