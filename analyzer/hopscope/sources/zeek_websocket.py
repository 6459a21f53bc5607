"""The live line over Zeek's WebSocket API: `ws://HOST:PORT`, or `wss://` with certificates.

Zeek's server sends without bound and a slow client delays the others, so one thread always reads; what can't
wait for decoding is dropped and shows as a gap in the numbering. A broken line is connected again, for ever.
"""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, WebSocketException
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_websocket

from hopscope import __version__
from hopscope.config import LiveSettings
from hopscope.errors import InputError, UsageError
from hopscope.findings import Finding
from hopscope.records import Batch, InputCount
from hopscope.sources import broker_json
from hopscope.sources.addresses import Networks
from hopscope.sources.inbox import Inbox
from hopscope.sources.live_source import FINDING, FINDINGS_TOPIC, LineStatus, Tls, address, finding_args
from hopscope.sources.zeek_stream import TOPIC, ZeekStream

PORT = 27759
PATH = "/v1/messages/json"
FRAME_BYTES = 64 << 20  # a longer frame ends the connection
OPEN_S = 10.0  # to connect, TLS and upgrade included
PING_S = 20.0  # a line that is silent so long is asked whether it lives, and given up after as long again
SILENT_S = 30.0  # connected and no node has said hello: three of the package's heartbeats
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # between attempts to connect again
UNSENT = 1000  # findings that wait to be sent

_CLOSES = {
    1000: "Zeek closed the connection",
    1001: "Zeek is going away",
    1006: "the connection broke off",
    1007: "text that is not UTF-8 was sent",
    1009: f"a frame was longer than {FRAME_BYTES >> 20} MB",
    1011: "no answer came in time, or Zeek had an internal error",
}


class ZeekWebSocket:
    """A `LiveSource` over WebSocket. Entering it connects, and raises InputError when that fails.

    `wait`, `clock` and `chance` stand in for sleeping, the clock and a random number in tests.
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
        self._url = url
        host, port, path = address(url, PORT)
        name = f"[{host}]" if ":" in host else host
        secure = url.lower().startswith("wss:")
        self._uri = f"{'wss' if secure else 'ws'}://{name}:{port}{path if path not in ('', '/') else PATH}"
        self._ssl = _context(url, secure, tls or Tls())
        self._settings, self._ping_s = settings, ping_s
        self._clock, self._chance = clock, chance
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait
        self._stream = ZeekStream(count, networks)
        self._inbox: Inbox[bytes] = Inbox(settings.queue_mb * 1_000_000)
        self._notes: deque[tuple[str, str]] = deque()  # told by whoever polls: `count` is theirs
        self._line: ClientConnection | None = None
        self._connected = threading.Condition()
        self._outbox: deque[str] = deque()
        self._threads: list[threading.Thread] = []
        self._since = 0.0  # when the subscription was accepted
        self._peer: str | None = None
        self._trouble: str | None = None
        self._breaks = self._unsent = 0

    def __enter__(self) -> Self:
        line = self._subscribe()
        for work, argument in ((self._read_on, (line,)), (self._send_on, ())):
            self._threads.append(threading.Thread(target=work, args=argument, daemon=True))
            self._threads[-1].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def status(self) -> LineStatus:
        """How the line is doing now."""
        return LineStatus(
            url=self._url,
            peer=self._peer,
            trouble=self._trouble,
            reconnects=self._breaks,
            waiting_bytes=self._inbox.bytes,
            lost_frames=self._inbox.lost,
            unsent=self._unsent + len(self._outbox),
            stream=self._stream.status(),
        )

    def poll(self, timeout_s: float) -> list[Batch]:
        """The records that came; waits for some, at most so long."""
        batches = self._stream.feed(map(broker_json.decode, self._inbox.take(timeout_s)))
        self._tell()
        return batches

    def send_finding(self, finding: Finding) -> None:
        """Have a finding sent to Zeek when the line allows. The oldest give way when too many wait."""
        frame = broker_json.encode(FINDINGS_TOPIC, FINDING, finding_args(finding)).decode()
        with self._connected:
            if len(self._outbox) >= UNSENT:
                self._outbox.popleft()
                self._unsent += 1
            self._outbox.append(frame)
            self._connected.notify_all()

    def close(self) -> None:
        """Close the line. What came before can still be polled."""
        self._closing.set()
        with self._connected:
            line = self._line
            self._connected.notify_all()
        if line is not None:
            line.close()
        for thread in self._threads:
            thread.join(timeout=2 * OPEN_S)
        self._inbox.close()
        self._stream.end()

    # --- connecting

    def _subscribe(self) -> ClientConnection:
        """Connect and wait for the acknowledgement, without which nothing comes. Raises InputError."""
        line = self._open()
        try:
            line.send(json.dumps([TOPIC]))
            endpoint = self._acknowledged(line)
        except ConnectionClosed as e:
            raise self._refused(*_close(e)) from e
        except BaseException:
            line.close()
            raise
        with self._connected:
            self._line, self._peer, self._trouble = line, endpoint, None
            self._since = self._clock()
            self._connected.notify_all()
        return line

    def _open(self) -> ClientConnection:
        try:
            line = open_websocket(
                self._uri,
                ssl=self._ssl,
                compression=None,
                additional_headers={"X-Application-Name": "hopscope"},
                user_agent_header=f"hopscope/{__version__}",
                proxy=None,
                open_timeout=OPEN_S,
                ping_interval=self._ping_s,
                ping_timeout=self._ping_s,
                close_timeout=1.0,
                max_size=FRAME_BYTES,
                max_queue=256,
            )
            return line.__enter__()  # it is closed where it breaks, or by close()
        except ConnectionRefusedError as e:
            raise self._refused("nothing listens there", "start Zeek with the package and Hopscope::listen = T") from e
        except socket.gaierror as e:
            raise self._refused(f"no address is known for the host ({e.strerror})", "check the name") from e
        except ssl.SSLCertVerificationError as e:
            problem = f"its certificate can't be trusted ({e.verify_message})"
            raise self._refused(problem, "name the authority that signed it with --ca") from e
        except ssl.SSLError as e:
            problem = f"TLS failed ({e.reason or e})"
            raise self._refused(
                problem, "use ws:// where Zeek listens without TLS; --cert and --key where it asks"
            ) from e
        except TimeoutError as e:
            raise self._refused(f"no answer within {OPEN_S:.0f} s", "check the address, and firewalls between") from e
        except (InvalidHandshake, InvalidMessage) as e:
            problem = f"what answers is not Zeek's WebSocket server ({e})"
            raise self._refused(problem, "check the port, and wss:// where Zeek listens with TLS") from e
        except (OSError, WebSocketException) as e:
            raise self._refused(f"can't connect ({e})", "check the address") from e

    def _acknowledged(self, line: ClientConnection) -> str:
        """Who accepted the subscription. Whatever else comes before it is kept."""
        until = self._clock() + self._settings.ack_s
        while True:
            try:
                frame = line.recv(timeout=max(0.0, until - self._clock()), decode=False)
            except TimeoutError as e:
                raise self._refused(
                    f"Zeek did not acknowledge the subscription within {self._settings.ack_s:g} s",
                    "a standalone Zeek 8.1 or newer needs a cluster back end "
                    "(@load frameworks/cluster/backend/broker); hopscope's package must be loaded on the node that "
                    f"listens; the path must be {PATH}; or the port is something else's",
                ) from e
            message = broker_json.decode(frame)
            if isinstance(message, broker_json.Ack):
                return f"connected to Zeek {message.version} at {self._url}"
            if isinstance(message, broker_json.ServerError):
                of = f"{message.code[:80]}: {message.context[:200]}"
                raise self._refused(f"Zeek refused the subscription ({of})", "is that Zeek of version 5 to 9?")
            self._inbox.put(frame, len(frame))

    def _refused(self, problem: str, remedy: str) -> InputError:
        return InputError(self._url, problem, remedy)

    # --- the reading thread

    def _read_on(self, line: ClientConnection) -> None:
        """Read until told to close, and connect again when the line breaks."""
        attempts = 0
        while True:
            if self._read(line):
                attempts = 0
            while True:
                pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**attempts) * (0.5 + 0.5 * self._chance())
                attempts = min(attempts + 1, 16)
                if self._closing.is_set() or self._wait(pause) or self._closing.is_set():
                    return
                try:
                    line = self._subscribe()
                except InputError as e:
                    self._trouble = e.problem
                    self._notes.append(("connecting", f"{e} (it is tried again)"))
                else:
                    self._breaks += 1
                    break
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
            problem, remedy = _close(e)
        except Exception as e:  # a reader that dies in silence would look like a quiet network
            problem, remedy = f"reading failed ({type(e).__name__}: {e})", "report it"
        with self._connected:
            self._line = self._peer = None
            self._trouble = problem
        line.close()
        if not self._closing.is_set():
            self._notes.append(("closed", f"{problem}; {remedy}"))
        return came

    # --- the sending thread

    def _send_on(self) -> None:
        """Send what waits, a frame at a time and only where it fits: a send that blocks would hold up reading."""
        while not self._closing.is_set():
            with self._connected:
                if self._line is None or not self._outbox:
                    self._connected.wait(1.0)
                    continue
                line, frame = self._line, self._outbox[0]
            try:
                _, writable, _ = select.select((), (line.socket,), (), 1.0)
                if not writable:
                    continue
                line.send(frame)
            except (ConnectionClosed, OSError, ValueError):  # the reader notices too, and connects again
                self._wait_for_another(line)
                continue
            with self._connected, contextlib.suppress(IndexError):
                if self._outbox[0] is frame:
                    self._outbox.popleft()

    def _wait_for_another(self, line: ClientConnection) -> None:
        with self._connected:
            while self._line is line and not self._closing.is_set():
                self._connected.wait(0.2)

    # --- what is told

    def _tell(self) -> None:
        tell = self._stream.telling.tell
        while self._notes:
            kind, line = self._notes.popleft()
            if kind == "closed":
                times = self._breaks + (self._peer is None)
                line = f"{self._url}: the line broke {times:,} times, last because {line}"
            tell(kind, line)
        if self._inbox.lost:
            tell(
                "lost frames",
                f"{self._url}: {self._inbox.lost:,} frames were dropped because decoding could not keep up; "
                "raise live.queue_mb, or send less",
            )
        if self._unsent:
            tell("unsent", f"{self._url}: {self._unsent:,} findings could not be sent back to Zeek")
        if self._peer is not None and self._clock() - self._since > SILENT_S and not self._stream.heard:
            tell(
                "silent",
                f"{self._url}: connected, but no node has said hello in {SILENT_S:.0f} s; load hopscope's package on "
                "the node that listens and on every worker",
            )


def _context(url: str, secure: bool, tls: Tls) -> ssl.SSLContext | None:
    if not secure:
        if tls != Tls():
            raise UsageError(f"{url}: certificates need TLS; use wss:// or leave --ca, --cert and --key out")
        return None
    if tls.key is not None and tls.cert is None:
        raise UsageError(f"{url}: --key needs --cert, the certificate that it belongs to")
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as e:
        files = ", ".join(f for f in (tls.ca, tls.cert, tls.key) if f)
        raise UsageError(f"{url}: can't use {files} ({e}); give PEM files that belong together") from e
    return context


def _close(closed: ConnectionClosed) -> tuple[str, str]:
    """Why a connection ended, and what to do about it."""
    frame = closed.rcvd or closed.sent
    code = frame.code if frame is not None else 1006
    reason = f": {frame.reason[:200]}" if frame is not None and frame.reason else ""
    cause = f" ({closed.__cause__})" if frame is None and closed.__cause__ is not None else ""
    problem = f"{_CLOSES.get(code, 'Zeek closed the connection')} ({code}{reason}){cause}"
    if code == 1008:
        return problem, f"the path must be {PATH}"
    return problem, "what was sent meanwhile is counted as missing"
