"""Runs tests while every heuristic says nothing: those that still pass prove no heuristic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Set
from pathlib import Path
from typing import Any

import pytest

from support.collecting import ROOT


def failing(nodes: Iterable[str]) -> Set[str]:
    """Of these tests (node ids without parameters) those that fail when no heuristic gives any evidence."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "failing.json"
        code = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r})"
        code = f"{code}; from support import silencing; silencing.main()"
        env = {**os.environ, "PYTHONPATH": ""}
        done = subprocess.run(
            [sys.executable, "-c", code, str(out), *nodes],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if not out.exists():
            raise AssertionError(f"pytest ran nothing:\n{done.stdout}{done.stderr}")
        return set(json.loads(out.read_text()))


class _Failed:
    """A plugin that gathers the tests that fail."""

    def __init__(self) -> None:
        self.nodes: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.nodes.add(report.nodeid.partition("[")[0])


def main() -> None:
    """Silence the heuristics, run the tests on the command line, write which failed to the file named before them."""
    from hopscope import heuristics

    out, *nodes = sys.argv[1:]
    for heuristic in heuristics.registry().values():
        _silence(type(heuristic))
    failed = _Failed()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *nodes], plugins=[failed])
    if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        Path(out).write_text(json.dumps(sorted(failed.nodes)))
    sys.exit(code)


def _silence(heuristic: Any) -> None:
    weigh = heuristic.weigh
    heuristic.weigh = lambda self, window, settings: weigh(self, window, settings).slice(0, 0)
