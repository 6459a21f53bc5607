"""Learning: records taken in day by day, what looks like a hop left out, and the days joined into a baseline's tables.

Only two days are held at a time; what is learnt of a day waits in a file until all are there, since a hop that
shows on the last day was there on the first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hopscope import __version__, dossier, hunting, labels, runs
from hopscope.baselines.model import DAY_US, TABLES, About
from hopscope.config import Config
from hopscope.findings import SEVERITIES, Finding
from hopscope.heuristics import dns_answers, outbound_pairs
from hopscope.heuristics.base import Window
from hopscope.heuristics.peers import communities, configured
from hopscope.heuristics.segments import Ints
from hopscope.labels import Label
from hopscope.narrowing import network
from hopscope.records import Batch, InputCount
from hopscope.summaries import Summaries, engine
from hopscope.summaries.prepare import HOUR_US
from hopscope.summaries.schema import KEY

OPEN_DAYS = 2  # days that are held at a time: records of two sensors may be some minutes apart around midnight
EVERYTHING = "all"  # as a destination to keep: whatever it looks like
_HOURS = 24
_USED = pa.schema([
    ("sensor", pa.string()), ("client", pa.string()), ("server", pa.string()),
    ("name", pa.string()), ("led", pa.bool_()),  # a DNS answer led from the name to the server
    ("chosen", pa.bool_()),  # no resolver or time server
    ("hour", pa.int64()), ("orig_bytes", pa.int64()), ("resp_bytes", pa.int64()), ("connections", pa.int64()),
])  # fmt: skip
_HOST, _PLACE, _HABIT = ("sensor", "client"), ("sensor", "kind", "value"), ("sensor", "community", "place")


@dataclass(frozen=True)
class LeftOut:
    """A destination that isn't learnt: `kind` address or name, and why."""

    kind: str
    value: str
    why: str


@dataclass(frozen=True)
class Learnt:
    """What was learnt: tables of `model.TABLES`, and of what. `left_out` are those that had been used."""

    tables: dict[str, pa.Table]
    first_us: int
    last_us: int
    days: int
    sensors: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    spared: frozenset[str]  # of what was to be kept, what would have been left out

    @property
    def hosts(self) -> int:
        """Hosts of ours that talked to the internet."""
        return len(self.tables["host_hours"].group_by(["sensor", "host"]).aggregate([]))

    def about(self, made: datetime, local_nets: Iterable[str]) -> About:
        """Where it comes from; number and digest are given when it is kept (`versions.save`)."""
        used = (pc.field("kind") == "address") & (pc.field("clients") > 0)
        return About(
            version=0,
            made=made.isoformat(timespec="seconds").replace("+00:00", "Z"),
            first_us=self.first_us,
            last_us=self.last_us,
            days=self.days,
            hosts=self.hosts,
            destinations=len(self.tables["places"].filter(used)),
            sensors=self.sensors,
            local_nets=tuple(local_nets),
            left_out=tuple(f"{left.value} ({left.why})" for left in self.left_out),
            hopscope=__version__,
            digest="",
        )


@dataclass(frozen=True)
class _Part:
    """What one day left in its file; a late record makes another part of the same day."""

    day: int
    path: Path
    first_us: int
    last_us: int


class Learning:
    """Takes in records in any order; those of a day are weighed when another day is full of them.

    `count` is of the input, `spool` is a directory for what was learnt so far. `given` are labels: what is labelled
    hop isn't learnt, what is labelled benign is, whatever it looks like, and so is what `keep` names (addresses,
    names, ids of findings, or EVERYTHING).
    """

    def __init__(
        self, config: Config, count: InputCount, spool: Path, given: Iterable[Label] = (), keep: Iterable[str] = ()
    ):
        day = dataclasses.replace(config.window, hours=_HOURS)
        self._config = dataclasses.replace(config, window=day)
        self._count = count
        self._spool, self._labels, self._keep = spool, labels.in_force(given), frozenset(keep)
        self._open: dict[int, Summaries] = {}  # the day fed last stands last
        self._parts: list[_Part] = []
        self._spared: set[str] = set()
        self._left_out: dict[tuple[str, str], LeftOut] = {}

    def add(self, batch: Batch) -> None:
        """Take in records."""
        for day, part in _by_day(batch):
            summaries = self._open.pop(day, None) or Summaries(self._config)
            summaries.add(part)
            self._open[day] = summaries
            while len(self._open) > OPEN_DAYS:
                self._close(next(iter(self._open)))

    def learnt(self, days: int) -> Learnt:
        """What the last `days` days (UTC) that have records tell. Afterwards nothing more is taken in."""
        for day in list(self._open):
            self._close(day)
        wanted = sorted({p.day for p in self._parts})[-days:]
        parts = [p for p in self._parts if p.day in wanted]
        self._say_labelled()
        used, left = self._used([str(p.path) for p in parts])
        tables = _tables(used)
        return Learnt(
            tables=tables,
            first_us=min((p.first_us for p in parts), default=0),
            last_us=max((p.last_us for p in parts), default=0),
            days=len(wanted),
            sensors=tuple(sorted(pc.unique(tables["host_hours"]["sensor"]).to_pylist())),
            left_out=left,
            spared=frozenset(self._spared),
        )

    def _close(self, day: int) -> None:
        """Weigh a day as a hunt would, and keep what it tells."""
        summaries = self._open.pop(day)
        window, by_hours = hunting.windows(summaries, self._config, self._count)
        path = self._spool / f"{len(self._parts)}.parquet"
        pq.write_table(_used_of(window, summaries.pair_hours()), path, compression="zstd")
        self._parts.append(_Part(day, path, window.history_us, window.end_us - 1))
        self._judge(dossier.of_run(runs.weighed(window, by_hours, self._config, {})), window)

    def _judge(self, found: Sequence[Finding], window: Window) -> None:
        fits = labels.of(found, self._labels)
        for f in found:
            fit = fits.get(f.id)
            verdict = fit.label.verdict if fit is not None and fit.counts else None
            severe = SEVERITIES.index(f.severity) >= SEVERITIES.index("medium")
            if verdict == "hop":
                self._leave(_kind(f), f, f"labelled hop, {f.severity}", window)
            elif severe and verdict != "benign":
                self._leave(_kind(f), f, f"{f.severity}, {f.score_db:+.1f} dB", window)

    def _leave(self, kind: str, f: Finding, why: str, window: Window) -> None:
        if spared := self._keep & {EVERYTHING, f.id, f.hop, *f.dns_names, f.entity.value}:
            self._spared |= spared
            return
        values = [f.entity.value if kind == "name" else f.hop]
        if kind == "network":
            pairs = window.pairs
            servers = pairs.filter(pairs.server.contains(":")).select("server").distinct().to_pyarrow()["server"]
            values = [s for s in servers.to_pylist() if network(s) == f.entity.value]
            kind = "address"
        for value in values:
            self._left_out.setdefault((kind, value), LeftOut(kind, value, why))

    def _say_labelled(self) -> None:
        """Leave out what is labelled hop, whatever it looks like."""
        for label in self._labels:
            kind, value = ("name", label.entity.value) if label.entity.kind == "name" else ("address", label.hop)
            if label.verdict != "hop" or value is None:
                continue
            if spared := self._keep & {EVERYTHING, label.id, value}:
                self._spared |= spared
            else:
                self._left_out.setdefault((kind, value), LeftOut(kind, value, "labelled hop"))

    def _used(self, paths: list[str]) -> tuple[ir.Table, tuple[LeftOut, ...]]:
        """The days together, marked where they are `out`; and what was left out of those that had been used."""
        used = engine.backend().read_parquet(paths) if paths else ibis.memtable(_USED.empty_table())
        out: ir.BooleanValue = ibis.literal(False)
        there: set[tuple[str, str]] = set()
        for kind, column in (("address", "server"), ("name", "name")):
            values = [value for k, value in self._left_out if k == kind]
            listed = ibis.memtable(pa.table({"value": pa.array(values, pa.string())}))
            gone = used.semi_join(listed, [used[column] == listed.value]).select(column).distinct().to_pyarrow()
            there |= {(kind, value) for value in gone[column].to_pylist()}
            out = out | used[column].isin(listed.value).fill_null(False)
        return used.mutate(out=out), tuple(left for key, left in sorted(self._left_out.items()) if key in there)


def _kind(f: Finding) -> str:
    return f.entity.kind if f.entity.kind in ("name", "network") else "address"


def _by_day(batch: Batch) -> list[tuple[int, Batch]]:
    """The batch's records by the day (UTC) that their hour lies in."""
    of = _days(batch.connections["seg_end"]), _days(batch.dns_queries["ts"])
    every = np.unique(np.concatenate(of)).tolist()
    if len(every) == 1:
        return [(every[0], batch)]
    return [
        (day, Batch(batch.connections.filter(pa.array(of[0] == day)), batch.dns_queries.filter(pa.array(of[1] == day))))
        for day in every
    ]


def _days(times: pa.Array) -> Ints:
    days: Ints = np.asarray(times.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64) // DAY_US
    return days


def _used_of(window: Window, hours: pa.Table) -> pa.Table:
    """_USED of one day: the outbound pairs of the window in each of its hours."""
    every = outbound_pairs.fetch(window)
    pairs = every.rows.select(KEY).append_column("chosen", pa.array(~every.among(configured(window))))
    pairs = pairs.append_column("led", pa.array(dns_answers.led(window)))
    at = pc.index_in(hours["pair"], value_set=pairs["pair"].combine_chunks())
    hours, of = hours.filter(at.is_valid()), pairs.take(at.drop_null())
    columns = {name: hours[name] if name in hours.column_names else of[name] for name in _USED.names}
    return pa.table(columns, schema=_USED)


def _tables(used: ir.Table) -> dict[str, pa.Table]:
    """Tables of `model.TABLES`, in order, of the days together; of what is `out` only that it was there."""
    day = used.mutate(day=used.hour // _HOURS)
    kinds = (("address", "server", day), ("name", "name", day.filter(day.led)))
    places = [t.mutate(kind=ibis.literal(kind), value=t[column]) for kind, column, t in kinds]
    place = ibis.union(*(t.select(*_PLACE, "client", "day", "hour", "out") for t in places))
    kept = used.filter(~used.out)
    host = kept.group_by(kept.sensor, kept.hour, host=kept.client)
    mine = kept.filter(kept.chosen)
    use = mine.select(*_HOST, place=mine.led.ifelse(mine.name, mine.server)).distinct()
    shared = use.group_by("sensor", "place").aggregate(n=use.client.nunique()).filter(ibis._.n > 1)
    members = communities(_sorted(use.semi_join(shared, ["sensor", "place"]).to_pyarrow()))
    belongs = use.join(ibis.memtable(members), _HOST)
    made = {
        "host_hours": host.aggregate(**{c: kept[c].sum() for c in ("orig_bytes", "resp_bytes", "connections")}),
        "places": place.group_by(*_PLACE).aggregate(
            clients=place.client.nunique(where=~place.out), days=place.day.nunique(where=~place.out),
            first_us=place.hour.min() * HOUR_US, last_us=(place.hour.max() + 1) * HOUR_US - 1,
        ),
        "habits": belongs.group_by(*_HABIT).aggregate(
            users=belongs.client.nunique(),
            user=(belongs.client.nunique() == 1).ifelse(belongs.client.min(), ibis.null("string")),
        ),
    }  # fmt: skip
    tables = {name: table.to_pyarrow() for name, table in made.items()} | {"communities": members}
    return {name: _sorted(tables[name].select(schema.names).cast(schema)) for name, schema in TABLES.items()}


def _sorted(table: pa.Table) -> pa.Table:
    """The rows in one order: engines give them in any."""
    return table.sort_by([(name, "ascending") for name in table.column_names])
