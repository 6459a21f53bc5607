"""Random conversations, orderly and not: what a connection tracker must agree with another about."""

from __future__ import annotations

import random
import struct

from tests.support.captures import RAW, Frame, pcap
from tests.support.traffic import FLAGS, START, ip

# seconds between packets, about the timeouts too, and how often each
_PAUSES = {
    0.0: 1, 1e-6: 2, 0.001: 10, 0.01: 10, 0.2: 6, 0.7: 3, 1: 3, 2.9: 2, 4.9: 2, 5.1: 2, 6.2: 2, 11: 1, 30: 1, 61: 1,
    120: 0.5, 299: 0.3, 301: 0.3, 700: 0.1,
}  # fmt: skip
_PORTS = (80, 443, 22, 21, 23, 1080, 25, 8000, 6667, 4444, 50000, 50001, 31337)
# what an endpoint does: flags, or d (payload), w (zero window), g (payload beyond a gap), o (older payload),
# t (payload again), x (any flags)
_ENDINGS = (
    ((0, "FA"), (1, "FA"), (0, "A")), ((1, "FA"), (0, "A"), (0, "FA")), ((0, "R"),), ((1, "R"),),
    ((0, "FA"), (1, "R")), (), ((0, "FA"),), ((0, "FR"),), ((0, "FA"), (0, "R"), (1, "FA")),
)  # fmt: skip
_ANYTHING = ("S", "SA", "A", "d", "d", "FA", "R", "RA", "FR", "SF", "w", "g", "t", "x")


def random_capture(seed: int, connections: int) -> bytes:
    """A capture of that many conversations (some over one another's ports), the same for the same seed."""
    rng = random.Random(seed)
    frames: list[Frame] = []
    for number in range(connections):
        at = START + rng.random() * 400
        ends = (f"10.0.{number >> 8 & 255}.{number & 255}", f"192.168.{rng.randrange(3)}.{rng.randrange(1, 250)}")
        kind = rng.choices((6, 17, 1, 132), (10, 2, 1, 0.3))[0]
        count = rng.choice((1, 2, 3, 4, 6, 8, 12, 20, 40))
        made = _tcp(rng, number, count) if kind == 6 else _others(rng, kind, number, count)
        for side, payload in made:
            at += rng.choices(tuple(_PAUSES), tuple(_PAUSES.values()))[0]
            frames.append(Frame(ip(ends[side], ends[1 - side], kind, payload), round(at * 1e6) * 1000))
    frames.sort(key=lambda f: f.ts)
    if rng.random() < 0.5:  # some a little out of order
        for k in range(0, len(frames) - 1, 97):
            frames[k], frames[k + 1] = frames[k + 1], frames[k]
    return pcap(frames, link=RAW, nano=False)


def _ports(rng: random.Random, number: int) -> tuple[int, int]:
    return rng.choice((*_PORTS, *([40000 + number % 20000] * 6))), rng.choice(_PORTS)


def _others(rng: random.Random, kind: int, number: int, count: int) -> list[tuple[int, bytes]]:
    ports, made = _ports(rng, number), []
    for _ in range(count):
        side, payload = rng.choice((0, 0, 1)), b"x" * rng.choice((0, 1, 50, 500))
        if kind == 17:
            payload = struct.pack(">HHHH", ports[side], ports[1 - side], 8 + len(payload), 0) + payload
        elif kind == 1:
            payload = (
                struct.pack(">BBHHH", rng.choice((8, 0, 3, 11, 13, 14, 5)), rng.choice((0, 0, 1, 3)), 0, 1, 1) + payload
            )
        made.append((side, bytes(12) + payload if kind == 132 else payload))
    return made


def _script(rng: random.Random, count: int) -> list[tuple[int, str]]:
    """Who does what: mostly a handshake, an exchange and an end, with accidents; or anything at all."""
    if rng.random() >= 0.6:
        return [(rng.randrange(2), rng.choice(_ANYTHING)) for _ in range(count)]
    script = [(0, "S"), (1, "SA"), (0, "A")]
    if rng.random() < 0.2:
        script = script[rng.randrange(1, 3) :]
    script += [(rng.randrange(2), rng.choice("dddAwgto")) for _ in range(count)]
    script += rng.choice(_ENDINGS)
    if rng.random() < 0.3:
        script += [(rng.randrange(2), rng.choice(("S", "SA", "d", "A", "FA", "R"))) for _ in range(rng.randrange(1, 5))]
    if rng.random() < 0.15:
        rng.shuffle(script)
    return script


def _tcp(rng: random.Random, number: int, count: int) -> list[tuple[int, bytes]]:
    ports, made = _ports(rng, number), []
    first = [rng.choice((rng.randrange(2**32), 2**32 - rng.randrange(1, 3000), 0, 1)) for _ in range(2)]
    following = [first[0] + 1, first[1] + 1]
    for side, what in _script(rng, count):
        seq, ack, size = following[side], following[1 - side], 0
        if rng.random() < 0.05:
            ack -= rng.randrange(5000)
        if rng.random() < 0.03:
            ack += rng.randrange(3000)
        if rng.random() < 0.02:
            ack = rng.choice((0, rng.randrange(2**32)))
        flags = sum(FLAGS[letter] for letter in what) if what.isupper() else 16
        if "S" in what:
            if rng.random() < 0.08:
                first[side] = rng.randrange(2**32)
                following[side] = first[side] + 1
            seq = first[side]
        elif what == "w":
            size = rng.choice((0, 0, 10))
        elif what == "d":
            size, flags = rng.randrange(1, 1400), rng.choice((24, 16, 16, 8))
        elif what == "g":
            size, seq = rng.randrange(1, 1400), seq + rng.randrange(1, 4000)
        elif what == "o":
            size, seq = rng.randrange(1, 1400), seq - rng.randrange(1, 2000)
        elif what == "t":
            size = rng.choice((1, 100))
            seq -= rng.choice((1, size, size * 2))
        elif what == "FA":
            size = rng.choice((0, 0, 0, 50))
        elif what == "x":
            flags, size = rng.randrange(64), rng.choice((0, 0, 7))
        elif "R" in what and rng.random() < 0.2:
            seq = rng.choice((7, rng.randrange(2**32)))
        if not flags & 4 and "S" not in what and what != "x":
            following[side] = max(following[side], seq + size + (flags & 1))
        ends, numbers = (ports[side], ports[1 - side]), (seq % 2**32, ack % 2**32)
        header = struct.pack(">HHIIBBHHH", *ends, *numbers, 0x50, flags, 0 if what == "w" else 1000, 0, 0)
        made.append((side, header + b"x" * size))
    return made
