"""What the rows of several logs make together: records, each told once.

hopscope.log's rows take the place of conn.log's with the same uid, hopscope_dns.log's that of dns.log's. A
connection that was still open when it was logged is told once: as it ended, else as it was last seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from hopscope.records import NO_CONNECTIONS, NO_DNS_QUERIES, Batch, InputCount
from hopscope.sources import zeek_logs
from hopscope.sources.addresses import Networks
from hopscope.sources.zeek_columns import FILLED, one_batch, one_chunk, with_addresses
from hopscope.sources.zeek_memory import OpenRows, SideRows, Uids
from hopscope.sources.zeek_rows import Rows

OWN = {"conn": "hopscope", "dns": "hopscope_dns"}  # whose rows take the place of whose


class Join:
    """Rows go in log by log; those of side logs and of hopscope's own before the rows that they belong to.

    `opened`: logs of what was still open may come, so that what has ended is kept in mind.
    """

    def __init__(self, networks: Networks, opened: bool) -> None:
        self._networks, self._opened = networks, opened
        self._sides = {log: SideRows(log) for log in zeek_logs.SIDES}
        self._told = {log: Uids() for log in OWN.values()}
        self._ended = Uids()
        self._still_open = OpenRows()

    def add(self, rows: Rows) -> Batch | None:
        """The records that the rows make by now, None when they are kept."""
        match rows.log:
            case "conn":
                return self._connections(rows)
            case "dns":
                table, _ = self._without(rows.table, "hopscope_dns")
                return Batch(NO_CONNECTIONS, zeek_logs.dns_queries(table, rows.place))
            case "hopscope":
                self._told["hopscope"].add(one_chunk(rows.table["uid"]))
                ends, local = ("orig_h", "resp_h"), ("local_orig", "local_resp")
                table = with_addresses(rows.table, ends, rows.place, self._networks, local)
                return Batch(one_batch(table), NO_DNS_QUERIES)
            case "hopscope_dns":
                self._told["hopscope_dns"].add(one_chunk(rows.table["uid"]))
                return Batch(NO_CONNECTIONS, one_batch(with_addresses(rows.table, ("client", "resolver"), rows.place)))
            case side:
                self._sides[side].add(rows.table)
                return None

    def left_open(self) -> Batch | None:
        """The connections of which the end was never told."""
        rows = self._still_open.rows()
        ended = pc.or_(self._ended.among(rows["uid"]), self._told["hopscope"].among(rows["uid"]))
        rows = rows.filter(pc.invert(ended))
        return Batch(rows, NO_DNS_QUERIES) if len(rows) else None

    def dropped(self) -> dict[str, int]:
        """How many rows of each log there was no room for."""
        logs = {f"{log}.log": side.dropped for log, side in self._sides.items()}
        return {log: n for log, n in (logs | {"open_conn.log": self._still_open.dropped}).items() if n}

    def _connections(self, rows: Rows) -> Batch | None:
        def found(log: str, keys: pa.Array) -> pa.Table | None:
            # a certificate serves many connections, and one that is still open comes again
            return self._sides[log].take(keys, keep=rows.is_open or log == "x509")

        table, told = self._without(rows.table, "hopscope")
        for log in zeek_logs.SIDES if len(told) and not rows.is_open else ():
            if log != "x509":
                self._sides[log].forget(told)
        batch = zeek_logs.connections(table, found, self._networks, rows.place)
        if rows.is_open:
            self._still_open.add(batch)
            return None
        if self._opened:
            self._ended.add(batch["uid"])
            self._still_open.forget(batch["uid"])
        return Batch(batch, NO_DNS_QUERIES)

    def _without(self, table: pa.Table, own: str) -> tuple[pa.Table, pa.Array]:
        """The rows that hopscope's own log doesn't tell, and the uids of those that it does."""
        uids = one_chunk(table["uid"])
        told = self._told[own].among(uids)
        if not told.true_count:
            return table, uids.slice(0, 0)
        return table.filter(pc.invert(told)).combine_chunks(), uids.filter(told)


def tell_filled(columns: Mapping[str, set[str]], count: InputCount) -> None:
    """Tell which fields of a connection logs with these columns can fill."""
    if "conn" in columns:
        count.fills(zeek_logs.filled(columns)[0])
    if "hopscope" in columns:
        count.fills({*columns["hopscope"], *FILLED, "seg_end"})
