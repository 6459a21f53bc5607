"""Both legs through one of our hosts: what comes in goes out again, with the same bytes or the same pauses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.coincidence import Coincidences, Ons, Rule, coincide
from hopscope.heuristics.evidence import numbers, partners, void_for_all
from hopscope.heuristics.leg_matching import Legs, Matches, Runs, far_runs, match, near_runs
from hopscope.heuristics.relay_evidence import FACTS, SECOND, by_bytes, by_pauses, for_our_own, stronger
from hopscope.heuristics.segments import Flags, Floats, Ints, key_ids
from hopscope.records import SEGMENT_SECONDS
from hopscope.summaries.condense import PASSES_ON

BY_DESIGN = f"(^|,)({'|'.join(PASSES_ON)})(,|$)"  # short connections of one of these alone leave no legs


@dataclass(frozen=True)
class Settings:
    """[heuristics.relay_pattern]"""

    max_lag_s: float = setting(5.0, "s", "a far leg starts at most this long after its near leg")
    end_gap_s: float = setting(2.0, "s", "near and far leg end within this time of each other")
    end_share: float = setting(0.1, "", "or within this share of the near leg's length")
    offset_bytes: float = setting(600.0, "bytes", "difference in bytes each way that a relay's own words may make")
    anew_bytes: float = setting(6000.0, "bytes", "the same that encryption anew may make: a handshake")
    full_share: float = setting(0.5, "", "share of the far end's connections that match from which all weight counts")
    timing_db: float = setting(15.0, "decibans", "weight of start and end in step, over many sessions")
    timing_half: float = setting(2.0, "sessions", "number of sessions at which half of that is reached")
    level_db: float = setting(40.0, "decibans", "most that byte counts which agree may weigh")
    follow_db: float = setting(30.0, "decibans", "most that byte counts which change together may weigh")
    max_db: float = setting(45.0, "decibans", "most that both legs may weigh")
    pause_delta_ms: float = setting(80.0, "ms", "payload after a pause follows payload at the other leg within this")
    pause_share: float = setting(0.3, "", "least share of the pauses, at the leg with fewer, that end together")
    pause_far_share: float = setting(0.7, "", "share of the far leg's pauses from which all weight counts")
    pause_run: int = setting(2, "pauses", "pauses in a row that end together, where the far leg is the later one")
    pause_run_kept: int = setting(4, "pauses", "the same where the far leg was open before the near one")
    pause_run_per: int = setting(100, "pauses", "pauses above which more in a row are asked for, in proportion")
    pause_few: int = setting(4, "pauses", "least pauses that end together, each way")
    pause_full: int = setting(8, "pauses", "pauses at no fixed interval, each way, from which all weight counts")
    pause_swift_ms: float = setting(10.0, "ms", "payload that is passed on within this was not worked on")
    pause_work_db: float = setting(10.0, "decibans", "what goes from pauses that end four times that apart")
    pause_db: float = setting(35.0, "decibans", "most that pauses which end together may weigh")


_NEAR = ("sensor", "host", "own_port", "proto")
_SANE_SECONDS = 1e9  # longer is no time
_SESSION = ("sensor", "host", "role", "uid")
_FAR = ("sensor", "host", "peer", "peer_port", "proto")


@dataclass(frozen=True)
class RelayPattern:
    """Does one of our hosts pass on what strangers send it?

    A near leg is a connection that our host accepts, a far leg one that it makes to the internet. Segments
    are merged per connection. Either their bytes agree, or their pauses do; the stronger is told.

    Bytes. Candidates start 0 to `max_lag_s` apart and end within `end_gap_s` or `end_share` of the near
    leg's length; what goes in at one must come out at the other, both ways, within `offset_bytes` or a tenth
    (a relay's own words: SOCKS, CONNECT, PROXY). Each leg is matched once, the least likely coincidence of
    bytes first. Of what is left, several far legs one after another may carry on one near leg, or several
    near legs one far leg, when their bytes together agree within `offset_bytes` or a hundredth. Formula, per
    accepting port and far end:

    timing = `timing_db` · n / (n + `timing_half`) for n matched sessions;
    level = the median session's -10 log10 of the chance that unrelated byte counts agree as well: per
    direction (2 · difference + 16) / (half the size), and not less than the share of the host's other far
    legs that agree as well; at most `level_db`;
    follow = sum over directions of n · 10 log10 of (2 · v + 16) / (2 · d + 16), times (n - 1) / n, where d is
    the mean distance of the differences from their median and v the lesser of both sides' mean distances of
    their bytes from theirs; nothing where the quotient is below 2; at most `follow_db`. Sessions that are all
    alike say nothing here.
    From the sum go 10 log10 of the near legs that time alone allowed (mean over the matches) and of the
    host's far ends that were in question. The whole is scaled by the share of the far end's sessions that
    match, full from `full_share`, and at most `max_db`.

    Sessions of which each is encrypted anew differ by a handshake, much the same each time: within `anew_bytes`
    the same formula holds without level, and with twice the lesser of both directions' follow, since a form
    that a visitor fills in is passed on to a service as well, but not the service's answer to the visitor.

    Pauses (Zhang and Paxson's ON/OFF coincidence, for legs that are encrypted anew or multiplexed). A pause
    is 0.5 s without payload in one direction. Per near peer, accepting port and far end: payload that ends a
    pause at the far leg must follow such payload at the near leg within `pause_delta_ms`, and replies the
    other way round; each way for `pause_share` of the pauses of the leg that has fewer, `pause_few` times,
    and `pause_run` (`pause_run_kept`) times in a row, times n / `pause_run_per` for n pauses above that.
    timing = -10 log10 of the chance of so many between unrelated legs (Chernoff's bound, the worse way; the
    chance of one is the other leg's pauses per `pause_delta_ms`, or what is found when its times are shifted
    by some seconds, whichever is more), less 10 log10 of the pairs compared on this host; at most
    `pause_db`. Only coincidences that a common clock can't explain count: those whose distance from the one
    before is not the usual one. Full from `pause_full` of them, and from `pause_far_share` of the far leg's
    pauses: a server's connection that many visitors share is explained by none of them alone.
    work = what goes from that when the slower way takes longer (median) than `pause_swift_ms`, all of
    `pause_work_db` from four times that: a relay only copies, a server reads, computes and writes.
    volume = both ways, the likelihood ratio that the bytes are one content in two encryptions (log10 of their
    ratio normal about 0 with deviation 0.2, after 4 KB per session for handshakes) against unrelated sizes
    (spread evenly over three powers of ten); at least -15 dB each way, near +8 at most, less for few bytes.

    A port that carries many of our own clients to many far ends is a proxy of our own: for such clients
    10 log10 of clients times far ends goes from either result (assumed). Strangers' sessions keep all.

    A shop that calls a payment service for each visitor is in step, but other bytes go in and out: it
    stays below 28 dB even where sizes happen to be near. With few visitors on connections kept open its
    pauses end together too, and the volume tells it apart. DNS, NTP and mail servers pass on by design and
    are left out (by content, not by port), and so are `vantage.own_proxies` and peers that our host itself
    calls back; a reverse proxy towards internal servers has no far leg to the internet. A gateway of our own
    that passes each request of one client on to the internet is a relay by all that can be seen: declare it.
    A relay that speaks only at fixed intervals, encrypted anew, is not found.

    Source: D3FEND Relay Pattern Analysis; Zhang & Paxson 2000 (0.5 s, 80 ms, 0.3, 2 or 4 in a row, 100).
    Weights: correlating both legs reaches true rates above 0.99 at a false rate of 1e-3 (30 dB) and 0.71 to
    0.79 at 1e-5 (48 dB) for socat and SSH (Mathews et al. 2026, stepping stones), by timing alone, against
    unrelated flows. So pauses weigh between the two, nearer the former (published, the place between them
    assumed); start and end in step half of the former, since servers that call out are in step too (assumed);
    the whole stays below the latter. `pause_full`, `pause_far_share`, `pause_swift_ms` and the spreads of
    volume are assumed: no rate is published for them. Void on one-sided links.
    """

    name: str = "relay_pattern"
    title: str = "a host of ours passes on what it is sent"
    d3fend: str = "D3-RPA"
    group: str = "relay"
    source: str = "D3FEND; Zhang & Paxson 2000; Mathews et al. 2026"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("orig_bytes",), ("resp_bytes",))

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence about host and accepting port, one row per near peer and far end."""
        if window.vantage.one_sided:
            return void_for_all("only one direction of each connection is seen", FACTS)
        rows = _sessions(window)
        hosts, near, far = (
            key_ids(rows, ("sensor", "host")),
            _flags(pc.equal(rows["role"], "accept")),
            _flags(pc.equal(rows["role"], "connect")),
        )
        near_rows, far_rows = rows.filter(pa.array(near)), rows.filter(pa.array(far))
        near_legs, far_legs = _legs(near_rows, hosts[near], _NEAR), _legs(far_rows, hosts[far], _FAR)
        of_peer = _legs(near_rows, hosts[near], (*_NEAR, "peer"))
        bounds = (round(settings.max_lag_s * SECOND), round(settings.end_gap_s * SECOND), settings.end_share)
        near_bytes = settings.offset_bytes
        found = match(near_legs, far_legs, *bounds, near_bytes)
        matched = _joined(
            _singly(near_legs, far_legs, found),
            far_runs(near_legs, far_legs, found, *bounds, near_bytes),
            near_runs(of_peer, far_legs, found, *bounds, near_bytes),
        )
        asked = found.looks > 0
        asked[matched.far] = True
        anew = match(near_legs, far_legs, *bounds, settings.anew_bytes)
        sides = near_rows, far_rows, near_legs, far_legs
        found_here = stronger(
            by_bytes(*sides, matched, asked, settings),
            by_bytes(*sides, _singly(near_legs, far_legs, anew), anew.looks > 0, settings, anew=True),
            _pauses(window, near_rows, far_rows, of_peer, far_legs, settings),
        )
        ours = near_rows["peer"].filter(pc.fill_null(near_rows["peer_local"], False))
        return for_our_own(found_here, ours.combine_chunks())

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """Who passes what on to whom."""
        to = f"{facts['far_peer']} port {facts['far_port']}"
        if facts["coincidences"] is not None:
            return (
                f"in {facts['coincidences']} of {facts['pauses']} cases payload after a pause is passed on within"
                f" {1000 * facts['passing_s']:.0f} ms between a connection that came in and one to {to},"
                f" to it and back ({facts['bytes']} bytes)"
            )
        return (
            f"{facts['far_matched']} of {facts['far_sessions']} connections to {to}"
            f" start {facts['start_lag_s']:.2f} s after one that came in and carry the same bytes"
            f" ({100 * facts['byte_agreement']:.1f} % agreement, {facts['bytes']} bytes)"
        )


def _sessions(window: Window) -> pa.Table:
    """Whole connections of hosts that accept and also connect to the internet, in order of (host, start, uid)."""
    legs = _useful(window)
    whole = legs.group_by("sensor", "host", "role", "uid", "peer", "peer_local", "peer_port", "own_port", "proto").agg(
        start=legs.start_us.min(), end=legs.end_us.max(), into=legs.in_bytes.sum(), out=legs.out_bytes.sum(),
        service=legs.service.max(), ons=legs.on_starts.length().sum(),
    )  # fmt: skip
    whole = whole.filter(whole.service.isnull() | ~whole.service.re_search(BY_DESIGN))
    return whole.to_pyarrow().sort_by([(k, "ascending") for k in ("sensor", "host", "start", "uid")])


def _useful(window: Window) -> ir.Table:
    """Leg rows of hosts that accept and also connect to the internet, our own proxies left out."""
    legs = window.legs
    legs = legs.filter((legs.role == "accept") | ~legs.peer_local)
    legs = legs.filter(legs.in_bytes.notnull() & legs.out_bytes.notnull() & ~legs.host.isin(window.vantage.own_proxies))
    roles = legs.group_by("sensor", "host").agg(roles=legs.role.nunique())
    return legs.semi_join(roles.filter(roles.roles == 2), ["sensor", "host"])


def _pauses(window: Window, near_rows: pa.Table, far_rows: pa.Table, near: Legs, far: Legs, s: Settings) -> pa.Table:
    """Evidence of legs whose pauses end together; reads the segments of hosts where some legs have enough."""
    enough = [
        rows.filter(pa.array(np.bincount(legs.group, numbers(rows, "ons"))[legs.group] >= 2 * s.pause_few))
        if rows.num_rows else rows for rows, legs in ((near_rows, near), (far_rows, far))
    ]  # fmt: skip
    hosts = [rows.group_by(["sensor", "host"]).aggregate([]) for rows in enough]
    both = hosts[0].join(hosts[1], ["sensor", "host"], join_type="inner")
    segments = _segments(window, sorted(set(both["host"].to_pylist())))
    near_at, far_at = (_places(segments, rows) for rows in (near_rows, far_rows))
    rule = Rule(
        round(s.pause_delta_ms * 1000), s.pause_share, s.pause_few, s.pause_run, s.pause_run_kept, s.pause_run_per
    )
    c = coincide(near, far, _ons(segments, near_at, outward=False), _ons(segments, far_at, outward=True), rule)
    near_bytes = _between(segments, near_at, near.group, c.near, c)
    far_bytes = _between(segments, far_at, far.group, c.far, c)
    return by_pauses(near_rows, far_rows, near, far, c, near_bytes, far_bytes, s)


def _segments(window: Window, hosts: list[str]) -> pa.Table:
    """All segments of the legs of `hosts`, with the time each begins."""
    legs = _useful(window)
    legs = legs.filter(legs.host.isin(hosts)) if hosts else legs.limit(0)
    begin = legs.start_us + legs.seg.cast("int64") * (SEGMENT_SECONDS * SECOND)
    columns = (*_SESSION, "start_us", "end_us", "in_bytes", "out_bytes", "on_starts")
    return legs.select(*columns, begin_us=begin).to_pyarrow()


def _places(segments: pa.Table, rows: pa.Table) -> Ints:
    """For each segment the place of its session in `rows`, -1 when it isn't there."""
    out: Ints = partners(segments, rows, _SESSION).fill_null(-1).to_numpy()
    return out


def _ons(segments: pa.Table, at: Ints, outward: bool) -> Ons:
    """The ON starts of the sessions at `at`. `outward`: our host is the originator, whose ON starts are positive."""
    lists = segments["on_starts"].combine_chunks()
    times = np.asarray(lists.flatten().cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False))
    row = np.asarray(pc.list_parent_indices(lists), np.int64)
    sane = np.isfinite(times) & (np.abs(times) < _SANE_SECONDS) & (at[row] >= 0)
    times, row = times[sane], row[sane]
    start = np.asarray(segments["start_us"].to_numpy(), np.int64)[row]
    return Ons(at[row], start + np.round(np.abs(times) * SECOND).astype(np.int64), (times < 0) == outward)


def _between(segments: pa.Table, at: Ints, group: Ints, which: Ints, c: Coincidences) -> tuple[Floats, Floats]:
    """Bytes in and out of each pair's group, in the segments that touch the time of both."""
    known = at >= 0
    of = group[at[known]]
    begin, end = (np.asarray(segments[k].to_numpy(), np.int64)[known] for k in ("begin_us", "end_us"))

    def total(column: str) -> Floats:
        values = numbers(segments, column)[known]
        # those that begin before the end, less those that ended before the beginning
        return _up_to(of, begin, values, which, c.end, "right") - _up_to(of, end, values, which, c.begin, "left")

    return total("in_bytes"), total("out_bytes")


def _up_to(group: Ints, time: Ints, values: Floats, which: Ints, until: Ints, side: Literal["left", "right"]) -> Floats:
    """Sum of each wanted group's values with a time before `until` ("left") or up to it ("right")."""
    if not len(group) or not len(which):
        return np.zeros(len(which))
    order = np.lexsort((time, group))
    origin = int(min(time.min(), until.min()))
    width = int(max(time.max(), until.max())) - origin + 2
    key = group[order] * width + (time[order] - origin)
    so_far = np.concatenate([[0.0], np.cumsum(values[order])])
    high = np.searchsorted(key, which * width + (until - origin), side)
    out: Floats = so_far[high] - so_far[np.searchsorted(key, which * width, "left")]
    return out


def _singly(near: Legs, far: Legs, m: Matches) -> Runs:
    """Matches of one near leg with one far leg."""
    i, j, one = m.near, m.far, np.ones(len(m.near), np.int64)
    return Runs(i, j, one, one, near.into[i], near.out[i], far.into[j], far.out[j], np.abs(far.end[j] - near.end[i]),
                m.looks[j])  # fmt: skip


def _joined(*runs: Runs) -> Runs:
    return Runs(*(np.concatenate([getattr(r, f.name) for r in runs]) for f in fields(Runs)))


def _legs(rows: pa.Table, host: Ints, keys: tuple[str, ...]) -> Legs:
    start, end = (np.asarray(rows[k].to_numpy(), np.int64) for k in ("start", "end"))
    return Legs(host, key_ids(rows, keys), start, end, numbers(rows, "into"), numbers(rows, "out"))


def _flags(mask: pa.ChunkedArray) -> Flags:
    out: Flags = mask.to_numpy()
    return out


HEURISTIC = RelayPattern()
