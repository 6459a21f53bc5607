"""SOCKS 4, 4a and 5 (RFC 1928, 1929): who is asked for, and where the relayed stream begins."""

from __future__ import annotations

from ipaddress import IPv6Address
from struct import Struct

from hopscope.sensor.dissect.facts import Facts
from hopscope.sensor.dissect.step import Step
from hopscope.sensor.dissect.text import text

USER_PASSWORD = 2
REFUSED = 0xFF
MAX_USER = 255  # bytes looked at for the end of a SOCKS 4 user or host name

_SHORT = Struct(">H")


def socks(facts: Facts, client: bytes, server: bytes) -> Step | None:
    """Fill `facts` from a SOCKS exchange at the streams' starts; None when it is none.

    The proxy fields are filled as soon as the client's request is whole and nothing the server said
    contradicts it; the final reply confirms the service, and the relayed streams are the next layer.
    """
    if len(client) < 2:
        return None
    if client[0] == 5:
        return _socks5(facts, client, server)
    return _socks4(facts, client, server) if client[0] == 4 else None


def _socks4(facts: Facts, client: bytes, server: bytes) -> Step | None:
    if len(client) < 9 or client[1] not in (1, 2):
        return None
    end = client.find(0, 8, 8 + MAX_USER + 1)
    if end < 0:
        return None
    host = ".".join(map(str, client[4:8]))
    pos = end + 1
    if client[4:7] == b"\0\0\0":  # 4a: the name follows (Zeek reads one for 0.0.0.0 too)
        end = client.find(0, pos, pos + MAX_USER + 1)
        if end < 0:
            return None
        host = text(client[pos:end])
        pos = end + 1
    if server and (server[0] != 0 or (len(server) > 1 and not 0x5A <= server[1] <= 0x5D)):
        return None
    facts.proxy_protocol = "socks4"
    facts.proxy_target = f"{host}:{_SHORT.unpack_from(client, 2)[0]}"
    if len(server) < 8:
        return Step()
    facts.proxy_accepted = server[1] == 0x5A
    return Step(("socks",), (pos, 8), proxy=True)


def _socks5(facts: Facts, client: bytes, server: bytes) -> Step | None:
    pos = 2 + client[1]
    if not client[1] or len(client) < pos or len(server) == 1 or (server and server[0] != 5):
        return None
    at = 0
    method = 0
    if server:
        method = server[1]
        at = 2
        if method == REFUSED:
            facts.proxy_protocol = "socks5"
            facts.proxy_accepted = False
            return Step()
        if method not in client[2:pos]:
            return None
    if method == USER_PASSWORD or (not server and client[pos : pos + 1] == b"\1"):
        passed = _credentials(client, pos)
        if passed is None:
            return None
        pos = passed
        if server:
            if server[at : at + 1] != b"\1" or len(server) < at + 2:
                return None
            if server[at + 1] != 0:
                facts.proxy_protocol = "socks5"
                facts.proxy_accepted = False
                return Step()
            at += 2
    request = _address(client, pos)
    if request is None or client[pos : pos + 1] != b"\5" or not 1 <= client[pos + 1] <= 3 or client[pos + 2] != 0:
        return None
    target, pos = request
    reply = _address(server, at)
    if len(server) > at and server[at] != 5:
        return None
    facts.proxy_protocol = "socks5"
    facts.proxy_target = target
    if reply is None:
        return Step()
    facts.proxy_accepted = server[at + 1] == 0
    return Step(("socks",), (pos, reply[1]), proxy=True)


def _credentials(client: bytes, pos: int) -> int | None:
    """The offset past a user and password message (RFC 1929); None when it isn't whole."""
    if client[pos : pos + 1] != b"\1" or len(client) < pos + 2:
        return None
    pos += 2 + client[pos + 1]
    if len(client) <= pos or len(client) < pos + 1 + client[pos]:
        return None
    return pos + 1 + client[pos]


def _address(stream: bytes, pos: int) -> tuple[str, int] | None:
    """host:port of a request or reply at `pos`, and the offset past it; None when it isn't whole."""
    if len(stream) < pos + 5:
        return None
    kind = stream[pos + 3]
    pos += 4
    if kind == 1:
        host, end = ".".join(map(str, stream[pos : pos + 4])), pos + 4
    elif kind == 3:
        host, end = text(stream[pos + 1 : pos + 1 + stream[pos]]), pos + 1 + stream[pos]
    elif kind == 4 and len(stream) >= pos + 16:
        host, end = f"[{IPv6Address(stream[pos : pos + 16])}]", pos + 16
    else:
        return None
    if len(stream) < end + 2:
        return None
    return f"{host}:{_SHORT.unpack_from(stream, end)[0]}", end + 2
