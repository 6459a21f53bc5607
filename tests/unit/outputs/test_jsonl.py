"""JSON Lines: the reference output, in ASCII."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from hopscope.findings import Finding
from hopscope.outputs import jsonl
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch
from support.findings import FINDING, MATCH, finding


@given(st.text())
def test_any_name_comes_back_and_the_line_is_harmless(name: str) -> None:
    line = jsonl.finding(finding(names=(name,)))
    assert all(32 <= ord(c) < 127 for c in line)
    assert Finding.from_json(line).names == (name,)


def test_the_keys_that_are_always_there() -> None:
    line = json.loads(jsonl.finding(finding(port=None, proto=None)))
    assert line["port"] is None
    assert (line["hop"], line["severity"], line["score_db"], line["id"]) == ("192.0.2.102", "low", -2.3, FINDING.id)


def test_what_a_rule_fired_on_has_the_keys_that_are_always_there() -> None:
    line = json.loads(jsonl.rule_match(dataclasses.replace(MATCH, name="\x7f")))
    always = {"kind": "rule_match", "hop": "192.0.2.102", "port": 443, "severity": "high", "score_db": None}
    assert line.items() >= always.items()
    assert (line["of"], line["title"], line["name"]) == ("host_event", MATCH.title, "\x7f")
    assert "server" not in line


def test_records_have_their_kind_epoch_seconds_and_null() -> None:
    connection = {
        "ts": datetime(2026, 1, 2, tzinfo=UTC), "uid": "C1", "orig_h": "10.0.0.1", "tls_sizes": [1, -2], "final": True,
        "sni": "\x1b\x7fé",
    }  # fmt: skip
    query = {"ts": datetime(2026, 1, 2, 0, 0, 0, 5, tzinfo=UTC), "query": "x.example", "answers": ["192.0.2.1"]}
    batch = Batch(
        pa.RecordBatch.from_pylist([connection], schema=CONNECTION_SCHEMA),
        pa.RecordBatch.from_pylist([query], schema=DNS_QUERY_SCHEMA),
    )
    lines = list(jsonl.records(batch))
    assert all(32 <= ord(c) < 127 for line in lines for c in line)
    first, second = map(json.loads, lines)
    assert list(first) == ["kind", *CONNECTION_SCHEMA.names]
    assert list(second) == ["kind", *DNS_QUERY_SCHEMA.names]
    assert first == dict.fromkeys(first) | connection | {"kind": "connection", "ts": 1767312000.0}
    assert second["kind"] == "dns_query"
    assert second["ts"] == 1767312000.000005
    assert second["rtt"] is None
