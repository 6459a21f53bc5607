"""Sigma rules over records: loaded through pySigma, each compiled to one boolean expression over columns.

`load` reads rules from files and directories, and the rules that hopscope brings, `load_named` those of the settings;
what can't be applied is named with its reason. `Matcher` applies them to batches of records and gathers what they
fired on.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hopscope.sigma.matching import Matcher
    from hopscope.sigma.rules import Rule, Rules, Unsupported, load, load_named

_HOMES = {
    "hopscope.sigma.matching": ("Matcher",),
    "hopscope.sigma.rules": ("Rule", "Rules", "Unsupported", "load", "load_named"),
}

__all__ = ["Matcher", "Rule", "Rules", "Unsupported", "load", "load_named"]


def __getattr__(name: str) -> Any:  # the command's help needn't wait for what matching needs
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
