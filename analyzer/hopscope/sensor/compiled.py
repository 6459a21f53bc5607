"""How the sensor's loops are compiled, and where the compiled code is kept.

numba keeps compiled loops by the time of the one file that holds them: a change in a file whose functions
were compiled into a loop elsewhere would go unnoticed. So they are kept under a name that stands for all
of the sensor's source: a new version compiles anew, and what was compiled is never out of date.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numba
from numba import njit

KEPT = 3  # versions whose compiled code is kept


def _cache() -> Path:
    """The user's cache directory, or the one that NUMBA_CACHE_DIR names."""
    given = numba.config.CACHE_DIR or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(given).expanduser() / "hopscope"


def _digest() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.blake2b(b"\0".join(p.read_bytes() for p in sources), digest_size=8).hexdigest()


def _keep_in(folder: Path) -> None:
    """Make numba keep compiled code in `folder`; older versions beside it go. Where it can't be made, numba
    falls back to its own places."""
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, mode=0o700)
            versions = sorted(folder.parent.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
            for old in versions[KEPT:]:
                shutil.rmtree(old, ignore_errors=True)
    except OSError:
        return
    numba.config.CACHE_DIR = str(folder)


_keep_in(_cache() / _digest())

# Every function that touches packet bytes is compiled this way: boundscheck turns a slip of ours on hostile
# input into an IndexError instead of a read of foreign memory.
kernel: Any = njit(cache=True, nogil=True, boundscheck=True)
helper: Any = njit(nogil=True, boundscheck=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
