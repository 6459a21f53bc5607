"""What a rule is compiled to: one boolean expression whose leaves test one column each.

There are two values only: a test of a column without a value is false, save for `null`; `not` of that is true.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Test:
    """A test of one column.

    `op` is one of: equals, starts, ends, contains (of text; `value` is in lower case unless `cased`), like (`value`
    is an RE2 pattern that fits the whole text), regex (an RE2 pattern, searched), network (an address lies in
    `value`, in CIDR form), eq, lt, lte, gt, gte (of numbers), null, and same, same_start, same_end, same_part: the
    text of the column `value` is equal to this one's, its start, its end, or a part of it.
    """

    column: str
    op: str
    value: str | int | float | None = None
    cased: bool = False


@dataclass(frozen=True)
class Not:
    """True where the other is false."""

    of: Expression


@dataclass(frozen=True)
class And:
    """True where all are; at least one."""

    of: tuple[Expression, ...]


@dataclass(frozen=True)
class Or:
    """True where any is; at least one."""

    of: tuple[Expression, ...]


Expression = Test | Not | And | Or

REFERENCES = frozenset({"same", "same_start", "same_end", "same_part"})


def tests(expression: Expression) -> Iterator[Test]:
    """The leaves, from left to right."""
    if isinstance(expression, Test):
        yield expression
    elif isinstance(expression, Not):
        yield from tests(expression.of)
    else:
        for part in expression.of:
            yield from tests(part)


def looks_at(expression: Expression) -> frozenset[str]:
    """The columns that it looks at."""
    return frozenset(
        name for t in tests(expression) for name in ((t.column, str(t.value)) if t.op in REFERENCES else (t.column,))
    )
