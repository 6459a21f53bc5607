"""Packets of a capture seen worse."""

from __future__ import annotations

import dataclasses
import ipaddress
import struct

import pytest

from bench.quality import degrade
from bench.quality.corpus import Item, lab

US, OUT = "10.0.0.11", "203.0.113.9"


def frame(src: str, dst: str, sport: int, dport: int, proto: int = degrade.UDP, flags: int = 0) -> degrade.Frame:
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 60, 0, 0, 64, proto, 0, ipaddress.IPv4Address(src).packed,
                     ipaddress.IPv4Address(dst).packed)  # fmt: skip
    body = struct.pack(">HHIIBBHHH", sport, dport, 0, 0, 0x50, flags, 0, 0, 0)
    return (0, 0, b"\0" * 12 + b"\x08\x00" + ip + body)


@pytest.fixture
def item() -> Item:
    return dataclasses.replace(lab()[0], nets=("10.0.0.0/8",))


def told(frames: list[degrade.Frame], change: degrade.Change, item: Item) -> list[tuple[str, int, str, int]]:
    seen = [degrade.ends(f[2]) for f in change(frames, item)]
    return [(e.src, e.sport, e.dst, e.dport) for e in seen if e is not None]


def test_lost_packets_are_the_same_each_time_and_as_many_as_said(item: Item) -> None:
    frames = [frame(US, OUT, i, 443) for i in range(1, 10_001)]
    first, again = (told(frames, degrade.lossy(0.05), item) for _ in range(2))
    assert first == again
    assert 9_400 < len(first) < 9_600


def test_one_direction(item: Item) -> None:
    frames = [frame(US, OUT, 5000, 443), frame(OUT, US, 443, 5000)]
    assert told(frames, degrade.one_way(True), item) == [(US, 5000, OUT, 443)]
    assert told(frames, degrade.one_way(False), item) == [(OUT, 443, US, 5000)]


def test_no_dns(item: Item) -> None:
    frames = [frame(US, OUT, 5000, 53), frame(OUT, US, 53, 5000), frame(US, OUT, 5000, 443)]
    assert told(frames, degrade.nameless, item) == [(US, 5000, OUT, 443)]


def test_clients_share_one_address_and_never_a_port(item: Item) -> None:
    other = "10.0.0.12"
    frames = [frame(US, OUT, 5000, 443), frame(other, OUT, 5000, 443), frame(OUT, other, 443, 5000)]
    assert told(frames, degrade.translated, item) == [
        (degrade.NAT, 5000, OUT, 443), (degrade.NAT, 5001, OUT, 443), (OUT, 443, degrade.NAT, 5001)
    ]  # fmt: skip


def test_servers_of_ours_keep_their_address(item: Item) -> None:
    shop = "10.0.0.70"
    frames = [frame(OUT, shop, 6000, 443, degrade.TCP, degrade.SYN), frame(shop, OUT, 7000, 443, degrade.TCP)]
    assert told(frames, degrade.translated, item) == [(OUT, 6000, shop, 443), (shop, 7000, OUT, 443)]
