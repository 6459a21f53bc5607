"""Addresses and networks in one form: IPv4 that is written as IPv6 (::ffff:192.0.2.1, RFC 4291) is IPv4."""

from __future__ import annotations

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def unmapped(address: Address) -> Address:
    """The IPv4 address where an IPv6 one stands for it; others as they are."""
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def unmapped_network(net: Network) -> Network:
    """The IPv4 network where an IPv6 one stands for it; others as they are."""
    if isinstance(net, ipaddress.IPv6Network) and net.prefixlen >= 96 and net.subnet_of(_MAPPED):
        return ipaddress.ip_network((int(net.network_address) & 0xFFFFFFFF, net.prefixlen - 96))
    return net
