"""ON/OFF coincidence: after a pause, payload at one leg is followed at once by payload at another.

Zhang and Paxson's test for stepping stones (USENIX Security 2000), with the direction that one host in the
middle gives: what comes in at the near leg goes out at the far leg, and replies the other way. It needs no
bytes, so that relays that encrypt anew are found. Legs are put together in groups (a peer's sessions at an
accepting port; the sessions to a far end), since either side may reconnect while the other stays open.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hopscope.heuristics.leg_matching import Legs
from hopscope.heuristics.segments import Flags, Floats, Ints, distinct, offsets_from, quantiles, spans

CAUSES = 8  # ON starts looked at before each of another leg: a relay passes on within milliseconds
SHIFTS = (-7_900_000, -4_300_000, -2_900_000, 1_700_000, 3_700_000, 6_100_000)  # µs; no multiples of one another
_MARGIN = 20_000_000  # µs around all times, wider than any shift and delta


@dataclass(frozen=True)
class Ons:
    """ON starts: payload after 0.5 s of silence in that direction. `leg` is a place in Legs, `time` in µs."""

    leg: Ints
    time: Ints
    inward: Flags  # towards our host

    def of(self, which: Flags | Ints) -> Ons:
        """Those that `which` marks, or names by place."""
        return Ons(self.leg[which], self.time[which], self.inward[which])


@dataclass(frozen=True)
class Rule:
    """When ON starts count as coinciding, and groups of legs as related. Zhang and Paxson's numbers."""

    delta_us: int  # an ON start follows another within this
    share: float  # least share of the fewer ON starts that coincide, each way
    few: int  # least coincidences each way
    direct_run: int  # in a row, where the far leg was made while the near one was open
    kept_run: int  # in a row, where the far leg was there before
    run_idles: int  # above as many ON starts the run must grow in proportion


@dataclass(frozen=True)
class Direction:
    """Causes and effects of pairs of groups, one way: one entry per pair."""

    causes: Ints
    effects: Ints
    hits: Ints  # of the fewer of both
    run: Ints  # most hits in a row
    odd: Ints  # hits that a common clock can't explain: not at the usual interval after the hit before
    lag_s: Floats  # median
    chance_db: Floats  # -10 log10 of the chance of so many odd hits between unrelated groups as active as these


@dataclass(frozen=True)
class Coincidences:
    """Pairs of a near and a far group that pass the rule.

    `near_leg` and `far_leg` are the legs that coincide, pair by pair: those of pair k lie between
    `offsets[k]` and `offsets[k + 1]`. `begin` and `end` (µs) bound the time both groups were there.
    """

    near: Ints
    far: Ints
    begin: Ints
    end: Ints
    compared: Ints  # pairs of groups with enough ON starts on this host
    up: Direction
    down: Direction
    near_leg: Ints
    far_leg: Ints
    offsets: Ints


@dataclass(frozen=True)
class _Stream:
    """ON starts of one role and direction in order of (group, time); `key` holds both."""

    key: Ints
    leg: Ints
    width: int

    def at(self, group: Ints, time: Ints) -> Ints:
        """What `key` is for that group and time (µs from `origin`)."""
        return group * self.width + time

    def between(self, group: Ints, begin: Ints, end: Ints) -> tuple[Ints, Ints]:
        """First place and number of each group's ON starts in [begin, end]."""
        low = np.searchsorted(self.key, self.at(group, begin), "left")
        return low, np.searchsorted(self.key, self.at(group, end), "right") - low


def coincide(near: Legs, far: Legs, near_ons: Ons, far_ons: Ons, rule: Rule) -> Coincidences:
    """The pairs of groups on one host whose ON starts coincide both ways.

    Cost grows with the ON starts: each far one looks at most at CAUSES near ones before it, and groups are
    compared only where those alone reach the rule's share.
    """
    near_ons, far_ons = _able(near, near_ons, rule.few), _able(far, far_ons, rule.few)
    if not len(near_ons.leg) or not len(far_ons.leg):
        return _NONE
    origin = int(min(near_ons.time.min(), far_ons.time.min(), near.start.min(), far.start.min())) - _MARGIN
    last = int(max(near_ons.time.max(), far_ons.time.max(), near.end.max(), far.end.max()))
    width = last - origin + _MARGIN
    near_in, near_out = (_stream(near, near_ons.of(f), origin, width) for f in (near_ons.inward, ~near_ons.inward))
    far_in, far_out = (_stream(far, far_ons.of(f), origin, width) for f in (far_ons.inward, ~far_ons.inward))
    g, h, seen = _candidates(near, far, near_in, far_out, rule)
    begin = np.maximum(_least(near.group, near.start)[g], _least(far.group, far.start)[h]) - origin
    end = np.minimum(-_least(near.group, -near.end)[g], -_least(far.group, -far.end)[h]) - origin + rule.delta_us
    fewest = [np.minimum(a.between(g, begin, end)[1], b.between(h, begin, end)[1])
              for a, b in ((near_in, far_out), (near_out, far_in))]  # fmt: skip
    likely = (seen >= rule.share * fewest[0]) & (np.minimum(*fewest) >= rule.few) & (end > begin)
    g, h, begin, end = g[likely], h[likely], begin[likely], end[likely]

    up, pair, near_leg, far_leg = _direction(near_in, g, far_out, h, begin, end, rule)
    down, _, _, _ = _direction(far_in, h, near_out, g, begin, end, rule)
    direct = _least(far.group, far.start)[h] >= _least(near.group, near.start)[g]
    least_run = np.where(direct, rule.direct_run, rule.kept_run)
    good = _passes(up, least_run, rule) & _passes(down, least_run, rule)
    kept = good[pair]
    pair, near_leg, far_leg = (np.cumsum(good) - 1)[pair[kept]], near_leg[kept], far_leg[kept]
    legs = np.unique(np.stack([pair, near_leg, far_leg]), axis=1)
    offsets = offsets_from(np.bincount(legs[0], minlength=int(good.sum())))
    hosts = 1 + int(max(near.host.max(), far.host.max()))
    compared = _groups(near, near_ons, hosts) * _groups(far, far_ons, hosts)
    host = np.zeros(1 + int(near.group.max()), np.int64)
    host[near.group] = near.host
    return Coincidences(
        g[good], h[good], begin[good] + origin, end[good] + origin, compared[host[g[good]]],
        _of(up, good), _of(down, good), legs[1], legs[2], offsets,
    )  # fmt: skip


def _able(legs: Legs, ons: Ons, few: int) -> Ons:
    """The ON starts of groups that have `few` and more each way: others can't pass."""
    groups = 1 + int(legs.group.max(initial=0))
    enough = np.ones(groups, bool)
    for which in (ons.inward, ~ons.inward):
        enough &= np.bincount(legs.group[ons.leg[which]], minlength=groups) >= few
    return ons.of(enough[legs.group[ons.leg]])


def _groups(legs: Legs, ons: Ons, hosts: int) -> Ints:
    """How many groups with ON starts each host has."""
    return distinct(legs.host[ons.leg], legs.group[ons.leg], hosts)


def _stream(legs: Legs, ons: Ons, origin: int, width: int) -> _Stream:
    key = legs.group[ons.leg] * width + (ons.time - origin)
    order = np.lexsort((ons.leg, key))
    return _Stream(key[order], ons.leg[order], width)


def _least(group: Ints, values: Ints) -> Ints:
    """The least value of each group."""
    out = np.full(1 + int(group.max()), np.iinfo(np.int64).max)
    np.minimum.at(out, group, values)
    return out


def _candidates(near: Legs, far: Legs, cause: _Stream, effect: _Stream, rule: Rule) -> tuple[Ints, Ints, Ints]:
    """Pairs of groups, and how many effects follow one of the causes just before them on the same host."""
    at = near.host[cause.leg] * cause.width + cause.key % cause.width
    order = np.argsort(at, kind="stable")
    at, cause_group = at[order], near.group[cause.leg[order]]
    when = far.host[effect.leg] * effect.width + effect.key % effect.width
    high = np.searchsorted(at, when, "right")
    low = np.maximum(np.searchsorted(at, when - rule.delta_us, "left"), high - CAUSES)
    g = cause_group[spans(low, high - low)]
    e = np.repeat(np.arange(len(when)), high - low)
    both = np.unique(np.stack([g, far.group[effect.leg[e]], e]), axis=1)[:2]
    pairs, seen = np.unique(both, axis=1, return_counts=True)
    enough = seen >= rule.few
    return pairs[0, enough], pairs[1, enough], seen[enough]


def _direction(
    cause: _Stream, of_cause: Ints, effect: _Stream, of_effect: Ints, begin: Ints, end: Ints, rule: Rule
) -> tuple[Direction, Ints, Ints, Ints]:
    """Effects that follow causes, seen from the side with fewer; and pair, cause's and effect's leg of each hit."""
    first_cause, causes = cause.between(of_cause, begin, end)
    first_effect, effects = effect.between(of_effect, begin, end)
    from_cause = causes <= effects
    n = np.minimum(causes, effects)
    pair = np.repeat(np.arange(len(n)), n)
    at = spans(np.where(from_cause, first_cause, first_effect), n)
    forward = from_cause[pair]
    time = np.where(forward, cause.key[np.where(forward, at, 0)], effect.key[np.where(forward, 0, at)]) % cause.width

    def look(shift: int) -> tuple[Flags, Ints, Ints]:
        after = np.searchsorted(effect.key, effect.at(of_effect[pair], time + shift), "left")
        before = np.searchsorted(cause.key, cause.at(of_cause[pair], time + shift), "right") - 1
        after, before = np.minimum(after, len(effect.key) - 1), np.maximum(before, 0)
        lag = np.where(
            forward,
            effect.key[after] - effect.at(of_effect[pair], time + shift),
            cause.at(of_cause[pair], time + shift) - cause.key[before],
        )
        return (lag >= 0) & (lag <= rule.delta_us), np.where(forward, after, before), lag

    hit, other, lag = look(0)
    by_chance = sum(look(shift)[0].astype(np.int64) for shift in SHIFTS)
    hits = np.bincount(pair[hit], minlength=len(n))
    ends = offsets_from(hits)
    usual = rule.delta_us
    odd = np.zeros(len(n), np.int64)
    gap = np.diff(time[hit], prepend=0).astype(np.float64)
    inner = np.ones(len(gap), bool)
    inner[ends[:-1][hits > 0]] = False
    sizes = np.maximum(hits - 1, 0)
    median = quantiles(gap[inner], offsets_from(sizes), (0.5,))[0]
    unusual = np.abs(gap - median[pair[hit]]) > usual
    unusual[~inner] = True  # the first one counts
    odd += np.bincount(pair[hit][unusual], minlength=len(n))
    many = np.maximum(causes, effects)
    chance = np.maximum(
        np.minimum(many * rule.delta_us / np.maximum(end - begin, 1), 1.0),
        (np.bincount(pair, by_chance, minlength=len(n)) + 0.5) / (len(SHIFTS) * n + 1.0),
    )
    cause_leg = cause.leg[np.where(forward, at, other)[hit]]
    effect_leg = effect.leg[np.where(forward, other, at)[hit]]
    direction = Direction(
        causes, effects, hits, _longest(hit, pair, len(n)), odd,
        quantiles(lag[hit] / 1e6, ends, (0.5,))[0], _unlikely(odd, n - (hits - odd), chance),
    )  # fmt: skip
    return direction, pair[hit], cause_leg, effect_leg


def _longest(hit: Flags, pair: Ints, pairs: int) -> Ints:
    """The most hits in a row within each pair; `pair` is in order."""
    stretch = np.cumsum(~hit | (np.diff(pair, prepend=-1) != 0))
    length = np.bincount(stretch[hit], minlength=int(stretch.max(initial=0)) + 1)
    out = np.zeros(pairs, np.int64)
    np.maximum.at(out, pair[hit], length[stretch[hit]])
    return out


def _unlikely(hits: Ints, n: Ints, chance: Floats) -> Floats:
    """-10 log10 of a bound on the chance of so many hits among n, each of which has `chance` (Chernoff)."""
    share = np.where(n > 0, hits / np.maximum(n, 1), 0.0)
    p = np.clip(chance, 1e-9, 1 - 1e-9)
    q = np.clip(share, 1e-9, 1 - 1e-9)
    apart = q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))
    return np.where(share > p, 10 / np.log(10) * n * apart, 0.0)


def _passes(d: Direction, least_run: Ints, rule: Rule) -> Flags:
    fewer = np.minimum(d.causes, d.effects)
    run = least_run * np.maximum(1.0, fewer / rule.run_idles)
    return (d.hits >= rule.few) & (d.hits >= rule.share * fewer) & (d.run >= run)


def _of(d: Direction, which: Flags) -> Direction:
    return Direction(
        d.causes[which], d.effects[which], d.hits[which], d.run[which], d.odd[which], d.lag_s[which], d.chance_db[which]
    )


def _nothing() -> Coincidences:
    none, no_db = np.zeros(0, np.int64), np.zeros(0)
    empty = Direction(none, none, none, none, none, no_db, no_db)
    return Coincidences(none, none, none, none, none, empty, empty, none, none, np.zeros(1, np.int64))


_NONE = _nothing()
