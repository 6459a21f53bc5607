"""Lab hops among real ordinary traffic: records of a hop's pair, moved into a log of a real network.

The records of each hop's own connections, and the client's DNS queries that led to it, are taken from the lab's
capture. Their times are stretched from the capture's minute to the log's length (each start keeps its place, lengths
and round trips stay), and the client becomes a client of the log. Each run moves at most one hop to each client, so
that a client has no more than an infected one would. Names and addresses of hops stay, the log knows none of them.

Prevalence: a log has hundreds of pairs, one in ten thousand needs many. So the runs' ordinary pairs count as often as
needed (`COPIES` for each hop): a network that many times as large, as ordinary. Distinct pairs are fewer, which bounds
what this can show, and the page says how far.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.quality import baseline, intervals, judge, run
from bench.quality.baseline import Pair
from bench.quality.corpus import Item
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch

PREVALENCE = 1e-4
TOPS = (5, 10, 50)
DRAWS = 400
SEED = 4
BUSY = 20  # connections: clients of a log with fewer are no place to hide
RUNS = 6  # of a log with few clients not all hops are moved there, but some of each kind
METHODS = ("hopscope", "RITA v5", "Elastic", "plain variation")
KEPT = ("ts", "seg_end")  # times of a connection's record that move


@dataclass(frozen=True)
class Hop:
    """The records of one hop's pair; `name` tells capture and hop."""

    name: str
    kind: str
    address: str
    client: str
    connections: pa.Table
    queries: pa.Table
    start_us: int
    end_us: int


@dataclass(frozen=True)
class Job:
    """One run: a log and the captures whose hops are moved there, at most one for each of the log's clients."""

    log: Item
    hops: tuple[Hop, ...]
    plain: bool  # with the fields of the log's own records alone


@dataclass(frozen=True)
class Placed:
    """What a run gave: per method the scores of the moved hops' pairs and of all others, and hops found at medium."""

    log: str
    plain: bool
    hops: tuple[str, ...]
    mine: dict[str, tuple[float, ...]]
    others: dict[str, tuple[float, ...]]
    found: tuple[str, ...]
    false: tuple[str, ...]


@dataclass(frozen=True)
class Precision:
    """Hops among the first `top` of a list in which one pair of ten thousand is a hop; mean and 95 % of the draws."""

    method: str
    top: int
    mean: float
    low: float
    high: float


def hops_of(item: Item) -> list[Hop]:
    """The hops outside of a lab capture, with their records; those inside have two legs and stay at home."""
    batches, _, _, truth = run.read(item)
    connections = pa.Table.from_batches([b.connections for b in batches], CONNECTION_SCHEMA)
    queries = pa.Table.from_batches([b.dns_queries for b in batches], DNS_QUERY_SCHEMA)
    at = pc.cast(connections["ts"], pa.int64())
    start, end = pc.min(at).as_py(), pc.max(at).as_py()
    out = []
    for (address, port), known in sorted(truth.hops.items()):
        for client in known.get("clients") or ():
            pair = pc.and_(pc.equal(connections["resp_h"], address), pc.equal(connections["orig_h"], client))
            mine = connections.filter(pair)
            if not mine.num_rows or not mine["local_orig"][0].as_py():
                continue
            led = [address in (a or ()) for a in queries["answers"].to_pylist()]
            asked = queries.filter(pc.and_(pa.array(led, pa.bool_()), pc.equal(queries["client"], client)))
            label = f"{item.name} {address}:{port}"
            out.append(Hop(label, str(known.get("kind")), address, client, mine, asked, start, end))
            break  # one client tells the hop; a second would be a second infection
    return out


def jobs(logs: Sequence[Item], hops: Sequence[Hop], clients: dict[str, list[str]]) -> list[Job]:
    """Hops into every log, as many at a time as it has clients, with all fields and with the log's alone."""
    out = []
    for log in logs:
        room = len(clients[log.name])
        few = hops[:: max(1, math.ceil(len(hops) / (RUNS * room)))] if room else []
        for plain in (False, True):
            out += [Job(log, tuple(few[i : i + room]), plain) for i in range(0, len(few), room)]
    return out


def clients_of(item: Item) -> list[str]:
    """The log's own clients with enough connections towards outside, busiest first."""
    pairs = baseline.calls(run.read(item)[0])
    count: dict[str, int] = {}
    for (client, _), c in pairs.items():
        count[client] = count.get(client, 0) + c.times.size
    return sorted((c for c, n in count.items() if n >= BUSY), key=lambda c: (-count[c], c))


def placed(job: Job) -> Placed:
    """One run, from the log's records and the moved ones to every method's scores."""
    batches, count, config, _ = run.read(job.log)
    table = pa.Table.from_batches([b.connections for b in batches], CONNECTION_SCHEMA)
    at = pc.cast(table["ts"], pa.int64())
    end = int(pc.max(at).as_py())
    start = max(int(pc.min(at).as_py()), end - config.window.hours * 3_600_000_000)
    sensor = table["sensor"][0].as_py()
    targets = clients_of(job.log)
    lacks = count.lacks or frozenset()
    moved = [
        move(h, c, sensor, (start, end), lacks if job.plain else frozenset())
        for h, c in zip(job.hops, targets, strict=False)
    ]
    where: dict[Pair, str] = {(c, h.address): h.name for h, c in zip(job.hops, targets, strict=False)}
    window = run.window_of([*batches, *moved], config, lacks if job.plain else frozenset())
    got = run.weighed(window, config, ablate=False)
    known = got.evidence.to_pylist() if got.evidence is not None else []
    pairs = baseline.calls([*batches, *moved], config.window.hours)
    scores = {"hopscope": baseline.of_pairs(known, pairs, config.fusion), **baseline.scores(pairs)}
    truth = judge.Truth({(h.address, int(h.name.rsplit(":", 1)[1])): {} for h in job.hops})
    named = [t for t in got.told if t.score_db >= config.fusion.medium_db]
    told = {f"{a}:{p}" for t in named for a, p in judge.named(truth, t)}
    return Placed(
        job.log.name,
        job.plain,
        tuple(h.name for h in job.hops),
        {m: tuple(s[p] for p in where) for m, s in scores.items()},
        {m: tuple(sorted(v for p, v in s.items() if p not in where)) for m, s in scores.items()},
        tuple(h.name for h in job.hops if h.name.rsplit(" ", 1)[1] in told),
        tuple(t.entity for t in named if not judge.named(truth, t)),
    )


def move(hop: Hop, client: str, sensor: str, span: tuple[int, int], lacks: frozenset[str]) -> Batch:
    """The hop's records in another time and at another client; fields in `lacks` are null."""
    factor = (span[1] - span[0]) / max(1, hop.end_us - hop.start_us)

    def shift(times: pa.ChunkedArray, base: pa.ChunkedArray) -> pa.Array:
        """Starts are stretched, and what follows a start follows it as before."""
        first = base.cast(pa.int64()).to_numpy()
        then = times.cast(pa.int64()).to_numpy() - first
        return pa.array((span[0] + (first - hop.start_us) * factor).astype(np.int64) + then)

    c = hop.connections
    columns: dict[str, Any] = {name: c[name] for name in c.column_names}
    for name in KEPT:  # every segment keeps the connection's own start
        columns[name] = shift(c[name], c["ts"]).cast(c.schema.field(name).type)
    columns |= {"sensor": _all(sensor, c), "orig_h": _all(client, c)}
    for name in lacks & set(columns):
        columns[name] = pa.nulls(c.num_rows, c.schema.field(name).type)
    q = hop.queries
    asked: dict[str, Any] = {name: q[name] for name in q.column_names}
    asked["ts"] = shift(q["ts"], q["ts"]).cast(q.schema.field("ts").type)
    asked |= {"sensor": _all(sensor, q), "client": _all(client, q)}
    return Batch(_batch(columns, CONNECTION_SCHEMA), _batch(asked, DNS_QUERY_SCHEMA))


def _all(value: str, table: pa.Table) -> pa.Array:
    return pa.array([value] * table.num_rows, pa.string())


def _batch(columns: dict[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    table = pa.table(columns, schema).combine_chunks()
    return table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema)


def precision(runs: Iterable[Placed], method: str) -> Iterator[Precision]:
    """Draws of fifty hops, each with 9,999 ordinary pairs (copies of its run's own), ranked; hops among the first."""
    mine: list[float] = []
    others: list[tuple[float, ...]] = []
    for r in runs:
        mine += r.mine[method]
        others += [r.others[method]] * len(r.mine[method])
    if not mine:
        return
    rng = np.random.default_rng(SEED)
    shares: dict[int, list[float]] = {t: [] for t in TOPS}
    for _ in range(DRAWS):
        chosen = rng.integers(0, len(mine), max(TOPS))
        hops = np.sort([mine[i] for i in chosen])[::-1]
        pool = np.concatenate([others[i] for i in chosen])
        copies = (1 / PREVALENCE - 1) * len(chosen) / pool.size
        for top in TOPS:
            shares[top].append(_share(hops, np.sort(pool)[::-1], copies, top))
    for top in TOPS:
        low, high = np.quantile(shares[top], [0.025, 0.975])
        yield Precision(method, top, float(np.mean(shares[top])), float(low), float(high))


def _share(hops: Any, pool: Any, copies: float, top: int) -> float:
    """Hops among the first `top`, when each of `pool` (both sorted, greatest first) stands for `copies` pairs.

    Ties go against the hops.
    """
    above = np.searchsorted(-pool, -hops, side="right") * copies
    return float(np.count_nonzero(np.arange(hops.size) + above < top)) / top


def distinct_bound(runs: Iterable[Placed]) -> tuple[int, float]:
    """Distinct ordinary pairs of all logs, and what none of them above a hop bounds the rate of such pairs at."""
    size = {r.log: len(r.others["hopscope"]) for r in runs}
    n = sum(size.values())
    return n, intervals.exact(0, n)[1]
