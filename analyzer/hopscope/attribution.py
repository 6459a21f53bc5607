"""Which process is behind a connection: hosts' events joined with what the sensor saw.

An event and a connection are one when transport, both addresses and both ports agree, whichever way round, and
their times lie within a tolerance, since clocks of hosts and sensors differ. Where addresses are translated between
host and sensor nothing is joined. Events are known before connections, of which only those are kept whose ends an event
names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.end_pairs import SHIFT, Known, both_ends, known_pairs, pair_numbers, renumbered
from hopscope.heuristics.base import PROCESSES
from hopscope.heuristics.outbound_pairs import numbered
from hopscope.heuristics.segments import Ints, combined
from hopscope.host_ends import oriented
from hopscope.interning import Texts, whole
from hopscope.process_rows import LATEST, Columns, Connections, dense, joined, merged, process_table, taken
from hopscope.records import Batch

MOST = 4_000_000  # events, and connections, that are kept at a time, of some 120 bytes each; further ones are counted
MOST_BYTES = 600 << 20  # of one text of all events: a column of them for each of three sensors is below Arrow's 2 GB

_TRANSPORTS = pa.array(["tcp", "udp"])  # what has ports to join on
_TEXTS = ("host", "process", "user", "proto", "name", "client", "server")
_ADDRESSES = ("client", "server")


class Attribution:
    """Joins hosts' events with connections. Memory is bounded: `MOST` of each are kept, of events `MOST_BYTES` of text.

    Events beyond are not told, connections beyond are not joined: `untold` and `unjoined` count them.
    """

    def __init__(self, tolerance_s: float) -> None:
        self._tolerance_us = round(min(tolerance_s, 1e9) * 1e6)
        self._addresses, self._texts, self._sensors = Texts(), Texts(), Texts()
        self._events: list[Columns] = []
        self._connections: list[Connections] = []
        self._known: Known | None = None  # of the events so far; None when they have changed
        self._bytes = np.zeros(len(_TEXTS), np.int64)  # of each text of the events, as often as it stands there
        self.untold = 0
        self.unjoined = 0

    def add(self, batch: Batch) -> None:
        """Take in a batch's events, then those of its connections whose ends an event names."""
        if batch.host_events.num_rows:
            self._add_events(batch.host_events)
        if self._events and batch.connections.num_rows:
            self._add_connections(batch.connections)

    def forget(self, before_us: int) -> None:
        """Drop what happened before that time, in µs since the epoch, and texts that nothing has any more."""
        events = [taken(e, np.flatnonzero(e["ts_us"] >= before_us)) for e in self._events]
        self._events = [e for e in events if len(e["ts_us"])]
        seen = [c.take(np.flatnonzero(c.columns["ts_us"] >= before_us)) for c in self._connections]
        self._connections = [c for c in seen if len(c.uids)]
        self._known = None
        self._forget_texts()

    def _forget_texts(self) -> None:
        for texts, names in ((self._addresses, _ADDRESSES), (self._texts, set(_TEXTS).difference(_ADDRESSES))):
            used = [e[name] for e in self._events for name in names]
            new = texts.keep(np.concatenate(used) if used else np.zeros(0, np.int64))
            self._events = [e | {name: new[e[name]] for name in names} for e in self._events]
            if texts is self._addresses:
                self._connections = [_renumbered(c, new) for c in self._connections]
        self._bytes[:] = 0
        for at, name in enumerate(_TEXTS):
            sizes = _sizes((self._addresses if name in _ADDRESSES else self._texts).values)
            self._bytes[at] = sum(np.append(sizes, 0)[e[name]].sum() for e in self._events)

    def processes(self) -> pa.Table:
        """`PROCESSES` in order of its columns: the same for the same records, however they were batched.

        The hosts, and the processes, at both ends may tell of one connection; else each event goes to one connection
        and each connection to one event, the nearest in time first. An event of Security beside one of Sysmon of the
        same process, ends and direction is the same telling: it counts among `events`, and Sysmon's process, user and
        name stand for both. What several sensors saw is told for each.
        """
        if not self._events:
            return PROCESSES.empty_table()
        events, texts = self._in_order()
        low, high = _ends(events)
        known = known_pairs(low, high)
        pair = pair_numbers(low, high, known)
        alone = merged(events, pair, self._tolerance_us)
        seen, sensors = self._seen()
        mine = pair_numbers(seen.columns["low"], seen.columns["high"], known)
        at, connection = joined(events, pair, alone, seen, mine, self._tolerance_us)
        return process_table(events, texts, at, connection, seen, sensors)

    def _add_events(self, batch: pa.RecordBatch) -> None:
        ends = oriented(batch)
        columns = {name: batch[name] for name in ("host", "process", "user", "proto", "pid", "record", "initiated")}
        columns |= {name: ends[name] for name in ("client", "client_p", "server", "port")}
        columns |= {"name": ends["server_name"], "ts": batch["ts"], "sysmon": pc.equal(batch["provider"], "sysmon")}
        rows = pa.RecordBatch.from_pydict(columns).filter(ends["server"].is_valid())
        sizes = np.cumsum([_sizes(rows[name]) for name in _TEXTS], axis=1) + self._bytes[:, None]
        fit = int((sizes <= MOST_BYTES).all(axis=0).sum())
        room = min(max(MOST - sum(len(e["ts_us"]) for e in self._events), 0), fit)
        self.untold += max(rows.num_rows - room, 0)
        rows = rows.slice(0, room)
        if not rows.num_rows:
            return
        self._bytes = sizes[:, rows.num_rows - 1]
        kept = {n: (self._addresses if n in _ADDRESSES else self._texts).numbers(rows[n]) for n in _TEXTS}
        for name in ("client_p", "port", "pid", "record", "initiated", "sysmon"):
            kept[name] = whole(rows[name])
        kept["transport"] = _transport(rows["proto"])
        kept["ts_us"] = _times(rows["ts"])
        self._events.append(kept)
        self._known = None

    def _add_connections(self, batch: pa.RecordBatch) -> None:
        first = pc.fill_null(pc.equal(batch["seg"], 0), False)
        rows = batch.select(["ts", "sensor", "uid", "orig_h", "orig_p", "resp_h", "resp_p", "proto"]).filter(first)
        orig, resp = (
            (self._addresses.look_up(rows[f"{side}_h"]), whole(rows[f"{side}_p"])) for side in ("orig", "resp")
        )
        low, high = both_ends(orig, resp, _transport(rows["proto"]))
        if self._known is None:
            self._known = known_pairs(*_ends(_joint(self._events)))
        seen = np.flatnonzero(pair_numbers(low, high, self._known) >= 0)
        room = max(MOST - sum(len(c.uids) for c in self._connections), 0)
        self.unjoined += max(len(seen) - room, 0)
        seen = seen[:room]
        if len(seen):
            kept = rows.take(pa.array(seen))
            columns = {"ts_us": _times(kept["ts"]), "sensor": self._sensors.numbers(kept["sensor"])}
            self._connections.append(Connections(columns | {"low": low[seen], "high": high[seen]}, kept["uid"]))

    def _in_order(self) -> tuple[Columns, dict[str, pa.Array]]:
        """The events in an order of their own, each once; texts by their rank, and the texts of each such column."""
        events, texts = _joint(self._events), {}
        for name in _TEXTS:
            texts[name], rank = (self._addresses if name in _ADDRESSES else self._texts).ranks()
            events[name] = rank[events[name]]
        what = combined([dense(events[name]) for name in events if name != "ts_us"])
        order = np.lexsort((events["ts_us"], what))
        same = (np.diff(what[order]) == 0) & (np.diff(events["ts_us"][order]) == 0)
        # of a log that was exported twice each record comes twice
        again = np.append(False, same) & (events["record"][order] >= 0)
        return taken(events, order[~again]), texts

    def _seen(self) -> tuple[Connections, pa.Array]:
        """The connections in order of time, each once, sensors and addresses by their rank, and the sensors."""
        sensors, rank = self._sensors.ranks()
        if not self._connections:
            nothing = np.zeros(0, np.int64)
            return Connections(
                dict.fromkeys(("ts_us", "sensor", "low", "high"), nothing), pa.array([], pa.string())
            ), sensors
        columns = _joint([c.columns for c in self._connections])
        columns["sensor"] = rank[columns["sensor"]]
        columns["low"], columns["high"] = renumbered(columns["low"], columns["high"], self._addresses.ranks()[1])
        uids = pa.concat_arrays([c.uids for c in self._connections])
        uid = numbered(pa.chunked_array([uids]))[1]
        order = np.lexsort((columns["high"], columns["low"], columns["sensor"], uid, columns["ts_us"]))
        which = combined([columns["sensor"] + 1, uid])
        first = np.full(int(which.max()) + 1, len(order))
        np.minimum.at(first, which[order], np.arange(len(order)))  # an input may be given twice
        first = np.sort(first)
        return Connections(columns, uids).take(order[first]), sensors


def _ends(events: Columns) -> tuple[Ints, Ints]:
    """Both ends of each event, the lesser first."""
    client, server = (events["client"], events["client_p"]), (events["server"], events["port"])
    return both_ends(client, server, events["transport"])


def _sizes(texts: pa.Array) -> Ints:
    """The bytes of each text; 0 of null."""
    out: Ints = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return out


def _renumbered(seen: Connections, address: Ints) -> Connections:
    """The connections with new numbers for addresses; without those of which one is gone: their events are."""
    there = (address[seen.columns["low"] >> SHIFT] >= 0) & (address[seen.columns["high"] >> SHIFT] >= 0)
    seen = seen.take(np.flatnonzero(there))
    low, high = renumbered(seen.columns["low"], seen.columns["high"], address)
    return Connections(seen.columns | {"low": low, "high": high}, seen.uids)


def _transport(proto: pa.Array) -> Ints:
    return whole(pc.index_in(proto, value_set=_TRANSPORTS))


def _times(column: pa.Array) -> Ints:
    """Times in µs; 0 for null."""
    out: Ints = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return np.clip(out, -LATEST, LATEST)


def _joint(parts: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
