"""What rules fire on is gathered by rule and place, the same whatever the batches."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest
import yaml

from hopscope import sigma
from hopscope.heuristics.base import MATCHES
from hopscope.records import Batch
from hopscope.sigma import gathering, matching, reading
from hopscope.sigma.gathering import Gathering
from hopscope.sigma.rules import Rule
from support import events, sigma_cases
from support.events import START

ANY = {"sel": {"DestinationPort": 443}, "condition": "sel"}
NETWORK = {"category": "network_connection"}
DNS = {"category": "dns"}


def rules(*documents: Mapping[str, Any]) -> sigma.Rules:
    """Rules of these texts."""
    made = [one for d in documents for one in reading.of_text(yaml.safe_dump(dict(d)).encode(), "a.yml")]
    assert all(isinstance(one, Rule) for one in made), made
    return sigma.Rules(tuple(one for one in made if isinstance(one, Rule)))


def rule(detection: Any = ANY, logsource: Any = NETWORK, **more: Any) -> dict[str, Any]:
    """The text of a rule."""
    return {"title": "A Rule", "logsource": logsource, "detection": detection, **more}


def matched(loaded: sigma.Rules, *batches: Batch) -> list[dict[str, Any]]:
    """The rows of MATCHES."""
    matcher = sigma.Matcher(loaded)
    for batch in batches:
        matcher.add(batch)
    told = matcher.matches()
    assert told.schema == MATCHES
    rows: list[dict[str, Any]] = told.to_pylist()
    return rows


def connections(*rows: Mapping[str, Any]) -> Batch:
    """A batch of connections."""
    return events.batch(connections=rows)


def test_nothing_fired() -> None:
    assert matched(rules(rule())) == []
    assert matched(sigma.Rules(), connections({})) == []


def test_a_connection_that_a_rule_fires_on() -> None:
    told = rule(id="6f41db25-2af3-4d4c-9b1b-4ad5a2e3c1d4", level="critical", tags=["attack.T1090.002"])
    [row] = matched(rules(told), connections({"sni": "Hop.Example"}))
    assert row == {
        "rule": "6f41db25-2af3-4d4c-9b1b-4ad5a2e3c1d4", "title": "A Rule", "level": "critical",
        "tags": ["attack.t1090.002"], "kind": "connection", "sensor": "s", "client": "10.0.0.5",
        "server": "203.0.113.9", "port": 443, "proto": "tcp", "name": "hop.example", "host": None, "process": None,
        "pid": None, "user": None, "records": 1, "first_us": START, "last_us": START, "uids": ["C1"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"sni": "A.b", "http_host": "c.d"}, "a.b"),
        ({"http_host": "c.d", "proxy_target": "e.f:443"}, "c.d"),
        ({"http_host": "c.d:8080"}, "c.d"),
        ({"http_host": "[2001:db8::1]:8080"}, "[2001:db8::1]"),
        ({"http_host": "2001:db8::1"}, "2001:db8::1"),
        ({"proxy_target": "E.f:443"}, "e.f"),
        ({"proxy_target": "[2001:db8::1]:443"}, "[2001:db8::1]"),
        ({}, None),
    ],
)
def test_the_name_of_a_connection(fields: Any, name: str | None) -> None:
    assert [row["name"] for row in matched(rules(rule()), connections(fields))] == [name]


@pytest.mark.parametrize(
    ("field", "has", "fires"),
    [
        ("c-useragent", {}, False),  # TLS, SSH: what was asked, and by what, isn't seen
        ("c-useragent", {"http_method": "GET"}, True),
        ("c-useragent", {"http_method": "GET", "user_agent": "curl/8"}, False),
        ("cs-user-agent", {}, False),
        ("cs-method", {}, False),
        ("cs-host", {}, True),
    ],
)
def test_a_proxy_rule_about_what_a_request_lacks_asks_for_a_request(field: str, has: Any, fires: bool) -> None:
    told = rule({"sel": {field: ""}, "condition": "sel"}, {"category": "proxy"})
    assert bool(matched(rules(told), connections(has))) is fires


def test_a_dns_query_that_a_rule_fires_on() -> None:
    told = rule({"sel": {"query|endswith": ".Example"}, "condition": "sel"}, DNS)
    [row] = matched(rules(told), events.batch(dns_queries=[{"query": "A.eXample", "resolver": "9.9.9.9"}]))
    assert (row["kind"], row["client"], row["server"], row["port"]) == ("dns_query", "10.0.0.5", None, None)
    assert (row["name"], row["uids"]) == ("a.example", ["D1"])


def test_a_host_event_that_a_rule_fires_on() -> None:
    [row] = matched(rules(rule()), events.batch(events=[{"record": 7, "dst_name": "X.y"}]))
    assert (row["kind"], row["sensor"], row["client"], row["server"]) == ("host_event", None, "10.0.0.5", "203.0.113.9")
    assert (row["host"], row["process"], row["pid"]) == ("ws1.example", r"C:\Tools\agent.exe", 4242)
    assert (row["user"], row["name"], row["uids"]) == (r"CORP\ann", "x.y", ["ws1.example/7"])


def test_an_event_without_a_record_number_has_no_uid() -> None:
    [row] = matched(rules(rule()), events.batch(events=[{"record": None}]))
    assert (row["records"], row["uids"]) == (1, [])


def test_an_accepted_connection_in_security_is_told_from_its_client() -> None:
    detection = {"sel": {"EventID": 5156, "SourcePort": 3389}, "condition": "sel"}
    event = {
        **events.SECURITY,
        "initiated": False,
        "src_h": "127.0.0.2",
        "src_p": 3389,
        "dst_h": "127.0.0.1",
        "dst_p": 50_000,
    }
    told = rule(detection, {"product": "windows", "service": "security"})
    [row] = matched(rules(told), events.batch(events=[event]))
    assert (row["client"], row["server"], row["port"]) == ("127.0.0.1", "127.0.0.2", 3389)


def test_places_are_told_apart_and_records_of_one_are_counted() -> None:
    rows = [{"uid": "A", "ts": START + 5}, {"uid": "B", "ts": START}, {"uid": "C", "resp_h": "203.0.113.10"}]
    told = matched(rules(rule()), connections(*rows))
    assert [(r["server"], r["records"], r["first_us"], r["last_us"], r["uids"]) for r in told] == [
        ("203.0.113.10", 1, START, START, ["C"]),
        ("203.0.113.9", 2, START, START + 5, ["B", "A"]),
    ]


def test_the_ten_earliest_uids_are_told_each_once() -> None:
    rows = [{"uid": f"C{i:02}", "ts": START + 100 - i} for i in range(20)] + [{"uid": "C19", "ts": START + 200}]
    [row] = matched(rules(rule()), connections(*rows))
    assert row["uids"] == [f"C{i:02}" for i in range(19, 9, -1)]
    assert row["records"] == 21


def test_a_connection_in_segments_counts_once() -> None:
    rows = [{"uid": "L", "seg": i, "final": i == 3, "ts": START} for i in range(4)]
    other = {"uid": "M", "seg": 0, "final": False}
    [row] = matched(rules(rule()), connections(*rows[:2], {"uid": "S"}), connections(*rows[2:], other))
    assert (row["records"], row["uids"]) == (3, ["L", "M", "S"])


def test_a_rule_that_fires_late_in_a_connection_counts_it() -> None:
    told = rule({"sel": {"orig_bytes|gt": 100}, "condition": "sel"}, {"product": "zeek", "service": "conn"})
    rows = [{"uid": "L", "seg": i, "final": i == 2, "orig_bytes": 60 * i} for i in range(3)]
    assert [r["records"] for r in matched(rules(told), connections(*rows))] == [1]


def test_the_severest_come_first() -> None:
    named = [rule(title=f"{level} {n}", level=level) for n in "ba" for level in ("low", "critical", "medium")]
    told = matched(rules(*named), connections({}))
    assert [r["title"] for r in told] == ["critical a", "critical b", "medium a", "medium b", "low a", "low b"]


@pytest.mark.parametrize("seed", range(5))
def test_matches_are_the_same_whatever_the_batches(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "WAITING", 50)  # so that it gathers often
    chance = random.Random(seed)
    loaded = rules(*(document for _, document in sigma_cases.rules(40, chance)))
    kinds = {kind: sigma_cases.records(kind, 200, chance) for kind in ("host_event", "connection", "dns_query")}
    whole = told(loaded, [of_rows(kinds, range(200))])
    order = list(range(200))
    chance.shuffle(order)
    cuts = sorted(chance.sample(range(1, 200), 6))
    parts = [order[a:b] for a, b in zip([0, *cuts], [*cuts, 200], strict=True)]
    assert told(loaded, [of_rows(kinds, part) for part in parts]) == whole
    assert whole[1] > 0
    assert len(whole[0]) > 100


def told(loaded: sigma.Rules, batches: Iterable[Batch]) -> tuple[list[dict[str, Any]], int]:
    """The matches, and how many groups are untold."""
    matcher = sigma.Matcher(loaded, most=20)
    for batch in batches:
        matcher.add(batch)
    return matcher.matches().to_pylist(), matcher.untold


def of_rows(kinds: Mapping[str, pa.RecordBatch], rows: Sequence[int]) -> Batch:
    """A batch of these rows of each kind."""
    chosen = pa.array(rows)
    return Batch(*(kinds[kind].take(chosen) for kind in ("connection", "dns_query", "host_event")))


def test_a_noisy_rule_takes_no_other_s_room() -> None:
    gathered = sigma.Matcher(
        rules(rule(title="Noisy"), rule({"s": {"DestinationPort": 1}, "condition": "s"}, title="Rare"))
    )
    rows = [{"uid": str(i), "resp_h": f"198.51.{i // 250}.{i % 250}"} for i in range(gathering.MOST + 7)]
    gathered.add(connections(*rows, {"resp_p": 1}))
    titles = gathered.matches()["title"].to_pylist()
    assert (titles.count("Noisy"), titles.count("Rare")) == (gathering.MOST, 1)
    assert gathered.untold == 7
    gathered.add(connections(*rows))
    assert gathered.untold == 7  # the same groups again


def test_a_client_of_many_places_takes_no_other_s_room() -> None:
    rows = [{"uid": str(i), "resp_h": f"198.51.{i // 250}.{i % 250}"} for i in range(gathering.MOST + 7)]
    quiet = connections({"uid": "quiet", "orig_h": "10.0.0.6"})
    for batches in ([connections(*rows), quiet], [quiet, connections(*rows)]):
        told = matched(rules(rule()), *batches)
        assert len(told) == gathering.MOST
        assert "quiet" in {row["uids"][0] for row in told}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"dst_name": "a\x1fb", "host": "c"}, {"dst_name": "a", "host": "b\x1fc"}),
        ({"dst_name": "a\x1e1b"}, {"dst_name": "a\x1fb"}),
        ({"process": "\x00"}, {"process": None}),
    ],
)
def test_a_name_that_holds_the_marks_of_keys_joins_no_places(one: Any, other: Any) -> None:
    assert len(matched(rules(rule()), events.batch(events=[one, other]))) == 2


def test_many_rules_that_fire_on_everything_are_gathered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "WAITING", 3)
    loaded = rules(*(rule(title=f"Rule {n}") for n in range(4)))
    told = matched(loaded, connections({"uid": "C1"}, {"uid": "C2"}))
    assert [(row["title"], row["records"]) for row in told] == [(f"Rule {n}", 2) for n in range(4)]


def test_a_connection_that_goes_on_is_not_forgotten() -> None:
    matcher = sigma.Matcher(rules(rule()))
    for seg in range(3):
        matcher.add(connections({"seg": seg, "seg_end": START + (seg + 1) * 300, "final": False}))
    matcher.forget(START + 700)
    [row] = matcher.matches().to_pylist()
    assert (row["records"], row["first_us"], row["last_us"]) == (1, START, START)


def test_connections_in_segments_that_are_over_still_count() -> None:
    matcher = sigma.Matcher(rules(rule()))
    matcher.add(connections(*({"uid": uid, "seg_end": START + 300, "final": False} for uid in ("C1", "C2"))))
    matcher.add(connections({"uid": "C3", "ts": START + 900, "seg_end": START + 900}))
    matcher.forget(START + 600)
    assert matcher.matches()["records"].to_pylist() == [3]


def test_what_is_old_is_forgotten() -> None:
    matcher = sigma.Matcher(rules(rule()))
    matcher.add(connections({"uid": "old"}, {"uid": "new", "resp_h": "203.0.113.10", "ts": START + 10}))
    matcher.forget(START + 1)
    assert matcher.matches()["uids"].to_pylist() == [["new"]]


def test_a_gathering_of_nothing() -> None:
    assert Gathering().groups().num_rows == 0
    assert Gathering().untold == 0
