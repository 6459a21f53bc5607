"""HTTP/1: the first request, its answer, and what it turns into (CONNECT, WebSocket)."""

from __future__ import annotations

import re

from hopscope.sensor.dissect.facts import Facts
from hopscope.sensor.dissect.text import LINE_LIMIT, text

PORTS = frozenset((80, 81, 631, 1080, 3128, 8000, 8080, 8888))  # Zeek listens there without a known method
MAX_LEADING = 8  # empty lines before a request that are let pass

_METHODS = re.compile(
    rb"(?:OPTIONS|GET|HEAD|POST|PUT|DELETE|TRACE|CONNECT|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK|"
    rb"VERSION-CONTROL|REPORT|CHECKOUT|CHECKIN|UNCHECKOUT|MKWORKSPACE|UPDATE|LABEL|MERGE|BASELINE-CONTROL|MKACTIVITY|"
    rb"ORDERPATCH|ACL|PATCH|SEARCH|BCOPY|BDELETE|BMOVE|BPROPFIND|BPROPPATCH|NOTIFY|POLL|SUBSCRIBE|UNSUBSCRIBE|"
    rb"X-MS-ENUMATTS|RPC_OUT_DATA|RPC_IN_DATA)"
)
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_STATUS = re.compile(rb"HTTP/\d\.\d[ \t]+(\d{3})", re.IGNORECASE)
_HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:[ \t]*(.*)")
_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://([^/?#\s]*)")


class Exchange:
    """What the caller needs beyond the facts: the answer's status (0 unseen) and both heads' ends."""

    __slots__ = ("request_end", "response_end", "status", "upgrade")

    def __init__(self) -> None:
        self.request_end: int | None = None
        self.response_end: int | None = None
        self.status = 0
        self.upgrade = ""


def http(facts: Facts, client: bytes, server: bytes, resp_p: int, client_at: int = 0, server_at: int = 0) -> bool:
    """Fill `facts` from an HTTP/1 exchange at the two offsets; whether it is one.

    It is when the first line is a request and the server's first line, where there is one, a status
    line. `inner` is set where a CONNECT was granted or the connection became a WebSocket.
    """
    request = _request_line(client, client_at, resp_p, server, server_at)
    if request is None:
        return False
    method, target, version, pos = request
    exchange = Exchange()
    answered = _response(exchange, server, server_at)
    if not answered and version:
        return False
    headers, exchange.request_end = _headers(client, pos)
    if facts.http_method is None:
        facts.http_method = text(method)
        facts.user_agent = _shown(headers.get(b"user-agent"), LINE_LIMIT)
        facts.http_host = _host(target, headers)
    if method.upper() == b"CONNECT":
        _connect(facts, target, exchange)
    elif exchange.status == 101 and exchange.upgrade == "websocket":
        _inner(facts, exchange)
    return True


def is_request(stream: bytes, pos: int = 0) -> bool:
    """The stream goes on with a request of a known method."""
    return _METHODS.match(stream, _skip_space(stream, pos)) is not None


def is_response(stream: bytes, pos: int = 0) -> bool:
    """The stream goes on with a status line."""
    return _STATUS.match(stream, pos) is not None


def _skip_space(stream: bytes, pos: int) -> int:
    end = min(len(stream), pos + 64)
    while pos < end and stream[pos] in b" \t\r\n\f\v":
        pos += 1
    return pos


def _request_line(
    client: bytes, at: int, port: int, server: bytes, server_at: int
) -> tuple[bytes, bytes, bool, int] | None:
    """Method, target, whether a version stands there, and the offset past the line."""
    if not (is_request(client, at) or port in PORTS or is_response(server, server_at)):
        return None
    for _ in range(MAX_LEADING):
        end = client.find(b"\n", at)
        if end < 0:
            return None
        line = client[at:end].rstrip(b"\r")
        at = end + 1
        if line:
            break
    token = _TOKEN.match(line)
    if token is None:
        return None
    method = token.group()
    rest = line[token.end() :]
    if rest[:1] not in (b" ", b"\t"):
        return None
    parts = rest.split()
    versioned = any(part[:5].upper() == b"HTTP/" for part in parts)
    if not versioned and (len(method) < 3 or not parts):
        return None  # no HTTP/0.9 either
    return method, parts[0] if parts else b"", versioned, at


def _response(exchange: Exchange, server: bytes, at: int) -> bool:
    """Read the status line and head; False when the server says something else."""
    if len(server) <= at:
        return True
    end = server.find(b"\n", at)
    match = _STATUS.match(server, at)
    if match is None:
        # an unfinished first line may still become one
        return end < 0 and b"HTTP/".startswith(server[at : at + 5].upper()[:5])
    headers, exchange.response_end = _headers(server, end + 1 if end >= 0 else len(server))
    exchange.status = int(match.group(1))
    exchange.upgrade = headers.get(b"upgrade", b"").decode("latin-1").strip().lower()
    return True


def _headers(stream: bytes, pos: int) -> tuple[dict[bytes, bytes], int | None]:
    """The first value of each header, names lower-case, and the offset past the empty line."""
    out: dict[bytes, bytes] = {}
    while (end := stream.find(b"\n", pos)) >= 0:
        line = stream[pos:end].rstrip(b"\r")
        pos = end + 1
        if not line:
            return out, pos
        match = _HEADER.match(line)
        if match is not None:
            out.setdefault(match.group(1).lower(), match.group(2))
    return out, None


def _shown(value: bytes | None, limit: int) -> str | None:
    return text(value.strip(), limit) or None if value is not None else None


def _host(target: bytes, headers: dict[bytes, bytes]) -> str | None:
    # In a request to a proxy the URI names the host; it goes before the Host header (RFC 9112, 3.2.2).
    authority = _AUTHORITY.match(target)
    if authority is not None:
        return text(authority.group(1).rpartition(b"@")[2]) or None
    return _shown(headers.get(b"host"), 255)


def _connect(facts: Facts, target: bytes, exchange: Exchange) -> None:
    facts.proxy_protocol = "http-connect"
    facts.proxy_target = text(target) or None
    if exchange.status >= 200:
        facts.proxy_accepted = exchange.status < 300
        if facts.proxy_accepted:
            _inner(facts, exchange)


def _inner(facts: Facts, exchange: Exchange) -> None:
    if exchange.request_end is not None and exchange.response_end is not None:
        facts.inner = exchange.request_end, exchange.response_end
