"""DNS messages to DnsQuery records: answers matched to queries within a connection, as in Zeek's dns.log.

A reply goes to the oldest open query of its transaction id in the same connection; one without a query
waits for it. What stays unmatched becomes a record when the connection ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hopscope.records import DNS_QUERY_SCHEMA
from hopscope.sensor.dissect import dns
from hopscope.sensor.names import Addresses, uids

MOST_OPEN = 100  # messages that wait in a connection for their counterpart; beyond it they are told as they are
_SMALL = 512  # bytes of a message whose meaning is remembered

Row = tuple[int, int, int, str, str, str | None, str | None, str | None, list[str], list[float], int]


@dataclass(slots=True)
class _Exchange:
    """A query and its answer, either may be missing so far; times in ns, -1 when unknown."""

    ts: int
    id: int
    query: str | None = None
    qtype: str | None = None
    rcode: str | None = None
    answers: list[str] = field(default_factory=list)
    ttls: list[float] = field(default_factory=list)
    took: int = -1


@dataclass(slots=True)
class _Connection:
    uid_a: int
    uid_b: int
    client: str
    resolver: str
    whole: bool = False  # a message could be read: it is DNS
    broken: bool = False  # one couldn't
    queries: list[_Exchange] = field(default_factory=list)
    replies: list[_Exchange] = field(default_factory=list)


def _parse(body: bytes, port: int) -> dns.DnsMessage | None:
    """A message by all but its transaction id."""
    return dns.parse(b"\0\0" + body, port)


_same = lru_cache(maxsize=4096)(_parse)  # clients ask for the same names again and again


class DnsLog:
    """The DNS exchanges of all open connections, and the records of those that are over."""

    def __init__(self, sensor: str, addresses: Addresses) -> None:
        self._sensor, self._addresses = sensor, addresses
        self._open: dict[int, _Connection] = {}
        self._rows: list[Row] = []

    def datagrams(self, rows: NDArray[np.void], data: NDArray[np.uint8]) -> None:
        """Take in messages of connections on DNS' ports; `rows` (DNS_ROW) point into `data`."""
        if not rows.shape[0]:
            return
        ends = [self._addresses.lookup(rows["version"], rows[f"{r}_hi"], rows[f"{r}_lo"]) for r in "or"]
        raw = memoryview(data)  # type: ignore[arg-type]
        for serial, a, b, ts, at, size, port, client, resolver in zip(
            *(rows[c].tolist() for c in ("serial", "uid_a", "uid_b", "ts", "at", "len", "r_port")),
            *ends,
            strict=True,
        ):
            connection = self._open.get(serial)
            if connection is None:
                connection = self._open[serial] = _Connection(a, b, client[0], resolver[0])
            if connection.broken or size < 2:
                continue
            body = bytes(raw[at + 2 : at + size])
            message = _same(body, port) if size < _SMALL else _parse(body, port)
            self._message(connection, ts, raw[at] << 8 | raw[at + 1], message)

    def stream(
        self,
        key: tuple[int, int, int],
        client: str,
        resolver: str,
        messages: list[tuple[int, dns.DnsMessage | None]],
    ) -> None:
        """Take in the messages (ts, message) of another connection: `key` is (serial, uid)."""
        serial, a, b = key
        connection = self._open.setdefault(serial, _Connection(a, b, client, resolver))
        for ts, message in messages:
            self._message(connection, ts, message.id if message else 0, message)

    def ended(self, serial: int) -> bool:
        """The connection is over; returns whether it was DNS."""
        connection = self._open.pop(serial, None)
        if connection is None:
            return False
        for waiting in (connection.queries, connection.replies):
            for exchange in waiting:
                self._tell(connection, exchange)
        return connection.whole and not connection.broken

    def take(self) -> pa.RecordBatch:
        """The records since the last take."""
        rows, self._rows = self._rows, []
        columns: list[list[object]] = [list(c) for c in zip(*rows, strict=True)] if rows else [[] for _ in range(11)]
        ts, a, b, client, resolver, query, qtype, rcode, answers, ttls, took = columns
        us = np.array(ts, np.int64) // 1000
        rtt = np.array(took, np.float64) / 1e9
        return pa.RecordBatch.from_arrays(
            [
                pa.array(us).cast(pa.timestamp("us")).cast(DNS_QUERY_SCHEMA.field("ts").type),
                uids(np.array(a, np.uint64), np.array(b, np.uint64)),
                pa.array([self._sensor] * len(rows), pa.string()),
                pa.array(client, pa.string()),
                pa.array(resolver, pa.string()),
                pa.array(query, pa.string()),
                pa.array(qtype, pa.string()),
                pa.array(rcode, pa.string()),
                pa.array([x or None for x in answers], DNS_QUERY_SCHEMA.field("answers").type),
                pa.array([x or None for x in ttls], DNS_QUERY_SCHEMA.field("ttls").type),
                pa.array(rtt, pa.float64(), mask=rtt < 0),
            ],
            schema=DNS_QUERY_SCHEMA,
        )

    def __len__(self) -> int:
        return len(self._rows)

    def _message(self, connection: _Connection, ts: int, ident: int, message: dns.DnsMessage | None) -> None:
        if message is None:
            connection.broken = True
            return
        connection.whole = connection.whole or message.whole
        if message.opcode:
            return
        if message.response:
            self._reply(connection, ts, ident, message)
        else:
            self._query(connection, ts, ident, message)

    def _query(self, connection: _Connection, ts: int, ident: int, message: dns.DnsMessage) -> None:
        exchange = _matched(connection.replies, ident)
        if exchange is None:
            self._wait(connection, connection.queries, _Exchange(ts, ident, message.query, message.qtype))
            return
        exchange.query, exchange.qtype = message.query, message.qtype
        self._tell(connection, exchange)

    def _reply(self, connection: _Connection, ts: int, ident: int, message: dns.DnsMessage) -> None:
        exchange = _matched(connection.queries, ident)
        if exchange is None:
            exchange = _Exchange(ts, ident)
            self._wait(connection, connection.replies, exchange)
        else:
            exchange.took = ts - exchange.ts
        if exchange.query is None:
            exchange.query = message.owner
        exchange.rcode, exchange.answers, exchange.ttls = message.rcode, message.answers, message.ttls
        if exchange.took >= 0:
            self._tell(connection, exchange)

    def _wait(self, connection: _Connection, waiting: list[_Exchange], exchange: _Exchange) -> None:
        if len(waiting) >= MOST_OPEN:
            for unmatched in waiting:
                self._tell(connection, unmatched)
            waiting.clear()
        waiting.append(exchange)

    def _tell(self, connection: _Connection, x: _Exchange) -> None:
        if x.query is None and x.rcode is None:
            return
        self._rows.append((
            x.ts, connection.uid_a, connection.uid_b, connection.client, connection.resolver,
            x.query, x.qtype, x.rcode, x.answers, x.ttls, x.took,
        ))  # fmt: skip


def _matched(waiting: list[_Exchange], ident: int) -> _Exchange | None:
    """The oldest that waits under this transaction id, taken off."""
    for k, exchange in enumerate(waiting):
        if exchange.id == ident:
            return waiting.pop(k)
    return None
