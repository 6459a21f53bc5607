"""Settings that hold for some clients and some hours of the day: evidence weighed with those that hold."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hopscope.config import Config, Override
from hopscope.heuristics.base import EVIDENCE, Heuristic, Window
from hopscope.sources.addresses import Networks

DAY = frozenset(range(24))
_INSIDE = frozenset({"relay"})  # groups whose evidence names our host as server

Holding = frozenset[int]
"""Which of a heuristic's overrides hold, by their place among them."""


def hour_classes(config: Config) -> tuple[frozenset[int], ...]:
    """The 24 hours of the day, cut where overrides begin or cease to hold; none when none names hours."""
    timed = [o.hours for o in config.overrides if o.hours is not None]
    if not timed:
        return ()
    classes: dict[tuple[bool, ...], set[int]] = {}
    for hour in range(24):
        classes.setdefault(tuple(hour in hours for hours in timed), set()).add(hour)
    return tuple(frozenset(hours) for hours in classes.values())


def weigh_all(
    name: str, heuristic: Heuristic, window: Window, by_hours: Mapping[frozenset[int], Window], config: Config
) -> pa.Table:
    """The evidence of a heuristic, each client's weighed with the settings of the overrides that hold for it.

    `by_hours` has a window for each of `hour_classes(config)`. A client that an override with hours concerns is
    weighed in each of them by itself, others in the whole window; so that a client may have several rows
    of one key, of which fusion takes the best. Evidence that names no client is weighed without overrides.
    Where `heuristic` speaks of relays among our own hosts, the relay is what an override's networks mean.
    """
    base = config.heuristics.get(name, heuristic.defaults)
    mine = [o for o in config.overrides if o.speaks_of(name)]
    if not mine:
        return heuristic.weigh(window, base)
    end = "server" if heuristic.group in _INSIDE else "client"
    reach = _Reach(mine)
    timed = frozenset(i for i, o in enumerate(mine) if o.hours is not None)
    always = {h: h for h in reach.possible if not h & timed}
    tables = list(_weighed(heuristic, name, window, base, mine, reach, always, end))
    if any(h & timed for h in reach.possible):
        for hours in hour_classes(config):
            now = frozenset(i for i, o in enumerate(mine) if o.hours is None or hours <= o.hours)
            here = {h: h & now for h in reach.possible if h & timed}
            tables += _weighed(heuristic, name, by_hours[hours], base, mine, reach, here, end)
    joined = pa.concat_tables(tables, promote_options="permissive")
    return joined.sort_by([(k, "ascending") for k in (*EVIDENCE.names[:6], "decibans")])


def _weighed(
    heuristic: Heuristic,
    name: str,
    window: Window,
    base: Any,
    mine: Sequence[Override],
    reach: _Reach,
    holding: Mapping[Holding, Holding],
    end: str,
) -> Iterator[pa.Table]:
    """Evidence of the clients that `holding` tells of, one table for each of the settings that hold.

    `holding` maps which overrides concern a client to which of them hold in this window.
    """
    by_settings: dict[Any, set[Holding]] = {}
    for concerned, held in holding.items():
        settings = merged(name, base, [mine[i] for i in sorted(held)])
        by_settings.setdefault(settings, set()).add(concerned)
    for settings, clients in by_settings.items():
        if settings is None:
            continue
        table = heuristic.weigh(window, settings)
        yield table.filter(pa.array(reach.within(table[end].combine_chunks(), clients)))


def merged(name: str, base: Any, holding: Sequence[Override]) -> Any | None:
    """The settings of a heuristic where these overrides hold, the later one winning; None where it is disabled."""
    if any(name in o.disabled for o in holding):
        return None
    values: dict[str, Any] = {}
    for override in holding:
        values |= override.heuristics.get(name, {})
    return dataclasses.replace(base, **values) if values else base


class _Reach:
    """Which overrides concern an address. `possible` are all sets of them that an address can have."""

    def __init__(self, overrides: Sequence[Override]):
        self._everywhere = frozenset(i for i, o in enumerate(overrides) if not o.networks)
        self._networks = [(i, Networks(o.networks)) for i, o in enumerate(overrides) if o.networks]
        self.possible = {frozenset(), self._everywhere, *self._nested(overrides)}

    def _nested(self, overrides: Sequence[Override]) -> Iterator[Holding]:
        """What concerns the addresses of each network that lie in no narrower one: networks nest or are apart."""
        told: dict[ipaddress.IPv4Network | ipaddress.IPv6Network, set[int]] = {}
        for i, override in enumerate(overrides):
            for text in override.networks:
                told.setdefault(ipaddress.ip_network(text), set()).add(i)
        lengths = sorted({network.prefixlen for network in told})
        for network in told:
            around = [network.supernet(new_prefix=n) for n in lengths if n <= network.prefixlen]
            yield self._everywhere.union(*(told.get(n, set()) for n in around))

    def within(self, addresses: pa.Array, wanted: set[Holding]) -> NDArray[np.bool_]:
        """For each address whether what concerns it is one of these sets of overrides; nothing concerns null."""
        coded = addresses.dictionary_encode()
        # an index beyond the last stands for null
        told = np.array([h in wanted for h in [*self._of(coded.dictionary), frozenset()]])
        return np.asarray(told[coded.indices.fill_null(len(told) - 1).to_numpy()])

    def _of(self, addresses: pa.Array) -> list[Holding]:
        inside = [(i, networks.lookup(addresses)[1].to_pylist()) for i, networks in self._networks]
        return [self._everywhere | {i for i, column in inside if column[row]} for row in range(len(addresses))]
