"""The project's captures: what is true of each, and what a hunt finds there, hunted once for all tests of a process."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import hopscope
from hopscope.findings import Findings

PCAPS = Path(__file__).parents[2] / "pcaps"


@functools.cache
def found(name: str) -> Findings:
    """The findings in a capture with default settings."""
    return hopscope.hunt(PCAPS / f"{name}.pcap.gz")


def hops(name: str) -> set[tuple[str, int]]:
    """The true hops of a capture: address and port."""
    truth = json.loads((PCAPS / f"{name}.json").read_text(encoding="utf-8"))
    return {(hop["hop"], hop["port"]) for hop in truth["hops"]}
