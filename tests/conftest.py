"""Shared fixtures: the project's own captures, and the development captures where they are present."""

from __future__ import annotations

from pathlib import Path

import pytest

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
