"""What Zeek's side costs and gives: one command for each figure.

    python bench/zeek.py stream  [--records 400000]
        records a second from the stream into Arrow, on one core
    python bench/zeek.py archive [--connections 3000000] [--all]
        rows a second from logs to findings, with peak memory, and bare scans of the same conn.log beside
    python bench/zeek.py sensor  [--packets 400000] [--repeat 5] [--captures DIR]
        Zeek's CPU time over one capture without and with the package, and each option's share

`stream` and `archive` take the made-up site of `synthetic.py`; `archive` reads conn.log alone, or with --all
also dns.log and ssl.log. `sensor` takes the captures in pcaps/ or DIR, repeated as `speed.py` does it, and counts
instructions where `perf` may. Each figure is measured against the others of the same run.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import synthetic
from site_model import logs, places, text, traffic
from speed import ROOT, build, run

BATCH = 200  # records that the package sends at once
SCRIPTS = ROOT / "zeek-scripts"
HUNT = (
    "import sys\nfrom hopscope import hunting\nfound = hunting.hunt(sys.argv[1:])\n"
    "print(len(found), found.input.connections)"
)
DUCKDB = """
import sys, duckdb
rows = duckdb.execute(
    "SELECT column02, column04, column05, count(*), sum(try_cast(column09 AS BIGINT)), "
    "sum(try_cast(column10 AS BIGINT)) FROM read_csv(?, delim='\\t', header=false, comment='#', quote='', "
    "all_varchar=true) GROUP BY ALL", [sys.argv[1]]
).fetchall()
print(len(rows))
"""
PYARROW = """
import sys, pyarrow.csv as csv
table = csv.read_csv(
    sys.argv[1],
    csv.ReadOptions(autogenerate_column_names=True, skip_rows=8, block_size=16 << 20),
    csv.ParseOptions(delimiter="\\t", quote_char=False, invalid_row_handler=lambda row: "skip"),
    csv.ConvertOptions(include_columns=["f2", "f4", "f5", "f9", "f10"], null_values=["-"]),
)
print(table.group_by(["f2", "f4", "f5"]).aggregate([("f9", "sum"), ("f10", "sum")]).num_rows)
"""
SCANS = {"DuckDB, bare group-by": DUCKDB, "PyArrow, bare group-by": PYARROW}


def frames(records: int) -> list[bytes]:
    """The frames of a stream: a hello, then batches of the made-up site's connections."""
    from hopscope.records import CONNECTION_SCHEMA
    from hopscope.sources import broker_json
    from hopscope.sources.broker_values import Count, Timestamp, Value
    from hopscope.sources.zeek_stream import HELLO, TOPIC, schema_hash

    columns = tuple(CONNECTION_SCHEMA.names)
    hashed = schema_hash("connection", columns)
    hello = (Count(1), "bench", "boot", "8.0.10", "0", Timestamp(0), (("connection", hashed, columns),))
    out = [broker_json.encode(TOPIC, HELLO, [hello])]
    site = places.build(places.Size(max(20, records // 100), 1, records, seed=1))
    tables = logs.tables(site, traffic.hour(site, 0), np.random.default_rng(1), hopscope=True)
    lines = bytes(text.tsv(tables["hopscope"], logs.TYPES["hopscope"])).decode().splitlines()[:records]
    for seq, at in enumerate(range(0, len(lines), BATCH)):
        some = tuple(lines[at : at + BATCH])
        args: list[Value] = [hashed, "bench", "boot", "connection", Count(seq), Count(len(some)), some]
        out.append(broker_json.encode(TOPIC, "Hopscope::batch", args))
    return out


def stream(records: int) -> None:
    """Prints how fast frames become records, in all and by step."""
    import pyarrow

    from hopscope.records import InputCount
    from hopscope.sources import broker_json
    from hopscope.sources.zeek_stream import ZeekStream

    pyarrow.set_cpu_count(1)
    sent = frames(records)
    count = InputCount()
    came = ZeekStream(count)
    start = time.process_time()
    messages = [broker_json.decode(frame) for frame in sent]
    decoded = time.process_time()
    rows = sum(b.connections.num_rows for at in range(0, len(messages), 50) for b in came.feed(messages[at : at + 50]))
    end = time.process_time()
    print(f"{rows:,} records in {len(sent):,} frames of {sum(map(len, sent)) / rows:,.0f} bytes a record; one core")
    print("\n| step | CPU seconds | records/s |\n| --- | ---: | ---: |")
    for name, seconds in (
        ("frames to lines", decoded - start),
        ("lines to Arrow", end - decoded),
        ("both", end - start),
    ):
        print(f"| {name} | {seconds:.2f} | {rows / seconds:,.0f} |")
    for problem in count.problems or []:
        print(problem)


def archive(connections: int, all_of_them: bool) -> None:
    """Prints rows a second from logs to findings, with peak memory, and bare scans of the same conn.log beside."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        hosts = max(20, connections // 3000)
        synthetic.write(places.Size(hosts, 24, connections, seed=1), work)
        conn = work / "conn.log"
        rows = sum(1 for line in conn.open("rb") if not line.startswith(b"#"))
        print(f"{rows:,} rows, {conn.stat().st_size / 1e6:,.0f} MB\n")
        names = [str(work)] if all_of_them else [str(conn)]
        what = "conn, dns and ssl logs" if all_of_them else "conn.log"
        commands = {f"hopscope, {what} to findings": [sys.executable, "-c", HUNT, *names]}
        commands |= {name: [sys.executable, "-c", code, str(conn)] for name, code in SCANS.items()}
        print("| | seconds | CPU seconds | rows/s | memory |\n| --- | ---: | ---: | ---: | ---: |")
        for name, command in commands.items():
            r = run(command, work)
            print(f"| {name} | {r.wall:.1f} | {r.cpu:.1f} | {rows / r.wall:,.0f} | {r.memory:,.0f} MB |")


def options() -> Iterator[tuple[str, bool]]:
    """The package's switches that cost something, with their defaults."""
    texts = [path.read_text() for path in sorted(SCRIPTS.glob("*.zeek"))]
    switched = {name for t in texts for found in re.findall(r"redef switches \+= \{([^}]*)\}", t)
                for name in re.findall(r'"Hopscope::(\w+)"', found)}  # fmt: skip
    for t in texts:
        for name, default in re.findall(r"option (\w+) = ([TF]);", t):
            if name in switched or name in ("log_connections", "log_dns_queries"):
                yield name, default == "T"


def sensor(packets: int, repeat: int, captures: Path) -> None:
    """Prints Zeek's CPU time over one capture without the package, with it, and with each option switched over."""
    zeek = shutil.which("zeek")
    if zeek is None:
        raise SystemExit("zeek is not on the PATH")
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        capture = work / "bench.pcap"
        count = build(sorted(captures.glob("*.pcap*")), packets, capture)
        plain = [zeek, "-C", "-r", str(capture), "Site::local_nets = {10.0.0.0/8}"]
        package = [*plain, str(SCRIPTS / "__load__.zeek")]
        variants = {"Zeek alone": plain, "with the package": package}
        for name, on in options():
            variants[f"{name} {'off' if on else 'on'}"] = [*package, f"Hopscope::{name} = {'F' if on else 'T'}"]
        cpu: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(repeat):  # interleaved, so that whatever else runs disturbs all alike
            for name, command in variants.items():
                cpu[name].append(run(command, work).cpu)
        countable = _instructions(plain, work) > 0
        counted = {name: _instructions(c, work) if countable else 0 for name, c in variants.items()}
        best = {name: min(seconds) for name, seconds in cpu.items()}
        base, whole = best["Zeek alone"], best["with the package"]
        print(f"{count:,} packets; least of {repeat} runs each\n")
        print("| | CPU seconds | median | to Zeek alone | instructions | to Zeek alone | share of the package's |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for name in variants:
            n, n0, n1 = (counted[k] for k in (name, "Zeek alone", "with the package"))
            share = abs(n - n1) / (n1 - n0) if n and n1 > n0 else abs(best[name] - whole) / max(whole - base, 1e-9)
            told = f"{n / 1e9:,.2f} G | {n / n0 - 1:+.1%}" if n and n0 else " | "
            print(f"| {name} | {best[name]:.2f} | {statistics.median(cpu[name]):.2f} | {best[name] / base - 1:+.1%} | "
                  f"{told} | {f'{share:.0%}' if name not in ('Zeek alone', 'with the package') else ''} |")  # fmt: skip


def _instructions(command: list[str], work: Path) -> int:
    """Instructions of user code; 0 where they can't be counted."""
    perf = shutil.which("perf")
    if perf is None:
        return 0
    asked = [perf, "stat", "-x", ",", "-e", "instructions:u", *command]
    done = subprocess.run(asked, cwd=work, capture_output=True, text=True, check=False)
    found = re.search(r"^(\d+),", done.stderr, re.MULTILINE)
    return int(found.group(1)) if found else 0


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures = p.add_subparsers(required=True)
    f = figures.add_parser("stream")
    f.add_argument("--records", type=int, default=400_000)
    f.set_defaults(show=lambda a: stream(a.records))
    f = figures.add_parser("archive")
    f.add_argument("--connections", type=int, default=3_000_000)
    f.add_argument("--all", action="store_true", help="dns.log and ssl.log too")
    f.set_defaults(show=lambda a: archive(a.connections, a.all))
    f = figures.add_parser("sensor")
    f.add_argument("--packets", type=int, default=400_000)
    f.add_argument("--repeat", type=int, default=5)
    f.add_argument("--captures", type=Path, default=ROOT / "pcaps", help="a directory of captures to repeat")
    f.set_defaults(show=lambda a: sensor(a.packets, a.repeat, a.captures))
    a = p.parse_args()
    show: Callable[[argparse.Namespace], None] = a.show
    show(a)


if __name__ == "__main__":
    main()
