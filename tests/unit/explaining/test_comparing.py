"""The ordinary destination most like a finding: of the same clients first, at the same level, and what differs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hopscope.explaining import comparing
from hopscope.explaining.comparing import Compared, Comparison
from hopscope.findings import Entity
from support.findings import FINDING
from support.windows import make_window

HOP, NEAR, FAR = "203.0.113.9", "192.0.2.7", "192.0.2.8"
FOUND = dataclasses.replace(
    FINDING, sensor="s", entity=Entity("service", f"{HOP}:443/tcp"), hop=HOP, port=443, proto="tcp",
    clients=("10.0.0.5",), names=(),
)  # fmt: skip


def service(server: str, answer_ms: float = 21.0, **pair: Any) -> dict[str, list[Any]]:
    """A service with its ways: 20 ms to the SYN-ACK, `answer_ms` to the first answer."""
    key = {"server": server, **{k: pair[k] for k in ("client", "port", "name") if k in pair}}
    return {
        "pairs": [{"connections": 10, "orig_bytes": 5000, "resp_bytes": 40_000, "server": server, **pair}],
        "floors": [
            {**key, "measure": m, "value_us": round(v * 1000)} for m, v in (("tcp_rtt", 20), ("hello_rtt", answer_ms))
        ],
    }


def nearest(*services: dict[str, list[Any]], found: Any = FOUND, hops: Any = (), names: Any = ()) -> Comparison | None:
    tables = {name: [row for s in services for row in s.get(name, [])] for name in ("pairs", "floors")}
    return comparing.nearest(make_window(**tables), found, hops, names)


def rows(told: Comparison | None) -> dict[str, Compared]:
    assert told is not None
    return {row.trait: row for row in told.rows}


def test_what_is_most_alike_is_told_with_what_differs() -> None:
    told = nearest(
        service(HOP, 78.0),
        service(NEAR, name="cdn.example", connections=12),
        service(FAR, connections=900, orig_bytes=10**9, resp_bytes=10**6),
    )
    assert told is not None
    assert (told.shown, told.names, told.value) == (f"{NEAR}:443/tcp", ("cdn.example",), f"{NEAR}|443|tcp")
    assert (told.shared, told.among) == (True, 2)
    by = rows(told)
    assert by["answer"] == Compared("answer", "ms", 78.0, 21.0, differs=True)
    assert by["way"] == Compared("way", "ms", 20.0, 20.0, differs=False)
    assert by["connections"] == Compared("connections", "connections", 10.0, 12.0, differs=False)
    assert by["sent"].this == 500.0  # for each connection
    assert by["ratio"].this == pytest.approx(-35 / 45)


def test_answers_decide_between_destinations_that_are_used_alike() -> None:
    told = nearest(service(HOP, 78.0), service(NEAR, 21.0), service(FAR, 70.0))
    assert told is not None
    assert told.address == FAR


def test_other_clients_are_asked_where_the_same_use_nothing_ordinary() -> None:
    told = nearest(service(HOP), service(NEAR, client="10.0.0.6"))
    assert told is not None
    assert (told.address, told.shared) == (NEAR, False)
    closer = nearest(service(HOP), service(NEAR, client="10.0.0.6"), service(FAR, connections=90))
    assert closer is not None
    assert (closer.address, closer.shared) == (FAR, True)


def test_clients_are_those_of_the_whole_network() -> None:
    told = nearest(service(HOP), service(NEAR), *(service(NEAR, client=f"10.0.0.{i}") for i in range(6, 9)))
    assert rows(told)["clients"] == Compared("clients", "clients", 1.0, 4.0, differs=True)


def test_what_may_be_a_hop_is_no_comparison() -> None:
    assert nearest(service(HOP), service(NEAR), hops={NEAR}) is None
    assert nearest(service(HOP), service(NEAR, name="x.example"), names={"x.example"}) is None
    told = nearest(service(HOP), service(NEAR), names={"x.example"})  # what has no name has not that name
    assert told is not None
    assert nearest(service(HOP), service(HOP, port=22)) is None


def test_groups_and_what_never_answered_are_no_comparison() -> None:
    assert nearest(service(HOP), service("239.1.2.3"), service(NEAR, established=0)) is None


def test_nothing_is_told_of_what_the_window_does_not_have() -> None:
    assert nearest(service(NEAR)) is None


def test_a_name_is_compared_with_names() -> None:
    found = dataclasses.replace(FOUND, entity=Entity("name", "relay.example"))
    told = nearest(
        service(HOP, name="relay.example"), service("203.0.113.10", name="relay.example", client="10.0.0.9"),
        service(NEAR, name="www.example"), service(FAR), found=found,
    )  # fmt: skip
    assert told is not None
    assert (told.kind, told.value, told.shown) == ("name", "www.example", "www.example")
    assert rows(told)["clients"].this == 2.0


def test_an_address_is_compared_with_addresses() -> None:
    found = dataclasses.replace(FOUND, entity=Entity("address", HOP), port=None, proto=None)
    told = nearest(service(HOP), service(HOP, port=8443), service(NEAR), service(NEAR, port=80), found=found)
    assert told is not None
    assert (told.kind, told.value) == ("address", NEAR)
    assert rows(told)["connections"].this == 20.0


def test_a_host_of_ours_is_compared_with_hosts_of_ours() -> None:
    ours = {"client": "198.51.100.9", "client_local": False, "server_local": True}
    found = dataclasses.replace(FOUND, clients=("198.51.100.9",), hop="10.0.0.80", entity=Entity("service", "x"))
    told = nearest(service("10.0.0.80", **ours), service("10.0.0.81", **ours), service(NEAR), found=found)
    assert told is not None
    assert told.address == "10.0.0.81"


def test_times_that_are_not_known_are_left_out() -> None:
    bare = {"pairs": service(NEAR)["pairs"]}
    by = rows(nearest(service(HOP), bare))
    assert by["answer"] == Compared("answer", "ms", 21.0, None, differs=True)
    both = rows(nearest({"pairs": service(HOP)["pairs"]}, bare))
    assert both["answer"] == Compared("answer", "ms", None, None, differs=False)
