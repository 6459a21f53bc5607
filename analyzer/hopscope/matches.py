"""What hosts and Sigma rules told, from the window's columns to what a person is told."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import ntpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopscope.findings import SEVERITIES, Process, RuleMatch, endpoint, instant
from hopscope.fusion import Scored
from hopscope.heuristics.base import Window
from hopscope.heuristics.sigma_rules import LOOPBACK, SERVES_ALL
from hopscope.sigma.gathering import PLACE

INFORMATIONAL = "informational"  # Sigma's word for info
KEPT = 10  # processes and rules kept with a finding
ROWS = 256  # of a table, looked at together


class HostsTold:
    """What the window has of processes and rule matches at some servers, and of matches on queries for some names."""

    def __init__(self, window: Window, servers: Sequence[str], names: Sequence[str]):
        p, m = window.processes, window.matches
        wanted = pa.array(servers, pa.string())
        asked = pc.and_(pc.is_null(m["server"]), pc.is_in(m["name"], value_set=pa.array(names, pa.string())))
        self._all = p
        opened = p.filter(pc.and_(pc.is_in(p["server"], value_set=wanted), pc.fill_null(p["initiated"], True)))
        # a server that a whole site talks to may have a million rows: they stay columns, those told first in front
        order = pc.sort_indices(
            opened,
            sort_keys=[
                ("server", "ascending"), ("connections", "descending"), ("events", "descending"),
                ("first_us", "ascending"), ("host", "ascending"), ("process", "ascending"),
            ],
        )  # fmt: skip
        self._opened: pa.Table = opened.take(order)
        self._of_server: dict[str, tuple[int, int]] = {}  # where its rows begin, and how many they are
        begin = 0
        for count in pc.value_counts(self._opened["server"]).to_pylist():
            self._of_server[count["values"]] = (begin, count["counts"])
            begin += count["counts"]
        self._matches: list[dict[str, Any]] = m.filter(
            pc.or_(pc.is_in(m["server"], value_set=wanted), asked)
        ).to_pylist()

    def processes(self, scored: Scored, pairs: Sequence[Mapping[str, Any]], uids: Set[str]) -> tuple[Process, ...]:
        """The programs that hosts name for the entity's connections, those with most first.

        `pairs` are the entity's; `uids` are of its connections, by which those of one name at an address that
        several share are told apart.
        """
        places = {(p["client"], p["server"], p["port"], p["proto"]) for p in pairs}
        mine: list[dict[str, Any]] = []
        for server in sorted({p["server"] for p in pairs}):
            found = (
                row for row in self._at(server, scored, {p["client"] for p in pairs})
                if (row["client"], row["server"], row["port"], row["proto"]) in places
                and (scored.entity.kind != "name" or row["name"] == scored.entity.value or set(row["uids"]) & uids)
            )  # fmt: skip
            mine.extend(itertools.islice(found, KEPT))
        mine.sort(key=lambda r: (-r["connections"], -r["events"], r["first_us"], r["host"] or "", r["process"] or ""))
        return tuple(process(row) for row in mine[:KEPT])

    def _at(self, server: str, scored: Scored, clients: Set[str]) -> Iterator[dict[str, Any]]:
        """What clients' processes opened to a server, as the entity's sensor saw it, those told first in front."""
        begin, rows = self._of_server.get(server, (0, 0))
        its = self._opened.slice(begin, rows)
        its = its.filter(pc.is_in(its["client"], value_set=pa.array(clients, pa.string())))
        its = its.filter(pc.fill_null(pc.equal(its["sensor"], pa.scalar(scored.sensor, pa.string())), True))
        if scored.entity.kind == "name":
            its = its.filter(pc.or_(its["name"].is_valid(), pc.greater(its["connections"], 0)))
        for some in its.to_batches(max_chunksize=ROWS):
            for row in some.to_pylist():  # until enough are found
                yield row | {"uids": row["uids"] or []}

    def rules(
        self, scored: Scored, pairs: Sequence[Mapping[str, Any]], dns_names: Sequence[str]
    ) -> tuple[RuleMatch, ...]:
        """The Sigma rules that fired at the entity's places, or on its clients' queries for its names."""
        places = {(p["client"], p["server"], p["port"], p["proto"]) for p in pairs}
        clients = {p["client"] for p in pairs}
        names = {p["name"] for p in pairs}.union(dns_names)
        mine = (
            row for row in self._matches
            if row["sensor"] in (None, scored.sensor)
            and ((row["client"] in clients and row["name"] in names) if row["server"] is None
                 else (row["client"], row["server"], row["port"], row["proto"]) in places)
        )  # fmt: skip
        return told(mine, self._all)[:KEPT]


def of_window(window: Window) -> tuple[RuleMatch, ...]:
    """What rules fired on, the gravest first, then in order of time."""
    return told(window.matches.to_pylist(), window.processes)


def told(rows: Iterable[Mapping[str, Any]], processes: pa.Table) -> tuple[RuleMatch, ...]:
    """Rows of MATCHES in that order, beside a table of PROCESSES."""
    found = [rule_match(row) for row in rows]  # rows: places where rules fired are few
    inside = [m for m in found if m.pid is not None and _loopback(m.client) and _loopback(m.server)]
    leads = _leads(processes, inside)
    found = [dataclasses.replace(m, leads_to=leads.get((m.host, m.pid, _program(m.process)), ())) for m in found]
    return tuple(sorted(found, key=lambda m: (-SEVERITIES.index(m.severity), m.first_seen, m.id)))


def _leads(processes: pa.Table, inside: Sequence[RuleMatch]) -> dict[tuple[Any, ...], tuple[str, ...]]:
    """By host, process and program where those of the matches connect to that is no loopback."""
    if not inside:
        return {}
    mine = pc.is_in(processes["pid"], value_set=pa.array(sorted({m.pid for m in inside if m.pid is not None})))
    out: dict[tuple[Any, ...], set[str]] = {}
    for row in processes.filter(mine).to_pylist():
        if row["initiated"] is not False and not _loopback(row["server"]) and not _serves_all(row["process"]):
            key = (row["host"], row["pid"], _program(row["process"]))
            out.setdefault(key, set()).add(endpoint(row["server"], row["port"]))
    return {key: tuple(sorted(places)[:KEPT]) for key, places in out.items()}


def _serves_all(path: str | None) -> bool:
    return re.match(SERVES_ALL, (path or "").lower()) is not None


def _loopback(address: str | None) -> bool:
    return address is not None and re.match(LOOPBACK, address) is not None


def _program(path: str | None) -> str:
    """The last part of a path, in lower case."""
    return ntpath.basename(path or "").lower()


def rule_match(row: Mapping[str, Any]) -> RuleMatch:
    """One row of MATCHES; its id is the same in every run that has the rule fire at this place."""
    place = "\x00".join(str(row[name]) for name in ("rule", *PLACE))
    return RuleMatch(
        id=f"rule-{hashlib.blake2b(place.encode(errors='surrogatepass'), digest_size=5).hexdigest()}",
        rule=row["rule"],
        title=row["title"],
        severity="info" if row["level"] == INFORMATIONAL else row["level"],
        tags=tuple(row["tags"] or ()),
        **{name: row[name] for name in PLACE},
        records=row["records"],
        first_seen=instant(row["first_us"]),
        last_seen=instant(row["last_us"]),
        uids=tuple(row["uids"] or ()),
    )


def process(row: Mapping[str, Any]) -> Process:
    """One row of PROCESSES."""
    return Process(
        host=row["host"],
        process=row["process"],
        pid=row["pid"],
        user=row["user"],
        client=row["client"],
        server=row["server"],
        port=row["port"],
        initiated=row["initiated"],
        events=row["events"],
        connections=row["connections"],
        first_seen=instant(row["first_us"]),
        last_seen=instant(row["last_us"]),
        offset_s=None if row["offset_us"] is None else round(row["offset_us"] / 1e6, 3),
        uids=tuple(row["uids"] or ()),
    )
