"""Overrides by network and hour: each client's evidence is weighed with the settings that hold for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope import fusion, overrides
from hopscope.config import Config, Override
from hopscope.configuring import loading, sources
from hopscope.heuristics.base import EVIDENCE, Fact, Window
from support.windows import make_window

NIGHT = frozenset({22, 23, 0, 1, 2, 3, 4, 5})
DAY = overrides.DAY - NIGHT
A, B, OTHER = "10.1.2.3", "10.1.2.99", "10.9.9.9"


@dataclass(frozen=True)
class Settings:
    """What the probe is told."""

    weight: float = 1.0
    more: float = 0.0


@dataclass
class Probe:
    """A heuristic that says of every client of a window what settings it was asked with, and counts the askings."""

    group: str = "gap"
    name: str = "probe"
    title: str = ""
    d3fend: str = ""
    source: str = ""
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = ()
    needs: tuple[tuple[str, ...], ...] = ()
    asked: list[Settings] = field(default_factory=list)

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        self.asked.append(settings)
        ends = window.pairs.select("client", "server").distinct().to_pyarrow().to_pylist()
        rows = [{**end, "sensor": "s", "decibans": settings.weight + settings.more} for end in ends]
        rows.append({"sensor": "s", "client": None, "server": "203.0.113.1", "decibans": settings.weight})
        return pa.Table.from_pylist(rows, schema=EVIDENCE)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        return ""


def window(*clients: str, server: str = "203.0.113.9") -> Window:
    return make_window(pairs=[{"client": c, "server": server} for c in clients])


def override(weight: float | None = None, networks: Iterable[str] = (), hours: frozenset[int] | None = None,
             off: bool = False, more: float | None = None) -> Override:  # fmt: skip
    told = {k: v for k, v in (("weight", weight), ("more", more)) if v is not None}
    return Override(tuple(networks), hours, "", {"probe": told} if told else {}, frozenset({"probe"} if off else ()))


def weighed(
    probe: Probe, *held: Override, whole: Window | None = None, by_hours: Mapping[frozenset[int], Window] | None = None
) -> list[tuple[str | None, float]]:
    """(client, decibans) of the evidence, in order."""
    config = Config(heuristics={"probe": probe.defaults}, overrides=held)
    table = overrides.weigh_all("probe", probe, whole or window(A, B, OTHER), by_hours or {}, config)
    assert table.schema == EVIDENCE
    return list(zip(table["client"].to_pylist(), table["decibans"].to_pylist(), strict=True))


def test_without_overrides_it_is_asked_once_with_its_settings() -> None:
    probe = Probe()
    assert dict(weighed(probe)) == {None: 1.0, A: 1.0, B: 1.0, OTHER: 1.0}
    weighed(probe, Override(networks=("10.0.0.0/8",), heuristics={"another": {"x": 1}}))
    assert probe.asked == [Settings(), Settings()]


def test_clients_of_a_network_are_weighed_with_its_settings() -> None:
    probe = Probe()
    assert dict(weighed(probe, override(5.0, ["10.1.2.0/28"]))) == {None: 1.0, A: 5.0, B: 1.0, OTHER: 1.0}
    assert probe.asked == [Settings(), Settings(5.0)]


def test_of_overlapping_overrides_the_later_wins_setting_by_setting() -> None:
    wide, narrow = override(5.0, ["10.1.2.0/24"], more=0.5), override(7.0, ["10.1.2.0/28"])
    assert dict(weighed(Probe(), wide, narrow)) == {None: 1.0, A: 7.5, B: 5.5, OTHER: 1.0}
    assert dict(weighed(Probe(), narrow, wide)) == {None: 1.0, A: 5.5, B: 5.5, OTHER: 1.0}


def test_it_is_asked_once_for_each_of_the_settings_that_hold_somewhere() -> None:
    probe = Probe()
    networks = [f"10.1.2.{i}/32" for i in range(40)]
    weighed(probe, override(5.0, networks[:20]), override(5.0, networks[20:]), override(1.0, ["10.9.9.9/32"]))
    assert sorted(s.weight for s in probe.asked) == [1.0, 5.0]


def test_where_it_is_disabled_it_says_nothing_and_is_not_asked() -> None:
    probe = Probe()
    assert dict(weighed(probe, override(off=True, networks=["10.1.2.0/24"]))) == {None: 1.0, OTHER: 1.0}
    assert probe.asked == [Settings()]


def test_addresses_of_both_versions_lie_in_their_networks() -> None:
    clients = ("2001:db8::1", "2001:db8:1::1", A)
    held = override(5.0, ["2001:db8::/48", "0.0.0.0/0"])
    assert dict(weighed(Probe(), held, whole=window(*clients))) == {
        None: 1.0, "2001:db8::1": 5.0, "2001:db8:1::1": 1.0, A: 5.0,
    }  # fmt: skip


def test_of_relays_among_our_hosts_the_network_means_the_relay() -> None:
    whole = window(OTHER, server=A)
    assert dict(weighed(Probe(group="relay"), override(5.0, ["10.1.2.0/28"]), whole=whole))[OTHER] == 5.0
    assert dict(weighed(Probe(group="relay"), override(5.0, ["10.9.0.0/16"]), whole=whole))[OTHER] == 1.0


def test_by_night_other_settings_hold_for_what_happens_by_night() -> None:
    by_hours = {NIGHT: window(A), DAY: window(B, OTHER)}
    found = weighed(Probe(), override(5.0, hours=NIGHT), by_hours=by_hours)
    assert sorted(found, key=str) == sorted([(None, 1.0), (A, 5.0), (B, 1.0), (OTHER, 1.0)], key=str)


def test_clients_that_no_hours_concern_are_weighed_in_the_whole_window() -> None:
    by_hours = {NIGHT: window(A, OTHER), DAY: window(A)}
    held = (override(5.0, ["10.1.2.0/28"], NIGHT), override(3.0, ["10.9.0.0/16"]))
    found = weighed(Probe(), *held, by_hours=by_hours)
    assert sorted(found, key=str) == sorted([(None, 1.0), (A, 1.0), (A, 5.0), (B, 1.0), (OTHER, 3.0)], key=str)


def test_disabled_by_night_what_happens_by_day_still_counts() -> None:
    by_hours = {NIGHT: window(A), DAY: window(A, B)}
    found = weighed(Probe(), override(off=True, hours=NIGHT), by_hours=by_hours)
    assert sorted(found, key=str) == sorted([(None, 1.0), (A, 1.0), (B, 1.0)], key=str)


def test_the_day_is_cut_where_overrides_begin_or_end() -> None:
    def classes(*hours: frozenset[int] | None) -> set[frozenset[int]]:
        return set(overrides.hour_classes(Config(overrides=tuple(override(1.0, ["::/0"], h) for h in hours))))

    assert classes() == classes(None) == set()
    assert classes(NIGHT) == classes(NIGHT, None, NIGHT) == {NIGHT, DAY}
    assert classes(NIGHT, frozenset({5, 6})) == {NIGHT - {5}, frozenset({5}), frozenset({6}), DAY - {6}}
    assert classes(overrides.DAY) == {overrides.DAY}


@given(st.lists(st.frozensets(st.integers(0, 23), min_size=1), max_size=4))
def test_every_hour_lies_in_one_class_and_every_override_is_made_of_classes(hours: list[frozenset[int]]) -> None:
    cut = overrides.hour_classes(Config(overrides=tuple(override(1.0, ["::/0"], h) for h in hours)))
    assert sorted(hour for part in cut for hour in part) == (list(range(24)) if hours else [])
    assert all(part <= h or not part & h for part in cut for h in hours)


NETWORKS = st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.0/28", "10.9.0.0/16", "10.1.2.3/32"])


@given(st.lists(st.tuples(st.lists(NETWORKS, max_size=2), st.floats(2, 9), st.booleans()), max_size=5))
def test_every_client_has_one_row_of_the_settings_that_hold(given_: list[tuple[list[str], float, bool]]) -> None:
    from ipaddress import ip_address, ip_network

    held = [override(None if off else weight, networks, off=off) for networks, weight, off in given_]
    expected: dict[str | None, float] = {None: 1.0}
    for client in (A, B, OTHER):
        mine = [o for o in held if not o.networks or any(ip_address(client) in ip_network(n) for n in o.networks)]
        if not any(o.disabled for o in mine):
            expected[client] = mine[-1].heuristics["probe"]["weight"] if mine else 1.0
    found = weighed(Probe(), *held, whole=WHOLE)
    assert dict(found) == expected
    assert len(found) == len(expected)


WHOLE = window(A, B, OTHER)


@pytest.mark.parametrize(("floor", "heard"), [("400 ms", False), ("20 ms", True)])
def test_a_heuristic_hears_a_network_by_its_override(floor: str, heard: bool) -> None:
    key = {"client": A, "server": "203.0.113.9"}
    samples = [
        {**key, "uid": f"u{i}", "hash": i, "client_port": 40_000 + i, "tcp_rtt": 0.02, "service": "ssl",
         "hello_rtt": 0.32, "finished_rtt": 0.17, "first_reply": 0.32}
        for i in range(6)
    ]  # fmt: skip
    made = make_window(pairs=[{**key, "connections": 6}], samples=samples, floors=[{**key, "uid": "u0"}])
    text = f"[[override]]\nnetworks = ['10.1.2.0/28']\nheuristics.path_gap.floor_ms = '{floor}'\n"
    text += "heuristics.path_gap.full_ms = '410 ms'\n"
    config = loading.loaded([sources.in_text(text, "c.toml")]).checked()
    tables, _ = fusion.weigh(made, config, only=["path_gap"])
    assert (A in tables["path_gap"]["client"].to_pylist()) == heard
