"""What the package sends, made up: lines, batches, hello and heartbeat."""

from __future__ import annotations

from collections.abc import Sequence

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA
from hopscope.sources.broker_json import Event, RecordLines, encode, record_lines
from hopscope.sources.broker_values import Count, Timestamp, Value
from hopscope.sources.zeek_stream import HEARTBEAT, HELLO, TOPIC, schema_hash

CONNECTIONS = tuple(CONNECTION_SCHEMA.names)
QUERIES = tuple(DNS_QUERY_SCHEMA.names)
NOW = 1700100000.0  # the nodes' network time: after what is made up here
NODE, BOOT = "worker-1", "Hboot1"


def connection(number: int, columns: Sequence[str] = CONNECTIONS, **values: str) -> str:
    """A connection's line; columns that are not named here or in `values` are unset."""
    known = {
        "ts": f"{1700000000 + number}.250000", "uid": f"C{number}", "sensor": "zeek", "orig_h": "10.0.0.1",
        "orig_p": "40000", "resp_h": "203.0.113.9", "resp_p": "443", "proto": "tcp", "service": "ssl",
        "local_orig": "T", "local_resp": "F", "seg": "0", "seg_end": f"{1700000001 + number}.250000", "final": "T",
        "duration": "1.000000", "orig_bytes": "500", "resp_bytes": "1500", "tls_sizes": "120,-330", **values,
    }  # fmt: skip
    return "\t".join(known.get(column, "-") for column in columns)


def query(number: int, columns: Sequence[str] = QUERIES) -> str:
    """A DNS query's line."""
    known = {
        "ts": f"{1700000000 + number}.000000", "uid": f"D{number}", "sensor": "zeek", "client": "10.0.0.1",
        "resolver": "192.0.2.53", "query": "x.example", "qtype": "A", "answers": "203.0.113.9", "ttls": "60.000000",
    }  # fmt: skip
    return "\t".join(known.get(column, "-") for column in columns)


def batch(
    seq: int,
    lines: Sequence[str] | None = None,
    *,
    node: str = NODE,
    boot: str = BOOT,
    kind: str = "connection",
    columns: Sequence[str] | None = None,
    n: int | None = None,
) -> RecordLines:
    """A batch as it is decoded; of two records when no lines are given."""
    make, known = (connection, CONNECTIONS) if kind == "connection" else (query, QUERIES)
    columns = columns or known
    lines = [make(2 * seq + i, columns) for i in range(2)] if lines is None else lines
    hashed = schema_hash(kind, columns)
    n = len(lines) if n is None else n
    return record_lines((hashed, node, boot, kind, seq, n, tuple(lines)))


def hello(
    *, node: str = NODE, boot: str = BOOT, protocol: int = 1, columns: Sequence[str] = CONNECTIONS, hashed: str = "",
    now: float = NOW,
) -> Event:  # fmt: skip
    """A node's introduction, with the columns of connections and of queries."""
    schemas: tuple[Value, ...] = (
        ("connection", hashed or schema_hash("connection", columns), tuple(columns)),
        ("dns_query", schema_hash("dns_query", QUERIES), QUERIES),
    )
    at = Timestamp(int(now * 10**9))
    return Event(TOPIC, HELLO, ((Count(protocol), node, boot, "8.0.10", "0.1.0", at, schemas),))


def heartbeat(
    records: int,
    batches: int,
    *,
    node: str = NODE,
    boot: str = BOOT,
    kind: str = "connection",
    unsent: int = 0,
    received: int = 0,
    dropped: int = 0,
    now: float = NOW,
) -> Event:
    """A node's counters of one kind and its packets."""
    counters: tuple[Value, ...] = ((kind, Count(records), Count(batches), Count(unsent)),)
    at = Timestamp(int(now * 10**9))
    return Event(TOPIC, HEARTBEAT, ((node, boot, at, counters, Count(received), Count(dropped), Count(0)),))


def frame(message: Event | RecordLines) -> bytes:
    """The same as it comes over WebSocket."""
    if isinstance(message, Event):
        return encode(message.topic, message.name, message.args)
    return encode(TOPIC, "Hopscope::batch", arguments(message))


def arguments(of: RecordLines) -> tuple[Value, ...]:
    """A batch's arguments as Broker's values."""
    lines = tuple(of.lines.decode().split("\n")) if of.count else ()
    return (of.schema, of.node, of.boot, of.kind, Count(of.seq), Count(of.n), lines)
