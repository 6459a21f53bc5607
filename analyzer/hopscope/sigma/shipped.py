"""The rules that hopscope brings, kept as they were compiled: every run applies them, and pySigma loads slowly."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from hopscope.sigma.expressions import And, Expression, Not, Or, Test
from hopscope.sigma.rules import Rule, Unsupported

KEPT = "shipped.json"
SUFFIXES = frozenset({".yml", ".yaml"})


@functools.cache
def rules() -> tuple[Rule | Unsupported, ...]:
    """The rules, as kept where that is of the files as they are, else compiled anew."""
    kept = resources.files("hopscope.sigma").joinpath(KEPT)
    if kept.is_file():
        told = json.loads(kept.read_bytes())
        if told["of"] == _digest():
            return tuple(_rule(one) for one in told["rules"])
    return tuple(compiled())


def compiled() -> Iterator[Rule | Unsupported]:
    """The rules, compiled from their files."""
    from hopscope.sigma import reading  # it imports pySigma

    for name, text in _files("rules"):
        yield from reading.of_text(text, f"hopscope/{name}")


def to_keep(compiled: Sequence[Rule]) -> str:
    """The text of shipped.json."""
    told = [
        {
            "id": r.id,
            "title": r.title,
            "level": r.level,
            "tags": r.tags,
            "place": r.place,
            "expressions": {kind: _plain(e) for kind, e in r.expressions.items()},
        }
        for r in compiled
    ]
    return json.dumps({"of": _digest(), "rules": told}, indent=1) + "\n"


def _files(directory: str) -> list[tuple[str, bytes]]:
    files = resources.files("hopscope.sigma").joinpath(directory).iterdir()
    return sorted((f.name, f.read_bytes()) for f in files if Path(f.name).suffix in SUFFIXES)


def _digest() -> str:
    """What the compiled rules depend on, save for the program."""
    made = hashlib.sha256()
    for directory in ("pipelines", "rules"):
        for name, text in _files(directory):
            made.update(f"{directory}/{name} {len(text)}\n".encode() + text)
    return made.hexdigest()


def _plain(expression: Expression) -> list[Any]:
    match expression:
        case Test(column, op, value, cased):
            return [op, column, value, cased]
        case Not(of):
            return ["not", _plain(of)]
        case And(of):
            return ["and", *map(_plain, of)]
        case Or(of):
            return ["or", *map(_plain, of)]


def _expression(plain: list[Any]) -> Expression:
    match plain:
        case ["not", of]:
            return Not(_expression(of))
        case ["and", *parts]:
            return And(tuple(map(_expression, parts)))
        case ["or", *parts]:
            return Or(tuple(map(_expression, parts)))
        case [op, column, value, cased]:
            return Test(column, op, value, cased)
    raise AssertionError(plain)  # a file that comes with the program


def _rule(told: dict[str, Any]) -> Rule:
    expressions = {kind: _expression(plain) for kind, plain in told.pop("expressions").items()}
    return Rule(**(told | {"tags": tuple(told["tags"])}), expressions=expressions)
