"""Classic pcap files: 24 bytes of file header, then per packet a record header and its bytes.

Format: draft-ietf-opsawg-pcap. Both byte orders, microseconds and nanoseconds, and the 24-byte record
headers of the "modified" variant. Limits follow libpcap, which Zeek reads with: a packet longer than the
file's snap length is cut to it, one longer than 256 KiB is damage.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hopscope.sensor.compiled import kernel
from hopscope.sensor.index import MAX_PACKET, Index, Walk
from hopscope.sensor.unpack import Damage
from hopscope.sensor.wire import u32, u32_little

FILE_HEADER = 24  # bytes
_VERSION_MAJOR = 2


class _Variant(NamedTuple):
    little: bool  # byte order of the headers
    nanoseconds: bool
    record_header: int  # bytes


_VARIANTS = {
    bytes.fromhex(magic): variant
    for magic, variant in {
        "d4c3b2a1": _Variant(True, False, 16),
        "a1b2c3d4": _Variant(False, False, 16),
        "4d3cb2a1": _Variant(True, True, 16),
        "a1b23c4d": _Variant(False, True, 16),
        "34cdb2a1": _Variant(True, False, 24),
        "a1b2cd34": _Variant(False, False, 24),
    }.items()
}
MAGICS = frozenset(_VARIANTS)

# how the walk of a chunk ended
_MORE, _TOO_LONG, _ZEROS = 0, 1, 2


class PcapWalker:
    """Walks a pcap file chunk by chunk; made from its first 24 bytes."""

    def __init__(self, head: bytes):
        variant = _VARIANTS[head[:4]]
        order: Literal["little", "big"] = "little" if variant.little else "big"
        self._little = variant.little
        self._nano = variant.nanoseconds
        self._header = variant.record_header
        self.major = int.from_bytes(head[4:6], order)
        snap = int.from_bytes(head[16:20], order)
        self.link = int.from_bytes(head[20:24], order) & 0xFFFF
        self._snap = snap if 0 < snap <= MAX_PACKET else MAX_PACKET
        self.links = {self.link}
        self.warnings: list[Damage] = []
        self.several = False
        self._warned = False

    def refusal(self) -> tuple[str, str] | None:
        """Problem and remedy when this is a pcap that can't be read, else None."""
        if self.major != _VERSION_MAJOR:
            return f"pcap version {self.major} is unknown", "convert it with editcap -F pcapng"
        return None

    def walk(self, data: NDArray[np.uint8], base: int) -> Walk:
        """Index the whole packets in `data`, whose first byte stands at `base` of the file."""
        room = data.size // self._header + 1
        offset = np.empty(room, np.int64)
        caplen, wirelen = np.empty((2, room), np.int32)
        ts = np.empty(room, np.int64)
        n, used, status, long_at = _walk(
            data, self._little, self._nano, self._header, self._snap, MAX_PACKET, offset, caplen, wirelen, ts
        )
        if long_at >= 0 and not self._warned:
            self._warned = True
            self.warnings.append(
                Damage(
                    base + long_at,
                    f"a packet is longer than the file's snap length of {self._snap} bytes",
                    "such packets are cut to it, as libpcap does",
                )
            )
        damage = None
        if status == _TOO_LONG:
            damage = Damage(
                base + used,
                f"a packet claims more than {MAX_PACKET} bytes, so this is no packet header",
                "the file is damaged here; recapture, or cut it before this byte",
            )
        elif status == _ZEROS:
            damage = Damage(
                base + used,
                "zeros stand where a packet header should be",
                "the file was not written to its end; what stood before was read",
            )
        index = Index(
            offset[:n],
            caplen[:n],
            wirelen[:n],
            ts[:n],
            np.full(n, self.link, np.int32),
            offset[:n] + (base - self._header),
        )
        return Walk(index, used, damage)

    def unfinished(self, rest: int) -> str:
        """What it means that `rest` bytes were left at the end."""
        return "the capture ends in the middle of a packet"


@kernel
def _walk(d, little, nano, header, snap, limit, offset, caplen, wirelen, ts):  # type: ignore[no-untyped-def]
    """Follow the record headers; returns packets, bytes used, how it ended, first overlong packet or -1."""
    p, n, long_at = 0, 0, -1
    scale = 1 if nano else 1000
    while p + header <= d.size:
        if little:
            sec, frac, cap, wire = u32_little(d, p), u32_little(d, p + 4), u32_little(d, p + 8), u32_little(d, p + 12)
        else:
            sec, frac, cap, wire = u32(d, p), u32(d, p + 4), u32(d, p + 8), u32(d, p + 12)
        if cap > limit:
            return n, p, _TOO_LONG, long_at
        if sec == 0 and frac == 0 and cap == 0 and wire == 0:
            return n, p, _ZEROS, long_at
        if p + header + cap > d.size:
            break
        offset[n] = p + header
        if cap > snap and long_at < 0:
            long_at = p
        caplen[n] = min(cap, snap)
        wirelen[n] = min(max(wire, cap), 0x7FFFFFFF)
        ts[n] = sec * 1_000_000_000 + frac * scale
        n += 1
        p += header + cap
    return n, p, _MORE, long_at
