"""Shared fixtures: the project's own captures, and the development captures where they are present.

Tests have a home of their own: settings, allowlist, labels and baselines of whoever runs them change nothing.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # compiled code is worth keeping
for name in ("HOPSCOPE_EVTX_SAMPLES", "HOPSCOPE_SIGMA_RULES"):
    if name in os.environ:
        os.environ[f"TESTS_{name}"] = os.environ[name]  # under a name that workers of xdist find as well
for name in [n for n in os.environ if n.startswith("HOPSCOPE_") or n in ("XDG_CONFIG_HOME", "XDG_STATE_HOME")]:
    del os.environ[name]
os.environ["HOME"] = tempfile.mkdtemp(prefix="hopscope-home-")
atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def pcaps() -> Path:
    """The labelled captures that come with the project."""
    return ROOT / "pcaps"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The development captures beside the checkout; tests that need them skip where they are absent."""
    if not SHARED.is_dir():
        pytest.skip("the development captures are not beside this checkout (only hopscope's developers have them)")
    return SHARED


@pytest.fixture(scope="session")
def evtx_samples() -> Path:
    """Public recordings of attacks as .evtx files, such as the repository sbousseaden/EVTX-ATTACK-SAMPLES."""
    return _public("HOPSCOPE_EVTX_SAMPLES", "recorded .evtx files")


@pytest.fixture(scope="session")
def sigma_rules() -> Path:
    """Public Sigma rules, such as the repository SigmaHQ/sigma."""
    return _public("HOPSCOPE_SIGMA_RULES", "Sigma rules")


def _public(variable: str, what: str) -> Path:
    """The directory that a variable of the environment names; tests that need it skip where it isn't set."""
    named = os.environ.get(f"TESTS_{variable}")
    if not named:
        pytest.skip(f"{variable} names no directory of {what}")
    return Path(named)
