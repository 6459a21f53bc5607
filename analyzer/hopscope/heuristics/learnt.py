"""What heuristics ask of a baseline, in columns: one answer for each row that they look at."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.baselines.model import Baseline
from hopscope.heuristics.evidence import beside
from hopscope.heuristics.segments import Flags, Ints


def places(baseline: Baseline, kind: str, rows: pa.Table, column: str) -> tuple[Ints, Ints]:
    """Of the place in `column` of each row: how many of our hosts used it (0: unknown), and when first (µs)."""
    every = baseline.places
    asked = pc.is_in(every["value"], value_set=pc.unique(rows[column]))
    mine = every.filter(pc.and_(pc.equal(every["kind"], kind), asked)).select(
        ["sensor", "value", "clients", "first_us"]
    )
    told = beside(rows.select(["sensor", column]), mine.rename_columns(["sensor", column, "clients", "first_us"]),
                  ("sensor", column))  # fmt: skip
    return _counts(told["clients"]), _counts(told["first_us"])


def users(baseline: Baseline, pairs: pa.Table, led: Flags) -> Ints:
    """How many of our hosts used each pair's address, or its name where DNS led there, whichever are more."""
    by_address, by_name = (places(baseline, *of)[0] for of in (("address", pairs, "server"), ("name", pairs, "name")))
    return np.maximum(by_address, np.where(led, by_name, 0))


def hosts(baseline: Baseline, rows: pa.Table) -> Ints:
    """How many hosts were learnt on the sensor of each row."""
    each = baseline.host_hours.group_by("sensor").aggregate([("host", "count_distinct")])
    return _counts(beside(rows.select(["sensor"]), each, ("sensor",))["host_count_distinct"])


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


def _counts(column: pa.ChunkedArray) -> Ints:
    return np.asarray(pc.fill_null(column, 0).to_numpy(), np.int64)
