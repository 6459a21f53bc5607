"""What pytest collects from test files, and under which conditions it would run: asked of a pytest of its own."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Collected:
    """A test function: `never` says why it is never run, or proves nothing (empty where it does); `needs` names
    what it is skipped without (empty: it runs everywhere)."""

    never: str = ""
    needs: tuple[str, ...] = ()


def collected(files: Iterable[str], root: Path = ROOT) -> dict[str, Collected]:
    """The tests of files (relative to `root`) by node id without parameters; a file that isn't there has none."""
    there = sorted({f for f in files if (root / f).is_file()})
    if not there:
        return {}
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "collected.json"
        path = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r})"
        code = f"{path}; from support import collecting; collecting.main()"
        done = subprocess.run(
            [sys.executable, "-c", code, str(out), *there], cwd=root, capture_output=True, text=True, timeout=300
        )
        if not out.exists():
            raise AssertionError(f"pytest collected nothing:\n{done.stdout}{done.stderr}")
        return {
            node: Collected(**{**told, "needs": tuple(told["needs"])})
            for node, told in json.loads(out.read_text()).items()
        }


class _Tell:
    """A plugin that writes down what was collected."""

    def __init__(self, out: Path):
        self._out = out

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        found: dict[str, Collected] = {}
        for item in session.items:
            node = item.nodeid.partition("[")[0]
            now, before = _told(item), found.get(node)
            # of the parameters of one test, one that runs everywhere is enough
            if before is None or (before.never, len(before.needs)) > (now.never, len(now.needs)):
                found[node] = now
        self._out.write_text(json.dumps({node: asdict(told) for node, told in found.items()}))


def main() -> None:
    """Collect the files named on the command line, and write what was found to the file named first."""
    out, *files = sys.argv[1:]
    arguments = ["--collect-only", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", *files]
    sys.exit(pytest.main(arguments, plugins=[_Tell(Path(out))]))


def _told(item: pytest.Item) -> Collected:
    function = getattr(item, "function", None)
    if function is None:
        return Collected("it is no function")
    for mark in ("skip", "xfail"):
        if item.get_closest_marker(mark) is not None:
            return Collected(f"it is marked {mark}")
    try:
        tree = _tree(function)
    except OSError:
        return Collected("its source can't be read")
    body = [s for s in tree.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    if all(isinstance(s, ast.Pass) for s in body):
        return Collected("it asserts nothing")
    if any(_leaves(s) for s in body):
        return Collected("it skips itself")
    if any(_always(d) for d in tree.decorator_list):
        return Collected("it is marked skipif, with a condition that always holds")
    needs = ["a condition (skipif)"] if item.get_closest_marker("skipif") is not None else []
    needs += [f"fixture {name}" for name in getattr(item, "fixturenames", ()) if _may_skip(item, name)]
    if any(_leaves(s) for s in ast.walk(tree)):
        needs.append("a condition within")
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    inner = _inner(function).__globals__
    needs += [f"what {name} needs" for name in sorted(called) if name in inner and _skips(inner[name])]
    return Collected("", tuple(needs))


def _inner(function: Callable[..., Any]) -> FunctionType:
    # what hypothesis decorates is behind the wrapper
    inner = inspect.unwrap(getattr(getattr(function, "hypothesis", None), "inner_test", function))
    assert isinstance(inner, FunctionType)
    return inner


def _tree(function: Callable[..., Any]) -> ast.FunctionDef:
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(_inner(function)))).body
    assert isinstance(tree, ast.FunctionDef)
    return tree


def _leaves(node: ast.AST) -> bool:
    """A statement `pytest.skip(...)`, or one of its like."""
    call = node.value if isinstance(node, ast.Expr) else None
    called = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
    return called in ("pytest.skip", "pytest.xfail", "pytest.importorskip")


def _always(decorator: ast.expr) -> bool:
    if not isinstance(decorator, ast.Call) or not ast.unparse(decorator.func).endswith("mark.skipif"):
        return False
    condition = decorator.args[0] if decorator.args else None
    # a text is a condition that pytest evaluates
    return isinstance(condition, ast.Constant) and not isinstance(condition.value, str) and bool(condition.value)


def _may_skip(item: pytest.Item, fixture: str) -> bool:
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs.get(fixture, ())  # noqa: B009 - pytest has no other way
    return any(_skips(d.func) for d in definitions)


def _skips(function: Callable[..., Any]) -> bool:
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return False
    return "pytest.skip(" in source or "pytest.importorskip(" in source
