"""DTLS (RFC 6347, 9147): records in datagrams, fragmented handshake messages."""

from __future__ import annotations

from collections.abc import Iterator

from hopscope.sensor.dissect.facts import Facts
from hopscope.sensor.dissect.text import text
from hopscope.sensor.dissect.tls import CERTIFICATE, CLIENT_HELLO, SERVER_HELLO, apply_server_hello, read_certificates
from hopscope.sensor.dissect.tlshello import ClientHello, client_hello, known_version, server_hello

HEADER, HANDSHAKE_HEADER = 13, 12
MAX_MESSAGE = 65536


def starts(data: bytes) -> bool:
    """A DTLS handshake record with a ClientHello starts the datagram."""
    return len(data) > HEADER and data[0] == 22 and data[1] == 0xFE and data[2] in (0xFF, 0xFD) and data[HEADER] == 1


def dtls(facts: Facts, orig: list[bytes], resp: list[bytes]) -> bool:
    """Fill `facts` from a DTLS handshake; whether a ClientHello was read whole."""
    client: ClientHello | None = None
    for kind, body in _messages(orig):
        if kind == CLIENT_HELLO and client is None:
            client = client_hello(body, dtls=True)
            if client is None or not known_version(client.version):
                return False
            facts.sni = client.sni
            if client.alpn:
                facts.alpn = text(client.alpn)
            facts.ja4 = client.fingerprint("d")
    for kind, body in _messages(resp):
        if kind == SERVER_HELLO:
            hello = server_hello(body)
            if hello is not None:
                apply_server_hello(facts, hello, client)
        elif kind == CERTIFICATE:
            read_certificates(facts, body)
    return client is not None


def _messages(datagrams: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """(type, body) of each handshake message of epoch 0, fragments joined in order."""
    rest = b""
    for data in datagrams:
        pos = 0
        while pos + HEADER <= len(data):
            start = pos + HEADER
            end = start + int.from_bytes(data[pos + 11 : pos + 13], "big")
            if data[pos] != 22 or data[pos + 3 : pos + 5] != b"\0\0":
                pos = end
                continue
            while start + HANDSHAKE_HEADER <= min(end, len(data)):
                total = int.from_bytes(data[start + 1 : start + 4], "big")
                offset = int.from_bytes(data[start + 6 : start + 9], "big")
                size = int.from_bytes(data[start + 9 : start + 12], "big")
                fragment = data[start + HANDSHAKE_HEADER : start + HANDSHAKE_HEADER + size]
                if offset == 0:
                    rest = b""
                if offset == len(rest) and len(rest) + len(fragment) <= min(total, MAX_MESSAGE):
                    rest += fragment
                    if len(rest) == total:
                        yield data[start], rest
                        rest = b""
                start += HANDSHAKE_HEADER + size
            pos = end
