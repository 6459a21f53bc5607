"""How a line to Zeek's WebSocket server is opened, and what is said when it can't be or when it ends.

API: docs.zeek.org, "WebSocket API": the first frame names topics, the answer is an acknowledgement, and what
is published before it is lost. A subscription that Zeek can't use is never acknowledged.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from hopscope import __version__
from hopscope.errors import InputError, UsageError
from hopscope.sources import broker_json
from hopscope.sources.live_source import Tls, address
from hopscope.sources.zeek_stream import TOPIC

PORT = 27759
PATH = "/v1/messages/json"
FRAME_BYTES = 64 << 20  # a longer frame ends the connection
OPEN_S = 10.0  # to connect, TLS and upgrade included
CLOSE_S = 1.0  # to part in order
FRAGMENTS = 256  # of frames, that wait inside the library before it stops reading

_CLOSES = {
    1000: "Zeek closed the connection",
    1001: "Zeek is going away",
    1006: "the connection broke off",
    1007: "text that is not UTF-8 was sent",
    1009: f"a frame was longer than {FRAME_BYTES >> 20} MB",
    1011: "no answer came in time, or Zeek had an internal error",
}


class Handshake:
    """What is needed to open a line, again and again.

    Raises UsageError for a URL or files that can't be used.
    """

    def __init__(self, url: str, tls: Tls, ack_s: float, ping_s: float, clock: Callable[[], float]) -> None:
        host, port, path = address(url, PORT)
        name = f"[{host}]" if ":" in host else host
        secure = url.lower().startswith("wss:")
        self._url = url
        self._uri = f"{'wss' if secure else 'ws'}://{name}:{port}{path if path not in ('', '/') else PATH}"
        self._ssl = _context(url, secure, tls)
        self._ack_s, self._ping_s, self._clock = ack_s, ping_s, clock

    def open(self, early: Callable[[bytes], None]) -> tuple[ClientConnection, str]:
        """Connect and subscribe: the line, and Zeek's version. What comes before the acknowledgement goes to
        `early`. Raises InputError that names the usual causes."""
        line = self._connect()
        try:
            line.send(json.dumps([TOPIC]))
            return line, self._acknowledged(line, early)
        except ConnectionClosed as e:
            failed = _tls_error(e)  # a server that refuses our certificate says so only now
            raise self._tls_failed(failed) if failed is not None else self._error(*why_closed(e)) from e
        except BaseException:
            line.close()
            raise

    def _connect(self) -> ClientConnection:
        try:
            line = connect(
                self._uri,
                ssl=self._ssl,
                compression=None,
                additional_headers={"X-Application-Name": "hopscope"},
                user_agent_header=f"hopscope/{__version__}",
                proxy=None,
                open_timeout=OPEN_S,
                ping_interval=self._ping_s,
                ping_timeout=self._ping_s,
                close_timeout=CLOSE_S,
                max_size=FRAME_BYTES,
                max_queue=FRAGMENTS,
            )
            return line.__enter__()  # whoever opens it closes it
        except ConnectionRefusedError as e:
            raise self._error("nothing listens there", "start Zeek with the package and Hopscope::listen = T") from e
        except socket.gaierror as e:
            raise self._error(f"no address is known for the host ({e.strerror})", "check the name") from e
        except UnicodeError as e:  # an empty label, or one of more than 63 letters
            raise self._error("no host can have that name", "check the name") from e
        except ssl.SSLCertVerificationError as e:
            problem = f"its certificate can't be trusted ({e.verify_message})"
            raise self._error(problem, "name the authority that signed it with --ca") from e
        except ssl.SSLError as e:
            raise self._tls_failed(e) from e
        except TimeoutError as e:
            raise self._error(f"no answer within {OPEN_S:g} s", "check the address, and firewalls between") from e
        except (InvalidHandshake, InvalidMessage, ConnectionClosed) as e:
            failed = _tls_error(e)
            if failed is not None:
                raise self._tls_failed(failed) from e
            if self._ssl is not None and not isinstance(e, InvalidStatus):  # how Zeek parts from unknown clients
                problem = f"it broke off once TLS stood ({e})"
                raise self._error(problem, "give --cert and --key, which Zeek may ask for, or check the port") from e
            problem = f"what answers is not Zeek's WebSocket server ({e})"
            raise self._error(problem, "check the port, and use wss:// where Zeek listens with TLS") from e
        except (OSError, WebSocketException) as e:
            raise self._error(f"can't connect ({e})", "check the address") from e

    def _acknowledged(self, line: ClientConnection, early: Callable[[bytes], None]) -> str:
        until = self._clock() + self._ack_s
        while True:
            try:
                frame = line.recv(timeout=max(0.0, until - self._clock()), decode=False)
            except TimeoutError as e:
                raise self._error(
                    f"Zeek did not acknowledge the subscription within {self._ack_s:g} s",
                    "a Zeek of its own, outside a cluster, needs `@load hopscope/standalone` from 8.1 on; "
                    "hopscope's package must be loaded on the node that "
                    f"listens; the path must be {PATH}; or the port is something else's",
                ) from e
            message = broker_json.decode(frame)
            if isinstance(message, broker_json.Ack):
                return message.version
            if isinstance(message, broker_json.ServerError):
                of = f"{message.code[:80]}: {message.context[:200]}"
                raise self._error(f"Zeek refused the subscription ({of})", "check that its version is 5.0 or later")
            early(frame)

    def _tls_failed(self, error: Exception) -> InputError:
        problem = f"TLS failed ({getattr(error, 'reason', None) or error})"
        return self._error(problem, "use ws:// where Zeek listens without TLS, --cert and --key where it asks for them")

    def _error(self, problem: str, remedy: str) -> InputError:
        return InputError(self._url, problem, remedy)


def why_closed(closed: ConnectionClosed) -> tuple[str, str]:
    """Why a connection ended, and what to do about it."""
    frame = closed.rcvd or closed.sent
    code = frame.code if frame is not None else 1006
    reason = f": {frame.reason[:200]}" if frame is not None and frame.reason else ""
    cause = f" ({closed.__cause__})" if frame is None and closed.__cause__ is not None else ""
    problem = f"{_CLOSES.get(code, 'Zeek closed the connection')} ({code}{reason}){cause}"
    if code == 1008:
        return problem, f"the path must be {PATH}"
    return problem, "what was sent meanwhile is counted as missing"


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


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """The error of TLS that stands behind another."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ssl.SSLError):
        seen = seen.__cause__ or seen.__context__
    return seen
