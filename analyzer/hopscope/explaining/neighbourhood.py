"""The part of a window that concerns one finding, small enough to be weighed many times."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
from ibis.backends.duckdb import Backend

from hopscope.config import Config
from hopscope.explaining.counterfactuals import SAME_DB, Piece, Weigher
from hopscope.findings import Finding
from hopscope.heuristics import registry
from hopscope.heuristics.base import Window
from hopscope.narrowing import network
from hopscope.summaries.schema import OF_PAIRS

MOST_PAIRS = 20_000  # a part with more is not weighed anew: each trial would take seconds


def part(window: Window, finding: Finding, clients: bool) -> Window | None:
    """What the window knows of the entity or, with `clients`, of all that its clients used.

    In an engine of its own, which fetches a table when it is first asked for. None where it would have more than
    MOST_PAIRS pairs.
    """
    pairs = window.pairs.filter(window.pairs.sensor == finding.sensor)
    mine = pairs.filter(of_entity(pairs, finding))
    if clients:
        mine = pairs.filter(pairs.client.isin(finding.clients) | of_entity(pairs, finding))
    if mine.count().to_pyarrow().as_py() > MOST_PAIRS:
        return None
    told = mine.to_pyarrow()
    servers, users, names = (_distinct(told, c) for c in ("server", "client", "name"))
    wanted = ibis.memtable(told.select(["pair"]))
    hosts = ibis.memtable(pa.table({"host": pa.array(sorted({*servers, *users}), pa.string())}))
    values = ibis.memtable(pa.table({"value": pa.array(sorted({*servers, *names}), pa.string())}))
    legs, asked, hours = (t.filter(t.sensor == finding.sensor) for t in (window.legs, window.names, window.host_hours))
    tables = {
        "pairs": ibis.memtable(told),
        **{name: getattr(window, name).semi_join(wanted, "pair") for name in OF_PAIRS},
        "legs": legs.semi_join(hosts, "host"),
        "names": asked.filter(asked.client.isin(users) | asked.address.isin(servers) | asked.name.isin(names)),
        "first_seen": window.first_seen.semi_join(values, "value"),
        "host_hours": hours.semi_join(hosts, "host"),
    }
    engine = _Remembering(tables)
    return dataclasses.replace(window, **{name: engine.table(name) for name in tables})


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
    wide = part(window, finding, clients=True)
    narrow = part(wide or window, finding, clients=False)  # what both need is fetched once
    known = {e.heuristic: (e.raw_db, e.clients) for e in finding.evidence}

    def of(name: str) -> Weigher | None:
        heuristic = registry()[name]
        raw, clients = known.get(name, (None, 0))
        for within in (narrow, wide):
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
    """DuckDB over tables of elsewhere, each fetched when it is first asked for.

    It gives the same answer to the same question without asking again: trials differ by one setting, on which most
    of what a heuristic asks doesn't depend.
    """

    def __init__(self, tables: Mapping[str, ir.Table]) -> None:
        super().__init__()
        self.do_connect(threads=1)  # so little data is sooner done than handed out
        self._answers: dict[Any, pa.Table] = {}
        self._elsewhere = dict(tables)
        for name, table in tables.items():
            self.con.register(name, table.schema().to_pyarrow().empty_table())

    def to_pyarrow(self, expr: ir.Expr, /, **options: Any) -> pa.Table:
        question = expr.op()
        if question not in self._answers:
            self._fetch(question)
            self._answers[question] = super().to_pyarrow(expr, **options)
        return self._answers[question]

    def create_view(self, name: str, /, obj: ir.Table, **options: Any) -> ir.Table:
        self._fetch(obj.op())
        return super().create_view(name, obj, **options)

    def _fetch(self, question: Any) -> None:
        for table in question.find(ops.DatabaseTable):
            if table.name in self._elsewhere:
                self.con.register(table.name, self._elsewhere.pop(table.name).to_pyarrow())


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
