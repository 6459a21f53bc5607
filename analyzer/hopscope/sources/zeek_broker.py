"""The live line over Zeek's own Broker: `broker://HOST:PORT`, by the Python bindings that come with Zeek.

API: docs.zeek.org, "Python Bindings" of Broker's manual; written for those of Broker 1.4 and of 2.x. Broker
itself connects again after a broken line.
"""

from __future__ import annotations

import ctypes
import datetime
import select
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, Self

from hopscope.config import LiveSettings
from hopscope.errors import InputError
from hopscope.findings import Finding
from hopscope.records import InputCount
from hopscope.sources import broker_bindings
from hopscope.sources.addresses import Networks
from hopscope.sources.broker_json import BATCH, Event, Message, RecordLines, Refusal, record_lines, unexpected
from hopscope.sources.broker_values import Count, Port, Timestamp, Value
from hopscope.sources.live_source import FINDING, FINDINGS_TOPIC, address, finding_args
from hopscope.sources.zeek_line import ZeekLine
from hopscope.sources.zeek_stream import TOPIC

PORT = 9999
RETRY_S = 1.0  # between Broker's attempts to connect
WAKE_S = 0.5  # the reading thread looks so often whether it is to end
EVENT_BYTES = 1000  # what an event other than a batch takes about
QUEUE = 1024  # messages that Broker itself keeps for us

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class ZeekBroker(ZeekLine[Message]):
    """A `LiveSource` over native Broker. Entering it connects: InputError when that fails, UsageError when
    Zeek's bindings are not to be had."""

    def __init__(
        self,
        url: str,
        settings: LiveSettings,
        count: InputCount,
        networks: Networks | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(url, settings, count, networks, clock)
        self._host, self._port, _ = address(url, PORT)
        self._ack_s = settings.ack_s
        self._broker = broker_bindings.load()
        self._closing = threading.Event()
        self._peered = threading.Event()
        self._breaks = 0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._endpoint = self._broker.Endpoint()
        records = self._endpoint.make_subscriber(TOPIC, QUEUE)
        states = self._endpoint.make_status_subscriber(True)
        self._endpoint.peer_nosync(self._host, self._port, RETRY_S)
        self._thread = threading.Thread(target=self._read, args=(records, states), daemon=True)
        self._thread.start()
        if not self._peered.wait(self._ack_s):
            self.close()
            raise InputError(
                self._url,
                f"no Broker answered within {self._ack_s:g} s ({self._trouble or 'no word of it'})",
                "Zeek must listen there (Broker::listen; in a cluster a worker's or the manager's port), with a "
                "Broker that these bindings can talk to, and the same TLS settings",
            )
        return self

    def _decoded(self, item: Message) -> Message:
        return item

    def _send(self, finding: Finding) -> None:
        """Broker doesn't wait for anybody to get it."""
        if not self._peered.is_set():
            self._unsent += 1
            return
        record = [_native(value, self._broker) for value in finding_args(finding)]
        self._endpoint.publish(FINDINGS_TOPIC, self._broker.zeek.Event(FINDING, *record))

    def close(self) -> None:
        """Let go of the line. What came before can still be polled."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._endpoint.unpeer_nosync(self._host, self._port)
            if self._broker.Version.MAJOR >= 2:
                self._endpoint.shutdown()
            else:  # after a lost peer, Broker 1.x can wait for ever in there, and when the endpoint is freed
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._endpoint))
        self._inbox.close()
        self._stream.end()
        self._tell()

    def _read(self, records: Any, states: Any) -> None:
        """The reading thread: whatever comes, until told to close."""
        while not self._closing.is_set():
            try:
                ready, _, _ = select.select((records.fd(), states.fd()), (), (), WAKE_S)
                if states.fd() in ready:
                    for state in states.poll():
                        self._note(state)
                while records.available() and not self._closing.is_set():
                    message = _next(records)
                    size = len(message.lines) if isinstance(message, RecordLines) else EVENT_BYTES
                    self._inbox.put(message, size)
            except Exception as e:  # a reader that died in silence would look like a quiet network
                self._trouble = f"reading failed ({type(e).__name__}: {e})"
                self._notes.append(("reading", f"{self._url}: {self._trouble}; this is an error of hopscope's"))
                self._closing.wait(RETRY_S)

    def _note(self, state: Any) -> None:
        """A change of the peering, or an error."""
        codes = self._broker.SC
        code = state.code()
        if code == codes.PeerAdded:
            self._joins += 1
            self._trouble = None
            self._peer, self._since = f"connected to Zeek at {self._url}", self._clock()
            self._peered.set()
        elif code in (codes.PeerRemoved, codes.PeerLost):
            self._breaks += 1
            self._peered.clear()
            self._peer = None
            self._trouble = "the peer went away"
            self._notes.append(
                ("closed", f"{self._url}: the line broke {self._breaks:,} times; what was sent meanwhile is missing")
            )
        elif isinstance(state, self._broker.Error):
            self._trouble = str(state)


def _next(records: Any) -> Message:
    """The next that waits at Broker's, taken alone: one that Python can't express takes no other with it."""
    try:
        return decode(*records.get())
    except Exception as e:  # such as TypeError for sets of tables
        return unexpected(e)


def decode(topic: str, data: Any) -> Message:
    """A message from the bindings' Python values: [format 1, type 1 (an event), [name, arguments, ...]]."""
    match data:
        case (kind, form, (str(name), tuple(args), *_)) if (_number(kind), _number(form)) == (1, 1):
            if name != BATCH:
                return Event(topic, name, tuple(_value(arg) for arg in args))
            try:
                return record_lines([_number(arg) if i in (4, 5) else arg for i, arg in enumerate(args)])
            except ValueError:
                return Refusal("not a message of hopscope's")
    return Refusal("not an event")


def _number(value: Any) -> Any:
    """The bindings' counts are objects of their own."""
    return getattr(value, "value", value)


def _value(value: Any) -> Value:
    """The bindings' value as ours, for the types of our events; None for the others."""
    match value:
        case tuple():
            return tuple(_value(v) for v in value)
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case datetime.datetime():
            since = value - _EPOCH
            return Timestamp(((since.days * 86400 + since.seconds) * 10**6 + since.microseconds) * 1000)
        case bool() | int() | float() | str():
            return value
    number = _number(value)
    return Count(number) if isinstance(number, int) else None


def _native(value: Value, broker: ModuleType) -> Any:
    """Our value as the bindings': they know Python's own types and ipaddress's."""
    match value:
        case Port(number, protocol):
            protocols = {"tcp": broker.Port.TCP, "udp": broker.Port.UDP, "icmp": broker.Port.ICMP}
            return broker.Port(number, protocols.get(protocol, broker.Port.Unknown))
        case Count():
            return broker.Count(int(value))
        case tuple():
            return [_native(v, broker) for v in value]
    return value
