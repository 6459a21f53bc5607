"""Does any single trait of the lab's records tell hops from the rest? Then the laboratory would leak its truth.

Each field of the records, condensed to one value for each pair of client and server (numbers: the median; words: the
commonest), and a few counts of the pair, is tried as a classifier by itself: a threshold for numbers, a set of words
for words, chosen on all captures but one and judged on that one, each in turn. Balanced accuracy is the mean of the
share of hops called hops and of others called others: 50 % is chance.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from bench.quality import measures, run
from bench.quality.baseline import Pair
from bench.quality.corpus import Item
from hopscope.records import CONNECTION_SCHEMA

SKIPPED = frozenset({"ts", "uid", "sensor", "orig_h", "resp_h", "seg", "seg_end", "tunnel_parents", "on_starts",
                     "tls_sizes", "local_orig", "local_resp"})  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True)
class Traits:
    """The pairs that lead out of one capture: whether each is a hop's, and its traits (None where it has none)."""

    item: str
    truth: tuple[bool, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Trait:
    """One trait as a classifier: shares of hops and of others that it calls right, on captures it didn't learn from."""

    name: str
    hops_right: float
    others_right: float

    @property
    def balanced(self) -> float:
        """Balanced accuracy."""
        return (self.hops_right + self.others_right) / 2

    @property
    def wrong(self) -> int:
        """Others that it calls hops, of a thousand."""
        return round(1000 * (1 - self.others_right))


def traits(item: Item) -> Traits:
    """The traits of one capture's pairs."""
    batches, _, _, truth = run.read(item)
    table = pa.Table.from_batches([b.connections for b in batches], CONNECTION_SCHEMA)
    named = {a for b in batches for answers in b.dns_queries["answers"].to_pylist() for a in answers or ()}
    pairs: dict[Pair, list[Row]] = defaultdict(list)
    for r in table.to_pylist():
        if r["local_orig"] and not r["local_resp"] and r["seg"] == 0:
            pairs[(r["orig_h"], r["resp_h"])].append(r)
    clients = Counter(server for _, server in pairs)
    known = {a: {str(c) for c in k.get("clients") or ()} for (a, _), k in truth.hops.items()}
    rows, is_hop = [], []
    for (client, server), records in sorted(pairs.items()):
        if server in known and client not in known[server]:
            continue
        rows.append(_condensed(records) | {
            "connections of the pair": len(records),
            "clients of the server": clients[server],
            "a DNS answer led there": server in named,
            "last byte of the address": int(server.rsplit(".", 1)[1]) if "." in server else None,
            "network of the address": server.rsplit(".", 1)[0],
        })  # fmt: skip
        is_hop.append(server in known)
    return Traits(item.name, tuple(is_hop), tuple(rows))


def _condensed(records: Sequence[Row]) -> Row:
    out: Row = {}
    for field in CONNECTION_SCHEMA:
        if field.name in SKIPPED:
            continue
        values = [r[field.name] for r in records if r[field.name] is not None]
        if not values:
            out[field.name] = None
        elif pt.is_floating(field.type) or pt.is_integer(field.type):
            out[field.name] = float(statistics.median(values))
        else:
            out[field.name] = min(Counter(map(str, values)).items(), key=lambda i: (-i[1], i[0]))[0]
        out[f"{field.name} is there"] = bool(values)
    out["port as a word"] = str(records[0]["resp_p"])
    return out


def best(captures: Sequence[Traits]) -> list[Trait]:
    """Every trait, the best classifier first."""
    names = sorted({n for c in captures for r in c.rows for n in r})
    return sorted((_judged(n, captures) for n in names), key=lambda t: (-t.balanced, t.name))


def _judged(name: str, captures: Sequence[Traits]) -> Trait:
    right = {True: 0, False: 0}
    all_ = {True: 0, False: 0}
    for out in captures:
        if not any(out.truth):
            continue
        learn = [(r.get(name), t) for c in captures if c is not out for r, t in zip(c.rows, c.truth, strict=True)]
        rule = _rule(learn)
        for row, truth in zip(out.rows, out.truth, strict=True):
            all_[truth] += 1
            right[truth] += rule(row.get(name)) == truth
    return Trait(name, right[True] / max(1, all_[True]), right[False] / max(1, all_[False]))


def _rule(learn: Sequence[tuple[Any, bool]]) -> Callable[[Any], bool]:
    """What calls most right, hops and others weighing the same."""
    if any(isinstance(v, int | float) and not isinstance(v, bool) for v, _ in learn):
        return _threshold(learn)
    hops, others = (Counter(str(v) for v, t in learn if t is side) for side in (True, False))
    n, m = max(1, hops.total()), max(1, others.total())
    words = frozenset(w for w in hops if hops[w] / n > others[w] / m)
    return lambda v: str(v) in words


def _threshold(learn: Sequence[tuple[Any, bool]]) -> Callable[[Any], bool]:
    """The best threshold either way, and what a missing value is taken for."""
    there = [(float(v), t) for v, t in learn if v is not None]
    hops, others = (np.sort([v for v, t in there if t is side]) for side in (True, False))
    without = Counter(t for v, t in learn if v is None)
    n, m = hops.size + without[True], others.size + without[False]
    missing = without[True] / max(1, n) > without[False] / max(1, m)
    if not hops.size or not others.size:
        return lambda v: missing if v is None else bool(hops.size)
    values = np.unique([v for v, _ in there])
    cuts = np.concatenate([values[:1] - 1, (values[:-1] + values[1:]) / 2, values[-1:] + 1])
    above = (
        1 - np.searchsorted(hops, cuts, "left") / hops.size - (1 - np.searchsorted(others, cuts, "left") / others.size)
    )
    below = np.searchsorted(hops, cuts, "right") / hops.size - np.searchsorted(others, cuts, "right") / others.size
    if above.max() >= below.max():
        cut = float(cuts[int(above.argmax())])
        return lambda v: missing if v is None else float(v) >= cut
    cut = float(cuts[int(below.argmax())])
    return lambda v: missing if v is None else float(v) <= cut


def tool(outcomes: Iterable[run.Outcome]) -> Trait:
    """hopscope's own findings at medium, by destination, as a classifier."""
    hops = found = others = false = 0
    for o in outcomes:
        outside: Mapping[Any, Any] = {h: k for h, k in o.truth.hops.items() if not k.get("accept")}
        if not outside:
            continue
        hops, found = hops + len(outside), found + len(measures.found_of(o) & set(outside))
        others += max(0, o.destinations - len({a for a, _ in outside}))
        false += len({t.hop for t in measures.false_of(o)})
    return Trait("hopscope, at medium", found / max(1, hops), 1 - false / max(1, others))
