"""logon_geography: one account, two places, and less time than the way takes."""

from __future__ import annotations

import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from hopscope import config
from hopscope.errors import UsageError
from hopscope.heuristics.logon_geography import EARTH_KM, HEURISTIC, Place, Settings, distance_km, place
from support.windows import START, make_window

BERLIN, PARIS, TOKYO, VAGUE, NOWHERE = "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.5"
HOST = "10.0.0.5"
LOCATIONS = {
    BERLIN: (52.52, 13.405, 20, "DE"), PARIS: (48.857, 2.352, 20, "FR"), TOKYO: (35.69, 139.69, 50, "JP"),
    VAGUE: (48.857, 2.352, None, None),
}  # fmt: skip


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    writer = MMDBWriter(ip_version=4, database_type="Test-City")
    for address, (latitude, longitude, radius, country) in LOCATIONS.items():
        location = {"latitude": latitude, "longitude": longitude}
        told = {"location": location if radius is None else {**location, "accuracy_radius": radius}}
        writer.insert_network(IPSet([f"{address}/32"]), told | ({"country": {"iso_code": country}} if country else {}))
    writer.insert_network(IPSet([f"{NOWHERE}/32"]), {"country": {"iso_code": "XX"}})
    path = tmp_path_factory.mktemp("geo") / "places.mmdb"
    writer.to_db_file(str(path))
    return str(path)


def logon(
    source: str, minutes: float, *, service: str = "ssh", software: str | None = "SSH-2.0-x", **values: Any
) -> Any:
    pair = {"client": source, "server": HOST, "port": 22}
    sent = {"ssh": (8_000, 60.0), "rdp": (900_000, 600.0)}["rdp" if "rdp" in service else "ssh"]
    row = {
        **pair, "uid": f"C{source[-1]}{minutes:g}", "ts_us": START + round(minutes * 60e6), "service": service,
        "resp_bytes": sent[0], "duration": sent[1], **values,
    }  # fmt: skip
    return row, software


def weigh(database: str, *logons: Any, **changes: Any) -> list[dict[str, Any]]:
    pairs = {(r["client"], r["server"]): {"client_local": False, "server_local": True} for r, _ in logons}
    window = make_window(
        pairs=[{"client": c, "server": s, "port": 22, **v} for (c, s), v in pairs.items()],
        samples=[r for r, _ in logons],
        sets=[
            {**{k: r[k] for k in ("client", "server", "port")}, "kind": "ssh_client", "value": v}
            for r, v in logons
            if v
        ],
    )
    settings = dataclasses.replace(HEURISTIC.defaults, database=database, **changes)
    rows: list[dict[str, Any]] = HEURISTIC.weigh(window, settings).to_pylist()
    return rows


def test_a_logon_from_the_other_side_of_the_world_an_hour_later(database: str) -> None:
    (row,) = weigh(database, logon(BERLIN, 0), logon(BERLIN, 30), logon(TOKYO, 90))
    assert (row["server"], row["client"], row["port"], row["proto"]) == (TOKYO, HOST, None, None)
    assert row["decibans"] == HEURISTIC.defaults.most_db
    assert row["distance"] == pytest.approx(8_920 - 70, abs=30)
    assert row["speed"] == pytest.approx(row["distance"])
    assert row["uids"] == ["C130", "C390"]
    said = HEURISTIC.sentence(row)
    assert "by SSH from here (JP) and one from 198.51.100.1 (DE)" in said
    assert "60 minutes" in said


def test_off_without_a_database() -> None:
    assert weigh("", logon(BERLIN, 0), logon(TOKYO, 60)) == []


def test_by_aeroplane(database: str) -> None:
    assert weigh(database, logon(BERLIN, 0), logon(TOKYO, 60 * 11)) == []


@pytest.mark.parametrize(("off", "fires"), [(-0.01, True), (0.01, False)])
def test_speed(database: str, off: float, fires: bool) -> None:
    km = distance_km(Place(*LOCATIONS[BERLIN]), Place(*LOCATIONS[TOKYO])) - 70  # type: ignore[arg-type]
    assert bool(weigh(database, logon(BERLIN, 0), logon(TOKYO, 60 * km / 1000 + off))) is fires


def test_exactly_at_the_speed_says_nothing(database: str) -> None:
    (row,) = weigh(database, logon(BERLIN, 0), logon(TOKYO, 60))
    exact = distance_km(Place(*LOCATIONS[BERLIN]), Place(*LOCATIONS[TOKYO])) - 70  # type: ignore[arg-type]
    assert weigh(database, logon(BERLIN, 0), logon(TOKYO, 60), max_speed=exact) == []
    assert row["speed"] == round(exact, 1)


@pytest.mark.parametrize(("least", "fires"), [(-0.1, True), (0.0, True), (0.1, False)])
def test_distance_beyond_both_radii(database: str, least: float, fires: bool) -> None:
    km = distance_km(Place(*LOCATIONS[BERLIN]), Place(*LOCATIONS[PARIS])) - 40  # type: ignore[arg-type]
    assert bool(weigh(database, logon(BERLIN, 0), logon(PARIS, 1), min_distance=km + least)) is fires


def test_an_unknown_radius_is_taken_for_a_large_one(database: str) -> None:
    (row,) = weigh(database, logon(BERLIN, 0), logon(VAGUE, 1))
    (sharp,) = weigh(database, logon(BERLIN, 0), logon(PARIS, 1))
    assert row["distance"] == pytest.approx(sharp["distance"] - 80, abs=0.2)
    assert weigh(database, logon(PARIS, 0), logon(VAGUE, 1)) == []


@pytest.mark.parametrize(
    ("service", "sent", "lasted", "counts"),
    [
        ("ssh", 5_000, 60.0, False), ("ssh", 5_001, 60.0, True), ("ssh", None, 60.0, False),
        ("ssh", 9_000, 10.0, False), ("ssh", 9_000, 10.1, True), ("ssh", 9_000, None, False),
        ("rdp", 50_000, 900.0, False), ("rdp,ssl", 50_001, 900.0, True),
        ("rdp", 90_000, 60.0, False), ("ssl,rdp", 90_000, 60.1, True),
        ("ssl", 90_000, 900.0, False), ("sshx", 90_000, 900.0, False), (None, 90_000, 900.0, False),
    ],
)  # fmt: skip
def test_what_is_a_logon(
    database: str, service: str | None, sent: int | None, lasted: float | None, counts: bool
) -> None:
    software = "SSH-2.0-x" if service == "ssh" else None
    other = logon(BERLIN, 0, service="rdp" if service and "rdp" in service else "ssh", software=software)
    odd, _ = logon(TOKYO, 60)
    row = {**odd, "service": service, "resp_bytes": sent, "duration": lasted}
    assert bool(weigh(database, other, (row, software))) is counts


def test_other_software_and_other_hosts_are_other_accounts(database: str) -> None:
    assert weigh(database, logon(BERLIN, 0), logon(TOKYO, 60, software="SSH-2.0-other")) == []
    assert weigh(database, logon(BERLIN, 0), logon(TOKYO, 60, server="10.0.0.6")) == []


def test_a_host_of_many_users_says_nothing(database: str) -> None:
    others = [logon(f"198.51.100.{i}", 1) for i in (6, 7)]
    assert weigh(database, logon(BERLIN, 0), logon(TOKYO, 60), *others)
    assert weigh(database, logon(BERLIN, 0), logon(TOKYO, 60), *others, logon("198.51.100.8", 1)) == []


def test_the_source_with_fewer_logons_is_the_odd_one_whichever_came_first(database: str) -> None:
    (row,) = weigh(database, logon(TOKYO, 0), logon(BERLIN, 60), logon(BERLIN, 70))
    assert (row["server"], row["other_source"]) == (TOKYO, BERLIN)


def test_addresses_that_the_database_does_not_place(database: str) -> None:
    assert weigh(database, logon(NOWHERE, 0), logon(TOKYO, 1), logon("192.0.2.1", 2), logon("2001:db8::1", 3)) == []


def test_logons_to_the_outside_and_among_ours_are_not_looked_at(database: str) -> None:
    (one, _), (two, _) = logon(BERLIN, 0), logon(TOKYO, 60)
    for local in ((True, True), (False, False), (None, None)):
        pairs = [
            {**{k: r[k] for k in ("client", "server", "port")}, "client_local": local[0], "server_local": local[1]}
            for r in (one, two)
        ]
        window = make_window(pairs=pairs, samples=[one, two])
        assert HEURISTIC.weigh(window, Settings(database=database)).num_rows == 0


def test_the_order_of_records_is_irrelevant(database: str) -> None:
    logons = [logon(s, 40 * i + j) for i, s in enumerate((BERLIN, TOKYO, PARIS)) for j in range(3)]
    shuffled = logons[:]
    random.Random(2).shuffle(shuffled)
    assert weigh(database, *logons) == weigh(database, *shuffled)
    assert weigh(database, *logons)


def test_a_database_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        config.load(None, {}, {"heuristics.logon_geography.database": str(tmp_path / "none.mmdb")})
    empty = tmp_path / "empty.mmdb"
    empty.write_bytes(b"not a database")
    with pytest.raises(UsageError, match=r"empty\.mmdb can't be read"):
        weigh(str(empty), logon(BERLIN, 0), logon(TOKYO, 60))


@pytest.mark.parametrize(
    "record",
    [
        None,
        "x",
        [],
        {},
        {"location": None},
        {"location": {"latitude": 1}},
        {"location": {"latitude": "1", "longitude": 2}},
    ],
)
def test_records_without_coordinates(record: Any) -> None:
    class Odd:
        def get(self, address: str, /) -> Any:
            return record

    assert place(Odd(), BERLIN, 100.0) is None


def test_the_great_circle() -> None:
    north, south = Place(90, 0, 0, None), Place(-90, 77, 0, None)
    assert distance_km(north, south) == pytest.approx(math.pi * EARTH_KM)
    assert distance_km(Place(0, 179.5, 0, None), Place(0, -179.5, 0, None)) == pytest.approx(111.2, abs=0.1)
    assert distance_km(north, north) == 0


def test_ssh_of_unknown_software_could_be_anybodys(database: str) -> None:
    assert weigh(database, logon(BERLIN, 0, software=None), logon(TOKYO, 90, software=None)) == []
