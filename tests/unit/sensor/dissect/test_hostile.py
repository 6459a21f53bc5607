"""Anything at all goes into the dissectors, and nothing comes out but bounded, printable facts."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopscope.sensor.dissect import Facts, tcp, udp
from support.messages import crypto_frame, dns, quic_packet, resource, sized, ssh, tls12, tls13

PORTS = (0, 21, 22, 25, 53, 80, 88, 110, 135, 143, 443, 445, 502, 1080, 1883, 3128, 3306, 3389, 5222, 6667, 20000)
UDP_PORTS = (53, 67, 88, 123, 137, 161, 443, 1812, 5060, 5353, 20000)
CONNECT = b"CONNECT far.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"
WEBSOCKET = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x82\x85key!hello",
    b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n\x82\x05hello\x82\x7e\x01\x00",
)
SOCKS = b"\5\1\2\1\1a\1b\5\1\0\3\5a.com\1\xbb", b"\5\2\1\0\5\0\0\1" + bytes(6)
SMB = sized(4, b"\xfeSMB" + bytes(60) + b"\x06\x06\x2b\x06\x01\x05\x05\x02NTLMSSP\0") * 3
VALID = [
    tls13(),
    tls12(),
    ssh(),
    (CONNECT[0] + tls13()[0], CONNECT[1] + tls13()[1]),
    WEBSOCKET,
    (SOCKS[0] + tls12()[0], SOCKS[1] + tls12()[1]),
    (b"EHLO a\r\nSTARTTLS\r\n" + tls13()[0], b"220 a\r\n250 b\r\n220 go\r\n" + tls13()[1]),
    (b"CAPA\r\nSTLS\r\n", b"+OK a\r\n+OK\r\nX\r\n.\r\n+OK\r\n"),
    (b"\4\1\0\x50\0\0\0\1user\0far.example\0", b"\0\x5a" + bytes(6)),
    (SMB, SMB),
    (sized(2, dns("a.example")), sized(2, dns("a.example", 1, (resource(1, bytes(4)),)))),
    (b"\x10\x10\0\4MQTT\4\2\0\x3c\0\4name", b""),
]
KEYS = tuple(
    bytes.fromhex(key)
    for key in ("1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2")
)
DCID = bytes.fromhex("8394c8f03e515708")
LIMIT = 8200  # characters: 1024 bytes, each escaped at worst, twice over


def sound(facts: Facts) -> None:
    for each in fields(facts):
        value = getattr(facts, each.name)
        if isinstance(value, str):
            assert value.isprintable()
            assert len(value) <= LIMIT
        elif isinstance(value, list):
            assert len(value) <= 24


@given(st.binary(max_size=400), st.binary(max_size=400), st.sampled_from(PORTS), st.booleans())
def test_any_streams(orig: bytes, resp: bytes, port: int, partial: bool) -> None:
    sound(tcp(orig, resp, 50000, port, partial))


@given(
    st.lists(st.binary(max_size=200), max_size=4),
    st.lists(st.binary(max_size=200), max_size=4),
    st.sampled_from(UDP_PORTS),
)
def test_any_datagrams(orig: list[bytes], resp: list[bytes], port: int) -> None:
    sound(udp(orig, resp, 50000, port))


@given(st.sampled_from(VALID), st.data(), st.sampled_from(PORTS))
@settings(max_examples=300)
def test_changed_streams(valid: tuple[bytes, bytes], data: st.DataObject, port: int) -> None:
    changed = []
    for stream in valid:
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(stream)))
            put = data.draw(st.binary(max_size=6))
            stream = stream[:at] + put + stream[at + data.draw(st.integers(0, 6)) :]
        changed.append(stream)
    sound(tcp(changed[0], changed[1], 50000, port))


@pytest.mark.parametrize("which", range(len(VALID)))
def test_streams_cut_anywhere(which: int) -> None:
    client, server = VALID[which]
    for length in range(len(client)):
        sound(tcp(client[:length], server, 50000, 443))
    for length in range(len(server)):
        sound(tcp(client, server[:length], 50000, 443))


@given(st.binary(max_size=600))
def test_any_frames_in_a_quic_packet(payload: bytes) -> None:
    sound(udp([quic_packet(payload.ljust(64, b"\0"), KEYS, DCID)], [], 50000, 443))  # type: ignore[arg-type]


@given(st.binary(max_size=600), st.integers(0, 1 << 40))
def test_any_message_in_crypto_frames(content: bytes, offset: int) -> None:
    frames = crypto_frame(0, content) + crypto_frame(offset, content)
    sound(udp([quic_packet(frames.ljust(64, b"\0"), KEYS, DCID)], [], 50000, 443))  # type: ignore[arg-type]


@given(st.binary(max_size=300))
def test_any_quic_header(rest: bytes) -> None:
    for start in (b"\xc0\0\0\0\1", b"\xd0\x6b\x33\x43\xcf", b"\xc0\xff\0\0\x1d"):
        sound(udp([start + rest], [start + rest], 50000, 443))


@given(st.binary(max_size=300))
def test_any_dtls_record(rest: bytes) -> None:
    start = b"\x16\xfe\xfd" + bytes(10)
    sound(udp([start + b"\1" + rest], [start + b"\2" + rest], 50000, 443))


@pytest.mark.parametrize(
    "filler",
    [b"\0", b"\xff", b"\n", b"A ", b" ", b"a:b\r\n", b"\n\x16\3", b"\x16\3\1\0\1\1", b"SSH-", b"\5\1\0", b"220 x\r\n"],
)
def test_full_buffers_of_one_thing(filler: bytes) -> None:
    stream = (filler * 16384)[:16384]
    for port in PORTS:
        sound(tcp(stream[:8192], stream, 50000, port))
    sound(udp([stream[:1400]] * 8, [stream[:1400]] * 8, 50000, 53))
