"""What `hopscope tune` gains on hops and look-alikes it hasn't seen: 200 labels of a made-up site, 200 of another.

    python bench/tune.py [--seeds 13,14,15] [--json]

Each seed draws a site (`site_model/mixed.py` states its mix), writes its logs, hunts through them with shipped
settings and labels what is found (low and above) by what is true. The first 200 labels are given to tune; the
first 200 of the next seed's site, without destinations that both have, show what the proposal does. Where tune
refuses, settings stay as they are, and what it refused is measured all the same and summed up apart. The fit's
rules were chosen on seeds 1 to 5; a fault of its optimiser was found on 12, so that 13 and on are wholly unseen.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hopscope import config, hunting
from hopscope.labels import Label
from hopscope.labels.making import Said, of_finding
from hopscope.tuning import commands, model, validation
from hopscope.tuning.validation import Effect
from site_model import logs, mixed, text, traffic
from site_model.places import EPOCH

LABELS = 200
DAY = datetime(2026, 1, 6, tzinfo=UTC)


def labelled(seed: int, out: Path) -> list[Label]:
    """The first 200 labels of the seed's site, in an order drawn from the seed; its logs are written to `out`."""
    site = mixed.site(seed)
    files = {name: (out / f"{name}.log").open("wb") for name in logs.TYPES}
    for name, f in files.items():
        f.write(text.header(name, logs.TYPES[name], EPOCH).encode())
    for number in range(site.size.hours):
        rng = np.random.default_rng([seed, 1 + number, 1])
        for name, table in logs.tables(site, traffic.hour(site, number), rng, True).items():
            files[name].write(text.tsv(table, logs.TYPES[name]))
    for f in files.values():
        f.close()
    address = site.addresses.to_pylist()
    hops = {address[p.server] for p in site.programs if mixed.is_hop(p)}
    found = hunting.hunt(out, config=config.load())
    labels = [of_finding(f, Said("hop" if f.hop in hops else "benign", DAY, "bench")) for f in found]
    order = np.random.default_rng([seed, 3]).permutation(len(labels))
    return [labels[i] for i in order[:LABELS]]


def measured(given: list[Label], unseen: list[Label], seed: int) -> dict[str, Any]:
    """Tune by some labels; today's settings and the proposal on others."""
    settings = config.load()
    columns = model.labelled([commands.example(label) for label in (*given, *unseen)], settings.fusion, frozenset())
    current = commands.current_settings(columns.heuristics, settings)
    shape = model.shape(columns.heuristics, settings.fusion)
    rows = np.arange(len(columns.place))
    mine = columns.take(rows[: len(given)])
    others = columns.take(rows[(rows >= len(given)) & ~np.isin(columns.place, mine.place)])
    began = time.perf_counter()
    proposal = validation.propose(mine, current, shape)
    took = time.perf_counter() - began
    new = proposal.fitted.settings
    before, after = (validation.effects(others, s, shape) for s in (current, new))
    return {
        "seed": seed, "labels": len(given), "unseen_labels": len(others.place),
        "refused": proposal.refused, "seconds": round(took, 1),
        "strength": proposal.fitted.strength, "prior_db": new.prior_db,
        "weights": {h: float(w) for h, w in zip(columns.heuristics, new.weights, strict=True) if w != 1},
        "held_out": [_told(proposal.before[0]), _told(proposal.middle.after[0])],
        "unseen": {
            severity: [_told(b), _told(a)]
            for severity, b, a in zip(("medium", "high", "critical"), before, after, strict=True)
        },
    }  # fmt: skip


def _told(effect: Effect) -> dict[str, int]:
    return dataclasses.asdict(effect)


def _line(result: dict[str, Any]) -> str:
    parts = [f"seed {result['seed']:3d}, {result['labels']} labels"]
    for name, (b, a) in (("held out", result["held_out"]), *result["unseen"].items()):
        parts.append(f"{name}: false {b['false']:2d} -> {a['false']:2d} of {a['benign']}, "
                     f"hops {b['found']} -> {a['found']} of {a['hops']}")  # fmt: skip
    return (
        "; ".join(parts) + f"; {result['seconds']} s" + (f"; REFUSED: {result['refused']}" if result["refused"] else "")
    )


def _sums(results: list[dict[str, Any]], which: str) -> str:
    both = [r["unseen"]["medium"] for r in results]
    false, found = ([sum(b[i][k] for b in both) for i in (0, 1)] for k in ("false", "found"))
    hops, benign = (sum(b[0][k] for b in both) for k in ("hops", "benign"))
    false_told = f"false findings {false[0]} -> {false[1]} of {benign}"
    return f"{len(results)} {which}: {false_told}, hops {found[0]} -> {found[1]} of {hops}"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seeds", default="8,9,10,13,14,15")
    p.add_argument("--json", action="store_true", help="one line of JSON for each seed")
    a = p.parse_args()
    results = []
    known: dict[int, list[Label]] = {}
    for seed in (int(s) for s in a.seeds.split(",")):
        for drawn in {seed, seed + 1} - known.keys():
            with tempfile.TemporaryDirectory() as out:
                known[drawn] = labelled(drawn, Path(out))
        results.append(measured(known[seed], known[seed + 1], seed))
        print(json.dumps(results[-1]) if a.json else _line(results[-1]), flush=True)
    for which, some in (
        ("proposed", [r for r in results if not r["refused"]]), ("refused", [r for r in results if r["refused"]]),
    ):  # fmt: skip
        if some:
            print(_sums(some, which), file=sys.stderr if a.json else sys.stdout)


if __name__ == "__main__":
    main()
