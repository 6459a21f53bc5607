"""Fragments to whole datagrams, across chunks and inside tunnels, within bounds."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, PadN, fragment6
from scapy.layers.l2 import GRE, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from hopscope.sensor.decode import Decoder, decode
from hopscope.sensor.fragments import TIMEOUT_NS, Fragment, Reassembler
from support.captures import Frame, Row, chunk_of, decode_all, pcap, read_all, rows_of

E = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
A, B, A6, B6 = "192.0.2.1", "198.51.100.2", "2001:db8::1", "2001:db8::2"
BODY = random.Random(1).randbytes(3000)
WHOLE = IP(src=A, dst=B, id=77) / UDP(sport=1, dport=2) / BODY
WHOLE6 = IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(id=77) / UDP(sport=1, dport=2) / BODY
ALONE = E / IP(src="192.0.2.9", dst=B) / TCP()
SECOND = 1_000_000_000


def pieces(packet: Packet, size: int = 1000) -> list[Packet]:
    cut: Any = fragment6 if IPv6 in packet else fragment
    return list(cut(packet, size))


def rows(*frames: Any, checksums: bool = False) -> list[Row]:
    made = [Frame(bytes(f), ts=SECOND * i) for i, f in enumerate(frames)]
    return rows_of(decode(chunk_of(*made), checksums=checksums))


@pytest.mark.parametrize("order", ["forward", "backward", "shuffled", "twice"])
@pytest.mark.parametrize("whole", [WHOLE, WHOLE6])
def test_a_datagram_is_one_row_where_its_last_fragment_stood(whole: Packet, order: str) -> None:
    frames = [E / f for f in pieces(whole)]
    if order == "backward":
        frames.reverse()
    elif order == "shuffled":
        random.Random(3).shuffle(frames)
    elif order == "twice":
        frames = [f for f in frames[:-1] for _ in range(2)] + frames[-1:]
    assert len(frames) >= 4
    got = rows(ALONE, *frames, ALONE, checksums=True)
    assert [r.proto for r in got] == [6, 17, 6]
    six = IPv6 in whole
    assert (got[1].src, got[1].dst) == ((A6, B6) if six else (A, B))
    assert got[1][3:9] == (1, 2, 3008 + (40 if six else 20), BODY, 3000, 0)
    assert got[1].ts == SECOND * len(frames)
    assert not got[1].bad_checksum


def test_headers_before_the_fragment_header_stay() -> None:
    options = IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0")])
    whole = IPv6(src=A6, dst=B6) / options / IPv6ExtHdrFragment(id=5) / UDP(sport=1, dport=2) / BODY
    (row,) = rows(*(E / f for f in pieces(whole)))
    assert (row.proto, row.ip_bytes, row.payload) == (17, 40 + 8 + 3008, BODY)


def test_a_fragment_that_is_the_whole_datagram() -> None:
    (row,) = rows(E / IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(m=0, offset=0, id=1) / UDP(sport=1, dport=2) / b"x")
    assert (row.proto, row.ip_bytes, row.payload) == (17, 49, b"x")


def test_datagrams_are_told_by_addresses_and_identification() -> None:
    one, two = pieces(WHOLE), pieces(IP(src=A, dst=B, id=78) / UDP(sport=3, dport=4) / BODY)
    other = pieces(IP(src="192.0.2.8", dst=B, id=77) / UDP(sport=5, dport=6) / BODY)
    mixed = [E / f for trio in zip(one, two, other, strict=True) for f in trio]
    assert [r.sport for r in rows(*mixed)] == [1, 3, 5]


def test_fragments_that_never_complete_give_no_row() -> None:
    decoder = Decoder()
    frames = [Frame(bytes(E / f)) for f in pieces(WHOLE)[:-1]]
    packets = decoder.decode(chunk_of(*frames))
    assert (packets.ts.size, packets.refused, decoder.waiting) == (0, 0, len(frames))


def test_overlaps_keep_what_came_first() -> None:
    first = E / IP(src=A, dst=B, id=1, flags="MF") / UDP(sport=1, dport=2, len=24) / b"AAAAAAAA"
    over = E / IP(src=A, dst=B, id=1, frag=1, proto=17) / Raw(b"BBBBBBBBBBBBBBBB")
    assert rows(first, over)[0].payload == b"AAAAAAAABBBBBBBB"
    assert rows(over, first)[0].payload == b"BBBBBBBBBBBBBBBB"


def test_a_fragment_cut_by_the_snap_length_is_not_put_together() -> None:
    frames = [bytes(E / f) for f in pieces(WHOLE)]
    cut = [Frame(f[:200], wirelen=len(f)) for f in frames]
    decoder = Decoder()
    packets = decoder.decode(chunk_of(*cut))
    (row,) = rows_of(packets)
    assert (row.sport, len(row.payload), row.payload_len) == (1, 200 - 42, 3000)
    assert (packets.refused, decoder.waiting) == (len(frames) - 2, 1), "the last is short enough to be whole"


def test_fragments_inside_a_tunnel_belong_to_it() -> None:
    for head in (IP(src="10.9.9.1", dst="10.9.9.2") / GRE(), E / IP() / UDP(dport=4789) / VXLAN(flags="Instance") / E):
        frames = [head / f for f in pieces(WHOLE)]
        got = rows(*(f if Ether in f and f.name == "Ethernet" else E / f for f in frames))
        assert [r.outer for r in got] == [-1] * len(frames) + [len(frames) - 1]
        assert got[-1].payload == BODY


def test_a_tunnel_inside_fragments_is_followed() -> None:
    inner = [E / f for f in pieces(WHOLE, 1400)]
    vxlan = UDP(dport=4789) / VXLAN(flags="Instance")
    tunnels = [IP(src="10.9.9.1", dst="10.9.9.2", id=9 + i) / vxlan / f for i, f in enumerate(inner)]
    frames = [E / f for t in tunnels for f in pieces(t, 600)]
    got = rows(ALONE, *frames, ALONE)
    assert [(r.proto, r.outer) for r in got] == [(6, -1), *[(17, -1)] * len(inner), (17, len(inner)), (6, -1)]
    assert got[-2].payload == BODY


def test_fragments_of_fragments_are_given_up() -> None:
    """Each layer would be put together only to be a fragment again, thousands of times over."""
    for nested in (bytes([44, 0, 0, 0, 0, 0, 0, 7]), bytes([60, 0, 0, 0, 0, 0, 0, 7, 44, 0, 1, 4, 0, 0, 0, 0])):
        packets = decode(chunk_of(bytes(E / IPv6(src=A6, dst=B6, nh=44) / Raw(nested * 2000))))
        assert (packets.ts.size, packets.refused) == (0, 1)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 3000), st.randoms(use_true_random=False))
def test_chunk_boundaries_do_not_matter(chunk_bytes: int, shuffle: random.Random) -> None:
    tunnel = E / IP(src="10.9.9.1", dst="10.9.9.2") / GRE() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / b"x"
    frames = [bytes(E / f) for w in (WHOLE, WHOLE6) for f in pieces(w)] + [bytes(ALONE), bytes(tunnel)] * 3
    shuffle.shuffle(frames)
    raw = pcap([Frame(f, ts=SECOND * (i + 1)) for i, f in enumerate(frames)])
    want = decode_all(read_all(raw)[0])
    assert len(want[0]) == 11
    assert decode_all(read_all(raw, chunk_bytes=chunk_bytes)[0]) == want


# --- the reassembler's bounds


def piece(offset: int, payload: bytes, *, more: bool = True, ident: int = 1, ts: int = 0) -> Fragment:
    header = struct.pack(">BBHHHBBHII", 0x45, 0, 0, ident, 0, 64, 17, 0, 1, 2)
    return Fragment(ts, 4, header, payload, offset, more, ident, 17)


@pytest.mark.parametrize(("late", "whole"), [(TIMEOUT_NS - 1, True), (TIMEOUT_NS, False)])
def test_a_datagram_is_forgotten_after_five_minutes(late: int, whole: bool) -> None:
    r = Reassembler()
    assert r.add(piece(0, bytes(8))) is None
    assert (r.add(piece(8, bytes(8), more=False, ts=late)) is not None) is whole
    assert r.lost == (0 if whole else 1)


def test_the_oldest_go_when_there_are_too_many() -> None:
    r = Reassembler(max_datagrams=10)
    for i in range(25):
        assert r.add(piece(0, bytes(8), ident=i)) is None
    assert (len(r), r.lost, r.waiting) == (10, 15, 10)
    assert r.add(piece(8, b"", more=False, ident=24)) is not None


def test_the_oldest_go_when_they_are_too_large() -> None:
    r = Reassembler(max_held=100_000)
    for i in range(25):
        r.add(piece(60_000, bytes(8), ident=i))
    assert (len(r), r.lost) == (1, 24)


def test_a_datagram_larger_than_ip_allows_is_given_up() -> None:
    r = Reassembler()
    for offset in range(0, 65528, 8):
        assert r.add(piece(offset, bytes(8))) is None
    assert r.add(piece(65528, bytes(8), more=False)) is None
    assert (len(r), r.lost) == (0, 8192)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), min_size=1, max_size=20), st.integers(1, 40))
def test_reassembly_equals_a_plain_model(spans: list[tuple[int, int]], size: int) -> None:
    """Whatever comes in whatever order: the first byte to arrive at a place stays there."""
    r, model, end = Reassembler(), dict[int, int](), 0
    fragments = [(8 * at, bytes([i] * min(n, 8 * size - 8 * at)), True) for i, (at, n) in enumerate(spans) if at < size]
    fragments.append((8 * size, b"\xff" * 8, False))
    for offset, payload, more in fragments:
        got = r.add(piece(offset, payload, more=more))
        for i, byte in enumerate(payload):
            model.setdefault(offset + i, byte)
        end = end if more else offset + len(payload)
        if end and all(i in model for i in range(end)):
            assert got is not None
            assert got[20:] == bytes(model[i] for i in range(end))
            return
        assert got is None


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.builds(
            piece, st.integers(0, 65535), st.binary(max_size=64), more=st.booleans(), ident=st.integers(0, 3),
            ts=st.integers(0, 10**12),
        ),
        max_size=60,
    )
)  # fmt: skip
def test_no_fragments_do_harm(fragments: list[Fragment]) -> None:
    r = Reassembler(max_datagrams=3, max_held=100_000)
    done = sum(r.add(f) is not None for f in fragments)
    assert done + r.lost + r.waiting <= len(fragments)
    assert len(r) <= 3
