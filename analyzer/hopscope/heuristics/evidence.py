"""What heuristics share: joins over pairs, witnesses, and the making of an evidence table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.heuristics.base import EVIDENCE, MULTICAST, Fact, Window
from hopscope.summaries.schema import PAIR

WITNESSES = 10  # uids named with a piece of evidence
KEYS = tuple(PAIR)


def outbound(window: Window) -> ir.Table:
    """The pairs in which one of our hosts talks to a host on the internet and was answered."""
    p = window.pairs
    group = p.server.re_search(MULTICAST)
    return p.filter(p.client_local & ~p.server_local & (p.established > 0) & ~group)


def join(left: ir.Table, right: ir.Table, keys: Sequence[str] = ("pair",)) -> ir.Table:
    """Left join; right's keys are dropped. A null key has no partner."""
    renamed = right.rename({f"_{k}": k for k in keys})
    joined = left.left_join(renamed, [left[k] == renamed[f"_{k}"] for k in keys])
    return joined.drop(*[f"_{k}" for k in keys])


def witnesses(table: ir.Table, pairs: pa.ChunkedArray) -> pa.Array:
    """For each of `pairs` the up to WITNESSES least uids that the table has of it, in order."""
    if not len(pairs):
        return pa.array([], pa.list_(pa.string()))
    wanted = ibis.memtable(pa.table({"pair": pairs.unique()}))
    distinct = table.semi_join(wanted, "pair").select("pair", "uid").distinct()
    rank = ibis.row_number().over(ibis.window(group_by="pair", order_by=distinct.uid))
    few = distinct.mutate(_rank=rank).filter(ibis._._rank < WITNESSES).select("pair", "uid").to_pyarrow()
    few = few.sort_by([("pair", "ascending"), ("uid", "ascending")])
    known, count = np.unique(few["pair"].to_numpy(), return_counts=True)
    offsets = pa.array(np.concatenate([[0], np.cumsum(count)]), pa.int32())
    lists = pa.ListArray.from_arrays(offsets, few["uid"].combine_chunks())
    at = pc.index_in(pairs, value_set=pa.array(known))
    return pc.coalesce(lists.take(at), pa.scalar([], pa.list_(pa.string())))


def evidence(
    rows: pa.Table,
    decibans: NDArray[np.float64],
    threshold: str,
    facts: tuple[Fact, ...],
    values: Mapping[str, Any],
    seen_in: ir.Table | None = None,
) -> pa.Table:
    """An evidence table from pair rows: those with decibans other than 0, sorted by key.

    `rows` has the pair's columns and may have `uids`, which are sorted; else `seen_in` (pair, uid) gives them
    for the rows that stay. `decibans` and each of `values` (one per fact) have one entry per row. A column of
    PAIR that `rows` lacks is null: the evidence is not about it.
    """
    stay = pa.array(np.round(decibans, 2) != 0.0)
    rows, decibans = rows.filter(stay), decibans[stay.to_numpy(zero_copy_only=False)]
    n = rows.num_rows
    columns: dict[str, Any] = {}
    for f in EVIDENCE:
        columns[f.name] = rows[f.name].cast(f.type) if f.name in rows.column_names else pa.nulls(n, f.type)
    columns["decibans"] = pa.array(np.round(decibans, 2))
    columns["threshold"] = pa.array([threshold] * n, pa.string())
    if seen_in is not None:
        columns["uids"] = witnesses(seen_in, rows["pair"])
    elif "uids" in rows.column_names:
        columns["uids"] = pa.array([sorted(u) if u else [] for u in rows["uids"].to_pylist()], pa.list_(pa.string()))
    for fact in facts:
        v = values[fact.name]
        v = v if isinstance(v, pa.Array | pa.ChunkedArray) else pa.array(v, from_pandas=True)
        columns[fact.name] = v.filter(stay)
    return pa.table(columns).sort_by([(k, "ascending") for k in KEYS])


def void_for_all(reason: str, facts: tuple[Fact, ...]) -> pa.Table:
    """One row with null keys: the vantage couldn't tell this of anything, for `reason`."""
    row = pa.Table.from_pylist([{"decibans": 0.0, "void": reason, "uids": []}], schema=EVIDENCE)
    for fact in facts:
        row = row.append_column(fact.name, pa.nulls(1))
    return row


def numbers(table: pa.Table, column: str) -> NDArray[np.float64]:
    """A column as float64, null as NaN."""
    return np.asarray(table[column].cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False), np.float64)


def rise(x: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """0 at `low` and below, 1 at `high` and above, linear in between; NaN counts as 0."""
    return np.nan_to_num(np.clip((x - low) / (high - low), 0.0, 1.0))
