"""How the cost of looking for relays grows with one busy host's connections.

    python bench/relay.py [--connections 10000] [--scales 1,2,4,8] [--hours 4] [--repeat 3]

Makes up the legs of a server that visitors call and that calls out for most of them, over the same hours
whatever their number, so that more of them also overlap; one in ten keeps its connection open and asks again
after pauses, and one stranger's session is passed on. Prints the seconds that `relay_pattern` takes, the
microseconds per connection and their ratio to the first, beside the number of pairs of legs that are open
together, which is what comparing each with each would cost.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import fields

import ibis
import numpy as np
import pyarrow as pa

from hopscope.config import VantageSettings
from hopscope.heuristics.base import Window
from hopscope.heuristics.relay_pattern import HEURISTIC
from hopscope.summaries.schema import TABLES

SECOND = 1_000_000
EPOCH = 1_767_571_200 * SECOND
HOST, STRANGER, FAR = "10.0.0.80", "198.51.100.250", "203.0.113.250"
KEPT = 0.1  # share of connections that are kept open and used again after pauses
PAUSES = 20  # in each of those


def legs(connections: int, hours: float, seed: int = 1) -> pa.Table:
    """Leg rows of one host: half accepted, half made, and a relayed session."""
    rng = np.random.default_rng(seed)
    n, span = connections // 2 - 1, hours * 3600
    start = np.sort(rng.uniform(0, span, n))
    kept = rng.random(n) < KEPT
    length = np.where(kept, rng.exponential(300, n), rng.lognormal(-1, 1, n))
    lists: list[list[float]] = [[], []]
    sizes = np.where(kept, 2 * PAUSES, 2)
    for role in range(2):
        each = np.repeat(length, sizes) * rng.random(int(sizes.sum()))
        each[1::2] *= -1
        lists[role] = each.tolist()
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    ons = [pa.ListArray.from_arrays(offsets, pa.array(values)) for values in lists]
    visitor, service = rng.integers(0, max(n // 5, 1), n), rng.integers(0, 200, n)
    near = _rows("accept", start, length, ons[0], rng.lognormal(7, 1, n), rng.lognormal(9, 1, n),
                 [f"198.51.{v // 250 % 250}.{v % 250}" for v in visitor], 443)  # fmt: skip
    far = _rows("connect", start + rng.uniform(0.005, 0.5, n), length * rng.uniform(0.5, 1, n), ons[1],
                rng.lognormal(8, 1, n), rng.lognormal(7, 1, n), [f"203.0.113.{s}" for s in service], 443)  # fmt: skip
    times = np.cumsum(rng.uniform(1, 4, 60))
    asked = pa.array([[x for t in times for x in (t, -t - 0.104)]])
    heard = pa.array([[x for t in times for x in (t - 0.998, 0.898 - t)]])
    one = np.array([span / 2])
    relay = [
        _rows("accept", one, one * 0 + 200, asked, one * 0 + 2e4, one * 0 + 5e4, [STRANGER], 22, "R"),
        _rows("connect", one + 1, one * 0 + 198, heard, one * 0 + 4.6e4, one * 0 + 1.6e4, [FAR], 443, "R"),
    ]
    return pa.concat_tables([near, far, *relay])


def _rows(role: str, start: np.ndarray, length: np.ndarray, ons: pa.Array, into: np.ndarray, out: np.ndarray,
          peers: list[str], port: int, tag: str = "") -> pa.Table:  # fmt: skip
    n = len(start)
    begin = EPOCH + (start * SECOND).astype(np.int64)
    given = {
        "sensor": ["s"] * n, "host": [HOST] * n, "role": [role] * n, "proto": ["tcp"] * n, "service": ["ssl"] * n,
        "uid": [f"{role}{tag}{k}" for k in range(n)], "peer": peers, "peer_local": [False] * n, "final": [True] * n,
        "seg": np.zeros(n, np.int32), "start_us": begin, "end_us": begin + (length * SECOND).astype(np.int64),
        "in_bytes": into.astype(np.int64), "out_bytes": out.astype(np.int64), "on_starts": ons,
        "own_port": np.full(n, port if role == "accept" else 40_000, np.int32),
        "peer_port": np.full(n, 50_000 if role == "accept" else port, np.int32),
        "hour": begin // (3600 * SECOND), "bucket": begin // (10 * SECOND),
    }  # fmt: skip
    schema = TABLES["legs"]
    return pa.table({f.name: pa.array(given[f.name], f.type) if f.name in given else pa.nulls(n, f.type)
                     for f in schema})  # fmt: skip


def together(table: pa.Table) -> int:
    """Pairs of an accepted and a made connection that are open at the same time."""
    accepts = np.asarray(table["role"]) == "accept"
    start, end = (np.asarray(table[k]) for k in ("start_us", "end_us"))
    near, far = np.sort(start[accepts]), np.sort(end[accepts])
    began = np.searchsorted(near, end[~accepts], "right")
    over = np.searchsorted(far, start[~accepts], "left")
    return int((began - over).sum())


def window(table: pa.Table) -> Window:
    """A window of these legs; its other tables, which the heuristic doesn't read, are empty."""
    con = ibis.duckdb.connect()
    con.con.register("legs", table)
    con.con.register("nothing", table.slice(0, 0))
    tables = {f.name: con.table("nothing") for f in fields(Window) if f.type == "ir.Table"}
    given = {**tables, "legs": con.table("legs")}
    return Window(**given, start_us=EPOCH, end_us=EPOCH, history_us=EPOCH, vantage=VantageSettings())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--scales", default="1,2,4,8")
    parser.add_argument("--hours", type=float, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    a = parser.parse_args()
    print(f"{'connections':>12} {'open together':>14} {'CPU s':>8} {'us each':>8} {'ratio':>6}")
    first = None
    for scale in (int(s) for s in a.scales.split(",")):
        n = scale * a.connections
        table = legs(n, a.hours)
        made = window(table)
        took = []
        for _ in range(a.repeat):
            began = time.process_time()
            rows = HEURISTIC.weigh(made, HEURISTIC.defaults)
            took.append(time.process_time() - began)
        each = min(took) / n * 1e6
        first = first or each
        weights = {(r["client"], r["far_peer"]): r["decibans"] for r in rows.to_pylist()}
        relay = weights.pop((STRANGER, FAR), 0.0)
        print(f"{n:12,} {together(table):14,} {min(took):8.2f} {each:8.1f} {each / first:6.2f}"
              f"  relay {relay:.1f} dB, any other {max(weights.values(), default=0.0):.1f} dB")  # fmt: skip


if __name__ == "__main__":
    main()
