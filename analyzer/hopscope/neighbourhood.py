"""The part of a window that concerns one finding, small enough to be weighed many times."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
from ibis.backends.duckdb import Backend

from hopscope.config import Config
from hopscope.counterfactuals import SAME_DB, Piece, Weigher
from hopscope.findings import Finding
from hopscope.heuristics import registry
from hopscope.heuristics.base import Window
from hopscope.narrowing import network

OF_PAIRS = ("pairs", "samples", "floors", "rhythm", "starts", "sets")
MOST_PAIRS = 20_000  # a part with more is not weighed anew: each trial would take seconds


def part(window: Window, finding: Finding, clients: bool) -> Window | None:
    """What the window knows of the entity or, with `clients`, of all that its clients used.

    In an engine of its own that remembers answers: trials differ by a setting, and most of what a heuristic
    asks for doesn't depend on that. None where it would have more than MOST_PAIRS pairs.
    """
    pairs = window.pairs.filter(window.pairs.sensor == finding.sensor)
    mine = pairs.filter(of_entity(pairs, finding))
    if clients:
        mine = pairs.filter(pairs.client.isin(finding.clients) | of_entity(pairs, finding))
    if mine.count().to_pyarrow().as_py() > MOST_PAIRS:
        return None
    tables = {"pairs": mine.to_pyarrow()}
    wanted = tables["pairs"].select(["pair"])
    for name in OF_PAIRS[1:]:
        tables[name] = getattr(window, name).semi_join(ibis.memtable(wanted), "pair").to_pyarrow()
    servers, users, names = (_distinct(tables["pairs"], c) for c in ("server", "client", "name"))
    hosts = ibis.memtable(pa.table({"host": pa.array(sorted({*servers, *users}), pa.string())}))
    legs = window.legs.filter(window.legs.sensor == finding.sensor)
    tables["legs"] = legs.semi_join(hosts, "host").to_pyarrow()
    asked = window.names.filter(window.names.sensor == finding.sensor)
    asked = asked.filter(asked.client.isin(users) | asked.address.isin(servers) | asked.name.isin(names))
    tables["names"] = asked.to_pyarrow()
    told = pa.table({"value": pa.array(sorted({*servers, *names}), pa.string())})
    tables["first_seen"] = window.first_seen.semi_join(ibis.memtable(told), "value").to_pyarrow()
    hours = window.host_hours.filter(window.host_hours.sensor == finding.sensor)
    tables["host_hours"] = hours.semi_join(hosts, "host").to_pyarrow()
    return _window(window, tables)


def of_entity(pairs: ir.Table, finding: Finding) -> ir.BooleanValue:
    """Which of the pairs the finding is about."""
    kind, value = finding.entity.kind, finding.entity.value
    if kind == "name":
        return pairs.name == value
    if kind == "service":
        return (pairs.server == finding.hop) & (pairs.port == finding.port) & (pairs.proto == finding.proto)
    if kind == "address":
        return pairs.server == value
    servers = pairs.filter(pairs.server.contains(":")).select("server").distinct().to_pyarrow()["server"]
    return pairs.server.isin([a for a in servers.to_pylist() if network(a) == value])


def piece(table: pa.Table, finding: Finding) -> Piece | None:
    """The entity's piece of a heuristic's evidence: the best client's decibans, and the clients it speaks for."""
    mine = table.filter(pc.fill_null(pc.and_(pc.equal(table["sensor"], finding.sensor), _rows(table, finding)), False))
    if not len(mine):
        return None
    support = mine.filter(pc.greater(mine["decibans"], 0))
    return pc.max(mine["decibans"]).as_py(), max(1, pc.count_distinct(support["client"]).as_py())


def weigher(window: Window, finding: Finding, config: Config) -> Callable[[str], Weigher | None]:
    """What weighs a heuristic anew for the finding's entity, given its settings; None where it can't be done.

    A part of the window serves where, with the settings of the run, it gives the piece that the run gave:
    first the entity's pairs alone, then all that its clients used.
    """
    parts: dict[bool, Window | None] = {}
    known = {e.heuristic: (e.raw_db, e.clients) for e in finding.evidence}

    def of(name: str) -> Weigher | None:
        heuristic = registry()[name]
        raw, clients = known[name]
        for wide in (False, True):
            if wide not in parts:
                parts[wide] = part(window, finding, wide)
            within = parts[wide]
            if within is None or raw is None:
                continue

            def weigh(settings: Any, within: Window = within) -> Piece | None:
                return piece(heuristic.weigh(within, settings), finding)

            again = weigh(config.heuristics[name])
            if again is not None and abs(again[0] - raw) <= SAME_DB and again[1] == clients:
                return weigh
        return None

    return of


class _Remembering(Backend):  # type: ignore[misc]  # Ibis has no types
    """DuckDB that gives the same answer to the same question without asking again."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: dict[Any, pa.Table] = {}
        self.do_connect(threads=1)  # so little data is sooner done than handed out

    def to_pyarrow(self, expr: ir.Expr, /, **options: Any) -> pa.Table:
        question = expr.op()
        if question not in self._answers:
            self._answers[question] = super().to_pyarrow(expr, **options)
        return self._answers[question]


def _window(whole: Window, tables: dict[str, pa.Table]) -> Window:
    engine = _Remembering()
    for name, table in tables.items():
        engine.con.register(name, table)
    return dataclasses.replace(whole, **{name: engine.table(name) for name in tables})


def _rows(table: pa.Table, finding: Finding) -> pa.ChunkedArray:
    kind, value = finding.entity.kind, finding.entity.value
    if kind == "name":
        return pc.equal(table["name"], value)
    if kind == "service":
        at = pc.and_(pc.equal(table["server"], finding.hop), pc.equal(table["port"], finding.port))
        return pc.and_(at, pc.equal(table["proto"], finding.proto))
    if kind == "address":
        return pc.equal(table["server"], value)
    inside = [a for a in pc.unique(table["server"]).to_pylist() if a and ":" in a and network(a) == value]
    return pc.is_in(table["server"], value_set=pa.array(inside, pa.string()))


def _distinct(table: pa.Table, column: str) -> list[str]:
    values: list[str] = pc.unique(table[column]).drop_null().to_pylist()
    return values
