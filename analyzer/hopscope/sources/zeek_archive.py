"""An archive of Zeek's logs to records: plain logs joined by uid, hopscope's own instead where they are there.

Logs are read side by side in the order in which Zeek wrote them, so that what belongs to a connection is
at hand when its row comes, and the hours come in their order. hopscope.log's rows take the place of
conn.log's with the same uid, hopscope_dns.log's that of dns.log's. A connection that was still open is
told once: as it ended, else as it was last seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from hopscope.errors import InputError
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch, InputCount
from hopscope.sources import zeek_logs
from hopscope.sources.addresses import Networks
from hopscope.sources.capture import nothing_read
from hopscope.sources.zeek_columns import one_batch, one_chunk, with_addresses
from hopscope.sources.zeek_files import LogArchive
from hopscope.sources.zeek_memory import OpenRows, SideRows, Uids
from hopscope.sources.zeek_rows import Archive, Rows

MARGIN_S = 300.0  # seconds; rows of one moment may be written this far apart

_OF_CONNECTIONS = ("hopscope", "conn")
_MAIN = (*_OF_CONNECTIONS, "hopscope_dns", "dns")
_OWN = {"conn": "hopscope", "dns": "hopscope_dns"}


def records(
    logs: LogArchive, local_nets: Sequence[str], count: InputCount, progress: Callable[[int], None] | None = None
) -> Iterator[Batch]:
    """The records of an archive. What can't be read, or had to be left out, is told in `count`.

    Raises InputError when none of the logs that hold connections or queries can be read.
    """
    fills(logs, count)
    there = {file.log for file in logs.files}
    if there.isdisjoint({*_OF_CONNECTIONS, None}):
        found = ", ".join(f"{log}.log" for log in sorted(filter(None, there)))
        if there - {"dns", "hopscope_dns"}:
            problem = f"there is {found} but no conn.log, which holds the connections"
            raise InputError(logs.name, problem, "add the conn.log of that time")
        count.note(f"{logs.name}: there is {found} but no conn.log; only DNS queries were read")
    yield from _Reading(Archive(logs.files, count, progress), Networks(local_nets), logs.name, count).batches()


def fills(logs: LogArchive, count: InputCount) -> None:
    """Tell `count` which fields of a connection the logs can fill."""
    columns: dict[str, set[str]] = {}
    for file in logs.files:
        kinds = zeek_logs.LOGS if file.log is None else (file.log,)
        for log in kinds:
            schema = zeek_logs.LOGS.get(log, CONNECTION_SCHEMA)
            columns.setdefault(log, set()).update(schema.names if file.columns is None else file.columns)
    if "conn" in columns:
        count.fills(zeek_logs.filled(columns)[0])
    if "hopscope" in columns:
        count.fills(columns["hopscope"])


@dataclass
class _Reading:
    archive: Archive
    networks: Networks
    name: str
    count: InputCount
    sides: dict[str, SideRows] = field(default_factory=lambda: {log: SideRows(log) for log in zeek_logs.SIDES})
    told: dict[str, Uids] = field(default_factory=lambda: {log: Uids() for log in _OWN.values()})
    ended: Uids = field(default_factory=Uids)
    still_open: OpenRows = field(default_factory=OpenRows)
    any_open: bool = False

    def batches(self) -> Iterator[Batch]:
        """All records."""
        archive = self.archive
        self.any_open = any(file.is_open or file.log is None for file in archive.files)
        while left := [log for log in _MAIN if archive.has(log)]:
            log = min(left, key=archive.position)
            rows = archive.take(log)
            if rows is not None:
                yield from self._with_what_belongs(rows)
        # one that ended may have been told open later: the logs of what is open are written on their own
        left_open = self.ended.unknown(self.told["hopscope"].unknown(self.still_open.rows()))
        if len(left_open):
            yield Batch(left_open, _no_queries())
        self._say_what_was_lost()

    def _with_what_belongs(self, rows: Rows) -> Iterator[Batch]:
        """The rows' records, after those that take their place and with what other logs tell of them."""
        own = _OWN.get(rows.log)
        # what is left of the other logs after the last row belongs to it
        until = rows.reached + MARGIN_S if self.archive.has(rows.log) else float("inf")
        if own is not None:
            for others in self._up_to(own, until):
                yield self._own(others)
        if rows.log == "conn":
            for log in zeek_logs.SIDES:
                for side in self._up_to(log, until):
                    self.sides[log].add(side.table)
            yield from self._connections(rows)
        elif rows.log == "dns":
            queries = self.told["hopscope_dns"].unknown(zeek_logs.dns_queries(rows.table, rows.place))
            yield Batch(_no_connections(), queries)
        else:
            yield self._own(rows)

    def _up_to(self, log: str, until: float) -> Iterator[Rows]:
        while self.archive.has(log) and self.archive.position(log) <= until:
            rows = self.archive.take(log)
            if rows is not None:
                yield rows

    def _own(self, rows: Rows) -> Batch:
        """Records of hopscope's own logs."""
        self.told[rows.log].add(one_chunk(rows.table["uid"]))
        if rows.log == "hopscope_dns":
            table = with_addresses(rows.table, ("client", "resolver"), rows.place)
            return Batch(_no_connections(), one_batch(table))
        ends, local = ("orig_h", "resp_h"), ("local_orig", "local_resp")
        return Batch(one_batch(with_addresses(rows.table, ends, rows.place, self.networks, local)), _no_queries())

    def _connections(self, rows: Rows) -> Iterator[Batch]:
        def found(log: str, keys: pa.Array) -> pa.Table | None:
            # a certificate serves many connections, and one that is still open comes again
            return self.sides[log].take(keys, keep=rows.is_open or log == "x509")

        batch = zeek_logs.connections(rows.table, found, self.networks, rows.place)
        batch = self.told["hopscope"].unknown(batch)
        if rows.is_open:
            self.still_open.add(batch)
            return
        if self.any_open:
            self.ended.add(batch["uid"])
            self.still_open.forget(batch["uid"])
        yield Batch(batch, _no_queries())

    def _say_what_was_lost(self) -> None:
        failed = self.archive.failed
        of_records = [file for file in self.archive.files if file.log in (*_MAIN, None)]
        if failed and {file.path for file in of_records} <= {file.path for file, _ in failed}:
            raise nothing_read([error for _, error in failed])
        for _, error in failed:
            self.count.note(str(error))
        cut = self.archive.cut
        if cut:
            which = ", ".join(cut[:3]) + (f" and {len(cut) - 3} more" if len(cut) > 3 else "")
            self.count.note(f"{which}: the last line hasn't ended (still being written, or cut); it was left out")
        dropped = {log: side.dropped for log, side in self.sides.items() if side.dropped}
        for log, number in (
            dropped | ({"open conn": self.still_open.dropped} if self.still_open.dropped else {})
        ).items():
            self.count.note(
                f"{self.name}: {number:,} rows of {log}.log waited too long for their connections and were let go; "
                "give fewer logs at a time"
            )


def _no_connections() -> pa.RecordBatch:
    return one_batch(CONNECTION_SCHEMA.empty_table())


def _no_queries() -> pa.RecordBatch:
    return one_batch(DNS_QUERY_SCHEMA.empty_table())
