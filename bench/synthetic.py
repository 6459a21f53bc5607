"""Zeek logs of a made-up site of stated size, for benchmarks: conn, dns, ssl and, if asked for, hopscope.

    python bench/synthetic.py --connections 3000000 --hours 24 --out DIR
    python bench/synthetic.py --hours 168 --connections 20000000 --hourly --format json --gzip --hopscope --out DIR
    python bench/synthetic.py --week --out DIR

Whole logs are DIR/conn.log and so on; hourly ones lie as Zeek rotates them,
DIR/2026-01-05/conn.00:00:00-01:00:00.log, a row in the hour in which its connection ended. DIR/truth.json
tells what was planted. What is drawn from which distribution: `site_model/places.py` and `traffic.py`.

With --week it is the small office of docs/tuning.md, all four logs, a directory for each day: DIR/exercise (with
the red team's report), DIR/week/2026-01-26 to 2026-02-01, and DIR/after, the Monday after it. Who is there, and
why: `site_model/week.py`.

The same arguments always write the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from site_model import logs, places, text, traffic, week
from site_model.places import EPOCH, SECOND, Site, Size

HOUR = 3600


def write(size: Size, out: Path, form: str = "tsv", hourly: bool = False, packed: bool = False,
          hopscope: bool = False) -> Site:  # fmt: skip
    """Writes the logs of a site into `out` and returns the site."""
    site = places.build(size)
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        whole: dict[str, BinaryIO] = {}
        for number, tables in enumerate(_hours(site, hopscope, range(size.hours))):
            begin = EPOCH + number * HOUR
            for log, table in tables.items():
                if hourly:
                    path = _rotated(out, log, begin)
                    with _opened(path, packed) as f:
                        _write(f, log, table, form, begin, begin + HOUR)
                    continue
                if log not in whole:
                    whole[log] = files.enter_context(_opened(out / f"{log}.log", packed))
                    if form == "tsv":
                        whole[log].write(text.header(log, logs.TYPES[log], EPOCH).encode())
                _write(whole[log], log, table, form, None, None)
        for f in whole.values():
            if form == "tsv":
                f.write(text.footer(EPOCH + size.hours * HOUR).encode())
    (out / "truth.json").write_text(json.dumps(truth(site), indent=1) + "\n")
    return site


def write_week(out: Path) -> Site:
    """Writes the logs of the office of docs/tuning.md, TSV, a directory for each day, and returns the site."""
    site = week.office()
    monday = week.DAYS[1]
    for days, place in ((week.DAYS[:1], "exercise"), (week.DAYS[1:], "week")):
        hours = range(24 * days[0], 24 * (days[-1] + 1))
        with ExitStack() as files:
            opened: dict[Path, BinaryIO] = {}
            for number, tables in zip(hours, _hours(site, True, hours), strict=True):
                day = number // 24
                begin = EPOCH + day * 24 * HOUR
                at = out / place / f"{datetime.fromtimestamp(begin, UTC):%Y-%m-%d}" if place == "week" else out / place
                at = out / "after" if day == monday + 7 else at
                at.mkdir(parents=True, exist_ok=True)
                for log, table in tables.items():
                    path = at / f"{log}.log"
                    if path not in opened:
                        opened[path] = files.enter_context(path.open("wb"))
                        opened[path].write(text.header(log, logs.TYPES[log], begin).encode())
                    opened[path].write(text.tsv(table, logs.TYPES[log]))
    (out / "truth.json").write_text(json.dumps(week.truth(site), indent=1) + "\n")
    (out / "exercise" / "report.txt").write_text("".join(f"{address}\n" for address in week.report(site)))
    return site


def truth(site: Site) -> dict[str, object]:
    """What was planted: every hop with its address, port, client, name and far end."""
    address, name = site.addresses.to_pylist(), site.names.to_pylist()
    hops = [
        {
            "kind": h.kind, "hop": address[h.hop], "port": h.port, "client": address[h.client],
            "name": name[h.name] if h.name >= 0 else None, "period_s": h.period_us / SECOND, "jitter": h.jitter,
            "gap_ms": h.gap_us / 1000, "far_end": address[h.far] if h.far >= 0 else None,
        }
        for h in site.hops
    ]  # fmt: skip
    s = site.size
    return {"hosts": s.hosts, "hours": s.hours, "connections": s.connections, "seed": s.seed, "hops": hops}


def _hours(site: Site, hopscope: bool, numbers: range) -> Iterator[dict[str, pa.Table]]:
    """Each hour's rows by log: those that end in it. What is still open at the end is in no log."""
    waiting: dict[str, pa.Table] = {}
    for number in numbers:
        rng = np.random.default_rng([site.size.seed, 1 + number, 1])
        made = logs.tables(site, traffic.hour(site, number), rng, hopscope)
        end = (EPOCH + (number + 1) * HOUR) * SECOND
        now = {}
        for log, table in made.items():
            table = pa.concat_tables([waiting[log], table]) if log in waiting else table
            waiting[log] = table.filter(pc.greater_equal(table["_end"], end))
            now[log] = table.filter(pc.less(table["_end"], end)).sort_by("_end")
        yield now


def _rotated(out: Path, log: str, begin: int) -> Path:
    at, until = (datetime.fromtimestamp(t, UTC) for t in (begin, begin + HOUR))
    path = out / f"{at:%Y-%m-%d}" / f"{log}.{at:%H:%M:%S}-{until:%H:%M:%S}.log"
    path.parent.mkdir(exist_ok=True)
    return path


def _opened(path: Path, packed: bool) -> BinaryIO:
    if not packed:
        return path.open("wb")
    return cast(BinaryIO, gzip.GzipFile(f"{path}.gz", "wb", compresslevel=3, mtime=0))


def _write(f: BinaryIO, log: str, table: pa.Table, form: str, opened: int | None, closed: int | None) -> None:
    types = logs.TYPES[log]
    if form == "json":
        f.write(text.json(table, types))
        return
    if opened is not None:
        f.write(text.header(log, types, opened).encode())
    f.write(text.tsv(table, types))
    if closed is not None:
        f.write(text.footer(closed).encode())


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hosts", type=int, help="default: one for 3,000 connections a day, at least 20")
    p.add_argument("--hours", type=int, default=24)
    p.add_argument(
        "--connections",
        type=int,
        default=3_000_000,
        help="rows of conn.log; more only where a host has too few for what it does by the clock",
    )
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--format", choices=("tsv", "json"), default="tsv")
    p.add_argument("--hourly", action="store_true", help="a log for each hour, in a directory for each day")
    p.add_argument("--gzip", action="store_true")
    p.add_argument("--hopscope", action="store_true", help="hopscope.log too")
    p.add_argument("--week", action="store_true", help="the office of docs/tuning.md; takes --out alone")
    p.add_argument("--out", type=Path, required=True)
    a = p.parse_args()
    if a.week:
        write_week(a.out)
        return
    hosts = a.hosts or max(20, a.connections * 24 // a.hours // 3000)
    write(Size(hosts, a.hours, a.connections, a.seed), a.out, a.format, a.hourly, a.gzip, a.hopscope)


if __name__ == "__main__":
    main()
