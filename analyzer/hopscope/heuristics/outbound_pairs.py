"""The outbound pairs of a window in columns, fetched once: many heuristics look at every pair.

Texts are numbered as they are fetched, so that pairs are grouped and looked up by whole numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.heuristics.base import Window, once
from hopscope.heuristics.evidence import outbound
from hopscope.heuristics.segments import Flags, Ints, combined
from hopscope.summaries.condense import PASSES_ON
from hopscope.summaries.schema import KEY, PAIR

_TOLD = ("connections", "orig_bytes", "resp_bytes", "first_us", "last_us")


@dataclass(frozen=True)
class OutboundPairs:
    """`rows` has KEY, connections, orig_bytes, resp_bytes, first_us and last_us of each pair, in order of PAIR.

    Null sorts last. `values` are the different values of each column of PAIR in order, and `codes` the place of
    each row's value among them; null has the last place.
    """

    rows: pa.Table
    values: Mapping[str, pa.Array]
    codes: Mapping[str, Ints]
    _ids: dict[tuple[str, ...], Ints] = field(default_factory=dict, init=False, compare=False, repr=False)

    def ids(self, *keys: str) -> Ints:
        """One id per row, equal where all of `keys` (of PAIR) are equal, null among them; dense, in order of keys."""
        if keys not in self._ids:
            self._ids[keys] = combined([self.codes[key] for key in keys])
        return self._ids[keys]

    def column(self, name: str) -> pa.Array:
        """A column of `rows`."""
        return self.rows[name].combine_chunks()

    def code(self, key: str, column: pa.ChunkedArray) -> Ints:
        """The codes of a column's values; -1 for one that no pair has, and for null."""
        coded = column.combine_chunks().dictionary_encode()
        place = pc.index_in(coded.dictionary, value_set=self.values[key].drop_null()).fill_null(-1)
        out: Ints = np.append(place.to_numpy(), -1).astype(np.int64)[coded.indices.fill_null(-1).to_numpy()]
        return out

    @functools.cached_property
    def _by_number(self) -> tuple[Ints, Ints]:
        """The pairs' numbers in order, and the row of each."""
        numbers = self.rows["pair"].to_numpy()
        order = np.argsort(numbers)
        return numbers[order], order

    def at(self, pairs: pa.Array | pa.ChunkedArray) -> Ints:
        """The row of each of these pairs by its number; -1 for one that isn't outbound."""
        numbers, order = self._by_number
        wanted = pairs.to_numpy()
        if not len(order):
            return np.full(len(wanted), -1)
        place = np.minimum(np.searchsorted(numbers, wanted), len(order) - 1)
        out: Ints = np.where(numbers[place] == wanted, order[place], -1)
        return out

    def among(self, pairs: pa.Array | pa.ChunkedArray) -> Flags:
        """The rows whose pairs are among these, by their numbers."""
        out = np.zeros(len(self.rows), bool)
        found = self.at(pairs)
        out[found[found >= 0]] = True
        return out

    def protocol(self, names: Sequence[str]) -> Flags:
        """The rows of these transport protocols."""
        of = np.flatnonzero(pc.is_in(self.values["proto"], value_set=pa.array(names)).to_numpy(zero_copy_only=False))
        return np.isin(self.codes["proto"], of)


@once
def fetch(window: Window) -> OutboundPairs:
    """The outbound pairs; fetched once per window."""
    rows = outbound(window).select(*KEY, *_TOLD).to_pyarrow().combine_chunks()
    ordered = {key: numbered(rows[key]) for key in PAIR}
    order = np.argsort(combined([codes for _, codes in ordered.values()]))
    return OutboundPairs(
        rows=rows.take(pa.array(order)),
        values={key: values for key, (values, _) in ordered.items()},
        codes={key: codes[order] for key, (_, codes) in ordered.items()},
    )


@once
def passing_on(window: Window) -> Flags:
    """The outbound pairs that speak a protocol whose servers pass on what they are asked; found once per window."""
    s = window.samples
    spoke = s.filter(s.service.isin(PASSES_ON)).select("pair").distinct().to_pyarrow()["pair"]
    return fetch(window).among(spoke)


@once
def told(window: Window, kind: str) -> pa.Table:
    """(pair, value, connections) of a kind of `sets`, of all pairs; fetched once per window."""
    sets = window.sets.filter(window.sets.kind == kind)
    table: pa.Table = sets.select("pair", "value", "connections").to_pyarrow()
    return table


def numbered(column: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """The different values of a column in order, null last, and each row's place among them."""
    coded = column.combine_chunks().dictionary_encode("encode")
    order = pc.sort_indices(coded.dictionary).to_numpy()
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return coded.dictionary.take(pa.array(order)), place[coded.indices.to_numpy()]
