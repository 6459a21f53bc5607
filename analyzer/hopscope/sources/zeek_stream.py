"""The package's events to records: schemas, order, losses. A state machine without sockets or a clock.

Batches carry lines in the columns of hopscope's own logs; a hello names the columns behind a schema's hash,
a heartbeat brings the sender's own counters, so that what is missing is known to the record.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from hopscope.errors import InputError
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, NO_CONNECTIONS, NO_DNS_QUERIES, Batch, InputCount
from hopscope.sources import zeek_columns
from hopscope.sources.broker_json import Event, Message, RecordLines, Refusal, ServerError, unexpected
from hopscope.sources.telling import Telling
from hopscope.sources.zeek_horizon import Horizon
from hopscope.sources.zeek_nodes import Heartbeat, Hello, Nodes, NodeStatus, named

if TYPE_CHECKING:
    from hopscope.sources.addresses import Networks

TOPIC = "/hopscope/records"
HELLO, HEARTBEAT = "Hopscope::hello", "Hopscope::heartbeat"
PROTOCOL = 1
GATHER_BYTES = 16 << 20  # lines that are turned into columns at once
HELD_BYTES = 64 << 20  # lines that wait for a hello to name their columns
MOST_SCHEMAS = 256
MOST_LINES = 1 << 26  # in a batch: no frame is longer, in bytes
MOST_PROBLEMS = 1024  # told apart

_SCHEMAS = {"connection": CONNECTION_SCHEMA, "dns_query": DNS_QUERY_SCHEMA}
Read = Callable[[str, Sequence[str], list[RecordLines]], list[pa.RecordBatch]]


def schema_hash(kind: str, columns: Sequence[str]) -> str:
    """What stands in a batch for its kind and columns."""
    return hashlib.md5("\t".join((kind, *columns)).encode(), usedforsecurity=False).hexdigest()[:16]


@dataclass(frozen=True)
class StreamStatus:
    """What came so far. `held` are records that wait for the names of their columns or for their node's clock,
    `refused` frames and lines that could not be understood."""

    nodes: tuple[NodeStatus, ...]
    records: int
    batches: int
    duplicates: int
    held: int
    missing: int
    refused: int


class ZeekStream:
    """Turns messages into batches of records and keeps count of what the senders say they sent.

    `count.missing`, `count.refused`, `count.lacks` and `count.problems` are kept up to date; `networks` say
    what is local instead of the sensors, where they are given.
    """

    def __init__(self, count: InputCount, networks: Networks | None = None) -> None:
        self._count, self._networks = count, networks
        self.telling = Telling(count)  # for what else is to be told of the line
        self._nodes = Nodes(self.telling)
        self._horizon = Horizon()
        self._place = zeek_columns.Place("Zeek's stream", count=count)
        self._schemas = {schema_hash(kind, s.names): (kind, tuple(s.names)) for kind, s in _SCHEMAS.items()}
        self._filled: set[str] = set()  # schemas whose columns `count` knows of
        self._held: dict[str, list[RecordLines]] = {}
        self._held_bytes = 0
        self._told: Counter[object] = Counter()  # numbers in the problems told
        self._unnamed = 0  # records whose columns were never named
        self._missing = 0  # what of count.missing is told from here
        self._records = self._batches = 0

    def feed(self, messages: Iterable[Message]) -> list[Batch]:
        """The records of some messages, in as few batches as their columns allow."""
        out: list[Batch] = []
        gathered: dict[str, list[RecordLines]] = {}
        size = 0
        for message in messages:
            try:
                size += self._sort(message, gathered)
            except Exception as e:  # one message must not end what is to stay for months
                self._sort(unexpected(e), gathered)
            if size > GATHER_BYTES:
                out += self._columns(gathered)
                gathered, size = {}, 0
        out += self._columns(gathered)
        self._nodes.tell_missing()
        self._add_up()
        return out

    def end(self) -> None:
        """Nothing comes any more: what still waits for the names of its columns is missing, what still lies
        after its node's clock is refused."""
        for node, records in self._horizon.end():
            self._refuse_future(records, node)
        for batches in self._held.values():
            self._lose_unnamed(batches)
        self._held.clear()
        self._held_bytes = 0
        self._add_up()

    @property
    def heard(self) -> bool:
        """Some node has sent something."""
        return self._nodes.any

    def status(self) -> StreamStatus:
        """What came so far, node by node."""
        return StreamStatus(
            nodes=tuple(self._nodes.status()),
            records=self._records,
            batches=self._batches,
            duplicates=self._nodes.duplicates,
            held=sum(batch.count for batches in self._held.values() for batch in batches) + self._horizon.held,
            missing=self._missing,
            refused=self._count.refused,
        )

    def _sort(self, message: Message, gathered: dict[str, list[RecordLines]]) -> int:
        """Gather a batch, and take in what else there is; the bytes of lines that were gathered."""
        match message:
            case RecordLines():
                if self._takes(message):
                    gathered.setdefault(message.schema, []).append(message)
                    return len(message.lines)
            case Event(name=name, args=(record,)) if name in (HELLO, HEARTBEAT):
                self._introduced(name, record, gathered)
            case Refusal(problem):
                self._refuse(problem, 1, f"frames from Zeek could not be understood ({problem})")
            case ServerError(code, context):
                of = f"{code[:80]}: {context[:200]}"
                self._more(("error", of), 1, f"times Zeek could not use what it was sent ({of})")
            case _:
                pass  # others' events
        return 0

    def _takes(self, batch: RecordLines) -> bool:
        """Note a batch; whether it can be turned into columns now."""
        if batch.n > MOST_LINES:
            self._refuse("n", batch.count, "records came in batches longer than any frame can be", batch.node)
            return False
        if batch.kind not in _SCHEMAS:
            kind = batch.kind[:40]
            self._refuse(("kind", kind), batch.count, f"records of a kind that is not known here ({kind})")
            return False
        if not self._nodes.came(batch):
            return False
        self._batches += 1
        if batch.n != batch.count:
            off = abs(batch.n - batch.count)
            self._refuse("lines", off, "lines of batches are too many, too few or broken", batch.node)
        if batch.schema not in self._schemas:
            self._hold(batch)
            return False
        return self._fits(batch)

    def _fits(self, batch: RecordLines) -> bool:
        """Its schema, which is known, is one of its kind."""
        if self._schemas[batch.schema][0] != batch.kind:
            self._refuse("schema", batch.count, "records came under another kind's columns", batch.node)
            return False
        return batch.count > 0

    def _hold(self, batch: RecordLines) -> None:
        if self._held_bytes + len(batch.lines) > HELD_BYTES:
            self._lose_unnamed([batch])
            return
        self._held.setdefault(batch.schema, []).append(batch)
        self._held_bytes += len(batch.lines)

    def _lose_unnamed(self, batches: list[RecordLines]) -> None:
        lost = sum(batch.count for batch in batches)
        self._unnamed += lost
        self._more("unnamed", lost, "records came before any word of their columns, and were dropped")

    def _introduced(self, event: str, record: object, gathered: dict[str, list[RecordLines]]) -> None:
        """A hello or a heartbeat."""
        if event == HEARTBEAT:
            beat = Heartbeat.of(record)
            if beat is not None:
                self._nodes.heartbeat(beat)
                self._horizon.says(beat.node, beat.now)
                return
        hello = Hello.of(record) if event == HELLO else None
        if hello is None:
            self._refuse(event, 1, f"{event} events are not as expected; is the package of this version?")
            return
        if hello.protocol != PROTOCOL:
            self._more(
                ("protocol", hello.protocol), 1,
                f"times a node said that it speaks version {hello.protocol} of the stream, not {PROTOCOL}; "
                "install the package and the analyzer of one version",
            )  # fmt: skip
        self._nodes.hello(hello)
        self._horizon.says(hello.node, hello.now)
        for kind, hashed, columns in hello.schemas:
            if hashed in self._schemas or kind not in _SCHEMAS or len(self._schemas) >= MOST_SCHEMAS:
                continue
            if schema_hash(kind, columns) != hashed:
                self._refuse("hash", 1, "schemas don't fit their hash", hello.node)
                continue
            self._schemas[hashed] = (kind, columns)
            for batch in self._held.pop(hashed, ()):
                self._held_bytes -= len(batch.lines)
                if self._fits(batch):
                    gathered.setdefault(hashed, []).append(batch)

    def _columns(self, gathered: dict[str, list[RecordLines]]) -> list[Batch]:
        """The records of what was gathered, and of what was held and is now in order."""
        parts: dict[str, list[pa.RecordBatch]] = {kind: [] for kind in _SCHEMAS}
        for node, rows, beyond in self._horizon.judge():
            parts["connection" if rows.schema.equals(CONNECTION_SCHEMA) else "dns_query"].append(rows)
            self._refuse_future(beyond, node)
        for hashed, batches in gathered.items():
            kind, columns = self._schemas[hashed]
            if kind == "connection":
                self._fill(hashed, columns)
            parts[kind] += self._sound(kind, columns, batches, self._present)
        connections, queries = ([rows for rows in parts[kind] if rows.num_rows] for kind in _SCHEMAS)
        out = []
        for i in range(max(len(connections), len(queries))):
            batch = Batch(
                connections[i] if i < len(connections) else NO_CONNECTIONS,
                queries[i] if i < len(queries) else NO_DNS_QUERIES,
            )
            self._records += batch.connections.num_rows + batch.dns_queries.num_rows
            out.append(batch)
        return out

    def _sound(self, kind: str, columns: Sequence[str], batches: list[RecordLines], read: Read) -> list[pa.RecordBatch]:
        """What `read` makes of the batches; where it fails in a way that nobody thought of, of each by itself."""
        refused = self._count.refused
        try:
            return read(kind, columns, batches)
        except InputError as e:
            self._refuse(("columns", kind, tuple(columns)), _lines(batches), f"records can't be used ({e})")
        except Exception as e:
            self._count.refused = refused
            if len(batches) > 1:
                return [rows for batch in batches for rows in self._sound(kind, columns, [batch], read)]
            problem = unexpected(e).problem
            self._refuse(("records", problem), _lines(batches), f"records can't be used ({problem})", batches[0].node)
        return []

    def _present(self, kind: str, columns: Sequence[str], batches: list[RecordLines]) -> list[pa.RecordBatch]:
        """The batches' records that don't lie after their nodes' clocks."""
        rows = self._read(kind, columns, batches, self._place)
        by_node: dict[str, list[RecordLines]] = {}
        for batch in batches:
            by_node.setdefault(batch.node, []).append(batch)
        if not self._horizon.beyond(by_node, rows):
            return [rows]
        out = []
        for node, of_node in by_node.items():  # again, but what is refused has been counted
            rows = self._read(kind, columns, of_node, zeek_columns.Place("", InputCount()))
            within, beyond = self._horizon.sift(node, rows)
            self._refuse_future(beyond, node)
            out.append(within)
        return out

    def _read(
        self, kind: str, columns: Sequence[str], batches: list[RecordLines], place: zeek_columns.Place
    ) -> pa.RecordBatch:
        lines = b"\n".join([batch.lines for batch in batches])
        if kind == "connection":
            return zeek_columns.connections(lines, columns, place.count, self._networks, place)
        return zeek_columns.dns_queries(lines, columns, place.count, place)

    def _fill(self, hashed: str, columns: Sequence[str]) -> None:
        if hashed not in self._filled:
            self._filled.add(hashed)
            self._count.fills(columns)

    def _refuse_future(self, records: int, node: str) -> None:
        if records:
            what = "records are dated more than 10 minutes after the node's own clock"
            self._refuse("future", records, f"{what}; set the sensors' clocks right", node)

    def _refuse(self, key: object, number: int, what: str, node: str | None = None) -> None:
        """Count frames or lines that can't be used, and tell so."""
        self._count.refused += number
        self._more(("refused", key, node), number, what, node)

    def _more(self, key: object, number: int, what: str, node: str | None = None) -> None:
        """Tell a problem with its number so far."""
        key = key if key in self._told or len(self._told) < MOST_PROBLEMS else "others"
        self._told[key] += number
        where = "Zeek's stream" if node is None else named(node)
        self.telling.tell(key, f"{where}: {self._told[key]:,} {what}")

    def _add_up(self) -> None:
        missing = self._nodes.missing + self._unnamed
        self._count.missing += missing - self._missing
        self._missing = missing


def _lines(batches: list[RecordLines]) -> int:
    return sum(batch.count for batch in batches)
