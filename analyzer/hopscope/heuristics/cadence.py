"""Connections at regular intervals with regular sizes: a machine calls, not a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.call_starts import SCOPES, Starts, gather
from hopscope.heuristics.evidence import WITNESSES, evidence, lists_of, rise
from hopscope.heuristics.regularity import Calls, Rhythm, Stretches, best, collapse, measure, stretches
from hopscope.heuristics.segments import Flags, Floats, Ints, distinct, group_ids, offsets_of, spans

HOUR_US = 3_600_000_000
BURSTS, LONG_BURSTS = 0.75, 0.95  # gap by which bursts are told: calls of up to 3, and up to 18 connections
MANY_HOURS = 3  # from more than these the sentence tells them
ENDPOINT = {"name": ("server", "port", "proto"), "service": ("server", "port", "proto"), "address": ("server",)}


@dataclass(frozen=True)
class Settings:
    """[heuristics.cadence]"""

    min_intervals: int = setting(6, "intervals", "fewest intervals between calls that can be regular")
    max_spread: float = setting(0.5, "", "spread of the intervals (MAD / median) from which they count as irregular")
    burst_share: float = setting(0.1, "", "calls closer than this share of the usual gap are one call")
    max_burst: float = setting(3.0, "connections", "connections per call (upper quartile) from which it is no beacon")
    overlap_low: float = setting(1.5, "", "time that connections are open over the interval up to which all is well")
    overlap_high: float = setting(3.0, "", "the same from which they are no calls but connections side by side")
    pause_factor: float = setting(4.0, "", "a pause this many times longer than the intervals around it is a sleep")
    change_factor: float = setting(2.5, "", "intervals longer or shorter by this factor are another mode")
    chance_low_db: float = setting(12.0, "decibans", "regularity over chance up to which rhythm is called chance")
    chance_high_db: float = setting(22.0, "decibans", "regularity over chance from which it is not")
    score_low: float = setting(0.5, "", "regularity score up to which it weighs nothing")
    score_high: float = setting(0.9, "", "regularity score from which it weighs all")
    half_count: float = setting(3.0, "intervals", "number of intervals at which half the weight is reached")
    max_db: float = setting(9.6, "decibans", "weight of perfect rhythm over many intervals")
    long_low_h: float = setting(3.0, "hours", "clock hours with calls in rhythm up to which it is no habit")
    long_high_h: float = setting(12.0, "hours", "clock hours with calls in rhythm from which it lasts all day")
    long_low_calls: int = setting(20, "calls", "calls in rhythm up to which it is no habit")
    long_high_calls: int = setting(100, "calls", "calls in rhythm from which their number no longer matters")
    long_burst: float = setting(0.7, "fraction", "weight that a rhythm of all day keeps whatever its bursts")
    long_db: float = setting(14.0, "decibans", "weight of perfect rhythm that lasts all day")


FACTS = (
    Fact("connections", "connections", "calls in the regular stretch: connections, or exchanges of a session"),
    Fact("interval_s", "s", "median interval between calls"),
    Fact("spread", "", "MAD of the intervals over their median; 0 like clockwork, 0.25 for 50 % jitter"),
    Fact("skew", "", "Bowley skewness of the intervals; 0 symmetric"),
    Fact("on_beat", "", "share of intervals within a quarter of the median from a multiple of it"),
    Fact("coverage", "", "time of the regular stretch over the time from first to last connection, sleeps left out"),
    Fact("size_spread", "", "MAD of the originator's bytes over their median; null when unknown or 0"),
    Fact("burst", "connections", "connections per call, upper quartile"),
    Fact("score", "", "mean of the five regularities, 0 to 1"),
    Fact("hours", "hours", "clock hours with calls in rhythm, in all regular stretches"),
)


@dataclass(frozen=True)
class Cadence:
    """Does a client of ours call this destination like clockwork?

    Calls are connections, and in sessions kept open the times at which the client breaks its silence.

    Formula: connections closer together than `burst_share` of the upper quartile gap are one call (where many
    show no rhythm so, of the gap that one in 20 exceeds: calls may be bursts of many connections).
    Stretches of calls between sleeps and between changes of mode are judged each, and the best one counts.
    Its score is the mean of five regularities, all dimensionless: 1 - spread / `max_spread` with spread =
    MAD / median of the intervals; 1 - |Bowley skewness|; share of intervals near a multiple of the median;
    time of the stretch over lifetime without sleeps; 1 - MAD / median of the originator's bytes (left out
    when unknown). The weight grows from `score_low` to `score_high`, and with the number of intervals n as
    n / (n + `half_count`). It falls with the burst (upper quartile of connections per call) from 1 to
    `max_burst`, and with the overlap (median time that connections are open over the interval) from
    `overlap_low` to `overlap_high`: a page's connections side by side are no calls.

    Chance is ruled out first. With mean m and mean deviation b from the median, each interval is
    10 log10(m / 2b) decibans likelier from a jittered clock than from calls at random (Laplace against
    exponential); from the sum go 10 log10 n for the two fitted values and 20 log10 of all intervals over n
    for the choice of the stretch. The rest must exceed `chance_low_db` and counts fully from `chance_high_db`.

    Judged per name (whatever the address), per address and port where several names or none were asked
    for, and per address where several ports were used: ports in turn are one beacon. Only ratios of times
    enter, so seconds and hours weigh alike. Sleeps of any length are allowed; irregular calls weigh nothing.

    A rhythm that is a habit weighs more: from `max_db` up to `long_db` with the clock hours in which calls in
    rhythm were heard, in all regular stretches (`long_low_h` to `long_high_h`), and with their number
    (`long_low_calls` to `long_high_calls`). It then keeps `long_burst` of its weight whatever the bursts and
    the overlap: what makes three connections a minute from morning to night is no person and no page.

    Source: RITA v5 (skewness, MAD, sizes, coverage; whole seconds and a 24-hour grid there), Elastic's
    beaconing transform (6 periods at least), BAYWATCH (chance ruled out first).

    Weights: `max_db` is published: on 24-hour logs rhythm marked 5 of 5 beacons and 79 of 788 other
    destinations: (5.5 / 6) / (79.5 / 789) = 9.6 dB. `long_db` is assumed: that 3 % of destinations are update
    pollers, keep-alives and agents which call all day, (5.5 / 6) / 0.03 = 14.8 dB. Ordinary logs at hand are too
    few to measure it: in one office's day (23 hours, 390 destinations) 14 weighed 1 dB or more, 10 weighed 4,
    9 weighed 6, one 8 and none 9.6; but only 10 of them were heard in 12 hours, and 2 had 100 calls, so hardly
    any could have. In two hours of another site none of 393 weighed 1. Of the 6,444 other clients of a server on
    the internet in a day, most of them scanners, none weighed 9.6; the one beacon there weighs 13.6.
    """

    name: str = "cadence"
    title: str = "regular intervals and sizes"
    d3fend: str = "D3-CSPP"
    group: str = "rhythm"
    source: str = "RITA v5, Elastic beaconing, BAYWATCH"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = ()

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per scope; see the class."""
        starts = gather(window)
        counts = starts.counts(settings.min_intervals)
        judged: dict[str, list[tuple[pa.Table, Floats]]] = {scope: [] for scope in SCOPES}
        rows = {scope: _rows(starts, counts[scope], scope) for scope in SCOPES}
        # groups of many starts that show no rhythm are judged again with longer bursts
        for quantile in (BURSTS, LONG_BURSTS):
            found = {scope: _find(starts, some, scope, settings, quantile) for scope, some in rows.items()}
            open_us = starts.open_us(window, np.concatenate([f.likely() for f in found.values()]))
            for scope, one in found.items():
                table, decibans, regular = _judge(starts, one, open_us, settings)
                judged[scope].append((table, decibans))
                again = ~regular & (np.diff(one.offsets) >= settings.long_high_calls)
                rows[scope] = one.rows[np.repeat(again, np.diff(one.offsets))]
        threshold = f"cadence.max_spread = {settings.max_spread:g} (MAD / median)"
        tables = [
            evidence(table, decibans, threshold, FACTS, {f.name: table[f.name] for f in FACTS})
            for of_scope in judged.values()
            for table, decibans in of_scope
        ]
        return pa.concat_tables(tables)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """The rhythm in words."""
        sizes = facts["size_spread"]
        alike = "" if sizes is None else f", sizes within {100 * sizes:.0f} %"
        held = f", heard in {facts['hours']} hours" if facts["hours"] > MANY_HOURS else ""
        return (
            f"{facts['connections']} calls, one every {_duration(facts['interval_s'])}"
            f" give or take {100 * facts['spread']:.0f} %{alike}{held}"
        )


def regularity(s: Stretches, rhythm: Rhythm, settings: Settings) -> tuple[Floats, Floats]:
    """How surely each stretch is a rhythm, 0 to 1, and its score; bursts and overlap left out."""
    parts = np.stack([
        np.clip(1 - rhythm.spread / settings.max_spread, 0, 1),
        1 - np.abs(rhythm.skew),
        rhythm.on_beat,
        rhythm.coverage,
        np.clip(1 - rhythm.size_spread, 0, 1),
    ])  # fmt: skip
    known = ~np.isnan(parts)
    score = np.where(known, parts, 0.0).sum(axis=0) / known.sum(axis=0)
    sure = rise(s.chance_db, settings.chance_low_db, settings.chance_high_db)
    count = s.intervals / (s.intervals + settings.half_count)
    regular = (rhythm.spread < settings.max_spread) & (s.intervals >= settings.min_intervals)
    return np.where(regular, sure * count * rise(score, settings.score_low, settings.score_high), 0.0), score


def single(rhythm: Rhythm, settings: Settings) -> Floats:
    """How surely the calls of each stretch are single ones, 0 to 1: neither bursts nor side by side."""
    out: Floats = 1 - rise(rhythm.burst, 1.0, settings.max_burst)
    return out * (1 - rise(rhythm.overlap, settings.overlap_low, settings.overlap_high))


def lasting(s: Stretches, regular: Floats, starts_us: Ints, groups: int, settings: Settings) -> tuple[Floats, Ints]:
    """For each group how much its rhythm is a habit, 0 to 1, and the clock hours it was heard in.

    Counted are the calls, which start at `starts_us`, of all stretches at least half as regular as the best.
    """
    best_of = np.zeros(groups)
    np.maximum.at(best_of, s.group, regular)
    good = (regular > 0) & (regular >= best_of[s.group] / 2)
    n = s.intervals[good] + 1
    call = spans(s.first_call[good], n)
    of = np.repeat(s.group[good], n)
    calls = distinct(of, call, groups)  # stretches may overlap
    hour = starts_us[call] // HOUR_US
    hours = distinct(of, hour - hour.min(initial=0), groups)
    long = rise(hours.astype(np.float64), settings.long_low_h, settings.long_high_h)
    return long * rise(calls.astype(np.float64), settings.long_low_calls, settings.long_high_calls), hours


@dataclass(frozen=True)
class _Found:
    """The starts of one scope's groups, in order, the calls that they make and the stretches of these."""

    scope: str
    rows: Ints
    offsets: Ints
    calls: Calls
    stretches: Stretches

    def likely(self) -> Ints:
        """The starts of groups with stretches."""
        some = np.zeros(len(self.offsets) - 1, bool)
        some[self.stretches.group] = True
        out: Ints = self.rows[np.repeat(some, np.diff(self.offsets))]
        return out


def _rows(starts: Starts, counting: Flags, scope: str) -> Ints:
    """The starts of pairs that count, in order of the scope's groups, time and uid."""
    rows = np.flatnonzero(counting[starts.pair])
    return starts.ordered(rows, starts.group(scope, rows))


def _find(starts: Starts, rows: Ints, scope: str, settings: Settings, quantile: float) -> _Found:
    """The stretches of one scope.

    Connections are one call that are closer together than a share of their group's gap at `quantile`.
    """
    offsets = offsets_of(starts.group(scope, rows))
    calls = collapse(starts.ts_us[rows], offsets, settings.burst_share, quantile)
    found = stretches(
        calls, settings.min_intervals, settings.pause_factor, settings.change_factor, settings.chance_low_db
    )
    return _Found(scope, rows, offsets, calls, found)


def _judge(starts: Starts, f: _Found, open_us: Floats, settings: Settings) -> tuple[pa.Table, Floats, Flags]:
    """The regular stretches, as rows of keys, facts and uids, with their decibans; which groups have any.

    `open_us` is how long connections of each pair are open.
    """
    scope, rows, offsets, calls, found = f.scope, f.rows, f.offsets, f.calls, f.stretches
    # an exchange in a session kept open keeps nothing else open
    open_of = np.where(np.isnan(starts.orig_bytes[rows]), 0.0, open_us[starts.pair[rows]])
    rhythm = measure(found, calls, starts.orig_bytes[rows], open_of)
    regular, score = regularity(found, rhythm, settings)
    long, hours = lasting(found, regular, starts.ts_us[rows][calls.first_row], len(offsets) - 1, settings)
    habit = long[found.group]
    alone = single(rhythm, settings)
    alone += (1 - alone) * settings.long_burst * habit
    decibans = regular * alone * (settings.max_db + (settings.long_db - settings.max_db) * habit)
    chosen = best(found, decibans)
    chosen = chosen[decibans[chosen] > 0]
    # each endpoint that the stretch went to gets a row: a name may lead to several
    members = spans(calls.first_row[found.first_call[chosen]], rhythm.connections[chosen])
    stretch = np.repeat(chosen, rhythm.connections[chosen])
    pair = starts.pair[rows[members]]
    order, first, count = _firsts(stretch, starts.pairs.ids(*ENDPOINT[scope])[pair])
    at, one = rows[members[order]], stretch[order[first]]
    facts = {
        "connections": rhythm.connections[one],
        "interval_s": np.round(rhythm.median_us[one] / 1e6, 3),
        **{k: np.round(getattr(rhythm, k)[one], 3) for k in ("spread", "skew", "on_beat", "coverage", "burst")},
        "size_spread": pa.array(np.round(rhythm.size_spread[one], 3), from_pandas=True),
        "score": np.round(score[one], 3),
        "hours": hours[found.group[one]],
    }
    named = ("name",) if scope == "name" else ()
    keys = ["sensor", "client", *ENDPOINT[scope], *named]
    table = starts.pairs.rows.select(keys).take(pa.array(starts.pair[at[first]]))
    few = np.minimum(count, WITNESSES)
    uids = starts.uids.take(pa.array(at[spans(first, few)]))
    lists = lists_of(uids, few)
    for name, column in {**facts, "uids": lists}.items():
        table = table.append_column(name, column if isinstance(column, pa.Array) else pa.array(column))
    some = np.zeros(len(offsets) - 1, bool)
    some[found.group[chosen]] = True
    return table, decibans[one], some


def _firsts(stretch: Ints, endpoint: Ints) -> tuple[Ints, Ints, Ints]:
    """A stable order by stretch and endpoint, where each such pair begins in it, and how many rows it has."""
    order = np.lexsort((endpoint, stretch))
    offsets = offsets_of(group_ids(stretch, endpoint)[order])
    return order, offsets[:-1], np.diff(offsets)


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


HEURISTIC = Cadence()
