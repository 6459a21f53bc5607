"""HTTP/1: the first request, its answer, and what it turns into (CONNECT, WebSocket)."""

from __future__ import annotations

import re

from hopscope.sensor.dissect.facts import Facts
from hopscope.sensor.dissect.step import Step
from hopscope.sensor.dissect.text import LINE_LIMIT, text
from hopscope.sensor.dissect.websocket import websocket

PORTS = frozenset((80, 81, 631, 1080, 3128, 8000, 8080, 8888))  # Zeek listens there without a known method
MAX_HEADERS = 200  # lines of one head
MAX_LEADING = 8  # empty lines before a request that are let pass

_METHODS = re.compile(
    rb"\s{0,64}(?:OPTIONS|GET|HEAD|POST|PUT|DELETE|TRACE|CONNECT|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK|"
    rb"VERSION-CONTROL|REPORT|CHECKOUT|CHECKIN|UNCHECKOUT|MKWORKSPACE|UPDATE|LABEL|MERGE|BASELINE-CONTROL|MKACTIVITY|"
    rb"ORDERPATCH|ACL|PATCH|SEARCH|BCOPY|BDELETE|BMOVE|BPROPFIND|BPROPPATCH|NOTIFY|POLL|SUBSCRIBE|UNSUBSCRIBE|"
    rb"X-MS-ENUMATTS|RPC_OUT_DATA|RPC_IN_DATA)"
)
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_STATUS = re.compile(rb"HTTP/\d\.\d[ \t]+(\d{3})", re.IGNORECASE)
_HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:[ \t]*(.*)")
_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://([^/?#\s]*)")


class _Answer:
    """The answer's status (0 unseen), what it upgrades to, and where both heads end."""

    __slots__ = ("request_end", "response_end", "status", "upgrade")

    def __init__(self) -> None:
        self.request_end: int | None = None
        self.response_end: int | None = None
        self.status = 0
        self.upgrade = b""

    def inner(self) -> tuple[int, int] | None:
        """Where both sides go on after their heads; None while one of them isn't through."""
        if self.request_end is None or self.response_end is None:
            return None
        return self.request_end, self.response_end


def http(facts: Facts, client: bytes, server: bytes, resp_p: int) -> Step | None:
    """Fill `facts` from an HTTP/1 exchange at the streams' starts; None when it is none.

    It is one when the first line is a request and the server's first line, where there is one, a status
    line. What a granted CONNECT or a WebSocket carries is the next layer.
    """
    request = _request_line(client, resp_p, server)
    if request is None:
        return None
    method, target, version, pos = request
    answer = _Answer()
    if not _response(answer, server) and version:
        return None
    headers, answer.request_end = _headers(client, pos)
    if facts.http_method is None:
        facts.http_method = text(method)
        facts.user_agent = _shown(headers.get(b"user-agent"), LINE_LIMIT)
        facts.http_host = _host(target, headers)
    if method.upper() == b"CONNECT":
        _connect(facts, target, answer)
        if facts.proxy_accepted:
            return Step(("http",), answer.inner(), proxy=True)
    inner = answer.inner()
    if answer.status == 101 and answer.upgrade == b"websocket" and inner is not None:
        frames = websocket(client[inner[0] :], server[inner[1] :])
        if frames is not None:
            return Step(("http", *frames.services), frames.at, frames.streams)
    # Zeek drops HTTP again where the client goes on with something else, as after a refused CONNECT
    return Step(("http",) if answer.status == 101 or _goes_on(client, headers, answer.request_end) else ())


def is_request(stream: bytes) -> bool:
    """The stream starts with a request of a known method."""
    return _METHODS.match(stream) is not None


def is_response(stream: bytes) -> bool:
    """The stream starts with a status line."""
    return _STATUS.match(stream) is not None


def _request_line(client: bytes, port: int, server: bytes) -> tuple[bytes, bytes, bool, int] | None:
    """Method, target, whether a version stands there, and the offset past the line."""
    if not (is_request(client) or port in PORTS or is_response(server)):
        return None
    at = 0
    for _ in range(MAX_LEADING):
        end = client.find(b"\n", at)
        if end < 0:
            return None
        line = client[at:end].rstrip(b"\r")
        at = end + 1
        if line:
            break
    parsed = _parse(line)
    return (*parsed, at) if parsed is not None else None


def _parse(line: bytes) -> tuple[bytes, bytes, bool] | None:
    """Method, target, and whether a version stands in a request line; None when it is none."""
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
    return method, parts[0] if parts else b"", versioned


def _goes_on(client: bytes, headers: dict[bytes, bytes], pos: int | None) -> bool:
    """What follows a request without a body is another request, if anything."""
    if pos is None or b"content-length" in headers or b"transfer-encoding" in headers:
        return True
    end = client.find(b"\n", pos)
    line = client[pos:end].rstrip(b"\r") if end >= 0 else b""
    return not line or _parse(line) is not None


def _response(answer: _Answer, server: bytes) -> bool:
    """Read the status line and head; False when the server says something else."""
    if not server:
        return True
    end = server.find(b"\n")
    match = _STATUS.match(server)
    if match is None:
        # an unfinished first line may still become one
        return end < 0 and b"HTTP/".startswith(server[:5].upper())
    headers, answer.response_end = _headers(server, end + 1 if end >= 0 else len(server))
    answer.status = int(match.group(1))
    answer.upgrade = headers.get(b"upgrade", b"").strip().lower()
    return True


def _headers(stream: bytes, pos: int) -> tuple[dict[bytes, bytes], int | None]:
    """The first value of each header, names lower-case, and the offset past the empty line."""
    out: dict[bytes, bytes] = {}
    for _ in range(MAX_HEADERS):
        end = stream.find(b"\n", pos)
        if end < 0:
            break
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


def _connect(facts: Facts, target: bytes, answer: _Answer) -> None:
    facts.proxy_protocol = "http-connect"
    facts.proxy_target = text(target) or None
    if answer.status >= 200:
        facts.proxy_accepted = answer.status < 300
