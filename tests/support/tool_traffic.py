"""What relay tools leave on the wire, packet by packet, as docs/tools.md tells it from public descriptions.

Contents that nothing reads are filler. `traffic.CLIENT` is ours, `traffic.SERVER` the hop.
"""

from __future__ import annotations

import random
import socket
import struct

from support.messages import client_hello, dns, record, resource, sized, tls13
from support.traffic import CLIENT, SERVER, Capture, Tcp

RTT = 0.02  # seconds to the hop and back
BEHIND = 0.07  # seconds from the hop to the far end and back


def sealed(size: int) -> bytes:
    """A TLS record of application data."""
    return b"\x17\x03\x03" + sized(2, bytes(size))


def tls(tcp: Tcp, at: float, behind: float = 0.0, dial: float = 0.0, sni: str | None = None) -> float:
    """A TLS session's beginning; `behind` is what each answer takes beyond the hop, `dial` the first one more."""
    tcp.say(at, record(client_hello(sni), version=0x0301))
    at += RTT + behind + dial
    tcp.say(at, tls13()[1], back=True)
    tcp.say(at + 0.001, sealed(53))  # Finished
    tcp.say(at + 0.001 + RTT + behind, sealed(250), back=True)
    return at + 0.002 + RTT + behind


def redirected(calls: int = 8) -> Capture:
    """A port that passes TLS on, and dials when it is called: HTRAN -tran, lcx -tran, ZXPortMap's first mode."""
    capture = Capture()
    for call in range(calls):
        tcp = Tcp(capture, ports=(40000 + call, 443))
        at = tls(tcp, tcp.open(call * 6.0, RTT) + 0.001, BEHIND, dial=BEHIND)
        tcp.say(at + 0.1, sealed(300))
        tcp.say(at + 0.1 + RTT + BEHIND, sealed(500), back=True)
        tcp.close(at + 0.6)
    return capture


def granted(*exchange: tuple[bytes, bytes], port: int = 1080, calls: int = 3) -> Capture:
    """A proxy that is asked to relay (what the client says, what it is answered), and then passes TLS on."""
    capture = Capture()
    for call in range(calls):
        tcp = Tcp(capture, ports=(40000 + call, port))
        at = tcp.open(call * 7.0, RTT) + 0.001
        for said, answer in exchange:
            tcp.say(at, said)
            tcp.say(at + RTT, answer, back=True)
            at += RTT + 0.001
        tcp.close(tls(tcp, at, BEHIND) + 0.5)
    return capture


def socks5(target: str, port: int = 443) -> tuple[tuple[bytes, bytes], ...]:
    """A SOCKS5 request and its grant."""
    request = b"\5\1\0\1" + socket.inet_aton(target) + struct.pack(">H", port)
    return (b"\5\1\0", b"\5\0"), (request, b"\5\0\0\1" + bytes(6))


def driven(tcp: Tcp, at: float, *, secret: bool = False, exchanges: int = 30, seed: int = 1) -> float:
    """An operator behind the hop works on our side: asks after silences as people do, and is answered at once."""
    rng = random.Random(seed)
    filler = sealed if secret else bytes
    for _ in range(exchanges):
        at += rng.uniform(0.7, 6.0)
        tcp.say(at, filler(rng.randint(20, 60)), back=True)
        tcp.say(at + RTT / 4, filler(rng.randint(80, 400)))
        tcp.packet(at + RTT, "A", back=True)
    return at


def lcx_slave() -> Capture:
    """lcx or HTRAN -slave: it calls the hop and waits; once the operator is there, a spare connection waits."""
    capture = Capture()
    working = Tcp(capture, ports=(40000, 8443))
    at = working.open(0.0, RTT)
    spare = Tcp(capture, ports=(40001, 8443), seqs=(2000, 6000))
    spare.open(at + 3.1, RTT)
    spare.close(working_end := driven(working, at + 3.0) + 1.0)
    working.close(working_end)
    return capture


def zxportmap_reverse(keep_alive: float = 8.2) -> Capture:
    """ZXPortMap's second mode: a byte of 0 every while until the hop says a byte; then the connection carries."""
    capture = Capture()
    tcp = Tcp(capture, ports=(40000, 8443))
    at = tcp.open(0.0, RTT)
    for _ in range(3):
        at += keep_alive
        tcp.say(at, b"\0")
        tcp.packet(at + RTT, "A", back=True)
    tcp.say(at + 3, b"\0", back=True)
    tcp.close(driven(tcp, at + 3) + 1.0)
    return capture


def earthworm_rssocks(operator: bool = True) -> Capture:
    """EarthWorm's rssocks: a control connection, and one more for each SOCKS request, which the hop's side makes."""
    capture = Capture()
    control = Tcp(capture, ports=(40000, 8888))
    at = control.open(0.0, RTT) + 0.001
    control.say(at, b"\1\1" + bytes(4))
    control.say(at + RTT, b"\1\2" + bytes(4), back=True)
    if operator:
        control.say(at + 3.0, b"\1\3" + bytes(4), back=True)
        work = Tcp(capture, ports=(40001, 8888), seqs=(2000, 6000))
        at = work.open(at + 3.01, RTT) + 0.001
        work.say(at, b"\1\4" + bytes(4))
        work.say(at + RTT, b"\1\5" + bytes(4), back=True)
        for asked, answer in socks5("10.0.0.70", 3389):
            work.say(at + RTT + 0.001, asked, back=True)
            work.say(at + RTT + 0.003, answer)
            at += RTT
        at = driven(work, at + RTT) + 1.0
        work.close(at)
    control.close(at + 2.0)
    return capture


def frp_yamux(window: int) -> Capture:
    """frp's client over TCP without TLS: yamux opens a stream with a window larger by `window`, then its login."""
    capture = Capture()
    tcp = Tcp(capture, ports=(40000, 7000))
    at = tcp.open(0.0, RTT) + 0.001
    tcp.say(at, struct.pack(">BBHII", 0, 1, 1, 1, window))
    tcp.say(at + 0.0001, struct.pack(">BBHII", 0, 0, 0, 1, 182))
    tcp.say(at + 0.0002, b"o" + struct.pack(">Q", 173) + bytes(173))
    tcp.say(at + RTT, struct.pack(">BBHII", 0, 1, 2, 1, window), back=True)
    tcp.close(driven(tcp, at + RTT) + 1.0)
    return capture


def yamux_in_tls(port: int) -> Capture:
    """ligolo-ng and revsocks: one TLS session without a name, in which the hop's side opens streams."""
    capture = Capture()
    tcp = Tcp(capture, ports=(40000, port))
    at = tls(tcp, tcp.open(0.0, RTT) + 0.001)
    tcp.close(driven(tcp, at, secret=True) + 1.0)
    return capture


def named(name: str, address: str, port: int = 443) -> Capture:
    """A name that is asked for, and a TLS session to what it led to."""
    capture = Capture()
    resolver = (CLIENT, "10.0.0.53")
    capture.udp(0.0, dns(name), ports=(50000, 53), ends=resolver)
    answer = dns(name, answers=(resource(1, socket.inet_aton(address)),), flags=0x8180)
    capture.udp(0.01, answer, back=True, ports=(50000, 53), ends=resolver)
    tcp = Tcp(capture, ports=(40000, port), ends=(CLIENT, address))
    tcp.close(tls(tcp, tcp.open(0.02, RTT) + 0.001, sni=name) + 5.0)
    return capture


def moved(capture: Capture, client: str, server: str) -> Capture:
    """The same conversations between other ends; datagrams to a resolver keep theirs."""
    ours, theirs = (socket.inet_aton(address) for address in (CLIENT, SERVER))
    new = {ours: socket.inet_aton(client), theirs: socket.inet_aton(server)}
    frames = []
    for frame in capture.frames:  # IPv4 without a link layer
        ends = [frame.data[at : at + 4] for at in (12, 16)]
        data = frame.data[:12] + b"".join(new.get(end, end) for end in ends) + frame.data[20:]
        frames.append(frame._replace(data=data))
    return Capture(frames)
