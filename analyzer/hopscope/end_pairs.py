"""Both ends of a connection as one number, so that millions are looked up by whole numbers.

An end is an address's number, one bit for the transport, and the port; -1 where one of them is unknown.
"""

from __future__ import annotations

import numpy as np

from hopscope.heuristics.segments import Ints, unique

Known = tuple[Ints, Ints]  # ends in order, and the numbers of the pairs of them, in order

SHIFT = 17
_PORT = (1 << SHIFT) - 1


def both_ends(one: tuple[Ints, Ints], other: tuple[Ints, Ints], transport: Ints) -> tuple[Ints, Ints]:
    """The two ends of each row, the lesser first; each is given as address and port. `transport` is 0 or 1, or -1."""
    ends = []
    for address, port in (one, other):
        valid = (address >= 0) & (port >= 0) & (port < 1 << 16) & (transport >= 0)
        ends.append(np.where(valid, address << SHIFT | transport << 16 | port, -1))
    return np.minimum(*ends), np.maximum(*ends)


def renumbered(low: Ints, high: Ints, address: Ints) -> tuple[Ints, Ints]:
    """The same ends with each address's number replaced by `address` of it."""
    ends = [address[end >> SHIFT] << SHIFT | end & _PORT for end in (low, high)]
    return np.minimum(*ends), np.maximum(*ends)


def known_pairs(low: Ints, high: Ints) -> Known:
    """The pairs of those rows that have both ends."""
    both = low >= 0
    ends = unique(np.concatenate([low[both], high[both]]))
    return ends, unique(np.searchsorted(ends, low[both]) * len(ends) + np.searchsorted(ends, high[both]))


def pair_numbers(low: Ints, high: Ints, known: Known) -> Ints:
    """The number of each row's pair; -1 for one that isn't known."""
    ends, pairs = known
    one, other = _place(ends, low), _place(ends, high)
    return np.where((one >= 0) & (other >= 0), _place(pairs, one * len(ends) + other), -1)


def _place(ordered: Ints, values: Ints) -> Ints:
    """The place of each value among ordered ones; -1 where it isn't there."""
    if not len(ordered):
        return np.full(len(values), -1)
    at = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.where(ordered[at] == values, at, -1)
