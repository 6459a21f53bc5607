"""docs/quality.md: the figures in words and tables. The same results give the same page, on any machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench.quality import ablation, figures, intervals, measures, software
from bench.quality.run import Outcome
from bench.quality.words import percent, pieces, share, some, table
from hopscope.config import FusionSettings
from hopscope.heuristics import registry

FUSION = FusionSettings()
EDGES = (-60.0, -5.0, 0.5, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 120.0)
THRESHOLDS = [t / 2 for t in range(-80, 81)]
SEVERITIES = {"low": FUSION.low_db, "medium": FUSION.medium_db, "high": FUSION.high_db, "critical": FUSION.critical_db}


@dataclass(frozen=True)
class Results:
    """All that a run gave; `sections` are further parts, each its lines."""

    lab: Sequence[Outcome]
    real: Sequence[Outcome]
    logs: Sequence[Outcome]
    sections: Sequence[Sequence[str]] = ()


def page(results: Results) -> list[str]:
    """The lines of docs/quality.md."""
    lines = list(_head(results))
    lines += [*_kinds(results.lab), *_rates(results), *_recall(results.lab), *_calibration(results.lab)]
    lines += [*_weights(results.lab), *_ablation(results.lab), *software.told(results.real)]
    for section in results.sections:
        lines += section
    return [*lines, *_method(results)]


def _head(results: Results) -> Iterator[str]:
    yield "# How well hopscope finds"
    yield ""
    yield (
        "Written by `make quality`, which hunts at default settings through labelled captures and compares what is "
        "told at medium or above with what is true. A hop is found when a finding names its address, and its port "
        "where the finding has one; a finding that names no hop is false, and so is a fourth one for the same hop. "
        "Decibans are ten times the decimal logarithm of odds or of a ratio of odds: +10 is ten times as likely."
    )
    yield ""
    rows = [h for o in results.lab for h in measures.hop_rows(o)]
    false = sum(len(measures.false_of(o)) for o in results.lab)
    yield (
        f"- **Lab captures**: {sum(h.found for h in rows)} of {len(rows)} hops found, {false} false findings, in "
        f"{len(results.lab)} captures of real relay software amid ordinary traffic."
    )
    for o in results.lab:
        if o.error:
            yield f"- {o.item.name} could not be read: {o.error}"
    if results.real:
        counted = [o for o in results.real if software.in_scope(o)]
        found = [o for o in counted if measures.found_of(o, FUSION.low_db)]
        benign = [o for o in results.real if o.item.benign]
        flagged = [o for o in benign if measures.false_of(o)]
        yield (
            f"- **Captures of real software**: {len(found)} of {len(counted)} proxies and tunnels in scope found at "
            f"low or above; {share(len(flagged), len(benign))} of the benign ones flagged at medium or above."
        )
    else:
        yield "- Captures and logs of real software were not at hand for this run; their parts are left out."
    yield ""


def _kinds(lab: Sequence[Outcome]) -> Iterator[str]:
    yield "## By kind"
    yield ""
    yield (
        "The rank is the hop's place among all entities that any evidence speaks of, far below low too. The error is "
        "that of the measured distance between hop and far end. What carried it: heuristics with evidence for the "
        "hop, strongest first."
    )
    rows: list[tuple[object, ...]] = []
    for k in measures.by_kind(lab):
        errors = [h.error_ms for h in k.rows if h.error_ms is not None]
        scores = [h.score_db for h in k.rows if h.score_db is not None]
        ranks = [f"{h.rank} of {h.of}" if h.rank else "none" for h in k.rows]
        carried = list(dict.fromkeys(c for h in k.rows for c in h.carried))
        rows.append((
            k.kind, k.hops, k.found, some(k.missed) or None, k.false,
            " / ".join(f"{s:+.0f}" for s in scores), ", ".join(ranks),
            f"{median(errors):.0f} ms" if errors else None, ", ".join(carried),
        ))  # fmt: skip
    yield from table(
        ("kind", "hops", "found", "missed", "false", "score, dB", "rank", "error", "carried by"), rows, "lrrlrrrrl"
    )
    for o in lab:
        for t in measures.false_of(o):
            yield f"- false in {o.item.name}: {t.entity} at {t.score_db:+.1f} ({pieces(t.scaled)})"
    yield ""


def _rates(results: Results) -> Iterator[str]:
    yield "## False findings"
    yield ""
    yield (
        "Counted against destinations outside the monitored networks that were talked to, and against clients' days "
        "(a client that is seen for six hours is a quarter). The intervals hold 95 %. Nothing seen is no proof of "
        "nothing: none of 222 bounds a rate at 1.4 % and no better, and captures of minutes say little of days."
    )
    rows: list[tuple[object, ...]] = []
    for what, outcomes, days in (
        ("lab captures", results.lab, True),
        ("benign captures of real software", [o for o in results.real if o.item.benign], False),
        ("real logs", [o for o in results.logs if not o.truth.hops], True),
    ):
        if not outcomes:
            continue
        e = measures.exposure(outcomes)
        low, high = intervals.exact(min(e.false, e.destinations), e.destinations)
        row: list[object] = [what, e.captures, e.destinations, e.false]
        row.append(
            f"{1000 * e.false / e.destinations:.1f} ({1000 * low:.1f} to {1000 * high:.1f})" if e.destinations else None
        )
        if days and e.client_days:
            low, high = intervals.rate(e.false, e.client_days)
            row += [f"{e.client_days:.2f}", f"{e.false / e.client_days:.2f} ({low:.2f} to {high:.2f})"]
        else:
            row += [None, None]
        rows.append(tuple(row))
    yield from table(
        ("", "inputs", "destinations", "false at medium", "per 1,000 destinations", "client-days", "per client-day"),
        rows, "lrrrrrr",
    )  # fmt: skip


def _recall(lab: Sequence[Outcome]) -> Iterator[str]:
    yield "## Recall against false findings"
    yield ""
    yield "![Share of hops found and number of false findings over the threshold](quality-recall.svg)"
    yield ""
    yield (
        "Every destination counts with its best score; precision is the hops' share of what is told, at the lab's own "
        "prevalence."
    )
    points = measures.curve(lab, [-30.0, -20.0, *SEVERITIES.values(), 30.0])
    yield from table(
        ("threshold, dB", "hops found", "false", "precision"),
        [
            (f"{p.threshold_db:+.0f}", f"{p.found} of {p.hops}", p.false, percent(p.precision))
            for p in sorted(points, key=lambda p: p.threshold_db)
        ],
        "rrrr",
    )  # fmt: skip


def _calibration(lab: Sequence[Outcome]) -> Iterator[str]:
    yield "## Does the score mean what it says?"
    yield ""
    yield "![Measured likelihood ratios over claimed ones](quality-calibration.svg)"
    yield ""
    yield (
        "The score is the prior of one in ten thousand plus evidence. How common hops are in a laboratory says nothing "
        "of a network, so the evidence alone is checked: the share of all hops whose evidence falls into a bin, over "
        "the share of all other destinations with as much. That ratio is what the evidence claims. Where no ordinary "
        "destination has as much, half a one stands for none, and the measured ratio is a lower bound that the number "
        "of destinations sets."
    )
    rows: list[tuple[object, ...]] = []
    for b in measures.calibration(lab, FUSION.prior_db, EDGES):
        low, high = figures.bounds_db(b)
        bound = "at least " if not b.ordinary else "at most " if not b.hops else ""
        rows.append((
            f"{b.low_db:+.1f} to {b.high_db:+.1f}", b.hops, b.ordinary, f"{b.claimed_db:+.1f}",
            f"{bound}{figures.measured_db(b):+.1f}", f"{low:+.0f} to {high:+.0f}",
        ))  # fmt: skip
    yield from table(("evidence, dB", "hops", "others", "claimed, mean", "measured", "95 %"), rows, "rrrrrr")


def _weights(lab: Sequence[Outcome]) -> Iterator[str]:
    yield "## Weights: claimed and measured"
    yield ""
    yield (
        "For pairs of a client and a server: how many pairs with a hop, and how many ordinary ones, each heuristic "
        "speaks for at all and with more than half of the most it said anywhere here; and the likelihood ratio "
        "between the two shares. Claimed is the median of what it said for pairs with a hop. Ordinary traffic of the "
        "lab holds look-alikes on purpose, far more of them than a network has, so measured ratios are low rather "
        "than high; each heuristic's file says where its weights come from."
    )
    rows: list[tuple[object, ...]] = []
    for w in measures.weights(lab):
        rows.append((
            f"`{w.heuristic}`", f"{w.claimed_db:+.1f}" if w.hops_some else None,
            f"{w.hops_some} of {w.hop_pairs}", f"{w.ordinary_some} of {w.ordinary_pairs:,}",
            _ratio(w.hops_some, w.hop_pairs, w.ordinary_some, w.ordinary_pairs),
            f"{w.hops_half}", f"{w.ordinary_half}",
            _ratio(w.hops_half, w.hop_pairs, w.ordinary_half, w.ordinary_pairs),
        ))  # fmt: skip
    yield from table(
        ("heuristic", "claimed, dB", "hops: any", "ordinary: any", "measured, dB", "hops: loud", "ordinary: loud",
         "measured, dB"), rows, "lrrrrrrr",
    )  # fmt: skip
    silent = sorted(set(registry()) - {w.heuristic for w in measures.weights(lab)})
    if silent:
        yield f"Said nothing here: {', '.join(f'`{s}`' for s in silent)}."
        yield ""


def _ratio(k: int, n: int, j: int, m: int) -> str | None:
    if not k and not j:
        return None
    bound = "≥ " if not j else "≤ " if not k else ""
    return f"{bound}{measures.ratio_db(k, n, j, m):+.1f}"


def _ablation(lab: Sequence[Outcome]) -> Iterator[str]:
    yield "## What each heuristic brings"
    yield ""
    yield (
        "The same evidence, fused with one heuristic off: the hops that are then no longer found at medium, the false "
        "findings more or fewer, and what hops' scores lose on average. Evidence against is worth its false findings."
    )
    rows: list[tuple[object, ...]] = []
    for x in ablation.losses(lab):
        rows.append((
            f"`{x.heuristic}`", x.spoke, len(x.lost), some(x.lost) or None, len(x.gained), x.false_more, x.false_fewer,
            f"{x.false_low:+d}", f"{x.weaker_db:+.1f}",
        ))  # fmt: skip
    yield from table(
        ("without", "captures it spoke in", "hops lost", "which", "hops gained", "false more", "false fewer",
         "false at low", "weight in hops, dB"), rows, "lrrlrrrrr",
    )  # fmt: skip


def _method(results: Results) -> Iterator[str]:
    yield "## How this was measured"
    yield ""
    yield "    make quality"
    yield ""
    yield (
        "`bench/quality/` hunts each capture once and keeps the evidence; what leaves a heuristic out or moves the "
        "threshold fuses the same evidence again. The lab's captures were recorded with real software on emulated "
        "wide-area links; where they are not beside the checkout the captures in pcaps/ stand for them, and the parts "
        "about real traffic are left out. The page has no date and no figure that a machine's speed could change."
    )
    yield ""
    yield (
        f"This page: {len(results.lab)} lab captures, {len(results.real)} captures of real software, "
        f"{len(results.logs)} sets of logs."
    )
