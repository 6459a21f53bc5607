"""Fusion: evidence of all heuristics added up per entity, in decibans.

score = prior + for each group of correlated heuristics the sum of their best evidence, capped. One piece
per heuristic and entity: the best client's, plus a stated bonus for further clients. Evidence against is
capped too, and never weighs against what is certain (a request to relay that was granted).

An entity is the narrowest of name, service (address and port), address and IPv6 /64 that explains the
evidence: a wider one is taken only when it scores `widen_db` more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope import overrides
from hopscope.config import Config, FusionSettings
from hopscope.findings import Entity, Finding
from hopscope.heuristics import registry
from hopscope.heuristics.base import EVIDENCE, Window, missing
from hopscope.heuristics.segments import key_ids
from hopscope.narrowing import narrowest, network


@dataclass(frozen=True)
class Group:
    """Heuristics that look at one thing: together they weigh at most `cap_db`, for the reason `why`."""

    cap_db: float
    why: str


GROUPS: dict[str, Group] = {
    "gap": Group(38.0, "the same delay seen by several messages and several clients; an accelerator shows it as well, "
                 "so that it must not reach medium alone"),
    "rhythm": Group(18.0, "ordinary agents are as regular, and as constant in what they say; in the lab an agent on a "
                    "bare address stays below medium with all that is said of it"),
    "rotation": Group(12.0, "one rhythm that moves on is seen in few captures; the weight is assumed"),
    "naming": Group(13.0, "a name of a tunnel service; a bare address alone weighs at most 10, as agents use those"),
    "session": Group(30.0, "SSH that the far side drives: none of 357 ordinary sessions; what chat does too weighs "
                     "8 at most by itself"),
    "volume": Group(8.0, "backups upload as much"),
    "shape": Group(31.0, "nested handshakes have a published ratio of 31 dB, opaque first bytes one of 22; one "
                   "carrier shows one of them"),
    "identity": Group(30.0, "content networks and load balancers share keys; the weights are assumed"),
    "community": Group(10.0, "in small networks most destinations are used by one host"),
    "logon": Group(15.0, "people travel by VPN, and databases of places err"),
    "rules": Group(30.0, "a Sigma rule says what its author saw elsewhere; the weights are assumed, and a rule is told "
                   "by itself as well"),
    "proxy": Group(45.0, "a request to relay that was granted speaks for itself: it lifts the prior over medium"),
    "relay": Group(45.0, "stepping-stone correlation: 30 dB at a false rate of 1e-3, 48 dB at 1e-5 (published)"),
    "against": Group(25.0, "an attacker can choose what is popular and long known as cover"),
}  # fmt: skip
"""The fusion groups with their caps, chosen on the training captures."""
CERTAIN_DB = 40.0  # a request to relay that was granted: nothing weighs against that
INSIDE = frozenset({"relay"})  # groups that speak of hosts of ours; all others speak of the internet

_BASE = (*EVIDENCE.names[:6], "decibans")


@dataclass(frozen=True)
class Scored:
    """One entity with its score: `pieces` are each heuristic's best decibans and its clients, `scaled` after caps."""

    entity: Entity
    sensor: str
    score_db: float
    pieces: dict[str, tuple[float, int]]
    scaled: dict[str, float]
    address: str  # the entity's address; of a name or a network the first
    rows: dict[str, int]  # the place of each heuristic's piece in its evidence: its best client's row


def weigh(
    window: Window,
    config: Config,
    by_hours: Mapping[frozenset[int], Window] | None = None,
    only: Collection[str] | None = None,
) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """Each heuristic's evidence, and what the vantage or the input voids for all entities (heuristic -> reason).

    `by_hours` has the windows of `overrides.hour_classes`; `only` names the heuristics to ask, all by default.
    """
    tables: dict[str, pa.Table] = {}
    void: dict[str, str] = {}
    for name, heuristic in registry().items():
        if name in config.disabled or (only is not None and name not in only):
            continue
        lacking = missing(heuristic, window.lacks)
        if lacking:
            void[name] = f"the input has no {', '.join(lacking)}"
            continue
        table = overrides.weigh_all(name, heuristic, window, by_hours or {}, config)
        for row in table.filter(pc.is_null(table["server"])).to_pylist():
            void[name] = row["void"]
        tables[name] = table.filter(pc.is_valid(table["server"]))
    return tables, void


def rank(window: Window, tables: Mapping[str, pa.Table], settings: FusionSettings) -> list[Scored]:
    """Entities at `low_db` and above, strongest first, each hop told once.

    Of each of `tables` the columns of EVIDENCE up to `decibans` are read; rows are in order of their keys.
    """
    levels = _levels(_comparable(window, _able(tables, settings)))
    near = [s for s in _scores(levels, settings) if s.score_db >= settings.low_db]
    return sorted(narrowest(near, window, settings), key=lambda s: (-s.score_db, s.entity.kind, s.entity.value))


def pieces_about(
    window: Window, tables: Mapping[str, pa.Table], entity: Entity, sensor: str | None = None
) -> dict[str, tuple[float, int]]:
    """What the heuristics say of any entity, as `scaled_of` takes it; empty when they say nothing.

    Of several sensors that know it without one being named, the first.
    """
    parts = []
    for name, table in tables.items():
        mine = table.select(list(_BASE)).filter(_within(table, entity))
        if sensor is not None:
            mine = mine.filter(pc.equal(mine["sensor"], sensor))
        named = mine.append_column("heuristic", pa.array([name] * len(mine), pa.string()))
        parts.append(named.append_column("row", pa.array(np.arange(len(mine)))))
    rows = _comparable(window, pa.concat_tables(parts)) if parts else None
    if not rows:
        return {}
    first = min(rows["sensor"].to_pylist())
    level = rows.filter(pc.equal(rows["sensor"], first))
    for column, text in (("kind", entity.kind), ("value", entity.value)):
        level = level.append_column(column, pa.array([text] * len(level), pa.string()))
    return _scores(level, FusionSettings())[0].pieces


def scaled_of(pieces: Mapping[str, tuple[float, int]], settings: FusionSettings) -> dict[str, float]:
    """What each heuristic adds to an entity's score: decibans after client bonus, weight and its group's cap.

    `pieces` has, by heuristic, the decibans that it gave for the best client, and for how many clients it spoke.
    """
    ordered = sorted(pieces.items())  # sums of fractions know an order, threads give none
    return capped({h: weighted(h, *piece, settings) for h, piece in ordered}, settings)


def score_of(pieces: Mapping[str, tuple[float, int]], settings: FusionSettings) -> float:
    """An entity's score in decibans, from its pieces (`scaled_of`)."""
    return settings.prior_db + sum(scaled_of(pieces, settings).values())


def pieces_of(finding: Finding) -> dict[str, tuple[float, int]]:
    """The pieces of a finding, as `scaled_of` takes them. Findings of older versions keep no raw decibans: they
    give what was left after caps, or before them where that is told, without a bonus for clients."""
    out = {}
    for e in finding.evidence:
        if e.raw_db is not None:
            out[e.heuristic] = (e.raw_db, e.clients)
        else:
            out[e.heuristic] = (e.decibans if e.capped_from is None else e.capped_from, 1)
    return out


def without(scored: Scored, heuristic: str, settings: FusionSettings) -> float:
    """The entity's score if that heuristic had said nothing."""
    return score_of({h: p for h, p in scored.pieces.items() if h != heuristic}, settings)


def _able(tables: Mapping[str, pa.Table], settings: FusionSettings) -> pa.Table:
    """The rows about places whose support alone could reach `low`: of a million pairs few do.

    All evidence in one table with its `heuristic` and its `row` there. A place is an address, with its whole
    network, or a name: what speaks for an entity, speaks for the address or the name of each of its rows.
    """
    schema = pa.schema([*(EVIDENCE.field(n) for n in _BASE), ("heuristic", pa.string()), ("row", pa.int64())])
    given = [(name, table.select(list(_BASE))) for name, table in tables.items() if table.num_rows]
    if not given:
        return schema.empty_table()
    sizes = np.array([table.num_rows for _, table in given])
    rows = pa.concat_tables([table.cast(pa.schema([schema.field(n) for n in _BASE])) for _, table in given])
    of = np.repeat(np.arange(len(given)), sizes)
    weights = np.array([settings.weights.get(name, 1.0) for name, _ in given])
    said = rows["decibans"].to_numpy()
    support = np.where(said > 0, said + settings.client_bonus_most_db, 0.0) * weights[of]
    enough = settings.low_db - settings.prior_db
    able = np.zeros(len(rows), bool)
    for column in ("server", "name"):
        place = _places(rows[column], column == "server")
        known = (place >= 0) & (support > 0)
        most = np.zeros((len(given), int(place.max(initial=0)) + 1))
        np.maximum.at(most, (of[known], place[known]), support[known])
        able |= (place >= 0) & (most.sum(axis=0) >= enough)[place]
    kept = np.flatnonzero(able)
    begin = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    names = pa.array([name for name, _ in given], pa.string()).take(pa.array(of[kept]))
    rows = rows.take(pa.array(kept)).append_column("heuristic", names)
    return rows.append_column("row", pa.array((kept - begin[of[kept]]).astype(np.int64)))


def _places(values: pa.ChunkedArray, addresses: bool) -> NDArray[np.int64]:
    """A number for each value, the same for all addresses of an IPv6 /64; -1 for null."""
    encoded = values.combine_chunks().dictionary_encode()
    codes: NDArray[np.int64] = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    if not addresses:
        return codes
    # the standard library knows an address's /64
    nets = [network(a) if ":" in a else a for a in encoded.dictionary.to_pylist()]
    each = np.asarray(pa.array(nets, pa.string()).dictionary_encode().indices, np.int64)
    return np.where(codes < 0, -1, each[codes]) if len(each) else codes


def _comparable(window: Window, rows: pa.Table) -> pa.Table:
    """The rows that may be compared: evidence about hosts of ours comes from INSIDE groups alone."""
    outside = [name for name, heuristic in registry().items() if heuristic.group not in INSIDE]
    ours = window.pairs.filter(window.pairs.server_local).select("server").distinct().to_pyarrow()["server"]
    theirs = pc.and_(pc.is_in(rows["heuristic"], value_set=pa.array(outside, pa.string())),
                     pc.is_in(rows["server"], value_set=ours.combine_chunks()))  # fmt: skip
    return rows.filter(pc.invert(theirs))


def _levels(rows: pa.Table) -> pa.Table:
    """Each row once per level it supports, with `kind` and `value` of the entity."""
    named = rows.filter(pc.is_valid(rows["name"]))
    ported = rows.filter(pc.is_valid(rows["port"]))
    six = rows.filter(pc.match_substring(rows["server"], ":"))
    service = pc.binary_join_element_wise(ported["server"], ported["port"].cast(pa.string()), ported["proto"], "|")
    prefix = pa.array([network(a) for a in six["server"].to_pylist()], pa.string())
    levels = (("name", named, named["name"]), ("service", ported, service), ("address", rows, rows["server"]),
              ("network", six, prefix))  # fmt: skip
    return pa.concat_tables([
        t.append_column("kind", pa.array([kind] * t.num_rows, pa.string())).append_column("value", value)
        for kind, t, value in levels
    ])  # fmt: skip


def _within(table: pa.Table, entity: Entity) -> pa.ChunkedArray:
    """Which rows of an evidence table support the entity."""
    if entity.kind == "name":
        return pc.fill_null(pc.equal(table["name"], entity.value), False)
    if entity.kind == "address":
        return pc.equal(table["server"], entity.value)
    if entity.kind == "service":
        server, port, proto = entity.value.rsplit("|", 2)
        mine = pc.and_(pc.equal(table["server"], server), pc.equal(table["port"], int(port)))
        return pc.fill_null(pc.and_(mine, pc.equal(table["proto"], proto)), False)
    inside = [a for a in pc.unique(table["server"]).to_pylist() if ":" in a and network(a) == entity.value]
    return pc.is_in(table["server"], value_set=pa.array(inside, pa.string()))


def _scores(levels: pa.Table, settings: FusionSettings) -> list[Scored]:
    """All entities that evidence speaks of, scored."""
    key, piece = ["sensor", "kind", "value"], ["sensor", "kind", "value", "heuristic"]
    supported = levels.filter(pc.greater(levels["decibans"], 0))
    counted = supported.group_by(piece).aggregate([("client", "count_distinct")])
    clients = {tuple(r[k] for k in piece): r["client_count_distinct"] for r in counted.to_pylist()}
    least = levels.group_by(key).aggregate([("server", "min")])
    addresses = {tuple(r[k] for k in key): r["server_min"] for r in least.to_pylist()}
    # of each heuristic the first row that says most: the tables are in order of their keys
    group = key_ids(levels, piece)
    order = np.lexsort((levels["row"].to_numpy(), -levels["decibans"].to_numpy(), group))
    first = order[np.flatnonzero(np.diff(group[order], prepend=-1))]
    entities: dict[tuple[str, str, str], dict[str, tuple[float, int]]] = {}
    best: dict[tuple[str, str, str], dict[str, int]] = {}
    for r in levels.take(pa.array(first)).to_pylist():  # few: what could reach `low`, once for each heuristic
        entity, name = (r["sensor"], r["kind"], r["value"]), r["heuristic"]
        entities.setdefault(entity, {})[name] = (r["decibans"], clients.get((*entity, name), 1))
        best.setdefault(entity, {})[name] = r["row"]
    out = []
    for (sensor, kind, value), found in entities.items():
        pieces = dict(sorted(found.items()))
        scaled = scaled_of(pieces, settings)
        score = round(settings.prior_db + sum(scaled.values()), 2)
        entity = (sensor, kind, value)
        out.append(Scored(Entity(kind, value), sensor, score, pieces, scaled, addresses[entity], best[entity]))
    return out


def weighted(heuristic: str, decibans: float, clients: int, settings: FusionSettings) -> float:
    """A piece with the bonus that further clients add to support, times the heuristic's weight."""
    bonus = min(settings.client_bonus_db * (clients - 1), settings.client_bonus_most_db) if decibans > 0 else 0.0
    return (decibans + bonus) * settings.weights.get(heuristic, 1.0)


def capped(pieces: Mapping[str, float], settings: FusionSettings) -> dict[str, float]:
    """Each heuristic's decibans, scaled down where its group passes the cap; nothing against what is certain.

    A heuristic of another version, whose group isn't known, keeps what it says.
    """
    groups = {h: heuristic.group for h, heuristic in registry().items()}
    certain = any(d >= CERTAIN_DB and groups.get(h) == "proxy" for h, d in pieces.items())
    out = {h: d for h, d in pieces.items() if h not in groups}
    for name, group in GROUPS.items():
        members = {h: d for h, d in pieces.items() if groups.get(h) == name}
        total = sum(members.values())
        factor = min(1.0, settings.caps.get(name, group.cap_db) / abs(total)) if total else 1.0
        if total < 0 and certain:
            factor = 0.0
        out |= {h: d * factor for h, d in members.items()}
    return out
