"""The built-in sensor gives the rows that Zeek gave for its own test captures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from hopscope.config import Config
from hopscope.errors import InputError
from hopscope.records import InputCount
from hopscope.sensor import records

ROWS, FIELDS, EXTRA = 0.99, 0.98, 0.01  # what is asked of matched rows, equal fields, extra rows


def new_tally(shared: Path) -> Any:
    """The comparator's own count, so that the test asks what it asks."""
    spec = importlib.util.spec_from_file_location("compare", shared / "golden/compare.py")
    assert spec is not None
    assert spec.loader is not None
    compare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compare)
    return compare.Tally()


def rows(trace: Path) -> list[dict[str, Any]]:
    """A capture's records as `hopscope records` prints them; none when the capture can't be read."""
    out: list[dict[str, Any]] = []
    try:
        for batch in records(trace, trace.name, Config(), InputCount()):
            for kind, table in (("connection", batch.connections), ("dns_query", batch.dns_queries)):
                out += [{**r, "kind": kind, "ts": r["ts"].timestamp()} for r in table.to_pylist()]
    except InputError:
        return []
    return out


def test_fidelity(shared: Path) -> None:
    tally = new_tally(shared)
    for folder in sorted(d for d in (shared / "golden/zeek-traces").iterdir() if d.is_dir()):
        trace = next(iter(sorted(folder.glob("trace.*"))), None)
        if trace is not None:
            tally.capture(folder, rows(trace))
    assert len(tally.shares) > 400
    matched, equal, extra = (sum(x) / len(tally.shares) for x in zip(*tally.shares, strict=True))
    assert (matched >= ROWS, equal >= FIELDS, extra <= EXTRA) == (True, True, True), (matched, equal, extra)


@pytest.mark.parametrize("name", ["benign", "socat-beacon", "inside-relay", "socks-microsocks"])
def test_lab_captures_as_zeek_logged_them(shared: Path, name: str) -> None:
    tally = new_tally(shared)
    tally.capture(shared / f"zeek/logs/{name}", rows(shared / f"captures/{name}.pcap.gz"))
    ((matched, equal, extra),) = tally.shares
    assert (matched >= ROWS, equal >= FIELDS, extra <= EXTRA) == (True, True, True), (matched, equal, extra)
