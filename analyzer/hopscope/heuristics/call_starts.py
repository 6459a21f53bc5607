"""The starts of connections and calls that may have a rhythm: of pairs in groups with enough of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.heuristics.base import Window
from hopscope.heuristics.evidence import join, numbers, outbound
from hopscope.heuristics.segments import Flags, Floats, Ints, key_ids
from hopscope.summaries.schema import KEY

SCOPES = {
    "name": ("sensor", "client", "name"),
    "service": ("sensor", "client", "server", "port", "proto"),
    "address": ("sensor", "client", "server"),
}


@dataclass(frozen=True)
class Starts:
    """Starts, in any order. `pair` is the place of a start's pair in `pairs`, which has the columns of KEY."""

    pairs: pa.Table
    groups: Mapping[str, Ints]  # each scope's group of each pair
    counts: Mapping[str, Flags]  # whether the pair counts in the scope
    pair: Ints
    ts_us: Ints
    orig_bytes: Floats  # NaN: unknown, or an exchange in a session kept open
    resp_bytes: Floats  # likewise
    uids: pa.Array

    def of(self, scope: str) -> Ints:
        """The starts that count in a scope, in order of group, time and uid."""
        rows = np.flatnonzero(self.counts[scope][self.pair])
        rows = rows[np.lexsort((self.ts_us[rows], self.groups[scope][self.pair[rows]]))]
        same = (np.diff(self.group(scope, rows)) == 0) & (np.diff(self.ts_us[rows]) == 0)
        if same.any():
            run = np.concatenate([[0], np.cumsum(~same)])
            tied = np.flatnonzero(np.concatenate([[False], same]) | np.concatenate([same, [False]]))
            ties = pa.table({"run": run[tied], "uid": self.uids.take(pa.array(rows[tied]))})
            order = pc.sort_indices(ties, [("run", "ascending"), ("uid", "ascending")])
            rows[tied] = rows[tied][order.to_numpy()]
        return rows

    def group(self, scope: str, rows: Ints) -> Ints:
        """The group of each of these starts in a scope."""
        out: Ints = self.groups[scope][self.pair[rows]]
        return out

    def open_us(self, window: Window, rows: Ints) -> Floats:
        """For how long connections of each start's pair are open, in the middle; NaN where unknown.

        0 for an exchange in a session kept open: it keeps nothing else open.
        """
        if not len(rows):
            return np.zeros(0)
        places = np.unique(self.pair[rows])
        wanted = ibis.memtable(pa.table({"pair": self.pairs["pair"].take(pa.array(places)), "place": places}))
        first = window.samples.filter(window.samples.seg == 0).inner_join(wanted, "pair")
        medians = first.group_by("place").agg(open_s=first.duration.median()).to_pyarrow()
        of_pair = np.full(self.pairs.num_rows, np.nan)
        of_pair[medians["place"].to_numpy()] = numbers(medians, "open_s") * 1e6
        out: Floats = np.where(np.isnan(self.orig_bytes[rows]), 0.0, of_pair[self.pair[rows]])
        return out


def gather(window: Window, fewest: int) -> Starts:
    """The starts of outbound pairs in groups with more than `fewest`.

    A pair counts by name where it has one; by address and port where it has none or several are asked for there;
    by address where there are several ports.
    """
    p = outbound(window).filter(lambda t: t.proto.isin(["tcp", "udp"])).select(*KEY)
    pairs = join(p, window.starts.group_by("pair").agg(calls=window.starts.count())).to_pyarrow()
    calls = np.nan_to_num(numbers(pairs, "calls"))
    groups = {scope: key_ids(pairs, keys) for scope, keys in SCOPES.items()}
    unnamed = pc.is_null(pairs["name"]).to_numpy()
    counts = {scope: np.bincount(ids, weights=calls)[ids] > fewest for scope, ids in groups.items()}
    counts["name"] &= ~unnamed
    counts["service"] &= unnamed | _differ(key_ids(pairs, ("name",)), groups["service"])
    counts["address"] &= _differ(key_ids(pairs, ("port", "proto")), groups["address"])
    chosen = np.flatnonzero(np.logical_or.reduce(list(counts.values())))
    pairs = pairs.select(KEY).take(pa.array(chosen))
    wanted = ibis.memtable(pa.table({"pair": pairs["pair"], "place": np.arange(len(chosen))}))
    rows = (
        window.starts.inner_join(wanted, "pair")
        .select("place", "ts_us", "uid", "orig_bytes", "resp_bytes")
        .to_pyarrow()
    )
    return Starts(
        pairs=pairs,
        groups={scope: ids[chosen] for scope, ids in groups.items()},
        counts={scope: flags[chosen] for scope, flags in counts.items()},
        pair=rows["place"].to_numpy(),
        ts_us=rows["ts_us"].to_numpy(),
        orig_bytes=numbers(rows, "orig_bytes"),
        resp_bytes=numbers(rows, "resp_bytes"),
        uids=rows["uid"].combine_chunks(),
    )


def _differ(values: Ints, group: Ints) -> Flags:
    """Whether the values of each row's group differ."""
    if not len(group):
        return np.zeros(0, bool)
    least = np.full(int(group.max()) + 1, np.iinfo(np.int64).max)
    most = np.full(len(least), -1)
    np.minimum.at(least, group, values)
    np.maximum.at(most, group, values)
    out: Flags = (least < most)[group]
    return out
