"""How the tracker's numbers are written: connection uids and addresses."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

UID_LENGTH = 19  # "C" and two numbers of nine digits

_DIGITS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", np.uint8)
_BASE = np.uint64(62)
_MOST_ADDRESSES = 1 << 18  # kept in the cache


def seed_of(sensor: str) -> int:
    """The number that a sensor's name puts into its uids."""
    return int.from_bytes(hashlib.blake2b(sensor.encode(), digest_size=8).digest(), "little")


def uids(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> pa.StringArray:
    """Uids of the pairs of numbers, as Zeek writes its own: "C" and base 62."""
    n = a.shape[0]
    text = np.empty((n, UID_LENGTH), np.uint8)
    text[:, 0] = ord("C")
    for first, number in ((1, a), (10, b)):
        rest = number.copy()
        for k in range(9):
            text[:, first + k] = _DIGITS[(rest % _BASE).astype(np.intp)]
            rest //= _BASE
    offsets = np.arange(n + 1, dtype=np.int32) * UID_LENGTH
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(text))


class Addresses:
    """Texts of addresses, and whether each lies in the monitored networks; looked up once, then remembered."""

    def __init__(self, local_nets: Sequence[str]) -> None:
        self._nets = [ipaddress.ip_network(net) for net in local_nets]
        self._known: dict[tuple[int, int, int], tuple[str, bool]] = {}

    def lookup(
        self, version: NDArray[np.uint8], hi: NDArray[np.uint64], lo: NDArray[np.uint64]
    ) -> list[tuple[str, bool]]:
        """(text, is local) of each address, given in halves."""
        known, found = self._known, []
        for key in zip(version.tolist(), hi.tolist(), lo.tolist(), strict=True):
            entry = known.get(key)
            if entry is None:
                entry = self._look(*key)
                if len(known) >= _MOST_ADDRESSES:
                    known.clear()
                known[key] = entry
            found.append(entry)
        return found

    def _look(self, version: int, hi: int, lo: int) -> tuple[str, bool]:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address
        address = ipaddress.IPv4Address(lo) if version == 4 else ipaddress.IPv6Address(hi << 64 | lo)
        return str(address), any(address in net for net in self._nets)
