"""The built-in sensor against Zeek: its own test captures and the lab's, with the logs that Zeek 8.0 wrote.

The captures and their comparator are not part of the project; see docs/sensor-fidelity.md.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hopscope.config import Config
from hopscope.records import InputCount
from hopscope.sensor.read import records

MATCHED, EQUAL, EXTRA = 0.99, 0.98, 0.01  # shares of rows, of fields, of rows; each capture weighing the same


@pytest.fixture(scope="module")
def compare(shared: Path) -> ModuleType:
    """The comparator as a module."""
    spec = importlib.util.spec_from_file_location("compare", shared / "golden" / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(capture: Path) -> list[dict[str, Any]]:
    found = []
    for batch in records(capture, capture.name, Config(), InputCount()):
        for kind, table in (("connection", batch.connections), ("dns_query", batch.dns_queries)):
            found += [{**row, "kind": kind, "ts": row["ts"].timestamp()} for row in table.to_pylist()]
    return found


def shares(compare: ModuleType, pairs: Iterable[tuple[Path, Path]]) -> tuple[float, float, float]:
    """Matched, equal and extra shares over (directory of logs, capture)."""
    tally = compare.Tally()
    for logs, capture in pairs:
        tally.capture(logs, rows(capture))
    assert tally.shares
    matched, equal, extra = (sum(column) / len(tally.shares) for column in zip(*tally.shares, strict=True))
    return matched, equal, extra


@pytest.mark.slow
def test_zeeks_own_test_captures(shared: Path, compare: ModuleType) -> None:
    directories = sorted(d for d in (shared / "golden" / "zeek-traces").iterdir() if d.is_dir())
    pairs = [(d, trace) for d in directories for trace in sorted(d.glob("trace.*"))[:1]]
    matched, equal, extra = shares(compare, pairs)
    assert matched >= MATCHED
    assert equal >= EQUAL
    assert extra <= EXTRA


def test_the_lab(shared: Path, compare: ModuleType) -> None:
    captures = {p.name.removesuffix(".pcap.gz"): p for p in (shared / "captures").glob("*.pcap.gz")}
    logs = {d.name: d for d in (shared / "zeek" / "logs").iterdir() if d.name in captures}
    assert len(logs) == len(captures)
    assert shares(compare, [(logs[name], captures[name]) for name in sorted(logs)]) == (1.0, 1.0, 0.0)
