"""The answer takes longer than the way to the hop: something stands behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, partners, rise, void_for_all
from hopscope.heuristics.gap_measures import LATE, STEADY_LATE, Column, Flags, Measured, distances, measure, own_devices

NAMED = 5  # clients named in a void


@dataclass(frozen=True)
class Settings:
    """[heuristics.path_gap]"""

    floor_ms: float = setting(15.0, "ms", "gaps below this are not told from noise (about 1,000 km of fibre and back)")
    full_ms: float = setting(30.0, "ms", "gap from which the size of the gap no longer matters")
    min_samples: int = setting(3, "connections", "first answers needed; later replies of one session serve as well")
    think_ratio: float = setting(
        0.3, "", "a later gap below this share of the hello's says: slow to greet, not far away"
    )
    quick_ratio: float = setting(
        0.25, "", "the same for first answers without TLS (twice by a dial, twice by requests that overlap)"
    )
    dial_low: float = setting(1.5, "", "first gap over later gap from which the hop dialled when it was called")
    dial_high: float = setting(2.8, "", "first gap over later gap up to which that holds")
    close_low: float = setting(0.7, "", "first gap over close gap from which both tell of one distance")
    steady: float = setting(0.25, "", "half the interquartile range over the gap up to which it is steady")
    steady_late: float = setting(0.1, "", "the same for later replies of a hop that ends TLS itself")
    steady_samples: int = setting(8, "connections", "connections with later replies needed to call those steady")
    agree_db: float = setting(
        6.0, "decibans", "weight of each further answer that agrees, where steadiness is the evidence"
    )
    dialled_tls_db: float = setting(
        35.0, "decibans", "the handshake itself is answered from afar, the first time by a dial"
    )
    below_tls_db: float = setting(32.0, "decibans", "the same, but seen to be answered without a dial")
    hello_db: float = setting(25.0, "decibans", "ServerHellos alone come from afar")
    dialled_db: float = setting(
        30.0, "decibans", "no TLS: first answers and closes come from afar, the first by a dial"
    )
    steady_db: float = setting(18.0, "decibans", "no TLS: first answers are late and steady")
    near_close_db: float = setting(2.0, "decibans", "taken from that where the hop answers the client's FIN itself")
    steady_late_db: float = setting(
        6.0, "decibans", "later replies are all late and steady, though TLS ends at the hop"
    )
    late_db: float = setting(5.0, "decibans", "answers are late, but TLS ends at the hop or nothing more is known")
    own_servers: int = setting(5, "addresses", "outside addresses of a client from which a device of ours can be told")
    own_share: float = setting(0.5, "fraction", "share of these with a gap from which our own side answers SYNs")
    own_same_ms: float = setting(
        3.0, "ms", "half the interquartile range of their SYN-ACK times up to which they are one"
    )


FACTS = (
    Fact("hop_rtt_ms", "ms", "least SYN to SYN-ACK time: the way to the hop"),
    Fact("hello_gap_ms", "ms", "10th percentile of ClientHello to ServerHello, minus the way to the hop"),
    Fact("hello_samples", "connections", "connections with both hellos"),
    Fact("finished_gap_ms", "ms", "the same for the client's Finished and the answer to it"),
    Fact("first_gap_ms", "ms", "the same for the first answer of connections without TLS"),
    Fact("first_samples", "connections", "connections with a first answer, without TLS"),
    Fact("reply_gap_ms", "ms", "the same for later replies"),
    Fact("replies", "replies", "later replies"),
    Fact("own_rtt_ms", "ms", "what our own side may add to later replies: the way from sensor to client and back"),
    Fact("close_gap_ms", "ms", "the same for the answer to the client's FIN"),
    Fact("closes", "connections", "connections that the client closed first, with an answer to that"),
    Fact(
        "distance_ms",
        "ms",
        "round trip from the hop to what answers behind it; null where a delay may be more than that",
    ),
    Fact(
        "spread_ms",
        "ms",
        "half the interquartile range of the measure that gave the distance, or half of what two differ by",
    ),
    Fact(
        "pattern",
        "",
        "below TLS, dialled on accept, relayed close, hellos only, steady first, steady late or late answers",
    ),
)


@dataclass(frozen=True)
class PathGap:
    """How much later than the hop itself does what stands behind it answer?

    Formula: with F the least SYN to SYN-ACK time of the pair, each gap is the 10th percentile of a reply
    time minus F (or the median of single connections' differences, if less: routes change). Five are kept
    apart: hello (ClientHello to ServerHello), finished (the client's Finished to the next record, free of a
    dial and of think time), first (first answer where there is no TLS), reply (later replies) and close
    (the client's FIN to what answers it: many relays pass both on). A relay below TLS shows the hello gap
    and, at about half to all of it, the finished or the reply gap; a server that is slow to greet shows the
    first alone and gets nothing. A hop that ends TLS near by shows late replies only: if they are many and
    steady it gets `steady_late_db`, since a distance doesn't vary and think time often does, else `late_db`.
    A redirector that dials when it is called shows, from the handshake's ACK, about twice its distance
    first and once later; where the client spoke later than that the dial can't be seen, and isn't missed.

    Our own side: the sensor sees SYN, hellos and FIN at the border, so the way to the client is in none of
    them. A later reply may hold it (a server that waits for the ACK of its last segment, by Nagle's
    algorithm), so replies count as late by what remains when the client's round trip is taken away. A SYN
    proxy or accelerator of ours shows as gaps nearly everywhere and one and the same SYN-ACK time: void for
    that client.

    Thresholds: `floor_ms` and upwards; `min_samples` first answers, or 1 in a session with that many
    later replies. The weight grows from half at the floor to all at `full_ms`, and with the number of
    independent measures m as m / (m + 0.3); where steadiness is the evidence, no more than `agree_db` for
    each answer after the first (a time that varies falls within the band about one time in four).

    Weights: NDSS 2025 (Xue et al., cross-layer RTT, threshold 15 ms): a single gap weighs 10 dB, one flow
    14 to 19 dB at a measured false rate of 0.6 %; per destination, when all flows agree, false rates fall
    below what 600,000 destinations show (NDSS 2024, Wails et al.), which bounds the weight at 47 dB; 35
    are used, since an accelerator that ends TCP near and TLS far looks the same and only prevalence,
    names and rhythm tell it from a hop. Without a dial 3 dB less: a third of the lab's sorts of hops have none
    (CONNECT and SOCKS proxies, a pool of ready connections); two thirds of accelerators, whose edges keep
    connections to each other, is assumed. A near close 2 dB less: 11 of the lab's 18 sorts of relays answer a
    FIN themselves, as every ordinary server does. Steady late replies 1 dB more than late ones: of the lab's
    late ordinary pairs with enough connections 84 % are steady (update services and agents whose server
    always thinks alike, edges in front of far origins), of its hops that end TLS all. Void on one-sided
    links; QUIC has no SYN and gives no evidence.
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
        """Evidence per pair; see the class. A client that meets a device of ours gives none, but a void row."""
        if window.vantage.one_sided:
            return void_for_all("only one direction of each connection is seen", FACTS)
        m = measure(window, settings.floor_ms)
        ours = own_devices(window, m, settings.floor_ms, settings.own_servers, settings.own_share, settings.own_same_ms)
        decibans, pattern = judge(m, settings)
        decibans[_of(m.rows, ours)] = 0.0
        distance, spread = distances(m, pattern, settings.min_samples, settings.steady, settings.close_low)
        values = {
            "hop_rtt_ms": _rounded(np.asarray(m.rows["hop_rtt_ms"])),
            "hello_gap_ms": _rounded(m.gaps["hello"]),
            "hello_samples": m.rows["hello_n"],
            "finished_gap_ms": _rounded(m.gaps["finished"]),
            "first_gap_ms": _rounded(m.gaps["first"]),
            "first_samples": m.rows["first_n"],
            "reply_gap_ms": _rounded(m.gaps["reply"]),
            "replies": m.rows["replies"],
            "own_rtt_ms": _rounded(m.own),
            "close_gap_ms": _rounded(m.gaps["close"]),
            "closes": m.rows["close_n"],
            "distance_ms": _rounded(distance),
            "spread_ms": _rounded(spread),
            "pattern": pa.array(pattern.tolist(), pa.string()),
        }
        told = window.samples.filter(window.samples.proto == "tcp", window.samples.first_reply.notnull())
        table = evidence(m.rows, decibans, f"path_gap.floor_ms = {settings.floor_ms:g} ms", FACTS, values, told)
        return (
            pa.concat_tables([table, _void(ours).select(table.column_names).cast(table.schema)]) if len(ours) else table
        )

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """The measured distance in words."""
        near = facts["hop_rtt_ms"]
        if facts["pattern"] in LATE:
            known = [facts[k] for k in ("reply_gap_ms", "first_gap_ms", "hello_gap_ms") if facts[k] is not None]
            alike = ", each time alike" if facts["pattern"] == STEADY_LATE else ""
            return (
                f"the address itself answers from {near:.0f} ms away, but what is asked of it takes "
                f"{known[0]:.0f} ms longer{alike}: somebody behind it answers, or it thinks that long"
            )
        far = near + facts["distance_ms"]
        return f"the address answers from {near:.0f} ms away, what it relays to answers from {far:.0f} ms"


def judge(m: Measured, s: Settings) -> tuple[Column, NDArray[np.object_]]:
    """Decibans and pattern of each pair."""
    gaps, counts = m.gaps, m.counts
    hello, first = gaps["hello"], gaps["first"]
    replies_ok = m.replies >= s.min_samples
    reply = np.where(replies_ok, gaps["reply"], np.nan)
    sure = reply - m.own  # what our own side can't explain
    wanted = np.maximum(s.floor_ms, s.think_ratio * hello)
    # a reply that is late, but not when our own round trip is taken away, tells neither of far nor of near
    later = np.fmin(gaps["finished"], np.where((sure >= wanted) | (reply < wanted), reply, np.nan))

    hello_far = (hello >= s.floor_ms) & ((counts["hello"] >= s.min_samples) | replies_ok)
    # Finished is answered without thinking: steady and late, it tells of distance whatever the hello took
    finished_far = (gaps["finished"] >= s.floor_ms) & (counts["finished"] >= s.min_samples)
    finished_far &= m.relative("finished") <= s.steady
    below_tls = hello_far & (finished_far | (later >= wanted))
    slow_to_greet = hello_far & (later < wanted) & ~below_tls
    hello_only = hello_far & np.isnan(later)
    # a dial begins with the ACK: its absence shows where the client spoke well before it could have ended
    seen_whole = m.pause <= later / 2
    ratio_hello = np.where(seen_whole, m.dial, hello) / np.maximum(later, 1.0)
    no_dial = below_tls & seen_whole & (ratio_hello < s.dial_low)

    first_far = (first >= s.floor_ms) & ((counts["first"] >= s.min_samples) | replies_ok)
    ratio_first = np.where(m.pause <= reply / 2, m.dial, first) / np.maximum(reply, 1.0)
    dialled = first_far & (sure >= s.floor_ms) & (ratio_first >= s.dial_low) & (ratio_first <= s.dial_high)
    # replies that come back quickly say that the first answer was slow, not far
    near_later = reply < np.maximum(s.floor_ms, s.quick_ratio * first)
    enough = counts["first"] >= s.min_samples
    steady = first_far & ~dialled & ~near_later & enough & (m.relative("first") <= s.steady)
    # a FIN is answered at once by who ends the connection: late and steady, it went all the way and back
    close, ratio_close = gaps["close"], first / np.maximum(gaps["close"], 1.0)
    closes = counts["close"] >= s.min_samples
    closed = closes & (close >= s.floor_ms) & (m.relative("close") <= s.steady)
    closed &= first_far & enough & ~near_later & (ratio_close >= s.close_low) & (ratio_close <= s.dial_high)
    near_close = closes & (close < s.floor_ms)
    late = (sure >= s.floor_ms) | (first_far & ~near_later) | (slow_to_greet & (later >= s.floor_ms))
    # think time varies, the way to the far end doesn't, and then no reply is ever quick
    steady_late = (sure >= s.floor_ms) & ~first_far & ~hello_far & (counts["reply"] >= s.steady_samples)
    steady_late &= (m.relative("reply") <= s.steady_late) & (m.least["reply"] - m.own >= s.think_ratio * reply)

    cases = [below_tls, hello_only, dialled, closed, steady, steady_late, late]
    below = np.where(no_dial, s.below_tls_db, s.dialled_tls_db)
    agreeing = np.minimum(s.steady_db - np.where(near_close, s.near_close_db, 0.0), s.agree_db * (counts["first"] - 1))
    weights: list[float | Column] = [
        below,
        s.hello_db,
        s.dialled_db,
        s.dialled_db,
        agreeing,
        s.steady_late_db,
        s.late_db,
    ]
    base = np.select(cases, [np.asarray(w, np.float64) for w in weights], 0.0)
    words = [
        np.where(ratio_hello >= s.dial_low, "dialled on accept, below TLS", "below TLS"),
        "hellos only",
        "dialled on accept",
        np.where(ratio_close >= s.dial_low, "dialled on accept, relayed close", "relayed close"),
        "steady first answers",
        STEADY_LATE,
        "late answers",
    ]
    pattern = np.select(cases, [np.asarray(w) for w in words], "")
    lateness = np.fmax(sure, first)
    gap = np.select(cases, [np.fmin(hello, later), hello, reply, close, first, sure, lateness], np.nan)
    seen = counts["hello"] + counts["finished"] + m.replies
    firsts = counts["first"] + m.replies
    measures = np.select(
        cases,
        [seen, counts["hello"], firsts, counts["first"] + counts["close"], counts["first"], m.replies, firsts], 0.0,
    )  # fmt: skip
    size = 0.5 + 0.5 * rise(gap, s.floor_ms, s.full_ms)
    return base * size * measures / (measures + 0.3), pattern.astype(object)


def _of(rows: pa.Table, ours: pa.Table) -> Flags:
    """Which rows are of those clients."""
    out: Flags = partners(rows, ours, ("sensor", "client")).is_valid().to_numpy(zero_copy_only=False)
    return out


def _void(ours: pa.Table) -> pa.Table:
    """One row that names the clients whose SYNs a device of ours answers."""
    named = [
        f"{c} ({rtt:.1f} ms)" for c, rtt in zip(ours["client"].to_pylist(), ours["rtt_ms"].to_pylist(), strict=True)
    ]
    more = f" and {len(named) - NAMED} more clients" if len(named) > NAMED else ""
    return void_for_all(
        f"a device on our own side answers the SYNs of {', '.join(named[:NAMED])}{more}: "
        "most of what they reach shows a gap, and all of it one way to the hop",
        FACTS,
    )


def _rounded(values: Column) -> pa.Array:
    return pa.array(np.round(values, 1), pa.float64(), from_pandas=True)


HEURISTIC = PathGap()
