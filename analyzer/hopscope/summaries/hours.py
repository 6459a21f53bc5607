"""The hours that are held: batches condensed as they come, merged hour by hour, joined into a window."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import Config
from hopscope.heuristics.base import Window
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch
from hopscope.summaries import engine, parts, prepare, schema
from hopscope.summaries import window as windows
from hopscope.summaries.merge import BOUNDS, Bounds
from hopscope.summaries.parts import Summary
from hopscope.summaries.prepare import HOUR_US
from hopscope.summaries.seen import Seen

GRACE_US = 600_000_000  # an hour closes this long after its end, by event time
KNOWN_ROWS = 2_000_000  # names and addresses remembered beyond the hours that are held
BATCH_ROWS = 100_000  # records that are gathered before they are condensed

PIECE_ROWS = 1_000_000  # rows that are merged or joined at a time, so that the engine's memory is bounded

_PARTS = 8  # summaries an hour holds before they become one


@dataclass
class Counts:
    """What became of the records, so that nothing is lost in silence."""

    connections: int = 0  # connection records condensed; a connection with segments has several
    dns_queries: int = 0  # DNS queries condensed
    duplicates: int = 0  # records that had been condensed before
    late: int = 0  # of the condensed: their hour had closed before they came
    expired: int = 0  # of the condensed: their hour lies before those that are held; known to `first_seen` alone
    forgotten: int = 0  # names and addresses dropped from `first_seen`, those not seen for longest
    outside: int = 0  # of the condensed: not in the window that was made last, the expired among them
    dropped_legs: int = 0  # leg rows of that window's hours that went beyond LEG_ROWS of a host and hour


class Summaries:
    """Summaries of the records that were added, of the last `window.hours` hours of event time.

    Memory is bounded by what the tables' bounds leave of each hour. Time is the records': the latest of
    them is the present.
    """

    def __init__(self, config: Config, bounds: Bounds = BOUNDS, batch_rows: int = BATCH_ROWS):
        self.counts = Counts()
        self._config, self._bounds, self._batch_rows = config, bounds, batch_rows
        self._waiting: list[Batch] = []
        self._waiting_rows = 0
        self._hours: dict[int, list[Summary]] = {}
        self._records: dict[int, int] = {}  # condensed records of each hour that is held
        self._seen = (Seen(), Seen())  # connections, DNS queries
        self._known = windows.FIRST_SEEN.empty_table()
        self._latest_us: int | None = None
        self._earliest_us: int | None = None
        self._con = engine.connect()

    def add(self, batch: Batch) -> None:
        """Take in records, of CONNECTION_SCHEMA and DNS_QUERY_SCHEMA, in any order."""
        self._waiting.append(batch)
        self._waiting_rows += batch.connections.num_rows + batch.dns_queries.num_rows
        if self._waiting_rows >= self._batch_rows:
            self.flush()

    def flush(self) -> None:
        """Condense the records that wait; hours then close and expire by the latest of them."""
        if not self._waiting_rows:
            return
        batches, self._waiting, self._waiting_rows = self._waiting, [], 0
        connections = prepare.prepare_connections(
            pa.Table.from_batches([b.connections for b in batches], CONNECTION_SCHEMA)
        )
        queries = prepare.prepare_dns(pa.Table.from_batches([b.dns_queries for b in batches], DNS_QUERY_SCHEMA))
        connections, queries = (
            self._unseen(seen, t) for seen, t in zip(self._seen, (connections, queries), strict=True)
        )
        self._count(connections, queries)
        inputs = {"connections": connections, "dns_queries": queries}
        summary = engine.run(self._con, engine.condense_sql(self._bounds), inputs, schema.TABLES)
        for hour, part in parts.by_hour(summary, self._oldest()).items():
            self._hours.setdefault(hour, []).append(part)
        self._merge(_PARTS)
        self._expire()

    def window(self) -> Window:
        """The window of the last `window.hours` hours, back from the latest record.

        An hour that overlaps it counts whole, so that the window starts at an hour's start. Its tables lie
        in a DuckDB of their own and don't change. Afterwards `counts` tells of `outside` and `dropped_legs`.
        """
        self.flush()
        end_us = 0 if self._latest_us is None else self._latest_us + 1
        first, last = windows.hours_of(max(end_us - self._config.window.hours * HOUR_US, 0), end_us)
        self._merge(1)
        within = [hour for hour in sorted(self._hours) if first <= hour <= last]
        summary = parts.concat(part for hour in within for part in self._hours[hour])
        records = self.counts.connections + self.counts.dns_queries
        self.counts.outside = records - sum(n for hour, n in self._records.items() if first <= hour <= last)
        self.counts.dropped_legs = parts.total(summary["leg_buckets"]["rows"]) - summary["legs"].num_rows
        start_us = first * HOUR_US
        return Window(
            **self._joined(summary, len(within)),
            start_us=start_us,
            end_us=end_us,
            history_us=start_us if self._earliest_us is None else self._earliest_us,
            vantage=self._config.vantage,
        )

    def tables(self) -> Summary:
        """The summaries of all hours that are held, merged: tables of `schema.TABLES`."""
        self.flush()
        self._merge(1)
        return parts.concat(part for hour in sorted(self._hours) for part in self._hours[hour])

    def _joined(self, summary: Summary, hours: int) -> dict[str, ir.Table]:
        """The window's tables, in a database of their own that lives as long as they do."""
        tables = {}
        for name, columns in windows.TABLES.items():
            if windows.only_drops_the_hour(name, hours):
                tables[name] = summary[name].drop_columns("hour")
                continue
            whose = "host" if name == "legs" else "client"  # every rule groups by it
            sql = engine.window_sql(name)
            joined = [
                engine.run(self._con, sql, {name: piece}, {name: columns})[name]
                for piece in parts.pieces(summary[name], whose, PIECE_ROWS)
            ]
            tables[name] = pa.concat_tables(joined)
        tables["first_seen"] = self._first_seen(self.tables()).drop_columns("last_us")
        backend = ibis.duckdb.connect(**engine.CONFIG)
        for name, table in tables.items():
            backend.con.register(f"window_{name}", table)
        return {name: backend.table(f"window_{name}") for name in tables}

    def _first_seen(self, summary: Summary) -> pa.Table:
        inputs = {"pairs": summary["pairs"], "names": summary["names"], "known": self._known}
        return engine.run(self._con, engine.first_seen_sql(), inputs, {"first_seen": windows.FIRST_SEEN})["first_seen"]

    def _unseen(self, seen: Seen, records: pa.Table) -> pa.Table:
        new = seen.add(records["hour"].to_numpy(), records["hash"].to_numpy())
        if new.all():
            return records
        self.counts.duplicates += int((~new).sum())
        return records.filter(pa.array(new))

    def _count(self, connections: pa.Table, queries: pa.Table) -> None:
        self.counts.connections += connections.num_rows
        self.counts.dns_queries += queries.num_rows
        for records in (connections, queries):
            if not records.num_rows:
                continue
            hours, counts = np.unique(records["hour"].to_numpy(), return_counts=True)
            if self._latest_us is not None:
                self.counts.late += int(counts[hours < (self._latest_us - GRACE_US) // HOUR_US].sum())
            for hour, count in zip(hours.tolist(), counts.tolist(), strict=True):
                self._records[hour] = self._records.get(hour, 0) + count
        times = [(pc.min(t["ts_us"]).as_py(), pc.max(t["end_us"]).as_py()) for t in (connections, queries) if len(t)]
        earliest, latest = zip(*times, strict=True) if times else ((), ())
        self._earliest_us = min((*earliest, *_known(self._earliest_us)), default=None)
        self._latest_us = max((*latest, *_known(self._latest_us)), default=None)

    def _merge(self, at_most: int) -> None:
        """Merge the summaries of every hour that has more than `at_most`; small hours together."""
        many = [hour for hour, held in self._hours.items() if len(held) > at_most]
        while many:
            together = [many.pop()]
            size = parts.rows(self._hours[together[0]])
            while many and (size := size + parts.rows(self._hours[many[-1]])) <= PIECE_ROWS:
                together.append(many.pop())
            inputs = parts.concat(part for hour in together for part in self._hours[hour])
            merged = engine.run(self._con, engine.merge_sql(self._bounds), inputs, schema.TABLES)
            self._hours |= {hour: [part] for hour, part in parts.by_hour(merged, self._oldest()).items()}

    def _oldest(self) -> int:
        """The first hour that is held."""
        return 0 if self._latest_us is None else self._latest_us // HOUR_US - self._config.window.hours

    def _expire(self) -> None:
        """Let go of hours that lie too far back; names and addresses in them stay known."""
        oldest = self._oldest()
        gone = [hour for hour in self._records if hour < oldest]
        if not gone:
            return
        self._known = self._first_seen(parts.concat(part for hour in gone for part in self._hours.pop(hour, [])))
        if self._known.num_rows > KNOWN_ROWS:
            self.counts.forgotten += self._known.num_rows - KNOWN_ROWS
            order = [("last_us", "descending"), ("kind", "ascending"), ("value", "ascending")]
            self._known = self._known.sort_by(order).slice(0, KNOWN_ROWS)
        self.counts.expired += sum(self._records.pop(hour) for hour in gone)
        for seen in self._seen:
            seen.forget(oldest)


def _known(value: int | None) -> tuple[int, ...]:
    return () if value is None else (value,)
