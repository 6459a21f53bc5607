"""HTTP: the first request, CONNECT and what is inside, and what is no HTTP."""

from __future__ import annotations

import pytest

from hopscope.sensor.dissect import tcp
from support.messages import tls13

GET = b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONNECT = b"CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\nUser-Agent: agent\r\n\r\n"
CLIENT, SERVER = tls13()


def test_a_request_and_its_answer() -> None:
    facts = tcp(GET, OK, 50000, 8123)
    assert facts.services == ["http"]
    assert (facts.http_method, facts.http_host, facts.user_agent) == ("GET", "www.example.org", "curl/8.5.0")
    assert (facts.proxy_protocol, facts.inner) == (None, None)


def test_connect_and_the_tls_inside() -> None:
    answer = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"
    facts = tcp(CONNECT + CLIENT, answer + SERVER, 50000, 3128)
    assert facts.services == ["http", "ssl"]
    assert (facts.proxy_protocol, facts.proxy_target) == ("http-connect", "far.example:443")
    assert facts.proxy_accepted is True
    assert facts.inner == (len(CONNECT), len(answer))
    assert (facts.sni, facts.tls_version) == ("www.example.org", "TLSv13")
    assert facts.hello_at is not None
    assert facts.hello_at > len(CONNECT)


def test_a_refused_connect() -> None:
    facts = tcp(CONNECT, b"HTTP/1.1 403 Forbidden\r\n\r\n", 50000, 3128)
    assert (facts.services, facts.proxy_accepted, facts.inner) == (["http"], False, None)


def test_zeek_drops_http_where_the_client_of_a_refused_connect_goes_on() -> None:
    facts = tcp(CONNECT + CLIENT, b"HTTP/1.1 503 Service Unavailable\r\n\r\nno", 50000, 3128)
    assert (facts.services, facts.proxy_accepted, facts.sni) == ([], False, None)


def test_an_unanswered_connect() -> None:
    facts = tcp(CONNECT, b"", 50000, 3128)
    assert (facts.proxy_target, facts.proxy_accepted) == ("far.example:443", None)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://far.example/path?q", "far.example"),
        (b"http://user:word@far.example:8080/", "far.example:8080"),
        (b"/path", "www.example.org"),
        (b"*", "www.example.org"),
    ],
)
def test_a_proxys_request_names_the_host_in_its_target(target: bytes, host: str) -> None:
    assert tcp(b"GET " + target + b" HTTP/1.1\r\nHost: www.example.org\r\n\r\n", OK, 1, 3128).http_host == host


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n" + GET,
        GET.replace(b"\r\n", b"\n"),
        b"PROPFIND / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /old\r\n",  # HTTP/0.9
    ],
)
def test_forms_of_requests(request_: bytes) -> None:
    assert tcp(request_, OK, 1, 80).services == ["http"]


@pytest.mark.parametrize(
    ("client", "server", "port"),
    [
        (b"HELLO there\n", b"", 9999),  # no method of HTTP's, on no port of its own
        (GET, b"220 mail ready\r\n", 80),
        (GET, b"\0\0\0", 80),
        (b"\x16\x03\1junk junk\n", b"", 80),
        (b"GET / HTTP/1.1", b"", 80),  # the line isn't whole
        (b"\n" * 100, b"", 80),
        (b"  " + GET, OK, 80),
    ],
)
def test_no_http(client: bytes, server: bytes, port: int) -> None:
    assert tcp(client, server, 1, port).services == []


def test_an_unknown_method_on_a_port_of_http() -> None:
    assert tcp(b"BREW /pot HTTP/1.1\r\n\r\n", OK, 1, 8080).services == ["http"]


def test_user_agents_are_bounded_and_escaped() -> None:
    facts = tcp(b"GET / HTTP/1.1\r\nUser-Agent: \x1b]0;x\x07" + b"a" * 5000 + b"\r\n\r\n", b"", 1, 80)
    assert facts.user_agent is not None
    assert facts.user_agent.startswith(r"\x1b]0;x\x07aaa")
    assert len(facts.user_agent) < 1100


def test_the_answer_alone_means_wrong_ends() -> None:
    facts = tcp(OK, GET, 80, 50000)
    assert facts.flipped
    assert facts.http_host == "www.example.org"
