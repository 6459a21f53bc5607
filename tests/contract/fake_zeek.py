"""A WebSocket server on loopback that behaves as Zeek's, or as badly as a test wants."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

ACK = '{"type":"ack","endpoint":"fake-0","version":"8.0.10"}'
Act = Callable[["Client"], None]


class Client:
    """One connection, as an act sees it."""

    def __init__(self, line: ServerConnection, zeek: FakeZeek) -> None:
        self.line, self.zeek = line, zeek

    def accept(self) -> None:
        """Take the subscription and acknowledge it."""
        self.zeek.subscriptions.append(json.loads(self.line.recv(timeout=5)))
        self.line.send(ACK)

    def send(self, *frames: str | bytes) -> None:
        """Text frames, in order."""
        for frame in frames:
            self.line.send(frame, text=True)

    def stay(self) -> None:
        """Keep what the client sends until it leaves or the test ends."""
        while not self.zeek.ended.is_set():
            try:
                self.zeek.received.append(self.line.recv(timeout=0.05))
            except TimeoutError:
                continue
            except ConnectionClosed:
                return

    def cut(self) -> None:
        """Break the TCP connection off without a close frame (the client sees 1006)."""
        self.line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.line.socket.close()

    def freeze(self) -> None:
        """Neither read nor write any more: the host is gone, and nobody said so."""
        with self.line.protocol_mutex:
            self.zeek.ended.wait(10)


class FakeZeek:
    """Connections get the acts in turn, the last one again and again."""

    def __init__(self, acts: Sequence[Act]) -> None:
        self._acts = list(acts)
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self.connections = 0
        self.subscriptions: list[Any] = []
        self.received: list[str | bytes] = []
        self.port = 0

    def handle(self, line: ServerConnection) -> None:
        """One connection."""
        with self._lock:
            act = self._acts[min(self.connections, len(self._acts) - 1)]
            self.connections += 1
        with suppress(ConnectionClosed, OSError):  # the client left in the middle of an act
            act(Client(line, self))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self.port}"


@contextmanager
def fake_zeek(*acts: Act, **options: Any) -> Iterator[FakeZeek]:
    """Listening until the block ends."""
    zeek = FakeZeek(acts)
    with serve(
        zeek.handle, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=0.5, **options
    ) as server:
        zeek.port = server.socket.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield zeek
        finally:
            zeek.ended.set()
            server.shutdown()
            thread.join()


def until(what: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        time.sleep(0.005)


def only_at(path: str) -> Callable[[ServerConnection, Request], Response | None]:
    """Refuse other paths as an ordinary web server does."""

    def check(line: ServerConnection, request: Request) -> Response | None:
        return None if request.path == path else line.respond(HTTPStatus.NOT_FOUND, "nothing here\n")

    return check
