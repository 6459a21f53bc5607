"""SOCKS: who is asked for, whether it was granted, and what is inside."""

from __future__ import annotations

from struct import pack

import pytest

from hopscope.sensor.dissect import tcp
from support.messages import sized, tls13

CLIENT, SERVER = tls13()
GRANTED4 = b"\0\x5a" + bytes(6)
GRANTED5 = b"\5\0\0\1" + bytes(6)


def request5(kind: int, address: bytes, port: int = 443) -> bytes:
    return b"\5\1\0" + bytes((kind,)) + address + pack(">H", port)


def test_socks4() -> None:
    request = b"\4\1" + pack(">H", 443) + bytes((192, 0, 2, 7)) + b"user\0"
    facts = tcp(request + CLIENT, GRANTED4 + SERVER, 50000, 9999)
    assert facts.services == ["socks", "ssl"]
    assert (facts.proxy_protocol, facts.proxy_target, facts.proxy_accepted) == ("socks4", "192.0.2.7:443", True)
    assert facts.inner == (len(request), 8)
    assert facts.sni == "www.example.org"
    assert facts.hello_at is not None
    assert facts.hello_at > len(request)


def test_socks4a_names_the_host() -> None:
    request = b"\4\1" + pack(">H", 80) + b"\0\0\0\1\0far.example\0"
    facts = tcp(request, GRANTED4, 1, 1080)
    assert (facts.proxy_target, facts.services) == ("far.example:80", ["socks"])


@pytest.mark.parametrize(
    ("kind", "address", "target"),
    [
        (1, bytes((192, 0, 2, 7)), "192.0.2.7:443"),
        (3, sized(1, b"far.example"), "far.example:443"),
        (4, bytes.fromhex("20010db8000000000000000000000001"), "[2001:db8::1]:443"),
    ],
)
def test_socks5(kind: int, address: bytes, target: str) -> None:
    request = b"\5\2\0\2" + request5(kind, address)
    facts = tcp(request + CLIENT, b"\5\0" + GRANTED5 + SERVER, 50000, 443)
    assert facts.services == ["socks", "ssl"]
    assert (facts.proxy_protocol, facts.proxy_target, facts.proxy_accepted) == ("socks5", target, True)
    assert facts.inner == (len(request), 2 + len(GRANTED5))


def test_socks5_with_a_password() -> None:
    request = b"\5\1\2" + b"\1" + sized(1, b"bob") + sized(1, b"secret") + request5(1, bytes(4))
    facts = tcp(request + CLIENT, b"\5\2\1\0" + GRANTED5 + SERVER, 50000, 1080)
    assert facts.services == ["socks", "ssl"]
    assert facts.inner == (len(request), 4 + len(GRANTED5))
    assert "secret" not in repr(facts)


@pytest.mark.parametrize(
    ("client", "server", "accepted"),
    [
        (b"\5\1\0" + request5(1, bytes(4)), b"\5\0\5\5\0\1" + bytes(6), False),  # connection refused
        (b"\5\1\2\1\1a\1b", b"\5\2\1\1", False),  # wrong password
        (b"\5\1\0", b"\5\xff", False),  # no method in common
        (b"\5\1\0" + request5(1, bytes(4)), b"\5\0", None),  # no answer
        (b"\5\1\0" + request5(1, bytes(4)), b"", None),
        (b"\4\1\0\x50\1\2\3\4\0", b"\0\x5b" + bytes(6), False),
    ],
)
def test_what_was_not_granted_has_nothing_inside(client: bytes, server: bytes, accepted: bool | None) -> None:
    facts = tcp(client, server, 1, 1080)
    assert facts.proxy_protocol is not None
    assert facts.proxy_accepted is accepted
    assert facts.inner is None


@pytest.mark.parametrize(
    ("client", "server"),
    [
        (b"\5\1\0", b""),  # three bytes say too little
        (b"\5\1\0" + request5(1, bytes(4)), b"SSH-2.0-x\r\n"),
        (b"\5\1\0" + b"\5\\9\0\1" + bytes(6), b"\5\0"),  # no such command
        (b"\5\1\0" + request5(9, bytes(4)), b"\5\0"),  # no such kind of address
        (b"\5\1\0", b"\5\2"),  # a method that wasn't offered
        (b"\4\1\0\x50\1\2\3\4" + b"u" * 400, GRANTED4),  # a user without end
        (b"\4\7\0\x50\1\2\3\4\0", GRANTED4),
        (b"\4\1\0\x50\1\2\3\4\0", b"\1\2\3\4\5\6\7\x08"),
    ],
)
def test_what_only_looks_like_it(client: bytes, server: bytes) -> None:
    assert tcp(client, server, 1, 9999).proxy_protocol is None


def test_a_proxy_behind_a_proxy() -> None:
    first = b"\5\1\0" + request5(3, sized(1, b"second.example"), 1080)
    second = b"\5\1\0" + request5(3, sized(1, b"far.example"))
    facts = tcp(first + second + CLIENT, (b"\5\0" + GRANTED5) * 2 + SERVER, 1, 1080)
    assert facts.services == ["socks", "ssl"]
    assert facts.sni == "www.example.org"
    assert facts.proxy_target == "second.example:1080"  # the one that the first proxy was asked for
    assert facts.inner == (len(first + second), 2 * (2 + len(GRANTED5)))


def test_a_refusal_by_the_second_proxy_leaves_what_the_first_was_asked() -> None:
    first = b"\5\1\0" + request5(3, sized(1, b"second.example"), 1080)
    facts = tcp(first + b"\5\1\0", b"\5\0" + GRANTED5 + b"\5\xff", 1, 1080)
    assert (facts.proxy_target, facts.proxy_accepted) == ("second.example:1080", True)
