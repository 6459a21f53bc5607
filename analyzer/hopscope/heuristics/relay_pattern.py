"""Both legs through one of our hosts: what comes in goes out again, at the same time and with the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import WITNESSES, evidence, numbers, rise, void_for_all
from hopscope.heuristics.leg_matching import GRAIN, Legs, Matches, chance, match, share_alike
from hopscope.heuristics.segments import Flags, Floats, Ints, group_ids, key_ids, means, offsets_of, quantiles, spans
from hopscope.summaries.condense import PASSES_ON

SECOND = 1_000_000
BY_DESIGN = f"(^|,)({'|'.join(PASSES_ON)})(,|$)"  # short connections of one of these alone leave no legs


@dataclass(frozen=True)
class Settings:
    """[heuristics.relay_pattern]"""

    max_lag_s: float = setting(5.0, "s", "a far leg starts at most this long after its near leg")
    end_gap_s: float = setting(2.0, "s", "near and far leg end within this time of each other")
    end_share: float = setting(0.1, "", "or within this share of the near leg's length")
    offset_bytes: float = setting(600.0, "bytes", "difference in bytes each way that a relay's own words may make")
    full_share: float = setting(0.5, "", "share of the far end's connections that match from which all weight counts")
    timing_db: float = setting(15.0, "decibans", "weight of start and end in step, over many sessions")
    timing_half: float = setting(2.0, "sessions", "number of sessions at which half of that is reached")
    level_db: float = setting(40.0, "decibans", "most that byte counts which agree may weigh")
    follow_db: float = setting(30.0, "decibans", "most that byte counts which change together may weigh")
    max_db: float = setting(45.0, "decibans", "most that both legs may weigh")


FACTS = (
    Fact("matched", "sessions", "sessions in whose time and bytes a far leg agrees with the near one"),
    Fact("near_sessions", "sessions", "all sessions accepted at this port"),
    Fact("far_sessions", "sessions", "all sessions from this host to the far end"),
    Fact("far_peer", "", "address of the far end"),
    Fact("far_port", "", "port of the far end"),
    Fact("start_lag_s", "s", "median time from the start of the near leg to that of the far one"),
    Fact("end_gap_s", "s", "median time between the ends of the legs"),
    Fact("bytes", "bytes", "bytes carried by the matched near legs, both ways"),
    Fact("byte_agreement", "", "1 minus the median relative difference in bytes, the worse way; 1 is equal"),
    Fact("level_db", "decibans", "what the agreement of the byte counts weighs"),
    Fact("follow_db", "decibans", "what their changing together weighs"),
)
_NEAR = ("sensor", "host", "own_port", "proto")
_FAR = ("sensor", "host", "peer", "peer_port", "proto")


@dataclass(frozen=True)
class RelayPattern:
    """Does one of our hosts pass on what strangers send it?

    A near leg is a connection that our host accepts, a far leg one that it makes to the internet. Segments
    are merged per connection. Candidates start 0 to `max_lag_s` apart and end within `end_gap_s` or
    `end_share` of the near leg's length; what goes in at one must come out at the other, both ways, within
    `offset_bytes` or a tenth (a relay's own words: SOCKS, CONNECT, PROXY). Each leg is matched once, the
    least likely coincidence of bytes first. Formula, per accepting port and far end:

    timing = `timing_db` · n / (n + `timing_half`) for n matched sessions;
    level = the median session's -10 log10 of the chance that unrelated byte counts agree as well: per
    direction (2 · difference + 16) / (half the size), and not less than the share of the host's other far
    legs that agree as well; at most `level_db`;
    follow = sum over sessions and directions of 10 log10 of (2 · |bytes - their median| + 16) over the same
    of the differences, times (n - 1) / n; at most `follow_db`. Sessions that are all alike say nothing here.
    From the sum go 10 log10 of the near legs that time alone allowed (mean over the matches) and of the
    host's far ends that were in question. The whole is scaled by the share of the far end's sessions that
    match, full from `full_share`, and at most `max_db`.

    A shop that calls a payment service for each visitor is in step, but other bytes go in and out: it
    stays below 28 dB even where sizes happen to be near. DNS, NTP and mail servers pass on by design and
    are left out (by content, not by port), and so are `vantage.own_proxies`; a reverse proxy towards
    internal servers has no far leg to the internet. A leg encrypted anew has other bytes and is not found.

    Source: D3FEND Relay Pattern Analysis; Zhang & Paxson 2000. Weights: correlating both legs reaches
    true rates above 0.99 at a false rate of 1e-3 (30 dB) and 0.71 to 0.79 at 1e-5 (48 dB) for socat and
    SSH (Mathews et al. 2026, stepping stones), by timing alone; half of the former is used for timing,
    since servers that call out are in step too, and the whole stays below the latter.
    Void on one-sided links.
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
            pc.equal(rows["role"], "accept"),
            pc.equal(rows["role"], "connect"),
        )
        near_rows, far_rows = rows.filter(near), rows.filter(far)
        near_legs, far_legs = _legs(near_rows, hosts[_flags(near)], _NEAR), _legs(far_rows, hosts[_flags(far)], _FAR)
        found = match(
            near_legs, far_legs, round(settings.max_lag_s * SECOND), round(settings.end_gap_s * SECOND),
            settings.end_share, settings.offset_bytes,
        )  # fmt: skip
        return _judge(near_rows, far_rows, near_legs, far_legs, found, settings)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """Who passes what on to whom."""
        return (
            f"{facts['matched']} of {facts['far_sessions']} connections to {facts['far_peer']} port {facts['far_port']}"
            f" start {facts['start_lag_s']:.2f} s after one that came in and carry the same bytes"
            f" ({100 * facts['byte_agreement']:.1f} % agreement, {facts['bytes']} bytes)"
        )


def _sessions(window: Window) -> pa.Table:
    """Whole connections of hosts that accept and also connect to the internet, in order of (host, start, uid)."""
    legs = window.legs
    legs = legs.filter((legs.role == "accept") | ~legs.peer_local)
    legs = legs.filter(legs.in_bytes.notnull() & legs.out_bytes.notnull() & ~legs.host.isin(window.vantage.own_proxies))
    roles = legs.group_by("sensor", "host").agg(roles=legs.role.nunique())
    legs = legs.semi_join(roles.filter(roles.roles == 2), ["sensor", "host"])
    whole = legs.group_by("sensor", "host", "role", "uid", "peer", "peer_port", "own_port", "proto").agg(
        start=legs.start_us.min(), end=legs.end_us.max(), into=legs.in_bytes.sum(), out=legs.out_bytes.sum(),
        service=legs.service.max(),
    )  # fmt: skip
    whole = whole.filter(whole.service.isnull() | ~whole.service.re_search(BY_DESIGN))
    return whole.to_pyarrow().sort_by([(k, "ascending") for k in ("sensor", "host", "start", "uid")])


def _legs(rows: pa.Table, host: Ints, keys: tuple[str, ...]) -> Legs:
    start, end = (np.asarray(rows[k].to_numpy(), np.int64) for k in ("start", "end"))
    return Legs(host, key_ids(rows, keys), start, end, numbers(rows, "into"), numbers(rows, "out"))


def _judge(near_rows: pa.Table, far_rows: pa.Table, near: Legs, far: Legs, m: Matches, s: Settings) -> pa.Table:
    """Evidence of the matches, judged per accepting port and far end, told per near peer."""
    group = group_ids(near.group[m.near], far.group[m.far])
    order = np.argsort(group, kind="stable")
    i, j, offsets = m.near[order], m.far[order], offsets_of(group[order])
    n = np.diff(offsets).astype(np.float64)
    one = offsets[:-1]
    up, down = near.into[i], near.out[i]
    up_off, down_off = up - far.out[j], down - far.into[j]

    far_sessions = np.bincount(far.group)[far.group[j[one]]] if len(one) else n
    looks = means(m.looks[j].astype(np.float64), offsets)
    asked = np.unique(np.stack([far.host, far.group])[:, m.looks > 0], axis=1)[0]
    ends = np.bincount(asked, minlength=1 + int(far.host.max(initial=0)))[far.host[j[one]]]
    odds = _odds(far, far.out, j, up, np.abs(up_off)) * _odds(far, far.into, j, down, np.abs(down_off))
    level = np.minimum(_median(-10 * np.log10(odds), offsets), s.level_db)
    together = _together(up, up_off, offsets) + _together(down, down_off, offsets)
    follow = np.clip((together - n * 10 * np.log10(looks)) * (n - 1) / n, 0, s.follow_db)
    timing = s.timing_db * n / (n + s.timing_half) / looks
    share = rise(n / far_sessions, 0.0, s.full_share)
    decibans = share * np.clip(timing + level + follow - 10 * np.log10(looks * ends), 0, s.max_db)

    off = np.maximum(np.abs(up_off) / np.maximum(up, 1), np.abs(down_off) / np.maximum(down, 1))
    facts: dict[str, Any] = {
        "matched": n.astype(np.int64),
        "near_sessions": np.bincount(near.group)[near.group[i[one]]] if len(one) else one,
        "far_sessions": far_sessions.astype(np.int64),
        "far_peer": far_rows["peer"].take(pa.array(j[one])),
        "far_port": far_rows["peer_port"].take(pa.array(j[one])),
        "start_lag_s": np.round(_median((far.start[j] - near.start[i]) / SECOND, offsets), 3),
        "end_gap_s": np.round(_median(np.abs(far.end[j] - near.end[i]) / SECOND, offsets), 3),
        "bytes": np.nan_to_num(means(up + down, offsets) * n).astype(np.int64),
        "byte_agreement": np.round(1 - _median(off, offsets), 4),
        "level_db": np.round(level, 2),
        "follow_db": np.round(follow, 2),
    }
    told = _told(near_rows, far_rows, i, j, offsets)
    of = told["group"].to_numpy()
    threshold = f"relay_pattern.max_lag_s = {s.max_lag_s:g} s"
    values = {k: v.take(pa.array(of)) if isinstance(v, pa.ChunkedArray) else v[of] for k, v in facts.items()}
    return evidence(told, decibans[of], threshold, FACTS, values)


def _told(near_rows: pa.Table, far_rows: pa.Table, i: Ints, j: Ints, offsets: Ints) -> pa.Table:
    """One row per group of matches and near peer: the evidence's keys, `group` and the uids of both legs."""
    group = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    peer = key_ids(near_rows.take(pa.array(i)), ("peer",))
    order = np.lexsort((peer, group))
    bounds = offsets_of(group_ids(group, peer)[order])
    first, few = order[bounds[:-1]], np.minimum(np.diff(bounds), WITNESSES // 2)
    shown = order[spans(bounds[:-1], few)]
    uids = pa.concat_arrays([near_rows["uid"].take(pa.array(i[shown])).combine_chunks(),
                             far_rows["uid"].take(pa.array(j[shown])).combine_chunks()])  # fmt: skip
    both = np.stack([np.arange(len(shown)), np.arange(len(shown)) + len(shown)], axis=1).ravel()
    lists = pa.ListArray.from_arrays(
        pa.array(np.concatenate([[0], 2 * np.cumsum(few)]), pa.int32()), uids.take(pa.array(both))
    )
    told = near_rows.select(["sensor", "peer", "host", "own_port", "proto"]).take(pa.array(i[first]))
    told = told.rename_columns(["sensor", "client", "server", "port", "proto"])
    return told.append_column("group", pa.array(group[first])).append_column("uids", lists)


def _odds(far: Legs, values: Floats, j: Ints, wanted: Floats, off: Floats) -> Floats:
    """Chance that bytes agree as well in one direction, by size and by what the host's other far legs show."""
    seen = share_alike(far.host, far.group, values, j, wanted, off)
    out: Floats = np.maximum(chance(off, wanted), seen)
    return out


def _together(sizes: Floats, off: Floats, offsets: Ints) -> Floats:
    """How much less the differences vary than the sizes do, in decibans summed over each group's sessions."""
    n = np.diff(offsets)
    varies = np.abs(sizes - np.repeat(_median(sizes, offsets), n))
    differs = np.abs(off - np.repeat(_median(off, offsets), n))
    gain = means(10 * np.log10((2 * varies + GRAIN) / (2 * differs + GRAIN)), offsets) * n
    out: Floats = np.maximum(gain, 0.0)
    return out


def _median(values: Floats, offsets: Ints) -> Floats:
    out: Floats = quantiles(values, offsets, (0.5,))[0]
    return out


def _flags(mask: pa.ChunkedArray) -> Flags:
    out: Flags = mask.to_numpy()
    return out


HEURISTIC = RelayPattern()
