"""What entries can name: one form for each thing, however it is written, and nothing taken for more than it says."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.addresses import Address
from hopscope.allow import items
from hopscope.allow.items import Names, Networks, Service


@pytest.mark.parametrize(
    ("text", "service"),
    [
        ("203.0.113.9", Service("203.0.113.9")),
        ("203.0.113.9:443", Service("203.0.113.9", 443)),
        ("203.0.113.9:443/TCP", Service("203.0.113.9", 443, "tcp")),
        ("2001:DB8::1", Service("2001:db8::1")),
        ("[2001:db8:0::1]", Service("2001:db8::1")),
        ("[2001:db8::1]:443/udp", Service("2001:db8::1", 443, "udp")),
        ("::ffff:203.0.113.9", Service("203.0.113.9")),
        ("[::ffff:203.0.113.9]:443", Service("203.0.113.9", 443)),
    ],
)
def test_addresses_have_one_form(text: str, service: Service) -> None:
    assert items.parse_service(text) == service
    assert items.parse_service(str(service)) == service


@pytest.mark.parametrize(
    "text",
    ["", "203.0.113", "203.0.113.9:0", "203.0.113.9:70000", "203.0.113.9/tcp", "203.0.113.9:443/xyz", "fe80::1%eth0",
     "203.0.113.0/24", "example.com", "203.0.113.9:443:1", "[203.0.113.9", "0x7f.1", "٢٠٣.0.113.9"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|port|transport|interface"):
        items.parse_service(text)


def test_an_address_covers_its_ports_and_not_the_reverse() -> None:
    whole, https = Service("203.0.113.9"), Service("203.0.113.9", 443, "tcp")
    assert whole.covers(https)
    assert not https.covers(whole)
    assert Service("203.0.113.9", 443).covers(https)
    assert not Service("203.0.113.9", 443, "udp").covers(https)


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "::ffff:0:0/96", "203.0.113.1/24", "x", "203.0.113.0/33"])
def test_networks_that_are_none_or_everything_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"every address|not a network"):
        items.parse_network(text)


def test_networks_written_as_ipv6_are_the_ipv4_ones() -> None:
    assert str(items.parse_network("::ffff:203.0.113.0/120")) == "203.0.113.0/24"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.COM.", "example.com"),
        (".example.com", ".example.com"),
        ("*.Example.com", ".example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("fileserver", "fileserver"),
    ],
)
def test_names_have_one_form(text: str, name: str) -> None:
    assert items.parse_name(text) == name


@pytest.mark.parametrize(
    "text", ["", ".", "*", "*.", ".com", "*.com", "a..b", "203.0.113.9", "exa mple.com", "a*.example.com", "-a.example",
             "x" * 64 + ".example", "a\x00.example", "a/b.example", ".203.0.113.9", "*.*.example.com"],
)  # fmt: skip
def test_what_is_no_name_or_a_whole_top_level_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a host name|every name under"):
        items.parse_name(text)


def test_a_name_is_itself_and_a_domain_its_subdomains_alone() -> None:
    exact, under = Names(["example.com"]), Names([".example.com"])
    assert exact.covers("EXAMPLE.com.")
    assert not exact.covers("www.example.com")
    assert under.covers("www.example.com")
    assert under.covers("a.b.example.com")
    assert not under.covers("example.com")
    assert not under.covers("evil-example.com")
    assert not under.covers("example.com.evil.example")


def test_homographs_are_other_names() -> None:
    assert not Names(["apple.example"]).covers("аpple.example")  # the first letter is Cyrillic  # noqa: RUF001


@given(st.text(max_size=80))
def test_names_from_the_wire_are_names_or_nothing(text: str) -> None:
    name = items.host_name(text)
    if name is not None:
        assert name.isascii()
        assert name.isprintable()
        assert items.host_name(name) == name
        assert Names([name]).covers(text)


@given(st.text(max_size=60))
def test_whatever_is_parsed_has_a_form_that_parses_to_the_same(text: str) -> None:
    for parse in (items.parse_service, items.parse_network, items.parse_name, items.parse_fingerprint, items.parse_asn):
        try:
            once = parse(text)
        except ValueError:
            continue
        assert parse(str(once)) == once


_ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(st.lists(st.tuples(_ADDRESSES, st.integers(1, 32)), max_size=8), _ADDRESSES)
def test_networks_cover_what_the_standard_library_says(given_nets: list[tuple[Address, int]], address: Address) -> None:
    nets = [ipaddress.ip_network((a, length), strict=False) for a, length in given_nets]
    plain = getattr(address, "ipv4_mapped", None) or address
    expected = any(plain.version == n.version and plain in n for n in nets)
    assert Networks(nets).covers(str(address)) == expected


def test_networks_cover_networks_that_lie_within() -> None:
    nets = Networks([items.parse_network("2001:db8::/48")])
    assert nets.covers(items.parse_network("2001:db8:0:1::/64"))
    assert not nets.covers(items.parse_network("2001:db8::/32"))
    assert not nets.covers("not an address")


@pytest.mark.parametrize(("value", "asn"), [(64500, 64500), ("AS64500", 64500), ("as64500", 64500), ("64500", 64500)])
def test_as_numbers(value: int | str, asn: int) -> None:
    assert items.parse_asn(value) == asn


@pytest.mark.parametrize("value", [0, -1, True, 1 << 32, "AS", "ASx", "٣"])
def test_what_is_no_as_number_is_refused(value: int | str) -> None:
    with pytest.raises(ValueError, match="not an AS number"):
        items.parse_asn(value)


def test_fingerprints() -> None:
    sha = "AB:" * 31 + "AB"
    assert items.parse_fingerprint(f"cert_sha256:{sha}") == "cert_sha256:" + "ab" * 32
    assert items.parse_fingerprint("user_agent:a:b c") == "user_agent:a:b c"
    for wrong in ("ja3:x", "ja4:", "ja4", "cert_sha256:ab", "user_agent:\u202ex", "user_agent:\x1b"):
        with pytest.raises(ValueError, match=r"fingerprint|SHA-256"):
            items.parse_fingerprint(wrong)
