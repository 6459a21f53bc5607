"""What speaks against a place: settings, allowlist and labels, each with its reason."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hopscope.allow import entries
from hopscope.allow.applying import apply
from hopscope.allow.items import parse_service
from hopscope.config import Config, FusionSettings, NetworkSettings, VantageSettings
from hopscope.errors import UsageError
from hopscope.exporting import guards
from hopscope.exporting.known import Known
from hopscope.exporting.never import Never, Place
from hopscope.findings import Entity, Finding
from hopscope.labels import Label
from support.findings import finding

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOBODY = Known(frozenset(), {}, {}, {})


def whys(never: Never, text: str, *names: str) -> list[str]:
    service = parse_service(text)
    place = Place(ipaddress.ip_network(service.address), service.port, service.proto)
    return [guard.why for guard in never.of(place, names)]


def ours(*configs: Config, known: Known = NOBODY) -> Never:
    never = Never()
    guards.ours(never, configs, known)
    return never


def test_what_is_ours_by_any_of_the_settings() -> None:
    then = Config(network=NetworkSettings(local_nets=("203.0.113.0/24",)))
    now = Config(vantage=VantageSettings(own_proxies=("198.51.100.7", "::ffff:198.51.100.8")))
    never = ours(then, now)
    assert whys(never, "203.0.113.9:443/tcp") == ["own network 203.0.113.0/24 (network.local_nets)"]
    assert whys(never, "10.1.2.3") == ["own network 10.0.0.0/8 (network.local_nets)"]
    assert whys(never, "198.51.100.7") == ["own proxy 198.51.100.7 (vantage.own_proxies)"]
    assert "own proxy" in whys(never, "198.51.100.8")[0]
    assert whys(never, "198.51.100.9") == []


def test_a_proxy_that_is_no_address_stops_the_export() -> None:
    with pytest.raises(UsageError, match=r"vantage.own_proxies: 'proxy.example'"):
        ours(Config(vantage=VantageSettings(own_proxies=("proxy.example",))))


def test_resolvers() -> None:
    never = ours(Config(), known=Known(frozenset({"198.51.100.53"}), {}, {}, {}))
    assert whys(never, "198.51.100.53:53/udp") == ["resolver 198.51.100.53: it answers DNS queries of the records"]


def allowed(toml: str, *found: Finding) -> tuple[Never, dict[str, str]]:
    allowlist = entries.parse(toml, Path("allow.toml"))
    never = Never()
    after = apply(found, allowlist, NOW, FusionSettings())
    return never, dict(guards.allowed(never, after, allowlist, NOW.date()))


ENTRY = '[[allow]]\nid = "e"\nreason = "r"\nexpires = 2027-01-01\n'
TOLD = "allowlist entry e: r (until 2027-01-01)"


@pytest.mark.parametrize(
    ("conditions", "guarded", "free"),
    [
        ('networks = ["203.0.113.0/24"]', "203.0.113.9", "203.0.114.9"),
        ('addresses = ["203.0.113.9:443/tcp"]', "203.0.113.9", "203.0.113.9:80/tcp"),
        # all conditions must hold for what an entry allows, so the narrowest says what that is
        ('addresses = ["203.0.113.9"]\nnetworks = ["203.0.113.0/24"]', "203.0.113.9", "203.0.113.10"),
        ('addresses = ["203.0.113.9"]\nclients = ["10.0.0.0/8"]', "203.0.113.9", "203.0.113.10"),
    ],
)
def test_entries_guard_what_they_allow(conditions: str, guarded: str, free: str) -> None:
    never, _ = allowed(ENTRY + conditions)
    assert whys(never, guarded) == [TOLD]
    assert whys(never, free) == []


def test_entries_by_name_guard_where_dns_led_by_it() -> None:
    never, _ = allowed(f'{ENTRY}names = [".example.net"]\nnetworks = ["203.0.113.0/24"]')
    assert whys(never, "203.0.113.9", "www.example.net") == [f"{TOLD} (by the name www.example.net)"]
    assert whys(never, "203.0.113.9", "example.net") == []


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY.replace("2027-01-01", "2026-11-22") + 'networks = ["203.0.113.0/24"]',  # ended today
        ENTRY + 'networks = ["203.0.113.0/24"]\nheuristics = ["cadence"]',  # says nothing of the place
        ENTRY + 'clients = ["10.0.0.0/8"]',
    ],
)
def test_entries_that_allow_no_place_guard_none(entry: str) -> None:
    assert whys(allowed(entry)[0], "203.0.113.9") == []


def test_what_is_hidden_guards_its_place_against_wider_lines() -> None:
    hidden = finding(entity=Entity("service", "203.0.113.9:443/tcp"), hop="203.0.113.9", clients=("10.0.0.5",),
                     clients_total=1)  # fmt: skip
    never, refused = allowed(f'{ENTRY}clients = ["10.0.0.5"]', hidden)
    assert refused == {hidden.id: TOLD}
    assert whys(never, "203.0.113.9") == [f"{hidden.id} is there, which isn't to be listed: {TOLD}"]
    assert whys(never, "203.0.113.9:80/tcp") == []


def test_what_is_labelled_benign_guards_its_place_and_its_name() -> None:
    never = Never()
    time = "2026-11-20T10:00:00Z"
    guards.benign(never, [
        Label("hop-1", "benign", Entity("network", "2001:db8::/64"), "2001:db8::9", time),
        Label("hop-2", "benign", Entity("name", "a.example"), None, time),
        Label("hop-3", "benign", Entity("service", "203.0.113.9:443/tcp"), "203.0.113.9", time, 443, "tcp"),
        Label("hop-4", "hop", Entity("address", "203.0.113.10"), "203.0.113.10", time),
        Label("hop-5", "hop", Entity("address", "203.0.113.11"), "203.0.113.11", time),
        Label("hop-5", "benign", Entity("address", "203.0.113.11"), "203.0.113.11", "2026-11-19T10:00:00Z"),
    ])  # fmt: skip
    assert whys(never, "2001:db8::77") == ["hop-1 is there, labelled benign (unknown, 2026-11-20)"]
    assert whys(never, "198.51.100.1", "a.example") != []
    assert whys(never, "203.0.113.9") != []
    assert whys(never, "203.0.113.9:80/tcp") == []
    assert whys(never, "203.0.113.10") == []
    assert whys(never, "203.0.113.11") == []  # the newer label says otherwise
