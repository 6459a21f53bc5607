"""Numbers and tables as the page writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from bench.quality import intervals

LONG = 6  # names told in a table's cell


def table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: str = "") -> list[str]:
    """A table in Markdown; `numbers` holds an r for each column that is set flush right."""
    rule = ["---:" if numbers[i : i + 1] == "r" else "---" for i in range(len(head))]
    body = [[cell(c) for c in row] for row in rows]
    return ["", *("| " + " | ".join(r) + " |" for r in [list(head), rule, *body]), ""]


def cell(value: object) -> str:
    """A value as a table shows it; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


def percent(value: float) -> str:
    """A share in percent, with as many digits as it needs."""
    return f"{100 * value:.1f} %" if value >= 0.001 or value == 0 else f"{100 * value:.3f} %"


def share(k: int, n: int) -> str:
    """k of n with its 95 % interval."""
    low, high = intervals.exact(k, n)
    return f"{k} of {n:,} ({percent(low)} to {percent(high)})" if n else "0 of 0"


def some(names: Sequence[str]) -> str:
    """The first few of them."""
    more = len(names) - LONG
    return ", ".join(names[:LONG]) + (f" and {more} more" if more > 0 else "")


def pieces(scaled: Mapping[str, float]) -> str:
    """What each heuristic says."""
    return ", ".join(f"{h} {d:+.1f}" for h, d in scaled.items())
