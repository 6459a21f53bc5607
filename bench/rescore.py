"""What re-scoring costs at a million pairs, without the traffic: `hopscope whatif` behind its command.

    python bench/rescore.py [--connections 5200000] [--keep DIR]

Writes the logs of the made-up site of `synthetic.py` with the package's fields, hunts in them once, keeping what
was weighed, and re-scores that with other settings, each in a process of its own, as the command does. Seconds
are those of this machine; the ratio to the hunt of the same run is what can be compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import synthetic
from site_model import places

HUNT = (
    "import sys\nfrom pathlib import Path\nfrom hopscope import hunting\n"
    "found = hunting.hunt(sys.argv[1], keep=Path(sys.argv[2]))\nprint(len(found))"
)
RESCORE = (
    "import json, sys\nfrom pathlib import Path\nfrom hopscope import config, runs\n"
    "from hopscope.whatif import rescoring\n"
    "run = runs.load(Path(sys.argv[1]))\n"
    "got = rescoring.rescore(run, config.load(None, {}, json.loads(sys.argv[2])))\n"
    "print(run.window.pairs.count().execute(), len(got.findings))"
)
CASES: dict[str, dict[str, object]] = {
    "weights and prior": {"fusion.prior_db": -38.0, "fusion.weights.cadence": 0.5},
    "path_gap.floor_ms=25, cadence disabled": {"heuristics.path_gap.floor_ms": 25.0, "disabled": ["cadence"]},
    "prevalence.step_db=3": {"heuristics.prevalence.step_db": 3.0},
    "byte_ratio.floor=0.5": {"heuristics.byte_ratio.floor": 0.5},
    "unnamed, community": {"heuristics.unnamed.hop_rate": 0.2, "heuristics.community.few": 3},
    "cadence.max_spread": {"heuristics.cadence.max_spread": 0.25},
}


def timed(code: str, *arguments: str) -> tuple[float, list[str]]:
    """Wall seconds of a Python process and the words of its last line."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return time.perf_counter() - began, done.stdout.split()


def measure(connections: int, work: Path) -> None:
    """Prints the table."""
    kept = work / "findings.run"
    if not kept.exists():
        hosts = max(20, connections // 3000)
        synthetic.write(places.Size(hosts, 24, connections, seed=1), work / "logs", hopscope=True)
        hunted, _ = timed(HUNT, str(work / "logs"), str(kept))
        (work / "hunted.json").write_text(json.dumps(hunted))
    hunted = json.loads((work / "hunted.json").read_text())
    size = sum(f.stat().st_size for f in kept.rglob("*.parquet"))
    rows = [(name, *timed(RESCORE, str(kept), json.dumps(values))) for name, values in CASES.items()]
    print(f"{int(rows[0][2][0]):,} pairs of {connections:,} connections; kept in {size / 1e6:,.0f} MB\n")
    print("| | seconds | of the hunt |\n| --- | ---: | ---: |")
    print(f"| the hunt, which reads the logs and keeps what it weighed | {hunted:.1f} | 1 |")
    for name, seconds, _ in rows:
        print(f"| {name} | {seconds:.1f} | {seconds / hunted:.3f} |")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--connections", type=int, default=5_200_000)
    p.add_argument("--keep", type=Path, help="where logs and run stay for another time; else they go")
    a = p.parse_args()
    if a.keep is not None:
        a.keep.mkdir(parents=True, exist_ok=True)
        measure(a.connections, a.keep)
        return
    with tempfile.TemporaryDirectory() as scratch:
        measure(a.connections, Path(scratch))


if __name__ == "__main__":
    main()
