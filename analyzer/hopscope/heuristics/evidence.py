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

from hopscope.heuristics.base import EVIDENCE, MULTICAST, Fact, Window, once
from hopscope.heuristics.segments import Ints, key_ids, offsets_from, spans
from hopscope.summaries.schema import KEY, PAIR, TABLES

WITNESSES = 10  # uids named with a piece of evidence
MANY_PAIRS = 200  # from here on the engine picks the witnesses: a pair of a busy day may have some thousand uids
KEYS = tuple(PAIR)
_NO_PAIRS = pa.schema([TABLES["pairs"].field(k) for k in KEY]).empty_table()


@once
def outbound(window: Window) -> ir.Table:
    """The pairs in which one of our hosts talks to a host on the internet and was answered.

    A view, made once per window: each query over it is compiled by itself, and a short one costs a third.
    """
    p = window.pairs
    group = p.server.re_search(MULTICAST)
    pairs = p.filter(p.client_local & ~p.server_local & (p.established > 0) & ~group)
    view: ir.Table = p.get_backend().create_view(ibis.util.gen_name("outbound"), pairs)
    return view


def join(left: ir.Table, right: ir.Table, keys: Sequence[str] = ("pair",)) -> ir.Table:
    """Left join; right's keys are dropped. A null key has no partner."""
    renamed = right.rename({f"_{k}": k for k in keys})
    joined = left.left_join(renamed, [left[k] == renamed[f"_{k}"] for k in keys])
    return joined.drop(*[f"_{k}" for k in keys])


def rows_of(pairs: ir.Table, wanted: pa.Array | pa.ChunkedArray) -> pa.Table:
    """KEY of those of `pairs` whose numbers are among `wanted`, in order of the numbers."""
    if not len(wanted):
        return _NO_PAIRS
    among = ibis.memtable(pa.table({"pair": wanted}))
    return pairs.select(*KEY).semi_join(among, "pair").to_pyarrow().sort_by("pair")


def sharing(pairs: ir.Table, some: pa.ChunkedArray, keys: Sequence[str]) -> pa.Table:
    """`pair` and `keys` of those of `pairs` that share the keys with one of `some` pairs, by their numbers."""
    p = pairs.select("pair", *keys)
    if not len(some):
        return p.schema().to_pyarrow().empty_table()
    theirs = p.semi_join(ibis.memtable(pa.table({"pair": some})), "pair")
    return p.semi_join(theirs, keys).to_pyarrow()


def partners(left: pa.Table, right: pa.Table, keys: Sequence[str]) -> pa.Array:
    """For each row of `left` the place of the row of `right` with the same keys; null where there is none.

    The keys are unique in `right`. A null key has no partner. Columns of `right` follow by `take`.
    """
    ids = key_ids(pa.concat_tables([left.select(keys), right.select(keys)]), keys)
    place = np.full(int(ids.max(initial=-1)) + 1, -1)
    place[ids[len(left) :]] = np.arange(len(right))
    found = place[ids[: len(left)]]
    lone = found < 0
    for key in keys:
        if left[key].null_count:
            lone |= left[key].is_null().to_numpy()
    return pa.array(found, mask=lone)


def beside(rows: pa.Table, told: pa.Table, keys: Sequence[str] = ("pair",)) -> pa.Table:
    """The rows with what `told` has of their keys, which are unique there; null where it has nothing."""
    found = told.drop_columns(list(keys)).take(partners(rows, told, keys))
    for name in found.column_names:
        rows = rows.append_column(name, found[name])
    return rows


def witnesses(table: ir.Table, pairs: pa.ChunkedArray) -> pa.Array:
    """For each of `pairs` the up to WITNESSES least uids that the table has of it, in order."""
    if not len(pairs):
        return pa.array([], pa.list_(pa.string()))
    wanted = pairs.unique()
    seen = table.select("pair", "uid").semi_join(ibis.memtable(pa.table({"pair": wanted})), "pair").distinct()
    if len(wanted) > MANY_PAIRS:  # else all are fetched: ranking costs more than the few that it leaves out
        rank = ibis.row_number().over(ibis.window(group_by="pair", order_by=seen.uid))
        seen = seen.mutate(_rank=rank).filter(ibis._._rank < WITNESSES).select("pair", "uid")
    rows = seen.to_pyarrow().sort_by([("pair", "ascending"), ("uid", "ascending")])
    known, first, count = np.unique(rows["pair"].to_numpy(), return_index=True, return_counts=True)
    count = np.minimum(count, WITNESSES)
    lists = lists_of(rows["uid"].combine_chunks().take(pa.array(spans(first, count))), count)
    at = pc.index_in(pairs, value_set=pa.array(known))
    return pc.coalesce(lists.take(at), pa.scalar([], pa.list_(pa.string())))


def lists_of(values: pa.Array, sizes: Ints) -> pa.ListArray:
    """The values as lists of these sizes, end to end."""
    return pa.ListArray.from_arrays(pa.array(offsets_from(sizes), pa.int32()), values)


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
    for the rows that stay. `decibans` (NaN: it can't tell) and each of `values` (one per fact) have one entry per row.
    A column of PAIR that `rows` lacks is null: the evidence is not about it.
    """
    stay = pa.array(np.nan_to_num(np.round(decibans, 2)) != 0.0)
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
    """A column as float64, null as NaN. Integers that floats don't hold, such as sums of forged counts, are rounded."""
    floats = table[column].cast(pa.float64(), safe=False)
    return np.asarray(floats.fill_null(np.nan).to_numpy(zero_copy_only=False), np.float64)


def rise(x: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """0 at `low` and below, 1 at `high` and above, linear in between; a step where both are one. NaN counts as 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.clip((x - low) / (high - low), 0.0, 1.0))
