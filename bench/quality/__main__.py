"""How well hopscope finds, measured.

    python -m bench.quality [--out docs] [--only lab,real,logs] [--shared DIR]

Hunts through the labelled captures and logs beside the checkout (or through pcaps/ where there are none), and writes
quality.md with its two figures to --out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.quality import corpus, figures, measures, page, run


def measured(shared: Path, parts: frozenset[str], processes: int = run.PROCESSES) -> page.Results:
    """All parts that were asked for."""
    lab = corpus.lab(shared) if "lab" in parts else []
    real = corpus.real(shared) if "real" in parts else []
    logs = corpus.logs(shared) if "logs" in parts else []
    outcomes = run.each(run.hunted, [*lab, *real, *logs], processes)
    lab_, real_ = outcomes[: len(lab)], outcomes[len(lab) : len(lab) + len(real)]
    return page.Results(lab_, real_, outcomes[len(lab) + len(real) :])


def write(results: page.Results, out: Path) -> None:
    """The page and its figures."""
    out.mkdir(parents=True, exist_ok=True)
    figures.recall(measures.curve(results.lab, page.THRESHOLDS), page.SEVERITIES, out / "quality-recall.svg")
    bins = measures.calibration(results.lab, page.FUSION.prior_db, page.EDGES)
    figures.calibration(bins, out / "quality-calibration.svg")
    (out / "quality.md").write_text("\n".join(page.page(results)) + "\n", encoding="utf-8")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, default=corpus.ROOT / "docs")
    p.add_argument("--only", default="lab,real,logs", help="parts to run, separated by commas")
    p.add_argument("--shared", type=Path, default=corpus.SHARED, help="where the lab's and real captures lie")
    p.add_argument("--processes", type=int, default=run.PROCESSES)
    a = p.parse_args()
    write(measured(a.shared, frozenset(a.only.split(",")), a.processes), a.out)


if __name__ == "__main__":
    main()
