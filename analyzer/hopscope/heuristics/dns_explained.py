"""Which connections a DNS answer explains: to how large a share of each pair's connections one led."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.heuristics.base import Window
from hopscope.heuristics.dns_answers import Answers
from hopscope.heuristics.evidence import numbers, partners
from hopscope.heuristics.outbound_pairs import OutboundPairs
from hopscope.heuristics.segments import Flags, Floats, Ints

if TYPE_CHECKING:
    from hopscope.heuristics.unnamed import Settings

_US = 1_000_000
_BATCH = 1 << 18  # connections looked at together


def explained(
    window: Window, rows: pa.Table, pairs: OutboundPairs, answers: Answers, telling: Flags, settings: Settings
) -> pa.Table:
    """The rows, whose place in `pairs` is `at`, with three shares of their connections, 0 to 1, and `led`.

    `without` have no valid answer, of those that are `telling`; `lacking` discounts hints, `bare` the records' start
    as well. `led`: some answer for the very name that was asked for gave this address.
    """
    at = rows["at"].to_numpy()
    first, until = {}, {}  # when answers led there, and till when they held; NaN where none did
    for kind, of in (("own", ("client",)), ("same", ("name",)), ("any", ())):
        spans = answers.held(pairs, of, telling)
        first[kind], until[kind] = spans[0][at], spans[1][at] + round(settings.margin_s * _US)
    proxied = rows["name"].is_null().to_numpy()
    first["same"][proxied] = until["same"][proxied] = np.nan
    askers = window.names.group_by("sensor", "client").agg(first_us=window.names.first_us.min()).to_pyarrow()
    asks = partners(rows, askers, ("sensor", "client")).is_valid().to_numpy(zero_copy_only=False)
    literal = pc.equal(rows["name"], rows["server"]).fill_null(False).to_numpy()
    began = _began(window, askers)

    def credit(pair: Ints, valid: Mapping[str, Flags]) -> Floats:
        """How far answers that are `valid` explain connections of the pairs at these places."""
        whole = valid["own"] | valid["same"] | (valid["any"] & ~asks[pair])
        hinted = np.where(np.isnan(first["any"][pair]), 0.0, settings.hint_credit)
        return np.where(literal[pair], 0.0, np.where(whole, 1.0, hinted))

    def shares(pair: Ints, ts_us: Floats) -> Floats:
        """Of each connection, which is of the pair at that place: whether it is bare, lacking, and without."""
        given = credit(pair, {kind: (first[kind][pair] <= ts_us) & (ts_us <= until[kind][pair]) for kind in first})
        early = np.clip(1.0 - (ts_us - began) / max(settings.grace_s * _US, 1.0), 0.0, 1.0)
        excused = np.where(literal[pair], 0.0, settings.early_credit * early)
        return np.stack([1.0 - np.maximum(given, excused), 1.0 - given, given < 1.0])

    # one that an answer explains from its first connection to its last, or none ever and early ones don't matter,
    # needs no look at each
    n = len(rows)
    began_us, ended_us = numbers(rows, "first_us"), numbers(rows, "last_us")
    always = {kind: (first[kind] <= began_us) & (ended_us <= until[kind]) for kind in first}
    every = np.arange(n)
    explained = credit(every, always) == 1.0
    never = literal | (np.isnan(first["any"]) & (began_us >= began + settings.grace_s * _US))
    open_ = np.flatnonzero(~explained & ~never)
    sums, count = np.zeros((3, n)), np.zeros(n)
    for batch in _begun(window, rows["pair"].take(pa.array(open_)), open_):
        place = batch["place"].to_numpy()
        sums += [np.bincount(place, v, n) for v in shares(place, batch["ts_us"].to_numpy())]
        count += np.bincount(place, minlength=n)
    sums[:, never], count[never | explained] = 1.0, 1.0
    unsampled = np.flatnonzero(count == 0)
    sums[:, unsampled] = shares(unsampled, began_us[unsampled])
    for name, values in zip(("bare", "lacking", "without"), sums / np.maximum(count, 1), strict=True):
        rows = rows.append_column(name, pa.array(values))
    return rows.append_column("led", pa.array(~np.isnan(first["same"])))


def _begun(window: Window, pairs: pa.ChunkedArray, places: Ints) -> Iterable[pa.RecordBatch]:
    """(place, ts_us) of the sampled connections of these pairs."""
    if not len(places):
        return ()
    wanted = ibis.memtable(pa.table({"pair": pairs, "place": places}))
    s = window.samples.select("pair", "uid", "ts_us").inner_join(wanted, "pair")
    begun = s.group_by("place", "uid").agg(ts_us=s.ts_us.min()).select("place", "ts_us")
    out: list[pa.RecordBatch] = begun.to_pyarrow().to_batches(_BATCH)
    return out


def _began(window: Window, askers: pa.Table) -> int:
    """When the window's records begin: `start_us` is the hour's, before the first packet of a capture."""
    firsts = window.pairs.agg(first_us=window.pairs.first_us.min()).to_pyarrow()
    known = (t["first_us"].drop_null() for t in (firsts, askers))
    return max(window.start_us, min((pc.min(f).as_py() for f in known if len(f)), default=window.start_us))
