"""Headers of all encapsulations to rows. scapy builds the frames."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from hopscope.sensor import links
from hopscope.sensor.columns import Packets
from hopscope.sensor.decode import decode
from hopscope.sensor.headers import MAX_TUNNELS
from support.captures import RAW, Frame, Row, chunk_of, decode_all, pcap, read_all, rows_of

E = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
A, B, A6, B6 = "192.0.2.1", "198.51.100.2", "2001:db8::1", "2001:db8::2"
INNER = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1234, dport=80, seq=7, ack=9, flags="PA", window=512) / b"inner"
INNER6 = IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=5, dport=6) / b"inner6"


def rows(*frames: Any, link: int = links.ETHERNET, checksums: bool = False) -> list[Row]:
    chunk = chunk_of(*(f if isinstance(f, Frame) else Frame(bytes(f)) for f in frames), link=link)
    return rows_of(decode(chunk, checksums=checksums))


def refused(*frames: Any, link: int = links.ETHERNET, checksums: bool = False) -> int:
    packets = decode(chunk_of(*(Frame(bytes(f)) for f in frames), link=link), checksums=checksums)
    assert packets.ts.size == 0
    return packets.refused


def is_inner(row: Row) -> bool:
    return (row.src, row.dst, row.proto, row.sport, row.dport, row.payload) == (
        "10.0.0.1", "10.0.0.2", 6, 1234, 80, b"inner")  # fmt: skip


def inside(*frames: Any, link: int = links.ETHERNET) -> list[Row]:
    """The rows, of which the last is INNER inside the row before it."""
    got = rows(*frames, link=link)
    assert is_inner(got[-1])
    assert got[-1].outer == len(got) - 2
    return got


# --- transports


def test_tcp() -> None:
    options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 2)), ("NOP", None), ("WScale", 7)]
    tcp = TCP(sport=40000, dport=443, seq=2**32 - 1, ack=2**31, flags="SE", window=65535, options=options)
    (row,) = rows(Frame(bytes(E / IP(src=A, dst=B) / tcp / b"hello"), ts=5))
    assert row == Row(A, B, 6, 40000, 443, 65, b"hello", 5, 2**32 - 1, 2**31, 0x42, 65535, -1, False, False, 5)


def test_udp_and_its_own_length() -> None:
    (row,) = rows(E / IP(src=A, dst=B) / UDP(sport=1, dport=2) / b"hello")
    assert row[:8] == (A, B, 17, 1, 2, 33, b"hello", 5)
    (row,) = rows(E / IP(src=A, dst=B) / UDP(sport=1, dport=2, len=11) / b"hello")
    assert (row.payload, row.payload_len) == (b"hel", 3)
    (row,) = rows(E / IP(src=A, dst=B) / UDP(sport=1, dport=2, len=80) / b"hello")
    assert (row.payload, row.payload_len) == (b"hello", 72), "Zeek counts what the UDP header says"
    (row,) = rows(E / IP(src=A, dst=B) / UDP(sport=1, dport=2, len=0) / b"hello")
    assert row.payload_len == 5


def test_icmp_has_type_and_code_for_ports() -> None:
    (row,) = rows(E / IP(src=A, dst=B) / ICMP(type=3, code=13) / b"context")
    assert row[:8] == (A, B, 1, 3, 13, 35, b"context", 7)
    (row,) = rows(E / IPv6(src=A6, dst=B6) / ICMPv6EchoRequest(data=b"ping"))
    assert row[:8] == (A6, B6, 58, 128, 0, 52, b"ping", 4)


def test_other_transports_have_no_ports() -> None:
    (row,) = rows(E / IP(src=A, dst=B) / SCTP(sport=1, dport=2))
    assert row[:8] == (A, B, 132, 0, 0, 32, bytes(SCTP(sport=1, dport=2)), 12)
    (row,) = rows(E / IP(src=A, dst=B, proto=50) / b"secret")
    assert (row.proto, row.sport, row.payload) == (50, 0, b"secret")


# --- IP


def test_ipv4_options_and_ethernet_padding_are_no_payload() -> None:
    packet = IP(src=A, dst=B, options=[b"\x94\x04\x00\x00"]) / UDP(sport=1, dport=2) / b"x"
    (row,) = rows(bytes(E / packet) + bytes(30))
    assert (row.payload, row.payload_len, row.ip_bytes) == (b"x", 1, 33)


def test_a_total_length_of_zero_means_segmentation_offload() -> None:
    (row,) = rows(E / IP(src=A, dst=B, len=0) / TCP() / bytes(3000))
    assert (row.payload_len, row.ip_bytes) == (3000, 0)


def test_ipv6_extension_headers() -> None:
    options = IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0")]) / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0")])
    (row,) = rows(E / IPv6(src=A6, dst=B6) / options / UDP(sport=1, dport=2) / b"x")
    assert row[:8] == (A6, B6, 17, 1, 2, 65, b"x", 1)
    authentication = bytes([17, 4]) + bytes(22)
    (row,) = rows(bytes(E / IPv6(src=A6, dst=B6, nh=51) / Raw(authentication + bytes(UDP(sport=1, dport=2) / b"x"))))
    assert row[2:5] == (17, 1, 2)


def test_ipv6_routing_header_names_the_final_destination() -> None:
    routing = IPv6ExtHdrRouting(addresses=["2001:db8::7", "2001:db8::8"], segleft=2)
    (row,) = rows(E / IPv6(src=A6, dst=B6) / routing / TCP())
    assert (row.src, row.dst) == (A6, "2001:db8::8")
    routing = IPv6ExtHdrRouting(addresses=["2001:db8::7"], segleft=0)
    assert rows(E / IPv6(src=A6, dst=B6) / routing / TCP())[0].dst == B6


def test_ipv6_home_address() -> None:
    home = bytes([6, 2, 1, 2, 0, 0, 201, 16]) + bytes(15) + b"\x09"
    (row,) = rows(E / IPv6(src=A6, dst=B6, nh=60) / Raw(home + bytes(TCP())))
    assert (row.src, row.dst, row.proto) == ("::9", B6, 6)


def test_nothing_can_be_told_behind_encryption_and_mobility() -> None:
    for header in (50, 135, 59):
        assert refused(E / IPv6(src=A6, dst=B6, nh=header) / Raw(bytes(32))) == 1


@pytest.mark.parametrize(
    "packet",
    [
        ARP(),
        IP(src=A, dst=B, ihl=4) / TCP(),
        IP(src=A, dst=B, ihl=15) / TCP(),
        IP(src=A, dst=B, version=5) / TCP(),
        IP(src=A, dst=B, len=10) / TCP(),
        IP(src=A, dst=B, len=2000) / TCP(),
        IP(src=A, dst=B) / TCP(dataofs=4),
        IP(src=A, dst=B) / TCP(dataofs=15),
        IP(src=A, dst=B, proto=6) / b"short",
        IP(src=A, dst=B, proto=17) / b"short",
        IP(src=A, dst=B, proto=1) / b"short",
        IPv6(src=A6, dst=B6, plen=2000) / TCP(),
    ],
)
def test_packets_too_short_for_their_headers_are_refused(packet: Packet) -> None:
    assert refused(E / packet) == 1


def test_cut_by_the_snap_length() -> None:
    whole = bytes(E / IP(src=A, dst=B) / TCP(dataofs=8, options=[("NOP", None)] * 12) / bytes(range(200)))
    (row,) = rows(Frame(whole[:100], wirelen=len(whole)))
    assert (row.payload, row.payload_len, row.ip_bytes) == (bytes(range(34)), 200, 252)
    assert rows(Frame(whole[:60], wirelen=len(whole))) == [], "the TCP header itself is cut"


# --- checksums


def test_checksums_are_looked_at_only_when_asked_for() -> None:
    for ip in (IP(src=A, dst=B), IPv6(src=A6, dst=B6)):
        for transport in (TCP(chksum=1), UDP(chksum=1)):
            frame = E / ip / transport / b"odd"
            assert [r.bad_checksum for r in rows(frame)] == [False]
            assert [r.bad_checksum for r in rows(frame, checksums=True)] == [True]
            transport = transport.copy()
            del transport.chksum
            assert [r.bad_checksum for r in rows(E / ip / transport / b"odd", checksums=True)] == [False]
    for icmp in (IP(src=A, dst=B) / ICMP(), IPv6(src=A6, dst=B6) / ICMPv6EchoRequest(data=b"odd")):
        assert not rows(E / icmp, checksums=True)[0].bad_checksum
    assert rows(E / IP(src=A, dst=B) / ICMP(chksum=1), checksums=True)[0].bad_checksum


def test_checksums_that_cannot_be_judged_are_not_bad() -> None:
    assert not rows(E / IP(src=A, dst=B) / UDP(chksum=0) / b"x", checksums=True)[0].bad_checksum
    whole = bytes(E / IP(src=A, dst=B) / TCP(chksum=1) / bytes(200))
    assert not rows(Frame(whole[:100], wirelen=len(whole)), checksums=True)[0].bad_checksum


def test_a_wrong_ip_header_checksum_refuses_the_packet() -> None:
    frame = E / IP(src=A, dst=B, chksum=1) / TCP()
    assert len(rows(frame)) == 1
    assert refused(frame, checksums=True) == 1


# --- link layers

_PACKET = IP(src=A, dst=B) / UDP(sport=1, dport=2) / b"x"
_PACKET6 = IPv6(src=A6, dst=B6) / UDP(sport=1, dport=2) / b"x"
_SNAP = bytes(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0800))
_WLAN = struct.pack("<BBH", 0x08, 1, 0) + bytes(18) + bytes(2)
_QOS = struct.pack("<BBH", 0x88, 3, 0) + bytes(18) + bytes(2) + bytes(6) + bytes(2)
_RADIOTAP = bytes([0, 0, 12, 0]) + bytes(8)


_HEADS = [
    (links.RAW, b""),
    (links.RAW_BSD, b""),
    (links.RAW_OPENBSD, b""),
    (links.IPV4, b""),
    (links.NULL, struct.pack("<I", 2)),
    (links.NULL, struct.pack(">I", 2)),
    (links.LOOP, struct.pack(">I", 2)),
    (links.LINUX_SLL, struct.pack(">HHHQH", 0, 1, 6, 0, 0x0800)),
    (links.LINUX_SLL, struct.pack(">HHHQH", 0, 1, 6, 0, 0x8100) + struct.pack(">HH", 5, 0x0800)),
    (links.LINUX_SLL2, struct.pack(">HHIHBBQ", 0x0800, 0, 1, 1, 0, 6, 0)),
    (links.PPP, b"\x00\x21"),
    (links.PPP, b"\xff\x03\x00\x21"),
    (links.PPP_SERIAL, b"\xff\x03\x00\x21"),
    (links.PPP_ETHER, bytes(PPPoE(len=31) / PPP(proto=0x21))),
    (links.CISCO_HDLC, b"\x0f\x00\x08\x00"),
    (links.FDDI, bytes(13) + _SNAP),
    (links.IEEE802_11, _WLAN + _SNAP),
    (links.IEEE802_11, _QOS + _SNAP),
    (links.IEEE802_11_RADIO, _RADIOTAP + _WLAN + _SNAP),
    (links.NFLOG, bytes([2, 0, 0, 0]) + struct.pack("<HH", 5, 1) + bytes(4) + struct.pack("<HH", 33, 9)),
]


@pytest.mark.parametrize(("link", "head"), _HEADS)
def test_link_types(link: int, head: bytes) -> None:
    (row,) = rows(head + bytes(_PACKET), link=link)
    assert row[:8] == (A, B, 17, 1, 2, 29, b"x", 1)
    for cut in range(len(head)):
        rows(head[:cut], link=link)


@pytest.mark.parametrize("family", [10, 24, 28, 30])
def test_loopback_of_any_system_carries_ipv6(family: int) -> None:
    assert rows(struct.pack("<I", family) + bytes(_PACKET6), link=links.NULL)[0].src == A6


def test_every_link_type_that_is_understood_is_tested() -> None:
    assert {link for link, _ in _HEADS} | {links.ETHERNET, links.IPV6} == links.UNDERSTOOD
    assert rows(bytes(_PACKET6), link=links.IPV6)[0].src == A6
    assert refused(bytes(_PACKET), link=189) == 1


_FABRIC = bytes(12) + b"\x89\x03" + bytes(2)
_BACKBONE = bytes(12) + b"\x88\xe7" + bytes(4)


@pytest.mark.parametrize(
    "frame",
    [
        E / Dot1Q(vlan=5) / _PACKET,
        E / Dot1AD(vlan=5) / Dot1Q(vlan=6) / _PACKET,
        E / Dot1Q(vlan=5, type=0x9100) / Dot1Q(vlan=6) / _PACKET,
        E / MPLS(label=3, s=0) / MPLS(label=4, s=1) / _PACKET,
        E / Dot1Q(vlan=5) / MPLS(label=4, s=1) / _PACKET,
        E / PPPoE(sessionid=1) / PPP() / _PACKET,
        E / Dot1Q(vlan=5) / PPPoE(sessionid=1) / PPP() / _PACKET,
        bytes(12) + struct.pack(">H", 37) + _SNAP + bytes(_PACKET),
        bytes(12) + b"\x89\x26" + bytes(4) + b"\x08\x00" + bytes(_PACKET),
        _FABRIC + bytes(E / _PACKET),
        _BACKBONE + bytes(E / Dot1Q(vlan=5) / _PACKET),
    ],
)
def test_tags_and_labels(frame: Any) -> None:
    (row,) = rows(frame)
    assert row[:8] == (A, B, 17, 1, 2, 29, b"x", 1)
    whole = bytes(frame)
    for cut in range(len(whole) - 29):
        assert refused(whole[:cut]) == 1


def test_what_leads_to_no_ip_is_refused() -> None:
    spanning_tree = bytes(12) + struct.pack(">H", 38) + b"\x42\x42\x03" + bytes(35)
    assert refused(E / ARP(), spanning_tree, E / Raw(b""), b"", E / PPPoE() / PPP(proto=0xC021) / b"lcp") == 5
    assert refused(bytes(12) + b"\x81\x00\x00\x01" * 200) == 1
    encrypted = bytearray(_WLAN + _SNAP + bytes(_PACKET))
    encrypted[1] |= 0x40
    assert refused(bytes(encrypted), b"\x80" + bytes(60), link=links.IEEE802_11) == 2


def test_pppoe_length_rules_over_what_follows() -> None:
    frame = bytes(E / PPPoE(len=31) / PPP() / IP(src=A, dst=B, len=0) / UDP(sport=1, dport=2, len=0) / b"x")
    assert rows(frame + bytes(20))[0].payload == b"x"


# --- tunnels over IP


@pytest.mark.parametrize(
    ("outer", "proto"),
    [(IP(src=A, dst=B), 4), (IPv6(src=A6, dst=B6), 4)],
)
def test_ip_in_ip(outer: Packet, proto: int) -> None:
    got = inside(E / outer / INNER)
    assert [(r.proto, r.carrier, r.outer) for r in got] == [(proto, True, -1), (6, False, 0)]


@pytest.mark.parametrize("outer", [IP(src=A, dst=B), IPv6(src=A6, dst=B6)])
def test_ipv6_in_ip(outer: Packet) -> None:
    got = rows(E / outer / INNER6)
    assert [(r.proto, r.carrier, r.outer) for r in got] == [(41, True, -1), (17, False, 0)]
    assert got[1].payload == b"inner6"


def test_what_is_no_whole_packet_inside_is_left() -> None:
    longer = IP(src=A, dst=B, proto=4) / Raw(bytes(INNER) + b"!")
    other = IP(src=A, dst=B, proto=4) / Raw(bytes(INNER6))
    assert [r.carrier for r in rows(E / longer, E / other)] == [True, True]


_PPTP = struct.pack(">HHHHII", 0x3081, 0x880B, 49, 1, 1, 1) + b"\xff\x03\x00\x21" + bytes(INNER)


@pytest.mark.parametrize(
    "gre",
    [
        GRE() / INNER,
        GRE(chksum_present=1, key_present=1, seqnum_present=1) / INNER,
        GRE(key_present=1, key=9) / INNER,
        GRE(proto=0x6558) / E / INNER,
        GRE(proto=0x6558, key_present=1) / E / Dot1Q(vlan=4) / INNER,
        GRE(proto=0x88BE) / E / INNER,
        GRE(proto=0x88BE, seqnum_present=1) / Raw(bytes(8) + bytes(E / INNER)),
        GRE(proto=0x22EB, seqnum_present=1) / Raw(bytes(12) + bytes(E / INNER)),
        GRE(proto=0x22EB, seqnum_present=1) / Raw(bytes(11) + b"\x01" + bytes(8) + bytes(E / INNER)),
        GRE(proto=0x8200) / Raw(_WLAN + _SNAP + bytes(INNER)),
        Raw(_PPTP),
    ],
)
def test_gre(gre: Packet) -> None:
    got = inside(E / IP(src=A, dst=B, proto=47) / gre)
    assert [(r.proto, r.carrier) for r in got] == [(47, True), (6, False)]


def test_gre_that_cannot_be_followed() -> None:
    for gre in (GRE(version=3), GRE(routing_present=1), GRE(flags=3), GRE(proto=0x880B, version=1), GRE(proto=0x22EB)):
        assert [r.carrier for r in rows(E / IP(src=A, dst=B) / gre / INNER)] == [True]
    assert [r.carrier for r in rows(E / IP(src=A, dst=B, proto=47) / b"\0\0")] == [True]


# --- tunnels over UDP


def udp(port: int, sport: int = 50000) -> Packet:
    return E / IP(src=A, dst=B) / UDP(sport=sport, dport=port)


_GTP_EXTENDED = GTP_U_Header(teid=1, E=1, next_ex=0x85) / GTPPDUSessionContainer(type=0, QFI=1) / INNER


@pytest.mark.parametrize(
    "frame",
    [
        udp(4789) / VXLAN(vni=7, flags="Instance") / E / INNER,
        udp(50000, 4789) / VXLAN(vni=7, flags="Instance") / E / Dot1Q(vlan=3) / INNER,
        udp(6081) / GENEVE(vni=7, proto=0x6558) / E / INNER,
        udp(6081) / GENEVE(vni=7, proto=0x0800, options=b"\0\1\2\1abcd") / INNER,
        udp(2152) / GTP_U_Header(teid=1) / INNER,
        udp(2152) / GTP_U_Header(teid=1, S=1, seq=4) / INNER,
        udp(2152) / _GTP_EXTENDED,
        udp(4754) / GRE() / INNER,
    ],
)
def test_tunnels_over_udp(frame: Packet) -> None:
    got = inside(frame)
    assert [(r.proto, r.carrier, r.outer) for r in got] == [(17, False, -1), (6, False, 0)]


_TEREDO6 = IPv6(src="2001:0:1::1", dst="fd00::2") / TCP(sport=1234, dport=80) / b"inner"


@pytest.mark.parametrize(
    ("port", "head"),
    [
        (3544, b""),
        (3544, b"\0\0" + bytes(6)),
        (3544, b"\0\1\2\3" + bytes(5 + 9)),
        (3544, b"\0\1\0\0" + bytes(9) + b"\0\0" + bytes(6)),
        (9999, b""),
    ],
)
def test_teredo(port: int, head: bytes) -> None:
    got = rows(udp(port) / Raw(head + bytes(_TEREDO6)))
    assert [(r.proto, r.outer, r.src) for r in got] == [(17, -1, A), (6, 0, "2001:0:1::1")]


def test_ayiya() -> None:
    got = rows(udp(5072) / Raw(b"\x42\x52\x11\x29" + bytes(4) + bytes(16) + bytes(20) + bytes(INNER6)))
    assert [(r.proto, r.outer) for r in got] == [(17, -1), (17, 0)]


@pytest.mark.parametrize(
    "frame",
    [
        udp(4789) / VXLAN(flags=0) / E / INNER,
        udp(6081) / GENEVE(version=1, proto=0x6558) / E / INNER,
        udp(6081) / GENEVE(proto=0x1234) / E / INNER,
        udp(2152) / GTP_U_Header(gtp_type=1) / INNER,
        udp(2152) / GTP_U_Header(teid=1) / Raw(bytes(INNER) + b"!"),
        udp(2152) / GTP_U_Header(teid=1, E=1, next_ex=0x85) / Raw(bytes(40)),
        udp(3544) / Raw(bytes(_TEREDO6) + b"!"),
        udp(9999) / INNER6,
        udp(5072) / Raw(b"\x42\x52\x10\x29" + bytes(80)),
        udp(4789) / b"short",
    ],
)
def test_what_only_looks_like_a_tunnel_is_a_datagram(frame: Packet) -> None:
    assert [(r.proto, r.carrier) for r in rows(frame)] == [(17, False)]


def test_tunnels_are_followed_four_deep() -> None:
    packet: Packet = INNER
    for _ in range(MAX_TUNNELS + 1):
        packet = IP(src=A, dst=B) / UDP(sport=1, dport=4789) / VXLAN(flags="Instance") / E / packet
    got = rows(E / packet)
    assert [r.outer for r in got] == [-1, 0, 1, 2, 3]
    assert MAX_TUNNELS == 4
    assert not is_inner(got[-1])


def test_a_cut_inner_packet_is_kept_behind_udp_and_left_behind_ip() -> None:
    for frame, layers in ((udp(4789) / VXLAN(flags="Instance") / E / INNER, 2), (E / IP(src=A, dst=B) / INNER, 1)):
        whole = bytes(frame)
        got = rows(Frame(whole[:-2], wirelen=len(whole)))
        assert len(got) == layers
        if layers == 2:
            assert (got[1].payload, got[1].payload_len) == (b"inn", 5)


def test_rows_keep_the_order_of_packets_and_name_their_own_outer_rows() -> None:
    tunnel = E / IP(src=A, dst=B) / GRE() / INNER
    got = rows(E / _PACKET, tunnel, E / ARP(), tunnel, E / _PACKET)
    assert [(r.proto, r.outer) for r in got] == [(17, -1), (47, -1), (6, 1), (47, -1), (6, 3), (17, -1)]


# --- anything at all


def check(p: Packets) -> None:
    n = p.ts.size
    assert (p.payload_cap >= 0).all()
    assert (p.payload_cap <= p.payload_len).all()
    assert (p.payload_off >= 0).all()
    assert (p.payload_off + p.payload_cap <= p.data.size).all()
    assert (p.outer < np.arange(n)).all()
    assert (p.outer >= -1).all()
    assert np.isin(p.version, (4, 6)).all()
    assert p.carrier.dtype == p.bad_checksum.dtype == np.bool_


_FRAMES = [
    bytes(f)
    for f in (
        E / IP(src=A, dst=B) / TCP(options=[("MSS", 1460)]) / b"hello",
        E / Dot1Q() / MPLS(s=1) / IPv6(src=A6, dst=B6) / IPv6ExtHdrHopByHop() / UDP() / b"x",
        E / IPv6(src=A6, dst=B6) / IPv6ExtHdrRouting(addresses=[B6]) / ICMPv6EchoRequest(),
        E / IP(src=A, dst=B) / GRE(chksum_present=1) / INNER,
        udp(4789) / VXLAN(flags="Instance") / E / INNER,
        udp(2152) / _GTP_EXTENDED,
        udp(3544) / Raw(b"\0\1\2\3" + bytes(5 + 9) + bytes(_TEREDO6)),
        udp(6081) / GENEVE(proto=0x0800, options=b"\0\1\2\1abcd") / INNER,
        E / PPPoE() / PPP() / INNER,
        E / IP(src=A, dst=B, flags="MF", id=7) / UDP() / bytes(16),
        E / IP(src=A, dst=B, frag=3, id=7) / bytes(9),
    )
]


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_bytes_do_harm(data: st.DataObject) -> None:
    frames = []
    for _ in range(data.draw(st.integers(1, 4))):
        raw = bytearray(data.draw(st.one_of(st.sampled_from(_FRAMES), st.binary(max_size=120))))
        for at, value in data.draw(st.lists(st.tuples(st.integers(0, 140), st.integers(0, 255)), max_size=4)):
            if at < len(raw):
                raw[at] = value
        cut = data.draw(st.integers(0, len(raw)))
        frames.append(Frame(bytes(raw[:cut]), wirelen=len(raw)))
    link = data.draw(st.sampled_from([*sorted(links.UNDERSTOOD), 1, 1, 1, 1, 9999]))
    for checksums in (False, True):
        check(decode(chunk_of(*frames, link=link), checksums=checksums))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(_FRAMES), max_size=20), st.integers(1, 2000))
def test_chunk_boundaries_do_not_matter(frames: list[bytes], chunk_bytes: int) -> None:
    raw = pcap([Frame(f) for f in frames])
    want = decode_all(read_all(raw)[0])
    assert decode_all(read_all(raw, chunk_bytes=chunk_bytes)[0]) == want


def test_raw_ip_of_an_empty_chunk() -> None:
    assert decode(chunk_of(link=RAW)).ts.size == 0
