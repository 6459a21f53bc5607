"""What both legs of a relay weigh: by bytes that agree, and by pauses that end together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.heuristics.base import Fact
from hopscope.heuristics.coincidence import Coincidences
from hopscope.heuristics.evidence import WITNESSES, evidence, lists_of, rise
from hopscope.heuristics.leg_matching import GRAIN, Legs, Runs, chance, share_alike
from hopscope.heuristics.segments import (
    Flags,
    Floats,
    Ints,
    distinct,
    group_ids,
    key_ids,
    means,
    offsets_of,
    quantiles,
    spans,
)

if TYPE_CHECKING:
    from hopscope.heuristics.relay_pattern import Settings

SECOND = 1_000_000
FACTS = (
    Fact("matched", "sessions", "sessions that came in and in whose time and bytes, or pauses, a far leg agrees"),
    Fact("near_sessions", "sessions", "all sessions accepted at this port; judged by pauses, this peer's"),
    Fact("far_matched", "sessions", "sessions to the far end that carry those on"),
    Fact("far_sessions", "sessions", "all sessions from this host to the far end"),
    Fact("far_peer", "", "address of the far end"),
    Fact("far_port", "", "port of the far end"),
    Fact("start_lag_s", "s", "median time from the start of the near leg to that of the far one; null for pauses"),
    Fact("end_gap_s", "s", "median time between the ends of the legs; null for pauses"),
    Fact("bytes", "bytes", "bytes carried by the near legs that match, both ways"),
    Fact("byte_agreement", "", "1 minus the median relative difference in bytes, the worse way; 1 is equal"),
    Fact("level_db", "decibans", "what the agreement of the byte counts weighs; null for pauses"),
    Fact("follow_db", "decibans", "what their changing together weighs; null for pauses"),
    Fact("coincidences", "ON starts", "pauses that ended at both legs, first at the one and at once at the other"),
    Fact("pauses", "ON starts", "pauses that ended at the leg that has fewer, both ways"),
    Fact("far_share", "", "share of what goes out to the far end after a pause that follows what came in"),
    Fact("passing_s", "s", "median time from payload at one leg to payload at the other, after pauses"),
    Fact("volume_db", "decibans", "what bytes near enough for the same content, encrypted anew, weigh"),
)
_TYPES = {"far_peer": pa.string(), "far_port": pa.int32()} | {
    k: pa.int64()
    for k in ("matched", "near_sessions", "far_matched", "far_sessions", "bytes", "coincidences", "pauses")
}
HANDSHAKE = 4096.0  # bytes that encryption anew may add to a session each way: keys, certificates, greetings
_DECADES = 3.0  # sizes of unrelated sessions of such length spread over about a factor of a thousand
_SPREAD = 0.2  # of log10 of the ratio of one content's sizes in two encryptions: within 1.6 mostly


def by_bytes(
    near_rows: pa.Table, far_rows: pa.Table, near: Legs, far: Legs, m: Runs, asked: Flags, s: Settings,
    anew: bool = False,
) -> pa.Table:  # fmt: skip
    """Evidence of legs whose bytes agree, judged per accepting port and far end, told per near peer.

    `asked` marks the far legs that time alone allowed to carry on something. With `anew` the bytes may differ
    by a handshake, so that only their changing together says something, and must in both directions.
    """
    group = group_ids(near.group[m.near], far.group[m.far])
    order = np.argsort(group, kind="stable")
    i, j, offsets = m.near[order], m.far[order], offsets_of(group[order])
    n = np.diff(offsets).astype(np.float64)
    one = offsets[:-1]
    up, down = m.near_into[order], m.near_out[order]
    up_off, down_off = up - m.far_out[order], down - m.far_into[order]

    far_sessions = np.bincount(far.group)[far.group[j[one]]] if len(one) else n
    near_matched, far_matched = (means(k[order].astype(np.float64), offsets) * n for k in (m.near_legs, m.far_legs))
    looks = means(m.looks[order].astype(np.float64), offsets)
    in_question = np.unique(np.stack([far.host, far.group])[:, asked], axis=1)[0]
    ends = np.bincount(in_question, minlength=1 + int(far.host.max(initial=0)))[far.host[j[one]]]
    odds = _odds(far, far.out, j, up, np.abs(up_off)) * _odds(far, far.into, j, down, np.abs(down_off))
    level = np.minimum(_median(-10 * np.log10(odds), offsets), s.level_db)
    each_way = _together(up, m.far_out[order], offsets), _together(down, m.far_into[order], offsets)
    together = 2 * np.minimum(*each_way) if anew else each_way[0] + each_way[1]
    level = np.zeros(len(n)) if anew else level
    follow = np.clip((together - n * 10 * np.log10(looks)) * (n - 1) / n, 0, s.follow_db)
    timing = s.timing_db * n / (n + s.timing_half) / looks
    share = rise(far_matched / far_sessions, 0.0, s.full_share)
    decibans = share * np.clip(timing + level + follow - 10 * np.log10(looks * ends), 0, s.max_db)
    if anew:
        decibans = np.where(follow > 0, decibans, 0.0)

    off = np.maximum(np.abs(up_off) / np.maximum(up, 1), np.abs(down_off) / np.maximum(down, 1))
    facts: dict[str, Any] = {
        "matched": _whole(near_matched),
        "near_sessions": np.bincount(near.group)[near.group[i[one]]] if len(one) else one,
        "far_matched": _whole(far_matched),
        "far_sessions": far_sessions.astype(np.int64),
        "far_peer": far_rows["peer"].take(pa.array(j[one])),
        "far_port": far_rows["peer_port"].take(pa.array(j[one])),
        "start_lag_s": np.round(_median((far.start[j] - near.start[i]) / SECOND, offsets), 3),
        "end_gap_s": np.round(_median(m.end_gap[order] / SECOND, offsets), 3),
        "bytes": _whole(means(up + down, offsets) * n),
        "byte_agreement": np.round(1 - _median(off, offsets), 4),
        "level_db": np.round(level, 2),
        "follow_db": np.round(follow, 2),
    }
    threshold = f"relay_pattern.max_lag_s = {s.max_lag_s:g} s"
    return _table(_told(near_rows, far_rows, i, j, offsets), decibans, threshold, facts)


def by_pauses(
    near_rows: pa.Table, far_rows: pa.Table, near: Legs, far: Legs, c: Coincidences,
    near_bytes: tuple[Floats, Floats], far_bytes: tuple[Floats, Floats], s: Settings,
) -> pa.Table:  # fmt: skip
    """Evidence of legs whose pauses end together, judged and told per near peer and far end.

    `near_bytes` and `far_bytes` are what went in and out, as the host sees it, while both groups were there.
    """
    one = c.offsets[:-1]
    legs = np.repeat(np.arange(len(c.near)), np.diff(c.offsets))
    near_matched, far_matched = (distinct(legs, k, len(c.near)) for k in (c.near_leg, c.far_leg))
    up, down = ((near_bytes[0], far_bytes[1]), (near_bytes[1], far_bytes[0]))
    volume = sum(_content(a, b, near_matched, far_matched) for a, b in (up, down))
    odd = np.minimum(c.up.odd, c.down.odd).astype(np.float64)
    chance_db = np.minimum(c.up.chance_db, c.down.chance_db) - 10 * np.log10(np.maximum(c.compared, 1))
    far_share = np.minimum(c.up.hits / np.maximum(c.up.effects, 1), 1.0)
    timing = np.clip(chance_db, 0, s.pause_db) * rise(odd, s.pause_few / 2, s.pause_full)
    timing = timing * rise(far_share, s.pause_share, s.pause_far_share)
    passing = np.maximum(c.up.lag_s, c.down.lag_s)
    swift = s.pause_swift_ms / 1000
    timing = np.maximum(timing - s.pause_work_db * rise(passing, swift, 4 * swift), 0)
    decibans = np.where(timing > 0, np.clip(timing + volume, 0, s.max_db), 0.0)
    # a peer that we call back is no third party
    same = _flags(near_rows["peer"].take(pa.array(c.near_leg[one])), far_rows["peer"].take(pa.array(c.far_leg[one])))
    decibans = np.where(same, 0.0, decibans)

    worse = np.maximum(*(np.abs(a - b) / np.maximum(np.maximum(a, b), 1) for a, b in (up, down)))
    facts: dict[str, Any] = {
        "matched": near_matched,
        "near_sessions": np.bincount(near.group)[c.near] if len(c.near) else c.near,
        "far_matched": far_matched,
        "far_sessions": np.bincount(far.group)[c.far] if len(c.far) else c.far,
        "far_peer": far_rows["peer"].take(pa.array(c.far_leg[one])),
        "far_port": far_rows["peer_port"].take(pa.array(c.far_leg[one])),
        "bytes": _whole(near_bytes[0] + near_bytes[1]),
        "byte_agreement": np.round(1 - worse, 4),
        "coincidences": c.up.hits + c.down.hits,
        "pauses": np.minimum(c.up.causes, c.up.effects) + np.minimum(c.down.causes, c.down.effects),
        "far_share": np.round(far_share, 3),
        "passing_s": np.round(passing, 4),
        "volume_db": np.round(volume, 2),
    }
    threshold = f"relay_pattern.pause_share = {s.pause_share:g}"
    return _table(_told(near_rows, far_rows, c.near_leg, c.far_leg, c.offsets), decibans, threshold, facts)


def stronger(*tables: pa.Table) -> pa.Table:
    """Of rows about the same near peer, port and far end the one that weighs most."""
    rows = pa.concat_tables(tables)
    about = key_ids(rows, ("sensor", "client", "server", "port", "proto", "far_peer", "far_port"))
    order = np.lexsort((-rows["decibans"].to_numpy(), about))
    best = order[offsets_of(about[order])[:-1]]
    keys = ("sensor", "client", "server", "port", "proto", "far_peer", "far_port")
    return rows.take(pa.array(best)).sort_by([(k, "ascending") for k in keys])


def for_our_own(rows: pa.Table, local: pa.Array) -> pa.Table:
    """The same with less weight where `local` addresses, our own clients, are carried by one port to many far ends.

    10 log10 of clients times far ends goes from each such row; rows that are left with nothing are dropped.
    """
    ours = pc.is_in(rows["client"], value_set=local)
    port = key_ids(rows, ("sensor", "server", "port", "proto"))
    groups = 1 + int(port.max(initial=0))
    own = ours.to_numpy()
    clients, ends = (
        distinct(port[own], key_ids(rows, (k,))[own], groups) if own.any() else np.ones(groups, np.int64)
        for k in ("client", "far_peer")
    )
    less = np.where(own, 10 * np.log10(np.maximum(clients * ends, 1))[port], 0.0)
    decibans = np.round(rows["decibans"].to_numpy() - less, 2)
    rows = rows.set_column(rows.column_names.index("decibans"), "decibans", pa.array(decibans))
    return rows.filter(pc.greater(rows["decibans"], 0))


def _content(near: Floats, far: Floats, near_legs: Ints, far_legs: Ints) -> Floats:
    """Likelihood ratio in decibans that both sides' bytes are one content, encrypted anew, one way.

    log10 of the ratio beyond what handshakes may add: normal about 0 with _SPREAD for one content, evenly
    spread over _DECADES for unrelated ones. Small sessions, which handshakes make alike, say little.
    """
    large, small = np.maximum(near, far), np.maximum(np.minimum(near, far), 1.0)
    room = HANDSHAKE * np.where(near > far, near_legs, far_legs)
    x = np.log10(np.maximum((large - room) / small, 1.0))
    alike = 2 / (_SPREAD * np.sqrt(2 * np.pi)) * np.exp(-(x**2) / (2 * _SPREAD**2)) * _DECADES / 2
    weight = np.maximum(10 * np.log10(alike + 1e-9), -15.0)
    out: Floats = np.where(weight > 0, weight * small / (small + room), weight)
    return out


def _table(told: pa.Table, decibans: Floats, threshold: str, facts: dict[str, Any]) -> pa.Table:
    """The evidence, with facts per group spread to its rows; those that aren't given are null."""
    of = told["group"].to_numpy()
    values = {}
    for f in FACTS:
        kind = _TYPES.get(f.name, pa.float64())
        given = facts.get(f.name)
        if given is None:
            values[f.name] = pa.nulls(len(of), kind)
        elif isinstance(given, pa.ChunkedArray):
            values[f.name] = given.take(pa.array(of)).cast(kind)
        else:
            values[f.name] = pa.array(given[of], from_pandas=True).cast(kind)
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
    lists = lists_of(uids.take(pa.array(both)), 2 * few)
    # at most ten for each row that is told; a leg with several partners is named once
    lists = pa.array([sorted(set(u)) for u in lists.to_pylist()], lists.type)
    told = near_rows.select(["sensor", "peer", "host", "own_port", "proto"]).take(pa.array(i[first]))
    told = told.rename_columns(["sensor", "client", "server", "port", "proto"])
    return told.append_column("group", pa.array(group[first])).append_column("uids", lists)


def _odds(far: Legs, values: Floats, j: Ints, wanted: Floats, off: Floats) -> Floats:
    """Chance that bytes agree as well in one direction, by size and by what the host's other far legs show."""
    seen = share_alike(far.host, far.group, values, j, wanted, off)
    out: Floats = np.maximum(chance(off, wanted), seen)
    return out


def _together(near: Floats, far: Floats, offsets: Ints) -> Floats:
    """How much less the differences vary than either side's sizes do, in decibans over each group's sessions.

    Each varies by its mean distance from its median. Sizes that vary by themselves differ by more than they
    vary; less than half of it is asked for, since few sessions give it by chance.
    """
    n = np.diff(offsets)
    varies, follows, differs = (
        means(np.abs(v - np.repeat(_median(v, offsets), n)), offsets) for v in (near, far, near - far)
    )
    ratio = (2 * np.minimum(varies, follows) + GRAIN) / (2 * differs + GRAIN)
    return np.where(ratio >= 2, n * 10 * np.log10(ratio), 0.0)


def _median(values: Floats, offsets: Ints) -> Floats:
    out: Floats = quantiles(values, offsets, (0.5,))[0]
    return out


def _whole(values: Floats) -> Ints:
    out: Ints = np.round(np.nan_to_num(values)).astype(np.int64)
    return out


def _flags(one: pa.ChunkedArray, other: pa.ChunkedArray) -> Flags:
    out: Flags = pc.fill_null(pc.equal(one, other), False).to_numpy()
    return out
