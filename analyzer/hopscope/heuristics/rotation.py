"""One rhythm that goes on at another address: a client's calls share a clock, but not a destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from hopscope.config import setting
from hopscope.heuristics import cadence
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.behaviours import Behaviours, gather
from hopscope.heuristics.evidence import WITNESSES, evidence, lists_of, rise
from hopscope.heuristics.regularity import BEAT_TOLERANCE, MISSED_BEATS, Calls, best, collapse, measure, stretches
from hopscope.heuristics.segments import (
    Flags,
    Floats,
    Ints,
    distinct,
    group_ids,
    offsets_from,
    offsets_of,
    quantiles,
    spans,
)

CHANCE_ON_BEAT = 0.3  # calls that know nothing of each other hit a beat three times in ten
SURE_ON_BEAT = 0.95  # no clock is taken to keep its beat more often
ALONE_AS_GOOD = 0.1  # a destination's own beat kept within this share as often as the common one explains as much
OTHERS = 5  # destinations named with a piece of evidence


@dataclass(frozen=True)
class Settings:
    """[heuristics.rotation]"""

    min_calls: int = setting(8, "connections", "calls to all the destinations together below which nothing is said")
    reply_ratio: float = setting(1.1, "", "usual answers of two destinations that differ by more are two behaviours")
    request_ratio: float = setting(1.2, "", "usual requests of two destinations that differ by more are two behaviours")
    regular_low: float = setting(0.2, "fraction", "of cadence's weight of the common rhythm, up to which it is none")
    regular_high: float = setting(0.7, "fraction", "of cadence's weight, from which the common rhythm counts fully")
    named_share: float = setting(0.5, "fraction", "of the weight where the destinations have names, or DNS isn't seen")
    blind_rate: float = setting(0.5, "fraction", "share of destinations without a name from which DNS isn't seen")
    max_db: float = setting(12.0, "decibans", "the most that this evidence weighs")


FACTS = (
    Fact("destinations", "destinations", "that the calls of one rhythm went to"),
    Fact("others", "", "the other destinations, up to five"),
    Fact("connections", "connections", "calls in the common rhythm"),
    Fact("here", "connections", "of these, to this destination"),
    Fact("switches", "intervals", "times that the next call went to another destination"),
    Fact("on_beat", "intervals", "of these, those that kept the beat"),
    Fact("in_turn", "", "true when each destination was used once, one after the other; false when they alternate"),
    Fact("interval_s", "s", "median interval between calls of the common rhythm"),
    Fact("spread", "", "MAD of the intervals over their median"),
)


@dataclass(frozen=True)
class Rotation:
    """Does one behaviour of a client die at one destination and go on at another, or alternate between them?

    A behaviour is a client's calls with one TLS fingerprint whose usual requests and answers are of one size
    (`request_ratio`, `reply_ratio`), to whatever destination. A destination is a name (asked for, or that a DNS
    answer gave for the address), else an address: one name that DNS spreads over many addresses is one
    destination. Those with names and those without are looked at apart.

    Formula: the calls of a behaviour to all its destinations are laid on one line and judged as `cadence` does
    (sleeps, modes, chance). Each interval in which the destination changes tells whether its calls know of each
    other: it keeps the common beat (within a quarter of the median of a multiple) with the frequency q at which
    the whole line does, or by chance, 3 times in 10. The sum of 10 log10(q / 0.3) for each switch on the beat
    and 10 log10((1 - q) / 0.7) for each off it is the weight, times the regularity of the line (cadence's weight
    as a share of its most, from `regular_low` to `regular_high`), at most `max_db`. Where the destinations
    alternate and each keeps as good a beat alone, two clocks side by side explain it as well as one, and only
    as many switches count as there are destinations after the first.

    Weights: the ratio above, from the mechanism; `max_db` is assumed, since clients that hold a list of
    addresses (chat, games, agents with two servers) do the same. Half of it (`named_share`) for names, where
    load is spread so, and where DNS isn't seen, where one name's addresses can't be told from many.

    Source: new. Benign look-alikes: pools of one name, resolvers and time servers (left out by protocol),
    browsing (no rhythm, no common size).
    """

    name: str = "rotation"
    title: str = "one rhythm over several destinations"
    d3fend: str = "D3-CSPP"
    group: str = "rotation"
    source: str = "new; the null hypothesis is that calls to two destinations know nothing of each other"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = ()

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence for each destination of a common rhythm; see the class."""
        b = gather(window, settings.min_calls, settings.reply_ratio, settings.request_ratio, settings.blind_rate)
        rhythm = cadence.Settings()
        offsets = offsets_of(b.behaviour)
        calls = collapse(b.ts_us, offsets, rhythm.burst_share)
        found = stretches(
            calls, settings.min_calls - 1, rhythm.pause_factor, rhythm.change_factor, rhythm.chance_low_db
        )
        statistics = measure(found, calls, b.orig_bytes, np.full(len(b.ts_us), np.nan))
        sure = cadence.regularity(found, statistics, rhythm)[0] * cadence.single(statistics, rhythm)
        regular = rise(sure, settings.regular_low, settings.regular_high)
        line = _line(b, calls, found.first_call, found.intervals, statistics.connections)
        switches = _switches(line, b, found.intervals, statistics.median_us)
        decibans = np.clip(switches.decibans, 0.0, settings.max_db) * regular
        certain = b.bare[b.pair[calls.first_row[found.first_call]]] & ~np.bool_(b.blind)
        decibans *= np.where(certain, 1.0, settings.named_share)
        chosen = best(found, decibans)
        chosen = chosen[decibans[chosen] > 0]
        facts = {
            "destinations": switches.destinations,
            "switches": switches.count,
            "on_beat": switches.on_beat,
            "in_turn": switches.count == switches.destinations - 1,
            "interval_s": np.round(statistics.median_us / 1e6, 3),
            "spread": np.round(statistics.spread, 3),
        }
        return _told(b, line, chosen, decibans, facts, settings)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """The rotation in words."""
        how = "one after the other" if facts["in_turn"] else "in alternation"
        return (
            f"one rhythm over {facts['destinations']} destinations {how}: {facts['connections']} calls, one every"
            f" {facts['interval_s']:.3g} s, {facts['here']} of them here; of {facts['switches']} changes to another"
            f" destination {facts['on_beat']} kept the beat (others: {facts['others']})"
        )


@dataclass(frozen=True)
class Line:
    """The connections of stretches, end to end: `row` in the behaviours, `stretch`, and which `call` of it, from 0.

    `label` is the destination of the connection's call: of those called at once, the most frequent in the stretch.
    """

    row: Ints
    stretch: Ints
    call: Ints
    label: Ints


def _line(b: Behaviours, calls: Calls, first: Ints, n: Ints, connections: Ints) -> Line:
    """The connections of stretches of `n` intervals from call `first` on."""
    row = spans(calls.first_row[first], connections)
    stretch = np.repeat(np.arange(len(n)), connections)
    head = np.zeros(len(b.ts_us) + 1, np.int64)
    head[calls.first_row] = 1
    number = np.cumsum(head)[row] - 1  # of the call among all
    there = b.destination[b.pair[row]]
    used = group_ids(stretch, there)
    often = np.bincount(used)[used] if len(used) else used
    order = np.lexsort((there, -often, number, stretch))
    bounds = offsets_of(group_ids(stretch[order], number[order]))
    label = np.empty(len(row), np.int64)
    label[order] = np.repeat(there[order][bounds[:-1]], np.diff(bounds))
    return Line(row, stretch, number - first[stretch], label)


@dataclass(frozen=True)
class Switches:
    """Of each stretch: changes of destination, those on the beat, destinations, and the weight in decibans."""

    count: Ints
    on_beat: Ints
    destinations: Ints
    decibans: Floats


def _switches(line: Line, b: Behaviours, n: Ints, median: Floats) -> Switches:
    """How well the beat is kept when the destination changes, in each stretch of `n` intervals."""
    size = len(n)
    lead = np.flatnonzero(np.diff(line.stretch, prepend=-1) | np.diff(line.call, prepend=-1))  # each call's first row
    stretch, label, at = line.stretch[lead], line.label[lead], b.ts_us[line.row[lead]].astype(np.float64)
    inner = np.diff(stretch) == 0
    of = stretch[1:][inner]
    on = _on_beat(np.diff(at)[inner], median[of])
    switch = (np.diff(label) != 0)[inner]
    count = np.bincount(of[switch], minlength=size)
    kept = np.bincount(of[switch & on], minlength=size)
    place = group_ids(stretch, label)
    once = np.bincount(place)[place] == 1 if len(place) else np.zeros(0, bool)
    last = np.append(np.diff(stretch) != 0, True)[: len(stretch)]
    edge = np.bincount(stretch[once & (last | (np.diff(stretch, prepend=-1) != 0))], minlength=size)
    destinations = distinct(stretch, place, size)
    share = np.bincount(of[on], minlength=size) / np.maximum(n, 1)
    q = np.clip(share, CHANCE_ON_BEAT, SURE_ON_BEAT)
    # two clocks side by side: all switches follow from where the second one happened to begin
    apart = (count > destinations - 1) & (_alone(place, stretch, at, size) >= share - ALONE_AS_GOOD)
    factor = np.where(apart, (destinations - 1) / np.maximum(count, 1), 1.0)
    for_it, against = np.log10(q / CHANCE_ON_BEAT), np.log10((1 - q) / (1 - CHANCE_ON_BEAT))
    # one stray call before or after a rhythm is on its beat by chance: that switch tells nothing
    decibans = 10 * (factor * (kept * for_it + (count - kept) * against) - edge * for_it)
    return Switches(count, kept, destinations, np.where(count > 0, decibans, 0.0))


def _on_beat(interval: Floats, median: Floats) -> Flags:
    beat = np.clip(np.round(interval / np.maximum(median, 1.0)), 1, MISSED_BEATS + 1)
    out: Flags = np.abs(interval - beat * median) <= BEAT_TOLERANCE * median
    return out


def _alone(place: Ints, stretch: Ints, at: Floats, size: int) -> Floats:
    """Share of the intervals between calls to one and the same destination that keep that destination's own beat."""
    order = np.argsort(place, kind="stable")
    same = np.diff(place[order]) == 0
    gap, of = np.diff(at[order])[same], place[order][1:][same]
    counts = np.bincount(of, minlength=int(place.max(initial=-1)) + 1)
    median = quantiles(gap, offsets_from(counts), (0.5,))[0]
    on = _on_beat(gap, median[of])
    where = stretch[order][1:][same]
    out: Floats = np.bincount(where[on], minlength=size) / np.maximum(np.bincount(where, minlength=size), 1)
    return out


def _told(
    b: Behaviours, line: Line, chosen: Ints, decibans: Floats, facts: Mapping[str, Any], settings: Settings
) -> pa.Table:
    """The evidence table: a row for each pair that a chosen stretch called."""
    own = np.isin(line.stretch, chosen) & (line.label == b.destination[b.pair[line.row]])
    row, stretch = line.row[own], line.stretch[own]
    order = np.lexsort((row, b.pair[row], stretch))
    row, stretch = row[order], stretch[order]
    bounds = offsets_of(group_ids(stretch, b.pair[row]))
    one, here = stretch[bounds[:-1]], np.diff(bounds)
    pair = b.pair[row[bounds[:-1]]]
    few = np.minimum(here, WITNESSES)
    uids = b.uids.take(pa.array(row[spans(bounds[:-1], few)]))
    lists = lists_of(uids, few)
    table = b.pairs.take(pa.array(pair)).append_column("uids", lists)
    whole = np.bincount(stretch, minlength=len(decibans))
    labels = b.labels.take(pa.array(b.destination[pair])).to_pylist()
    of: dict[int, set[str]] = {}
    for s, label in zip(one.tolist(), labels, strict=True):  # only what is told, a few rows
        of.setdefault(s, set()).add(label)
    others = [", ".join(sorted(of[s] - {label})[:OTHERS]) for s, label in zip(one.tolist(), labels, strict=True)]
    values = {
        **{k: v[one] for k, v in facts.items()},
        "others": pa.array(others, pa.string()),
        "connections": whole[one],
        "here": here,
    }
    threshold = f"rotation.min_calls = {settings.min_calls} connections"
    return evidence(table, decibans[one], threshold, FACTS, values)


HEURISTIC = Rotation()
