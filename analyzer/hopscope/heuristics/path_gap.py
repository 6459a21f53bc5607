"""The answer takes longer than the way to the hop: something stands behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, numbers, outbound, rise, void_for_all
from hopscope.summaries.schema import KEY

Column = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """[heuristics.path_gap]"""

    floor_ms: float = setting(15.0, "ms", "gaps below this are not told from noise (about 1,000 km of fibre and back)")
    full_ms: float = setting(30.0, "ms", "gap from which the size of the gap no longer matters")
    min_samples: int = setting(3, "connections", "first answers needed; later replies of one session serve as well")
    think_ratio: float = setting(0.3, "", "a later gap below this share of the first says: slow to greet, not far away")
    dial_low: float = setting(1.5, "", "first gap over later gap from which the hop dialled when it was called")
    close_low: float = setting(0.7, "", "first gap over close gap from which both tell of one distance")
    dial_high: float = setting(2.8, "", "first gap over later gap up to which that holds")
    steady: float = setting(0.25, "", "half the interquartile range over the gap up to which it is steady")
    below_tls_db: float = setting(35.0, "decibans", "the handshake itself is answered from afar, by every measure")
    hello_db: float = setting(25.0, "decibans", "ServerHellos alone come from afar")
    dialled_db: float = setting(
        30.0, "decibans", "no TLS: first answers and closes come from afar, the first by a dial"
    )
    steady_db: float = setting(18.0, "decibans", "no TLS: first answers are late and steady")
    late_db: float = setting(5.0, "decibans", "answers are late, but TLS ends at the hop or nothing more is known")


ROUNDING_MS = 0.01  # floors are whole microseconds
MEASURES = ("hello", "finished", "first", "reply", "close")
FACTS = (
    Fact("hop_rtt_ms", "ms", "least SYN to SYN-ACK time: the way to the hop"),
    Fact("hello_gap_ms", "ms", "10th percentile of ClientHello to ServerHello, minus the way to the hop"),
    Fact("hello_samples", "connections", "connections with both hellos"),
    Fact("finished_gap_ms", "ms", "the same for the client's Finished and the answer to it"),
    Fact("first_gap_ms", "ms", "the same for the first answer of connections without TLS"),
    Fact("first_samples", "connections", "connections with a first answer, without TLS"),
    Fact("reply_gap_ms", "ms", "the same for later replies"),
    Fact("replies", "replies", "later replies"),
    Fact("close_gap_ms", "ms", "the same for the answer to the client's FIN"),
    Fact("closes", "connections", "connections that the client closed first, with an answer to that"),
    Fact("distance_ms", "ms", "round trip from the hop to what answers behind it"),
    Fact("spread_ms", "ms", "half the interquartile range of the measure that gave the distance"),
    Fact("pattern", "", "below TLS, dialled on accept, relayed close, hellos only, steady first or late answers"),
)


@dataclass(frozen=True)
class PathGap:
    """How much later than the hop itself does what stands behind it answer?

    Formula: with F the least SYN to SYN-ACK time of the pair, each gap is the 10th percentile of a reply
    time minus F. Five are kept apart: hello (ClientHello to ServerHello), finished (the client's Finished
    to the next record, free of a dial and of think time), first (first answer where there is no TLS),
    reply (later replies) and close (the client's FIN to what answers it: a relay passes both on). A relay
    below TLS shows the hello gap and, at about half to all of it, the finished or the reply gap; a server
    that is slow to greet shows the first alone and gets nothing; an edge that ends TLS near by shows only
    late replies and gets little. A redirector that dials when it is called shows about twice its distance
    first and once later: the distance is the later gap.

    Thresholds: `floor_ms` and upwards; `min_samples` first answers, or 1 in a session with that many
    later replies. The weight grows from half at the floor to all at `full_ms`, and with the number of
    independent measures m as m / (m + 0.3).

    Weights: NDSS 2025 (Xue et al., cross-layer RTT, threshold 15 ms): a single gap weighs 10 dB, one flow
    14 to 19 dB at a measured false rate of 0.6 %; per destination, when all flows agree, false rates fall
    below what 600,000 destinations show (NDSS 2024, Wails et al.), which bounds the weight at 47 dB; 35
    are used, since an accelerator that ends TCP near and TLS far looks the same and only prevalence,
    names and rhythm tell it from a hop. `late_db` is small because edges in front of far origins are common.
    Void on one-sided links; QUIC has no SYN and gives no evidence.
    """

    name: str = "path_gap"
    title: str = "answers come from farther away than the address"
    d3fend: str = "D3-PMAD"
    group: str = "gap"
    source: str = "NDSS 2025 (cross-layer RTT), NDSS 2024 (host aggregation)"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (
        ("tcp_rtt",),
        ("hello_rtt", "finished_rtt", "first_reply", "reply_p10", "close_rtt"),
    )

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        if window.vantage.one_sided:
            return void_for_all("only one direction of each connection is seen", FACTS)
        rows = _measures(window, settings.floor_ms)
        gaps = {k: numbers(rows, k) - numbers(rows, "hop_rtt_ms") for k in MEASURES}
        counts = {k: np.nan_to_num(numbers(rows, f"{k}_n")) for k in gaps}
        spreads = {k: numbers(rows, f"{k}_spread") / np.maximum(gaps[k], 1.0) for k in ("first", "close", "finished")}
        decibans, pattern = judge(gaps, counts, spreads, settings)
        distance, spread = _distance(gaps, counts, rows, pattern)
        values = {
            "hop_rtt_ms": _rounded(numbers(rows, "hop_rtt_ms")),
            "hello_gap_ms": _rounded(gaps["hello"]),
            "hello_samples": rows["hello_n"],
            "finished_gap_ms": _rounded(gaps["finished"]),
            "first_gap_ms": _rounded(gaps["first"]),
            "first_samples": rows["first_n"],
            "reply_gap_ms": _rounded(gaps["reply"]),
            "replies": rows["reply_n"],
            "close_gap_ms": _rounded(gaps["close"]),
            "closes": rows["close_n"],
            "distance_ms": _rounded(distance),
            "spread_ms": _rounded(spread),
            "pattern": pa.array(pattern.tolist(), pa.string()),
        }
        told = window.samples.filter(window.samples.proto == "tcp", window.samples.first_reply.notnull())
        return evidence(rows, decibans, f"path_gap.floor_ms = {settings.floor_ms:g} ms", FACTS, values, told)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """The measured distance in words."""
        near = facts["hop_rtt_ms"]
        far = near + facts["distance_ms"]
        text = f"the address answers from {near:.0f} ms away, what it relays to answers from {far:.0f} ms"
        return text if facts["pattern"] != "late answers" else f"{text} (or it thinks that long)"


def judge(
    gaps: Mapping[str, Column], counts: Mapping[str, Column], spreads: Mapping[str, Column], s: Settings
) -> tuple[Column, NDArray[np.object_]]:
    """Decibans and pattern of each pair from its gaps (ms, NaN where unknown), their counts and relative spreads."""
    hello, first, reply = gaps["hello"], gaps["first"], gaps["reply"]
    replies_ok = counts["reply"] >= s.min_samples
    reply = np.where(replies_ok, reply, np.nan)
    later = np.fmin(gaps["finished"], reply)
    ratio_hello, ratio_first = hello / np.maximum(later, 1.0), first / np.maximum(reply, 1.0)

    hello_far = (hello >= s.floor_ms) & ((counts["hello"] >= s.min_samples) | replies_ok)
    slow_to_greet = hello_far & (later < np.maximum(s.floor_ms, s.think_ratio * hello))
    # Finished is answered without thinking: steady and late, it tells of distance whatever the hello took
    finished_far = (gaps["finished"] >= s.floor_ms) & (counts["finished"] >= s.min_samples)
    finished_far &= spreads["finished"] <= s.steady
    below_tls = hello_far & (finished_far | (later >= np.maximum(s.floor_ms, s.think_ratio * hello)))
    slow_to_greet &= ~below_tls
    hello_only = hello_far & np.isnan(later)
    first_far = (first >= s.floor_ms) & ((counts["first"] >= s.min_samples) | replies_ok)
    dialled = first_far & (reply >= s.floor_ms) & (ratio_first >= s.dial_low) & (ratio_first <= s.dial_high)
    # replies that come back quickly say that the first answer was slow, not far
    near_later = reply < np.maximum(s.floor_ms, s.think_ratio * first)
    enough = counts["first"] >= s.min_samples
    steady = first_far & ~dialled & ~near_later & enough & (spreads["first"] <= s.steady)
    # a FIN is answered at once by who ends the connection: late and steady, it went all the way and back
    close, ratio_close = gaps["close"], first / np.maximum(gaps["close"], 1.0)
    closed = (close >= s.floor_ms) & (counts["close"] >= s.min_samples) & (spreads["close"] <= s.steady)
    closed &= first_far & enough & ~near_later & (ratio_close >= s.close_low) & (ratio_close <= s.dial_high)
    late = (reply >= s.floor_ms) | (first_far & ~near_later) | (slow_to_greet & (later >= s.floor_ms))

    cases = [below_tls, hello_only, dialled, closed, steady, late]
    base = np.select(cases, [s.below_tls_db, s.hello_db, s.dialled_db, s.dialled_db, s.steady_db, s.late_db], 0.0)
    words = np.where(below_tls & (ratio_hello >= s.dial_low), "dialled on accept, below TLS", "below TLS")
    words_close = np.where(ratio_close >= s.dial_low, "dialled on accept, relayed close", "relayed close")
    fixed = [np.asarray(w) for w in ("hellos only", "dialled on accept", "steady first answers", "late answers")]
    pattern = np.select(cases, [words, fixed[0], fixed[1], words_close, *fixed[2:]], "")
    gap = np.select(cases, [np.fmin(hello, later), hello, reply, close, first, np.fmax(reply, first)], np.nan)
    measures = np.select(
        cases,
        [counts["hello"] + counts["finished"] + counts["reply"], counts["hello"],
         counts["first"] + counts["reply"], counts["first"] + counts["close"], counts["first"],
         counts["reply"] + counts["first"]], 0.0)  # fmt: skip
    size = 0.5 + 0.5 * rise(gap, s.floor_ms, s.full_ms)
    return base * size * measures / (measures + 0.3), pattern.astype(object)


def _measures(window: Window, floor_ms: float) -> pa.Table:
    """Per pair: 10th percentiles in ms, quartile spreads and counts of each reply time, and the floor.

    Only pairs of which a hello, a first answer or a reply came that much later than the floor.
    """
    s = window.samples.filter(window.samples.proto == "tcp")
    tls = s.hello_rtt.notnull()
    # a first answer counts where TLS doesn't explain it and the client spoke first
    s = s.mutate(first=ibis.ifelse(tls, ibis.null("float64"), s.first_reply))

    floors = window.floors.filter(window.floors.measure == "tcp_rtt")
    floor = floors.group_by("pair").agg(hop_rtt_ms=floors.value_us.min() / 1e3)
    # percentiles are dear: most pairs' greatest times rule a gap out
    latest = s.group_by("pair").agg(
        most=ibis.greatest(*(c.max().coalesce(0) for c in (s.hello_rtt, s.first, s.reply_p10)))
    )
    late = latest.inner_join(floor, "pair").filter(lambda t: t.most * 1e3 - t.hop_rtt_ms >= floor_ms - ROUNDING_MS)
    s = s.semi_join(late, "pair")

    def spread(column: Any) -> Any:
        return (column.quantile(0.75) - column.quantile(0.25)) * 500

    tallies = s.group_by("pair").agg(
        hello=s.hello_rtt.quantile(0.1) * 1e3, hello_n=s.hello_rtt.count(), hello_spread=spread(s.hello_rtt),
        finished=s.finished_rtt.quantile(0.1) * 1e3, finished_n=s.finished_rtt.count(),
        finished_spread=spread(s.finished_rtt),
        first=s.first.quantile(0.1) * 1e3, first_n=s.first.count(), first_spread=spread(s.first),
        reply=s.reply_p10.quantile(0.1) * 1e3, reply_n=s.replies.sum(), reply_spread=spread(s.reply_p10),
        close=s.close_rtt.quantile(0.1) * 1e3, close_n=s.close_rtt.count(), close_spread=spread(s.close_rtt),
    )  # fmt: skip
    return outbound(window).select(*KEY).inner_join(tallies, "pair").inner_join(floor, "pair").to_pyarrow()


def _distance(
    gaps: Mapping[str, Column], counts: Mapping[str, Column], rows: pa.Table, pattern: NDArray[np.object_]
) -> tuple[Column, Column]:
    """Distance behind the hop and its spread, ms: the later gap where there is one, else half the first (the dial)."""
    hello_half, first_half = gaps["hello"] / 2, gaps["first"] / 2
    tls = counts["hello"] > 0
    reply_known = (counts["reply"] >= 3) & ~((pattern == "late answers") & tls & (gaps["finished"] > gaps["reply"]))
    by_close = (counts["close"] > 0) & (gaps["close"] >= 0.35 * np.fmax(gaps["hello"], gaps["first"]))
    cases = [
        tls & (counts["finished"] > 0) & (pattern != "late answers"),
        reply_known,
        by_close,
        tls,
        counts["first"] > 0,
    ]
    distance = np.select(cases, [gaps["finished"], gaps["reply"], gaps["close"], hello_half, first_half], np.nan)
    spreads = [numbers(rows, f"{k}_spread") for k in ("finished", "reply", "close")]
    return distance, np.select(cases, [*spreads, hello_half, first_half], np.nan)


def _rounded(values: Column) -> pa.Array:
    return pa.array(np.round(values, 1), pa.float64(), from_pandas=True)


HEURISTIC = PathGap()
