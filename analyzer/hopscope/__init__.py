"""hopscope finds external proxy hops (MITRE ATT&CK T1090.002) and explains how it came to each.

    import hopscope
    found = hopscope.hunt("capture.pcap")
    for finding in found.at_least("medium"):
        print(finding.hop, finding.port, finding.score_db)

Importing the package costs nothing: what a name needs is loaded when the name is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hopscope.errors import HopscopeError, InputError, UsageError
    from hopscope.findings import Entity, Evidence, FarEnd, Finding, Findings
    from hopscope.hunting import hunt

__version__ = "0.1.0"

_HOMES = {
    "hopscope.errors": ("HopscopeError", "InputError", "UsageError"),
    "hopscope.findings": ("Entity", "Evidence", "FarEnd", "Finding", "Findings"),
    "hopscope.hunting": ("hunt",),
}

__all__ = [
    "Entity",
    "Evidence",
    "FarEnd",
    "Finding",
    "Findings",
    "HopscopeError",
    "InputError",
    "UsageError",
    "__version__",
    "hunt",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
