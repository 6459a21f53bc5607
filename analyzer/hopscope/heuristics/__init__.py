"""The heuristics, one file each. A file that defines `HEURISTIC` registers itself."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from hopscope.heuristics.base import Heuristic


@functools.cache
def registry() -> Mapping[str, Heuristic]:
    """All heuristics by name, in order of name."""
    found: dict[str, Heuristic] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        heuristic = getattr(importlib.import_module(f"{__name__}.{module.name}"), "HEURISTIC", None)
        if heuristic is not None:
            found[heuristic.name] = heuristic
    return found
