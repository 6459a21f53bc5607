"""numba keeps compiled loops beside their source and looks only at that one file's time: a change in a file
whose functions were compiled into a loop elsewhere would go unnoticed. So older results are removed first."""

from __future__ import annotations

from pathlib import Path

import hopscope.sensor

_SENSOR = Path(hopscope.sensor.__file__).parent
_newest = max(source.stat().st_mtime for source in _SENSOR.glob("*.py"))
for _compiled in _SENSOR.glob("__pycache__/*.nb[ic]"):
    if _compiled.stat().st_mtime < _newest:
        _compiled.unlink(missing_ok=True)
