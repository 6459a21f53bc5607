"""The nearest ordinary destination: what most resembles a finding and isn't one, side by side with it.

Destinations are compared at the finding's level (names with a name, services with a service, addresses with
an address) by what a person would look at: connections, bytes, durations, ways and answers, port and names.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.explaining.neighbourhood import of_entity
from hopscope.findings import Finding, endpoint
from hopscope.heuristics.base import MULTICAST, Window
from hopscope.heuristics.evidence import numbers

LEVELS = {
    "name": ("name",),
    "service": ("server", "port", "proto"),
    "address": ("server",),
    "network": ("server",),
}
CLOSER = 200  # of the destinations most alike by their sums, those whose answers are looked at
NAMES = 3  # names kept of a destination
CONSISTENT = 1.4826  # a median absolute deviation times this is a standard deviation, where values are normal
FACTOR, APART = 1.5, 0.3  # from here on a trait is told as different: by this factor, ratios by this much
FAR = 5.0  # deviations beyond which it doesn't matter how many
UNKNOWN = 2.0  # what counts where only one of the two shows a trait


@dataclass(frozen=True)
class Trait:
    """A number of both; `scale` is linear or log, `least` the least deviation assumed (of the logarithm, or itself)."""

    name: str
    unit: str
    log: bool
    least: float


TRAITS = (
    Trait("connections", "connections", True, 0.4),
    Trait("sent", "bytes", True, 0.4),
    Trait("received", "bytes", True, 0.4),
    Trait("ratio", "", False, 0.15),
    Trait("open", "s", True, 0.4),
    Trait("way", "ms", True, 0.2),
    Trait("answer", "ms", True, 0.2),
)
"""Bytes and the time it is open are per connection; way is the least SYN to SYN-ACK time, answer the least time to
the first answer (to the ServerHello with TLS); ratio is (sent - received) / (sent + received)."""
SUMS = TRAITS[:5]
CLIENTS = Trait("clients", "clients", True, 0.4)  # told, not compared: alike by what it is used for, not by whom


@dataclass(frozen=True)
class Compared:
    """One trait of the finding and of the other; None where it isn't known."""

    trait: str
    unit: str
    this: float | None
    that: float | None
    differs: bool


@dataclass(frozen=True)
class Comparison:
    """The nearest ordinary destination: `kind` and `value` as fusion names entities, `shown` for people.

    `shared` are the clients that both have: none where no client of the finding uses anything ordinary that
    compares. `among` is the number of destinations it was chosen from.
    """

    kind: str
    value: str
    shown: str
    address: str
    names: tuple[str, ...]
    shared: bool
    among: int
    rows: tuple[Compared, ...]


def nearest(window: Window, finding: Finding, hops: Collection[str], names: Collection[str]) -> Comparison | None:
    """What is most like the finding, of the destinations of its clients or, where there is none, of all.

    Left out are the addresses `hops` and the names `names`, which aren't known to be ordinary. None where nothing
    is left.
    """
    pairs = window.pairs.filter(window.pairs.sensor == finding.sensor)
    for shared in (True, False):
        used = pairs.filter(pairs.client.isin(finding.clients)) if shared else pairs
        this = _sums(_own(used, finding), finding.entity.kind, whole=True)
        inside = len(this) and this["server_local"][0].as_py()
        alike = used.filter(
            used.server_local == bool(inside), used.established > 0, ~used.server.re_search(MULTICAST),
            ~of_entity(used, finding).fill_null(False), used.server.notin(sorted({*hops, finding.hop})),
            used.name.isnull() | used.name.notin(sorted(names)) if names else ibis.literal(True),
        )  # fmt: skip
        if finding.entity.kind == "name":
            alike = alike.filter(alike.name.notnull())
        others = _sums(alike, finding.entity.kind, whole=False)
        if len(this) and len(others):
            return _chosen(window, used, this, others, finding, shared)
    return None


def _own(pairs: ir.Table, finding: Finding) -> ir.Table:
    return pairs.filter(of_entity(pairs, finding))


def _sums(pairs: ir.Table, kind: str, whole: bool) -> pa.Table:
    """What each destination (or, if `whole`, all that the pairs have) adds up to, in order of its key."""
    keys = () if whole else LEVELS[kind]
    each = pairs.aggregate(
        by=list(keys),
        n=pairs.connections.sum(),
        up=pairs.orig_bytes.sum(),
        down=pairs.resp_bytes.sum(),
        open_us=pairs.open_us.sum(),
        server_local=pairs.server_local.any(),
        **{c: pairs[c].min() for c in ("server", "port", "proto", "name") if c not in keys},
    )
    rows = each.filter(each.n > 0).to_pyarrow()
    rows = rows.sort_by([(k, "ascending") for k in keys]) if keys else rows
    n, up, down = (numbers(rows, c) for c in ("n", "up", "down"))
    with np.errstate(divide="ignore", invalid="ignore"):
        told = {
            "connections": n, "sent": up / n, "received": down / n, "ratio": (up - down) / (up + down),
            "open": numbers(rows, "open_us") / n / 1e6,
        }  # fmt: skip
    for name, values in told.items():
        rows = rows.append_column(name, pa.array(values, pa.float64(), from_pandas=True))
    return rows


def _chosen(
    window: Window, used: ir.Table, this: pa.Table, others: pa.Table, finding: Finding, shared: bool
) -> Comparison:
    among = len(others)
    first = np.argsort(_distance(this, others, SUMS), kind="stable")[:CLOSER]
    others = others.take(pa.array(np.sort(first)))
    kind = finding.entity.kind
    own = _own(used, finding).mutate(place=ibis.literal(-1))
    keys = LEVELS[kind]
    places = ibis.memtable(others.select(keys).append_column("place", pa.array(range(len(others)))))
    times = _times(window, own.select("pair", "place"))
    this = this.append_column("way", times["way"].take(_at(times, [-1])))
    this = this.append_column("answer", times["answer"].take(_at(times, [-1])))
    times = _times(window, used.inner_join(places, list(keys)).select("pair", "place"))
    at = _at(times, range(len(others)))
    for name in ("way", "answer"):
        others = others.append_column(name, times[name].take(at))
    best = int(np.argmin(_distance(this, others, TRAITS)))
    chosen = others.slice(best, 1)
    row = chosen.to_pylist()[0]
    every = window.pairs.filter(window.pairs.sensor == finding.sensor)
    theirs = every.filter(*(every[k] == row[k] for k in keys))
    users = [t.select("client").distinct().count().to_pyarrow().as_py() for t in (_own(every, finding), theirs)]
    value = "|".join(str(row[k]) for k in keys)
    shown = f"{endpoint(row['server'], row['port'])}/{row['proto']}" if kind == "service" else value
    asked = used.filter(*(used[k] == row[k] for k in keys)).filter(lambda t: t.name.notnull())
    names = sorted(asked.select("name").distinct().to_pyarrow()["name"].to_pylist()) if kind != "name" else []
    return Comparison(
        kind="address" if kind == "network" else kind,
        value=value,
        shown=shown,
        address=row["server"],
        names=tuple(names[:NAMES]),
        shared=shared,
        among=among,
        rows=(*(_row(t, _known(this, t.name), _known(chosen, t.name)) for t in TRAITS), _row(CLIENTS, *users)),
    )


def _times(window: Window, pairs: ir.Table) -> pa.Table:
    """Of each `place` of the pairs the least way and the least first answer, in ms."""
    floors = window.floors.filter(window.floors.measure.isin(["tcp_rtt", "hello_rtt", "first_reply"]))
    f = floors.select("pair", "measure", "value_us").inner_join(pairs, "pair")
    least = f.group_by("place").agg(
        way=f.value_us.min(where=f.measure == "tcp_rtt") / 1e3,
        hello=f.value_us.min(where=f.measure == "hello_rtt") / 1e3,
        first=f.value_us.min(where=f.measure == "first_reply") / 1e3,
    )
    # with TLS the ServerHello is the first answer
    return least.select("place", "way", answer=ibis.coalesce(least.hello, least.first)).to_pyarrow()


def _at(times: pa.Table, places: Collection[int]) -> pa.Array:
    return pc.index_in(pa.array(places, pa.int64()), value_set=times["place"].cast(pa.int64()).combine_chunks())


def _distance(this: pa.Table, others: pa.Table, traits: tuple[Trait, ...]) -> NDArray[np.float64]:
    """How unlike each is: mean deviations over the traits that either shows; a port or name more is one each."""
    apart = np.vstack([_deviations(t, this, others) for t in traits])
    known = ~np.isnan(apart)
    mean = np.nansum(np.where(known, np.minimum(apart, FAR), 0.0), axis=0) / np.maximum(known.sum(axis=0), 1)
    for column, weight in (("port", 0.5), ("proto", 1.5), ("name", 0.5)):
        mine = this[column][0].as_py()
        if column == "name":
            unlike = others[column].is_valid().to_numpy() != (mine is not None)
        else:
            unlike = np.array([v != mine for v in others[column].to_pylist()])
        mean = mean + weight * unlike
    return np.asarray(mean, np.float64)


def _deviations(t: Trait, this: pa.Table, others: pa.Table) -> NDArray[np.float64]:
    """By how many robust deviations each differs; UNKNOWN where one isn't known, NaN where neither is."""
    mine, theirs = (_scaled(t, table) for table in (this, others))
    known = theirs[~np.isnan(theirs)]
    spread = CONSISTENT * float(np.median(np.abs(known - np.median(known)))) if len(known) else 0.0
    off = np.abs(theirs - mine[0]) / max(spread, t.least)
    one = np.isnan(theirs) != np.isnan(mine[0])
    return np.where(one, UNKNOWN, off)


def _scaled(t: Trait, table: pa.Table) -> NDArray[np.float64]:
    values = numbers(table, t.name)
    return np.log(np.maximum(values, 0.0) + (0.1 if t.unit in ("ms", "s") else 1.0)) if t.log else values


def _row(t: Trait, this: float | None, that: float | None) -> Compared:
    if this is None or that is None:
        return Compared(t.name, t.unit, this, that, (this is None) != (that is None))
    if not t.log:
        return Compared(t.name, t.unit, this, that, abs(this - that) >= APART)
    low, high = sorted((this, that))
    return Compared(t.name, t.unit, this, that, high >= FACTOR * low)


def _known(table: pa.Table, column: str) -> float | None:
    value: Any = table[column][0].as_py()
    return None if value is None or np.isnan(value) else float(value)
