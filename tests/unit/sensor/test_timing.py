"""Round trips, requests and replies, TLS handshakes and tickets, rhythm and shape."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.messages import client_hello, record, server_hello
from tests.support.traffic import Capture, Tcp

RTT, LOCAL = 0.02, 0.001


def opened(**options: Any) -> tuple[Capture, Tcp]:
    capture = Capture()
    tcp = Tcp(capture, **options)
    tcp.open(rtt=RTT, local=LOCAL)
    return capture, tcp


def one(capture: Capture) -> dict[str, Any]:
    (found,) = capture.records()[0]
    return found


def ms(seconds: float) -> Any:
    return pytest.approx(seconds, abs=2e-6)


class TestRoundTrips:
    def test_handshake(self) -> None:
        capture, tcp = opened()
        tcp.say(0.1, 10)
        found = one(capture)
        assert (found["tcp_rtt"], found["client_rtt"]) == (ms(RTT), ms(LOCAL))
        assert found["pause"] == ms(0.1 - RTT - LOCAL)

    def test_a_syn_sent_twice_tells_nothing(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.packet(0, "S")
        tcp.packet(1.0, "S", shift=-1)
        tcp.packet(1.02, "SA", back=True)
        tcp.packet(1.03, "A")
        found = one(capture)
        assert found["tcp_rtt"] is None
        assert found["client_rtt"] == ms(0.01)

    def test_nor_does_a_syn_ack(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.packet(0, "S")
        tcp.packet(0.02, "SA", back=True)
        tcp.packet(1.02, "SA", back=True, shift=-1)
        tcp.packet(1.03, "A")
        found = one(capture)
        assert (found["tcp_rtt"], found["client_rtt"]) == (None, None)

    def test_payload_that_comes_with_the_ack_has_no_pause(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.packet(0, "S")
        tcp.packet(RTT, "SA", back=True)
        tcp.say(RTT + LOCAL, 10)
        assert one(capture)["pause"] == 0


class TestReplies:
    def test_the_first_is_told_apart_from_the_later_ones(self) -> None:
        capture, tcp = opened()
        for k, took in enumerate((0.3, 0.05, 0.06, 0.07)):
            tcp.say(k + 1, 10)
            tcp.say(k + 1 + took, 500, back=True)
        found = one(capture)
        assert (found["first_speaker"], found["first_reply"], found["replies"]) == ("orig", ms(0.3), 3)
        assert found["reply_p10"] == ms(0.052)

    def test_a_reply_counts_from_the_requests_last_segment(self) -> None:
        capture, tcp = opened()
        for at in (1.0, 1.1, 1.2):
            tcp.say(at, 10)
        tcp.say(1.25, 10, back=True)
        assert one(capture)["first_reply"] == ms(0.05)

    def test_only_what_acknowledges_all_of_the_request_answers_it(self) -> None:
        capture, tcp = opened()
        tcp.say(1.0, 10)
        tcp.say(1.01, 10, back=True, ack=1001)
        tcp.say(1.2, 10, back=True)
        assert one(capture)["first_reply"] == ms(0.2)

    def test_a_request_that_meets_a_stream_on_its_way_does_not_count(self) -> None:
        capture, tcp = opened()
        tcp.say(1.0, 10)
        tcp.say(1.1, 10, back=True)
        tcp.say(1.15, 10)
        tcp.say(1.16, 10, back=True, ack=1011)  # sent before the request arrived
        tcp.say(1.17, 10, back=True)
        assert one(capture)["replies"] == 0

    def test_a_request_sent_again_does_not_count(self) -> None:
        capture, tcp = opened()
        for at in (1.0, 2.0):
            tcp.say(at, 10)
            tcp.say(at + 0.3, 10, shift=-10)
            tcp.say(at + 0.4, 10, back=True)
        found = one(capture)
        assert (found["first_reply"], found["replies"], found["reply_p10"]) == (None, 0, None)

    def test_a_greeting_has_no_first_reply(self) -> None:
        capture, tcp = opened()
        tcp.say(1.0, 10, back=True)
        tcp.say(1.1, 10)
        tcp.say(1.15, 10, back=True)
        found = one(capture)
        assert (found["first_speaker"], found["first_reply"], found["replies"]) == ("resp", None, 1)
        assert found["reply_p10"] == ms(0.05)

    def test_datagrams(self) -> None:
        capture = Capture()
        for at in (0.0, 1.0):
            capture.udp(at, b"request")
            capture.udp(at + 0.04, b"answer", back=True)
        found = one(capture)
        assert (found["first_reply"], found["replies"]) == (ms(0.04), 1)

    def test_many_are_sampled(self) -> None:
        capture, tcp = opened()
        for k in range(400):
            tcp.say(k, 10)
            tcp.say(k + 0.1, 10, back=True)
        found = capture.records()[0][-1]
        assert (found["replies"], found["reply_p10"]) == (399, ms(0.1))

    def test_silence(self) -> None:
        capture, _ = opened()
        found = one(capture)
        assert (found["first_speaker"], found["first_reply"], found["replies"]) == (None, None, 0)


def app(size: int) -> bytes:
    """An encrypted record."""
    return record(b"\xee" * size, kind=23)


CLIENT_HELLO, SERVER_HELLO = record(client_hello(), version=0x0301), record(server_hello())
CCS = record(b"\1", kind=20)
FINISHED = app(53)  # with SHA-256


class TestTls13:
    """The responder's first flight comes after 50 ms, all else 30 ms after what it answers."""

    def handshake(self, tcp: Tcp, at: float = 1.0) -> float:
        tcp.say(at, CLIENT_HELLO)
        tcp.say(at + 0.05, SERVER_HELLO + CCS + app(900), back=True)
        return at + 0.051

    def test_hello(self) -> None:
        capture, tcp = opened()
        self.handshake(tcp)
        found = one(capture)
        assert (found["hello_rtt"], found["first_reply"], found["service"]) == (ms(0.05), ms(0.05), "ssl")
        assert found["tls_version"] == "TLSv13"

    def test_a_hello_in_two_segments_counts_from_the_second(self) -> None:
        capture, tcp = opened()
        tcp.say(1.0, CLIENT_HELLO[:200])
        tcp.say(1.01, CLIENT_HELLO[200:])
        tcp.say(1.05, SERVER_HELLO[:60], back=True)
        tcp.say(1.06, SERVER_HELLO[60:], back=True)
        assert one(capture)["hello_rtt"] == ms(0.05)

    def test_tickets_are_no_answers(self) -> None:
        capture, tcp = opened()
        at = self.handshake(tcp)
        tcp.say(at, CCS + FINISHED + app(117))
        tcp.say(at + 0.03, app(250) + app(250), back=True)
        tcp.say(at + 0.2, app(900), back=True)
        found = one(capture)
        assert (found["finished_rtt"], found["replies"], found["reply_p10"]) == (ms(0.03), 1, ms(0.2))
        assert found["tls_sizes"] == [117, -250, -250, -900]

    def test_tickets_before_the_first_request(self) -> None:
        capture, tcp = opened()
        at = self.handshake(tcp)
        tcp.say(at, CCS + FINISHED)
        tcp.say(at + 0.03, app(250) + app(250), back=True)
        tcp.say(at + 1.0, app(117))
        tcp.say(at + 1.1, app(90), back=True)
        found = one(capture)
        assert (found["finished_rtt"], found["replies"], found["reply_p10"]) == (ms(0.03), 1, ms(0.1))

    def test_without_tickets_there_is_no_finished_rtt(self) -> None:
        capture, tcp = opened()
        at = self.handshake(tcp)
        tcp.say(at, CCS + FINISHED + app(117))
        tcp.say(at + 0.2, app(5000), back=True)
        found = one(capture)
        assert (found["finished_rtt"], found["replies"], found["reply_p10"]) == (None, 1, ms(0.2))

    def test_a_handshake_alone_has_no_replies(self) -> None:
        capture, tcp = opened()
        at = self.handshake(tcp)
        tcp.say(at, CCS + FINISHED)
        tcp.say(at + 0.03, app(250), back=True)
        assert one(capture)["replies"] == 0

    def test_record_headers_may_be_cut_anywhere(self) -> None:
        capture, tcp = opened()
        at = 1.0
        for stream, back in (
            (CLIENT_HELLO, False), (SERVER_HELLO + CCS + app(900), True), (CCS + FINISHED + app(117), False),
            (app(250) + app(250) + app(300), True),
        ):  # fmt: skip
            for k in range(0, len(stream), 3):
                at += 0.0001
                tcp.say(at, stream[k : k + 3], back=back)
            at += 0.1
        found = one(capture)
        assert found["tls_sizes"] == [117, -250, -250, -300]
        assert found["replies"] == 1

    def test_behind_a_proxy_handshake_the_inner_hello_counts(self) -> None:
        capture, tcp = opened(ports=(40000, 1080))
        tcp.say(0.1, b"\5\1\0")
        tcp.say(0.12, b"\5\0", back=True)
        tcp.say(0.13, b"\5\1\0\3\x0bexample.org\x01\xbb")
        tcp.say(0.3, b"\5\0\0\1\0\0\0\0\0\0", back=True)
        at = self.handshake(tcp)
        tcp.say(at, CCS + FINISHED + app(117))
        tcp.say(at + 0.03, app(250) + app(250), back=True)
        tcp.say(at + 0.2, app(900), back=True)
        found = one(capture)
        assert (found["service"], found["hello_rtt"], found["first_reply"]) == ("socks,ssl", ms(0.05), ms(0.02))
        assert (found["replies"], found["finished_rtt"]) == (2, ms(0.03))  # CONNECT's answer and the application's
        assert found["tls_sizes"] == [117, -250, -250, -900]

    def test_sizes_of_the_first_25(self) -> None:
        capture, tcp = opened()
        at = self.handshake(tcp)
        tcp.say(at, CCS + FINISHED)
        for k in range(20):
            tcp.say(at + 1 + k, app(100 + k))
            tcp.say(at + 1.1 + k, app(200 + k), back=True)
        sizes = one(capture)["tls_sizes"]
        assert len(sizes) == 25
        assert sizes[:4] == [100, -200, 101, -201]


class TestTls12:
    def test_full_handshake(self) -> None:
        capture, tcp = opened()
        tcp.say(1.0, record(client_hello(versions=""), version=0x0301))
        tcp.say(1.05, record(server_hello(0x0303, 0xC02F)) + record(b"\x0e\0\0\0"), back=True)
        tcp.say(1.06, record(b"\x10" + bytes(70)) + CCS + record(b"\xee" * 40))
        tcp.say(1.1, record(b"\4" + bytes(190)) + CCS + record(b"\xee" * 40), back=True)
        tcp.say(1.2, app(120))
        tcp.say(1.3, app(400), back=True)
        found = one(capture)
        assert (found["tls_version"], found["hello_rtt"], found["finished_rtt"]) == ("TLSv12", ms(0.05), ms(0.04))
        assert (found["replies"], found["reply_p10"], found["tls_sizes"]) == (1, ms(0.1), [120, -400])


class TestRhythm:
    def test_payload_after_silence(self) -> None:
        capture, tcp = opened()
        for at in (0.1, 0.3, 0.7, 1.3, 1.7):
            tcp.say(at, 10)
        tcp.say(1.75, 10, back=True)
        assert one(capture)["on_starts"] == pytest.approx([0.1, 1.3, -1.75])

    def test_keepalives_are_no_payload(self) -> None:
        capture, tcp = opened()
        tcp.say(0.1, 10)
        tcp.packet(30, "A", b"x", shift=-1)
        assert one(capture)["on_starts"] == pytest.approx([0.1])

    def test_many_are_capped(self) -> None:
        capture = Capture()
        for k in range(290):
            capture.udp(k, b"x")
        (found,) = capture.records()[0]
        assert len(found["on_starts"]) == 256


class TestShape:
    @pytest.mark.parametrize(
        ("payload", "bits", "printable", "run", "head"),
        [
            (b"GET / HTTP/1.1\r\n\r\n", 2.89, 14 / 18, 14, True),
            (b"\x00\xff" * 10, 4.0, 0.0, 0, False),
            (b"abcde\x00fgh", None, 8 / 9, 5, False),
        ],
    )
    def test_of_the_first_payload(
        self, payload: bytes, bits: float | None, printable: float, run: int, head: bool
    ) -> None:
        capture, tcp = opened()
        tcp.say(1.0, payload)
        tcp.say(1.1, b"something else")
        found = one(capture)
        set_bits = sum(b.bit_count() for b in payload) / len(payload)
        assert bits is None or set_bits == pytest.approx(bits, abs=0.01)
        assert found["first_bits"] == pytest.approx(set_bits)
        assert (found["first_len"], found["first_run"], found["first_head_printable"]) == (len(payload), run, head)
        assert found["first_printable"] == pytest.approx(printable)

    def test_is_null_where_the_originator_is_silent(self) -> None:
        capture, tcp = opened()
        tcp.say(1.0, b"220 hello\r\n", back=True)
        found = one(capture)
        assert {found[f] for f in ("first_len", "first_bits", "first_printable", "first_run")} == {None}
        assert found["first_head_printable"] is None
