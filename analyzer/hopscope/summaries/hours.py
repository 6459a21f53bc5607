"""The hours that are held: batches condensed as they come, merged hour by hour, joined into a window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import Config
from hopscope.heuristics.base import Window
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch
from hopscope.summaries import engine, held, joined, parts, prepare
from hopscope.summaries import window as windows
from hopscope.summaries.held import Hour
from hopscope.summaries.merge import BOUNDS, Bounds
from hopscope.summaries.parts import Summary
from hopscope.summaries.prepare import HOUR_US
from hopscope.summaries.seen import Seen

GRACE_US = 600_000_000  # an hour closes this long after its end, by event time
PIECE_ROWS = 1_000_000  # rows that are merged at a time, so that the engine's memory is bounded
KNOWN_ROWS = 2_000_000  # names and addresses remembered beyond the hours that are held
HOST_HOURS = 168  # hours for which hosts' volumes are remembered, back from the latest record
HOST_ROWS = 2_000_000  # hours of hosts remembered beyond those that are held
BATCH_ROWS = 100_000  # records that are gathered before they are taken in

_PARTS = 8  # summaries an hour holds before they become one


@dataclass
class Counts:
    """What became of the records, so that nothing is lost in silence."""

    connections: int = 0  # connection records condensed; a connection with segments has several
    dns_queries: int = 0  # DNS queries condensed
    duplicates: int = 0  # records that had been condensed before
    late: int = 0  # of the condensed: their hour had closed before they came
    stale: int = 0  # of the condensed: when they came, their hour lay before those that are held already
    expired: int = 0  # of the condensed: their hour lies before those that are held; known to `first_seen` alone
    forgotten: int = 0  # names and addresses dropped from `first_seen`, those not seen for longest
    forgotten_hours: int = 0  # hours of hosts dropped from `host_hours` before their time, the oldest first
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
        self._hours: dict[int, Hour] = {}
        self._records: dict[int, int] = {}  # condensed records of each hour that is held
        self._seen = (Seen(), Seen())  # connections, DNS queries
        self._known = windows.FIRST_SEEN.empty_table()
        self._known_hosts = windows.HOST_HOURS.empty_table()
        self._latest_us: int | None = None
        self._earliest_us: int | None = None
        self._con = engine.connect()

    def use(self, config: Config) -> None:
        """Go on with other settings. A shorter window holds from now on; a longer one as far as hours are held."""
        self._config = config

    def get_ready(self) -> None:
        """Have the window's queries made now, rather than when it is asked for: there may be time to spare."""
        joined.queries(self._bounds)

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
        connections = prepare.compact(pa.Table.from_batches([b.connections for b in batches], CONNECTION_SCHEMA))
        queries = prepare.prepare_dns(pa.Table.from_batches([b.dns_queries for b in batches], DNS_QUERY_SCHEMA))
        connections, queries = (
            self._unseen(seen, t) for seen, t in zip(self._seen, (connections, queries), strict=True)
        )
        self._count(connections, queries)
        oldest = self._oldest()
        self.counts.stale += sum(int((t["hour"].to_numpy() < oldest).sum()) for t in (connections, queries))
        if connections.num_rows:
            for hour, records in held.by_hour(connections, oldest).items():
                self._hours.setdefault(hour, Hour()).add(records)
        if queries.num_rows:
            self._add(engine.named(self._con, queries))
        self._condense([hour for hour in self._hours.values() if hour.unsettled])
        self._merge([number for number, hour in self._hours.items() if len(hour.summaries) > _PARTS])
        self._expire()

    def window(self, hours_of_day: frozenset[int] | None = None) -> Window:
        """The window of the last `window.hours` hours, back from the latest record.

        An hour that overlaps it counts whole, so that the window starts at an hour's start. Its tables lie
        in a DuckDB of their own and don't change. Afterwards `counts` tells of `outside` and `dropped_legs`.
        With `hours_of_day` (0 to 23, in `window.timezone`) only epoch hours that start in those are in it; the
        others count for `first_seen` and `host_hours` alone, and `counts` stays as it is.
        """
        self.flush()
        end_us = 0 if self._latest_us is None else self._latest_us + 1
        first, last = windows.hours_of(max(end_us - self._config.window.hours * HOUR_US, 0), end_us)
        chosen = {number for number in self._hours if first <= number <= last}
        if hours_of_day is not None:
            zone = self._config.window.zone
            chosen = {number for number in chosen if windows.hour_of_day(number, zone) in hours_of_day}
        within = [self._hours[number] for number in sorted(chosen)]
        self._condense(within)
        # sums and names may be told by several summaries; samples and starts, which stay by the hour, may not
        self._merge([number for number in chosen if self._hours[number].twofold])
        summary = parts.concat(part for hour in within for part in hour.summaries)
        beside = [hour for number, hour in sorted(self._hours.items()) if number not in chosen]
        tables, dropped_legs = joined.tables(
            [hour.marked(self._bounds) for hour in within],
            summary,
            self._first_seen(beside),
            self._host_hours(beside),
            self._bounds,
        )
        if hours_of_day is None:
            records = self.counts.connections + self.counts.dns_queries
            self.counts.outside = records - sum(n for hour, n in self._records.items() if first <= hour <= last)
            self.counts.dropped_legs = dropped_legs
        start_us = first * HOUR_US
        return Window(
            **tables,
            start_us=start_us,
            end_us=end_us,
            history_us=start_us if self._earliest_us is None else self._earliest_us,
            vantage=self._config.vantage,
        )

    def pair_hours(self) -> pa.Table:
        """What each pair exchanged in each hour that is held, of `window.PAIR_HOURS`."""
        self.flush()
        hours = list(self._hours.values())
        inputs = {
            "connections": held.together(hours),
            "pairs": parts.concat(part for hour in hours for part in hour.summaries)["pairs"],
        }
        made = engine.run(self._con, engine.pair_hours_sql(), inputs, {"pair_hours": windows.PAIR_HOURS})
        return made["pair_hours"]

    def tables(self) -> Summary:
        """The summaries of all hours that are held, merged: tables of `schema.TABLES`."""
        self.flush()
        whole = []
        for _, hour in sorted(self._hours.items()):
            condensed = engine.condensed(self._con, hour.records, self._bounds)
            whole.append(engine.merged(self._con, [condensed, *hour.summaries], self._bounds))
        return parts.concat(whole)

    def _add(self, summary: Summary) -> None:
        for hour, part in parts.by_hour(summary, self._oldest()).items():
            self._hours.setdefault(hour, Hour()).summaries.append(part)

    def _condense(self, hours: Iterable[Hour]) -> None:
        """Condense the records of busy pairs."""
        busy = [hour.take_busy(self._bounds) for hour in hours]
        if any(map(len, busy)):
            self._add(engine.condensed(self._con, pa.concat_tables(busy), self._bounds))

    def _merge(self, many: list[int]) -> None:
        """Make the summaries of each of these hours one; small hours together."""
        while many:
            together = [many.pop()]
            size = parts.rows(self._hours[together[0]].summaries)
            while many and (size := size + parts.rows(self._hours[many[-1]].summaries)) <= PIECE_ROWS:
                together.append(many.pop())
            merged = engine.merged(
                self._con, (p for hour in together for p in self._hours[hour].summaries), self._bounds
            )
            for hour, part in parts.by_hour(merged, self._oldest()).items():
                self._hours[hour].summaries = [part]

    def _first_seen(self, hours: Sequence[Hour]) -> pa.Table:
        """What is known already and what these hours saw."""
        if not hours:
            return self._known
        summary = parts.concat(part for hour in hours for part in hour.summaries)
        inputs = {
            "connections": held.together(hours), "pairs": summary["pairs"], "names": summary["names"],
            "known": self._known,
        }  # fmt: skip
        return engine.run(self._con, engine.first_seen_sql(), inputs, {"first_seen": windows.FIRST_SEEN})["first_seen"]

    def _host_hours(self, hours: Sequence[Hour]) -> pa.Table:
        """What hosts are known to have exchanged, together with what they did in these hours, back to HOST_HOURS."""
        since = (self._latest_us or 0) // HOUR_US - HOST_HOURS
        if not hours:
            return self._known_hosts.filter(pc.field("hour") > since)
        inputs = {
            "connections": held.together(hours),
            "pairs": parts.concat(part for hour in hours for part in hour.summaries)["pairs"],
            "known_hosts": self._known_hosts,
        }
        made = engine.run(self._con, engine.host_hours_sql(), inputs, {"host_hours": windows.HOST_HOURS})
        return made["host_hours"].filter(pc.field("hour") > since)

    def _unseen(self, seen: Seen, records: pa.Table) -> pa.Table:
        new = seen.add(records["hour"].to_numpy(), records["hash"].to_numpy())
        if new.all():
            return records
        self.counts.duplicates += int((~new).sum())
        return prepare.rows_of(records, new)

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

    def _oldest(self) -> int:
        """The first hour that is held."""
        return 0 if self._latest_us is None else self._latest_us // HOUR_US - self._config.window.hours

    def _expire(self) -> None:
        """Let go of hours that lie too far back; names and addresses in them stay known."""
        oldest = self._oldest()
        gone = [hour for hour in self._records if hour < oldest]
        if not gone:
            return
        going = [self._hours.pop(hour) for hour in gone if hour in self._hours]
        self._known, self._known_hosts = self._first_seen(going), self._host_hours(going)
        if self._known.num_rows > KNOWN_ROWS:
            self.counts.forgotten += self._known.num_rows - KNOWN_ROWS
            order = [("last_us", "descending"), ("kind", "ascending"), ("value", "ascending")]
            self._known = self._known.sort_by(order).slice(0, KNOWN_ROWS)
        self._forget_hosts()
        self.counts.expired += sum(self._records.pop(hour) for hour in gone)
        for seen in self._seen:
            seen.forget(oldest)

    def _forget_hosts(self) -> None:
        """Let go of the oldest hours of hosts when there are too many."""
        if (more := self._known_hosts.num_rows - HOST_ROWS) > 0:
            self.counts.forgotten_hours += more
            order = [("hour", "descending"), ("sensor", "ascending"), ("host", "ascending")]
            self._known_hosts = self._known_hosts.sort_by(order).slice(0, HOST_ROWS)


def _known(value: int | None) -> tuple[int, ...]:
    return () if value is None else (value,)
