"""What must not be listed is guarded against everything that would hit it."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.allow.items import parse_network, parse_service
from hopscope.errors import UsageError
from hopscope.exporting import never
from hopscope.exporting.never import Guard, Never, Place


def place(text: str) -> Place:
    """`203.0.113.9:443/tcp`, an address or a network."""
    if "/" in text and text.rpartition("/")[2].isdigit():
        return Place(parse_network(text))
    service = parse_service(text)
    return Place(ipaddress.ip_network(service.address), service.port, service.proto)


def whys(guards: Never, text: str | None, *names: str) -> list[str]:
    return [g.why for g in guards.of(None if text is None else place(text), names)]


def guarding(*items: str) -> Never:
    guards = Never()
    for item in items:
        guards.place(place(item), Guard(item))
    return guards


@pytest.mark.parametrize(
    ("guarded", "asked", "hit"),
    [
        ("203.0.113.0/24", "203.0.113.9:443/tcp", True),
        ("203.0.113.0/24", "203.0.114.0", False),
        ("203.0.113.9", "203.0.113.9:443/tcp", True),
        ("203.0.113.9:443/tcp", "203.0.113.9", True),  # the whole address would hit the port
        ("203.0.113.9:443/tcp", "203.0.113.9:443/udp", False),
        ("203.0.113.9:443", "203.0.113.9:443/udp", True),
        ("203.0.113.9:443/tcp", "203.0.113.9:8443/tcp", False),
        ("203.0.113.9:443/tcp", "203.0.113.10:443/tcp", False),
        ("2001:db8::/48", "2001:db8:0:1::9", True),
        ("2001:db8:0:1::9", "2001:db8:0:1::/64", True),
        ("[2001:db8:0:1::9]:443/tcp", "2001:db8:0:2::/64", False),
        ("[2001:db8:0:1::9]:443/tcp", "2001:db8:0:1::/64", True),
        ("0.0.0.0/1", "2001:db8::1", False),
    ],
)
def test_a_place_is_hit_by_what_is_wider_and_narrower(guarded: str, asked: str, hit: bool) -> None:
    assert whys(guarding(guarded), asked) == ([guarded] if hit else [])


NETS = st.one_of(
    st.ip_addresses(v=4).flatmap(
        lambda a: st.integers(8, 32).map(lambda n: ipaddress.ip_network((a, n), strict=False))
    ),
    st.ip_addresses(v=6).flatmap(
        lambda a: st.integers(8, 128).map(lambda n: ipaddress.ip_network((a, n), strict=False))
    ),
)


@given(guarded=st.lists(NETS, max_size=6), asked=NETS, inside=st.booleans(), data=st.data())
def test_nothing_that_overlaps_is_overlooked(
    guarded: list[never.Network], asked: never.Network, inside: bool, data: st.DataObject
) -> None:
    if inside and guarded:
        asked = ipaddress.ip_network(data.draw(st.sampled_from(guarded)).network_address)
    guards = Never()
    for net in guarded:
        guards.place(Place(net), Guard(str(net)))
    expected = [str(n) for n in guarded if n.version == asked.version and n.overlaps(asked)]
    assert [g.why for g in guards.of(Place(asked), ())] == expected


def test_names_guard_themselves_and_where_they_lead() -> None:
    guards = Never()
    guards.names(["example.com", ".example.net"], Guard("partner"))
    assert whys(guards, "203.0.113.9", "other.example", "example.com") == ["partner (by the name example.com)"]
    assert whys(guards, None, "cdn.example.net") == ["partner (by the name cdn.example.net)"]
    assert whys(guards, None, "example.net", "notexample.com", "sub.example.com") == []


def test_reasons_come_in_the_order_in_which_they_were_given() -> None:
    guards = guarding("203.0.113.0/24", "203.0.113.9:443/tcp")
    guards.names(["example.com"], Guard("name"))
    guards.place(place("203.0.113.9"), Guard("last"))
    assert whys(guards, "203.0.113.9:443/tcp", "example.com") == [
        "203.0.113.0/24", "203.0.113.9:443/tcp", "name (by the name example.com)", "last"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "meaning"),
    [
        ("127.9.9.9", "loopback"), ("::1", "loopback"), ("0.0.0.0", "unspecified"), ("::", "unspecified"),
        ("169.254.1.1", "link-local"), ("fe80::1", "link-local"), ("224.0.0.251", "multicast"),
        ("ff02::1", "multicast"), ("255.255.255.255", "broadcast"), ("64:ff9b::/64", "NAT64"),
    ],
)  # fmt: skip
def test_special_ranges(address: str, meaning: str) -> None:
    guards = Never()
    never.special(guards)
    assert meaning in whys(guards, address)[0]


@pytest.mark.parametrize(
    "address", ["203.0.113.9", "128.0.0.1", "223.255.255.255", "64:ff9b::cb00:7109", "2001:db8::1"]
)
def test_ordinary_addresses_are_not_special(address: str) -> None:
    guards = Never()
    never.special(guards)
    assert whys(guards, address) == []


def test_never_takes_networks_addresses_services_and_files_of_them_with_names(tmp_path: Path) -> None:
    file = tmp_path / "partners.txt"
    file.write_text("\ufeff# ours\n203.0.113.0/24\n\n198.51.100.7:443/tcp # the bank\n.example.net\r\n2001:db8::1\n")
    guards = Never()
    never.given(guards, [str(file), "192.0.2.0/30", "192.0.2.9", "[2001:db8::2]:53"])
    assert whys(guards, "203.0.113.9") == [f"{file} line 2"]
    assert whys(guards, "198.51.100.7") == [f"{file} line 4"]
    assert whys(guards, "198.51.100.7:80/tcp") == []
    assert whys(guards, "192.0.2.200", "www.example.net") == [f"{file} line 5 (by the name www.example.net)"]
    assert whys(guards, "192.0.2.2") == ["--never 192.0.2.0/30"]
    assert whys(guards, "2001:db8::2") == ["--never [2001:db8::2]:53"]


@pytest.mark.parametrize("value", ["nothing.txt", "example.com", "203.0.113.9/24", "0.0.0.0/0", "::ffff:0:0/1", ""])
def test_what_never_cannot_read_is_refused(value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="--never"):
        never.given(Never(), [value])


@pytest.mark.parametrize("line", ["203.0.113.9/24", "0.0.0.0/0", "203.0.113.300", "com", "not a name", "203.0.113.9:0"])
def test_a_bad_line_lists_nothing(line: str, tmp_path: Path) -> None:
    file = tmp_path / "never.txt"
    file.write_text(f"192.0.2.1\n{line}\n")
    with pytest.raises(UsageError, match=r"never.txt line 2: .*nothing is listed"):
        never.given(Never(), [str(file)])


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "x", tmp_path):
        with pytest.raises(UsageError, match="can't be read"):
            never.given(Never(), [str(path)])
