"""TLS: what the hellos and the certificate say, across records, through damage."""

from __future__ import annotations

from hashlib import sha256
from struct import pack

import pytest

from hopscope.sensor.dissect import tcp
from support.messages import (
    APPLICATION,
    CHANGE_CIPHER,
    RETRY_RANDOM,
    certificate_der,
    certificate_message,
    client_hello,
    extension,
    record,
    server_hello,
    sized,
    tls12,
    tls13,
)

SESSION = bytes(range(1, 33))


def test_tls13() -> None:
    client, server = tls13()
    facts = tcp(client, server, 50000, 4443)
    assert facts.services == ["ssl"]
    assert (facts.sni, facts.alpn, facts.tls_version) == ("www.example.org", "h2", "TLSv13")
    assert facts.ja4 == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert facts.server_hello == "0304,1301,0033-002b"
    assert facts.hello_at == len(record(client_hello()))
    assert facts.server_hello_at == len(record(server_hello()))
    assert facts.resumed is False
    assert not facts.flipped


def test_tls12_with_a_certificate() -> None:
    client, server = tls12()
    facts = tcp(client, server, 50000, 443)
    assert (facts.services, facts.tls_version) == (["ssl"], "TLSv12")
    assert facts.server_hello == "0303,c02f,ff01"
    assert facts.cert_subject == r"CN=server.example,O=Org\, Ltd"
    assert facts.cert_issuer == r"CN=CA,O=Org\, Ltd"
    assert facts.cert_sha256 == sha256(certificate_der("server.example", "CA")).hexdigest()
    assert facts.cert_self_signed is False
    assert facts.resumed is False


def test_a_self_signed_certificate() -> None:
    server = record(server_hello(0x0303)) + record(certificate_message(certificate_der()))
    assert tcp(tls12()[0], server, 1, 443).cert_self_signed is True


def test_a_certificate_that_cannot_be_read_still_has_its_hash() -> None:
    server = record(server_hello(0x0303)) + record(certificate_message(b"\x30\x03abc"))
    facts = tcp(tls12()[0], server, 1, 443)
    assert facts.cert_sha256 == sha256(b"\x30\x03abc").hexdigest()
    assert (facts.cert_subject, facts.cert_issuer, facts.cert_self_signed) == (None, None, None)


@pytest.mark.parametrize("piece", [2, 7, 40, 100])
def test_messages_are_put_together_across_records(piece: int) -> None:
    def split(message: bytes) -> bytes:
        return b"".join(record(message[i : i + piece]) for i in range(0, len(message), piece))

    hello, answer = client_hello(), server_hello(0x0303) + certificate_message(certificate_der())
    facts = tcp(split(hello) + CHANGE_CIPHER, split(answer) + CHANGE_CIPHER, 1, 443)
    assert (facts.services, facts.sni, facts.tls_version) == (["ssl"], "www.example.org", "TLSv12")
    assert facts.cert_sha256 is not None
    assert facts.hello_at == len(split(hello))


def test_a_hello_retry_request_answers_first_and_the_server_hello_decides() -> None:
    retry = record(server_hello(cipher=0x1302, random=RETRY_RANDOM))
    server = retry + CHANGE_CIPHER + record(server_hello(cipher=0x1302, extra=extension(41, b"\0\0"))) + APPLICATION
    client = record(client_hello()) + CHANGE_CIPHER + record(client_hello()) + APPLICATION
    facts = tcp(client, server, 1, 443)
    assert facts.hello_at == len(record(client_hello()))
    assert facts.server_hello_at == len(retry)
    assert facts.server_hello == "0304,1302,0033-002b-0029"
    assert facts.resumed is True  # the server took the pre-shared key


@pytest.mark.parametrize(
    ("client_session", "server", "resumed"),
    [
        (SESSION, record(server_hello(0x0303, session=SESSION)) + CHANGE_CIPHER, True),  # by session id
        (b"", record(server_hello(0x0303, session=b"")) + CHANGE_CIPHER, True),  # by ticket: no certificate follows
        (SESSION, record(server_hello(0x0303, session=SESSION)), True),
        (SESSION, record(server_hello(0x0303, session=bytes(32))), False),
        (bytes(32), record(server_hello(0x0303, session=bytes(32))), False),  # zeros name no session
        (SESSION, record(server_hello(0x0304, session=SESSION)), False),  # the echo of TLS 1.3 means nothing
        (SESSION, b"", None),
    ],
)
def test_resumption(client_session: bytes, server: bytes, resumed: bool | None) -> None:
    assert tcp(record(client_hello(session=client_session)), server, 1, 443).resumed is resumed


def test_the_servers_choice_of_protocol_goes_before_the_clients_offer() -> None:
    chosen = extension(16, sized(2, sized(1, b"http/1.1")))
    assert tcp(record(client_hello()), record(server_hello(0x0303, extra=chosen)), 1, 443).alpn == "http/1.1"
    assert tcp(record(client_hello()), b"", 1, 443).alpn == "h2"


@pytest.mark.parametrize(
    ("version", "shown"),
    [(0x0300, "SSLv3"), (0x0301, "TLSv10"), (0x0302, "TLSv11"), (0x0303, "TLSv12"), (0x0304, "TLSv13")],
)
def test_version_names(version: int, shown: str) -> None:
    assert tcp(record(client_hello()), record(server_hello(version)), 1, 443).tls_version == shown


def test_a_draft_of_tls13() -> None:
    body = pack(">H", 0x7F12) + bytes(32) + pack(">H", 0x1301) + sized(2, extension(40))
    facts = tcp(record(client_hello()), record(b"\2" + sized(3, body)), 1, 443)
    assert (facts.tls_version, facts.server_hello) == ("TLSv13-draft18", "7f12,1301,0028")


def test_a_client_without_extensions() -> None:
    facts = tcp(record(client_hello(sni=None, alpn=(), versions="", extensions="")), b"", 1, 443)
    assert (facts.services, facts.sni, facts.alpn) == (["ssl"], None, None)
    assert facts.ja4 == "t12i150000_8daaf6152771_000000000000"


def test_sslv2() -> None:
    specs = bytes.fromhex("010080 0700c0")
    client = b"\1\0\2" + pack(">HHH", len(specs), 0, 16) + specs + bytes(16)
    der = certificate_der()
    server = b"\4\0\1\0\2" + pack(">HHH", len(der), 3, 16) + der + specs[:3] + bytes(16)
    facts = tcp(pack(">H", 0x8000 | len(client)) + client, pack(">H", 0x8000 | len(server)) + server, 1, 443)
    assert (facts.services, facts.tls_version) == (["ssl"], "SSLv2")
    assert facts.cert_sha256 == sha256(der).hexdigest()
    assert facts.hello_at == 2 + len(client)


def test_a_server_alone_gives_facts_but_no_service() -> None:
    facts = tcp(b"", tls12()[1], 50000, 443)
    assert (facts.services, facts.tls_version) == ([], "TLSv12")
    assert facts.cert_sha256 is not None


def test_ends_seen_the_wrong_way_round() -> None:
    client, server = tls12()
    facts = tcp(server, client, 443, 50000)
    assert facts.flipped
    assert (facts.services, facts.sni) == (["ssl"], "www.example.org")


def test_no_service_of_a_connection_without_a_start() -> None:
    facts = tcp(*tls13(), 50000, 443, partial=True)
    assert (facts.services, facts.sni) == ([], "www.example.org")


@pytest.mark.parametrize(
    "server",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        record(server_hello(0x0303)) + b"\x16\x09\x09\0\0",
        record(server_hello(0x0303)) + record(b"\x0b" + sized(3, b"\0\x01\0" + bytes(8))),  # lengths lie
    ],
)
def test_it_is_no_tls_when_the_server_breaks_it(server: bytes) -> None:
    facts = tcp(record(client_hello()), server, 50000, 443)
    assert (facts.services, facts.sni) == ([], "www.example.org")


HELLO = client_hello()


@pytest.mark.parametrize("at", [3, 38, 72, 73, 74, 108, 109, 110, 111])
@pytest.mark.parametrize("lie", [0, 1, 0x7F, 0xFF])
def test_lengths_that_lie(at: int, lie: int) -> None:
    lying = HELLO[:at] + bytes((lie,)) + HELLO[at + 1 :]
    facts = tcp(record(lying), record(server_hello()), 50000, 443)
    assert facts.services in ([], ["ssl"])


def test_a_hello_whose_extensions_overrun_is_none() -> None:
    overrun = HELLO[:-2] + b"\xff\xff"
    assert tcp(record(overrun), b"", 1, 443).services == []


def test_a_name_with_control_characters_is_escaped() -> None:
    assert tcp(record(client_hello(sni="a\x1b[2Jb")), b"", 1, 443).sni == r"a\x1b[2Jb"
