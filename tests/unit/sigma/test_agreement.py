"""Compiled rules say of every record what an obvious interpreter of the rules says of it."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
import yaml

from hopscope.sigma.evaluating import Program
from hopscope.sigma.expressions import Expression
from hopscope.sigma.reading import of_text
from hopscope.sigma.rules import Rule
from support import sigma_cases
from support.sigma_interpreter import fires

RULES = 250
RECORDS = 120


@pytest.mark.parametrize("seed", [1, 2])
def test_generated_rules_fire_where_the_interpreter_says(seed: int) -> None:
    chance = random.Random(seed)
    batches = {kind: sigma_cases.records(kind, RECORDS, chance) for kind in ("host_event", "connection", "dns_query")}
    telling = 0
    for source, document in sigma_cases.rules(RULES, chance):
        [rule] = of_text(yaml.safe_dump(document, sort_keys=False).encode(), "made.yml")
        assert isinstance(rule, Rule), (rule, document)
        batch = batches[source.kind]
        [told] = Program(source.kind, [rule.expressions[source.kind]]).on(batch)
        rows = sigma_cases.seen(source.kind, batch)
        expected = [source.has(row, document) and fires(document, source.columns, row) for row in rows]
        got = np.broadcast_to(told, len(rows)).tolist()
        assert got == expected, (document, [r for r, a, b in zip(rows, got, expected, strict=True) if a != b][:1])
        telling += any(expected) and not all(expected)
    assert telling > 0.6 * RULES  # most tell records apart, so that agreement means something


def test_rules_together_say_what_each_says_alone() -> None:
    chance = random.Random(3)
    expressions: dict[str, list[Expression]] = {"host_event": [], "connection": [], "dns_query": []}
    for source, document in sigma_cases.rules(RULES, chance):
        [rule] = of_text(yaml.safe_dump(document).encode(), "made.yml")
        assert isinstance(rule, Rule)
        expressions[source.kind].append(rule.expressions[source.kind])
    for kind, some in expressions.items():
        batch = sigma_cases.records(kind, RECORDS, chance)
        together = Program(kind, some).on(batch)
        assert some
        for expression, told in zip(some, together, strict=True):
            [alone] = Program(kind, [expression]).on(batch)
            assert np.array_equal(np.broadcast_to(told, RECORDS), np.broadcast_to(alone, RECORDS))


def test_a_batch_without_any_value_is_no_trouble() -> None:
    chance = random.Random(4)
    for source, document in sigma_cases.rules(100, chance):
        [rule] = of_text(yaml.safe_dump(document).encode(), "made.yml")
        assert isinstance(rule, Rule)
        schema = sigma_cases.records(source.kind, 0, chance).schema
        empty = pa.RecordBatch.from_arrays([pa.nulls(2, f.type) for f in schema], schema=schema)
        [told] = Program(source.kind, [rule.expressions[source.kind]]).on(empty)
        assert np.broadcast_to(told, 2).shape == (2,)
