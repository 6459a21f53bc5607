"""The live line over Zeek's WebSocket API: `ws://HOST:PORT`, or `wss://` with certificates.

Zeek's server queues without bound and a slow client delays the others, so one thread always reads; what can't
wait for decoding is dropped and shows as a gap in the numbering. A broken line is connected again, for ever.
"""

from __future__ import annotations

import contextlib
import random
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from hopscope.config import LiveSettings
from hopscope.errors import InputError
from hopscope.findings import Finding
from hopscope.records import InputCount
from hopscope.sources import broker_json
from hopscope.sources.addresses import Networks
from hopscope.sources.live_source import FINDING, FINDINGS_TOPIC, Tls, finding_args
from hopscope.sources.zeek_handshake import CLOSE_S, OPEN_S, Handshake, why_closed
from hopscope.sources.zeek_line import ZeekLine

PING_S = 20.0  # a line that is silent so long is asked whether it lives, and given up after as long again
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # between attempts to connect again
UNSENT = 1000  # findings that wait to be sent


class ZeekWebSocket(ZeekLine[bytes]):
    """A `LiveSource` over WebSocket. Entering it connects, and raises InputError when that fails.

    `wait` (whether to end, after so many seconds), `clock` and `chance` stand in for sleeping, the clock and a
    random number in tests.
    """

    def __init__(
        self,
        url: str,
        settings: LiveSettings,
        count: InputCount,
        tls: Tls | None = None,
        networks: Networks | None = None,
        *,
        ping_s: float = PING_S,
        wait: Callable[[float], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(url, settings, count, networks, clock)
        self._handshake = Handshake(url, tls or Tls(), settings.ack_s, ping_s, clock)
        self._chance = chance
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait
        self._changed = threading.Condition()  # guards the line and what is to be sent
        self._line: ClientConnection | None = None
        self._outbox: deque[str] = deque()
        self._patience_s = CLOSE_S
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        line = self._subscribe()
        for work in (lambda: self._read_on(line), self._send_on):
            self._threads.append(threading.Thread(target=work, daemon=True))
            self._threads[-1].start()
        return self

    @property
    def _to_send(self) -> int:
        return len(self._outbox)

    def _decoded(self, item: bytes) -> broker_json.Message:
        return broker_json.decode(item)

    def _send(self, finding: Finding) -> None:
        """The oldest give way when too many wait."""
        frame = broker_json.encode(FINDINGS_TOPIC, FINDING, finding_args(finding)).decode()
        with self._changed:
            if len(self._outbox) >= UNSENT:
                self._outbox.popleft()
                self._unsent += 1
            self._outbox.append(frame)
            self._changed.notify_all()

    def _flush(self) -> None:
        """Wait while the line stands, all in all as long as parting in order may take."""
        began = self._clock()
        with self._changed:
            self._changed.wait_for(lambda: not self._outbox or self._line is None, self._patience_s)
        self._patience_s = max(0.0, self._patience_s - (self._clock() - began))

    def close(self) -> None:
        """Close the line once what waits is sent, or can't be in time. What came before can still be polled."""
        self._flush()
        self._closing.set()
        with self._changed:
            line = self._line
            self._changed.notify_all()
        if line is not None:
            line.close()
        for thread in self._threads:
            thread.join(timeout=2 * OPEN_S)
        self._unsent += len(self._outbox)
        self._outbox.clear()
        self._inbox.close()
        self._stream.end()
        self._tell()

    def _subscribe(self) -> ClientConnection:
        line, version = self._handshake.open(lambda frame: self._inbox.put(frame, len(frame)))
        with self._changed:
            self._line, self._trouble = line, None
            self._peer = f"connected to Zeek {version} at {self._url}"
            self._since = self._clock()
            self._joins += 1
            self._changed.notify_all()
        return line

    # --- the reading thread

    def _read_on(self, line: ClientConnection) -> None:
        """Read until told to close, and connect again when the line breaks."""
        attempts = 0
        while True:
            if self._read(line):
                attempts = 0
            again = None
            while again is None:
                pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**attempts) * (0.5 + 0.5 * self._chance())
                attempts = min(attempts + 1, 16)
                if self._closing.is_set() or self._wait(pause) or self._closing.is_set():
                    return
                try:
                    again = self._subscribe()
                except InputError as e:
                    self._trouble = e.problem
                    self._notes.append(("connecting", f"{e} (it is tried again)"))
                except Exception as e:  # as in `_read`
                    self._trouble = f"connecting failed ({type(e).__name__}: {e})"
                    self._notes.append(("connecting", f"{self._url}: {self._trouble}; this is an error of hopscope's"))
            line = again
            if self._closing.is_set():
                line.close()
                return

    def _read(self, line: ClientConnection) -> bool:
        """Read one line to its end; whether anything came."""
        came = False
        try:
            while True:
                frame = line.recv(decode=False)
                self._inbox.put(frame, len(frame))
                came = True
        except ConnectionClosed as e:
            problem, remedy = why_closed(e)
        except Exception as e:  # a reader that died in silence would look like a quiet network
            problem, remedy = f"reading failed ({type(e).__name__}: {e})", "this is an error of hopscope's"
        line.close()
        with self._changed:
            self._line = self._peer = None
            self._trouble = problem
            self._changed.notify_all()
        if not self._closing.is_set():
            line_broke = f"{self._url}: the line broke {self._joins:,} times"
            self._notes.append(("closed", f"{line_broke}, last because {problem}; {remedy}"))
        return came

    # --- the sending thread

    def _send_on(self) -> None:
        """Send what waits, a frame at a time and only where it fits: a send that blocks would hold up reading."""
        while not self._closing.is_set():
            with self._changed:
                if self._line is None or not self._outbox:
                    self._changed.wait(1.0)
                    continue
                line, frame = self._line, self._outbox[0]
            try:
                _, writable, _ = select.select((), (line.socket,), (), 1.0)
                if not writable:
                    continue
                line.send(frame)
            except (ConnectionClosed, OSError, ValueError):  # the reader notices too, and connects again
                with self._changed:
                    while self._line is line and not self._closing.is_set():
                        self._changed.wait(1.0)
                continue
            with self._changed, contextlib.suppress(IndexError):
                if self._outbox[0] is frame:
                    self._outbox.popleft()
                self._changed.notify_all()
