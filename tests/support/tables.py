"""Comparing tables whose rows have no order."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa


def rows(table: pa.Table) -> list[str]:
    """The rows as sorted texts: equal lists are equal tables, whatever the order of their rows."""
    return sorted(repr(row) for row in table.to_pylist())


def assert_same(left: Mapping[str, pa.Table], right: Mapping[str, pa.Table]) -> None:
    """The same tables with the same columns, types and rows."""
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].schema.equals(right[name].schema), name
        assert rows(left[name]) == rows(right[name]), name
