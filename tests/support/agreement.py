"""How far two sources agree on the same connections, field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, TIME, Batch

KEY = ("ts", "orig_h", "orig_p", "resp_h", "resp_p", "proto", "seg")
DNS_KEY = ("ts", "client", "resolver", "query", "qtype")
OWN = {"uid", "sensor", "tunnel_parents"}  # each source names connections in its own way
CLOSE_S = 1e-6  # spans and times are whole microseconds, rounded in different places


@dataclass(frozen=True)
class Field:
    """One field over all rows that both have: rows equal, different, and set by one of the two alone."""

    equal: int
    different: int
    only_left: int
    only_right: int
    apart: list[float]  # of numbers that differ, how far
    example: str | None  # a row in which they differ

    @property
    def share_equal(self) -> float:
        """Of the rows where both have a value."""
        return self.share_within(0.0)

    def share_within(self, distance: float) -> float:
        """Of the rows where both have a value, those no farther apart than that."""
        both = self.equal + self.different
        return (self.equal + sum(d <= distance for d in self.apart)) / both if both else 1.0


@dataclass(frozen=True)
class Agreement:
    """`left` and `right` are rows that only one of the two has, by key."""

    fields: dict[str, Field]
    rows: int
    left: list[tuple[Any, ...]]
    right: list[tuple[Any, ...]]


def connections(left: Iterable[Batch], right: Iterable[Batch]) -> Agreement:
    """Agreement on connections and their segments."""
    return _agree(
        _rows((b.connections for b in left), CONNECTION_SCHEMA, KEY),
        _rows((b.connections for b in right), CONNECTION_SCHEMA, KEY),
        [n for n in CONNECTION_SCHEMA.names if n not in (*KEY, *OWN)],
    )


def dns_queries(left: Iterable[Batch], right: Iterable[Batch]) -> Agreement:
    """Agreement on DNS queries."""
    return _agree(
        _rows((b.dns_queries for b in left), DNS_QUERY_SCHEMA, DNS_KEY),
        _rows((b.dns_queries for b in right), DNS_QUERY_SCHEMA, DNS_KEY),
        [n for n in DNS_QUERY_SCHEMA.names if n not in (*DNS_KEY, *OWN)],
    )


def _rows(batches: Iterable[pa.RecordBatch], schema: pa.Schema, key: Sequence[str]) -> dict[tuple[Any, ...], Any]:
    """Rows by key; a key's second row and further ones are numbered."""
    seen: Counter[tuple[Any, ...]] = Counter()
    out = {}
    for batch in batches:
        table = pa.table({f.name: batch[f.name].cast(pa.int64()) if f.type == TIME else batch[f.name] for f in schema})
        for row in table.to_pylist():
            of = tuple(row[k] for k in key)
            out[(*of, seen[of])] = row
            seen[of] += 1
    return out


def _agree(left: dict[tuple[Any, ...], Any], right: dict[tuple[Any, ...], Any], names: Sequence[str]) -> Agreement:
    shared = [(k, row, right[k]) for k, row in left.items() if k in right]
    fields = {}
    for name in names:
        counts: Counter[str] = Counter()
        example, apart = None, []
        for key, a, b in shared:
            kind = _kind(a[name], b[name])
            counts[kind] += 1
            if kind == "different":
                example = example or f"{key}: {a[name]!r} and {b[name]!r}"
                if isinstance(a[name], int | float) and isinstance(b[name], int | float):
                    apart.append(abs(a[name] - b[name]))
        fields[name] = Field(counts["equal"], counts["different"], counts["left"], counts["right"], apart, example)
    return Agreement(fields, len(shared), [k for k in left if k not in right], [k for k in right if k not in left])


def _kind(a: Any, b: Any) -> str:
    if a is None or b is None:
        return "neither" if a is b else "right" if a is None else "left"
    return "equal" if _same(a, b) else "different"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float) or isinstance(b, float):
        return abs(a - b) <= CLOSE_S * 1.5
    return bool(a == b)
