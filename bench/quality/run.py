"""One hunt of each item, and what is kept of it: all scores, scores without each heuristic, evidence by pair."""

from __future__ import annotations

import dataclasses
import ipaddress
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from bench.quality import judge
from bench.quality.corpus import Item
from hopscope import config as configuration
from hopscope import dossier, fusion
from hopscope.config import Config
from hopscope.errors import InputError
from hopscope.fusion import Scored
from hopscope.heuristics.base import Window
from hopscope.heuristics.evidence import outbound
from hopscope.hunting import records
from hopscope.records import Batch, InputCount
from hopscope.summaries import Summaries

PROCESSES = 2
ALL_HOURS = 1_000_000  # hours: captures of real software join unrelated moments, years apart
MOVED = "198.51.100.1"  # what a server at its client's own address becomes; an address kept for documentation
EVERYTHING_DB = -1000.0
KEYS = ("client", "server", "heuristic", "decibans")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Told:
    """An entity that scored, as a finding would tell it; `scaled` are the decibans of each heuristic after caps."""

    entity: str
    hop: str
    port: int | None
    score_db: float
    severity: str
    distance_ms: float | None
    scaled: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a hunt through one item gave.

    `told` are the findings at default thresholds, `scored` all entities that positive evidence speaks of, strongest
    first. `without` are the findings at default thresholds with one heuristic off. `evidence` has a row per
    client, server and heuristic (the most decibans); `pairs` are all (client, server) that were seen.
    """

    item: Item
    nets: tuple[str, ...]
    told: tuple[Told, ...] = ()
    scored: tuple[Told, ...] = ()
    without: dict[str, tuple[Told, ...]] = field(default_factory=dict)
    evidence: pa.Table | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    destinations: int = 0
    clients: int = 0
    hours: float = 0.0
    void: dict[str, str] = field(default_factory=dict)
    packets: int = 0
    connections: int = 0
    truth: judge.Truth = field(default_factory=judge.Truth)
    error: str | None = None


def each(work: Callable[[T], R], items: Sequence[T], processes: int = PROCESSES) -> list[R]:
    """`work` on every item, in order, in processes of their own; says how far it is on standard error."""
    if processes < 2 or len(items) < 2:
        return [work(i) for i in items]
    out = []
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for n, result in enumerate(pool.map(work, items), 1):
            out.append(result)
            print(f"\r{n} of {len(items)}", end="\n" if n == len(items) else "", file=sys.stderr, flush=True)
    return out


def settings(nets: Sequence[str] | None, hours: int | None = None, own_proxies: Sequence[str] = ()) -> Config:
    """Default settings but for what a site has to say of itself and the window's length; no file, no environment."""
    overrides: dict[str, Any] = {}
    if nets is not None:
        overrides["network.local_nets"] = tuple(nets)
    if hours is not None:
        overrides["window.hours"] = hours
    if own_proxies:
        overrides["vantage.own_proxies"] = tuple(own_proxies)
    return configuration.load(None, {}, overrides)


def hunted(item: Item, ablate: bool = True) -> Outcome:
    """One item from its file to its outcome."""
    try:
        batches, count, config, truth = read(item)
    except InputError as e:
        return Outcome(item, item.nets or (), error=str(e))
    found = weighed(window_of(batches, config, count.lacks), config, ablate)
    return dataclasses.replace(
        found, item=item, nets=config.network.local_nets, truth=truth, packets=count.packets,
        connections=count.connections,
    )  # fmt: skip


def read(item: Item) -> tuple[list[Batch], InputCount, Config, judge.Truth]:
    """The records of an item under its monitored networks, and its truth with the addresses of those records."""
    hours = ALL_HOURS if item.set == "real" else None
    config = settings(item.nets, hours, item.own_proxies)
    count = InputCount()
    batches = list(records(item.path, config=config, count=count))
    if item.nets is not None or item.set != "real":
        return batches, count, config, item.truth
    nets, moved = monitored(batches, item.truth)
    if nets is None:
        return batches, count, config, item.truth
    config, count = settings(nets, hours), InputCount()
    batches = list(records(item.path, config=config, count=count))
    if not moved:
        return batches, count, config, item.truth
    truth = judge.Truth({(MOVED, port): known for (_, port), known in item.truth.hops.items()})
    return [apart(b, moved) for b in batches], count, config, truth


def monitored(batches: Iterable[Batch], truth: judge.Truth) -> tuple[tuple[str, ...] | None, frozenset[judge.Hop]]:
    """The networks to monitor (None: the default), and the hops that are to be moved from their client's address."""
    seen = [
        (r["orig_h"], r["resp_h"], r["resp_p"], r["local_orig"] and not r["local_resp"])
        for b in batches
        for r in b.connections.select(["orig_h", "resp_h", "resp_p", "local_orig", "local_resp"]).to_pylist()
        if not ipaddress.ip_address(r["resp_h"]).is_multicast
    ]
    if truth.hops:
        near = [(o, r, p, out) for o, r, p, out in seen if (r, p) in truth.hops]
        clients = {o for o, *_ in near}
        if near and all(out for *_, out in near):
            return None, frozenset()
        moved = frozenset((r, p) for o, r, p, _ in near if o == r)
    else:
        if not seen or any(out for *_, out in seen):
            return None, frozenset()
        clients = {o for o, *_ in seen} - {r for _, r, *_ in seen} or {seen[0][0]}
        moved = frozenset()
    nets = sorted({str(ipaddress.ip_network(c)) for c in clients})
    return tuple(nets) or None, moved


def apart(batch: Batch, moved: frozenset[judge.Hop]) -> Batch:
    """The batch with servers that share their client's address at an address of their own, outside."""
    c = batch.connections
    mine = pa.array([
        o == r and (r, p) in moved
        for o, r, p in zip(*(c[k].to_pylist() for k in ("orig_h", "resp_h", "resp_p")), strict=True)
    ], pa.bool_())  # fmt: skip
    for name, value in (("resp_h", MOVED), ("local_resp", False)):
        at = c.schema.get_field_index(name)
        c = c.set_column(at, c.schema.field(at), pc.if_else(mine, value, c[name]))
    return Batch(c, batch.dns_queries)


def window_of(batches: Iterable[Batch], config: Config, lacks: frozenset[str] | None) -> Window:
    """The window of all batches."""
    summaries = Summaries(config)
    for batch in batches:
        summaries.add(batch)
    return dataclasses.replace(summaries.window(), lacks=lacks or frozenset())


def weighed(window: Window, config: Config, ablate: bool = True) -> Outcome:
    """A window's outcome, without item and truth."""
    tables, void = fusion.weigh(window, config)
    everything = dataclasses.replace(config.fusion, low_db=EVERYTHING_DB)
    outside = outbound(window).select("client", "server", "first_us", "last_us").to_pyarrow()
    span = (pc.max(outside["last_us"]).as_py() or 0) - (pc.min(outside["first_us"]).as_py() or 0)
    pairs = window.pairs.filter(window.pairs.established > 0).select("client", "server").distinct().to_pyarrow()
    return Outcome(
        item=Item("", "", Path(), "", judge.Truth()),
        nets=(),
        told=tuple(told(s, tables, config) for s in fusion.rank(window, tables, config.fusion)),
        scored=tuple(told(s, tables, config) for s in fusion.rank(window, tables, everything)),
        without=dict(_without(window, tables, config)) if ablate else {},
        evidence=by_pair(tables),
        pairs=tuple(sorted((p["client"], p["server"]) for p in pairs.to_pylist())),
        destinations=len(pc.unique(outside["server"])),
        clients=len(pc.unique(outside["client"])),
        hours=span / 3.6e9,
        void=void,
    )


def _without(window: Window, tables: dict[str, pa.Table], config: Config) -> Iterator[tuple[str, tuple[Told, ...]]]:
    """The findings with one heuristic off, for each that said anything."""
    for name, table in tables.items():
        if table.num_rows:
            left = {n: t for n, t in tables.items() if n != name}
            yield name, tuple(told(s, left, config) for s in fusion.rank(window, left, config.fusion))


def told(scored: Scored, tables: dict[str, pa.Table], config: Config) -> Told:
    """A scored entity as its finding would name it."""
    kind, value = scored.entity.kind, scored.entity.value
    hop, port = scored.address, None
    if kind == "service":
        hop, text, _ = value.rsplit("|", 2)
        port = int(text)
    elif kind == "name":  # where the strongest evidence points, as in the finding
        strongest = max(scored.pieces, key=lambda h: (scored.scaled[h], h))
        row = _row(tables, scored, strongest)
        hop, port = row["server"], row["port"]
    gap = _row(tables, scored, "path_gap") if "path_gap" in scored.pieces else {}
    return Told(
        entity=f"{kind} {value}",
        hop=hop,
        port=port,
        score_db=scored.score_db,
        severity=dossier.severity(scored.score_db, config.fusion),
        distance_ms=gap.get("distance_ms"),
        scaled={h: round(d, 2) for h, d in sorted(scored.scaled.items(), key=lambda i: (-i[1], i[0])) if d},
    )


def _row(tables: dict[str, pa.Table], scored: Scored, heuristic: str) -> dict[str, Any]:
    """A heuristic's evidence for the entity's best client."""
    row: dict[str, Any] = tables[heuristic].slice(scored.rows[heuristic], 1).to_pylist()[0]
    return row


def by_pair(tables: dict[str, pa.Table]) -> pa.Table:
    """The most decibans that each heuristic gave each client and server; columns KEYS."""
    schema = pa.schema([(k, pa.float64() if k == "decibans" else pa.string()) for k in KEYS])
    parts = [schema.empty_table()]
    for name, table in sorted(tables.items()):
        most = table.group_by(["client", "server"]).aggregate([("decibans", "max")])
        most = most.append_column("heuristic", pa.array([name] * most.num_rows, pa.string()))
        parts.append(most.rename_columns(["client", "server", "decibans", "heuristic"]).select(KEYS))
    return pa.concat_tables([p.cast(schema) for p in parts]).sort_by([(k, "ascending") for k in KEYS])
