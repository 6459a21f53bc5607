"""Connections that go over to TLS after a few words, and tunnels in frames."""

from __future__ import annotations

from base64 import b64encode
from struct import pack

import pytest

from hopscope.sensor.dissect import tcp
from support.messages import client_hello, record, sized, tls12, tls13

CLIENT, SERVER = tls12()
GREETING = b"\x0a8.0.36\0" + bytes(40)


@pytest.mark.parametrize(
    ("before_client", "before_server", "port", "service"),
    [
        (b"EHLO me\r\nSTARTTLS\r\n", b"220 mx\r\n250 STARTTLS\r\n220 go\r\n", 25, "smtp"),
        (b"AUTH TLS\r\n", b"220 ftp\r\n234 go\r\n", 21, "ftp"),
        (b"STLS\r\n", b"+OK hi\r\n+OK go\r\n", 110, "pop3"),
        (b"a STARTTLS\r\n", b"* OK hi\r\na OK go\r\n", 143, "imap"),
        (b"STARTTLS\r\n", b":irc 670 * :go\r\n", 6667, "irc"),
        (
            b"<stream:stream xmlns='jabber:client'><starttls xmlns='x'/>",
            b"<stream:stream><stream:features/><proceed xmlns='x'/>",
            5222,
            "xmpp",
        ),
        (b"\x20\0\0\1" + pack("<I", 0x00000AA0) + bytes(28), pack("<I", len(GREETING)) + GREETING, 3306, "mysql"),
    ],
)
def test_starttls(before_client: bytes, before_server: bytes, port: int, service: str) -> None:
    facts = tcp(before_client + CLIENT, before_server + SERVER, 50000, port)
    assert facts.services == [service, "ssl"]
    assert (facts.sni, facts.tls_version) == ("www.example.org", "TLSv12")
    assert facts.cert_subject is not None
    assert facts.hello_at is not None
    assert (before_client + CLIENT)[: facts.hello_at].endswith(client_hello(session=b"", versions=""))
    assert facts.inner is None  # nobody was asked to relay


def test_starttls_without_the_servers_part() -> None:
    facts = tcp(b"EHLO me\r\nSTARTTLS\r\n" + CLIENT, b"220 mx\r\n250 ok\r\n220 go\r\n", 50000, 25)
    assert (facts.services, facts.sni) == (["smtp", "ssl"], "www.example.org")


def test_rdp_goes_over_to_tls() -> None:
    request = b"\3\0\0\x29\x24\xe0\0\0\0\0\0Cookie: mstshash=bob\r\n\1\0\x08\0\3\0\0\0"
    confirm = b"\3\0\0\x13\x0e\xd0\0\0\x12\x34\0\2\x1f\x08\0\1\0\0\0"
    facts = tcp(request + CLIENT, confirm + SERVER, 50000, 3389)
    assert (facts.services, facts.sni) == (["ssl"], "www.example.org")


def test_gridftp_carries_its_handshake_in_lines() -> None:
    hello = b64encode(record(client_hello(sni="grid.example")))
    facts = tcp(b"AUTH GSSAPI\r\nADAT " + hello + b"\r\n", b"220 hi\r\n334 go\r\n335 ADAT=eA==\r\n", 50000, 2811)
    assert facts.sni == "grid.example"
    assert facts.hello_at is None


UPGRADE = b"GET /ws HTTP/1.1\r\nHost: ws.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n"


def frame(payload: bytes, opcode: int = 2, key: bytes = b"") -> bytes:
    mark = 0x80 if key else 0
    size = bytes((mark | len(payload),)) if len(payload) < 126 else bytes((mark | 126,)) + pack(">H", len(payload))
    masked = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload)) if key else payload
    return bytes((0x80 | opcode,)) + size + key + masked


def test_websocket() -> None:
    facts = tcp(UPGRADE + frame(b"hello", 1, b"key!"), SWITCHED + frame(b"hi", 1), 50000, 8443)
    assert facts.services == ["http", "websocket"]
    assert facts.http_host == "ws.example"


def test_websocket_without_a_frame_is_http() -> None:
    assert tcp(UPGRADE, SWITCHED, 50000, 80).services == ["http"]
    assert tcp(UPGRADE, SWITCHED + b"\xff\xff\xff", 50000, 80).services == ["http"]
    assert tcp(UPGRADE + frame(b"x"), b"HTTP/1.1 200 OK\r\n\r\n", 50000, 80).services != ["http", "websocket"]


def test_a_tunnel_through_websocket() -> None:
    client, server = tls13()
    pieces = [frame(client[i : i + 200], key=b"mask") for i in range(0, len(client), 200)]
    facts = tcp(UPGRADE + b"".join(pieces), SWITCHED + frame(b"", 9) + frame(server), 50000, 80)
    assert facts.services == ["http", "websocket", "ssl"]
    assert (facts.sni, facts.tls_version) == ("www.example.org", "TLSv13")
    assert (facts.hello_at, facts.server_hello_at) == (None, None)  # no offsets of the TCP stream


def test_layers_are_bounded() -> None:
    step = b"CONNECT next.example:1 HTTP/1.1\r\n\r\n"
    granted = b"HTTP/1.1 200 OK\r\n\r\n"
    facts = tcp(step * 50, granted * 50, 50000, 80)
    assert facts.services == ["http"]
    assert facts.inner == (4 * len(step), 4 * len(granted))


def test_length_prefixes_of_frames_that_lie() -> None:
    for lie in (b"\x82\x7e\xff\xff", b"\x82\x7f" + b"\xff" * 8, b"\x82\xfe\0"):
        assert tcp(UPGRADE + lie, SWITCHED + sized(1, b"x"), 50000, 80).services[0] == "http"
