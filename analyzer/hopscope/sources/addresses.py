"""Addresses in columns: which are none, and which lie in the monitored networks; looked at once per distinct one."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_V4 = r"^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$"
_MOST_KNOWN = 1 << 18  # IPv6 addresses kept in the cache

# what is known of an address
_NONE, _OUTSIDE, _INSIDE = 0, 1, 2


class Networks:
    """The monitored networks. `lookup` says of each address of a column whether it lies in them."""

    def __init__(self, local_nets: Sequence[str]) -> None:
        nets = [ipaddress.ip_network(net) for net in local_nets]
        self._v4 = [(int(net.netmask), int(net.network_address)) for net in nets if net.version == 4]
        self._v6 = [net for net in nets if net.version == 6]
        self._known: dict[str, int] = {}

    def lookup(self, column: pa.Array) -> tuple[pa.Array, pa.Array]:
        """For each address: is it one (null isn't), and does it lie in the networks."""
        coded = column.dictionary_encode()
        # an index beyond the last stands for null
        kinds = np.append(self._kinds(coded.dictionary), np.int8(_NONE))
        found = kinds[coded.indices.fill_null(len(kinds) - 1).to_numpy()]
        return pa.array(found != _NONE), pa.array(found == _INSIDE)

    def _kinds(self, distinct: pa.Array) -> NDArray[np.int8]:
        kinds = np.empty(len(distinct), np.int8)
        is_v4 = pc.match_substring_regex(distinct, _V4).to_numpy(zero_copy_only=False)
        kinds[is_v4] = self._kinds_v4(distinct.filter(pa.array(is_v4)))
        others = distinct.filter(pa.array(~is_v4)).to_pylist()
        kinds[~is_v4] = np.array([self._kind_v6(address) for address in others], np.int8)
        return kinds

    def _kinds_v4(self, distinct: pa.Array) -> NDArray[np.int8]:
        parts = pc.split_pattern(distinct, ".").flatten().cast(pa.int32()).to_numpy().reshape(-1, 4)
        numbers = parts @ np.array([1 << 24, 1 << 16, 1 << 8, 1], np.int64)
        inside = np.zeros(len(numbers), bool)
        for mask, network in self._v4:
            inside |= (numbers & mask) == network
        kinds = np.where(inside, np.int8(_INSIDE), np.int8(_OUTSIDE))
        kinds[(parts > 255).any(axis=1)] = _NONE
        return kinds

    def _kind_v6(self, text: str) -> int:
        kind = self._known.get(text)
        if kind is None:
            try:
                address = ipaddress.IPv6Address(text)
            except ValueError:
                kind = _NONE
            else:
                kind = _INSIDE if any(address in net for net in self._v6) else _OUTSIDE
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[text] = kind
        return kind
