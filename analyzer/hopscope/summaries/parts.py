"""Summaries as Arrow tables: put together and taken apart."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hopscope.summaries import schema

Summary = dict[str, pa.Table]
"""The tables of `schema.TABLES`, of some records."""


def empty() -> Summary:
    """The summary of no records."""
    return {name: columns.empty_table() for name, columns in schema.TABLES.items()}


def concat(summaries: Iterable[Summary]) -> Summary:
    """The rows of all, not merged."""
    parts = [empty(), *summaries]
    return {name: pa.concat_tables([part[name] for part in parts]) for name in schema.TABLES}


def rows(summaries: Iterable[Summary]) -> int:
    """How many rows all tables have together."""
    return sum(table.num_rows for summary in summaries for table in summary.values())


def by_hour(summary: Summary, oldest: int) -> dict[int, Summary]:
    """The summary cut into its hours; each has all tables, some without rows. Hours before `oldest` are one."""
    cut: dict[int, Summary] = {}
    for name, table in summary.items():
        hours: NDArray[np.int64] = np.maximum(table["hour"].to_numpy(), oldest - 1)
        if not len(hours):
            continue
        if hours.min() == hours.max():
            cut.setdefault(int(hours[0]), empty())[name] = table
            continue
        order = np.argsort(hours, kind="stable")
        table = table.take(pa.array(order))
        starts = np.flatnonzero(np.diff(hours[order], prepend=hours.min() - 1))
        for at, end in zip(starts, [*starts[1:], len(hours)], strict=True):
            cut.setdefault(int(hours[order[at]]), empty())[name] = table.slice(at, end - at)
    return cut
