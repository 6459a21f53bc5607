"""What an allowlist entry can name: networks, addresses with ports, host names, fingerprints, AS numbers.

Each `parse_*` gives the one form under which two ways of writing are the same, or raises ValueError with what is
expected instead.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from hopscope.addresses import Address, Network, unmapped, unmapped_network
from hopscope.findings import endpoint

FINGERPRINTS = ("ja4", "server_hello", "cert_sha256", "cert_subject", "ssh_host_key", "ssh_server", "ssh_client",
                "user_agent")  # fmt: skip
"""The kinds of `Finding.fingerprints`."""
PROTOCOLS = ("tcp", "udp", "icmp")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_SERVICE = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<four>[^:\[\]/]*))(?::(?P<port>\d{1,5}))?(?:/(?P<proto>[a-z]+))?")


@dataclass(frozen=True, order=True)
class Service:
    """An address, with port and transport where they are given; None stands for any."""

    address: str
    port: int | None = None
    proto: str | None = None

    def __str__(self) -> str:
        return endpoint(self.address, self.port, self.proto)

    def covers(self, other: Service) -> bool:
        """Whether all that the other one stands for is meant by this one too."""
        return (
            self.address == other.address
            and self.port in (None, other.port)
            and self.proto in (None, other.proto)
        )  # fmt: skip


def parse_address(text: str) -> Address:
    """An IP address; an IPv4 address that is written as IPv6 (::ffff:192.0.2.1) is the IPv4 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an address; write it like 203.0.113.9 or 2001:db8::1") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise ValueError(f"{text!r} names an interface; leave out {'%' + address.scope_id!r}")
    return unmapped(address)


def is_address(text: str) -> bool:
    """Whether `parse_address` takes it."""
    try:
        parse_address(text)
    except ValueError:
        return False
    return True


def plain_address(text: str) -> str:
    """An address in the one form that `parse_address` gives it; what is none stays as it is."""
    try:
        return str(parse_address(text))
    except ValueError:
        return text


def is_network(text: str) -> bool:
    """Whether a text is meant as a network in CIDR form, not as an address with a transport, which is in letters."""
    return "/" in text and text.rpartition("/")[2].isdigit()


def parse_network(text: str) -> Network:
    """A network in CIDR form, or an address. All addresses there are is refused: it is no network."""
    try:
        net = unmapped_network(ipaddress.ip_network(text))
    except ValueError as e:
        raise ValueError(f"{text!r} is not a network ({e}); write it like 203.0.113.0/24 or 2001:db8::/48") from None
    if net.prefixlen == 0:
        raise ValueError(f"{text!r} is every address there is; name the networks that are meant")
    return net


def parse_service(text: str) -> Service:
    """`203.0.113.9`, `203.0.113.9:443`, `203.0.113.9:443/tcp`, `2001:db8::1`, `[2001:db8::1]:443`."""
    if text.count(":") > 1 and "[" not in text:
        return Service(str(parse_address(text)))
    parts = _SERVICE.fullmatch(text.strip().lower())
    if parts is None or (parts["proto"] and not parts["port"]):
        raise ValueError(
            f"{text!r} is not an address; write it like 203.0.113.9, 203.0.113.9:443/tcp or [2001:db8::1]:443"
        )
    address = str(parse_address(parts["six"] if parts["six"] is not None else parts["four"]))
    port = None if parts["port"] is None else int(parts["port"])
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"{text!r}: a port is 1 to 65535")
    if parts["proto"] is not None and parts["proto"] not in PROTOCOLS:
        raise ValueError(f"{text!r}: {parts['proto']!r} is no transport; there are {', '.join(PROTOCOLS)}")
    return Service(address, port, parts["proto"])


@functools.lru_cache(1 << 14)
def host_name(text: str) -> str | None:
    """A host name as DNS compares it: IDNA's ASCII form, lower case, no dot at its end. None where it is none.

    An address is no name.
    """
    text = text.strip().removesuffix(".")
    if not text.isascii():
        try:
            text = text.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    text = text.lower()
    labels = text.split(".")
    if not text or len(text) > 253 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        return None
    return text


def parse_name(text: str) -> str:
    """`example.com`: that name; `.example.com` or `*.example.com`: its subdomains alone, kept as the former."""
    under = text.strip().startswith((".", "*."))
    name = host_name(text.strip().removeprefix("*").removeprefix(".") if under else text)
    if name is None:
        raise ValueError(f"{text!r} is not a host name; write it like example.com, or .example.com for its subdomains")
    if under and "." not in name:
        raise ValueError(f"{text!r} is every name under .{name}; name the domains that are meant")
    return f".{name}" if under else name


def parse_fingerprint(text: str) -> str:
    """`kind:value`, the kind one of FINGERPRINTS; a certificate's hash in lower case without colons."""
    kind, _, value = text.strip().partition(":")
    if kind not in FINGERPRINTS or not value or not value.isprintable():
        raise ValueError(f"{text!r} is not a fingerprint; write KIND:VALUE, the kind one of {', '.join(FINGERPRINTS)}")
    if kind == "cert_sha256":
        value = value.replace(":", "").lower()
        if not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ValueError(f"{text!r}: a SHA-256 is 64 hexadecimal digits")
    return f"{kind}:{value}"


def parse_asn(value: int | str) -> int:
    """64500 or `AS64500`."""
    text = str(value).strip().upper().removeprefix("AS")
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 32:
        raise ValueError(f"{value!r} is not an AS number; write it like AS64500")
    return int(text)


def collapse(networks: Iterable[Network]) -> list[Network]:
    """The fewest networks that hold the same addresses, IPv4 first."""
    given = list(networks)
    four = [n for n in given if isinstance(n, ipaddress.IPv4Network)]
    six = [n for n in given if isinstance(n, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)]


class Networks:
    """A set of networks that is asked by address; as fast for a hundred thousand of them as for one."""

    def __init__(self, networks: Iterable[Network]):
        self._at: dict[tuple[int, int], set[int]] = {}
        for net in networks:
            self._at.setdefault((net.version, net.prefixlen), set()).add(int(net.network_address))

    def covers(self, wanted: str | Network) -> bool:
        """Whether one of the networks holds all of an address or a network."""
        try:
            net = ipaddress.ip_network(str(parse_address(wanted))) if isinstance(wanted, str) else wanted
        except ValueError:
            return False  # what is no address lies in no network
        bits, base = net.max_prefixlen, int(net.network_address)
        return any(
            version == net.version and length <= net.prefixlen and (base >> (bits - length)) << (bits - length) in bases
            for (version, length), bases in self._at.items()
        )


class Names:
    """A set of names and of domains whose subdomains are meant, asked by host name."""

    def __init__(self, names: Iterable[str]):
        named = list(names)
        self._exact = frozenset(n for n in named if not n.startswith("."))
        self._under = frozenset(n for n in named if n.startswith("."))

    def covers(self, name: str) -> bool:
        """Whether the host name is one of them or below one of the domains."""
        plain = host_name(name)
        if plain is None:
            return False
        labels = plain.split(".")
        return plain in self._exact or any("." + ".".join(labels[i:]) in self._under for i in range(1, len(labels)))
