"""What heuristics share: the making of an evidence table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hopscope.heuristics.base import EVIDENCE
from hopscope.heuristics.evidence import evidence, numbers, rise


def test_what_weighs_nothing_or_no_number_is_no_evidence() -> None:
    servers = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]
    rows = pa.Table.from_pylist([{"server": s} for s in servers], pa.schema([EVIDENCE.field("server")]))
    told = evidence(rows, np.array([3.0, np.nan, 0.004, -2.0]), "", (), {})
    assert told.select(["server", "decibans"]).to_pydict() == {
        "server": ["192.0.2.1", "192.0.2.4"],
        "decibans": [3.0, -2.0],
    }


def test_a_rise_of_no_width_is_a_step() -> None:
    assert rise(np.array([0.4, 0.5, 0.6, np.nan]), 0.5, 0.5).tolist() == [0.0, 0.0, 1.0, 0.0]


def test_numbers_beyond_exact_floats_are_rounded() -> None:
    assert numbers(pa.table({"sum": [(1 << 61) + 1, None]}), "sum").tolist()[0] == float(1 << 61)
