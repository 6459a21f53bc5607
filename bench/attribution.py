"""How fast hosts' events are joined with connections, on one core.

    python -m bench.attribution [--records 500000]

As many events as connections are made, of 2,000 clients over one day: half of the events have a connection, and a
third of the connections have events. Of two events that Sysmon writes, Security tells one as well.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator

import click
import numpy as np
import pyarrow as pa

from hopscope.attribution import Attribution
from hopscope.records import CONNECTION_SCHEMA, HOST_EVENT_SCHEMA, Batch

BATCH = 50_000
START, DAY = 1_700_000_000_000_000, 86_400_000_000  # µs
CLIENTS, SERVERS, PROGRAMS = 2_000, 3_000, 40


@click.command()
@click.option("--records", default=500_000, show_default=True, help="Connections, and events.")
def main(records: int) -> None:
    """Print the table."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    events, connections = list(_events(records)), list(_connections(records))
    told = Attribution(60.0)
    taken = [
        ("events taken in", _timed(lambda: [told.add(b) for b in events])),
        ("connections looked up", _timed(lambda: [told.add(b) for b in connections])),
    ]
    joined = _timed(told.processes)
    rows = told.processes()
    print(f"| {records:,} events and {records:,} connections | a second, one core |")
    print("| --- | --- |")
    for what, seconds in taken:
        print(f"| {what} | {records / seconds:,.0f} |")
    matched = sum(rows["connections"].to_pylist())
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"| joined in {joined:.1f} s: {matched:,} connections, {len(rows):,} rows; {most:,} MB with the records | |")


def _timed(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _ends(n: int, seed: int) -> dict[str, pa.Array]:
    """Both ends and the time of what the sensor and the host may both see."""
    rng = np.random.default_rng(seed)
    clients = pa.array([f"10.0.{i // 250}.{i % 250 + 1}" for i in range(CLIENTS)])
    servers = pa.array([f"198.18.{i // 250}.{i % 250 + 1}" for i in range(SERVERS)])
    return {
        "src_h": clients.take(pa.array(rng.integers(0, CLIENTS, n))),
        "src_p": pa.array(rng.integers(49_152, 65_536, n).astype(np.int32)),
        "dst_h": servers.take(pa.array((rng.random(n) ** 3 * SERVERS).astype(np.int64))),
        "dst_p": pa.array(rng.choice([443, 80, 22], n).astype(np.int32)),
        "ts": pa.array(START + np.sort(rng.integers(0, DAY, n))),
        "program": pa.array([rf"C:\Programs\{i}.exe" for i in range(PROGRAMS)]).take(
            pa.array((rng.random(n) ** 2 * PROGRAMS).astype(np.int64))
        ),
    }


def _events(n: int) -> Iterator[Batch]:
    """Half of them of connections that the sensor sees (seed 1), half of others (seed 2)."""
    for seed in (1, 2):
        size = n // 3  # every second one is told twice
        ends = _ends(n // 2, seed)
        for provider, rows in (("sysmon", slice(0, size)), ("security", slice(0, size // 2))):
            part = {name: column[rows] for name, column in ends.items()}
            number = len(part["ts"])
            is_sysmon = provider == "sysmon"
            columns = {name: part[name] for name in ("src_h", "src_p", "dst_h", "dst_p", "ts")} | {
                "provider": pa.array([provider] * number), "event_id": pa.array([3 if is_sysmon else 5156] * number),
                "host": part["src_h"], "process": part["program"], "initiated": pa.array([True] * number),
                "proto": pa.array(["tcp"] * number), "pid": part["program"].dictionary_encode().indices,
                "record": pa.array(np.arange(number)),
            }  # fmt: skip
            if is_sysmon:
                columns["user"] = part["src_h"]
            yield from (Batch(host_events=b) for b in _batches(columns, HOST_EVENT_SCHEMA, number))


def _connections(n: int) -> Iterator[Batch]:
    for seed in (1, 3):
        ends = _ends(n // 2, seed)
        number = len(ends["ts"])
        columns = {
            "ts": ends["ts"], "orig_h": ends["src_h"], "orig_p": ends["src_p"], "resp_h": ends["dst_h"],
            "resp_p": ends["dst_p"], "proto": pa.array(["tcp"] * number), "seg": pa.array([0] * number),
            "sensor": pa.array(["border"] * number), "uid": pa.array([f"C{seed}{i}" for i in range(number)]),
        }  # fmt: skip
        yield from (Batch(connections=b) for b in _batches(columns, CONNECTION_SCHEMA, number))


def _batches(columns: dict[str, pa.Array], schema: pa.Schema, n: int) -> Iterator[pa.RecordBatch]:
    for at in range(0, n, BATCH):
        size = min(BATCH, n - at)
        rows = [
            columns[f.name].slice(at, size).cast(f.type) if f.name in columns else pa.nulls(size, f.type)
            for f in schema
        ]
        yield pa.RecordBatch.from_arrays(rows, schema=schema)


if __name__ == "__main__":
    main()
