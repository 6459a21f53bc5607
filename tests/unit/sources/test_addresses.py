"""Which texts are addresses, and which of them are ours."""

from __future__ import annotations

import ipaddress

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.sources.addresses import Networks

NETS = ("10.0.0.0/8", "192.0.2.128/25", "0.0.0.0/32", "fd00::/8", "2001:db8:1::/48")


def lookup(*texts: str | None) -> list[tuple[bool, bool]]:
    is_address, inside = Networks(NETS).lookup(pa.array(texts, pa.string()))
    return list(zip(is_address.to_pylist(), inside.to_pylist(), strict=True))


@pytest.mark.parametrize(
    "text",
    ["", "x", "10.0.0", "10.0.0.256", "10.0.0.1.1", "10.0.0.-1", "10.0.0.1 ", "::g", "fe80::1%eth0/", "1", "fd00::/8"],
)
def test_what_is_no_address(text: str) -> None:
    assert lookup(text, None, "10.0.0.1") == [(False, False), (False, False), (True, True)]


def test_no_networks_and_no_rows() -> None:
    assert Networks(()).lookup(pa.array(["10.0.0.1", "::1"]))[1].to_pylist() == [False, False]
    assert lookup() == []
    assert lookup(None) == [(False, False)]


@given(st.lists(st.ip_addresses() | st.ip_addresses(network="10.0.0.0/7") | st.ip_addresses(network="fc00::/7")))
def test_every_address_as_the_standard_library_says(addresses: list[ipaddress.IPv4Address]) -> None:
    nets = [ipaddress.ip_network(net) for net in NETS]
    expected = [(True, any(address in net for net in nets)) for address in addresses]
    assert lookup(*map(str, addresses)) == expected
