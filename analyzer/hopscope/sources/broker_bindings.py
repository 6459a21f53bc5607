"""Zeek's own Python bindings of Broker: found where Zeek put them, told from other things of that name.

They are no dependency, because they are on no package registry: the project named broker on PyPI is somebody
else's, and is refused before any of its code runs.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from hopscope.errors import UsageError

VARIABLE = "HOPSCOPE_BROKER_PYTHON"  # the directory in which the bindings lie, where they are not found
_NAME = "broker"
_LOADED: list[ModuleType] = []  # a compiled module can be loaded once


def load(path: Sequence[str] | None = None) -> ModuleType:
    """The bindings: from the directory that HOPSCOPE_BROKER_PYTHON names, from `path` (by default where Python
    looks for modules), or from where zeek-config says they are. Raises UsageError when none can be used."""
    if _LOADED:
        return _LOADED[0]
    against = []
    for directory in _directories(sys.path if path is None else path):
        package = Path(directory or ".") / _NAME
        if not (package / "__init__.py").is_file():
            continue
        if not _is_zeeks(package):
            against.append(f"{package} is not Zeek's but another project of that name, as PyPI has one: uninstall it")
            continue
        try:
            _LOADED.append(_loaded(package))
        except ImportError as e:
            against.append(f"{package} can't be loaded ({e})")
        else:
            return _LOADED[0]
    why = f" ({'; '.join(against)})" if against else ""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise UsageError(
        f"broker:// needs the Python bindings that come with Zeek, for Python {version}: none were found{why}; "
        f"set {VARIABLE} to the directory that has them, or use ws:// (never pip install broker: it is not Zeek's)"
    )


def _directories(path: Sequence[str]) -> Iterator[str]:
    named = os.environ.get(VARIABLE)
    if named:
        yield named
    yield from path
    told = _told_by_zeek_config()
    if told:
        yield told


def _told_by_zeek_config() -> str | None:
    program = shutil.which("zeek-config")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - Zeek's own program, no argument is foreign
            [program, "--python_dir"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _is_zeeks(package: Path) -> bool:
    """By its files: Zeek's has a module zeek and a compiled part, in the package or beside it."""
    compiled = [*package.glob("_broker*.so"), *package.parent.glob("_broker*.so")]
    return bool(compiled) and (package / "zeek.py").is_file()


def _loaded(package: Path) -> ModuleType:
    """Import the package from there, whatever else Python would find under its name. Raises ImportError."""
    if _NAME in sys.modules:
        raise ImportError("another module of that name is loaded already")
    spec = importlib.util.spec_from_file_location(
        _NAME, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    if spec is None or spec.loader is None:
        raise ImportError("not a package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = module  # its parts import it by name
    sys.path.append(str(package.parent))  # the compiled part may lie beside it
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "Endpoint") or not hasattr(getattr(module, "zeek", None), "Event"):
            raise ImportError("it has no Endpoint or no zeek.Event")
    except BaseException:
        for name in [n for n in sys.modules if n == _NAME or n.startswith(f"{_NAME}.")]:
            del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(package.parent))
    return module
