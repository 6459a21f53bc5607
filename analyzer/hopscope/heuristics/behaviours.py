"""A client's behaviours: calls with one TLS fingerprint and one size of request and answer, wherever they go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.heuristics import call_starts, dns_answers, outbound_pairs
from hopscope.heuristics.base import Window
from hopscope.heuristics.call_starts import Starts
from hopscope.heuristics.outbound_pairs import OutboundPairs, numbered
from hopscope.heuristics.segments import Flags, Floats, Ints, combined, distinct, quantiles_of
from hopscope.summaries.schema import KEY


@dataclass(frozen=True)
class Behaviours:
    """Calls of behaviours with several destinations, in order of behaviour, time and uid.

    `pair` is the place of a call's pair in `pairs` (the columns of KEY). `destination` numbers the destination of
    each pair (-1: it has no calls), `labels` names each; `bare` tells which pairs have no name, `blind` that DNS is
    not seen.
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
    pairs, starts = outbound_pairs.fetch(window), call_starts.gather(window)
    calls = np.bincount(starts.pair, minlength=len(pairs.rows))
    able = np.flatnonzero((calls > 0) & ~outbound_pairs.passing_on(window))
    destination, labels, bare = _destinations(window, pairs, able)
    blind = not window.vantage.dns_seen or _share(pairs.codes["server"][able], bare[able]) >= blind_rate
    alike = [pairs.codes["sensor"], pairs.codes["client"], pairs.codes["proto"], _fingerprint(window, pairs)]
    kind = combined([*(codes[able] for codes in alike), bare[able].astype(np.int64)])
    # few calls and one destination stay so, however sizes divide them: those pairs need no further look
    able, kind = _several(able, kind, calls, destination, fewest)
    for sizes, ratio in ((starts.resp_bytes, reply_ratio), (starts.orig_bytes, request_ratio)):
        kind = _alike(kind, _usual(starts, sizes, able, len(calls)), ratio)
    able, kind = _several(able, kind, calls, destination, fewest)
    behaviour = np.full(len(calls), -1)
    behaviour[able] = kind
    of = behaviour[starts.pair]
    rows = np.flatnonzero(of >= 0)
    rows = starts.ordered(rows, of[rows])
    return Behaviours(
        pairs=pairs.rows.select(KEY),
        destination=destination,
        labels=labels,
        bare=bare,
        blind=blind,
        behaviour=of[rows],
        pair=starts.pair[rows],
        ts_us=starts.ts_us[rows],
        orig_bytes=starts.orig_bytes[rows],
        uids=starts.uids.take(pa.array(rows)),
    )


def _destinations(window: Window, pairs: OutboundPairs, able: Ints) -> tuple[Ints, pa.Array, Flags]:
    """The destination of each pair that is `able`, what each destination is called, and which pairs have no name.

    A destination is a name, or where there is none an address. Where DNS gave several names for an address the
    first in order counts.
    """
    at = pa.array(able)
    name, given, server = (
        c.take(at) for c in (pairs.column("name"), dns_answers.given(window), pairs.column("server"))
    )
    label = pc.coalesce(name, given, server).dictionary_encode()
    destination, bare = np.full(len(pairs.rows), -1), np.zeros(len(pairs.rows), bool)
    destination[able] = label.indices.to_numpy()
    bare[able] = pc.and_(pc.is_null(name), pc.is_null(given)).to_numpy(zero_copy_only=False)
    return destination, label.dictionary, bare


def _fingerprint(window: Window, pairs: OutboundPairs) -> Ints:
    """The TLS fingerprint of each pair as a number, of several the first in order; those without one have the same."""
    told = outbound_pairs.told(window, "ja4")
    values, value = numbered(told["value"])
    row = pairs.at(told["pair"])
    out = np.full(len(pairs.rows), len(values))
    np.minimum.at(out, row[row >= 0], value[row >= 0])
    return out


def _usual(starts: Starts, sizes: Floats, able: Ints, pairs: int) -> Floats:
    """The median of the starts' known sizes of each pair that is `able`, of so many pairs; NaN where none is known."""
    place = np.full(pairs, -1)
    place[able] = np.arange(len(able))
    of = place[starts.pair]
    known = (of >= 0) & ~np.isnan(sizes)
    out: Floats = quantiles_of(sizes[known], of[known], len(able), (0.5,))[0]
    return out


def _several(able: Ints, kind: Ints, calls: Ints, destination: Ints, fewest: int) -> tuple[Ints, Ints]:
    """The pairs of the kinds with at least `fewest` calls and two destinations, and their kinds."""
    enough = (np.bincount(kind, weights=calls[able]) >= fewest) & (distinct(kind, destination[able]) > 1)
    return (able[enough[kind]], kind[enough[kind]]) if len(able) else (able, kind)


def _share(server: Ints, bare: Flags) -> float:
    """The share of addresses without a name; 0 where there are none."""
    of = combined([server])
    named = np.bincount(of[~bare], minlength=int(of.max(initial=-1)) + 1) > 0
    return float(np.mean(~named)) if len(named) else 0.0


def _alike(group: Ints, size: Floats, ratio: float) -> Ints:
    """Groups divided where sizes, in order, jump by more than `ratio`; unknown sizes are one more group."""
    order = np.lexsort((size, group))
    g, s = group[order], size[order]  # NaN sorts last
    with np.errstate(invalid="ignore"):
        jump = (s[1:] + 1 > (s[:-1] + 1) * ratio) | (np.isnan(s[1:]) & ~np.isnan(s[:-1])) | (g[1:] != g[:-1])
    out = np.zeros(len(group), np.int64)
    out[order] = np.concatenate([[0], np.cumsum(jump)]) if len(group) else 0
    return out
