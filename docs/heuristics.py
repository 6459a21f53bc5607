"""Writes docs/heuristics.md from the heuristics and the fusion groups themselves: `make docs`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from hopscope import heuristics
from hopscope.fusion import GROUPS
from hopscope.heuristics.base import Heuristic

PAGE = Path(__file__).with_name("heuristics.md")


def page() -> Iterator[str]:
    """The lines of docs/heuristics.md."""
    yield "# The heuristics and what they weigh"
    yield ""
    yield "Written by `make docs` from the heuristics' own files; change it there."
    yield ""
    yield "Each heuristic says of a destination how much more often hops look like this than ordinary destinations do,"
    yield "in decibans: ten times the decimal logarithm of that ratio; 10 is ten times as often, 20 a hundred times."
    yield "Fusion adds them to the prior (-40: one destination in ten thousand is a hop), group by group: what"
    yield "looks at one thing weighs together no more than the group's cap. Low begins at -10, medium at 0, where a"
    yield "hop is as likely as not. Every weight says whether it was published, measured or assumed; what was measured"
    yield "on the captures at hand stands in [quality.md](quality.md)."
    yield ""
    yield "| group | cap, decibans | why | heuristics |"
    yield "| --- | --- | --- | --- |"
    known = heuristics.registry()
    for name, group in GROUPS.items():
        members = ", ".join(f"[`{h.name}`](#{h.name})" for h in known.values() if h.group == name)
        yield f"| {name} | {group.cap_db:g} | {group.why} | {members} |"
    for heuristic in known.values():
        yield from _section(heuristic)


def _section(heuristic: Heuristic) -> Iterator[str]:
    yield ""
    yield f"## {heuristic.name}"
    yield ""
    yield inspect.getdoc(type(heuristic)) or heuristic.title
    yield ""
    yield f"D3FEND {heuristic.d3fend}; group {heuristic.group}; from {heuristic.source}."
    yield ""
    yield "| fact | unit | meaning |"
    yield "| --- | --- | --- |"
    for fact in heuristic.facts:
        yield f"| `{fact.name}` | {fact.unit} | {fact.doc} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
