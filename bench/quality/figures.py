"""The page's two figures, the same bytes for the same numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from bench.quality import intervals
from bench.quality.measures import Bin, Point, ratio_db

INK, OTHER = "#1b4965", "#c1440e"
matplotlib.rcParams["svg.hashsalt"] = "hopscope"
matplotlib.rcParams["svg.fonttype"] = "path"


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")


def recall(points: Sequence[Point], severities: dict[str, float], path: Path) -> None:
    """Recall and false findings over the threshold."""
    figure = Figure(figsize=(7, 3.6))
    left = figure.subplots()
    right = left.twinx()
    at = [p.threshold_db for p in points]
    left.plot(at, [p.found / p.hops if p.hops else math.nan for p in points], color=INK, label="hops found")
    right.plot(at, [p.false for p in points], color=OTHER, linestyle="--", label="false findings")
    for name, where in severities.items():
        left.axvline(where, color="#999999", linewidth=0.8)
        left.text(where, 1.06, name, ha="center", fontsize=8, color="#555555")
    left.set_xlabel("threshold, decibans")
    left.set_ylabel("share of hops found", color=INK)
    right.set_ylabel("false findings", color=OTHER)
    left.set_ylim(0, 1.04)
    right.set_ylim(0, max([p.false for p in points] + [1]) * 1.04)
    _save(figure, path)


def calibration(bins: Sequence[Bin], path: Path) -> None:
    """Measured against claimed likelihood ratios, with 95 % intervals."""
    figure = Figure(figsize=(5, 4.4))
    axes = figure.subplots()
    edges = [b.claimed_db for b in bins] or [0.0]
    axes.plot([min(edges), max(edges)], [min(edges), max(edges)], color="#999999", linewidth=0.8)
    for b in bins:
        low, high = bounds_db(b)
        middle = measured_db(b)
        axes.plot([b.claimed_db, b.claimed_db], [low, high], color=INK, linewidth=1.2)
        axes.plot([b.claimed_db], [middle], marker="o", color=INK)
    axes.set_xlabel("claimed by the evidence, decibans")
    axes.set_ylabel("measured, decibans")
    _save(figure, path)


def measured_db(b: Bin) -> float:
    """The likelihood ratio that the bin shows."""
    return ratio_db(b.hops, b.all_hops, b.ordinary, b.all_ordinary)


def bounds_db(b: Bin) -> tuple[float, float]:
    """The least and greatest ratio that the shares' intervals allow (each at 95 %: a little too wide)."""
    h, o = intervals.wilson(b.hops, b.all_hops), intervals.wilson(b.ordinary, b.all_ordinary)
    floor = 1e-6
    return (
        10 * math.log10(max(h[0], floor) / max(o[1], floor)),
        10 * math.log10(max(h[1], floor) / max(o[0], floor)),
    )
