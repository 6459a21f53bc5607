"""DNS messages to DnsQuery records: answers matched to queries within a connection, as in Zeek's dns.log.

A reply goes to the oldest open query of its transaction id in the same connection; one without a query
waits for it. What stays unmatched becomes a record when the connection ends.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hopscope.records import DNS_QUERY_SCHEMA
from hopscope.sensor.dissect import dns
from hopscope.sensor.names import Addresses, uids

MOST_OPEN = 50  # transaction ids, and messages of one, that wait in a connection; beyond it the oldest are told

Row = tuple[int, int, int, str, str, str | None, str | None, str | None, list[str], list[float], int]


@dataclass(slots=True)
class _Exchange:
    """A query and its answer, either may be missing so far; times in ns, -1 when unknown."""

    ts: int
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
    flip: bool = False  # the first message was an answer from the originator
    seen: int = 0
    queries: dict[int, deque[_Exchange]] = field(default_factory=dict)
    replies: dict[int, deque[_Exchange]] = field(default_factory=dict)


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
        raw = memoryview(data)
        for serial, a, b, ts, at, size, port, from_orig, client, resolver in zip(
            *(rows[c].tolist() for c in ("serial", "uid_a", "uid_b", "ts", "at", "len", "r_port", "from_orig")),
            *ends,
            strict=True,
        ):
            connection = self._open.get(serial)
            if connection is None:
                connection = self._open[serial] = _Connection(a, b, client[0], resolver[0])
            if not connection.broken:
                self._message(connection, ts, dns.parse(bytes(raw[at : at + size]), port), bool(from_orig))

    def stream(
        self,
        key: tuple[int, int, int],
        client: str,
        resolver: str,
        messages: list[tuple[int, bool, dns.DnsMessage | None]],
    ) -> None:
        """Take in the messages (ts, from originator, message) of another connection: (serial, uid)."""
        serial, a, b = key
        connection = self._open.setdefault(serial, _Connection(a, b, client, resolver))
        for ts, from_orig, message in messages:
            self._message(connection, ts, message, from_orig)

    def ended(self, serial: int) -> tuple[bool, bool]:
        """The connection is over; returns (it was DNS, the originator answered: it is the responder)."""
        connection = self._open.pop(serial, None)
        if connection is None:
            return False, False
        for waiting in (connection.queries, connection.replies):
            for queue in waiting.values():
                for exchange in queue:
                    self._tell(connection, exchange)
        return connection.whole and not connection.broken, connection.flip

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

    def _message(self, connection: _Connection, ts: int, message: dns.DnsMessage | None, from_orig: bool) -> None:
        connection.seen += 1
        if message is None:
            connection.broken = True
            return
        if connection.seen == 1 and message.response and from_orig:
            connection.flip = True
        connection.whole = connection.whole or message.whole
        if message.opcode:
            return
        if message.response:
            self._reply(connection, ts, message)
        else:
            self._query(connection, ts, message)

    def _query(self, connection: _Connection, ts: int, message: dns.DnsMessage) -> None:
        exchange = self._matched(connection.replies, message.id)
        answered = exchange is not None
        exchange = exchange or _Exchange(ts)
        exchange.query, exchange.qtype = message.query, message.qtype
        if answered:
            self._tell(connection, exchange)
        else:
            self._wait(connection, connection.queries, message.id, exchange)

    def _reply(self, connection: _Connection, ts: int, message: dns.DnsMessage) -> None:
        exchange = self._matched(connection.queries, message.id)
        if exchange is None:
            exchange = _Exchange(ts, query=message.owner)
            self._wait(connection, connection.replies, message.id, exchange)
        else:
            exchange.took = ts - exchange.ts
            if exchange.query is None:
                exchange.query = message.owner
        exchange.rcode, exchange.answers, exchange.ttls = message.rcode, message.answers, message.ttls
        if exchange.took >= 0:
            self._tell(connection, exchange)

    @staticmethod
    def _matched(waiting: dict[int, deque[_Exchange]], ident: int) -> _Exchange | None:
        queue = waiting.get(ident)
        if queue is None:
            return None
        exchange = queue.popleft()
        if not queue:
            del waiting[ident]
        return exchange

    def _wait(
        self, connection: _Connection, waiting: dict[int, deque[_Exchange]], ident: int, exchange: _Exchange
    ) -> None:
        queue = waiting.get(ident)
        if queue is None:
            if len(waiting) > MOST_OPEN:
                for old in waiting.values():
                    for unmatched in old:
                        self._tell(connection, unmatched)
                waiting.clear()
            queue = waiting[ident] = deque()
        elif len(queue) > MOST_OPEN:
            for unmatched in queue:
                self._tell(connection, unmatched)
            queue.clear()
        queue.append(exchange)

    def _tell(self, connection: _Connection, x: _Exchange) -> None:
        if x.query is None and x.rcode is None:
            return
        self._rows.append((
            x.ts, connection.uid_a, connection.uid_b, connection.client, connection.resolver,
            x.query, x.qtype, x.rcode, x.answers, x.ttls, x.took,
        ))  # fmt: skip
