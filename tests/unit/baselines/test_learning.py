"""Learning: days in any order give one baseline; what looks like a hop isn't learnt, unless a person says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hopscope import dossier, runs
from hopscope.baselines.learning import EVERYTHING, Learning, Learnt
from hopscope.baselines.model import DAY_US
from hopscope.config import Config
from hopscope.findings import Entity, Finding
from hopscope.labels import Label, Verdict
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch, InputCount
from support import generate
from support.findings import finding
from support.tables import assert_same

HOUR = 3_600_000_000
T = 19_677 * DAY_US  # a day's start
HOP, SHOP, BANK, RESOLVER = "203.0.113.9", "198.51.100.1", "198.51.100.2", "198.51.100.53"
CLIENTS = [f"10.0.0.{i}" for i in range(10, 15)]

Rows = Sequence[dict[str, Any]]


def connection(at: int, client: str = CLIENTS[0], server: str = SHOP, **values: Any) -> dict[str, Any]:
    row = {
        "ts": at, "seg_end": at + 1_000_000, "seg": 0, "final": True, "uid": f"C{at}{client}{server}", "sensor": "s",
        "proto": "tcp", "orig_h": client, "orig_p": 4000, "resp_h": server, "resp_p": 443, "local_orig": True,
        "local_resp": False, "conn_state": "SF", "orig_bytes": 100, "resp_bytes": 900, "seg_orig_bytes": 100,
        "seg_resp_bytes": 900,
    }  # fmt: skip
    return {**row, **values}


def answer(at: int, name: str, address: str, client: str = CLIENTS[0]) -> dict[str, Any]:
    return {
        "ts": at, "uid": f"D{at}{name}{client}", "sensor": "s", "client": client, "resolver": "10.0.0.1", "query": name,
        "qtype": "A", "rcode": "NOERROR", "answers": [address], "ttls": [300.0],
    }  # fmt: skip


def batch(connections: Rows = (), queries: Rows = ()) -> Batch:
    return Batch(generate.records(CONNECTION_SCHEMA, connections), generate.records(DNS_QUERY_SCHEMA, queries))


def learn(
    path: Path,
    batches: Iterable[Batch],
    days: int = 7,
    given: Iterable[Label] = (),
    keep: Iterable[str] = (),
) -> Learnt:
    learning = Learning(Config(), InputCount(), path, given, keep)
    for each in batches:
        learning.add(each)
    return learning.learnt(days)


@pytest.fixture
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is weighed, so that nothing looks like a hop."""
    monkeypatch.setattr(runs, "weighed", lambda *_: None)
    monkeypatch.setattr(dossier, "of_run", lambda _: [])


def looks(monkeypatch: pytest.MonkeyPatch, *found: Finding) -> None:
    """Each day's weighing finds these."""
    monkeypatch.setattr(runs, "weighed", lambda *_: None)
    monkeypatch.setattr(dossier, "of_run", lambda _: list(found))


def suspect(**changes: Any) -> Finding:
    about = {"entity": Entity("service", f"{HOP}:443/tcp"), "hop": HOP, "dns_names": (), "sensor": "s", "id": "hop-1"}
    return finding(**{**about, "evidence": (), "severity": "medium", "score_db": 3.2, **changes})


def labelled(verdict: Verdict) -> Label:
    return Label("hop-1", verdict, Entity("service", f"{HOP}:443/tcp"), HOP, "2026-11-21T10:00:00Z", 443, "tcp", "s")


def addresses(learnt: Learnt) -> dict[str, tuple[int, int]]:
    """Clients and days of each address."""
    places = learnt.tables["places"].to_pylist()
    return {r["value"]: (r["clients"], r["days"]) for r in places if r["kind"] == "address" and r["clients"]}


@pytest.mark.usefixtures("unjudged")
class TestWhatIsLearnt:
    def test_volumes_by_host_and_hour(self, tmp_path: Path) -> None:
        rows = [connection(T + h * HOUR, server=s) for h in (0, 1, 1, 24) for s in (SHOP, BANK)]
        learnt = learn(tmp_path, [batch([{**r, "uid": str(i)} for i, r in enumerate(rows)])])
        assert learnt.tables["host_hours"].to_pylist() == [
            {"sensor": "s", "host": CLIENTS[0], "hour": T // HOUR + h, "orig_bytes": 200 * n, "resp_bytes": 1800 * n,
             "connections": 2 * n}
            for h, n in ((0, 1), (1, 2), (24, 1))
        ]  # fmt: skip
        assert (learnt.days, learnt.hosts, learnt.sensors) == (2, 1, ("s",))
        assert (learnt.first_us, learnt.last_us) == (T, T + 24 * HOUR + 1_000_000)

    def test_places_with_their_clients_and_days(self, tmp_path: Path) -> None:
        rows = [connection(T + d * DAY_US, c) for d, c in ((0, CLIENTS[0]), (1, CLIENTS[0]), (1, CLIENTS[1]))]
        rows += [
            connection(T + 5 * HOUR, server=BANK, sni="www.bank.example"),
            connection(T, server=HOP, sni="x.example"),
        ]
        learnt = learn(tmp_path, [batch(rows, [answer(T + 4 * HOUR, "www.bank.example", BANK)])])
        assert addresses(learnt) == {SHOP: (2, 2), BANK: (1, 1), HOP: (1, 1)}
        [name] = [r for r in learnt.tables["places"].to_pylist() if r["kind"] == "name"]
        assert (name["value"], name["clients"], name["days"]) == ("www.bank.example", 1, 1)  # x.example was only said
        assert name["first_us"] == T + 5 * HOUR
        assert name["last_us"] == T + 6 * HOUR - 1

    def test_who_belongs_together_and_what_they_use(self, tmp_path: Path) -> None:
        rows = [connection(T, c, f"198.51.100.{i}") for c in CLIENTS for i in range(1, 9)]
        rows += [connection(T, CLIENTS[0], HOP, sni="own.example")]
        rows += [connection(T, c, RESOLVER, service="dns", resp_p=53, proto="udp", resp_pkts=1) for c in CLIENTS]
        learnt = learn(tmp_path, [batch(rows, [answer(T, "own.example", HOP)])])
        members = learnt.tables["communities"].to_pylist()
        assert [r["client"] for r in members] == CLIENTS
        assert {r["members"] for r in members} == {5}
        habits = {r["place"]: (r["users"], r["user"]) for r in learnt.tables["habits"].to_pylist()}
        assert habits.pop("own.example") == (1, CLIENTS[0])
        assert habits == {f"198.51.100.{i}": (5, None) for i in range(1, 9)}  # no resolvers
        assert addresses(learnt)[RESOLVER] == (5, 1)

    def test_only_what_our_hosts_asked_the_internet_and_was_answered(self, tmp_path: Path) -> None:
        rows = [
            connection(T, server="10.0.0.99", local_resp=True),
            connection(T, client="203.0.113.77", local_orig=False),
            connection(T, server=BANK, conn_state="S0", orig_bytes=None, resp_bytes=None),
            connection(T, server="239.255.255.250"),
            connection(T),
        ]
        assert addresses(learn(tmp_path, [batch(rows)])) == {SHOP: (1, 1)}

    def test_days_may_come_in_any_order_and_in_pieces(self, tmp_path: Path) -> None:
        whole = generate.batch(600, seed=3, hours=60, clients=6, servers=30)
        once, pieces, backwards = (tmp_path / name for name in ("once", "pieces", "backwards"))
        for path in (once, pieces, backwards):
            path.mkdir()
        expected = learn(once, [whole])
        assert len(expected.tables["communities"])
        cut = quarters(whole)
        assert len(cut) > 8
        assert_same(learn(pieces, cut).tables, expected.tables)
        assert_same(learn(backwards, cut[::-1]).tables, expected.tables)

    def test_records_that_come_after_their_day_was_closed_are_learnt(self, tmp_path: Path) -> None:
        days = [batch([connection(T + d * DAY_US)]) for d in (0, 1, 2, 3)]
        late = batch([connection(T, CLIENTS[1])])
        learnt = learn(tmp_path, [*days, late])
        assert addresses(learnt) == {SHOP: (2, 4)}
        assert learnt.days == 4

    def test_the_last_days_that_have_records(self, tmp_path: Path) -> None:
        rows = [connection(T + d * DAY_US, server=f"198.51.100.{d}") for d in (0, 1, 5, 6)]
        learnt = learn(tmp_path, [batch(rows)], days=3)
        assert set(addresses(learnt)) == {"198.51.100.1", "198.51.100.5", "198.51.100.6"}
        assert (learnt.days, learnt.first_us) == (3, T + DAY_US)

    def test_of_nothing_there_is_nothing(self, tmp_path: Path) -> None:
        learnt = learn(tmp_path, [])
        assert (learnt.hosts, learnt.days, learnt.left_out) == (0, 0, ())
        assert all(not len(table) for table in learnt.tables.values())


def quarters(whole: Batch) -> list[Batch]:
    """The batch cut at every sixth hour."""
    times = whole.connections["seg_end"].cast("int64"), whole.dns_queries["ts"].cast("int64")
    of = [t.to_numpy() // (6 * HOUR) for t in times]
    return [
        Batch(whole.connections.filter(pa.array(of[0] == q)), whole.dns_queries.filter(pa.array(of[1] == q)))
        for q in range(min(map(min, of)), max(map(max, of)) + 1)
    ]


BOTH = [batch([connection(T + d * DAY_US, server=s) for d in (0, 1) for s in (HOP, SHOP)])]


class TestWhatIsLeftOut:
    def test_what_looks_like_a_hop_on_all_days(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        looks(monkeypatch, suspect())
        learnt = learn(tmp_path, BOTH)
        assert addresses(learnt) == {SHOP: (1, 2)}
        assert {r["connections"] for r in learnt.tables["host_hours"].to_pylist()} == {1}
        [left] = [r for r in learnt.tables["places"].to_pylist() if r["value"] == HOP]
        assert (left["clients"], left["days"], left["first_us"]) == (0, 0, T)  # so that it doesn't count as new
        assert [(left.kind, left.value, left.why) for left in learnt.left_out] == [("address", HOP, "medium, +3.2 dB")]

    @pytest.mark.parametrize(("severity", "left"), [("low", False), ("medium", True), ("critical", True)])
    def test_from_medium_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, severity: str, left: bool) -> None:
        looks(monkeypatch, suspect(severity=severity))
        assert (HOP not in addresses(learn(tmp_path, BOTH))) is left

    @pytest.mark.parametrize(
        ("severity", "verdict", "left"),
        [("low", "hop", True), ("critical", "benign", False), ("low", "benign", False), ("medium", "hop", True)],
    )
    def test_labels_have_the_last_word(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, severity: str, verdict: Verdict, left: bool
    ) -> None:
        looks(monkeypatch, suspect(severity=severity))
        assert (HOP not in addresses(learn(tmp_path, BOTH, given=[labelled(verdict)]))) is left

    def test_what_is_labelled_hop_needs_no_finding(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        looks(monkeypatch)
        learnt = learn(tmp_path, BOTH, given=[labelled("hop")])
        assert HOP not in addresses(learnt)
        assert [left.why for left in learnt.left_out] == ["labelled hop"]

    @pytest.mark.parametrize("keep", [HOP, "hop-1", EVERYTHING, "cdn.example"])
    def test_what_a_person_keeps_is_learnt(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str) -> None:
        looks(monkeypatch, suspect(dns_names=("cdn.example",)))
        learnt = learn(tmp_path, BOTH, keep=[keep, "203.0.113.10"])
        assert HOP in addresses(learnt)
        assert learnt.left_out == ()
        assert learnt.spared == {keep}

    def test_a_name_is_left_out_and_its_neighbours_stay(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        looks(monkeypatch, suspect(entity=Entity("name", "rented.example"), hop=SHOP))
        asked = {CLIENTS[0]: "rented.example", CLIENTS[1]: "shop.example"}
        rows = [connection(T, client, SHOP, sni=name) for client, name in asked.items()]
        learnt = learn(tmp_path, [batch(rows, [answer(T, name, SHOP, client) for client, name in asked.items()])])
        clients = {r["value"]: r["clients"] for r in learnt.tables["places"].to_pylist()}
        assert clients == {SHOP: 1, "shop.example": 1, "rented.example": 0}
        assert [r["host"] for r in learnt.tables["host_hours"].to_pylist()] == [CLIENTS[1]]

    def test_a_name_that_only_the_client_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        looks(monkeypatch, suspect(entity=Entity("name", "rented.example"), hop=HOP))
        rows = [connection(T, server=HOP, sni="rented.example"), connection(T)]
        learnt = learn(tmp_path, [batch(rows)])
        assert addresses(learnt) == {SHOP: (1, 1)}
        assert [left.value for left in learnt.left_out] == ["rented.example"]

    def test_a_network_is_left_out_address_by_address(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        looks(monkeypatch, suspect(entity=Entity("network", "2001:db8::/64"), hop="2001:db8::1"))
        rows = [connection(T, server=s) for s in ("2001:db8::1", "2001:db8::2", "2001:db8:1::1", SHOP)]
        assert set(addresses(learn(tmp_path, [batch(rows)]))) == {"2001:db8:1::1", SHOP}

    def test_what_was_not_used_is_not_counted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        looks(monkeypatch, suspect(hop="10.0.0.99", entity=Entity("address", "10.0.0.99")))
        assert learn(tmp_path, BOTH).left_out == ()

    def test_a_real_one(self, tmp_path: Path) -> None:
        asked = {"proxy_protocol": "socks5", "proxy_target": "www.example.com:443", "proxy_accepted": True}
        rows = [connection(T, CLIENTS[0], HOP, resp_p=1080, **asked), connection(T)]
        learnt = learn(tmp_path, [batch(rows)])
        assert [left.value for left in learnt.left_out] == [HOP]
        assert set(addresses(learnt)) == {SHOP}
