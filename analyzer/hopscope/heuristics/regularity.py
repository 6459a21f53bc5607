"""How regular are the times of many groups of connections? Calls, stretches and their statistics, in columns.

Times are integer microseconds, ascending within a group; groups stand one after the other (`segments`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hopscope.heuristics.segments import Flags, Floats, Ints, means, median_mad, offsets_from, quantiles, spans

NEIGHBOURS = 7  # intervals on each side that say what is usual at a place
BEAT_TOLERANCE = 0.25  # of the median interval; calls at random hit a beat three times in ten
MISSED_BEATS = 2  # beats in a row that may be missed
FLAT_QUARTILES = 0.02  # quartiles closer than this share of the median have no skewness worth telling
LEAST_DEVIATION = 1e-3  # of the median interval; no clock is taken to be better
_ROWS = 1 << 14  # intervals looked at together, so that they stay in the processor's cache
_NETWORK = (
    (0, 6), (2, 3), (4, 5), (0, 2), (1, 4), (3, 6), (0, 1), (2, 5), (3, 4), (1, 2), (4, 6), (2, 3), (4, 5), (1, 2),
    (3, 4), (5, 6),
)  # fmt: skip
"""Sorts NEIGHBOURS columns by comparing two at a time (Knuth, The Art of Computer Programming, vol. 3, 5.3.4)."""


@dataclass(frozen=True)
class Calls:
    """Connections close together are one call. `offsets` bound each group's calls."""

    first_row: Ints  # row of the call's first connection
    size: Ints  # connections in the call
    offsets: Ints
    intervals: Floats  # µs between neighbouring calls of a group; group i has one fewer than calls

    @property
    def interval_offsets(self) -> Ints:
        """The bounds of each group's intervals."""
        return self.offsets - np.arange(len(self.offsets))


@dataclass(frozen=True)
class Stretches:
    """Runs of calls without sleep or change of mode; a group may have none or several, also overlapping."""

    group: Ints
    first_interval: Ints
    intervals: Ints  # how many
    first_call: Ints
    awake_us: Floats  # the group's time from first to last call, sleeps left out
    chance_db: Floats  # how much likelier a jittered clock is than calls at random; see `cadence`


@dataclass(frozen=True)
class Rhythm:
    """The statistics of stretches, one entry each; see `cadence.FACTS`."""

    median_us: Floats
    spread: Floats
    skew: Floats
    on_beat: Floats
    coverage: Floats
    connections: Ints
    burst: Floats
    size_spread: Floats  # NaN when no size is known or their median is 0
    overlap: Floats  # median time that connections are open over the median interval; NaN when unknown


def collapse(times: Ints, offsets: Ints, burst_share: float, quantile: float = 0.75) -> Calls:
    """Join connections closer together than `burst_share` of their group's gap at `quantile`."""
    heads = offsets[:-1]
    inner = np.ones(len(times), bool)
    inner[heads] = False
    gaps = np.diff(times, prepend=times[:1])[inner].astype(np.float64)
    gap_offsets = offsets - np.arange(len(offsets))
    limit = burst_share * quantiles(gaps, gap_offsets, (quantile,))[0]
    new = np.ones(len(times), bool)
    new[inner] = gaps > np.repeat(limit, np.diff(gap_offsets))
    first_row = np.flatnonzero(new)
    size = np.diff(first_row, append=len(times))
    call_offsets = (
        np.concatenate([[0], np.cumsum(np.add.reduceat(new, heads, dtype=np.int64))]) if len(heads) else heads
    )
    between = np.ones(len(first_row), bool)
    between[call_offsets[:-1]] = False
    intervals = np.diff(times[first_row], prepend=times[:1])[between].astype(np.float64)
    return Calls(first_row, size, call_offsets, intervals)


def stretches(calls: Calls, fewest: int, pause_factor: float, change_factor: float, least_db: float) -> Stretches:
    """Stretches of at least `fewest` intervals, cut at sleeps alone, and at sleeps and changes of mode.

    Those that are no more than `least_db` likelier from a clock than by chance are left out.
    """
    x, bounds = calls.intervals, calls.interval_offsets
    group = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    behind, ahead = usual(x, bounds[group], bounds[group + 1])
    before = np.concatenate([[np.nan], behind[:-1]])
    before[bounds[:-1][np.diff(bounds) > 0]] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        sleep: Flags = x > pause_factor * np.fmax(before, ahead)
        ratio = np.maximum(behind / ahead, ahead / behind)
        change: Flags = ratio > change_factor
    head = np.ones(len(x), bool)
    head[1:] = group[1:] != group[:-1]
    after_sleep = np.concatenate([[False], sleep[:-1]])
    after_change = np.concatenate([[False], change[:-1]])
    found = np.concatenate([
        _runs(head | sleep | after_sleep, sleep, fewest),
        _runs(head | sleep | after_sleep | after_change, sleep, fewest),
    ])  # fmt: skip
    first, count = np.unique(found, axis=0).T
    chance_db = _over_chance(x, first, count, np.diff(bounds)[group[first]])
    likely = chance_db > least_db
    first, count, chance_db = first[likely], count[likely], chance_db[likely]
    of = group[first]
    awake = np.diff(np.concatenate([[0.0], np.cumsum(np.where(sleep, 0.0, x))])[bounds])
    return Stretches(of, first, count, first + of, awake[of], chance_db)


def measure(s: Stretches, calls: Calls, sizes: Floats, open_us: Floats) -> Rhythm:
    """The statistics of each stretch. `sizes` are the rows' bytes, `open_us` how long they last, NaN where unknown."""
    x, n = calls.intervals[spans(s.first_interval, s.intervals)], s.intervals
    offsets = offsets_from(n)
    q1, median, q3 = quantiles(x, offsets, (0.25, 0.5, 0.75))
    middle = np.repeat(median, n)
    off = np.abs(x - middle)
    beat = np.clip(np.round(x / np.maximum(middle, 1.0)), 1, MISSED_BEATS + 1)
    on_beat = means((np.abs(x - beat * middle) <= BEAT_TOLERANCE * middle).astype(np.float64), offsets)
    flat = q3 - q1 <= FLAT_QUARTILES * median
    skew = np.where(flat, 0.0, (q1 + q3 - 2 * median) / np.where(flat, 1.0, q3 - q1))
    first, last = s.first_call, s.first_call + n
    connections = calls.first_row[last] + calls.size[last] - calls.first_row[first]
    size, size_mad = _spread(sizes, calls.first_row[first], connections)
    with np.errstate(invalid="ignore", divide="ignore"):
        size_spread = np.where(size > 0, size_mad / size, np.nan)
    return Rhythm(
        median_us=median,
        spread=quantiles(off, offsets, (0.5,))[0] / median,
        skew=skew,
        on_beat=on_beat,
        coverage=np.minimum(means(x, offsets) * n / s.awake_us, 1.0),
        connections=connections,
        burst=_burst(calls, first, n + 1),
        size_spread=size_spread,
        overlap=_spread(open_us, calls.first_row[first], connections)[0] / median,
    )


def best(s: Stretches, decibans: Floats) -> Ints:
    """The stretch of most decibans of each group; the longest, then the earliest among equals."""
    order = np.lexsort((s.first_interval, -s.intervals, -decibans, s.group))
    return order[np.unique(s.group[order], return_index=True)[1]]


def _over_chance(intervals: Floats, first: Ints, n: Ints, choice: Ints) -> Floats:
    """Decibans by which each stretch, out of `choice` intervals, is likelier from a jittered clock than by chance."""
    x = intervals[spans(first, n)]
    offsets = offsets_from(n)
    median = quantiles(x, offsets, (0.5,))[0]
    off = means(np.abs(x - np.repeat(median, n)), offsets)
    ratio = means(x, offsets) / (2 * np.maximum(off, LEAST_DEVIATION * median))
    out: Floats = 10 * (n * np.log10(ratio) - np.log10(n) - 2 * np.log10(choice / n))
    return out


def usual(x: Floats, low: Ints, high: Ints) -> tuple[Floats, Floats]:
    """Medians of up to NEIGHBOURS intervals up to and including each, and after it, within low..high; NaN if none."""
    behind, ahead = np.full(len(x), np.nan), np.full(len(x), np.nan)
    for begin in range(0, len(x), _ROWS):
        at = np.arange(begin, min(begin + _ROWS, len(x)))
        for out, steps in ((behind, range(1 - NEIGHBOURS, 1)), (ahead, range(1, NEIGHBOURS + 1))):
            first, end = np.maximum(low[at], at + steps[0]), np.minimum(high[at], at + steps[-1] + 1)
            near = []
            for place in (at + step for step in steps):
                inside = (place >= first) & (place < end)
                near.append(np.where(inside, x[np.clip(place, 0, len(x) - 1)], np.inf))
            for one, other in _NETWORK:
                near[one], near[other] = np.minimum(near[one], near[other]), np.maximum(near[one], near[other])
            count, ordered, row = np.maximum(end - first, 0), np.stack(near), at - begin
            middle = (ordered[np.maximum(count - 1, 0) // 2, row] + ordered[count // 2, row]) / 2
            out[at] = np.where(count > 0, middle, np.nan)
    return behind, ahead


def _runs(head: Flags, left_out: Flags, fewest: int) -> Ints:
    """(first, count) of runs that begin at each `head`, without the intervals left out."""
    first = np.flatnonzero(head)
    count = np.diff(first, append=len(head))
    keep = (count >= fewest) & ~left_out[first]
    return np.stack([first[keep], count[keep]], axis=1)


def _burst(calls: Calls, first_call: Ints, count: Ints) -> Floats:
    sizes = calls.size[spans(first_call, count)].astype(np.float64)
    out: Floats = quantiles(sizes, offsets_from(count), (0.75,))[0]
    return out


def _spread(values: Floats, first_row: Ints, rows: Ints) -> tuple[Floats, Floats]:
    """Median and MAD of the known values in each range of rows; NaN where there are none."""
    values = values[spans(first_row, rows)]
    known = ~np.isnan(values)
    offsets = offsets_from(known)[offsets_from(rows)]
    return median_mad(values[known], offsets)
