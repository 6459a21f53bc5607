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

MAX_RECORDS = 512  # read of one direction: a handshake takes a handful

CLIENT_HELLO, SERVER_HELLO, CERTIFICATE = 1, 2, 11
# Beside handshake messages the reader tells of records of these kinds.
CHANGE_CIPHER, APPLICATION, BROKEN = 0x100, 0x101, 0x102

_RECORD = Struct(">BHH")
_V2_HELLO = Struct(">HHHH")  # version, then three lengths

Message = tuple[int, bytes, int]


def messages(stream: bytes) -> Iterator[Message]:
    """(kind, body, end) of each handshake message, reassembled across records.

    `end` is the stream offset just past the message. Ends at the first application data, at a record
    that is no TLS (told as BROKEN) or at the stream's end; a message cut off there isn't told.
    """
    size = len(stream)
    rest = b""
    pos = 0
    for _ in range(MAX_RECORDS):
        if pos + 5 > size:
            return
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


def tls(facts: Facts, client: bytes, server: bytes) -> bool:
    """Fill `facts` from a TLS handshake at the streams' starts; whether it is one.

    It is TLS once the ClientHello was read whole, and as long as no record before the encryption is
    broken: so Zeek has it. A ServerHello alone gives facts, but no service.
    """
    if _is_v2(client):
        facts.hello_at = 2 + (int.from_bytes(client[:2], "big") & 0x7FFF)
        return _server(facts, server, None)
    hello, clean = _client(facts, client)
    return _server(facts, server, hello) and clean and hello is not None


def starts_server(stream: bytes) -> bool:
    """A TLS record with a ServerHello starts the stream."""
    return len(stream) >= 11 and stream[0] == 22 and stream[1] == 3 and stream[5] == 2


def starts_client(stream: bytes) -> bool:
    """A TLS record with a ClientHello, or an SSLv2 hello, starts the stream."""
    if len(stream) >= 6 and stream[0] == 22 and stream[1] == 3 and stream[2] < 4:
        return stream[5] == 1
    return _is_v2(stream)


def _client(facts: Facts, stream: bytes) -> tuple[ClientHello | None, bool]:
    """The ClientHello, and whether nothing in the stream's clear part was broken."""
    hello: ClientHello | None = None
    for kind, body, end in messages(stream):
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


def _server(facts: Facts, stream: bytes, client: ClientHello | None) -> bool:
    """Read the server's part; False when it isn't TLS."""
    if _is_v2_server(stream):
        _v2_server(facts, stream)
        return True
    hello: ServerHello | None = None
    certified = False
    clean = True
    for kind, body, end in messages(stream):
        if kind == SERVER_HELLO and (hello is None or hello.retry):
            read = server_hello(body)
            if read is None:
                clean = False
                break
            if hello is None:  # a HelloRetryRequest is the first answer to the first ClientHello
                facts.server_hello_at = end
            hello = read
        elif kind == CERTIFICATE and not certified:
            certified = True
            if not read_certificates(facts, body):
                clean = False
                break
        elif kind == CHANGE_CIPHER and hello is not None and not hello.retry:
            if hello.version < TLS13 and not certified:
                facts.resumed = True  # by session id or ticket: straight on to Finished
            break
        elif kind == BROKEN:
            clean = False
    if hello is not None:
        apply_server_hello(facts, hello, client)
    return clean


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


def read_certificates(facts: Facts, body: bytes) -> bool:
    """Read the first certificate of the chain; False when the lengths lie."""
    if len(body) < 3 or int.from_bytes(body[:3], "big") != len(body) - 3:
        return False
    if len(body) >= 6:
        size = int.from_bytes(body[3:6], "big")
        if size > len(body) - 6:
            return False
        _certificate(facts, body[6 : 6 + size])
    return True


def _certificate(facts: Facts, der: bytes) -> None:
    if not der:
        return
    read = certificate(der)
    facts.cert_sha256 = read.sha256
    facts.cert_subject = read.subject
    facts.cert_issuer = read.issuer
    facts.cert_self_signed = read.self_signed


def _is_v2(stream: bytes) -> bool:
    """An SSLv2 ClientHello, whole and with lengths that add up."""
    if len(stream) < 11 or not stream[0] & 0x80 or stream[2] != 1:
        return False
    version, ciphers, session, challenge = _V2_HELLO.unpack_from(stream, 3)
    length = int.from_bytes(stream[:2], "big") & 0x7FFF
    return (
        (version == 2 or 0x0300 <= version <= 0x0303)
        and ciphers % 3 == 0
        and length == 9 + ciphers + session + challenge
        and len(stream) >= 2 + length
    )


def _is_v2_server(stream: bytes) -> bool:
    return len(stream) >= 13 and bool(stream[0] & 0x80) and stream[2] == 4 and stream[4] < 2


def _v2_server(facts: Facts, stream: bytes) -> None:
    version, size, _, _ = _V2_HELLO.unpack_from(stream, 5)
    facts.tls_version = version_name(version)
    facts.server_hello_at = 2 + (int.from_bytes(stream[:2], "big") & 0x7FFF)
    if len(stream) >= 13 + size:
        _certificate(facts, stream[13 : 13 + size])
