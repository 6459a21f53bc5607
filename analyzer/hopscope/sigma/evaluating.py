"""Expressions over a batch: each leaf once over the distinct values of its column, whatever the number of rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.sigma import columns
from hopscope.sigma.distinct import Bools, Distinct
from hopscope.sigma.expressions import REFERENCES, And, Expression, Not, Or, Test, looks_at, tests

_RANKS = {"flag": 1, "number": 2, "address": 3, "text": 4, "texts": 5}  # the quicker ones to tell are asked first
_FIRST = frozenset({"provider", "event_id"})

_ON_TEXT: Mapping[str, Callable[[Any, str], Any]] = {
    "equals": lambda texts, value: pc.equal(texts, pa.scalar(value)),
    "starts": pc.starts_with,
    "ends": pc.ends_with,
    "contains": pc.match_substring,
    "like": pc.match_substring_regex,
}
_ON_NUMBERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": np.equal,
    "lt": np.less,
    "lte": np.less_equal,
    "gt": np.greater,
    "gte": np.greater_equal,
}
_ON_PAIRS: Mapping[str, Callable[[str, str], bool]] = {
    "same": str.__eq__,
    "same_start": str.startswith,
    "same_end": str.endswith,
    "same_part": str.__contains__,
}


def arranged(expression: Expression, kind: str) -> Expression:
    """The same, flat, with tests of one column side by side and the quicker ones first."""
    if isinstance(expression, Test):
        return expression
    if isinstance(expression, Not):
        return Not(arranged(expression.of, kind))
    made = type(expression)
    parts: list[Expression] = []
    for part in (arranged(part, kind) for part in expression.of):
        parts.extend(part.of if isinstance(part, made) else [part])
    by_column: dict[str | None, list[Expression]] = {}
    for part in dict.fromkeys(parts):
        by_column.setdefault(_single(part, kind), []).append(part)
    alone = by_column.pop(None, [])
    ordered = sorted(by_column.items(), key=lambda item: (_rank(str(item[0]), kind), item[0]))
    together = [same[0] if len(same) == 1 else made(tuple(same)) for _, same in ordered]
    whole = [*together, *alone]
    return whole[0] if len(whole) == 1 else made(tuple(whole))


def _rank(column: str, kind: str) -> int:
    return 0 if column in _FIRST else _RANKS[columns.SORTS[kind][column]]


def _single(expression: Expression, kind: str) -> str | None:
    """The only column that it looks at, where what it says of a row follows from that row's one value."""
    names = looks_at(expression)
    if len(names) != 1 or any(t.op in REFERENCES for t in tests(expression)):
        return None
    (name,) = names
    return None if columns.SORTS[kind][name] == "texts" else name


class Program:
    """Expressions over one kind of record, to be evaluated on its batches."""

    def __init__(self, kind: str, expressions: Iterable[Expression]):
        self.kind = kind
        self._single: dict[int, str | None] = {}
        self._known: dict[Expression, Expression] = {}
        self.expressions = tuple(self._intern(arranged(e, kind)) for e in expressions)

    def _intern(self, expression: Expression) -> Expression:
        """The one object for equal expressions, so that each is evaluated once."""
        if isinstance(expression, Not):
            expression = Not(self._intern(expression.of))
        elif isinstance(expression, And | Or):
            expression = type(expression)(tuple(map(self._intern, expression.of)))
        known = self._known.setdefault(expression, expression)
        self._single[id(known)] = _single(known, self.kind)
        return known

    def on(self, batch: pa.RecordBatch) -> list[Bools | bool]:
        """Of each expression the rows for which it is true; True or False where it is so of all."""
        run = _Run(self.kind, batch, self._single)
        return [run.rows(e) for e in self.expressions]


class _Run:
    """The evaluation on one batch."""

    def __init__(self, kind: str, batch: pa.RecordBatch, single: Mapping[int, str | None]):
        self.kind, self.batch, self.single = kind, batch, single
        self._distinct: dict[str, Distinct] = {}
        self._rows: dict[int, Bools | bool] = {}
        self._values: dict[int, Bools] = {}

    def distinct(self, name: str) -> Distinct:
        made = self._distinct.get(name)
        if made is None:
            made = self._distinct[name] = Distinct(columns.column(self.kind, name, self.batch))
        return made

    def rows(self, expression: Expression) -> Bools | bool:
        made = self._rows.get(id(expression))
        if made is None:
            made = self._rows[id(expression)] = self._evaluate(expression)
        return made

    def _evaluate(self, expression: Expression) -> Bools | bool:
        column = self.single[id(expression)]
        if column is not None:
            holds = self._over_values(expression, self.distinct(column))
            if holds.all():
                return True
            return self.distinct(column).spread(holds) if holds.any() else False
        if isinstance(expression, Test):
            return self._alone(expression)
        if isinstance(expression, Not):
            told = self.rows(expression.of)
            return not told if isinstance(told, bool) else ~told
        return self._joined(expression)

    def _joined(self, expression: And | Or) -> Bools | bool:
        every = isinstance(expression, And)
        so_far: Bools | bool = every
        for part in expression.of:
            told = self.rows(part)
            if isinstance(told, bool):
                if told is not every:
                    return told
                continue
            so_far = told if isinstance(so_far, bool) else (so_far & told if every else so_far | told)
            if (every and not so_far.any()) or (not every and so_far.all()):
                return not every
        return so_far

    def _over_values(self, expression: Expression, of: Distinct) -> Bools:
        """What an expression over one column says of each of its distinct values and, last, of null."""
        made = self._values.get(id(expression))
        if made is None:
            if isinstance(expression, Test):
                made = _over_values(expression, of)
            elif isinstance(expression, Not):
                made = ~self._over_values(expression.of, of)
            else:
                join = np.logical_and if isinstance(expression, And) else np.logical_or
                made = join.reduce([self._over_values(part, of) for part in expression.of])
            self._values[id(expression)] = made
        return made

    def _alone(self, test: Test) -> Bools | bool:
        """A test of a list's elements, or of two columns."""
        if test.op in REFERENCES:
            return self._pairs(test)
        of = self.distinct(test.column)
        return of.null_rows if test.op == "null" else of.spread(_over_values(test, of))

    def _pairs(self, test: Test) -> Bools:
        one, other = self.distinct(test.column), self.distinct(str(test.value))
        both = one.codes.astype(np.int64) * (len(other) + 1) + other.codes
        pairs, which = np.unique(both, return_inverse=True)
        left, right = one.lower.to_pylist(), other.lower.to_pylist()
        holds = _ON_PAIRS[test.op]
        told = [  # a loop over the distinct pairs: Arrow compares texts with constants, or whole
            (a := pair // (len(other) + 1)) < len(left)
            and (b := pair % (len(other) + 1)) < len(right)
            and holds(left[a], right[b])
            for pair in pairs.tolist()
        ]
        return np.array(told, dtype=bool)[which]


def _over_values(test: Test, of: Distinct) -> Bools:
    """What a test says of each of a column's distinct values and, last, of null."""
    told = np.zeros(len(of) + 1, dtype=bool)
    if test.op == "null":
        told[-1] = True
    elif not len(of):
        pass
    elif test.op in _ON_NUMBERS:
        told[:-1] = _ON_NUMBERS[test.op](of.numbers, test.value)
    elif test.op == "network":
        told[:-1] = _in_network(of, str(test.value))
    elif test.op == "regex":
        told[:-1] = pc.match_substring_regex(of.texts, str(test.value)).to_numpy(zero_copy_only=False)
    else:
        texts = of.texts if test.cased else of.lower
        told[:-1] = _ON_TEXT[test.op](texts, str(test.value)).to_numpy(zero_copy_only=False)
    return told


def _in_network(of: Distinct, text: str) -> Bools:
    net = ipaddress.ip_network(text)
    halves, versions = of.addresses
    mask, start = int(net.netmask), int(net.network_address)
    if net.version == 4:
        mask, start = mask | ((1 << 128) - (1 << 32)), start | (0xFFFF << 32)
    upper = (halves[:, 0] & np.uint64(mask >> 64)) == np.uint64(start >> 64)
    lower = (halves[:, 1] & np.uint64(mask & (1 << 64) - 1)) == np.uint64(start & (1 << 64) - 1)
    return np.asarray((versions == net.version) & upper & lower)
