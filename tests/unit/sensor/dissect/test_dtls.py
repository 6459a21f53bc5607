"""DTLS: hellos in datagrams, whole and in fragments."""

from __future__ import annotations

from struct import pack

from hopscope.sensor.dissect import udp
from support.messages import certificate_der, certificate_message, client_hello, server_hello


def datagram(message: bytes, start: int = 0, stop: int | None = None, number: int = 0) -> bytes:
    """One record with a fragment of a handshake message."""
    body = message[4:]
    piece = body[start:stop]
    header = message[:4] + pack(">H", number) + start.to_bytes(3, "big") + len(piece).to_bytes(3, "big")
    return b"\x16\xfe\xfd" + bytes(8) + pack(">H", len(header) + len(piece)) + header + piece


HELLO = client_hello(sni="call.example", version=0xFEFD, versions="", cookie=b"", session=b"")


def test_a_handshake() -> None:
    server = datagram(server_hello(0xFEFD, 0xC02B, b"")) + datagram(certificate_message(certificate_der("peer")))
    facts = udp([datagram(HELLO)], [server], 50000, 3478)
    assert facts.services == ["dtls"]
    assert (facts.sni, facts.tls_version, facts.alpn) == ("call.example", "DTLSv12", "h2")
    assert facts.ja4 == "dd2d1515h2_8daaf6152771_" + (facts.ja4 or "")[-12:]
    assert facts.cert_subject == r"CN=peer,O=Org\, Ltd"


def test_fragments_in_order() -> None:
    pieces = [datagram(HELLO, at, at + 60) for at in range(0, len(HELLO) - 4, 60)]
    assert udp(pieces, [], 50000, 443).sni == "call.example"


def test_a_hello_that_is_not_whole_is_none() -> None:
    assert udp([datagram(HELLO, 0, 60)], [], 50000, 443).services == []
    assert udp([datagram(HELLO)[:-5]], [], 50000, 443).services == []
