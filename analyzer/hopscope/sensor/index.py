"""What the walkers of capture formats have in common."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hopscope.sensor.unpack import Damage

MAX_PACKET = 1 << 18  # bytes; libpcap's MAXIMUM_SNAPLEN


class Index(NamedTuple):
    """Where the packets of a run of bytes stand; the columns of a Chunk without its data."""

    offset: NDArray[np.int64]
    caplen: NDArray[np.int32]
    wirelen: NDArray[np.int32]
    ts: NDArray[np.int64]
    link: NDArray[np.int32]
    file_offset: NDArray[np.int64]


class Walk(NamedTuple):
    """The result of walking a run of bytes: its packets, the bytes used up, why it can't go on (or None)."""

    packets: Index
    used: int
    damage: Damage | None


class Walker(Protocol):
    """Walks one file's bytes, run by run. `links` are the link types seen, `warnings` lines yet to be told;
    `several` says that the file has several interfaces."""

    links: set[int]
    warnings: list[Damage]
    several: bool

    def walk(self, data: NDArray[np.uint8], base: int) -> Walk: ...

    def unfinished(self, rest: int) -> str: ...
