"""QUIC: the vectors of RFC 9001 and 9369, pieces in any order, and damage."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

import pytest

from hopscope.sensor.dissect import udp
from support.messages import client_hello, crypto_frame, quic_packet, sized

DCID = bytes.fromhex("8394c8f03e515708")
# RFC 9001, A.1: client's key, vector and header key for DCID.
KEYS = (
    bytes.fromhex("1f369613dd76d5467730efcbe3b1a22d"),
    bytes.fromhex("fa044b2f42a3fd3b46fb255c"),
    bytes.fromhex("9f50449e04a0e810283a1e9933adedd2"),
)
# RFC 9369, A.1: the same for version 2.
KEYS_V2 = (
    bytes.fromhex("8b1a0bc121284290a29e0971b5cd045d"),
    bytes.fromhex("91f73e2351d8fa91660e909f"),
    bytes.fromhex("45b95e15235d6f45a6b19cbcb0294ba9"),
)
# RFC 9001, A.2: the CRYPTO frame of the client's first packet.
HELLO = bytes.fromhex(
    "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c000004130113020100"
    "00c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d00170018001000070005"
    "04616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e9"
    "94ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ff"
    "ffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff"
)
# RFC 9001, A.3: the server's packet as it goes over the wire.
ANSWER = bytes.fromhex(
    "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f"
    "5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795"
    "d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee"
)


def client_packet(payload: bytes, number: int = 2) -> bytes:
    return quic_packet(payload, KEYS, DCID, number=number)


def test_the_vectors_of_rfc_9001() -> None:
    packet = client_packet(HELLO.ljust(1162, b"\0"))
    assert packet[:32].hex() == "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11"
    assert packet[-16:].hex() == "e221af44860018ab0856972e194cd934"
    facts = udp([packet], [ANSWER], 50000, 443)
    assert facts.services == ["quic"]
    assert (facts.sni, facts.alpn, facts.tls_version) == ("example.com", "alpn", "TLSv13")
    assert facts.server_hello == "0304,1301,0033-002b"
    assert facts.ja4 is not None
    assert facts.ja4.startswith("q13d0211an_")


def test_version_2() -> None:
    packet = quic_packet(HELLO.ljust(1162, b"\0"), KEYS_V2, DCID, version=0x6B3343CF, kind=0xD3)
    facts = udp([packet], [], 50000, 8443)
    assert (facts.services, facts.sni) == (["quic"], "example.com")


def test_pieces_in_any_order_over_several_datagrams() -> None:
    hello = client_hello(sni="far.example")
    cuts = [0, 50, 120, 300, len(hello)]
    frames = [crypto_frame(a, hello[a:b]) for a, b in pairwise(cuts)]
    first = frames[2] + b"\1\0\0" + frames[0]
    second = frames[3] + b"\2\1\0\0\1" + frames[1]  # an ACK between them
    facts = udp([client_packet(first.ljust(1100, b"\0")), client_packet(second.ljust(1100, b"\0"), 3)], [], 1, 443)
    assert (facts.sni, facts.alpn) == ("far.example", "h2")


def test_a_hello_with_a_hole_is_quic_without_a_name() -> None:
    frame = crypto_frame(0, client_hello()[:100])
    facts = udp([client_packet(frame.ljust(1100, b"\0"))], [], 1, 443)
    assert (facts.services, facts.sni) == (["quic"], None)


def test_several_packets_in_a_datagram() -> None:
    handshake = pack(">BI", 0xE3, 1) + sized(1, DCID) + b"\0" + b"\x40\x40" + bytes(64)
    datagram = handshake + client_packet(HELLO.ljust(1100, b"\0"))
    assert udp([client_packet(b"\1".ljust(60, b"\0")), datagram], [], 1, 443).sni == "example.com"


def test_early_data_may_come_first() -> None:
    early = pack(">BI", 0xD3, 1) + sized(1, DCID) + b"\0" + b"\x40\x40" + bytes(64)
    assert udp([early, client_packet(HELLO.ljust(1162, b"\0"))], [], 1, 443).sni == "example.com"


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p[:-1],
        lambda p: p[:40],
        lambda p: p[:200] + bytes((p[200] ^ 1,)) + p[201:],
        lambda p: p[:1] + b"\xfa\xce\xb0\x0c" + p[5:],  # a version nobody knows
        lambda p: p[:5] + b"\xff" + p[6:],  # a connection ID longer than the packet
        lambda p: p[:15] + b"\xff\xff" + p[17:],  # a token longer than the packet
    ],
)
def test_what_cannot_be_opened_is_no_quic(damage) -> None:  # type: ignore[no-untyped-def]
    facts = udp([damage(client_packet(HELLO.ljust(1162, b"\0")))], [ANSWER], 1, 443)
    assert (facts.services, facts.sni) == ([], None)
