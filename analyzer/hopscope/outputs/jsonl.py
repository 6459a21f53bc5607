"""Findings and records as JSON Lines, in ASCII: nothing from the wire reaches a terminal as it came."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from hopscope.findings import Finding, RuleMatch
from hopscope.outputs.escape import ascii_json
from hopscope.records import TIME, Batch


def finding(found: Finding) -> str:
    """The reference output: one finding, one line."""
    return ascii_json(found.to_json())


def rule_match(match: RuleMatch) -> str:
    """What a Sigma rule fired on, one line: `kind` is rule_match, `hop` the server, `of` the kind of record.

    Like a finding it has `hop`, `port`, `severity` and `score_db`, which is null: a rule weighs nothing.
    """
    told = dataclasses.asdict(match)
    of, server = told.pop("kind"), told.pop("server")
    return ascii_json(json.dumps({"kind": "rule_match", "of": of, "hop": server, "score_db": None, **told}))


def records(batch: Batch) -> Iterator[str]:
    """The records of a batch, one line each: `kind` first, then the fields of `records`, unset ones null.

    Times are epoch seconds with six decimals.
    """
    kinds = {"connection": batch.connections, "dns_query": batch.dns_queries, "host_event": batch.host_events}
    for kind, table in kinds.items():
        names = ["kind", *table.schema.names]
        columns = [_plain(column) for column in table.columns]
        for row in zip(*columns, strict=True):
            yield ascii_json(json.dumps(dict(zip(names, (kind, *row), strict=True)), separators=(", ", ": ")))


def _plain(column: pa.Array) -> list[Any]:
    if column.type == TIME:
        return [None if us is None else us / 1e6 for us in column.cast(pa.int64()).to_pylist()]
    return list(column.to_pylist())
