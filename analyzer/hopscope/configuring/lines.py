"""On which line each key of a TOML text stands."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

Path = tuple[str | int, ...]
"""The keys that lead to a value; a number is the place in an array of tables."""

_CLOSING = ("]", "}", '"""', "'''")  # one of these stands in the last line of a statement of several


def lines_of(text: str) -> dict[Path, int]:
    """The line (from 1) on which each key and table of a valid TOML text is written.

    Each statement is read by itself, so that what a statement is stays TOML's parser's to say: lines are
    gathered until they parse.
    """
    out: dict[Path, int] = {}
    tables: dict[Path, int] = {}  # arrays of tables -> how many tables so far
    header: Path = ()
    gathered: list[str] = []
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not gathered:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            start = number
        gathered.append(line)
        if line.rstrip().endswith((",", "[")) and "#" not in line:
            continue  # within a list, which may be long
        if len(gathered) > 1 and not any(mark in line for mark in _CLOSING):
            continue
        try:
            statement = tomllib.loads("\n".join(gathered))
        except tomllib.TOMLDecodeError:
            continue
        if gathered[0].lstrip().startswith("["):
            header = _header(statement, tables)
            out[header] = start
        else:
            _note(statement, header, start, out)
        gathered = []
    return out


def line_of(path: Path, lines: Mapping[Path, int]) -> int | None:
    """The line of a key, or of the narrowest table around it that is written."""
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)


def _header(statement: Mapping[str, Any], tables: dict[Path, int]) -> Path:
    """The path of the table that a header opens; in an array of tables the last one is meant."""
    path: Path = ()
    inner: Any = statement
    while isinstance(inner, dict) and inner:
        ((key, inner),) = inner.items()
        path = (*path, key)
        if isinstance(inner, list):
            tables[path] = tables.get(path, 0) + 1
        if path in tables:
            path = (*path, tables[path] - 1)
    return path


def _note(tree: Mapping[str, Any], prefix: Path, line: int, out: dict[Path, int]) -> None:
    for key, value in tree.items():
        path = (*prefix, key)
        out.setdefault(path, line)
        if isinstance(value, dict):
            _note(value, path, line, out)
