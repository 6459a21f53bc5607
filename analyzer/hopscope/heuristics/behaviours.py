"""A client's behaviours: calls with one TLS fingerprint and one size of request and answer, wherever they go."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.heuristics.base import Window
from hopscope.heuristics.evidence import join, numbers, outbound
from hopscope.heuristics.segments import Flags, Floats, Ints, distinct, group_ids, key_ids
from hopscope.summaries.condense import PASSES_ON
from hopscope.summaries.schema import KEY


@dataclass(frozen=True)
class Behaviours:
    """Calls of behaviours with several destinations, in order of behaviour, time and uid.

    `pair` is the place of a call's pair in `pairs` (the columns of KEY). `destination` numbers the destination of
    each pair, `labels` names each; `bare` tells which pairs have no name, `blind` that DNS is not seen.
    """

    pairs: pa.Table
    destination: Ints
    labels: pa.Array
    bare: Flags
    blind: bool
    behaviour: Ints
    pair: Ints
    ts_us: Ints
    orig_bytes: Floats
    uids: pa.Array


def gather(window: Window, fewest: int, reply_ratio: float, request_ratio: float, blind_rate: float) -> Behaviours:
    """The behaviours with at least `fewest` calls and two destinations; see `Behaviours` and `rotation`."""
    pairs = _pairs(window)
    label = pc.coalesce(pairs["name"], pairs["dns_name"], pairs["server"]).combine_chunks().dictionary_encode()
    destination = np.asarray(label.indices).astype(np.int64)
    bare = pc.and_(pc.is_null(pairs["name"]), pc.is_null(pairs["dns_name"])).to_numpy(zero_copy_only=False)
    blind = not window.vantage.dns_seen or (bare.size > 0 and _share(pairs["server"], bare) >= blind_rate)
    kind = group_ids(key_ids(pairs, ("sensor", "client", "proto", "ja4")), bare)
    kind = _alike(kind, numbers(pairs, "reply"), reply_ratio)
    kind = _alike(kind, numbers(pairs, "request"), request_ratio)
    calls = np.bincount(kind, weights=numbers(pairs, "calls"))
    several = distinct(kind, destination, len(calls)) > 1
    chosen = np.flatnonzero(((calls >= fewest) & several)[kind]) if len(kind) else np.zeros(0, np.int64)
    pairs = pairs.take(pa.array(chosen))
    wanted = ibis.memtable(pa.table({"pair": pairs["pair"], "place": np.arange(len(chosen))}))
    starts = window.starts.inner_join(wanted, "pair").select("place", "ts_us", "uid", "orig_bytes").to_pyarrow()
    place = starts["place"].to_numpy()
    starts = starts.append_column("behaviour", pa.array(kind[chosen][place], pa.int64()))
    starts = starts.sort_by([("behaviour", "ascending"), ("ts_us", "ascending"), ("uid", "ascending")])
    return Behaviours(
        pairs=pairs.select(KEY),
        destination=destination[chosen],
        labels=label.dictionary,
        bare=bare[chosen],
        blind=blind,
        behaviour=starts["behaviour"].to_numpy(),
        pair=starts["place"].to_numpy(),
        ts_us=starts["ts_us"].to_numpy(),
        orig_bytes=numbers(starts, "orig_bytes"),
        uids=starts["uid"].combine_chunks(),
    )


def _pairs(window: Window) -> pa.Table:
    """Outbound pairs with the name that DNS gave for the address, the TLS fingerprint, and their usual sizes.

    Where DNS gave several names the first in order counts. `reply` and `request` are medians, null when unknown.
    """
    s = window.samples
    left_out = s.filter(s.service.isin(PASSES_ON)).select("pair").distinct()
    p = outbound(window).filter(lambda t: t.proto.isin(["tcp", "udp"])).select(*KEY).anti_join(left_out, "pair")
    names = window.names.select("sensor", "name", server=window.names.address)
    known = names.group_by(["sensor", "server"]).agg(dns_name=names.name.min())
    ja4 = window.sets.filter(window.sets.kind == "ja4")
    t = window.starts
    sizes = t.group_by("pair").agg(
        calls=t.count(), reply=t.resp_bytes.median(), request=t.orig_bytes.median(),
    )  # fmt: skip
    rows = join(p, known, ("sensor", "server"))
    rows = join(rows, ja4.group_by("pair").agg(ja4=ja4.value.min()))
    rows = join(rows, sizes)
    return rows.filter(rows.calls > 0).order_by(list(KEY[1:])).to_pyarrow()


def _share(servers: pa.ChunkedArray, bare: Flags) -> float:
    """The share of addresses without a name."""
    each = pa.table({"server": servers, "bare": bare}).group_by("server").aggregate([("bare", "min")])
    return float(pc.mean(each["bare_min"].cast(pa.float64())).as_py())


def _alike(group: Ints, size: Floats, ratio: float) -> Ints:
    """Groups divided where sizes, in order, jump by more than `ratio`; unknown sizes are one more group."""
    order = np.lexsort((size, group))
    g, s = group[order], size[order]  # NaN sorts last
    with np.errstate(invalid="ignore"):
        jump = (s[1:] + 1 > (s[:-1] + 1) * ratio) | (np.isnan(s[1:]) & ~np.isnan(s[:-1])) | (g[1:] != g[:-1])
    out = np.zeros(len(group), np.int64)
    out[order] = np.concatenate([[0], np.cumsum(jump)]) if len(group) else 0
    return out
