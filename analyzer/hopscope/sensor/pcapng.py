"""pcapng files: blocks of many kinds, of which three carry packets.

Format: draft-ietf-opsawg-pcapng. Sections in either byte order, one after another; several interfaces with
their own link type, time resolution and offset; enhanced, simple and the obsolete packet blocks. Other
blocks are skipped. A block whose two lengths disagree is damage: nothing behind it can be trusted.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hopscope.sensor.compiled import helper, kernel
from hopscope.sensor.index import MAX_PACKET, Index, Walk
from hopscope.sensor.unpack import Damage
from hopscope.sensor.wire import u32, u32_little

MAGIC = b"\x0a\x0d\x0d\x0a"
MAX_BLOCK = 1 << 24  # bytes; as libpcap
MAX_INTERFACES = 4096  # in one section

_SECTION, _INTERFACE, _PACKET_OLD, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_OPT_END, _OPT_RESOLUTION, _OPT_OFFSET = 0, 9, 14
_SMALLEST = 12  # bytes of a block without a body

# how the walk of a run of blocks ended
_MORE, _STRUCTURE, _LENGTH, _STRAY, _OVERRUN, _TOO_LONG = range(6)

_DAMAGES = {
    _LENGTH: "a block's two lengths disagree or make no sense",
    _STRAY: "a packet belongs to an interface that the file doesn't describe",
    _OVERRUN: "a packet claims more bytes than its block has",
    _TOO_LONG: f"a packet claims more than {MAX_PACKET} bytes",
}
_REMEDY = "the file is damaged here; recapture, or cut it before this byte"

# columns of the interface table
_LINK, _SNAP, _SHIFT, _UNITS, _START = range(5)


class PcapngWalker:
    """Walks a pcapng file run by run, remembering its section and interfaces."""

    def __init__(self) -> None:
        self.links: set[int] = set()
        self.warnings: list[Damage] = []
        self.several = False
        self._order: Literal["little", "big"] = "little"
        self._interfaces = np.zeros((8, 5), np.int64)
        self._count = 0
        self._last = np.zeros(1, np.int64)  # ns; time of the last packet that had one
        self._warned: set[str] = set()

    def walk(self, data: NDArray[np.uint8], base: int) -> Walk:
        """Index the packets of the whole blocks in `data`, whose first byte stands at `base` of the file."""
        room = data.size // _SMALLEST + 1
        offset, ts, place = np.empty((3, room), np.int64)
        caplen, wirelen, link = np.empty((3, room), np.int32)
        n, p, damage = 0, 0, None
        while True:
            n, p, status, long_at, untimed_at = _walk(
                data,
                p,
                n,
                self._order == "little",
                self._interfaces,
                self._count,
                self._last,
                offset,
                caplen,
                wirelen,
                ts,
                link,
                place,
            )
            if long_at >= 0:
                self._warn(base + long_at, "a packet is longer than its interface's snap length", "it is kept whole")
            if untimed_at >= 0:
                self._warn(
                    base + untimed_at,
                    "simple packet blocks have no time",
                    "they get the time of the packet before; capture to enhanced blocks for true times",
                )
            if status in _DAMAGES:
                damage = Damage(base + p, _DAMAGES[status], _REMEDY)
            if status != _STRUCTURE:
                break
            size, problem = self._structure(data, p)
            if problem:
                damage = Damage(base + p, problem, _REMEDY)
            if not size:
                break
            p += size
        place[:n] += base
        if self._described() - self.links:
            self.links.update(np.unique(link[:n]).tolist())
        return Walk(Index(offset[:n], caplen[:n], wirelen[:n], ts[:n], link[:n], place[:n]), p, damage)

    def unfinished(self, rest: int) -> str:
        """What it means that `rest` bytes were left at the end."""
        return "the capture ends in the middle of a block"

    def _described(self) -> set[int]:
        return set(self._interfaces[: self._count, _LINK].tolist())

    def _warn(self, at: int, problem: str, remedy: str) -> None:
        if problem not in self._warned:
            self._warned.add(problem)
            self.warnings.append(Damage(at, problem, remedy))

    def _structure(self, data: NDArray[np.uint8], p: int) -> tuple[int, str]:
        """Take in a section header or an interface description; its size (0: not there yet) and any problem."""
        head = data[p : p + 12].tobytes()
        if head.startswith(MAGIC):
            if len(head) < 12:
                return 0, ""
            if head[8:12] == b"\x4d\x3c\x2b\x1a":
                self._order = "little"
            elif head[8:12] == b"\x1a\x2b\x3c\x4d":
                self._order = "big"
            else:
                return 0, "a section header has no known byte order"
        size = int.from_bytes(head[4:8], self._order)
        section = head.startswith(MAGIC)
        if not (28 if section else 20) <= size <= MAX_BLOCK or size % 4:
            return 0, _DAMAGES[_LENGTH]
        if p + size > data.size:
            return 0, ""
        block = data[p : p + size].tobytes()
        if block[-4:] != head[4:8]:
            return 0, _DAMAGES[_LENGTH]
        if section:
            self._count = 0
            major = int.from_bytes(block[12:14], self._order)
            return (size, "") if major == 1 else (0, f"pcapng version {major} is unknown")
        if self._count == MAX_INTERFACES:
            return 0, f"a section describes more than {MAX_INTERFACES} interfaces"
        self._add_interface(block[8:-4])
        return size, ""

    def _add_interface(self, body: bytes) -> None:
        if self._count == len(self._interfaces):
            self._interfaces = np.concatenate([self._interfaces, np.zeros_like(self._interfaces)])
        shift, units, start = 0, 10**6, 0
        for code, value in self._options(body[8:]):
            if code == _OPT_RESOLUTION and value:
                exponent = value[0] & 0x7F
                if value[0] & 0x80:
                    shift, units = min(exponent, 63), 0
                else:
                    units = 10 ** min(exponent, 18)
            elif code == _OPT_OFFSET and len(value) == 8:
                start = int.from_bytes(value, self._order, signed=True)
        row = self._interfaces[self._count]
        row[_LINK] = int.from_bytes(body[:2], self._order)
        row[_SNAP] = int.from_bytes(body[4:8], self._order)
        row[_SHIFT], row[_UNITS] = shift, units
        row[_START] = max(-(2**33), min(start, 2**33))  # further from 1970 than any capture; keeps sums in range
        self._count += 1
        self.several = self.several or self._count > 1

    def _options(self, body: bytes) -> list[tuple[int, bytes]]:
        found, p = [], 0
        while p + 4 <= len(body):
            code = int.from_bytes(body[p : p + 2], self._order)
            size = int.from_bytes(body[p + 2 : p + 4], self._order)
            if code == _OPT_END or p + 4 + size > len(body):
                break
            found.append((code, body[p + 4 : p + 4 + size]))
            p += 4 + (size + 3) // 4 * 4
        return found


@helper
def _time(high, low, shift, units, start):  # type: ignore[no-untyped-def]
    """Nanoseconds since the epoch of a 64-bit time in 2**-shift s (units 0) or 1/units s, from `start` s."""
    stamp = np.uint64(high) << np.uint64(32) | np.uint64(low)
    if units == 0:
        seconds = np.int64(stamp >> np.uint64(shift))
        part = np.int64(stamp - (np.uint64(seconds) << np.uint64(shift)))
        if shift > 30:
            part, shift = part >> (shift - 30), 30
        nano = part * 1_000_000_000 >> shift
    else:
        seconds, part = np.int64(stamp // np.uint64(units)), np.int64(stamp % np.uint64(units))
        nano = part * (1_000_000_000 // units) if units <= 1_000_000_000 else part // (units // 1_000_000_000)
    return (seconds + start) * 1_000_000_000 + nano


@kernel
def _walk(  # type: ignore[no-untyped-def]
    d, p, n, little, interfaces, count, last, offset, caplen, wirelen, ts, link, place
):
    """Follow the blocks from `p` until one that changes the structure; packets are added from row `n`.

    Returns rows, position, how it ended, and where the first packet longer than its snap length and the
    first without a time stand (-1: none).
    """
    long_at, untimed_at = -1, -1
    while p + _SMALLEST <= d.size:
        kind = u32_little(d, p) if little else u32(d, p)
        size = u32_little(d, p + 4) if little else u32(d, p + 4)
        if kind in (_SECTION, _INTERFACE):  # the section's magic reads the same in both byte orders
            return n, p, _STRUCTURE, long_at, untimed_at
        if size < _SMALLEST or size > MAX_BLOCK or size % 4:
            return n, p, _LENGTH, long_at, untimed_at
        if p + size > d.size:
            break
        if (u32_little(d, p + size - 4) if little else u32(d, p + size - 4)) != size:
            return n, p, _LENGTH, long_at, untimed_at
        if kind in (_ENHANCED, _PACKET_OLD, _SIMPLE):
            simple = kind == _SIMPLE
            body = p + (12 if simple else 28)
            if body + 4 > p + size:
                return n, p, _LENGTH, long_at, untimed_at
            which = np.int64(0)
            if kind == _ENHANCED:
                which = u32_little(d, p + 8) if little else u32(d, p + 8)
            elif kind == _PACKET_OLD:  # 16 bits, beside 16 bits of drops
                which = u32_little(d, p + 8) & 0xFFFF if little else u32(d, p + 8) >> 16
            if which >= count:
                return n, p, _STRAY, long_at, untimed_at
            snap = interfaces[which, _SNAP]
            wire = u32_little(d, body - 4) if little else u32(d, body - 4)
            if simple:
                cap = min(wire, p + size - 4 - body)
                if snap:
                    cap = min(cap, snap)
                if untimed_at < 0:
                    untimed_at = p
            else:
                cap = u32_little(d, body - 8) if little else u32(d, body - 8)
                high = u32_little(d, p + 12) if little else u32(d, p + 12)
                low = u32_little(d, p + 16) if little else u32(d, p + 16)
                row = interfaces[which]
                last[0] = _time(high, low, row[_SHIFT], row[_UNITS], row[_START])
                if cap > p + size - 4 - body:
                    return n, p, _OVERRUN, long_at, untimed_at
                if snap and cap > snap and long_at < 0:
                    long_at = p
            if cap > MAX_PACKET:
                return n, p, _TOO_LONG, long_at, untimed_at
            offset[n], caplen[n], wirelen[n] = body, cap, min(max(wire, cap), 0x7FFFFFFF)
            ts[n], link[n], place[n] = last[0], interfaces[which, _LINK], p
            n += 1
        p += size
    return n, p, _MORE, long_at, untimed_at
