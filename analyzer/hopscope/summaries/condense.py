"""Records into summary tables: Ibis expressions that DuckDB and Spark run alike.

Each table is made in two steps: one row per record (or per value of a record), then the table's rule of
`merge.RULES`. The input are records as `prepare` makes them, each (sensor, uid, seg) once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ibis
import ibis.expr.types as ir

from hopscope.records import SEGMENT_SECONDS
from hopscope.summaries import schema
from hopscope.summaries.merge import BOUNDS, Bounds, reduce_all, union
from hopscope.summaries.prepare import SET_KINDS
from hopscope.summaries.schema import KEY

FLOOR_MEASURES = ("tcp_rtt", "client_rtt", "hello_rtt", "finished_rtt", "first_reply", "reply_p10")

PASSES_ON = ("dns", "ntp", "smtp")  # services whose servers pass on what they are asked, by design

_US = 1_000_000
_SANE_SECONDS = 1e9  # longer spans and negative ones are no measurement; they would overflow
_SANE_LULL = 1000.0  # s; a segment lasts 300 s
_HANDSHAKE = ("S1", "SF", "S2", "S3", "RSTO", "RSTR")  # conn_state after a complete TCP handshake
_REFUSED = ("S0", "REJ", "RSTOS0", "SH")  # conn_state of TCP attempts that no handshake answered
_ADDRESS = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]+)$"  # an answer that is an address


def condense(connections: ir.Table, dns_queries: ir.Table, bounds: Bounds = BOUNDS) -> dict[str, ir.Table]:
    """All tables of `schema.TABLES` of some records, hour by hour.

    `connections` and `dns_queries` have `prepare.CONNECTIONS` and `prepare.DNS_QUERIES`.
    """
    return reduce_all(lift(connections, dns_queries), bounds)


def lift(connections: ir.Table, dns_queries: ir.Table) -> dict[str, ir.Table]:
    """The rows of `schema.TABLES` as each record gives them, neither grouped nor cut."""
    rows = {name: of_connections(name, connections) for name in _LIFTS}
    return {**rows, "leg_buckets": bucket_rows(rows["legs"]), "names": of_dns_queries(dns_queries)}


def of_connections(name: str, connections: ir.Table) -> ir.Table:
    """The rows of one table that connections give, as `lift` makes them."""
    return _LIFTS[name](connections)


def of_dns_queries(q: ir.Table) -> ir.Table:
    """The rows of `names`, as `lift` makes them."""
    answered = q.filter(q.name.notnull() & (q.answers.length() > 0))
    at_us = answered.ts_us + _microseconds(answered.rtt).coalesce(0)
    ttls = answered.ttls.coalesce(ibis.literal([], "array<float64>"))
    each = answered.select("sensor", "client", "name", "hour", at_us=at_us, answer=answered.answers.zip(ttls).unnest())
    led = each.select(
        "sensor", "client", "name", "hour", address=each.answer.f1,
        first_us=each.at_us, last_us=each.at_us, until_us=each.at_us + _microseconds(each.answer.f2).coalesce(0),
        answers=ibis.literal(1, "int64"),
    )  # fmt: skip
    return led.filter(led.address.re_search(_ADDRESS)).select(*schema.TABLES["names"].names)


def bucket_rows(legs: ir.Table) -> ir.Table:
    """A row of leg_buckets for each leg row."""
    return legs.select("sensor", "host", "hour", "bucket", rows=ibis.literal(1, "int64"))


def established(c: ir.Table) -> ir.BooleanValue:
    """The responder answered: for TCP a handshake or data both ways, else any packet. Never null."""
    both = (c.orig_bytes.coalesce(0) > 0) & (c.resp_bytes.coalesce(0) > 0)
    tcp = c.conn_state.coalesce("").isin(_HANDSHAKE) | both
    return (c.proto == "tcp").ifelse(tcp, c.resp_pkts.coalesce(0) > 0)


def failed(c: ir.Table) -> ir.BooleanValue:
    """Refused or never answered, at the connection's end. Never null."""
    unanswered = (c.resp_pkts.coalesce(0) == 0) & (c.orig_pkts.coalesce(0) > 0)
    return c.final.coalesce(False) & (c.proto == "tcp").ifelse(c.conn_state.coalesce("").isin(_REFUSED), unanswered)


def _pairs(c: ir.Table) -> ir.Table:
    began = c.ts_us + c.seg.cast("int64") * (SEGMENT_SECONDS * _US)
    return c.select(
        *KEY, "hour", "client_local", "server_local",
        connections=_one(c.seg == 0), segments=ibis.literal(1, "int64"),
        established=_one((c.seg == 0) & established(c)), failed=_one(failed(c)),
        orig_bytes=c.seg_orig_bytes, resp_bytes=c.seg_resp_bytes,
        orig_pkts=c.seg_orig_pkts, resp_pkts=c.seg_resp_pkts,
        open_us=ibis.greatest(c.end_us - began, 0), first_us=c.ts_us, last_us=c.end_us,
    )  # fmt: skip


def _samples(c: ir.Table) -> ir.Table:
    seen = _silences(c)
    return c.select(**{n: seen[n] if n in seen else c[n] for n in schema.TABLES["samples"].names})


def _silences(c: ir.Table) -> dict[str, ir.Value]:
    """Who broke the silence, and whether the other side answered at once; null where `on_starts` is."""
    at = c.on_starts
    long = at.length() >= 3  # most connections are over before one can ask and be answered after a silence
    each = at.zip(at[1:], at[2:])  # each time (f2) with the one before it (f1) and the one after (f3)
    broken = each.filter(lambda e: _after_silence(e))
    by_resp = broken.filter(lambda e: e.f2 < 0)
    asked = by_resp.filter(lambda e: (e.f3 >= 0) & (e.f3 + e.f2 <= schema.ANSWER_SECONDS))
    lulls = asked.map(lambda e: ((-e.f2 - e.f1.abs()) * 1000).round().cast("int64"))
    seen = {
        "resumed": broken.length(),
        "resumed_by_resp": by_resp.length(),
        "asked_by_resp": asked.length(),
        "lull_ms": lulls.sums(),
        "lull_ms2": lulls.map(lambda ms: ms * ms).sums(),
    }
    nothing = at.isnull().ifelse(ibis.null("int64"), 0)
    return {name: long.ifelse(count.cast("int64").coalesce(0), nothing) for name, count in seen.items()}


def _after_silence(e: ir.StructValue) -> ir.BooleanValue:
    """The time f2 comes after a silence; false for what is no span of time."""
    return (e.f2.abs() - e.f1.abs()).between(schema.SILENCE_SECONDS, _SANE_LULL)


def _floors(c: ir.Table) -> ir.Table:
    long = _long(c, "measure", value={m: c[m] for m in FLOOR_MEASURES})
    long = long.mutate(value_us=_microseconds(long.value))
    return long.filter(long.value_us.notnull()).select(*schema.TABLES["floors"].names)


def _starts(c: ir.Table) -> ir.Table:
    columns = schema.TABLES["starts"].names
    first = c.filter(c.seg == 0).select(*columns)
    # a session that is kept open calls without new connections: each time the originator breaks its silence
    asked = c.filter(c.on_starts.length() >= schema.SESSION_CALLS)
    asked = asked.mutate(calls=asked.on_starts.filter(lambda at: at.between(0, _SANE_SECONDS) & (at != 0)))
    kept = asked.filter(asked.calls.length() >= schema.SESSION_CALLS)
    each = kept.select(*KEY, "hour", "ts_us", "uid", at=kept.calls.unnest())
    nothing = ibis.null("int64")
    calls = each.mutate(ts_us=each.ts_us + _microseconds(each.at), orig_bytes=nothing, resp_bytes=nothing)
    return first.union(calls.select(*columns))


def _sets(c: ir.Table) -> ir.Table:
    values = {kind: _told(c[kind]) if c[kind].type().is_boolean() else c[kind] for kind in SET_KINDS}
    long = _long(c, "kind", value=values, hash={kind: c[f"{kind}_hash"] for kind in SET_KINDS})
    return long.mutate(connections=_one(long.seg == 0)).select(*schema.TABLES["sets"].names)


def _told(flag: ir.BooleanValue) -> ir.StringValue:
    """true or false in words, null when unknown."""
    return flag.ifelse("true", flag.isnull().ifelse(ibis.null("string"), "false"))


def _long(c: ir.Table, key: str, **values: Mapping[str, ir.Value]) -> ir.Table:
    """One row for each of a record's values that is not null: `key` holds its name.

    `values` are the columns of such a row by name: what each has for which key, the first being the value.
    Each key is a query of its own, so that an engine can leave out those that nobody asks for.
    """
    first, *_ = values
    return union(
        [
            c.filter(value.notnull()).select(
                *KEY, "hour", "uid", "seg", **{key: ibis.literal(kind)}, **{n: of[kind] for n, of in values.items()}
            )
            for kind, value in values[first].items()
        ]
    )


def _legs(c: ir.Table) -> ir.Table:
    answered = c.filter(c.proto.isin(("tcp", "udp")) & established(c))  # only what was answered can relay
    # a resolver's queries are most of the connections of many sites, and no relay is looked for among them
    whole = (answered.seg == 0) & answered.final.coalesce(False)
    answered = answered.filter(~(whole & answered.service.coalesce("").isin(PASSES_ON)))
    return _leg(answered, "accept").union(_leg(answered, "connect"))


def _leg(c: ir.Table, role: str) -> ir.Table:
    """The connections as the monitored host sees them that accepted (the server) or connected (the client)."""
    accepts = role == "accept"
    own, peer = ("server", "client") if accepts else ("client", "server")
    port, peer_port = ("port", "client_port") if accepts else ("client_port", "port")
    into, out = ("seg_orig_bytes", "seg_resp_bytes") if accepts else ("seg_resp_bytes", "seg_orig_bytes")
    c = c.filter(c[f"{own}_local"])
    seen = {
        "host": c[own], "own_port": c[port], "peer": c[peer], "peer_port": c[peer_port],
        "peer_local": c[f"{peer}_local"], "role": ibis.literal(role), "start_us": c.ts_us,
        "bucket": _whole(c.ts_us, schema.LEG_BUCKET_SECONDS * _US),
        "in_bytes": c[into], "out_bytes": c[out],
    }  # fmt: skip
    return c.select(**{n: seen[n] if n in seen else c[n] for n in schema.TABLES["legs"].names})


_LIFTS: dict[str, Callable[[ir.Table], ir.Table]] = {
    "pairs": _pairs, "samples": _samples, "floors": _floors, "starts": _starts, "sets": _sets,
    "legs": _legs,
}  # fmt: skip


def _one(condition: ir.BooleanValue) -> ir.IntegerValue:
    return condition.cast("int64")


def _whole(us: ir.IntegerValue, unit_us: int) -> ir.IntegerValue:
    """us // unit_us without a rounded quotient: engines divide integers as floating-point numbers."""
    return ((us - us % unit_us) / unit_us).cast("int64")


def _microseconds(seconds: ir.FloatingValue) -> ir.IntegerValue:
    """Whole microseconds; null where the value is no sane span of time."""
    return (seconds.between(0, _SANE_SECONDS).ifelse(seconds, ibis.null("float64")) * _US).round().cast("int64")
