"""What heuristics ask of a baseline, in columns: one answer for each row that they look at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.baselines.model import Baseline
from hopscope.heuristics.evidence import beside
from hopscope.heuristics.segments import Flags, Ints

NEVER = np.iinfo(np.int64).max


class Used(NamedTuple):
    """Of the destination of each row: how many of our hosts used it (0: none, or left out), and whether left out."""

    clients: Ints
    left_out: Flags


def used(baseline: Baseline, pairs: pa.Table, led: Flags) -> Used:
    """Who used each pair's address, or its name where DNS led there, whichever are more."""
    clients, left_out = np.zeros(len(pairs), np.int64), np.zeros(len(pairs), bool)
    for kind, column, counts in (("address", "server", np.ones(len(pairs), bool)), ("name", "name", led)):
        found = _places(baseline, kind, pairs, column)
        here = _numbers(found["clients"], -1)
        clients, left_out = np.maximum(clients, np.where(counts, here, 0)), left_out | (counts & (here == 0))
    return Used(np.where(left_out, 0, clients), left_out)


def known_since(baseline: Baseline, kind: str, rows: pa.Table, column: str) -> Ints:
    """When the place in `column` of each row was first used (µs), NEVER where it wasn't; also what was left out."""
    return _numbers(_places(baseline, kind, rows, column)["first_us"], NEVER)


def _places(baseline: Baseline, kind: str, rows: pa.Table, column: str) -> pa.Table:
    every = baseline.places
    asked = pc.is_in(every["value"], value_set=pc.unique(rows[column]))
    mine = every.filter(pc.and_(pc.equal(every["kind"], kind), asked))
    mine = mine.select(["sensor", "value", "clients", "first_us"]).rename_columns({"value": column})
    return beside(rows.select(["sensor", column]), mine, ("sensor", column))


def hosts(baseline: Baseline, rows: pa.Table) -> Ints:
    """How many hosts were learnt on the sensor of each row."""
    each = baseline.host_hours.group_by("sensor").aggregate([("host", "count_distinct")])
    return _numbers(beside(rows.select(["sensor"]), each, ("sensor",))["host_count_distinct"], 0)


def alone(baseline: Baseline, rows: pa.Table) -> Flags:
    """Which rows (sensor, client, community, place) tell of a place that no other member used while it was learnt."""
    keys = ("sensor", "community", "place")
    habits = baseline.habits.filter(pc.is_in(baseline.habits["place"], value_set=pc.unique(rows["place"])))
    told = beside(rows.select([*keys, "client"]), habits, keys)
    ours = pc.or_(pc.is_null(told["users"]), pc.fill_null(pc.equal(told["user"], told["client"]), False))
    return np.asarray(ours.to_numpy(), np.bool_)


def version(baseline: Baseline | None, rows: int) -> pa.Array:
    """The fact `baseline`: the version that was asked, null where none was."""
    return pa.array([None if baseline is None else baseline.about.version] * rows, pa.int64())


def _numbers(column: pa.ChunkedArray, unknown: int) -> Ints:
    return np.asarray(pc.fill_null(column, unknown).to_numpy(), np.int64)
