"""What was told against what is true of a labelled capture."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hopscope.findings import SEVERITIES, Finding

MOST = 3  # findings for one hop; from the next on they are false
Hop = tuple[str, int]


class Told(Protocol):
    """A finding, or what a threshold would have made one: address, port (None: the whole address), severity."""

    @property
    def hop(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def severity(self) -> str: ...
    @property
    def distance_ms(self) -> float | None: ...


@dataclass(frozen=True)
class Truth:
    """The hops of a capture (address and port -> what is known of each), and addresses that may be named as well."""

    hops: Mapping[Hop, Mapping[str, Any]] = field(default_factory=dict)
    accepted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Verdict:
    """Hops that no finding names, findings that name no hop (address, port, severity), and far ends' errors in ms."""

    missed: list[Hop]
    false: list[tuple[str, int | None, str]]
    errors_ms: list[float]


@dataclass(frozen=True)
class _Told:
    hop: str
    port: int | None
    severity: str
    distance_ms: float | None


def load(truth_file: Path) -> Truth:
    """The truth that lies beside a labelled capture."""
    return of(json.loads(truth_file.read_text(encoding="utf-8")))


def of(truth: Mapping[str, Any]) -> Truth:
    """The truth as the JSON beside a capture tells it."""
    hops = {(str(ipaddress.ip_address(h["hop"])), int(h["port"])): h for h in truth["hops"]}
    return Truth(hops, frozenset(a for h in truth["hops"] for a in h.get("accept", [])))


def named(truth: Truth, told: Told) -> list[Hop]:
    """The hops that a finding names: its address, and its port where it has one."""
    return [k for k in truth.hops if k[0] == told.hop and told.port in (None, k[1])]


def verdict(truth: Truth, told: Iterable[Told], severity: str = "medium") -> Verdict:
    """What was told at `severity` or above, strongest first, against the truth; a fourth finding for a hop is false."""
    hits: Counter[Hop] = Counter()
    false: list[tuple[str, int | None, str]] = []
    errors: list[float] = []
    for f in told:
        if SEVERITIES.index(f.severity) < SEVERITIES.index(severity):
            continue
        hops = named(truth, f)
        for k in hops:
            hits[k] += 1
            if f.distance_ms is not None and truth.hops[k].get("behind_ms"):
                errors.append(abs(f.distance_ms - truth.hops[k]["behind_ms"]))
        if any(hits[k] > MOST for k in hops) or (not hops and f.hop not in truth.accepted):
            false.append((f.hop, f.port, f.severity))
    return Verdict(sorted(k for k in truth.hops if not hits[k]), false, errors)


def judge(truth_file: Path, findings: Iterable[Finding], severity: str = "medium") -> Verdict:
    """Findings of at least `severity` against the truth beside the capture."""
    told = [_Told(f.hop, f.port, f.severity, f.far_end.distance_ms) for f in findings]
    return verdict(load(truth_file), told, severity)
