"""Conversations written packet by packet, and the records that the sensor makes of them."""

from __future__ import annotations

import io
import ipaddress
import struct
from dataclasses import dataclass, field
from typing import Any

from hopscope.config import Config
from hopscope.records import InputCount
from hopscope.sensor.read import records
from tests.support.captures import RAW, Frame, pcap

START = 1_700_000_000.0  # epoch seconds of the first packet, unless told otherwise
CLIENT, SERVER = "10.0.0.5", "203.0.113.7"
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}


def ip(src: str, dst: str, proto: int, payload: bytes) -> bytes:
    """An IP packet of either version."""
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if a.version == 4:
        return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, proto, 0) + a.packed + b.packed + payload
    return struct.pack(">IHBB", 0x60000000, len(payload), proto, 64) + a.packed + b.packed + payload


@dataclass
class Capture:
    """Packets of a capture under construction; times are seconds after START."""

    frames: list[Frame] = field(default_factory=list)

    def add(self, at: float, packet: bytes, wirelen: int | None = None) -> None:
        self.frames.append(Frame(packet, round((START + at) * 1e6) * 1000, wirelen))

    def udp(
        self, at: float, payload: bytes, *, back: bool = False, ports: tuple[int, int] = (40000, 9999),
        ends: tuple[str, str] = (CLIENT, SERVER),
    ) -> None:  # fmt: skip
        """A datagram from the first end, or `back` from the second."""
        (src, dst), (sport, dport) = (ends[::-1], ports[::-1]) if back else (ends, ports)
        self.add(at, ip(src, dst, 17, struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload))

    def icmp(
        self, at: float, kind: int, code: int = 0, *, back: bool = False, ends: tuple[str, str] = (CLIENT, SERVER)
    ) -> None:
        """An ICMP message with 56 bytes of payload."""
        src, dst = ends[::-1] if back else ends
        self.add(at, ip(src, dst, 1, struct.pack(">BBHHH", kind, code, 0, 1, 1) + bytes(56)))

    def records(self, **options: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """(connections, DNS queries) in the order of their start."""
        return read(self.pcap(), **options)

    def pcap(self) -> bytes:
        return pcap(sorted(self.frames, key=lambda f: f.ts), link=RAW)


def read(
    raw: bytes, count: InputCount | None = None, **options: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The records of a capture file's bytes."""
    connections, queries = [], []
    for batch in records(io.BytesIO(raw), "test", Config(), count or InputCount(), **options):
        connections += batch.connections.to_pylist()
        queries += batch.dns_queries.to_pylist()
    connections.sort(key=lambda r: (r["ts"], r["uid"], r["seg"]))
    queries.sort(key=lambda r: r["ts"])
    return connections, queries


class Tcp:
    """A TCP connection: each packet goes at a time, one way or `back`; sequence numbers follow by themselves."""

    def __init__(
        self, capture: Capture, *, ports: tuple[int, int] = (40000, 4444), ends: tuple[str, str] = (CLIENT, SERVER),
        seqs: tuple[int, int] = (1000, 5000),
    ) -> None:  # fmt: skip
        self.capture, self.ports, self.ends = capture, ports, ends
        self.next = list(seqs)

    def packet(
        self, at: float, flags: str, payload: bytes = b"", *, back: bool = False, shift: int = 0,
        ack: int | None = None, window: int = 65535, cut: int = 0, ahead: bool = False,
    ) -> None:  # fmt: skip
        """One packet. `shift` moves its sequence number and then does not advance the stream; `ahead` too,
        though the next packet goes where this one would have ended; `cut` bytes were not captured."""
        me = int(back)
        (src, dst), (sport, dport) = (self.ends[::-1], self.ports[::-1]) if back else (self.ends, self.ports)
        number = sum(FLAGS[f] for f in flags)
        acknowledged = self.next[1 - me] if ack is None else ack
        segment = struct.pack(
            ">HHIIBBHHH", sport, dport, (self.next[me] + shift) % 2**32,
            acknowledged % 2**32 if "A" in flags else 0, 0x50, number, window, 0, 0,
        )  # fmt: skip
        packet = ip(src, dst, 6, segment + payload)
        self.capture.add(at, packet[: len(packet) - cut] if cut else packet, len(packet))
        if not shift or ahead:
            self.next[me] += shift + ("R" not in flags) * len(payload) + ("S" in flags) + ("F" in flags)

    def say(self, at: float, payload: bytes | int, **options: Any) -> None:
        """Payload (or so many bytes of it) with an ACK."""
        self.packet(at, "PA", payload if isinstance(payload, bytes) else b"x" * payload, **options)

    def open(self, at: float = 0.0, rtt: float = 0.02, local: float = 0.001) -> float:
        """The three-way handshake; returns when it ends."""
        self.packet(at, "S")
        self.packet(at + rtt, "SA", back=True)
        self.packet(at + rtt + local, "A")
        return at + rtt + local

    def close(self, at: float) -> None:
        """FIN, FIN, ACK, 10 ms each."""
        self.packet(at, "FA")
        self.packet(at + 0.01, "FA", back=True)
        self.packet(at + 0.02, "A")
