"""Logons from two places between which nobody can have travelled: one of them came through somebody else's host."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from hopscope.config import setting
from hopscope.errors import UsageError
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, join

EARTH_KM = 6371.0  # mean radius
HOUR_US = 3_600_000_000
SECOND_US = 1_000_000


@dataclass(frozen=True)
class Settings:
    """[heuristics.logon_geography]"""

    database: str = setting("", "", "path of a MaxMind-format database of places (.mmdb); empty: off")
    max_speed: float = setting(1000.0, "km/h", "speed above which nobody travels; airliners fly at about 900")
    min_distance: float = setting(
        100.0, "km", "distance, beyond both places' radius of error, below which nothing is said"
    )
    unknown_radius: float = setting(100.0, "km", "radius of error assumed where the database tells none")
    ssh_bytes: int = setting(5000, "bytes", "payload from an SSH server above which a connection was a logon")
    ssh_lasted: float = setting(10.0, "s", "time above which an SSH connection was a logon")
    rdp_bytes: int = setting(50_000, "bytes", "payload from an RDP server above which a connection was a logon")
    rdp_lasted: float = setting(60.0, "s", "time above which an RDP connection was a logon")
    max_sources: int = setting(4, "addresses", "sources of logons from which a host is taken for one of many users")
    most_db: float = setting(4.0, "decibans", "what this evidence weighs")

    def __post_init__(self) -> None:
        if self.database and not Path(self.database).is_file():
            raise _unreadable(self.database, "there is no such file")


FACTS = (
    Fact("service", "", "ssh or rdp"),
    Fact("country", "", "where the database puts this source, ISO 3166; null where it names no country"),
    Fact("other_source", "", "address that the other logon came from"),
    Fact("other_country", "", "where the database puts that one"),
    Fact("distance", "km", "great circle between the two places, less both radii of error"),
    Fact("apart", "s", "time between the two logons"),
    Fact("speed", "km/h", "what travelling from one to the other would have taken"),
    Fact("software", "", "SSH client's banner, the same in both; null for RDP"),
    Fact("sources", "addresses", "outside addresses that logged on to the host with it in the window"),
)


class Database(Protocol):
    """What is asked of a database of places."""

    def get(self, address: str, /) -> Any:
        """The record of an address, None when there is none. Raises ValueError for kinds it doesn't hold."""
        ...


@dataclass(frozen=True)
class Place:
    """Where an address is, in degrees, with the radius of error in km."""

    latitude: float
    longitude: float
    radius_km: float
    country: str | None


@dataclass(frozen=True)
class LogonGeography:
    """Did one account log on from two places, faster than anybody travels?

    Formula: logons of one account in the order of time, from outside addresses to one of our hosts. The great circle
    between the places of two consecutive ones, less both radii of error of the database, must be at least
    `min_distance`, and the speed over it above `max_speed` (logons within a second count as a second apart). The
    evidence is about the source with fewer logons of that account in the window, the later one where both have as many.

    What is a logon: an inbound SSH connection of more than `ssh_lasted` in which the server sent more than `ssh_bytes`
    (key exchange and refused passwords are 2 to 4.5 kB), or an inbound RDP connection above `rdp_lasted` and
    `rdp_bytes` (a refused network logon is below 5 kB, a logon screen above it, hence the time). What an account is:
    neither protocol tells the user in clear, so that (our host, SSH client's software) stands for it; a host to which
    more than `max_sources` addresses log on with one software has many users, and nothing is said.

    Weights: assumed, none are published; small, since users aren't known: two people who share a host, a mobile network
    or a company's VPN whose exit is abroad, and build machines in several clouds look the same. Off without a database.
    Source: D3FEND's user geolocation logon pattern analysis; distance by the haversine formula.
    """

    name: str = "logon_geography"
    title: str = "logons from places too far apart"
    d3fend: str = "D3-UGLPA"
    group: str = "logon"
    source: str = "D3FEND D3-UGLPA"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("service",), ("duration",), ("resp_bytes",))

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per source and host of ours, about the source's address; see the class. Raises UsageError."""
        found: dict[tuple[str, str, str], dict[str, Any]] = {}
        if settings.database:
            # rows: logons from outside to hosts of few users are few, and each needs a look into the database
            logons = _logons(window, settings)
            places = _places(settings, sorted({r["source"] for r in logons}))
            for row in _jumps(logons, places, settings):
                key = (row["sensor"], row["client"], row["server"])
                if key not in found or (row["speed"], row["uids"]) > (found[key]["speed"], found[key]["uids"]):
                    found[key] = row
        rows = [found[key] for key in sorted(found)]
        names = {"sensor": pa.string(), "client": pa.string(), "server": pa.string(), "uids": pa.list_(pa.string())}
        keys = pa.table({n: pa.array([r[n] for r in rows], t) for n, t in names.items()})
        values = {f.name: pa.array([r[f.name] for r in rows], _TYPES[f.name]) for f in FACTS}
        threshold = f"logon_geography.max_speed = {settings.max_speed:g} km/h"
        return evidence(keys, np.full(len(rows), settings.most_db), threshold, FACTS, values)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """The two places, and how far and how soon one came after the other."""
        minutes = facts["apart"] / 60
        same = " with the same software" if facts["software"] is not None else ""
        return (
            f"a logon by {facts['service'].upper()} from here{_in(facts['country'])} and one from "
            f"{facts['other_source']}{_in(facts['other_country'])}{same}, {minutes:,.0f} minutes and "
            f"at least {facts['distance']:,.0f} km apart: {facts['speed']:,.0f} km/h"
        )


_TYPES: dict[str, pa.DataType] = {
    "service": pa.string(), "country": pa.string(), "other_source": pa.string(), "other_country": pa.string(),
    "distance": pa.float64(), "apart": pa.float64(), "speed": pa.float64(), "software": pa.string(),
    "sources": pa.int64(),
}  # fmt: skip


def _logons(window: Window, settings: Settings) -> list[dict[str, Any]]:
    """Logons from outside: sensor, host, service, software, source, ts_us, uid; in that order."""
    s = window.samples.filter(window.samples.service.re_search("(^|,)(ssh|rdp)(,|$)"))
    s = s.mutate(kind=s.service.re_search("(^|,)ssh(,|$)").ifelse("ssh", "rdp"))
    # a connection is told by its last segment, whose totals are the connection's
    each = s.group_by(["pair", "kind", "uid"]).agg(
        ts_us=s.ts_us.min(), lasted=s.duration.max(), sent=s.resp_bytes.max()
    )
    ssh = (each.kind == "ssh") & (each.lasted > settings.ssh_lasted) & (each.sent > settings.ssh_bytes)
    rdp = (each.kind == "rdp") & (each.lasted > settings.rdp_lasted) & (each.sent > settings.rdp_bytes)
    p = window.pairs
    inbound = p.filter(~p.client_local & p.server_local).select("pair", "sensor", "client", "server")
    banners = window.sets.filter(window.sets.kind == "ssh_client")
    software = banners.group_by("pair").agg(software=banners.value.min())
    rows = join(each.filter(ssh | rdp).inner_join(inbound, "pair"), software).to_pyarrow().to_pylist()
    order = ("sensor", "host", "service", "software", "ts_us", "source", "uid")
    # SSH whose client named no software (a conn.log alone) could be anybody's
    told = (r for r in rows if r["kind"] == "rdp" or r["software"] is not None)
    out = [{**r, "host": r["server"], "source": r["client"], "service": r["kind"]} for r in told]
    return sorted(out, key=lambda r: tuple((r[k] is not None, r[k]) for k in order))


def _jumps(
    logons: Sequence[dict[str, Any]], places: Mapping[str, Place], settings: Settings
) -> Iterator[dict[str, Any]]:
    """What is wrong with consecutive logons of one account: evidence rows."""
    account = ("sensor", "host", "service", "software")
    for _, group in groupby(logons, key=lambda r: tuple(r[k] for k in account)):
        theirs = list(group)
        times: dict[str, int] = {}
        for r in theirs:
            times[r["source"]] = times.get(r["source"], 0) + 1
        if not 1 < len(times) <= settings.max_sources:
            continue
        for before, after in pairwise(r for r in theirs if r["source"] in places):
            here, there = places[after["source"]], places[before["source"]]
            distance = distance_km(here, there) - here.radius_km - there.radius_km
            apart_us = max(after["ts_us"] - before["ts_us"], SECOND_US)
            speed = distance / (apart_us / HOUR_US)
            if distance < settings.min_distance or speed <= settings.max_speed:
                continue
            odd, usual = (before, after) if times[before["source"]] < times[after["source"]] else (after, before)
            yield {
                "sensor": odd["sensor"], "client": odd["host"], "server": odd["source"],
                "uids": sorted((odd["uid"], usual["uid"])), "service": odd["service"], "software": odd["software"],
                "country": places[odd["source"]].country,
                "other_source": usual["source"], "other_country": places[usual["source"]].country,
                "distance": round(distance, 1), "apart": round(apart_us / SECOND_US, 3), "speed": round(speed, 1),
                "sources": len(times),
            }  # fmt: skip


def _places(settings: Settings, addresses: Sequence[str]) -> dict[str, Place]:
    """Where the database puts each address; those it can't place are left out."""
    if not addresses:
        return {}
    try:
        import maxminddb
    except ImportError as e:
        raise UsageError(
            "heuristics.logon_geography.database: reading it needs maxminddb; pip install 'hopscope[geo]'"
        ) from e
    try:
        with closing(maxminddb.open_database(settings.database)) as database:
            found = {a: place(database, a, settings.unknown_radius) for a in addresses}
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as e:
        raise _unreadable(settings.database, str(e)) from e
    return {a: p for a, p in found.items() if p is not None}


def place(database: Database, address: str, unknown_radius: float) -> Place | None:
    """The place of an address; None when the database tells no coordinates for it."""
    try:
        record = database.get(address)
    except ValueError:  # an address of IPv6 in a database of IPv4 alone
        return None
    told = record.get("location") if isinstance(record, dict) else None
    if not isinstance(told, dict):
        return None
    latitude, longitude, radius = (told.get(k) for k in ("latitude", "longitude", "accuracy_radius"))
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else None
    known = float(radius) if isinstance(radius, int | float) else unknown_radius
    return Place(float(latitude), float(longitude), known, code if isinstance(code, str) else None)


def distance_km(one: Place, two: Place) -> float:
    """Length of the great circle between two places, by the haversine formula."""
    lat1, lat2 = math.radians(one.latitude), math.radians(two.latitude)
    across = math.radians(two.longitude - one.longitude)
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(across / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(h, 1.0)))


def _in(country: str | None) -> str:
    return f" ({country})" if country else ""


def _unreadable(path: str, why: str) -> UsageError:
    remedy = "name a database of MaxMind's format (.mmdb)"
    return UsageError(f"heuristics.logon_geography.database: {path} can't be read ({why}); {remedy}")


HEURISTIC = LogonGeography()
