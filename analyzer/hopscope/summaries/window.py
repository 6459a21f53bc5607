"""The window: the summaries of its hours joined, as the tables that heuristics read.

Expressions only, for every engine; `hours.Summaries` runs them on DuckDB over the hours it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from hopscope.config import VantageSettings
from hopscope.heuristics.base import MULTICAST, Window
from hopscope.summaries import merge, schema
from hopscope.summaries.prepare import HOUR_US

TABLES: dict[str, pa.Schema] = {
    name: columns if name == "legs" else columns.remove(columns.get_field_index("hour"))
    for name, columns in schema.TABLES.items()
    if name != "leg_buckets"
}
"""The window's tables: those of `schema.TABLES` without `hour`, which only legs keep."""

FIRST_SEEN = pa.schema(
    [("kind", pa.string()), ("value", pa.string()), ("first_us", pa.int64()), ("last_us", pa.int64())]
)
HOST_HOURS = pa.schema([
    ("sensor", pa.string()), ("host", pa.string()), ("hour", pa.int64()),
    ("orig_bytes", pa.int64()), ("resp_bytes", pa.int64()), ("connections", pa.int64()),
])  # fmt: skip
"""What each of our hosts exchanged with the internet in each hour, over connections it made; merges by sum."""
HOST_KEY = ("sensor", "host", "hour")
PAIR_HOURS = pa.schema([
    ("pair", pa.int64()), ("hour", pa.int64()),
    ("orig_bytes", pa.int64()), ("resp_bytes", pa.int64()), ("connections", pa.int64()),
])  # fmt: skip
"""What each pair exchanged in each hour."""


def window(
    summaries: Mapping[str, ir.Table],
    start_us: int,
    end_us: int,
    vantage: VantageSettings,
    known: ir.Table | None = None,
    known_hosts: ir.Table | None = None,
    history_us: int | None = None,
) -> Window:
    """The window over the hours that overlap [start_us, end_us), of merged summaries (`merge.merge`).

    All hours of `summaries` count for `first_seen` and `host_hours`, together with what was condensed earlier:
    `known` (of FIRST_SEEN) and `known_hosts` (of HOST_HOURS). `history_us` is the earliest time known,
    `start_us` unless given.
    """
    within = {name: table.filter(table.hour.between(*hours_of(start_us, end_us))) for name, table in summaries.items()}
    seen = first_seen(summaries, known)
    return Window(
        **{name: join_hours(name, within[name]) for name in TABLES},
        first_seen=seen.select("kind", "value", "first_us"),
        host_hours=host_hours(summaries["pairs"], known_hosts),
        start_us=start_us,
        end_us=end_us,
        history_us=start_us if history_us is None else history_us,
        vantage=vantage,
    )


def hours_of(start_us: int, end_us: int) -> tuple[int, int]:
    """The first and the last epoch hour that overlap [start_us, end_us)."""
    return start_us // HOUR_US, max(start_us, end_us - 1) // HOUR_US


def hour_of_day(hour: int, zone: tzinfo) -> int:
    """The hour of the day, 0 to 23, in which an epoch hour starts there."""
    return datetime.fromtimestamp(hour * HOUR_US // 1_000_000, zone).hour


def join_hours(name: str, summary: ir.Table) -> ir.Table:
    """The table `name` of TABLES over all hours of `summary`.

    Sums, floors and sets are those of the whole window; samples and starts are what each hour kept, so
    that a busy hour doesn't push out a quiet one.
    """
    return relaying(summary) if name == "legs" else merge.reduce(name, summary, hours=False)


def relaying(legs: ir.Table) -> ir.Table:
    """The legs of hosts that could have relayed."""
    return legs.semi_join(relaying_hosts(legs), ["sensor", "host"])


def relaying_hosts(legs: ir.Table) -> ir.Table:
    """(sensor, host) of those that accepted a connection and made one with different peers."""
    hosts = legs.aggregate(
        accepts=(legs.role == "accept").any(),
        connects=(legs.role == "connect").any(),
        least=legs.peer.min(),
        most=legs.peer.max(),
        by=["sensor", "host"],
    )
    return hosts.filter(hosts.accepts, hosts.connects, hosts.least != hosts.most).select("sensor", "host")


def ends(pairs: ir.Table) -> ir.Table:
    """(sensor, host) of our hosts that the window's pairs tell of, with what their legs can be at most.

    `accepts` and `connects` are true for all hosts that have such legs, and for few others; `rows` is the most
    legs there can be.
    """
    # a later segment may have been answered where the first was not
    answered = (pairs.established > 0) | (pairs.segments > pairs.connections)
    both = []
    for host, local, accepts in (("client", "client_local", False), ("server", "server_local", True)):
        role = answered if accepts else ibis.literal(False), ibis.literal(False) if accepts else answered
        ours = pairs.mutate(accepts=role[0], connects=role[1]).filter(pairs[local])
        both.append(ours.select("sensor", "accepts", "connects", "segments", host=ours[host]))
    each = merge.union(both)
    return each.aggregate(
        accepts=each.accepts.any(), connects=each.connects.any(), rows=each.segments.sum(), by=["sensor", "host"]
    )


def first_seen(summaries: Mapping[str, ir.Table], known: ir.Table | None = None) -> ir.Table:
    """First and last time of every name and every address that was connected to or resolved (FIRST_SEEN).

    A name counts from the first connection that asked for it or DNS answer that told it.
    """
    parts = [known.select(*FIRST_SEEN.names)] if known is not None else []
    for table, name, address in (("pairs", "name", "server"), ("names", "name", "address")):
        t = summaries[table]
        for kind, column in (("name", name), ("address", address)):
            parts.append(
                t.filter(t[column].notnull()).select(
                    kind=ibis.literal(kind), value=t[column], first_us=t.first_us, last_us=t.last_us
                )
            )
    seen = merge.union(parts)
    return seen.aggregate(first_us=seen.first_us.min(), last_us=seen.last_us.max(), by=["kind", "value"])


def pair_hours(pairs: ir.Table) -> ir.Table:
    """PAIR_HOURS of rows of `pairs` (merged or not)."""
    sums = {c: merge.total(pairs[c]) for c in ("orig_bytes", "resp_bytes", "connections")}
    return pairs.aggregate(**sums, by=["pair", "hour"]).select(*PAIR_HOURS.names)


def host_hours(pairs: ir.Table, known: ir.Table | None = None) -> ir.Table:
    """HOST_HOURS of rows of `pairs` (merged or not), together with `known`; groups and broadcast are no hosts."""
    out = pairs.filter(pairs.client_local & ~pairs.server_local & ~pairs.server.re_search(MULTICAST))
    rows = out.select("sensor", "hour", "orig_bytes", "resp_bytes", "connections", host=out.client)
    parts = [rows.select(*HOST_HOURS.names)] + ([] if known is None else [known.select(*HOST_HOURS.names)])
    every = merge.union(parts)
    sums = {c: merge.total(every[c]) for c in ("orig_bytes", "resp_bytes", "connections")}
    return every.aggregate(**sums, by=list(HOST_KEY)).select(*HOST_HOURS.names)
