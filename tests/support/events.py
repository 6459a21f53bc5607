"""Host events and connections for tests, from a few fields with defaults for what a test doesn't care about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, HOST_EVENT_SCHEMA, Batch

START = 1_700_000_000_000_000  # µs
CLIENT, SERVER = "10.0.0.5", "203.0.113.9"

SYSMON: dict[str, Any] = {
    "ts": START, "provider": "sysmon", "event_id": 3, "host": "ws1.example", "process": r"C:\Tools\agent.exe",
    "pid": 4242, "process_guid": "{1}", "user": r"CORP\ann", "proto": "tcp", "initiated": True, "src_h": CLIENT,
    "src_p": 50_000, "dst_h": SERVER, "dst_p": 443,
}  # fmt: skip
SECURITY: dict[str, Any] = SYSMON | {
    "provider": "security", "event_id": 5156, "process_guid": None, "user": None,
    "process": r"\device\harddiskvolume2\tools\agent.exe",
}  # fmt: skip
CONNECTION: dict[str, Any] = {
    "ts": START, "uid": "C1", "sensor": "s", "orig_h": CLIENT, "orig_p": 50_000, "resp_h": SERVER, "resp_p": 443,
    "proto": "tcp", "seg": 0, "final": True,
}  # fmt: skip


def host_events(rows: Iterable[Mapping[str, Any]], base: Mapping[str, Any] = SYSMON) -> pa.RecordBatch:
    """Host events of `base` with each row's fields; a field that the record lacks is an error."""
    return _batch(rows, base, HOST_EVENT_SCHEMA)


def batch(
    *,
    connections: Iterable[Mapping[str, Any]] = (),
    dns_queries: Iterable[Mapping[str, Any]] = (),
    events: Iterable[Mapping[str, Any]] = (),
) -> Batch:
    """A batch of CONNECTIONs, DNS queries and SYSMON events with each row's fields."""
    return Batch(
        _batch(connections, CONNECTION, CONNECTION_SCHEMA),
        _batch(dns_queries, {"ts": START, "uid": "D1", "sensor": "s", "client": CLIENT}, DNS_QUERY_SCHEMA),
        host_events(events),
    )


def _batch(rows: Iterable[Mapping[str, Any]], base: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    full = [{**base, **row} for row in rows]
    for row in full:
        if unknown := row.keys() - set(schema.names):
            raise KeyError(f"no field {sorted(unknown)}")
    return pa.RecordBatch.from_pylist(full, schema)
