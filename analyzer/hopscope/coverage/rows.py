"""What answers the technique: each catalogued countermeasure, event, rule and tool, what serves it, what proves it.

The rows are data (`coverage.toml`). The test suite holds every row to its proof: it fails where one is missing,
skipped, or shows something else.
"""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any, Literal

import msgspec

Kind = Literal["technique", "event", "rule", "tool"]

KINDS: dict[Kind, str] = {
    "technique": "MITRE D3FEND's techniques that counter it",
    "event": "Host events",
    "rule": "Public Sigma rules that are tagged with it",
    "tool": "Tools that it names",
}
"""Each kind of row in the order in which they are told, and its heading."""


class Served(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What serves a row, by kind: each is a tuple of names, empty where it has none of that kind."""

    heuristics: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()  # files of Sigma rules that come with hopscope, without .yml
    outputs: tuple[str, ...] = ()  # formats of `hopscope export`
    sources: tuple[str, ...] = ()  # modules of `hopscope.sources`

    def named(self) -> dict[str, tuple[str, ...]]:
        """The kinds that aren't empty."""
        return {kind: names for kind, names in msgspec.structs.asdict(self).items() if names}


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A capture of `pcaps/` in which each of these heuristics gives positive evidence of a true hop."""

    capture: str
    heuristics: tuple[str, ...]


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What proves a row: captures, and tests by their node ids without parameters."""

    captures: tuple[Shown, ...] = ()
    tests: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row. `reference` is where it is catalogued (a URL), `limits` what it can't do, in a sentence or two."""

    id: str
    kind: Kind
    name: str
    reference: str
    served: Served
    proof: Proof
    limits: str


class Coverage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rows; and D3FEND techniques that heuristics name and no row has, each with the reason (`elsewhere`)."""

    rows: tuple[Row, ...]
    elsewhere: dict[str, str] = {}

    def of(self, kind: Kind) -> tuple[Row, ...]:
        """The rows of one kind, in the file's order."""
        return tuple(r for r in self.rows if r.kind == kind)


@functools.cache
def coverage() -> Coverage:
    """The coverage as it comes with hopscope. Raises msgspec.ValidationError for a broken file: a test reads it."""
    text = resources.files("hopscope.coverage").joinpath("coverage.toml").read_text(encoding="utf-8")
    return parsed(tomllib.loads(text))


def parsed(tree: dict[str, Any]) -> Coverage:
    """The coverage in a tree of the file's form. Raises msgspec.ValidationError where it has another."""
    return msgspec.convert(tree, Coverage)
