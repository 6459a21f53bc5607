"""When connections end: silence, unanswered SYNs, closing, too many at a time; and the grid of segments."""

from __future__ import annotations

import pytest

from hopscope.records import InputCount
from tests.support.messages import dns
from tests.support.traffic import START, Capture, Tcp, read


def packets(capture: Capture) -> list[int]:
    return [r["orig_pkts"] + r["resp_pkts"] for r in capture.records()[0]]


@pytest.mark.parametrize(("silence", "connections"), [(59.9, 1), (60.0, 2)])
def test_udp_ends_after_a_minute(silence: float, connections: int) -> None:
    capture = Capture()
    capture.udp(0, b"x")
    capture.udp(silence, b"x")
    assert len(packets(capture)) == connections


@pytest.mark.parametrize(("silence", "connections"), [(59.9, 1), (60.0, 2)])
def test_icmp_ends_after_a_minute(silence: float, connections: int) -> None:
    capture = Capture()
    capture.icmp(0, 8)
    capture.icmp(silence, 8)
    assert len(packets(capture)) == connections


@pytest.mark.parametrize(
    ("port", "silence", "connections"), [(4444, 299, 1), (4444, 300, 2), (22, 3599, 1), (22, 3600, 2)]
)
def test_established_tcp_ends_after_five_minutes_and_logins_after_an_hour(
    port: int, silence: float, connections: int
) -> None:
    capture = Capture()
    tcp = Tcp(capture, ports=(40000, port))
    end = tcp.open()
    tcp.packet(end + silence, "A")
    assert len({r["uid"] for r in capture.records()[0]}) == connections


def test_ssh_on_any_port_is_a_login() -> None:
    capture = Capture()
    tcp = Tcp(capture, ports=(40000, 4444))
    tcp.open()
    tcp.say(0.1, b"SSH-2.0-OpenSSH_9.7\r\n", back=True)
    tcp.say(0.2, b"SSH-2.0-OpenSSH_9.7\r\n")
    tcp.say(1000, 10)
    assert len({r["uid"] for r in capture.records()[0]}) == 1


@pytest.mark.parametrize(("silence", "connections"), [(4.9, 1), (5.0, 2)])
def test_an_unanswered_syn_ends_after_five_seconds(silence: float, connections: int) -> None:
    capture = Capture()
    tcp = Tcp(capture)
    tcp.packet(0, "S")
    tcp.packet(silence, "S", shift=-1)
    assert len(packets(capture)) == connections


@pytest.mark.parametrize(("silence", "connections"), [(4.9, 1), (5.0, 2)])
def test_a_closed_one_stays_for_five_seconds(silence: float, connections: int) -> None:
    capture = Capture()
    tcp = Tcp(capture)
    tcp.open()
    tcp.close(1.0)
    tcp.packet(1.01 + silence, "A")
    assert len(packets(capture)) == connections


def test_a_half_closed_one_waits_for_its_other_half() -> None:
    capture = Capture()
    tcp = Tcp(capture)
    tcp.open()
    tcp.packet(1.0, "FA")
    tcp.say(200, 10, back=True)
    tcp.packet(201, "FA", back=True)
    assert packets(capture) == [6]


def test_dns_over_udp_ends_early() -> None:
    capture = Capture()
    capture.udp(0, dns("a.example"), ports=(40000, 53))
    capture.udp(10.1, dns("b.example"), ports=(40000, 53))
    assert packets(capture) == [1, 1]


def test_time_passes_with_the_packets_of_others() -> None:
    """An expiry that is looked at late keeps the packets until then."""
    capture = Capture()
    tcp = Tcp(capture)
    tcp.open()
    tcp.close(1.0)
    capture.udp(6.0, b"x")  # between: at 6.01 the connection is due
    tcp.packet(6.005, "A")
    capture.udp(6.02, b"x")
    tcp.packet(6.03, "A")
    assert packets(capture) == [7, 2, 1]


def test_of_too_many_some_end_early_and_it_is_told() -> None:
    capture = Capture()
    for k in range(40):
        capture.udp(k / 100, b"x", ports=(1000 + k, 9999))
    count = InputCount()
    connections, _ = read(capture.pcap(), count, most_open=16)
    assert len(connections) == 40
    assert count.problems is not None
    assert "24 connections ended early" in count.problems[0]


class TestSegments:
    def test_a_long_connection_is_told_every_five_minutes(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.open()
        for at in (100, 290, 310, 500, 650):
            tcp.say(at, 10)
        records, _ = capture.records()
        assert [(r["seg"], r["final"]) for r in records] == [(0, False), (1, False), (2, True)]
        assert [r["seg_end"].timestamp() - START for r in records] == pytest.approx([300, 600, 650])
        assert [r["orig_bytes"] for r in records] == [20, 40, 50]
        assert [r["seg_orig_bytes"] for r in records] == [20, 20, 10]
        assert [r["seg_orig_pkts"] for r in records] == [4, 2, 1]
        assert [r["duration"] for r in records] == pytest.approx([290, 500, 650])
        assert len({r["uid"] for r in records}) == 1

    def test_a_packet_on_the_grid_belongs_to_the_next(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.open()
        tcp.say(150, 10)
        tcp.say(300, 10)
        assert [r["seg_orig_bytes"] for r in capture.records()[0]] == [10, 10]

    def test_silent_segments_are_not_told(self) -> None:
        capture = Capture()
        tcp = Tcp(capture, ports=(40000, 22))
        tcp.open()
        tcp.say(1000, 10)
        assert [(r["seg"], r["final"]) for r in capture.records()[0]] == [(0, False), (3, True)]

    def test_rhythm_is_told_per_segment(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.open()
        tcp.say(1, 10)
        tcp.say(250, 10, back=True)
        tcp.say(400, 10)
        assert [r["on_starts"] for r in capture.records()[0]] == [pytest.approx([1, -250]), pytest.approx([400])]
