"""Which findings become lines, until when, and why the others don't."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hopscope import labels
from hopscope.allow.items import Service
from hopscope.exporting import blocklist, guards
from hopscope.exporting.blocklist import Blocklist, Rules
from hopscope.exporting.known import Known
from hopscope.exporting.never import Guard, Never, Place
from hopscope.findings import Entity, Finding
from hopscope.labels import Label
from support.blocklists import NOW, WEEK
from support.findings import finding

HOP, SIX = "203.0.113.9", "2001:db8::9"
SEEN = "2026-11-21T10:00:00.000Z"


def about(kind: str = "service", value: str | None = None, **changes: Any) -> Finding:
    """A finding that is high and was seen yesterday."""
    defaults: dict[str, Any] = (
        {"hop": HOP, "port": 443, "proto": "tcp"} if kind in ("service", "name") else {"hop": HOP}
    )
    if kind not in ("service", "name"):
        defaults |= {"port": None, "proto": None}
    given = {"severity": "high", "last_seen": SEEN, "sensor": "s", "names": (), "dns_names": ()} | defaults | changes
    shown = value or (f"{given['hop']}:{given['port']}/{given['proto']}" if kind == "service" else str(given["hop"]))
    return finding(entity=Entity(kind, shown), **given)


def known(names: dict[str, set[str]] | None = None, asked: dict[str, set[str]] | None = None, **changes: Any) -> Known:
    return Known(
        resolvers=frozenset(),
        names={a: frozenset(n) for a, n in (names or {}).items()},
        asked={a: frozenset(n) for a, n in (asked or {}).items()},
        **({"places": {}} | changes),
    )


def made(
    *findings: Finding,
    never: Never | None = None,
    facts: Known | None = None,
    said: list[Label] | None = None,
    refused: dict[str, str] | None = None,
    **rules: Any,
) -> Blocklist:
    never = never or Never()
    guards.benign(never, said or [])
    asked = Rules(**({"floor": "high", "expiry": WEEK, "shared": 20, "ports": True, "names": False} | rules))
    return blocklist.make(findings, refused or {}, labels.of(findings, said or []), never, facts or known(), asked, NOW)


def lines(made: Blocklist) -> list[str]:
    return [f"{line.kind} {line.text}" for line in made.listed]


def why(made: Blocklist) -> str:
    assert made.listed == ()
    [left] = made.left
    return left.why


def label(value: str, verdict: str = "benign", **changes: Any) -> Label:
    """A label of an address, a service or a name."""
    from hopscope.labels import making

    target = making.target(value)
    assert target is not None
    given = {"hop": target.hop, "port": target.port, "proto": target.proto, "author": "ana"} | changes
    return Label("hop-0123456789", verdict, target.entity, time="2026-11-20T10:00:00Z", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (about(), "service 203.0.113.9:443/tcp"),
        (about(hop=SIX, proto="udp"), "service [2001:db8::9]:443/udp"),
        (about("address"), "address 203.0.113.9"),
        (about("address", hop="::ffff:203.0.113.9"), "address 203.0.113.9"),
        (about("network", "2001:db8::/64", hop=SIX), "network 2001:db8::/64"),
    ],
)
def test_a_line_is_as_narrow_as_the_finding(found: Finding, line: str) -> None:
    done = made(found)
    assert lines(done) == [line]
    assert done.left == ()
    assert done.listed[0].until == datetime(2026, 11, 28, 10, tzinfo=UTC)
    assert done.listed[0].ids == ("hop-3fa9c21b7d",)


def test_the_severity_floor() -> None:
    done = made(
        *(about(severity=s, hop=f"203.0.113.{i}") for i, s in enumerate(["info", "medium", "high", "critical"]))
    )
    assert lines(done) == ["service 203.0.113.2:443/tcp", "service 203.0.113.3:443/tcp"]
    assert done.below == 2


def test_without_ports_the_whole_address_is_listed_and_says_of_which_ports_it_was() -> None:
    done = made(about(id="hop-b", severity="critical"), about(port=8443, id="hop-a"), ports=False)
    [line] = done.listed
    assert (line.text, line.ports, line.ids, line.severity) == (
        HOP,
        ("443/tcp", "8443/tcp"),
        ("hop-a", "hop-b"),
        "critical",
    )


def test_several_sensors_findings_are_one_line_until_the_last_of_them() -> None:
    done = made(about(sensor="a", id="hop-1"), about(sensor="b", id="hop-2", last_seen="2026-11-22T09:00:00Z"))
    [line] = done.listed
    assert line.until == datetime(2026, 11, 29, 9, tzinfo=UTC)


def test_a_hop_that_was_last_seen_long_ago_is_told_not_listed() -> None:
    assert why(made(about(last_seen="2026-11-15T12:00:00Z"))).startswith("expired: last seen 2026-11-15 12:00:00 UTC")
    assert lines(made(about(last_seen="2026-11-15T12:00:01Z"))) != []
    assert "can't be read" in why(made(about(last_seen="")))


def test_what_is_guarded_is_not_listed() -> None:
    never = Never()
    never.network("203.0.113.0/24", "own network")
    assert why(made(about(), never=never)) == "own network"


def test_a_port_that_is_guarded_lets_other_ports_be_listed_but_not_the_whole_address() -> None:
    never = Never()
    never.service(Service(HOP, 443, "tcp"), Guard("the bank"))
    assert lines(made(about(port=8443), never=never)) == ["service 203.0.113.9:8443/tcp"]
    assert why(made(about("address"), never=never)) == "the bank"
    assert why(made(about(port=8443), never=never, ports=False)) == "the bank"


def test_a_64_is_not_listed_over_one_guarded_address_or_name_in_it() -> None:
    found = about("network", "2001:db8::/64", hop=SIX)
    never = Never()
    never.network("2001:db8::1", "resolver")
    assert why(made(found, never=never)) == "resolver"
    never = Never()
    never.names(["mail.example"], Guard("allowed"))
    assert "mail.example" in why(made(found, never=never, facts=known({"2001:db8::77": {"mail.example"}})))


@pytest.mark.parametrize(("count", "shared"), [(20, False), (21, True)])
def test_an_address_that_more_names_share_is_not_listed(count: int, shared: bool) -> None:
    facts = known({HOP: {f"n{i}.example" for i in range(count)}})
    done = made(about(), facts=facts)
    assert (lines(done) == []) is shared
    if shared:
        assert why(done) == "21 names lead there, more than --shared 20"


def test_names_that_only_clients_claim_dont_make_an_address_shared() -> None:
    assert lines(made(about(), facts=known(asked={HOP: {f"n{i}.example" for i in range(99)}}))) != []


def test_a_64_shares_with_all_names_in_it() -> None:
    facts = known({"2001:db8::1": {"a.example"}, "2001:db8::2": {"b.example"}})
    found = about("network", "2001:db8::/64", hop=SIX)
    assert "2 names" in why(made(found, facts=facts, shared=1))
    assert lines(made(found, facts=facts, shared=2)) != []


def test_without_the_run_as_many_names_as_a_finding_keeps_may_be_more() -> None:
    names = {f"n{i}.example" for i in range(50)}
    assert "isn't known without the kept run" in why(made(about(), facts=known({HOP: names}, whole=False), shared=60))
    assert lines(made(about(), facts=known({HOP: names}), shared=60)) != []


def name_finding(**changes: Any) -> Finding:
    return about("name", "hop.example", names=("hop.example",), **changes)


def at(*services: Service) -> dict[tuple[str, str], frozenset[Service]]:
    return {("s", "hop.example"): frozenset(services)}


def test_a_name_that_is_alone_is_listed_by_its_services() -> None:
    facts = known({HOP: {"hop.example"}}, places=at(Service(HOP, 443, "tcp"), Service("198.51.100.7", 80, "tcp")))
    assert lines(made(name_finding(), facts=facts)) == ["service 198.51.100.7:80/tcp", "service 203.0.113.9:443/tcp"]
    assert lines(made(name_finding(), facts=facts, ports=False, names=True)) == [
        "address 198.51.100.7", "address 203.0.113.9", "name hop.example"
    ]  # fmt: skip


@pytest.mark.parametrize("where", ["names", "asked"])
def test_a_name_beside_others_is_listed_by_name_alone(where: str) -> None:
    facts = known(**{where: {HOP: {"hop.example", "shop.example"}}}, places=at(Service(HOP, 443, "tcp")))
    assert (
        why(made(name_finding(), facts=facts)) == "hop.example shares it with shop.example; zeek-intel lists the name"
    )
    done = made(name_finding(), facts=facts, ports=False, names=True)
    assert lines(done) == ["name hop.example"]
    assert [left.what for left in done.left] == ["203.0.113.9:443/tcp"]


def test_who_else_is_at_a_names_address_isnt_known_without_the_run() -> None:
    assert "isn't known without the kept run" in why(made(name_finding(), facts=known(whole=False)))


def test_a_name_at_a_resolver_or_in_an_own_network_is_not_even_listed_by_name() -> None:
    never = Never()
    never.network(HOP, "resolver")
    facts = known(places=at(Service(HOP, 443, "tcp"), Service("198.51.100.7", 443, "tcp")))
    assert why(made(name_finding(), never=never, facts=facts, ports=False, names=True)) == (
        "it is at 203.0.113.9:443/tcp: resolver"
    )


def test_what_is_benign_beside_a_name_spares_the_address_alone() -> None:
    facts = known(places=at(Service(HOP, 443, "tcp")))
    done = made(name_finding(), facts=facts, said=[label(f"{HOP}:443")], ports=False, names=True)
    assert lines(done) == ["name hop.example"]
    assert "labelled benign" in done.left[0].why


def test_a_guarded_name_is_not_listed() -> None:
    never = Never()
    never.names([".example"], Guard("partners"))
    assert "partners" in why(made(name_finding(), never=never, ports=False, names=True))


def test_benign_is_never_listed_whatever_is_new_about_it() -> None:
    assert why(made(about(evidence=()), said=[label(f"{HOP}:443")])) == "labelled benign (ana, 2026-11-20)"
    assert why(made(about(), said=[label(f"{HOP}:443")])).startswith("labelled benign, but now also")


def test_a_whole_address_is_not_listed_over_a_benign_port() -> None:
    assert "labelled benign" in why(made(about("address"), said=[label(f"{HOP}:8443")]))
    assert lines(made(about(), said=[label(f"{HOP}:8443")])) != []


def test_a_port_that_is_labelled_a_hop_since_is_listed_within_a_benign_address() -> None:
    wide = label(HOP)
    narrow = label(f"{HOP}:443", "hop")
    assert lines(made(about(), said=[wide, narrow])) == []
    later = Label(**{**narrow.__dict__, "time": "2026-11-21T10:00:00Z"})
    assert lines(made(about(), said=[wide, later])) == ["service 203.0.113.9:443/tcp"]


def test_a_benign_name_guards_where_dns_led_by_it() -> None:
    facts = known({HOP: {"mail.example"}})
    assert "mail.example" in why(made(about(), facts=facts, said=[label("mail.example")]))


def test_what_the_allowlist_refused_is_told_with_its_reason() -> None:
    assert why(made(about(), refused={"hop-3fa9c21b7d": "allowlist entry x: y"})) == "allowlist entry x: y"


@pytest.mark.parametrize(
    ("found", "because"),
    [
        (about("address", hop="x\n}"), "no address"),
        (about("network", "2001:db8::/32", hop=SIX), "wider than a /64"),
        (about("network", "203.0.113.0/24"), "no address"),
        (about("network", "2001:db8::%x }\nflush ruleset/64", hop=SIX), "interface"),
        (about(id="hop-1\n"), "id"),
        (about("name", "a b.example"), "name"),
        (about("name", "UPPER.example"), "name"),
        (about(port=70_000), "out of range"),
        (about(port=None), "without a port"),
        (about(proto="icmp"), "icmp has no ports"),
        (about(proto="tcp ; drop"), "has no ports"),
        (about("odd"), "kind"),
    ],
)
def test_a_finding_that_hopscope_did_not_write_is_not_listed(found: Finding, because: str) -> None:
    assert because in why(made(found))


def test_what_belongs_to_no_port_is_no_part_of_a_line() -> None:
    assert lines(made(about("address", proto="tcp\n10.0.0.1"))) == ["address 203.0.113.9"]
    assert lines(made(about("network", "2001:0db8:0:0::/64", hop=SIX))) == ["network 2001:db8::/64"]


def test_lines_are_in_order_of_addresses() -> None:
    hops = ["203.0.113.10", "203.0.113.9", "2001:db8::9", "9.9.9.9"]
    done = made(*(about("address", hop=h) for h in hops), about("network", "2001:db8::/64", hop=SIX))
    assert [line.value for line in done.listed] == [
        "9.9.9.9",
        "203.0.113.9",
        "203.0.113.10",
        "2001:db8::/64",
        "2001:db8::9",
    ]


def test_place_of() -> None:
    assert blocklist.place_of(about()) == Place(*_net(f"{HOP}/32"), 443, "tcp")
    assert blocklist.place_of(about("network", "2001:db8::/64", hop=SIX)) == Place(*_net("2001:db8::/64"))
    assert blocklist.place_of(about("address", hop="x")) is None


def _net(text: str) -> list[Any]:
    import ipaddress

    return [ipaddress.ip_network(text)]
