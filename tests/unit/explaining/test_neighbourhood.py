"""A heuristic weighed anew on a part of the window gives what it gave on all of it, or isn't asked at all."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hopscope import config, dossier
from hopscope.config import Config
from hopscope.explaining import counterfactuals, neighbourhood
from hopscope.findings import Finding
from hopscope.heuristics import registry
from hopscope.heuristics.base import Window
from support.windows import make_window, starts

HOP, CLIENT = "203.0.113.9", "10.0.0.5"


@pytest.fixture(scope="module")
def settings() -> Config:
    return config.load()


def relayed(gap: float = 0.06, n: int = 8, **pair: Any) -> dict[str, list[Any]]:
    """A TLS service whose far end lies `gap` seconds behind it, called every minute."""
    key = {"server": HOP, "client": CLIENT, **pair}
    samples = [
        {**key, "uid": f"C{key['client']}-{i}", "hash": i, "tcp_rtt": 0.02, "service": "ssl", "hello_rtt": 0.02 + gap,
         "finished_rtt": 0.02 + gap, "first_reply": 0.02 + gap}
        for i in range(n)
    ]  # fmt: skip
    return {
        "pairs": [{**key, "connections": n, "established": n}],
        "samples": samples,
        "floors": [{**key, "uid": samples[0]["uid"]}],
        "starts": starts([60.0 * i for i in range(n)], **key),
    }


def window(*services: dict[str, list[Any]], others: int = 40) -> Window:
    """The services among named destinations of several clients, so that DNS counts as seen."""
    tables: dict[str, list[Any]] = {
        "pairs": [
            {"server": f"192.0.2.{i}", "name": f"n{i}.example", "client": f"10.0.0.{5 + i % 4}"} for i in range(others)
        ],
        "names": [{"address": f"192.0.2.{i}", "name": f"n{i}.example"} for i in range(others)],
    }
    for service in services:
        for name, rows in service.items():
            tables[name] = tables.get(name, []) + rows
    return make_window(**tables)


def only(window: Window, settings: Config) -> Finding:
    (found,) = dossier.findings(window, settings, {})
    return found


@pytest.fixture(scope="module")
def one(settings: Config) -> tuple[Window, Finding]:
    """A window with one hop, and the finding of it."""
    whole = window(relayed())
    return whole, only(whole, settings)


def test_the_part_of_an_entity_has_its_pairs_alone(settings: Config) -> None:
    whole = window(relayed(), relayed(server="203.0.113.10", gap=0.0))
    part = neighbourhood.part(whole, only(whole, settings), clients=False)
    assert part is not None
    for name in ("pairs", "samples", "floors", "starts"):
        assert set(getattr(part, name).to_pyarrow()["server"].to_pylist()) == {HOP}
    assert (part.start_us, part.end_us) == (whole.start_us, whole.end_us)


def test_the_part_of_its_clients_has_all_that_they_use(one: tuple[Window, Finding]) -> None:
    part = neighbourhood.part(*one, clients=True)
    assert part is not None
    assert set(part.pairs.to_pyarrow()["client"].to_pylist()) == {CLIENT}
    assert part.pairs.count().to_pyarrow().as_py() == 11  # the hop and a quarter of forty


def test_a_part_that_is_too_large_is_not_taken(one: tuple[Window, Finding], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbourhood, "MOST_PAIRS", 5)
    assert neighbourhood.part(*one, clients=False) is not None
    assert neighbourhood.part(*one, clients=True) is None


def test_weighed_anew_it_gives_the_same_piece(settings: Config) -> None:
    whole = window(relayed(), relayed(client="10.0.0.6"))
    found = only(whole, settings)
    (gap,) = (e for e in found.evidence if e.heuristic == "path_gap")
    weigh = neighbourhood.weigher(whole, found, settings)("path_gap")
    assert weigh is not None
    assert weigh(settings.heuristics["path_gap"]) == (gap.raw_db, 2)
    assert weigh(dataclasses.replace(settings.heuristics["path_gap"], floor_ms=61.0)) is None


def test_what_depends_on_all_others_is_not_weighed_on_a_part(settings: Config) -> None:
    # of the four hosts that are active, three go there; a part of the window knows those three alone
    whole = window(relayed(), relayed(client="10.0.0.6"), relayed(client="10.0.0.7"))
    found = only(whole, settings)
    assert {e.heuristic: e.decibans for e in found.evidence}["prevalence"] < 0
    weigher = neighbourhood.weigher(whole, found, settings)
    assert weigher("prevalence") is None
    assert weigher("path_gap") is not None


def test_a_piece_of_an_older_store_is_not_compared(one: tuple[Window, Finding], settings: Config) -> None:
    whole, found = one
    bare = tuple(dataclasses.replace(e, raw_db=None) for e in found.evidence)
    assert neighbourhood.weigher(whole, dataclasses.replace(found, evidence=bare), settings)("path_gap") is None


def test_a_heuristic_that_said_nothing_is_not_compared(one: tuple[Window, Finding], settings: Config) -> None:
    whole, found = one
    other = tuple(dataclasses.replace(e, heuristic="of_another_version") for e in found.evidence)
    assert neighbourhood.weigher(whole, dataclasses.replace(found, evidence=other), settings)("path_gap") is None


@pytest.mark.parametrize("kind", ["name", "service", "address", "network"])
def test_every_kind_of_entity(settings: Config, kind: str) -> None:
    six = "2001:db8:1::9"
    host = {"server": six} if kind == "network" else {}
    name = {"name": "a.example"} if kind == "name" else {}
    whole = window(relayed(**host, **name))
    found = only(whole, settings)
    value = {"name": "a.example", "service": f"{HOP}:443/tcp", "address": HOP, "network": "2001:db8:1::/64"}[kind]
    found = dataclasses.replace(found, entity=dataclasses.replace(found.entity, kind=kind, value=value))
    table = registry()["path_gap"].weigh(whole, settings.heuristics["path_gap"])
    raw = {e.heuristic: e.raw_db for e in found.evidence}["path_gap"]
    assert neighbourhood.piece(table, found) == (raw, 1)
    elsewhere = dataclasses.replace(
        found, hop="198.51.100.1", entity=dataclasses.replace(found.entity, value="2001:db8:2::/64")
    )
    assert neighbourhood.piece(table, elsewhere) is None


def test_a_gap_is_told_with_the_floor_that_would_silence_it(one: tuple[Window, Finding], settings: Config) -> None:
    whole, found = one
    told = {
        c.setting: c for c in counterfactuals.crossings(found, settings, neighbourhood.weigher(whole, found, settings))
    }
    floor = told["path_gap.floor_ms"]
    assert (floor.now, floor.up, floor.severity) == (15.0, True, "info")
    assert 30.0 < floor.at <= 62.0
    at_it = dataclasses.replace(settings.heuristics["path_gap"], floor_ms=floor.at)
    changed = dataclasses.replace(settings, heuristics={**settings.heuristics, "path_gap": at_it})
    assert dossier.findings(whole, changed, {}) == []
