"""What must not be listed, asked by place: networks, addresses, ports and names, each with the reason.

A place is guarded against everything that would hit it, so a whole address isn't listed where one of its ports is
guarded, nor a /64 where one address in it is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hopscope.addresses import Network
from hopscope.allow import items
from hopscope.allow.items import Names, Service
from hopscope.errors import UsageError
from hopscope.labels.kept import Label

SPECIAL = (
    ("0.0.0.0/8", "unspecified"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved and broadcast"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("64:ff9b::/128", "where all of IPv4 begins behind NAT64"),  # addresses there are like others, their /64 isn't
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
)
"""Ranges that are nobody's single address (RFC 6890 and its registries), with what they are for."""


@dataclass(frozen=True)
class Place:
    """A network (of one address, mostly), with port and transport where it is about a service."""

    net: Network
    port: int | None = None
    proto: str | None = None

    def meets(self, other: Place) -> bool:
        """Whether some packet belongs to both."""
        return (
            self.net.version == other.net.version
            and self.net.overlaps(other.net)
            and (self.port is None or other.port is None or self.port == other.port)
            and (self.proto is None or other.proto is None or self.proto == other.proto)
        )


@dataclass(frozen=True)
class Guard:
    """Why a place must not be listed.

    `label` is what a person said of it, where that is why. `everything`: nor what is merely found there, a name.
    """

    why: str
    label: Label | None = None
    everything: bool = False


class Never:
    """Everything that must not be listed, in the order in which reasons are told.

    As fast for a hundred thousand networks as for one, when it is asked about an address.
    """

    def __init__(self) -> None:
        self._order = 0
        self._places: dict[tuple[int, int, int], list[tuple[int, Place, Guard]]] = {}  # by version, length and base
        self._lengths: set[tuple[int, int]] = set()
        self._names: list[tuple[int, Names, Guard]] = []

    def network(self, text: str, why: str) -> None:
        """Guard a network or an address with everything there. Raises ValueError when it is neither."""
        self.place(Place(items.parse_network(text)), Guard(why, everything=True))

    def service(self, service: Service, guard: Guard) -> None:
        """Guard an address, or one of its ports."""
        self.place(Place(ipaddress.ip_network(service.address), service.port, service.proto), guard)

    def place(self, place: Place, guard: Guard) -> None:
        """Guard a place."""
        self._order += 1
        key = (place.net.version, place.net.prefixlen, int(place.net.network_address))
        self._places.setdefault(key, []).append((self._order, place, guard))
        self._lengths.add(key[:2])

    def names(self, names: Iterable[str], guard: Guard) -> None:
        """Guard names (`example.com`, or `.example.com` for its subdomains) and where DNS led by them."""
        self._order += 1
        self._names.append((self._order, Names(names), guard))

    def of(self, place: Place | None, names: Iterable[str]) -> Iterator[Guard]:
        """All that speaks against listing a place to which DNS led by these names; a name alone has no place."""
        found: list[tuple[int, Guard]] = []
        if place is not None:
            found += [(order, guard) for order, its, guard in self._near(place) if its.meets(place)]
        for order, guarded, guard in self._names:
            hit = next((n for n in names if guarded.covers(n)), None)
            if hit is not None:
                found.append((order, Guard(f"{guard.why} (by the name {hit})", guard.label)))
        yield from (guard for _, guard in sorted(found, key=lambda f: f[0]))

    def _near(self, place: Place) -> Iterator[tuple[int, Place, Guard]]:
        """What may meet the place, and all that does."""
        net = place.net
        if net.prefixlen < net.max_prefixlen:
            for guards in self._places.values():
                yield from guards
            return
        base = int(net.network_address)
        for version, length in self._lengths:
            if version == net.version:
                shift = net.max_prefixlen - length
                yield from self._places.get((version, length, base >> shift << shift), ())


def special(never: Never) -> None:
    """Guard the special ranges."""
    for text, meaning in SPECIAL:
        never.network(text, f"{text} is {meaning}")


def given(never: Never, values: Iterable[str]) -> None:
    """Guard what --never names: networks, addresses (with ports), and files with one of these or a name a line.

    Raises UsageError at the first that can't be read: what it stood for would be listed.
    """
    for value in values:
        path = Path(value)
        if path.exists():
            _file(never, path)
            continue
        try:
            _place(never, value, f"--never {value}")
        except ValueError as e:
            raise UsageError(f"--never {value:.200}: there is no such file, and {e}") from None


def _file(never: Never, path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as e:
        raise UsageError(f"--never {path}: can't be read ({e})") from e
    for number, line in enumerate(text.split("\n"), 1):
        item = line.partition("#")[0].strip()
        where = f"{path} line {number}"
        try:
            if item and not _name(never, item, where):
                _place(never, item, where)
        except ValueError as e:
            raise UsageError(
                f"{where}: {e}; nothing is listed while it isn't known what must not be: correct or remove that line"
            ) from None


def _place(never: Never, text: str, where: str) -> None:
    """Guard a network, an address or a service. Raises ValueError where it is none of them."""
    if items.is_network(text):
        never.network(text, where)
    else:
        never.service(items.parse_service(text), Guard(where, everything=True))


def _name(never: Never, text: str, where: str) -> bool:
    """Guard a name and where it leads; False where it is none."""
    try:
        name = items.parse_name(text)
    except ValueError:
        return False
    if "." not in name:
        return False
    never.names([name], Guard(where))
    return True
