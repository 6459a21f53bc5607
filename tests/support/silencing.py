"""Runs tests while no heuristic says anything and no Sigma rule fires: those that still pass prove neither."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Any

import pytest

from support.collecting import ROOT


def failing(nodes: Iterable[str]) -> Set[str]:
    """Of these tests (node ids without parameters) those that fail when nothing gives evidence or fires."""
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
    """Silence heuristics and rules, run the tests named, and write which failed to the file named before them."""
    from hopscope import heuristics
    from hopscope.sigma import Matcher

    out, *nodes = sys.argv[1:]
    for heuristic in heuristics.registry().values():
        _silence(type(heuristic), "weigh")
    _silence(Matcher, "matches")
    failed = _Failed()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *nodes], plugins=[failed])
    if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        Path(out).write_text(json.dumps(sorted(failed.nodes)))
    sys.exit(code)


def _silence(what: type, method: str) -> None:
    """Its method gives a table without rows."""
    gives: Callable[..., Any] = getattr(what, method)
    setattr(what, method, lambda *arguments: gives(*arguments).slice(0, 0))
