"""A host that consumes everywhere else produces here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import setting
from hopscope.heuristics import outbound_pairs
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, numbers, rise, void_for_all
from hopscope.heuristics.learnt import version
from hopscope.heuristics.segments import Floats, Ints, key_ids, median_mad_of
from hopscope.summaries.schema import KEY

SPANS = {"3 hours": 3, "a day": 24, "a week": 168}  # what a host's own past is taken over, in hours
LEARNT = "the days of baseline {}"
SPAN_FACTS = dict(zip(("median_3h", "median_day", "median_week", "median_learnt"), (*SPANS, LEARNT), strict=True))
_HOST = ("sensor", "client")
_PLACE = (*_HOST, "server")
HOUR_US = 3_600_000_000
CONSISTENT = 1.4826  # a median absolute deviation times this is a standard deviation, where values are normal


@dataclass(frozen=True)
class Settings:
    """[heuristics.byte_ratio]"""

    floor: float = setting(0.3, "", "producer-consumer ratio from which a destination is fed (1: only upload)")
    full: float = setting(0.9, "", "ratio from which the size of the ratio no longer matters")
    min_bytes: int = setting(2000, "bytes", "uploaded payload below which the ratio says nothing")
    deviations: float = setting(3.0, "deviations", "distance from the host's own median, in robust deviations")
    min_deviation: float = setting(0.15, "", "least deviation assumed, for hosts that do only one thing")
    min_peers: int = setting(5, "destinations", "destinations that a host's own baseline needs")
    min_hours_day: int = setting(8, "hours", "hours with traffic that a day's baseline needs")
    min_hours_week: int = setting(24, "hours", "hours with traffic that a week's or a learnt baseline needs")
    most_db: float = setting(8.0, "decibans", "the most that this evidence weighs")


FACTS = (
    Fact("ratio", "", "producer-consumer ratio (up - down) / (up + down) of payload bytes: -1 download, +1 upload"),
    Fact("up", "bytes", "payload sent to the destination"),
    Fact("down", "bytes", "payload received from it"),
    Fact("host_median", "", "median ratio over the host's outside destinations"),
    Fact("host_deviation", "", "median absolute deviation of it, times 1.4826"),
    Fact("peers", "destinations", "destinations in the host's baseline"),
    Fact("median_3h", "", "median ratio of the host's last 3 hours towards the internet; null when one had no traffic"),
    Fact("median_day", "", "the same of the last day's hours; null when too few had traffic"),
    Fact("median_week", "", "the same of the last week's hours; null when too few had traffic"),
    Fact("median_learnt", "", "the same of the hours of the learnt baseline; null when it can't tell"),
    Fact("baselines", "", "how many baselines could tell: the host's destinations, 3 hours, day, week, learnt days"),
    Fact("unlike", "", "how many of them the destination is unlike"),
    Fact("baseline", "", "version of the learnt baseline; null when none was asked"),
)


@dataclass(frozen=True)
class ByteRatio:
    """Does this destination get more than it gives, against the host's habit?

    Formula: the producer-consumer ratio (up - down) / (up + down) of the pair counts from `floor` up, where it is
    `deviations` robust deviations (median absolute deviation times 1.4826, at least `min_deviation`) above the median
    of the host's habit. Up to five baselines tell that habit: the ratios of the host's outside destinations in the
    window, from `min_peers` on; and the hourly ratios of all that it exchanged with the internet in the last 3 hours
    (all of them), the last day (from `min_hours_day`), the last week (from `min_hours_week`) and the days of a learnt
    baseline (from `min_hours_week`, the window's own hours left out), hours of less than `min_bytes` left out. The
    weight is multiplied with the share of them that the destination is unlike; where none can tell, half is given for
    the floor alone.

    Weights: assumed, none are published; capped at `most_db`, since backups, agents that report and calls do the
    same. A host that feeds the internet by habit (a camera, a mail relay, a backup that runs for most of the day) is
    its own benign look-alike: its baselines say so. A backup once a night is not told apart. Source of the ratio:
    Bullard and Gerth, FloCon 2014; of the comparison with earlier hours: D3FEND's per host download-upload ratio
    analysis. Void on one-sided links.
    """

    name: str = "byte_ratio"
    title: str = "uploads where the host usually downloads"
    d3fend: str = "D3-PHDURA"
    group: str = "volume"
    source: str = "producer-consumer ratio, Bullard & Gerth 2014"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("orig_bytes",), ("resp_bytes",))

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        if window.vantage.one_sided:
            return void_for_all("only one direction of each connection is seen", FACTS)
        pairs = outbound_pairs.fetch(window)
        some = np.flatnonzero(numbers(pairs.rows, "orig_bytes") + numbers(pairs.rows, "resp_bytes") > 0)
        rows = pairs.rows.select([*KEY, "orig_bytes", "resp_bytes"]).take(pa.array(some))
        rows = rows.rename_columns([*KEY, "up", "down"])
        ratio = _ratio(numbers(rows, "up"), numbers(rows, "down"))
        median, deviation, peers = _habit(pairs.ids(*_PLACE)[some], pairs.ids(*_HOST)[some], ratio)
        spread = np.maximum(deviation, settings.min_deviation)
        fed = (ratio >= settings.floor) & (numbers(rows, "up") >= settings.min_bytes)
        past = _past(window, rows, settings) | _learnt(window, rows, settings)
        medians = np.vstack([np.where(peers >= settings.min_peers, median, np.nan), *(m for m, _ in past.values())])
        spreads = np.vstack([spread, *(np.maximum(d, settings.min_deviation) for _, d in past.values())])
        told = ~np.isnan(medians)
        with np.errstate(invalid="ignore"):
            unlike = told & ((ratio - medians) / spreads >= settings.deviations)
        share = np.where(told.any(axis=0), unlike.sum(axis=0) / np.maximum(told.sum(axis=0), 1), 0.5)
        size = 0.4 + 0.6 * rise(ratio, settings.floor, settings.full)
        decibans = np.where(fed, settings.most_db * size * share, 0.0)
        values = {
            "ratio": np.round(ratio, 3),
            "up": rows["up"],
            "down": rows["down"],
            "host_median": np.round(median, 3),
            "host_deviation": np.round(deviation, 3),
            "peers": peers,
            **{fact: np.round(past[span][0], 3) if span in past else pa.nulls(len(rows), pa.float64())
               for fact, span in SPAN_FACTS.items()},
            "baselines": told.sum(axis=0),
            "unlike": unlike.sum(axis=0),
            "baseline": version(window.baseline, len(rows)),
        }  # fmt: skip
        return evidence(rows, decibans, f"byte_ratio.floor = {settings.floor:g}", FACTS, values, window.samples)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """Both directions and the host's habit."""
        named = {fact: span for fact, span in SPAN_FACTS.items() if facts.get(fact) is not None}
        past = [f"over {span.format(facts.get('baseline'))} {facts[fact]:+.2f}" for fact, span in named.items()]
        return (
            f"{facts['up']:,} bytes up and {facts['down']:,} down (ratio {facts['ratio']:+.2f}; "
            f"this host's median over {facts['peers']} destinations is {facts['host_median']:+.2f}"
            f"{', of its hours ' if past else ''}{', '.join(past)})"
        )


def _ratio(up: Floats, down: Floats) -> Floats:
    return (up - down) / (up + down)


def _habit(place: Ints, host: Ints, ratio: Floats) -> tuple[Floats, Floats, Ints]:
    """Per row median and deviation of the ratios of the host's destinations, and how many these are.

    `place` numbers the host and destination of each row, `host` the host.
    """
    _, first, at = np.unique(place, return_index=True, return_inverse=True)
    mean = np.bincount(at, ratio, len(first)) / np.bincount(at, minlength=len(first))
    hosts = int(host.max(initial=-1)) + 1
    middle, deviation = _robust(mean, host[first], hosts, 0)
    return middle[host], deviation[host], np.bincount(host[first], minlength=hosts)[host]


def _past(window: Window, rows: pa.Table, settings: Settings) -> dict[str, tuple[Floats, Floats]]:
    """For each of SPANS the median and deviation of the host's hourly ratios, per row; NaN where it can't tell."""
    enough = {"3 hours": SPANS["3 hours"], "a day": settings.min_hours_day, "a week": settings.min_hours_week}
    last = max(window.start_us, window.end_us - 1) // HOUR_US
    h = window.host_hours
    h = h.filter(h.hour.between(last - max(SPANS.values()) + 1, last))
    h = h.filter(h.orig_bytes + h.resp_bytes >= max(settings.min_bytes, 1))
    hours = h.select("sensor", "hour", "orig_bytes", "resp_bytes", client=h.host).to_pyarrow()
    ratio, of_hour, of_row, hosts = _hourly(hours, rows)
    ago = last - np.asarray(hours["hour"].to_numpy(), np.int64)
    out = {}
    for span, length in SPANS.items():
        middle, deviation = _robust(ratio[ago < length], of_hour[ago < length], hosts, enough[span])
        out[span] = middle[of_row], deviation[of_row]
    return out


def _learnt(window: Window, rows: pa.Table, settings: Settings) -> dict[str, tuple[Floats, Floats]]:
    """The same over the days of the learnt baseline, as far as they lie outside the window; nothing without one."""
    if window.baseline is None:
        return {}
    h = window.baseline.host_hours
    first, last = window.start_us // HOUR_US, max(window.start_us, window.end_us - 1) // HOUR_US
    before = pc.or_(pc.less(h["hour"], first), pc.greater(h["hour"], last))
    enough = pc.greater_equal(pc.add(h["orig_bytes"], h["resp_bytes"]), max(settings.min_bytes, 1))
    ours = pc.is_in(h["host"], value_set=pc.unique(rows["client"]))
    h = h.filter(pc.and_(pc.and_(before, enough), ours))
    ratio, of_hour, of_row, hosts = _hourly(h.append_column("client", h["host"]), rows)
    middle, deviation = _robust(ratio, of_hour, hosts, settings.min_hours_week)
    return {LEARNT: (middle[of_row], deviation[of_row])}


def _hourly(hours: pa.Table, rows: pa.Table) -> tuple[Floats, Ints, Ints, int]:
    """The ratio of each hour of a host, the number of the host of each hour and of each row, and how many there are."""
    host = key_ids(pa.concat_tables([t.select(_HOST) for t in (hours, rows)]), _HOST)
    ratio = _ratio(numbers(hours, "orig_bytes"), numbers(hours, "resp_bytes"))
    return ratio, host[: len(hours)], host[len(hours) :], int(host.max(initial=-1)) + 1


def _robust(values: Floats, group: Ints, groups: int, least: int) -> tuple[Floats, Floats]:
    """Median and deviation of each group; NaN for those of fewer than `least` values."""
    middle, off = median_mad_of(values, group, groups)
    few = np.bincount(group, minlength=groups) < least
    return np.where(few, np.nan, middle), np.where(few, np.nan, CONSISTENT * off)


HEURISTIC = ByteRatio()
