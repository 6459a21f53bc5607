"""Connections as Zeek means them: state, history, counts, originator, re-use."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.traffic import CLIENT, SERVER, Capture, Tcp, ip

# what is sent (upper case by the originator, lower case by the responder; D and d carry 100 bytes), 10 ms
# apart, and what it is: state, history, bytes each way
CONVERSATIONS = {
    "an unanswered SYN": ("S", "S0", "S", None, None),
    "a rejected SYN": ("Sr", "REJ", "Sr", 0, 0),
    "established": ("ShA", "S1", "ShA", 0, 0),
    "a normal end": ("ShADadFfA", "SF", "ShADadFf", 100, 100),
    "half-closed by the originator": ("ShADF", "S2", "ShADF", 100, 0),
    "half-closed by the responder": ("ShAdf", "S3", "ShAdf", 0, 100),
    "aborted by the originator": ("ShADR", "RSTO", "ShADR", 100, 0),
    "aborted by the responder": ("ShAdr", "RSTR", "ShAdr", 0, 100),
    "a scan that resets its own SYN": ("SR", "RSTOS0", "SR", 0, 0),
    "a SYN-ACK that is reset by its sender": ("hr", "OTH", "HR", 0, 0),
    "a SYN then a FIN": ("SF", "SH", "SF", 0, 0),
    "FIN, then RST, then the peer's FIN": ("ShADFRf", "SF", "ShADFRf", 100, 0),
    "midstream": ("Dd", "OTH", "Dd", 100, 100),
    "midstream, then closed": ("DdFf", "SF", "DdFf", 100, 100),
}


def only(records: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(records) == 1
    return records[0]


def converse(capture: Capture, letters: str, *, every: float = 0.01, start: float = 0.0, **options: Any) -> Tcp:
    """Packets by Zeek's letters; 'h' of a client-less start comes from the first end."""
    tcp = Tcp(capture, **options)
    flags = {"S": "S", "H": "SA", "A": "A", "D": "PA", "F": "FA", "R": "R"}
    for k, letter in enumerate(letters):
        payload = b"x" * 100 if letter in "Dd" else b""
        tcp.packet(start + k * every, flags[letter.upper()], payload, back=letter.islower())
    return tcp


@pytest.mark.parametrize("case", CONVERSATIONS)
def test_state_and_history(case: str) -> None:
    letters, state, history, orig_bytes, resp_bytes = CONVERSATIONS[case]
    capture = Capture()
    converse(capture, letters)
    record = only(capture.records()[0])
    assert (record["conn_state"], record["history"]) == (state, history)
    assert (record["orig_bytes"], record["resp_bytes"]) == (orig_bytes, resp_bytes)
    assert record["orig_pkts"] + record["resp_pkts"] == len(letters)


def test_one_packet_has_neither_duration_nor_bytes() -> None:
    capture = Capture()
    capture.udp(0, b"x" * 50)
    record = only(capture.records()[0])
    assert (record["duration"], record["orig_bytes"], record["resp_bytes"]) == (None, None, None)
    assert (record["orig_pkts"], record["orig_ip_bytes"], record["conn_state"]) == (1, 78, "S0")


class TestOriginator:
    def test_midstream_from_a_server_port_is_turned(self) -> None:
        capture = Capture()
        Tcp(capture, ports=(40000, 443)).say(0, 10, back=True)
        record = only(capture.records()[0])
        assert (record["orig_h"], record["resp_p"], record["history"]) == (CLIENT, 443, "^d")

    def test_midstream_from_an_unknown_port_is_not(self) -> None:
        capture = Capture()
        Tcp(capture, ports=(40000, 4444)).say(0, 10, back=True)
        assert only(capture.records()[0])["orig_h"] == SERVER

    def test_of_two_server_ports_the_lower_serves(self) -> None:
        capture = Capture()
        Tcp(capture, ports=(8080, 80)).say(0, 10, back=True)
        assert only(capture.records()[0])["resp_p"] == 80

    def test_a_missed_syn_is_made_up_for_by_what_follows(self) -> None:
        capture = Capture()
        tcp = Tcp(capture, seqs=(1001, 5000))
        tcp.packet(0, "SA", back=True)
        tcp.packet(0.01, "A")
        tcp.say(0.02, 10)
        record = only(capture.records()[0])
        assert (record["orig_h"], record["history"], record["conn_state"]) == (CLIENT, "^hAD", "OTH")

    def test_a_lone_syn_ack_stays_with_its_sender(self) -> None:
        capture = Capture()
        Tcp(capture).packet(0, "SA", back=True)
        record = only(capture.records()[0])
        assert (record["orig_h"], record["history"], record["conn_state"]) == (SERVER, "H", "OTH")

    def test_a_syn_ack_captured_before_its_syn(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.packet(0, "SA", back=True, ack=1001)
        tcp.packet(0.000001, "S")
        tcp.packet(0.01, "A")
        record = only(capture.records()[0])
        assert (record["orig_h"], record["history"]) == (CLIENT, "Hs^A")

    def test_datagrams_by_port(self) -> None:
        capture = Capture()
        capture.udp(0, b"answer", back=True, ports=(40000, 161))
        record = only(capture.records()[0])
        assert (record["orig_h"], record["history"], record["conn_state"]) == (CLIENT, "^d", "SHR")

    def test_a_dns_answer_first_turns_the_roles(self) -> None:
        capture = Capture()
        capture.udp(0, bytes.fromhex("12348180000100000000000003777777000001") + b"\0\1", ports=(53, 53))
        record = only(capture.records()[0])
        assert (record["orig_h"], record["history"], record["orig_pkts"]) == (SERVER, "D^", 1)


class TestIcmp:
    def test_request_and_reply_are_one(self) -> None:
        capture = Capture()
        capture.icmp(0, 8)
        capture.icmp(0.1, 0, back=True)
        record = only(capture.records()[0])
        assert (record["orig_p"], record["resp_p"], record["proto"]) == (8, 0, "icmp")
        assert (record["orig_bytes"], record["resp_bytes"], record["conn_state"]) == (56, 56, "OTH")
        assert record["history"] is None

    def test_a_reply_seen_first_originates(self) -> None:
        capture = Capture()
        capture.icmp(0, 0, back=True)
        record = only(capture.records()[0])
        assert (record["orig_h"], record["orig_p"], record["resp_p"]) == (SERVER, 0, 8)

    def test_errors_are_one_way(self) -> None:
        capture = Capture()
        capture.icmp(0, 3, 1)
        capture.icmp(0.1, 3, 1, back=True)
        assert [(r["orig_p"], r["resp_p"]) for r in capture.records()[0]] == [(3, 1), (3, 1)]


def test_other_protocols_are_kept_by_addresses() -> None:
    capture = Capture()
    capture.add(0, ip(CLIENT, SERVER, 132, bytes(40)))
    capture.add(0.5, ip(SERVER, CLIENT, 132, bytes(40)))
    record = only(capture.records()[0])
    assert (record["proto"], record["orig_p"], record["resp_p"]) == ("unknown_transport", 0, 0)
    assert (record["orig_bytes"], record["resp_pkts"], record["resp_ip_bytes"]) == (0, 1, 60)


def test_ipv6() -> None:
    capture = Capture()
    converse(capture, "ShADadFfA", ends=("2001:db8::5", "2001:db8:1::7"))
    record = only(capture.records()[0])
    assert (record["orig_h"], record["resp_h"], record["conn_state"]) == ("2001:db8::5", "2001:db8:1::7", "SF")
    assert record["orig_ip_bytes"] == 5 * 60 + 100


class TestBytes:
    def test_across_the_wrap_of_sequence_numbers(self) -> None:
        capture = Capture()
        converse(capture, "ShADDDaFfA", seqs=(2**32 - 150, 2**32 - 1))
        record = only(capture.records()[0])
        assert (record["orig_bytes"], record["resp_bytes"], record["missed_bytes"]) == (300, 0, 0)

    def test_payload_sent_again_counts_once(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.open()
        tcp.say(0.1, 100)
        tcp.say(0.4, 100, shift=-100)
        tcp.close(0.5)
        record = only(capture.records()[0])
        assert (record["orig_bytes"], record["history"]) == (100, "ShADTFf")

    def test_repetitions_are_written_at_powers_of_ten(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.open()
        tcp.say(0.1, 100)
        for k in range(12):
            tcp.say(0.2 + k / 100, 100, shift=-100)
        assert only(capture.records()[0])["history"] == "ShADTT"

    def test_a_zero_window(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.open()
        tcp.packet(0.1, "A", back=True, window=0)
        assert only(capture.records()[0])["history"] == "ShAaw"

    def test_what_is_acknowledged_and_was_not_seen_is_missed(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.open()
        tcp.say(0.1, 100)
        tcp.next[0] += 700
        tcp.say(0.2, 100)
        tcp.packet(0.3, "A", back=True)
        tcp.close(0.4)
        record = only(capture.records()[0])
        assert (record["missed_bytes"], record["orig_bytes"], record["history"]) == (700, 900, "ShADaGFf")

    def test_out_of_order_is_no_loss(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.open()
        tcp.say(0.1, 100, shift=100)
        tcp.say(0.2, 100)
        tcp.next[0] += 100
        tcp.packet(0.3, "A", back=True)
        assert only(capture.records()[0])["missed_bytes"] == 0

    def test_a_hole_puts_the_end_off(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.open()
        tcp.next[0] += 50  # lost, and sent again too late
        tcp.packet(0.1, "FA", b"x" * 10)
        tcp.packet(0.2, "FA", back=True, ack=1001)
        tcp.packet(7.0, "A", b"x" * 50, shift=-61)
        record = only(capture.records()[0])
        assert (record["conn_state"], record["orig_pkts"]) == ("SF", 4)

    def test_of_a_cut_packet_the_headers_count(self) -> None:
        capture = Capture()
        tcp = Tcp(capture)
        tcp.open()
        tcp.say(0.1, 1000, cut=900)
        tcp.close(0.2)
        record = only(capture.records()[0])
        assert (record["orig_bytes"], record["orig_ip_bytes"]) == (1000, 5 * 40 + 1000)


class TestReuse:
    def test_a_syn_with_another_number_begins_anew(self) -> None:
        capture = Capture()
        converse(capture, "ShAD")
        converse(capture, "ShA", start=1.0, seqs=(90000, 70000))
        assert [r["history"] for r in capture.records()[0]] == ["ShAD", "ShA"]

    def test_a_syn_after_a_fin_begins_anew(self) -> None:
        capture = Capture()
        tcp = converse(capture, "ShADF")
        tcp.next = [1000, 5000]
        tcp.packet(1.0, "S")
        assert [r["conn_state"] for r in capture.records()[0]] == ["S2", "S0"]

    def test_a_repeated_syn_does_not(self) -> None:
        capture = Capture()
        tcp = converse(capture, "Sh")
        tcp.packet(0.5, "S", shift=-1)
        assert only(capture.records()[0])["orig_pkts"] == 2


class TestTunnels:
    VXLAN = bytes.fromhex("0800000000000700")
    ETHERNET = bytes(12) + b"\x08\x00"

    def test_over_udp_the_carrier_is_a_connection(self) -> None:
        capture = Capture()
        inner = Capture()
        inner.udp(0, b"inside", ends=("192.168.0.1", "192.168.0.2"))
        capture.udp(0, self.VXLAN + self.ETHERNET + inner.frames[0].data, ports=(50000, 4789))
        records = {r["orig_h"]: r for r in capture.records()[0]}
        assert records["192.168.0.1"]["tunnel_parents"] == [records[CLIENT]["uid"]]
        assert records[CLIENT]["tunnel_parents"] is None

    def test_over_ip_both_directions_have_one_carrier(self) -> None:
        capture = Capture()
        for at, back in ((0.0, False), (0.1, True), (0.2, False)):
            inner = Capture()
            ports = (1000 + int(at * 10), 2000)
            inner.udp(0, b"x", ends=("192.168.0.1", "192.168.0.2"), ports=ports, back=back)
            ends = (SERVER, CLIENT) if back else (CLIENT, SERVER)
            capture.add(at, ip(*ends, 4, inner.frames[0].data))
        records = capture.records()[0]
        assert len(records) == 3
        assert len({tuple(r["tunnel_parents"]) for r in records}) == 1

    def test_nested_ones_are_told_outermost_first(self) -> None:
        inner, middle, capture = Capture(), Capture(), Capture()
        inner.udp(0, b"x", ends=("192.168.0.1", "192.168.0.2"))
        middle.udp(
            0, self.VXLAN + self.ETHERNET + inner.frames[0].data, ends=("172.16.0.1", "172.16.0.2"), ports=(50000, 4789)
        )
        capture.udp(0, self.VXLAN + self.ETHERNET + middle.frames[0].data, ports=(50000, 4789))
        records = {r["orig_h"]: r for r in capture.records()[0]}
        assert records["192.168.0.1"]["tunnel_parents"] == [records[CLIENT]["uid"], records["172.16.0.1"]["uid"]]


def test_a_wrong_checksum_counts_only_when_asked_for() -> None:
    capture = Capture()
    for k in range(3):
        capture.udp(k / 10, b"x" * 20)
        data = bytearray(capture.frames[-1].data)
        data[26:28] = b"\x12\x34"  # the checksum
        capture.frames[-1] = capture.frames[-1]._replace(data=bytes(data))
    assert only(capture.records()[0])["history"] == "D"
    assert capture.records(checksums=True)[0] == []  # their IP header's checksum is wrong as well


def test_connections_of_one_moment_have_names_of_their_own() -> None:
    capture = Capture()
    for k in range(3):
        Tcp(capture, seqs=(1000 * k, 0)).packet(0, "S")
    assert len({r["uid"] for r in capture.records()[0]}) == 3
