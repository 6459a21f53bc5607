"""numba keeps compiled loops beside their source and looks only at that one file's time: a change in a file
whose functions were compiled into a loop elsewhere would go unnoticed. So what is older than anything that
its module imports is removed first."""

from __future__ import annotations

import re
from pathlib import Path

import hopscope.sensor

_SENSOR = Path(hopscope.sensor.__file__).parent
_SOURCES = {path.stem: path for path in _SENSOR.glob("*.py")}


def _imports(module: str) -> set[str]:
    """The module and all of its package that it imports, at any distance."""
    found, left = set[str](), [module]
    while left:
        name = left.pop()
        if name not in found and name in _SOURCES:
            found.add(name)
            text = _SOURCES[name].read_text(encoding="utf-8")
            left += re.findall(r"^from hopscope\.sensor\.(\w+) import", text, re.M)
            for names in re.findall(r"^from hopscope\.sensor import ([\w, ]+)", text, re.M):
                left += re.findall(r"(?:^|, )(\w+)", names)
    return found


for _compiled in _SENSOR.glob("__pycache__/*.nb[ic]"):
    _newest = max((_SOURCES[m].stat().st_mtime for m in _imports(_compiled.name.split(".")[0])), default=0.0)
    if _compiled.stat().st_mtime < _newest:
        _compiled.unlink(missing_ok=True)
