"""Findings against the truth that lies beside a labelled capture."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hopscope.findings import SEVERITIES, Finding


@dataclass(frozen=True)
class Verdict:
    """Hops that no finding names, findings that name no hop (address, port, severity), and far ends' errors in ms."""

    missed: list[tuple[str, int]]
    false: list[tuple[str, int | None, str]]
    errors_ms: list[float]


def judge(truth_file: Path, findings: Iterable[Finding], severity: str = "medium") -> Verdict:
    """Findings of at least `severity` against the capture's truth; a fourth finding for one hop is false."""
    truth = json.loads(truth_file.read_text())
    hops = {(str(ipaddress.ip_address(h["hop"])), int(h["port"])): h for h in truth["hops"]}
    accepted = {a for h in truth["hops"] for a in h.get("accept", [])}
    hits: Counter[tuple[str, int]] = Counter()
    false: list[tuple[str, int | None, str]] = []
    errors: list[float] = []
    for f in findings:
        if SEVERITIES.index(f.severity) < SEVERITIES.index(severity):
            continue
        named = [k for k in hops if k[0] == f.hop and f.port in (None, k[1])]
        for k in named:
            hits[k] += 1
            if f.far_end.distance_ms is not None and hops[k].get("behind_ms"):
                errors.append(abs(f.far_end.distance_ms - hops[k]["behind_ms"]))
        if any(hits[k] > 3 for k in named) or (not named and f.hop not in accepted):
            false.append((f.hop, f.port, f.severity))
    return Verdict(sorted(k for k in hops if not hits[k]), false, errors)
