"""The starts of connections and calls that may have a rhythm: of pairs in groups with enough of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.heuristics.base import Window, once
from hopscope.heuristics.evidence import numbers
from hopscope.heuristics.outbound_pairs import OutboundPairs
from hopscope.heuristics.outbound_pairs import fetch as fetch_pairs
from hopscope.heuristics.segments import Flags, Floats, Ints, order_of, unique

SCOPES = {
    "name": ("sensor", "client", "name"),
    "service": ("sensor", "client", "server", "port", "proto"),
    "address": ("sensor", "client", "server"),
}


@dataclass(frozen=True)
class Starts:
    """Starts of outbound TCP and UDP pairs, in any order. `pair` is the row of a start's pair in `pairs`."""

    pairs: OutboundPairs
    pair: Ints
    ts_us: Ints
    orig_bytes: Floats  # NaN: unknown, or an exchange in a session kept open
    resp_bytes: Floats  # likewise
    uids: pa.Array

    def ordered(self, rows: Ints, group: Ints) -> Ints:
        """These starts in order of their group, time and uid."""
        order = order_of(group, self.ts_us[rows])
        rows, group = rows[order], group[order]
        same = (np.diff(group) == 0) & (np.diff(self.ts_us[rows]) == 0)
        if same.any():
            run = np.concatenate([[0], np.cumsum(~same)])
            tied = np.flatnonzero(np.concatenate([[False], same]) | np.concatenate([same, [False]]))
            ties = pa.table({"run": run[tied], "uid": self.uids.take(pa.array(rows[tied]))})
            order = pc.sort_indices(ties, [("run", "ascending"), ("uid", "ascending")])
            rows[tied] = rows[tied][order.to_numpy()]
        return rows

    def group(self, scope: str, rows: Ints) -> Ints:
        """The group of each of these starts in a scope."""
        out: Ints = self.pairs.ids(*SCOPES[scope])[self.pair[rows]]
        return out

    def counts(self, fewest: int) -> Mapping[str, Flags]:
        """For each scope which pairs count in it: those in groups with more than `fewest` starts.

        A pair counts by name where it has one; by address and port where it has none or several are asked for there;
        by address where there are several ports.
        """
        calls = np.bincount(self.pair, minlength=len(self.pairs.rows))
        able = self.pairs.protocol(("tcp", "udp"))
        out: dict[str, Flags] = {}
        for scope, keys in SCOPES.items():
            group = self.pairs.ids(*keys)
            out[scope] = able & (np.bincount(group, weights=calls)[group] > fewest)
        unnamed = pc.is_null(self.pairs.rows["name"]).to_numpy()
        out["name"] &= ~unnamed
        out["service"] &= unnamed | self._several(("name",), "service", able)
        out["address"] &= self._several(("port", "proto"), "address", able)
        return out

    def open_us(self, window: Window, rows: Ints) -> Floats:
        """For how long each pair's connections are open, in the middle; NaN for pairs that none of the starts is of."""
        places = unique(self.pair[rows])
        of_pair = np.full(len(self.pairs.rows), np.nan)
        if len(places):
            wanted = ibis.memtable(pa.table({"pair": self.pairs.rows["pair"].take(pa.array(places)), "place": places}))
            first = window.samples.filter(window.samples.seg == 0).inner_join(wanted, "pair")
            medians = first.group_by("place").agg(open_s=first.duration.median()).to_pyarrow()
            of_pair[medians["place"].to_numpy()] = numbers(medians, "open_s") * 1e6
        return of_pair

    def _several(self, keys: tuple[str, ...], scope: str, able: Flags) -> Flags:
        """Which pairs are in a group of the scope whose pairs, of those that are `able`, differ in `keys`."""
        group, values = self.pairs.ids(*SCOPES[scope]), self.pairs.ids(*keys)
        if not len(group):
            return np.zeros(0, bool)
        least = np.full(int(group.max()) + 1, np.iinfo(np.int64).max)
        most = np.full(len(least), -1)
        np.minimum.at(least, group[able], values[able])
        np.maximum.at(most, group[able], values[able])
        out: Flags = (least < most)[group]
        return out


@once
def gather(window: Window) -> Starts:
    """The starts; fetched once per window."""
    pairs = fetch_pairs(window)
    able = np.flatnonzero(pairs.protocol(("tcp", "udp")))
    wanted = ibis.memtable(pa.table({"pair": pairs.rows["pair"].take(pa.array(able)), "place": able}))
    found = window.starts.inner_join(wanted, "pair")
    rows = found.select("place", "ts_us", "uid", "orig_bytes", "resp_bytes").to_pyarrow()
    return Starts(
        pairs=pairs,
        pair=rows["place"].to_numpy(),
        ts_us=rows["ts_us"].to_numpy(),
        orig_bytes=numbers(rows, "orig_bytes"),
        resp_bytes=numbers(rows, "resp_bytes"),
        uids=rows["uid"].combine_chunks(),
    )
