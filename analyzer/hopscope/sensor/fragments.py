"""IP fragments to whole datagrams: the slow lane, in Python, bounded in number, bytes and time.

As in Zeek: a datagram is told by source, destination and identification; bytes that came first stay when
fragments overlap; the datagram counts as one packet, with its own length, at the time of the fragment that
completes it; a datagram not complete after five minutes (by packet time) is forgotten.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from dataclasses import dataclass, field

TIMEOUT_NS = 300 * 1_000_000_000  # Zeek's frag_timeout
MAX_DATAGRAMS = 8192  # incomplete ones kept at a time
MAX_HELD = 64 << 20  # bytes of payload kept at a time
_MAX_IP = 65535  # bytes of a datagram, by the length field

Key = tuple[bool, int, bytes, int]


@dataclass(frozen=True)
class Fragment:
    """One fragment: `header` is its IP header (IPv6: with the extension headers before the fragment
    header), `proto` the protocol of the datagram's payload, `ts` nanoseconds; `tunnelled` fragments don't mix with
    others."""

    ts: int
    version: int
    header: bytes
    payload: bytes
    offset: int
    more: bool
    ident: int
    proto: int
    tunnelled: bool = False

    def key(self) -> Key:
        """What the fragments of one datagram have in common."""
        addresses = self.header[12:20] if self.version == 4 else self.header[8:40]
        return self.tunnelled, self.version, addresses, self.ident


@dataclass
class _Datagram:
    first: Fragment
    proto: int
    size: int = 0  # bytes of the whole payload, 0 as long as its end wasn't seen
    count: int = 0  # fragments
    payload: bytearray = field(default_factory=bytearray)
    spans: list[tuple[int, int]] = field(default_factory=list)  # of the payload: filled, ascending, apart

    def add(self, f: Fragment) -> int:
        """Put a fragment in; returns by how many bytes the buffer grew."""
        before = len(self.payload)
        end = f.offset + len(f.payload)
        self.count += 1
        if f.offset == 0:
            self.proto = f.proto
        if not f.more or (self.size and end > self.size):
            self.size = max(self.size, end)
        if end > before:
            self.payload.extend(bytes(end - before))
        self._fill(f.offset, end, f.payload)
        return len(self.payload) - before

    def _fill(self, start: int, end: int, payload: bytes) -> None:
        """Write what is missing of [start, end) and merge the spans it touches."""
        lo = bisect_left(self.spans, start, key=lambda s: s[1])  # first span that ends at or behind the start
        hi, at = lo, start
        while hi < len(self.spans) and self.spans[hi][0] <= end:
            begin, stop = self.spans[hi]
            if at < begin:
                self.payload[at:begin] = payload[at - start : begin - start]
            at = max(at, stop)
            hi += 1
        if at < end:
            self.payload[at:end] = payload[at - start :]
        touched = self.spans[lo:hi]
        if touched:
            start, end = min(start, touched[0][0]), max(end, touched[-1][1])
        if end > start:
            self.spans[lo:hi] = [(start, end)]

    def whole(self) -> bytes | None:
        """The datagram's payload when it is complete. What stands behind its end, without a hole, belongs to it."""
        if not self.size or not self.spans or self.spans[0][0] > 0 or self.spans[0][1] < self.size:
            return None
        return bytes(self.payload[: self.spans[0][1]])


class Reassembler:
    """Puts datagrams together. `lost` counts fragments of datagrams given up (too old, too many, too large)."""

    def __init__(self, max_datagrams: int = MAX_DATAGRAMS, max_held: int = MAX_HELD):
        self.lost = 0
        self._max_datagrams, self._max_held = max_datagrams, max_held
        self._open: dict[Key, _Datagram] = {}  # in the order they began
        self._held = 0

    def __len__(self) -> int:
        """Datagrams not complete yet."""
        return len(self._open)

    @property
    def waiting(self) -> int:
        """Fragments of datagrams not complete yet."""
        return sum(d.count for d in self._open.values())

    def add(self, f: Fragment) -> bytes | None:
        """Take one fragment; the whole IP packet when this completes it."""
        self._expire(f.ts)
        key = f.key()
        datagram = self._open.get(key)
        if datagram is None:
            datagram = self._open[key] = _Datagram(f, f.proto)
        self._held += datagram.add(f)
        payload = datagram.whole()
        if payload is not None:
            self._forget(key)
            if len(datagram.first.header) + len(payload) > _MAX_IP:
                self.lost += datagram.count
                return None
            return _packet(datagram.first, datagram.proto, payload)
        while len(self._open) > self._max_datagrams or self._held > self._max_held:
            self._give_up(next(iter(self._open)))
        return None

    def _expire(self, now: int) -> None:
        while self._open:
            key = next(iter(self._open))
            if now - self._open[key].first.ts < TIMEOUT_NS:
                break
            self._give_up(key)

    def _give_up(self, key: Key) -> None:
        self.lost += self._open[key].count
        self._forget(key)

    def _forget(self, key: Key) -> None:
        self._held -= len(self._open.pop(key).payload)


def _packet(first: Fragment, proto: int, payload: bytes) -> bytes:
    """An IP packet with the header of the fragment that came first, made right for the whole."""
    header = bytearray(first.header)
    if first.version == 4:
        header[2:4] = (len(header) + len(payload)).to_bytes(2, "big")
        header[6:8] = bytes(2)
        header[9] = proto
        header[10:12] = bytes(2)
        total = sum(struct.unpack(f">{len(header) // 2}H", header))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        header[10:12] = (total ^ 0xFFFF).to_bytes(2, "big")
    else:
        header[4:6] = (len(header) - 40 + len(payload)).to_bytes(2, "big")
        header[_last_next(header)] = proto
    return bytes(header) + payload


def _last_next(header: bytearray) -> int:
    """Position of the Next Header field that named the fragment header."""
    at, end, kind = 6, 40, header[6]
    while end + 2 <= len(header):
        size = (header[end + 1] + 2) * 4 if kind == 51 else (header[end + 1] + 1) * 8
        at, kind, end = end, header[end], end + size
    return at
