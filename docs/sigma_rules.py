"""Writes docs/sigma.md's table of fields from the pipelines, and keeps the shipped rules compiled: `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sigma.processing.conditions import LogsourceCondition
from sigma.processing.transformations import FieldMappingTransformation

from hopscope.sigma import Rule, fields, shipped
from hopscope.sigma.columns import NAMES
from hopscope.sigma.reading import KINDS

PAGE = Path(__file__).with_name("sigma.md")
KEPT = Path(__file__).parents[1] / "analyzer" / "hopscope" / "sigma" / shipped.KEPT
BEGIN, END = "<!-- fields: written by `make docs` -->", "<!-- end of fields -->"


def page() -> Iterator[str]:
    """The lines of docs/sigma.md: as they stand, with the table of fields as it is now."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(f"{BEGIN}\n")
    yield from head.splitlines()
    yield BEGIN
    yield from _fields()
    yield END
    yield from rest.partition(f"{END}\n")[2].splitlines()


def _fields() -> Iterator[str]:
    for kind in KINDS:
        yield ""
        yield f"### In {NAMES[kind]}"
        yield ""
        yield "| log source | field = column |"
        yield "| --- | --- |"
        for item in fields.pipeline(kind).items:
            if isinstance(item.transformation, FieldMappingTransformation):
                told = (f"`{name}` = {_column(to)}" for name, to in item.transformation.mapping.items())
                yield f"| {_source(item.rule_conditions)} | {', '.join(told)} |"
    yield ""


def _column(to: Any) -> str:
    return str(to).removeprefix(fields.COLUMN)


def _source(conditions: Any) -> str:
    """The log source of an item; in a mapping it stands first, and those that are left out follow."""
    told = list(conditions.values() if isinstance(conditions, dict) else conditions)
    names = [
        " ".join(f"{name} {value}" for name in ("product", "category", "service") if (value := getattr(c, name)))
        for c in told
        if isinstance(c, LogsourceCondition)
    ]
    return names[0] + (f" (not {', not '.join(names[1:])})" if names[1:] else "")


def main() -> None:
    """Write the page and what is kept of the shipped rules."""
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    KEPT.write_text(shipped.to_keep([r for r in shipped.compiled() if isinstance(r, Rule)]), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE} and {KEPT}\n")


if __name__ == "__main__":
    main()
