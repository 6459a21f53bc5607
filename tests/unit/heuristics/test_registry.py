"""The exact list of heuristics: none is lost in silence, and all keep the same contract."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pyarrow as pa
import pytest

from hopscope import fusion, heuristics
from hopscope.heuristics.base import EVIDENCE
from hopscope.records import CONNECTION_SCHEMA
from support.windows import make_window, starts

NAMES = [
    "byte_ratio", "cadence", "carried_protocol", "community", "known_names", "leaked_far_end", "logon_geography",
    "nested_tls", "opaque_first_bytes", "path_gap", "payload_profile", "prevalence", "proxy_protocol",
    "relay_pattern", "rotation", "shared_identity", "sigma_rules", "terminal_session", "unnamed",
]  # fmt: skip


def test_exactly_these_are_found() -> None:
    assert list(heuristics.registry()) == NAMES


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_it_is_named_for_its_file_and_tested_in_one(self, name: str) -> None:
        heuristic = heuristics.registry()[name]
        module = importlib.import_module(type(heuristic).__module__)
        assert Path(str(module.__file__)).stem == heuristic.name == name
        assert (Path(__file__).parent / f"test_{name}.py").is_file()

    def test_it_documents_itself(self, name: str) -> None:
        heuristic = heuristics.registry()[name]
        assert heuristic.group in fusion.GROUPS
        assert heuristic.title
        assert heuristic.source
        assert heuristic.d3fend.startswith("D3-")
        doc = type(heuristic).__doc__ or ""
        assert "Formula" in doc or "formula" in doc
        weights = doc.lower().partition("weights:")[2]
        assert any(word in weights for word in ("published", "measured", "assum")), f"whose weights are {name}'s?"
        for f in dataclasses.fields(heuristic.defaults):
            assert f.metadata["doc"], f"{name}.{f.name} has no meaning"

    def test_an_empty_window_and_an_ordinary_one(self, name: str) -> None:
        heuristic = heuristics.registry()[name]
        for window in (make_window(), make_window(starts=starts([0, 7, 30, 31]))):
            table = heuristic.weigh(window, heuristic.defaults)
            assert table.schema.names == [*EVIDENCE.names, *(f.name for f in heuristic.facts)]
            assert table.schema.names[: len(EVIDENCE)] == EVIDENCE.names
            assert table.select(EVIDENCE.names).schema.equals(EVIDENCE)

    def test_the_same_window_gives_the_same_evidence(self, name: str) -> None:
        heuristic = heuristics.registry()[name]
        times = [3.0 * i + 0.1 * (i % 3) for i in range(30)]
        tables = [heuristic.weigh(make_window(starts=starts(times)), heuristic.defaults) for _ in range(2)]
        assert isinstance(tables[0], pa.Table)
        assert tables[0].to_pylist() == tables[1].to_pylist()

    def test_rows_in_any_order_and_fields_that_a_conn_log_lacks(self, name: str) -> None:
        heuristic = heuristics.registry()[name]
        calls = [c for i in range(4) for c in starts([3.0 * k + i for k in range(25)], server=f"203.0.113.{i}")]
        samples = [{k: c[k] for k in ("server", "ts_us", "uid")} | {"hash": i} for i, c in enumerate(calls)]
        legs = [{"uid": f"L{i}", "role": role, "on_starts": None} for i, role in enumerate(("accept", "connect"))]
        tables = [
            heuristic.weigh(make_window(starts=s, samples=r, legs=g), heuristic.defaults).to_pylist()
            for s, r, g in ((calls, samples, legs), (calls[::-1], samples[::-1], legs[::-1]))
        ]
        assert tables[0] == tables[1]

    def test_it_needs_fields_that_exist(self, name: str) -> None:
        for group in heuristics.registry()[name].needs:
            assert group
            assert set(group) <= set(CONNECTION_SCHEMA.names)
