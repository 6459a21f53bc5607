"""What `path_gap` measures of each pair: reply times beyond the way to the hop, and whose delay they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.heuristics.base import Window
from hopscope.heuristics.evidence import numbers, outbound
from hopscope.heuristics.segments import key_ids, offsets_of, quantiles
from hopscope.summaries.schema import KEY

Column = NDArray[np.float64]
Flags = NDArray[np.bool_]

MEASURES = ("hello", "finished", "first", "reply", "close")
STEADY_LATE = "steady late answers"
LATE = ("late answers", STEADY_LATE, "")  # patterns that tell of no distance, only of a delay
ROUNDING_MS = 0.01  # floors are whole microseconds
ROUGH = 0.05  # share of a reply's gap that our own side may be for the reply to tell a distance
PAIRED = 3  # connections from which the median of their own differences says something


@dataclass(frozen=True)
class Measured:
    """Columns of one value per row of `rows`; milliseconds unless it says otherwise, NaN where unknown.

    Per measure: `gaps`; `spreads`, half the interquartile range; `counts`, connections, 0 when none; `least`,
    the least time over the least way to the hop (the same way twice, each with the least jitter). `replies`
    counts later replies. `own` is what our own side may add to a later reply: the client's round trip, 90th
    percentile. `dial` is the first answer's gap counted from the handshake's ACK, `pause` the median time
    from that ACK to the client's first payload.
    """

    rows: pa.Table
    gaps: Mapping[str, Column]
    spreads: Mapping[str, Column]
    counts: Mapping[str, Column]
    least: Mapping[str, Column]
    replies: Column
    own: Column
    dial: Column
    pause: Column

    def relative(self, measure: str) -> Column:
        """The measure's spread as a share of its gap."""
        return np.asarray(self.spreads[measure] / np.maximum(self.gaps[measure], 1.0))


def measure(window: Window, floor_ms: float) -> Measured:
    """Per outbound TCP pair; only pairs of which some answer came `floor_ms` later than the hop's own.

    A gap is the 10th percentile of the reply times minus the pair's least SYN to SYN-ACK time, or the median
    of each connection's own difference where that is less: a route that changes within the window, or one
    early SYN-ACK by a shorter way, then makes no gap.
    """
    s = window.samples.filter(window.samples.proto == "tcp")
    # a first answer counts where TLS doesn't explain it and the client spoke first
    s = s.mutate(first=ibis.ifelse(s.hello_rtt.notnull(), ibis.null("float64"), s.first_reply))
    columns = {"hello": s.hello_rtt, "finished": s.finished_rtt, "first": s.first,
               "reply": s.reply_p10, "close": s.close_rtt}  # fmt: skip

    floor = _floors(window)
    # percentiles are dear: most pairs' greatest times rule a gap out
    greatest = (columns[k].max().coalesce(0) for k in ("hello", "first", "reply"))
    late = s.group_by("pair").agg(most=ibis.greatest(*greatest)).inner_join(floor, "pair")
    s = s.semi_join(late.filter(lambda t: t.most * 1e3 - t.hop_rtt_ms >= floor_ms - ROUNDING_MS), "pair")

    tallies: dict[str, Any] = {
        "replies": s.replies.sum(),
        "own": s.client_rtt.quantile(0.9) * 1e3,
        "pause": s.pause.median() * 1e3,
        "dial": (ibis.coalesce(s.hello_rtt, s.first) + s.pause).quantile(0.1) * 1e3,
    }
    for k, column in columns.items():
        tallies[k] = column.quantile(0.1) * 1e3
        tallies[f"{k}_least"] = column.min() * 1e3
        tallies[f"{k}_n"] = column.count()
        tallies[f"{k}_spread"] = (column.quantile(0.75) - column.quantile(0.25)) * 500
        tallies[f"{k}_paired"] = (column - s.tcp_rtt).median() * 1e3
        tallies[f"{k}_both"] = (column - s.tcp_rtt).count()
    told = s.group_by("pair").agg(**tallies)
    rows = outbound(window).select(*KEY).inner_join(told, "pair").inner_join(floor, "pair").to_pyarrow()

    hop = numbers(rows, "hop_rtt_ms")
    paired = {k: np.where(numbers(rows, f"{k}_both") >= PAIRED, numbers(rows, f"{k}_paired"), np.nan) for k in MEASURES}
    return Measured(
        rows=rows,
        gaps={k: np.fmin(numbers(rows, k) - hop, paired[k]) for k in MEASURES},
        spreads={k: numbers(rows, f"{k}_spread") for k in MEASURES},
        counts={k: np.nan_to_num(numbers(rows, f"{k}_n")) for k in MEASURES},
        least={k: numbers(rows, f"{k}_least") - hop for k in MEASURES},
        replies=np.nan_to_num(numbers(rows, "replies")),
        own=np.nan_to_num(numbers(rows, "own")),
        dial=numbers(rows, "dial") - hop,
        pause=numbers(rows, "pause"),
    )


def own_devices(window: Window, m: Measured, floor_ms: float, servers: int, share: float, same_ms: float) -> pa.Table:
    """The clients (sensor, client, rtt_ms) whose SYNs a device of ours answers.

    Servers all over the world don't lie at one distance, nor do most of them relay: a client of at least
    `servers` outside addresses, of which at least `share` show a gap in their first answers and whose
    SYN-ACKs take one and the same time (half the interquartile range up to `same_ms`), meets a SYN proxy
    or an accelerator on our side of the sensor.
    """
    p = outbound(window).select("pair", "sensor", "client", "server")
    near = p.inner_join(_floors(window), "pair").to_pyarrow()
    place = key_ids(near, ("sensor", "client", "server"))
    rtt = np.full(int(place.max(initial=-1)) + 1, np.inf)
    np.minimum.at(rtt, place, numbers(near, "hop_rtt_ms"))
    per_server = near.take(pa.array(np.unique(place, return_index=True)[1]))
    client = key_ids(per_server, ("sensor", "client"))
    order = np.argsort(client, kind="stable")
    low, middle, high = quantiles(rtt[order], offsets_of(client[order]), (0.25, 0.5, 0.75))
    clients = per_server.select(["sensor", "client"]).take(pa.array(np.unique(client, return_index=True)[1]))
    clients = clients.append_column("servers", pa.array(np.bincount(client)))
    clients = clients.append_column("rtt_ms", pa.array(middle))
    alike = clients.filter(pa.array((np.bincount(client) >= servers) & ((high - low) / 2 <= same_ms)))
    first = np.fmax(m.gaps["hello"], m.gaps["first"])
    late = m.rows.select(["sensor", "client", "server"]).filter(pa.array(np.nan_to_num(first) >= floor_ms))
    counted = late.group_by(["sensor", "client"]).aggregate([("server", "count_distinct")])
    both = alike.join(counted, ["sensor", "client"], join_type="inner")
    most = pc.greater_equal(pc.divide(both["server_count_distinct"].cast(pa.float64()), both["servers"]), share)
    return (
        both.filter(most)
        .select(["sensor", "client", "rtt_ms"])
        .sort_by([("sensor", "ascending"), ("client", "ascending")])
    )


def distances(
    m: Measured, pattern: NDArray[np.object_], min_samples: int, steady: float, close_low: float
) -> tuple[Column, Column]:
    """Distance behind the hop and its spread, ms; the spread is NaN where there is one time and nothing to compare.

    The least time over the least way to the hop, of the measure that knows it best: Finished or, where that
    was seen less than `min_samples` times, the replies of a session, unless those took time to think; a
    relayed close; else half the first answer, which waited for the dial. Later replies without TLS come last:
    a request that follows another closely is answered early. Steady late answers tell it where there is no
    TLS; where the hop ends TLS each may have waited for dials, once or thrice the distance, and it is NaN.
    """
    counts, least = m.counts, m.least
    told = np.array([p not in LATE for p in pattern], bool)
    # TLS that is answered near says nothing of where other connections of the pair go
    below = np.array(["TLS" in p or p == "hellos only" for p in pattern], bool)
    beside = told & ~below & (m.gaps["hello"] < m.gaps["first"] / 4)
    tls = (counts["hello"] > 0) & ~beside
    first = np.where(tls, m.gaps["hello"], m.gaps["first"])
    half = np.where(tls, least["hello"], least["first"]) / 2
    firsts = np.where(tls, counts["hello"], counts["first"])
    small = (m.own <= ROUGH * m.gaps["reply"] + 1.0) | (m.gaps["reply"] <= least["finished"])
    usable = (m.replies >= min_samples) & small
    replies = np.where(usable, m.gaps["reply"], np.nan)
    dialled = np.where(np.array([p.startswith("dialled") for p in pattern], bool), half, np.nan)
    finished, known = least["finished"], np.isfinite(least["finished"]) & ~beside
    close = np.where(m.gaps["close"] >= close_low * first / 2, least["close"], np.nan)
    # one Finished against many replies of the same session: replies, unless they think; then what is least
    agrees = replies <= (1 + steady) * finished
    single = np.where(agrees, replies, np.fmin(finished, dialled))
    other = np.where(agrees, finished, np.where(finished > single, finished, dialled))
    apart = np.where(firsts >= min_samples, np.where(tls, m.spreads["hello"], m.spreads["first"]) / 2, np.nan)
    apart = np.where(np.isnan(apart), np.abs(replies - half) / 2, apart)

    cases = [
        told & known & (counts["finished"] >= min_samples),
        told & known,
        told & (counts["close"] >= min_samples) & np.isfinite(close),
        told & tls & (replies >= 0),
        told,
        np.array([p == STEADY_LATE for p in pattern], bool) & ~tls,
    ]
    distance = np.select(cases, [finished, single, close, np.fmin(replies, half), half, m.gaps["reply"]], np.nan)
    late = np.where(counts["reply"] > 1, m.spreads["reply"], np.nan)
    widths = [m.spreads["finished"], np.abs(other - single) / 2, m.spreads["close"],
              np.abs(replies - half) / 2, apart, late]  # fmt: skip
    return distance, np.select(cases, widths, np.nan)


def _floors(window: Window) -> ir.Table:
    floors = window.floors.filter(window.floors.measure == "tcp_rtt")
    return floors.group_by("pair").agg(hop_rtt_ms=floors.value_us.min() / 1e3)
