"""How each summary table merges: one rule a table, used to condense, to merge and to join the window.

A table is reduced by grouping (sums, minima, maxima, or) and then by keeping the first rows of each
group in a total order. A row that is cut in a part has as many rows before it in the whole, so that
cutting early loses nothing that the whole would keep: reduce(a + b) = reduce(reduce(a) + reduce(b)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from hopscope.summaries import schema
from hopscope.summaries.schema import KEY

MOST = 1 << 53  # of a sum


@dataclass(frozen=True)
class Bounds:
    """Rows kept per group; see the constants of `schema`. `sets` is one more, to tell that there were more."""

    samples: int = schema.SAMPLE_ROWS
    floors: int = schema.FLOOR_ROWS
    starts: int = schema.START_ROWS
    sets: int = schema.SET_ROWS + 1
    leg_rows: int = schema.LEG_ROWS


BOUNDS = Bounds()


@dataclass(frozen=True)
class Rule:
    """How rows of one table combine.

    `by` groups (no grouping when empty); the columns of `sums`, `least`, `most` and `any_` are aggregated
    within a group. Then of each `cut_by` the first rows in `order` stay, as many as `Bounds` says under
    the table's name. `every_hour`: the window takes what each hour kept as it is.
    """

    by: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    least: tuple[str, ...] = ()
    most: tuple[str, ...] = ()
    any_: tuple[str, ...] = ()
    cut_by: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    every_hour: bool = False


_PAIR_HOUR = (*KEY, "hour")

RULES: dict[str, Rule] = {
    "pairs": Rule(
        by=_PAIR_HOUR,
        sums=(
            "connections", "segments", "established", "failed",
            "orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts", "open_us",
        ),
        least=("first_us",), most=("last_us",), any_=("client_local", "server_local"),
    ),
    "samples": Rule(cut_by=("pair", "hour"), order=("hash", "uid", "seg"), every_hour=True),
    "floors": Rule(
        by=(*_PAIR_HOUR, "measure", "uid"), least=("value_us",),
        cut_by=("pair", "hour", "measure"), order=("value_us", "uid"), every_hour=True,
    ),
    "starts": Rule(cut_by=("pair", "hour"), order=("ts_us", "uid"), every_hour=True),
    "sets": Rule(
        by=(*_PAIR_HOUR, "kind", "value"), sums=("connections",), least=("hash", "uid"),
        cut_by=("pair", "hour", "kind"), order=("hash", "value"),
    ),
    "leg_buckets": Rule(by=("sensor", "host", "hour", "bucket"), sums=("rows",)),
    "names": Rule(
        by=("sensor", "client", "name", "address", "hour"), sums=("answers",),
        least=("first_us",), most=("last_us", "until_us"),
    ),
}  # fmt: skip
"""The rules of all tables but `legs`, which `keep_legs` cuts by whole buckets."""

_SPREAD, _RANGE = 1_000_000_007, 2**31 - 1  # both prime: bucket -> bucket * _SPREAD mod _RANGE has no collisions


def total(column: ir.IntegerColumn) -> ir.IntegerValue:
    """The sum, which stops where floats stop being exact: forged counts reach it, and no engine hands on more."""
    added = column.sum()
    return (added > MOST).ifelse(MOST, added)


def reduce(name: str, table: ir.Table, bounds: Bounds = BOUNDS, hours: bool = True) -> ir.Table:
    """Rows of the table `name`, aggregated and cut by its rule.

    With `hours` false the rows of all hours join and the result has no `hour` (for the window).
    """
    rule = RULES[name]
    by, cut_by = (_without_hour(c, hours) for c in (rule.by, rule.cut_by))
    if rule.every_hour and not hours:
        return table.drop("hour")
    if by:
        # a pair's number stands for its columns: grouped by it alone, they are read only where they are asked for
        told = () if hours or "pair" not in by else schema.PAIR
        by = tuple(c for c in by if c not in told)
        table = table.aggregate(
            **{c: table[c].arbitrary() for c in told},
            **{c: total(table[c]) for c in rule.sums},
            **{c: table[c].min() for c in rule.least},
            **{c: table[c].max() for c in rule.most},
            **{c: table[c].any() for c in rule.any_},
            by=list(by),
        )
    if cut_by:
        # a window's table is asked for few of its groups: a filter reaches them through a rank, not through a join
        cut = _cut if hours else _first
        table = cut(table, cut_by, rule.order, getattr(bounds, name))
    return table.select(*(c for c in schema.TABLES[name].names if hours or c != "hour"))


def keep_legs(legs: ir.Table, leg_buckets: ir.Table, bounds: Bounds = BOUNDS) -> ir.Table:
    """The leg rows whose buckets stay: by hash of the bucket, as long as the host's rows of the hour fit.

    A bucket that is dropped in a part is dropped in the whole, because the rows before it only grow; so the
    legs of a bucket, of both ends of a relay, stay or go together.
    """
    return without(legs, dropped_buckets(leg_buckets, bounds))


def dropped_buckets(leg_buckets: ir.Table, bounds: Bounds = BOUNDS) -> ir.Table:
    """The buckets that go, reduced, with all their rows; `leg_buckets` need not be reduced."""
    by = ["sensor", "host", "hour"]
    crowded = leg_buckets.aggregate(all=leg_buckets.rows.sum(), by=by).filter(lambda t: t["all"] > bounds.leg_rows)
    theirs = leg_buckets.semi_join(crowded, by)
    buckets = theirs.aggregate(rows=theirs.rows.sum(), by=[*by, "bucket"])
    spread = buckets.mutate(spread=buckets.bucket * _SPREAD % _RANGE)
    upto = spread.rows.sum().over(group_by=by, order_by=["spread", "bucket"], rows=(None, 0))
    gone = spread.mutate(upto=upto).filter(lambda t: t.upto > bounds.leg_rows)
    return gone.select(*schema.TABLES["leg_buckets"].names)


def without(legs: ir.Table, buckets: ir.Table) -> ir.Table:
    """The leg rows that lie in none of the buckets."""
    return legs.anti_join(buckets, ["sensor", "host", "hour", "bucket"]).select(*schema.TABLES["legs"].names)


def reduce_all(tables: Mapping[str, ir.Table], bounds: Bounds = BOUNDS) -> dict[str, ir.Table]:
    """Every table of `schema.TABLES`, aggregated and cut hour by hour."""
    reduced = {name: reduce(name, tables[name], bounds) for name in RULES}
    return {**reduced, "legs": keep_legs(tables["legs"], reduced["leg_buckets"], bounds)}


def merge(summaries: Sequence[Mapping[str, ir.Table]], bounds: Bounds = BOUNDS) -> dict[str, ir.Table]:
    """The summary of all the records of which `summaries` are the parts: associative and commutative."""
    return reduce_all({name: union([s[name] for s in summaries]) for name in schema.TABLES}, bounds)


def union(tables: Sequence[ir.Table]) -> ir.Table:
    """All rows of tables of one schema."""
    first, *rest = tables
    return first.union(*rest) if rest else first


def _cut(table: ir.Table, by: tuple[str, ...], order: tuple[str, ...], rows: int) -> ir.Table:
    """The first rows of each group. Ranking sorts, which is dear; so only groups that exceed it are ranked."""
    crowded = table.aggregate(size=table.count(), by=list(by)).filter(lambda t: t["size"] > rows).select(*by)
    return table.anti_join(crowded, by).union(_first(table.semi_join(crowded, by), by, order, rows))


def _first(table: ir.Table, by: tuple[str, ...], order: tuple[str, ...], rows: int) -> ir.Table:
    """The first rows of each group, by their rank."""
    ranked = table.mutate(rank=ibis.row_number().over(group_by=list(by), order_by=list(order)))
    return ranked.filter(ranked.rank < rows).drop("rank")


def _without_hour(columns: tuple[str, ...], hours: bool) -> tuple[str, ...]:
    return columns if hours else tuple(c for c in columns if c != "hour")
