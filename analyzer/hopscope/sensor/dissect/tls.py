"""TLS over TCP: records, handshake messages, and what the two hellos and the certificate say."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from hopscope.sensor.dissect.certificate import certificate
from hopscope.sensor.dissect.facts import Facts
from hopscope.sensor.dissect.text import text
from hopscope.sensor.dissect.tlshello import (
    PRE_SHARED_KEY,
    TLS13,
    ClientHello,
    ServerHello,
    client_hello,
    known_version,
    server_hello,
    version_name,
)

CLIENT_HELLO, SERVER_HELLO, CERTIFICATE = 1, 2, 11
# Beside handshake messages the reader tells of records of these kinds.
CHANGE_CIPHER, APPLICATION, BROKEN = 0x100, 0x101, 0x102

_RECORD = Struct(">BHH")
_V2_CLIENT = Struct(">HHHH")

Message = tuple[int, bytes, int]


def messages(stream: bytes, pos: int = 0) -> Iterator[Message]:
    """(kind, body, end) of each handshake message from offset `pos`, reassembled across records.

    `end` is the stream offset just past the message. Ends at the first application data, at a record
    that is no TLS (told as BROKEN) or at the stream's end; a message cut off there isn't told.
    """
    size = len(stream)
    rest = b""
    while pos + 5 <= size:
        kind, version, length = _RECORD.unpack_from(stream, pos)
        start, pos = pos + 5, pos + 5 + length
        if version >> 8 != 3 or version > 0x0304 or not 20 <= kind <= 24:
            yield BROKEN, b"", start - 5
            return
        if kind == 22:
            before = len(rest)
            data = rest + stream[start:pos]
            at = 0
            while at + 4 <= len(data):
                end = at + 4 + int.from_bytes(data[at + 1 : at + 4], "big")
                if end > len(data):
                    break
                yield data[at], data[at + 4 : end], start + end - before
                at = end
            rest = data[at:]
        elif kind == 20:
            yield CHANGE_CIPHER, b"", pos
        elif kind == 23:
            yield APPLICATION, b"", pos
            return


def tls(facts: Facts, client: bytes, server: bytes, client_at: int = 0, server_at: int = 0) -> bool:
    """Fill `facts` from a TLS handshake that starts at the two offsets; whether it is one.

    It is TLS once the ClientHello was read whole, and as long as no record before the encryption is
    broken: so Zeek has it. A ServerHello alone gives facts, but no service.
    """
    hello = None
    if _is_v2(client, client_at):
        hello, clean = True, True
        facts.hello_at = client_at + 2 + (int.from_bytes(client[client_at : client_at + 2], "big") & 0x7FFF)
    else:
        read, clean = _client(facts, client, client_at)
        hello = read is not None
        if read is not None:
            return _server(facts, server, server_at, read) and clean
    if len(server) > server_at:
        clean = _server(facts, server, server_at, None) and clean
    return hello and clean


def starts_server(stream: bytes, pos: int = 0) -> bool:
    """A TLS record with a ServerHello starts here."""
    return len(stream) >= pos + 11 and stream[pos] == 22 and stream[pos + 1] == 3 and stream[pos + 5] == 2


def starts_client(stream: bytes, pos: int = 0) -> bool:
    """A TLS record with a ClientHello, or an SSLv2 hello, starts here."""
    if len(stream) >= pos + 6 and stream[pos] == 22 and stream[pos + 1] == 3 and stream[pos + 2] < 4:
        return stream[pos + 5] == 1
    return _is_v2(stream, pos)


def _client(facts: Facts, stream: bytes, pos: int) -> tuple[ClientHello | None, bool]:
    hello: ClientHello | None = None
    for kind, body, end in messages(stream, pos):
        if kind == CLIENT_HELLO and hello is None:
            hello = client_hello(body)
            if hello is None or not known_version(hello.version):
                return None, False
            facts.hello_at = end
            facts.sni = hello.sni
            if hello.alpn:
                facts.alpn = text(hello.alpn)
            facts.ja4 = hello.fingerprint("t")
        elif kind in (CHANGE_CIPHER, APPLICATION):
            break
        elif kind == BROKEN:
            return hello, False
    return hello, True


def _server(facts: Facts, stream: bytes, pos: int, client: ClientHello | None) -> bool:
    """Read the server's part; False when it isn't TLS."""
    if _is_v2_server(stream, pos):
        _v2_server(facts, stream, pos)
        return True
    hello: ServerHello | None = None
    certified = False
    for kind, body, end in messages(stream, pos):
        if kind == SERVER_HELLO and (hello is None or hello.retry):
            read = server_hello(body)
            if read is None:
                return False
            if hello is None:  # a HelloRetryRequest is the first answer to the first ClientHello
                facts.server_hello_at = end
            hello = read
        elif kind == CERTIFICATE and not certified:
            certified = True
            _certificate(facts, body[6 : 6 + int.from_bytes(body[3:6], "big")])
        elif kind == CHANGE_CIPHER and hello is not None and not hello.retry:
            if hello.version < TLS13 and not certified:
                facts.resumed = True  # by session id or ticket: straight on to Finished
            break
        elif kind == BROKEN:
            return False
    if hello is not None:
        apply_server_hello(facts, hello, client)
    return True


def apply_server_hello(facts: Facts, hello: ServerHello, client: ClientHello | None) -> None:
    """What a ServerHello says, given the ClientHello it answers (null when unseen)."""
    facts.tls_version = version_name(hello.version)
    facts.server_hello = hello.summary()
    if hello.alpn:
        facts.alpn = text(hello.alpn)
    if hello.version >= TLS13:
        facts.resumed = PRE_SHARED_KEY in hello.extensions
    elif facts.resumed is None:
        session = hello.session_id
        facts.resumed = client is not None and bool(session) and any(session) and session == client.session_id


def _certificate(facts: Facts, der: bytes) -> None:
    if not der:
        return
    read = certificate(der)
    facts.cert_sha256 = read.sha256
    facts.cert_subject = read.subject
    facts.cert_issuer = read.issuer
    facts.cert_self_signed = read.self_signed


def _is_v2(stream: bytes, pos: int) -> bool:
    """An SSLv2 ClientHello, whole and with lengths that add up."""
    if len(stream) < pos + 11 or not stream[pos] & 0x80 or stream[pos + 2] != 1:
        return False
    version, ciphers, session, challenge = _V2_CLIENT.unpack_from(stream, pos + 3)
    length = int.from_bytes(stream[pos : pos + 2], "big") & 0x7FFF
    return (
        (version == 2 or version >> 8 == 3)
        and ciphers % 3 == 0
        and length == 9 + ciphers + session + challenge
        and len(stream) >= pos + 2 + length
    )


def _is_v2_server(stream: bytes, pos: int) -> bool:
    return len(stream) >= pos + 13 and bool(stream[pos] & 0x80) and stream[pos + 2] == 4 and stream[pos + 4] < 2


def _v2_server(facts: Facts, stream: bytes, pos: int) -> None:
    version, size, _, _ = _V2_CLIENT.unpack_from(stream, pos + 5)
    facts.tls_version = version_name(version)
    facts.server_hello_at = pos + 2 + (int.from_bytes(stream[pos : pos + 2], "big") & 0x7FFF)
    if len(stream) >= pos + 13 + size:
        _certificate(facts, stream[pos + 13 : pos + 13 + size])
