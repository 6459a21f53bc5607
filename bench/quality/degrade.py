"""The lab's captures, seen worse: packets lost, one direction only, no DNS, all clients behind one address.

A capture is read packet by packet, changed, and written to a file of its own that is hunted at default settings.
What is lost is drawn with a fixed seed. Checksums are left as they are.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import math
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.quality import measures, run
from bench.quality.corpus import Item
from bench.speed import packets

NAT = "10.0.0.254"
SEED = 4
Frame = tuple[int, int, bytes]
Change = Callable[[Iterable[Frame], Item], Iterator[Frame]]
TCP, UDP, DNS, SYN = 6, 17, 53, 2
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)


@dataclass(frozen=True)
class Ends:
    """Where an Ethernet frame's IPv4 addresses and ports lie, and what they are."""

    src: str
    dst: str
    proto: int
    ports: int  # offset in the frame
    sport: int
    dport: int


def ends(frame: bytes) -> Ends | None:
    """None unless it is IPv4 with TCP or UDP, not a later fragment."""
    if frame[12:14] != b"\x08\x00" or len(frame) < 38:
        return None
    head = (frame[14] & 15) * 4
    later = struct.unpack_from(">H", frame, 20)[0] & 0x1FFF
    at = 14 + head
    if frame[23] not in (TCP, UDP) or later or (len(frame) < at + 14 and frame[23] == TCP) or len(frame) < at + 4:
        return None
    sport, dport = struct.unpack_from(">HH", frame, at)
    src, dst = (str(ipaddress.IPv4Address(frame[i : i + 4])) for i in (26, 30))
    return Ends(src, dst, frame[23], at, sport, dport)


def lossy(share: float) -> Change:
    """Each packet is lost with this chance."""

    def change(frames: Iterable[Frame], _: Item) -> Iterator[Frame]:
        rng = np.random.default_rng(SEED)
        for frame in frames:
            if rng.random() >= share:
                yield frame

    return change


def one_way(outward: bool) -> Change:
    """Only what our own hosts send, or only what they are sent."""

    def change(frames: Iterable[Frame], item: Item) -> Iterator[Frame]:
        nets = [ipaddress.ip_network(n) for n in item.nets or ()]
        for frame in frames:
            e = ends(frame[2])
            if e is None or any(ipaddress.ip_address(e.src) in n for n in nets) == outward:
                yield frame

    return change


def nameless(frames: Iterable[Frame], _: Item) -> Iterator[Frame]:
    """Without DNS."""
    for frame in frames:
        e = ends(frame[2])
        if e is None or DNS not in (e.sport, e.dport):
            yield frame


def translated(frames: Iterable[Frame], item: Item) -> Iterator[Frame]:
    """Our clients, towards outside, at one address, as behind NAT; hosts that outsiders open connections to stay.

    A port that another client has already becomes the next free one.
    """
    nets = [ipaddress.ip_network(n) for n in item.nets or ()]
    given: dict[tuple[int, str, int], int] = {}
    taken: dict[tuple[int, int], str] = {}
    nat = ipaddress.IPv4Address(NAT).packed

    @functools.cache
    def ours(address: str) -> bool:
        return any(ipaddress.ip_address(address) in n for n in nets)

    def port(proto: int, address: str, number: int) -> int:
        key = (proto, address, number)
        if key not in given:
            free = number
            while taken.setdefault((proto, free), address) != address:
                free = free % 65_535 + 1
            given[key] = free
        return given[key]

    kept = list(frames)
    servers = {
        e.dst for _, _, f in kept if (e := ends(f)) and e.proto == TCP and f[e.ports + 13] & 0x12 == SYN
        and ours(e.dst) and not ours(e.src)
    }  # fmt: skip
    for seconds, fraction, frame in kept:
        e = ends(frame)
        if e is not None and ours(e.src) != ours(e.dst) and not servers.intersection((e.src, e.dst)):
            inner = (e.src, e.sport) if ours(e.src) else (e.dst, e.dport)
            address, at = (26, e.ports) if ours(e.src) else (30, e.ports + 2)
            changed = bytearray(frame)
            changed[address : address + 4] = nat
            struct.pack_into(">H", changed, at, port(e.proto, *inner))
            frame = bytes(changed)
        yield seconds, fraction, frame


CHANGES: dict[str, Change] = {
    "1 % of packets lost": lossy(0.01),
    "5 % of packets lost": lossy(0.05),
    "10 % of packets lost": lossy(0.10),
    "only what our hosts send": one_way(True),
    "only what our hosts are sent": one_way(False),
    "no DNS": nameless,
    "all clients behind one address": translated,
}


@dataclass(frozen=True)
class Seen:
    """What is still found of a changed capture, at medium and at low, and what is false at medium."""

    change: str
    item: str
    found: tuple[str, ...]
    found_low: tuple[str, ...]
    missed: tuple[str, ...]
    false: tuple[str, ...]


def seen(job: tuple[str, Item]) -> Seen:
    """One capture with one change."""
    change, item = job
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "seen.pcap"
        with path.open("wb") as f:
            f.write(PCAP_HEADER)
            for seconds, fraction, frame in CHANGES[change](packets(item.path), item):
                f.write(struct.pack("<IIII", seconds, fraction, len(frame), len(frame)) + frame)
        o = run.hunted(dataclasses.replace(item, path=path), ablate=False)
    medium = measures.found_of(o)
    low = measures.found_of(o, -math.inf)  # `told` begins at low
    return Seen(
        change,
        item.name,
        tuple(f"{a}:{p}" for a, p in sorted(medium)),
        tuple(f"{a}:{p}" for a, p in sorted(low)),
        tuple(f"{item.name} {a}:{p}" for a, p in sorted(set(o.truth.hops) - medium)),
        tuple(f"{item.name} {t.entity} ({t.score_db:+.1f})" for t in measures.false_of(o)),
    )


def jobs(lab: Iterable[Item]) -> list[tuple[str, Item]]:
    """Every change of every capture."""
    return [(change, item) for item in lab for change in CHANGES]
