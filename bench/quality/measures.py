"""Figures from outcomes: found, missed and false, ranks, recall against false findings, calibration, weights."""

from __future__ import annotations

import bisect
import itertools
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.quality import judge
from bench.quality.run import Outcome, Told

MEDIUM_DB = 0.0
HALF = 0.5  # a count of nothing is taken as half a one in a ratio of shares, so that it stays finite


@dataclass(frozen=True)
class HopRow:
    """One hop of one capture: the best entity that names it, among all that scored (`of`); None when none does."""

    item: str
    kind: str
    hop: judge.Hop
    found: bool
    score_db: float | None
    rank: int | None
    of: int
    error_ms: float | None
    behind_ms: float | None
    carried: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """Captures of one kind."""

    kind: str
    hops: int
    found: int
    missed: tuple[str, ...]
    false: int
    rows: tuple[HopRow, ...]


@dataclass(frozen=True)
class Exposure:
    """What false findings are counted against."""

    captures: int
    destinations: int
    client_days: float
    false: int


@dataclass(frozen=True)
class Point:
    """At a threshold: hops found of all, and entities told that are none."""

    threshold_db: float
    found: int
    hops: int
    false: int

    @property
    def precision(self) -> float:
        """Hops among what is told; 1 when nothing is."""
        return self.found / (self.found + self.false) if self.found + self.false else 1.0


@dataclass(frozen=True)
class Weight:
    """A heuristic's evidence on pairs of hops and on ordinary ones: how many it speaks for at all, how many loudly."""

    heuristic: str
    claimed_db: float  # the median of what it said of pairs of hops that it spoke for
    most_db: float
    hop_pairs: int
    hops_some: int
    hops_half: int
    ordinary_pairs: int
    ordinary_some: int
    ordinary_half: int


@dataclass(frozen=True)
class Bin:
    """Entities whose evidence lies in [low_db, high_db)."""

    low_db: float
    high_db: float
    claimed_db: float
    hops: int
    ordinary: int
    all_hops: int
    all_ordinary: int


def hop_rows(outcome: Outcome, threshold_db: float = MEDIUM_DB) -> Iterator[HopRow]:
    """Every hop of a capture with the best of the entities that name it; found when one at the threshold does."""
    for hop, known in outcome.truth.hops.items():
        mine = [(n, t) for n, t in enumerate(outcome.scored, 1) if hop in judge.named(outcome.truth, t)]
        rank, best = mine[0] if mine else (None, None)
        told = [t for t in outcome.told if t.score_db >= threshold_db and hop in judge.named(outcome.truth, t)]
        behind = known.get("behind_ms")
        measured = next((t.distance_ms for t in told if t.distance_ms is not None), None)
        yield HopRow(
            item=outcome.item.name,
            kind=str(known.get("kind", outcome.item.kind)),
            hop=hop,
            found=bool(told),
            score_db=best.score_db if best else None,
            rank=rank,
            of=len(outcome.scored),
            error_ms=abs(measured - behind) if measured is not None and behind else None,
            behind_ms=behind,
            carried=tuple(h for h, d in best.scaled.items() if d > 0) if best else (),
        )


def by_kind(outcomes: Iterable[Outcome], threshold_db: float = MEDIUM_DB) -> list[Kind]:
    """Captures by what their hops are, in order of first appearance."""
    rows: dict[str, list[HopRow]] = {}
    false: dict[str, int] = {}
    for o in outcomes:
        kind = o.item.kind
        rows.setdefault(kind, []).extend(hop_rows(o, threshold_db))
        false[kind] = false.get(kind, 0) + len(false_of(o, threshold_db))
    return [
        Kind(
            kind,
            len(r),
            sum(h.found for h in r),
            tuple(f"{h.item} {h.hop[0]}:{h.hop[1]}" for h in r if not h.found),
            false[kind],
            tuple(r),
        )
        for kind, r in rows.items()
    ]


def false_of(outcome: Outcome, threshold_db: float = MEDIUM_DB, told: Iterable[Told] | None = None) -> list[Told]:
    """What is told at the threshold and names no hop, and what names one for the fourth time."""
    hits: dict[judge.Hop, int] = {}
    out = []
    for t in outcome.told if told is None else told:
        if t.score_db < threshold_db:
            continue
        hops = judge.named(outcome.truth, t)
        for h in hops:
            hits[h] = hits.get(h, 0) + 1
        if any(hits[h] > judge.MOST for h in hops) or (not hops and t.hop not in outcome.truth.accepted):
            out.append(t)
    return out


def found_of(outcome: Outcome, threshold_db: float = MEDIUM_DB, told: Iterable[Told] | None = None) -> set[judge.Hop]:
    """The hops that are told at the threshold."""
    heard = outcome.told if told is None else told
    return {h for t in heard if t.score_db >= threshold_db for h in judge.named(outcome.truth, t)}


def exposure(outcomes: Iterable[Outcome], threshold_db: float = MEDIUM_DB) -> Exposure:
    """Captures, destinations outside, and clients' days, with what was false among them."""
    all_ = list(outcomes)
    return Exposure(
        len(all_),
        sum(o.destinations for o in all_),
        sum(o.clients * o.hours / 24 for o in all_),
        sum(len(false_of(o, threshold_db)) for o in all_),
    )


def curve(outcomes: Sequence[Outcome], thresholds: Iterable[float]) -> list[Point]:
    """Recall and false findings at each threshold, over everything that scored."""
    hops, ordinary = _scores(outcomes)
    best = sorted(hops.values())
    ordinary.sort()
    total = sum(len(o.truth.hops) for o in outcomes)
    return [
        Point(t, len(best) - bisect.bisect_left(best, t), total, len(ordinary) - bisect.bisect_left(ordinary, t))
        for t in thresholds
    ]


def calibration(outcomes: Sequence[Outcome], prior_db: float, edges: Sequence[float]) -> list[Bin]:
    """What the evidence (score less prior) claims, and how often entities with so much are hops.

    Free of the prior: the share of all hops that fall into a bin over the share of all other destinations that do
    is the likelihood ratio that the bin's evidence claims.
    """
    hops, ordinary = _scores(outcomes)
    known = sum(len(o.truth.hops) for o in outcomes)
    others = sum(o.destinations for o in outcomes) - known
    silent_hops, silent = known - len(hops), max(0, others - len(ordinary))
    mine = [s - prior_db for s in hops.values()] + [0.0] * silent_hops
    theirs = [s - prior_db for s in ordinary] + [0.0] * silent
    out = []
    for low, high in itertools.pairwise(edges):
        h, o = ([x for x in xs if low <= x < high] for xs in (mine, theirs))
        if h or o:
            out.append(Bin(low, high, statistics.fmean([*h, *o]), len(h), len(o), known, others))
    return out


def _scores(outcomes: Iterable[Outcome]) -> tuple[dict[tuple[str, judge.Hop], float], list[float]]:
    """Each hop's best score, and the best score of each address that is no hop and not accepted as one."""
    hops: dict[tuple[str, judge.Hop], float] = {}
    ordinary: dict[tuple[str, str], float] = {}
    for o in outcomes:
        addresses = {h for h, _ in o.truth.hops} | o.truth.accepted
        for t in o.scored:
            for h in judge.named(o.truth, t):
                hops[(o.item.name, h)] = max(t.score_db, hops.get((o.item.name, h), -math.inf))
            if t.hop not in addresses:
                ordinary[(o.item.name, t.hop)] = max(t.score_db, ordinary.get((o.item.name, t.hop), -math.inf))
    return hops, list(ordinary.values())


def ratio_db(k: int, n: int, j: int, m: int) -> float:
    """10 log10 of (k of n) over (j of m); half a one stands for none."""
    return 10 * math.log10((max(k, HALF) / n) / (max(j, HALF) / m)) if n and m else math.nan


def weights(outcomes: Iterable[Outcome]) -> list[Weight]:
    """What each heuristic said of pairs (client, server) of hops and of ordinary ones; most telling first."""
    said: dict[str, tuple[list[float], list[float]]] = {}
    hop_pairs = ordinary_pairs = 0
    for o in outcomes:
        mine, others = _pairs(o)
        hop_pairs, ordinary_pairs = hop_pairs + len(mine), ordinary_pairs + len(others)
        for r in o.evidence.to_pylist() if o.evidence is not None else ():
            pair = (r["client"], r["server"])
            side = 0 if pair in mine else 1 if pair in others else None
            if side is not None:
                said.setdefault(r["heuristic"], ([], []))[side].append(r["decibans"])
    out = []
    for heuristic, (hops, ordinary) in said.items():
        if not any(d > 0 for d in (*hops, *ordinary)):  # evidence against: counted as it is meant
            hops, ordinary = [-d for d in hops], [-d for d in ordinary]
        spoke = [d for d in hops if d > 0]
        most = max([*hops, *ordinary, 0.0])
        out.append(Weight(
            heuristic, statistics.median(spoke) if spoke else 0.0, most,
            hop_pairs, len(spoke), sum(d > most / 2 > 0 for d in hops),
            ordinary_pairs, sum(d > 0 for d in ordinary), sum(d > most / 2 > 0 for d in ordinary),
        ))  # fmt: skip
    return sorted(out, key=lambda w: (-w.claimed_db, w.heuristic))


def _pairs(outcome: Outcome) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """The pairs of hops and the ordinary ones; those with an accepted address count as neither."""
    clients: dict[str, set[str]] = {}
    for (address, _), known in outcome.truth.hops.items():
        clients.setdefault(address, set()).update(str(c) for c in known.get("clients") or ())
    mine, others = set(), set()
    for client, server in outcome.pairs:
        if server in clients:
            if not clients[server] or client in clients[server]:
                mine.add((client, server))
        elif server not in outcome.truth.accepted and client not in clients:
            others.add((client, server))
    return mine, others
