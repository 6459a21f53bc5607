"""How well hopscope finds, measured.

    python -m bench.quality [--out docs] [--only lab,real,logs,beacon,inject,degrade,leak] [--shared DIR]

Hunts through the labelled captures and logs beside the checkout (or through pcaps/ where there are none), and writes
quality.md with its two figures to --out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.quality import beacon, corpus, degrade, figures, inject, leak, measures, page, run, sections
from bench.quality.corpus import Item

PARTS = ("lab", "real", "logs", "beacon", "inject", "degrade", "leak")
INTO = ("tenzir", "rita/proxy_rolling")  # real logs with clients enough and nothing known in them


def measured(shared: Path, parts: frozenset[str], processes: int = run.PROCESSES) -> page.Results:
    """All parts that were asked for."""
    lab = corpus.lab(shared) if parts & {"lab", "degrade", "leak"} else []
    real = corpus.real(shared) if "real" in parts else []
    logs = corpus.logs(shared)
    plain = [i for i in logs if "logs" in parts and i.name != corpus.BEACON_LOG]
    outcomes = run.each(run.hunted, [*lab, *real, *plain], processes)
    found, rest = outcomes[: len(lab)], outcomes[len(lab) :]
    further: list[Sequence[str]] = []
    if plain:
        further.append(list(sections.logs(rest[len(real) :])))
    known = [v for i in logs if "beacon" in parts and i.name == corpus.BEACON_LOG for v in beacon.views(i)]
    if known:
        further.append(list(sections.beacon(run.each(beacon.view, known, processes))))
    into = [i for i in logs if "inject" in parts and i.name in INTO]
    if into:
        further.append(list(sections.injection(injected(into, corpus.lab(shared), processes))))
    if "degrade" in parts:
        hops = sum(len(i.truth.hops) for i in lab)
        further.append(list(sections.degraded(run.each(degrade.seen, degrade.jobs(lab), processes), hops)))
    if "leak" in parts:
        further.append(list(sections.leaks(leak.best(run.each(leak.traits, lab, processes)), leak.tool(found))))
    return page.Results(found, rest[: len(real)], rest[len(real) :], further)


def injected(into: Sequence[Item], lab: Sequence[Item], processes: int) -> list[inject.Placed]:
    """Every run of moved hops."""
    hops = [h for hops in run.each(inject.hops_of, lab, processes) for h in hops]
    clients = dict(zip([i.name for i in into], run.each(inject.clients_of, into, processes), strict=True))
    return run.each(inject.placed, inject.jobs(into, hops, clients), processes)


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
    p.add_argument("--only", default=",".join(PARTS), help="parts to run, separated by commas")
    p.add_argument("--shared", type=Path, default=corpus.SHARED, help="where the lab's and real captures lie")
    p.add_argument("--processes", type=int, default=run.PROCESSES)
    a = p.parse_args()
    write(measured(a.shared, frozenset(a.only.split(",")), a.processes), a.out)


if __name__ == "__main__":
    main()
