"""What a beacon hunter alone would have found: two published tests, from their formulas, on the same pairs.

RITA v5 (activecm/rita, analysis/beacons.go and its default configuration): a quarter each for intervals, sizes,
histogram and duration; whole-second times, at least four connections with three intervals above zero.
Elastic's network beaconing (elastic/integrations, packages/beaconing, transform of version 1.3.3): six hours in
buckets of a minute, a point each for a steady or periodic count, for sizes up and for sizes down; ties are ranked by
the autocovariance.
Plain variation: the standard deviation of intervals over their mean, the least first, at least four connections.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope import fusion
from hopscope.config import FusionSettings
from hopscope.records import CONNECTION_SCHEMA, Batch

Floats = NDArray[np.float64]
Pair = tuple[str, str]

HISTOGRAM_BINS = 24
MODE_SENSITIVITY = 0.05
BIMODAL_HOURS = 11
DURATION_HOURS = 6
STEADY_HOURS = 12

BUCKET_S = 60
BUCKETS = 360
COUNT_SPREAD = 0.1
BYTES_SPREAD = 0.05
AUTOCOVARIANCE = 0.7
PERIODS = 6
NOT_EMPTY = 0.5
TRUNCATE = (0.1, 0.8)


@dataclass(frozen=True)
class Calls:
    """The connections of one pair in order: start times in seconds, and bytes up (with headers) and down."""

    times: Floats
    up: Floats
    down: Floats


@dataclass(frozen=True)
class Elastic:
    """Elastic's verdict: 0 to 3 points, and the greatest autocovariance of the counts."""

    score: int
    autocovariance: float


def calls(batches: Iterable[Batch], last_hours: float = math.inf) -> dict[Pair, Calls]:
    """The answered connections that lead out, of each (client, server), with their last totals; of the last hours."""
    table = pa.Table.from_batches([b.connections for b in batches], CONNECTION_SCHEMA)
    table = table.filter(pc.and_(pc.is_in(table["proto"], pa.array(["tcp", "udp"])), pc.greater(table["resp_pkts"], 0)))
    table = table.filter(pc.invert(pc.is_in(table["conn_state"], pa.array(["S0", "REJ", "RSTOS0", "RSTRH", "SH"]))))
    table = table.filter(pc.and_(pc.fill_null(table["local_orig"], False), pc.invert(table["local_resp"])))
    seconds = pc.divide(pc.cast(table["ts"], pa.int64()).cast(pa.float64()), 1e6)
    table = table.append_column("at", seconds).group_by(["orig_h", "resp_h", "uid"])
    table = table.aggregate([("at", "min"), ("orig_ip_bytes", "max"), ("resp_ip_bytes", "max")])
    table = table.sort_by([(c, "ascending") for c in ("orig_h", "resp_h", "at_min", "uid")])
    if table.num_rows:
        latest = pc.max(table["at_min"]).as_py()
        table = table.filter(pc.greater_equal(table["at_min"], latest - last_hours * 3600))
    if not table.num_rows:
        return {}
    names = ("at_min", "orig_ip_bytes_max", "resp_ip_bytes_max")
    at, up, down = (table[c].cast(pa.float64()).fill_null(0.0).to_numpy() for c in names)
    keys = list(zip(table["orig_h"].to_pylist(), table["resp_h"].to_pylist(), strict=True))
    edges = [0, *(i for i in range(1, len(keys)) if keys[i] != keys[i - 1]), len(keys)]
    return {keys[a]: Calls(at[a:b], up[a:b], down[a:b]) for a, b in itertools.pairwise(edges)}


def rita(pair: Calls, start: float, end: float) -> float:
    """RITA's beacon score of a pair in [start, end] (seconds); 0 where it would not score it."""
    times = np.sort(np.floor(pair.times))
    gaps = np.diff(times)
    gaps = np.sort(gaps[gaps > 0])
    if times.size < 4 or gaps.size < 3 or end <= start:
        return 0.0
    counts = np.histogram(times, HISTOGRAM_BINS, (math.floor(start), math.floor(end)))[0]
    parts = (
        _evenness(gaps, 1.0),
        _evenness(np.sort(pair.up), 0.0),
        _histogram(counts),
        _duration(counts, float(times[-1] - times[0]), math.floor(end) - math.floor(start)),
    )
    return round(float(sum(parts)) / len(parts), 3)


def _evenness(values: Floats, unscaled: float) -> float:
    """Half for symmetry (Bowley's skewness), half for closeness to the median; `unscaled` when that is below 1."""
    half = values.size // 2
    q1, q2, q3 = (float(np.median(v)) for v in (values[:half], values, values[values.size - half :]))
    skew = (q1 + q3 - 2 * q2) / (q3 - q1) if q3 - q1 >= 10 and q2 not in (q1, q3) else 0.0
    mad = float(np.median(np.abs(values - q2)))
    steady = max(0.0, (q2 - mad) / q2) if q2 >= 1 else unscaled
    return round((1 - abs(skew) + steady) / 2, 3)


def _histogram(counts: NDArray[np.int64]) -> float:
    """How flat the histogram is, or how well its bars fit two heights."""
    mean = counts.mean()
    flat = max(0.0, 1 - counts.std() / mean) if mean else 0.0
    bars = counts[counts > 0]
    fit = 0.0
    if bars.size >= BIMODAL_HOURS:
        width = math.ceil(bars.max() * MODE_SENSITIVITY)
        heights = np.sort(np.unique(bars // width, return_counts=True)[1])[::-1]
        fit = min(1.0, heights[:2].sum() / max(bars.size - 1, 1))
    return round(float(max(flat, fit)), 3)


def _duration(counts: NDArray[np.int64], covered: float, whole: float) -> float:
    """The part of the time that it covers, or its longest run of bars, around the end."""
    seen = counts > 0
    if seen.sum() < DURATION_HOURS:
        return 0.0
    run = longest = 0
    for bar in (*seen, *seen):
        run = run + 1 if bar else 0
        longest = max(longest, run)
    return min(1.0, max(covered / whole, min(longest, seen.size) / STEADY_HOURS))


def elastic(pair: Calls, start: float, end: float) -> Elastic:
    """The best of Elastic's verdicts over the six-hour windows that end `end`, six hours before it, and so on."""
    span = BUCKET_S * BUCKETS
    found = []
    for n in range(max(1, math.ceil((end - start) / span))):
        until = end - n * span
        inside = (pair.times > until - span) & (pair.times <= until)
        bucket = ((until - pair.times[inside]) // BUCKET_S).astype(int)
        counts = np.bincount(bucket, minlength=BUCKETS)[:BUCKETS].astype(float)
        sums = (np.bincount(bucket, v[inside], BUCKETS)[:BUCKETS] for v in (pair.up, pair.down))
        up, down = (np.divide(s, counts, out=np.zeros(BUCKETS), where=counts > 0) for s in sums)
        found.append(_verdict(counts, up, down))
    return max(found, key=lambda e: (e.score, e.autocovariance))


def _verdict(counts: Floats, up: Floats, down: Floats) -> Elastic:
    busy = np.flatnonzero(counts)
    if not busy.size:
        return Elastic(0, 0.0)
    a, b = int(busy[0]), int(busy[-1]) + 1
    if b - a < 2 * PERIODS or busy.size < PERIODS + 1:
        return Elastic(0, 0.0)
    steady_up, steady_down = (
        np.count_nonzero(v[a:b]) > PERIODS and _little_spread(v[a:b], BYTES_SPREAD) for v in (up, down)
    )
    steady = busy.size > int(NOT_EMPTY * (b - a)) and _little_spread(counts[a:b], COUNT_SPREAD)
    most = max((_autocovariance(counts, a, b, p) for p in range(2, (b - a) // PERIODS + 1)), default=0.0)
    return Elastic(int(steady or most >= AUTOCOVARIANCE) + int(steady_up) + int(steady_down), most)


def _little_spread(values: Floats, most: float) -> bool:
    """Standard deviation over mean, of what lies between two percentiles of the buckets that aren't empty."""
    there = np.sort(values[values != 0])
    low, high = (there[min(int(p * there.size + 0.5), there.size - 1)] for p in TRUNCATE)
    kept = values[(values >= low) & (values <= high)]
    return bool(kept.std() <= most * abs(kept.mean()))


def _autocovariance(counts: Floats, a: int, b: int, period: int) -> float:
    """The correlation of each period with the one before; the mean over the period's multiples, as published."""
    most = (b - a) // PERIODS
    multiples = [period, *(m for m in range(2 * period + 1, most + 1) if m % period == 0)]
    return float(np.mean([_correlation(counts, a, b, m) for m in multiples]))


def _correlation(counts: Floats, a: int, b: int, shift: int) -> float:
    rows = (b - 2 * shift - a) // shift + 1
    if rows < 1:
        return 0.0
    blocks = counts[a : a + shift * (rows + 1)].reshape(rows + 1, shift)
    middle = counts[a + shift : a + shift * ((b - 2 * shift + 1 - a) // shift)]
    mean = middle.mean() if middle.size else 0.0
    x, y = blocks[1:] - mean, blocks[:-1] - mean
    z = math.sqrt(float((x * x).sum() * (y * y).sum()))
    return 1.0 if z == 0 else float((x * y).sum()) / z


def variation(pair: Calls) -> float:
    """Standard deviation of the intervals over their mean; infinite with fewer than four connections."""
    gaps = np.diff(np.sort(pair.times))
    return float(gaps.std() / gaps.mean()) if gaps.size >= 3 and gaps.mean() > 0 else math.inf


def rank(scores: Mapping[Pair, float], pair: Pair) -> tuple[int, int]:
    """The places that a pair may take among all, greatest score first: first and last of those that tie with it."""
    mine = scores[pair]
    above = sum(1 for s in scores.values() if s > mine)
    return above + 1, above + sum(1 for s in scores.values() if s == mine)


def scores(pairs: Mapping[Pair, Calls]) -> dict[str, dict[Pair, float]]:
    """Every method's score of every pair, greater is more of a beacon; the window is that of all pairs."""
    if not pairs:
        return {}
    start = min(float(c.times[0]) for c in pairs.values())
    end = max(float(c.times[-1]) for c in pairs.values())
    found = {p: elastic(c, start, end) for p, c in pairs.items()}
    return {
        "RITA v5": {p: rita(c, start, end) for p, c in pairs.items()},
        "Elastic": {p: e.score + max(0.0, min(e.autocovariance, 1.0)) / 2 for p, e in found.items()},
        "plain variation": {p: -variation(c) for p, c in pairs.items()},
    }


def of_pairs(
    evidence: Sequence[Mapping[str, object]], pairs: Iterable[Pair], settings: FusionSettings
) -> dict[Pair, float]:
    """hopscope's own score of pairs: the prior and what each heuristic says of the pair, capped by group."""
    said: dict[Pair, dict[str, tuple[float, int]]] = {}
    for r in evidence:
        decibans = r["decibans"]
        assert isinstance(decibans, float)
        said.setdefault((str(r["client"]), str(r["server"])), {})[str(r["heuristic"])] = (decibans, 1)
    return {p: fusion.score_of(said.get(p, {}), settings) for p in pairs}
