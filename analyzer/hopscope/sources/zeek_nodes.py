"""What is known of the Zeek nodes that send: starts, versions, packet loss, and what never came."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hopscope.sources.broker_json import RecordLines
from hopscope.sources.broker_values import Timestamp
from hopscope.sources.sequence import Sequence
from hopscope.sources.telling import Telling

MOST_NODES = 1024  # nodes whose batches are followed; of more, nothing is known to be missing
BOOTS_KEPT = 4  # starts of a node whose late batches are still told apart
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
KINDS = {"connection": "connection records", "dns_query": "DNS records"}


@dataclass(frozen=True)
class Hello:
    """A node introduces itself; `schemas` are (kind, hash, columns)."""

    protocol: int
    node: str
    boot: str
    zeek: str
    package: str
    now: datetime.datetime | None
    schemas: tuple[tuple[str, str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, record: Any) -> Hello | None:
        """From the event's record, fields by position; None when it is not a hello's. Further fields are ignored."""
        match record:
            case (int(protocol), str(node), str(boot), str(zeek), str(package), now, tuple(schemas), *_):
                told = []
                for schema in schemas:
                    match schema:
                        case (str(kind), str(hashed), tuple(columns), *_) if all(isinstance(c, str) for c in columns):
                            told.append((kind, hashed, columns))
                        case _:
                            return None
                return cls(protocol, node, boot, zeek, package, _time(now), tuple(told))
        return None


@dataclass(frozen=True)
class Heartbeat:
    """A node's own counters since its start; `counters` are (kind, records sent, batches sent, batches dropped)."""

    node: str
    boot: str
    now: datetime.datetime | None
    counters: tuple[tuple[str, int, int, int], ...]
    received: int
    dropped: int

    @classmethod
    def of(cls, record: Any) -> Heartbeat | None:
        """From the event's record, fields by position; None when it is not a heartbeat's."""
        match record:
            case (str(node), str(boot), now, tuple(counters), int(received), int(dropped), *_):
                told = []
                for counter in counters:
                    match counter:
                        case (str(kind), int(records), int(batches), int(lost), *_):
                            told.append((kind, int(records), int(batches), int(lost)))
                        case _:
                            return None
                return cls(node, boot, _time(now), tuple(told), int(received), int(dropped))
        return None


@dataclass(frozen=True)
class NodeStatus:
    """A node as it is known now. `loss` is the share of packets that it dropped since it was first heard, None
    before two heartbeats; `missing` records are exact or an estimate (`exact`); `last` is network time."""

    node: str
    zeek: str | None
    package: str | None
    last: datetime.datetime | None
    loss: float | None
    restarts: int
    missing: int
    exact: bool


@dataclass
class _Node:
    boots: list[str]
    zeek: str | None = None
    package: str | None = None
    last: datetime.datetime | None = None
    restarts: int = 0
    series: dict[tuple[str, str], Sequence] = field(default_factory=dict)  # by boot and kind
    gone: dict[str, int] = field(default_factory=dict)  # missing of starts no longer kept, by kind
    beaten: bool = False  # the last boot sent counters
    packets: tuple[int, int] | None = None  # received and dropped where counting begins; None before a heartbeat
    lost: tuple[int, int] = (0, 0)  # received and dropped since


class Nodes:
    """Follows every node's batches, and tells what it finds wrong."""

    def __init__(self, telling: Telling) -> None:
        self._tell = telling.tell
        self._nodes: dict[str, _Node] = {}
        self._changed: set[str] = set()
        self.duplicates = 0

    def came(self, batch: RecordLines) -> bool:
        """Note a batch. False when it came before."""
        node = self._node(batch.node, batch.boot)
        if node is None:
            return True
        self._changed.add(batch.node)
        if self._series(node, batch.boot, batch.kind).came(batch.seq, batch.n):
            return True
        self.duplicates += 1
        return False

    def hello(self, hello: Hello) -> None:
        """Note who sends."""
        node = self._node(hello.node, hello.boot)
        if node is not None and hello.boot == node.boots[-1]:
            node.zeek, node.package, node.last = hello.zeek, hello.package, hello.now or node.last

    def heartbeat(self, beat: Heartbeat) -> None:
        """Take in a node's own counters."""
        node = self._node(beat.node, beat.boot)
        if node is None:
            return
        self._changed.add(beat.node)
        for kind, records, batches, dropped in beat.counters:
            if kind in KINDS:
                self._series(node, beat.boot, kind).counters(batches, records)
                if dropped:
                    self._tell(
                        ("dropped", beat.node, beat.boot, kind),
                        f"{named(beat.node)}: Zeek could not send {dropped:,} batches of {KINDS[kind]}; "
                        "its reporter.log may say why",
                    )
        if beat.boot == node.boots[-1]:
            node.beaten = True
            node.last = beat.now or node.last
            self._packets(beat, node)

    @property
    def any(self) -> bool:
        """Something came from some node."""
        return bool(self._nodes)

    @property
    def missing(self) -> int:
        """Records that were sent and never came, of all nodes."""
        return sum(_missing(node) for node in self._nodes.values())

    def tell_missing(self) -> None:
        """Tell of the nodes that something was heard of since the last time."""
        for name in self._changed:
            node = self._nodes[name]
            for kind, what in KINDS.items():
                series = [s for (_, k), s in node.series.items() if k == kind]
                missing = sum(s.missing for s in series) + node.gone.get(kind, 0)
                batches = sum(s.missing_batches for s in series)
                strays = sum(s.strays for s in series)
                if strays:
                    self._tell(
                        ("strays", name, kind),
                        f"{named(name)}: {strays:,} times {what} were numbered far beyond what was due; somebody else "
                        "sends under the node's name, or more was lost than can be told",
                    )
                exact = all(s.exact for s in series)
                if missing:
                    line = f"{'' if exact else 'about '}{missing:,} {what} were sent and never came"
                    line += f" ({batches:,} batches)" if batches else ""
                    self._tell(("missing", name, kind), f"{named(name)}: {line}; findings rest on the others")
                elif any(s.came_late for s in series):
                    self._tell(("missing", name, kind), f"{named(name)}: {what} came late; none is missing")
        self._changed.clear()

    def status(self) -> Iterator[NodeStatus]:
        """Each node, in the order in which they were first heard."""
        for name, node in self._nodes.items():
            received, dropped = node.lost
            loss = dropped / (received + dropped) if received + dropped else None
            exact = all(s.exact for s in node.series.values())
            yield NodeStatus(name, node.zeek, node.package, node.last, loss, node.restarts, _missing(node), exact)

    def _node(self, name: str, boot: str) -> _Node | None:
        """The node, with this start of it; None when there are too many nodes to follow."""
        node = self._nodes.get(name)
        if node is None:
            if len(self._nodes) >= MOST_NODES:
                self._tell("nodes", f"more than {MOST_NODES:,} Zeek nodes send; losses of the others are not noticed")
                return None
            node = self._nodes[name] = _Node([boot])
        elif boot not in node.boots:
            self._restarted(name, node, boot)
        return node

    def _restarted(self, name: str, node: _Node, boot: str) -> None:
        node.boots.append(boot)
        node.restarts += 1
        node.beaten = False
        node.packets = (0, 0)
        times = "" if node.restarts == 1 else f" {node.restarts:,} times"
        self._tell(("restarted", name), f"{named(name)}: Zeek was started anew{times}; connections open then are cut")
        if len(node.boots) > BOOTS_KEPT:
            old = node.boots.pop(0)
            for kind in KINDS:
                series = node.series.pop((old, kind), None)
                if series is not None:
                    node.gone[kind] = node.gone.get(kind, 0) + series.missing

    def _series(self, node: _Node, boot: str, kind: str) -> Sequence:
        """A start that we saw the beginning of is due from its first batch on."""
        series = node.series.get((boot, kind))
        if series is None:
            from_start = node.restarts > 0 or node.beaten
            series = node.series[boot, kind] = Sequence(from_start)
        return series

    def _packets(self, beat: Heartbeat, node: _Node) -> None:
        received, dropped = node.packets or (beat.received, beat.dropped)
        node.packets = (received, dropped)
        node.lost = (max(0, beat.received - received), max(0, beat.dropped - dropped))
        if node.lost[1]:
            share = node.lost[1] / sum(node.lost)
            self._tell(
                ("packets", beat.node),
                f"{named(beat.node)}: Zeek dropped {share:.2%} of its packets ({node.lost[1]:,}); "
                "connections and their times suffer: give it more workers or less traffic",
            )


def _missing(node: _Node) -> int:
    return sum(s.missing for s in node.series.values()) + sum(node.gone.values())


def named(node: str) -> str:
    """How a node is called in what is told of it."""
    return f"node {node[:60]}"


def _time(value: Any) -> datetime.datetime | None:
    """A network time; None before the first packet, which Zeek calls 1970."""
    if not isinstance(value, Timestamp) or value.ns <= 0:
        return None
    try:
        return _EPOCH + datetime.timedelta(microseconds=value.ns // 1000)
    except OverflowError:  # after the year 9999
        return None
