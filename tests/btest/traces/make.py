"""Writes the traces of the records' tests: conversations of a few packets, each for one thing.

Run it in this directory; what it writes is the same each time.
"""

from __future__ import annotations

import random
from pathlib import Path

from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

START = 1_700_000_000.0
CLIENT, SERVER = "10.0.0.11", "198.51.100.7"


class Conversation:
    """A TCP connection; each method adds a packet `after` seconds."""

    def __init__(self, port: int, at: float = START, client_port: int = 40000) -> None:
        self.at = at
        self.packets: list[Packet] = []
        self._ports = client_port, port
        self._seq = [1000, 5000]

    def _add(self, side: int, flags: str, payload: bytes, after: float, again: bool) -> Conversation:
        self.at += after
        ends = (CLIENT, SERVER)
        seq = self._seq[side] - (len(payload) or 1 if again else 0)
        acks = 0 if flags == "S" else self._seq[1 - side]
        packet = (
            Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
            / IP(src=ends[side], dst=ends[1 - side], id=1)
            / TCP(sport=self._ports[side], dport=self._ports[1 - side], flags=flags, seq=seq, ack=acks, window=8192)
        )
        if payload:
            packet /= Raw(payload)
        packet.time = round(self.at, 6)
        self.packets.append(packet)
        if not again:
            self._seq[side] += len(payload) + ("S" in flags) + ("F" in flags)
        return self

    def client(
        self, payload: bytes = b"", flags: str = "PA", after: float = 0.001, again: bool = False
    ) -> Conversation:
        return self._add(0, flags if payload or flags != "PA" else "A", payload, after, again)

    def server(self, payload: bytes = b"", flags: str = "PA", after: float = 0.02, again: bool = False) -> Conversation:
        return self._add(1, flags if payload or flags != "PA" else "A", payload, after, again)

    def opened(self, rtt: float = 0.02) -> Conversation:
        return self.client(flags="S", after=0).server(flags="SA", after=rtt).client()

    def closed(self, rtt: float = 0.02) -> Conversation:
        return self.client(flags="FA").server(flags="FA", after=rtt).client()


def opening() -> list[Packet]:
    """A SYN sent again; a banner; a request in two segments, and one sent again; an ordinary exchange; a SYN missed."""
    noise = random.Random(1).randbytes(300)
    lost = Conversation(7001).client(flags="S", after=0).client(flags="S", after=1, again=True)
    lost.server(flags="SA").client().client(b"hello").server(b"world").closed()
    banner = Conversation(7002, START + 5).opened()
    banner.server(b"welcome\r\n").client(b"thanks\r\n").server(b"bye\r\n").closed()
    split = Conversation(7003, START + 10).opened()
    split.client(noise[:100]).client(noise[100:], after=0.5).server(b"ok").closed()
    again = Conversation(7004, START + 15).opened()
    again.client(noise).client(noise, after=0.3, again=True).server(b"ok").closed()
    plain = Conversation(7005, START + 20).opened().client(noise, after=0.004).server(b"\x00\x01", after=0.09)
    plain.client(b"more").server(b"and more", after=0.11).closed(0.05)
    missed = Conversation(80, START + 25).opened()
    missed.client(b"GET / HTTP/1.0\r\n\r\n").server(b"HTTP/1.0 204 No Content\r\n\r\n").closed()
    del missed.packets[0]
    return [p for c in (lost, banner, split, again, plain, missed) for p in c.packets]


def web() -> list[Packet]:
    """Two requests over one connection, a request through a proxy, CONNECT granted, refused and with too many words."""
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    agent = b"User-Agent: tool/1.0 \xff\x1b[31m\r\n"
    two = Conversation(80).opened()
    two.client(b"GET /a HTTP/1.1\r\nHost: site.example:80\r\n" + agent + b"\r\n").server(page, after=0.03)
    two.client(b"GET /b HTTP/1.1\r\nHost: other.example\r\n\r\n", after=0.2).server(page, after=0.04).closed()
    through = Conversation(3128, START + 5).opened()
    through.client(b"GET http://far.example/x HTTP/1.1\r\nHost: near.example\r\n\r\n").server(page).closed()
    granted = Conversation(3128, START + 10, 40001).opened()
    granted.client(b"CONNECT far.example:4444 HTTP/1.1\r\nHost: far.example:4444\r\n\r\n")
    granted.server(b"HTTP/1.1 200 Connection established\r\n\r\n", after=0.12)
    granted.client(b"\x01\x02").server(b"\x03").closed()
    refused = Conversation(3128, START + 15, 40002).opened()
    refused.client(b"CONNECT far.example:25 HTTP/1.1\r\n\r\n").server(b"HTTP/1.1 403 Forbidden\r\n\r\n").closed()
    worded = Conversation(3128, START + 20, 40003).opened()
    worded.client(b"CONNECT far.example:25 / HTTP/1.0\r\n\r\n").server(b"HTTP/1.0 403 Forbidden\r\n\r\n").closed()
    return [p for c in (two, through, granted, refused, worded) for p in c.packets]


def relays() -> list[Packet]:
    """HTRAN's message in ASCII and UTF-16, and one that only looks like it; chisel's banner in a websocket."""
    message = b"[SERVER]connection to 203.0.113.9:8443 error\r\n"
    ascii_ = Conversation(7001).opened().server(message).closed()
    utf16 = Conversation(7002, START + 5).opened().client(b"x").server(message.decode().encode("utf-16-le")).closed()
    other = Conversation(7003, START + 10).opened()
    other.server(b"[SERVER]ready, connection to 203.0.113.9 made\r\n").closed()
    chisel = Conversation(7004, START + 15).opened()
    chisel.client(b"GET / HTTP/1.1\r\nHost: 203.0.113.9:7004\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    chisel.server(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    chisel.server(b"\x82\x16SSH-chisel-v3-server\r\n", after=0.001).closed()
    return [p for c in (ascii_, utf16, other, chisel) for p in c.packets]


def long() -> list[Packet]:
    """Seventeen minutes of TCP, with a silence in which a segment ends, and eleven of UDP beside it."""
    session = Conversation(7001).opened()
    for after in (100, 150, 40, 20, 280, 200, 230):
        session.client(b"a" * 10, after=after).server(b"b" * 100)
    session.closed()
    udp: list[Packet] = []
    for k in range(23):
        sides = (CLIENT, SERVER) if k % 2 == 0 else (SERVER, CLIENT)
        ports = (5000, 6000) if k % 2 == 0 else (6000, 5000)
        packet = (
            Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
            / IP(src=sides[0], dst=sides[1], id=1)
            / UDP(sport=ports[0], dport=ports[1])
            / Raw(b"u" * 20)
        )
        packet.time = START + 1 + k * 29
        udp.append(packet)
    return session.packets + udp


def midstream() -> list[Packet]:
    """Eleven minutes of TCP without a handshake, both ways, the client's alone, the server's alone; SYNs unanswered."""
    both, client, server = (Conversation(port) for port in (7001, 7002, 7003))
    for _ in range(12):
        for c in (both, client, server):
            c.client(b"a" * 10, after=1).server(b"b" * 100, after=59)
    client.packets = client.packets[::2]
    server.packets = server.packets[1::2]
    scan = Conversation(7004)
    for _ in range(12):
        scan.client(flags="S", after=60, again=True)
    return [p for c in (both, client, server, scan) for p in c.packets]


def session() -> list[Packet]:
    """A person types at a plain shell, with pauses."""
    c = Conversation(7001).opened()
    for after in (0.1, 0.1, 0.9, 0.2, 2.0, 0.1, 0.6):
        c.client(b"k", after=after).server(b"k", after=0.08)
    return c.closed().packets


def names() -> list[Packet]:
    """DNS: answered, answered without an answer, refused, and not answered at all."""
    packets: list[Packet] = []

    def datagram(at: float, message: DNS, port: int, answer: bool = False) -> None:
        ends = (SERVER, CLIENT) if answer else (CLIENT, SERVER)
        ports = (53, port) if answer else (port, 53)
        p = (
            Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
            / IP(src=ends[0], dst=ends[1], id=1)
            / UDP(sport=ports[0], dport=ports[1])
            / message
        )
        p.time = round(START + at, 6)
        packets.append(p)

    ask = DNSQR(qname="www.site.example", qtype="A")
    datagram(0, DNS(id=1, rd=1, qd=ask), 5001)
    answer = [DNSRR(rrname="www.site.example", type="CNAME", rdata="edge.example", ttl=60)]
    answer += [DNSRR(rrname="edge.example", type="A", rdata="203.0.113.5", ttl=30)]
    datagram(0.025, DNS(id=1, qr=1, rd=1, ra=1, qd=ask, an=answer), 5001, answer=True)
    ask = DNSQR(qname="www.site.example", qtype="AAAA")
    datagram(1, DNS(id=2, rd=1, qd=ask), 5002)
    datagram(1.03, DNS(id=2, qr=1, rd=1, ra=1, qd=ask), 5002, answer=True)
    ask = DNSQR(qname="gone.example", qtype="A")
    datagram(2, DNS(id=3, rd=1, qd=ask), 5003)
    datagram(2.035, DNS(id=3, qr=1, rd=1, ra=1, rcode=3, qd=ask), 5003, answer=True)
    datagram(3, DNS(id=4, rd=1, qd=DNSQR(qname=b"od\x01d\\name.example", qtype="TXT")), 5004)
    return packets


def main() -> None:
    """Write all traces."""
    here = Path(__file__).parent
    for make in (opening, web, relays, long, midstream, session, names):
        wrpcap(str(here / f"{make.__name__}.pcap"), sorted(make(), key=lambda p: p.time))


if __name__ == "__main__":
    main()
