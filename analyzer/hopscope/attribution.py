"""Which process is behind a connection: hosts' events joined with what the sensor saw.

An event and a connection are one when transport, both addresses and both ports agree, whichever way round, and
their times lie within a tolerance, since clocks of hosts and sensors differ. Where addresses are translated between
host and sensor nothing is joined. Events are known before connections, of which only those are kept whose ends an event
names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.end_pairs import SHIFT, Known, both_ends, known_pairs, pair_numbers, renumbered
from hopscope.heuristics.base import PROCESSES
from hopscope.heuristics.evidence import lists_of
from hopscope.heuristics.outbound_pairs import numbered
from hopscope.heuristics.segments import Flags, Ints, combined, spans, unique
from hopscope.host_ends import oriented
from hopscope.interning import Texts, whole
from hopscope.nearest import one_to_one
from hopscope.records import Batch

MOST = 4_000_000  # events, and connections, that are kept at a time, of some 120 bytes each; further ones are counted
MOST_BYTES = 600 << 20  # of one text of all events: a column of them for each of three sensors is below Arrow's 2 GB
WITNESSES = 10  # uids named with a row

_TRANSPORTS = pa.array(["tcp", "udp"])  # what has ports to join on
_LATEST = 1 << 61  # µs; forged times are cut to this, so that differences hold
_PLACE = ("host", "process", "pid", "user", "client", "server", "port", "proto", "name", "initiated")
_TEXTS = ("host", "process", "user", "proto", "name", "client", "server")
_ADDRESSES = ("client", "server")
_SYSMONS = ("process", "user", "name", "client", "client_p", "server", "port")  # where Security tells of the same

Columns = dict[str, Ints]  # of equal length; -1 is null


@dataclass(frozen=True)
class _Connections:
    """Connections whose ends an event names: `ts_us`, `sensor`, and the ends, `low` and `high`."""

    columns: Columns
    uids: pa.Array

    def take(self, rows: Ints) -> _Connections:
        return _Connections(_rows(self.columns, rows), self.uids.take(pa.array(rows)))


class Attribution:
    """Joins hosts' events with connections. Memory is bounded: `MOST` of each are kept, of events `MOST_BYTES` of text.

    Events beyond are not told, connections beyond are not joined: `untold` and `unjoined` count them.
    """

    def __init__(self, tolerance_s: float) -> None:
        self._tolerance_us = round(min(tolerance_s, 1e9) * 1e6)
        self._addresses, self._texts, self._sensors = Texts(), Texts(), Texts()
        self._events: list[Columns] = []
        self._connections: list[_Connections] = []
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
        events = [_rows(e, np.flatnonzero(e["ts_us"] >= before_us)) for e in self._events]
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
        alone = _merged(events, pair, self._tolerance_us)
        seen, sensors = self._seen()
        mine = pair_numbers(seen.columns["low"], seen.columns["high"], known)
        at, connection = _joined(events, pair, alone, seen, mine, self._tolerance_us)
        return _told(events, texts, at, connection, seen, sensors)

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
            self._connections.append(_Connections(columns | {"low": low[seen], "high": high[seen]}, kept["uid"]))

    def _in_order(self) -> tuple[Columns, dict[str, pa.Array]]:
        """The events in an order of their own, each once; texts by their rank, and the texts of each such column."""
        events, texts = _joint(self._events), {}
        for name in _TEXTS:
            texts[name], rank = (self._addresses if name in _ADDRESSES else self._texts).ranks()
            events[name] = rank[events[name]]
        what = combined([_dense(events[name]) for name in events if name != "ts_us"])
        order = np.lexsort((events["ts_us"], what))
        same = (np.diff(what[order]) == 0) & (np.diff(events["ts_us"][order]) == 0)
        # of a log that was exported twice each record comes twice
        again = np.append(False, same) & (events["record"][order] >= 0)
        return _rows(events, order[~again]), texts

    def _seen(self) -> tuple[_Connections, pa.Array]:
        """The connections in order of time, each once, sensors and addresses by their rank, and the sensors."""
        sensors, rank = self._sensors.ranks()
        if not self._connections:
            nothing = np.zeros(0, np.int64)
            return _Connections(
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
        return _Connections(columns, uids).take(order[first]), sensors


def _merged(events: Columns, pair: Ints, most_us: int) -> Flags:
    """Gives Security's events what Sysmon's say of the same; true for events with ends that stand alone then."""
    able = np.flatnonzero((pair >= 0) & (events["pid"] >= 0))
    same = combined([_dense(events[name][able]) for name in ("host", "pid", "initiated")] + [pair[able]])
    of_sysmon = events["sysmon"][able] == 1
    sides = [(same[side], events["ts_us"][able[side]]) for side in (of_sysmon, ~of_sysmon)]
    left, right = one_to_one(*sides[0], *sides[1], most_us)
    told, telling = able[of_sysmon][left], able[~of_sysmon][right]
    for name in _SYSMONS:
        events[name][telling] = events[name][told]
    alone: Flags = pair >= 0
    alone[telling] = False
    return alone


def _joined(
    events: Columns, pair: Ints, alone: Flags, seen: _Connections, mine: Ints, most_us: int
) -> tuple[Ints, Ints]:
    """Places of events and of the connections that they tell of; `pair` and `mine` number their ends.

    A connection may be told by one event for each host and direction: by both its sides.
    """
    at = np.flatnonzero(alone)
    side = combined([pair[at], _dense(events["host"][at]), events["initiated"][at] + 1])
    pair_of = np.zeros(int(side.max(initial=-1)) + 1, np.int64)
    pair_of[side] = pair[at]  # in order: sides are numbered by pair first
    begin, end = np.searchsorted(pair_of, mine), np.searchsorted(pair_of, mine, "right")
    of, told = np.repeat(np.arange(len(mine)), end - begin), spans(begin, end - begin)
    found = [np.zeros((2, 0), np.int64)]
    for sensor in unique(seen.columns["sensor"]):  # few: each saw its own
        its = seen.columns["sensor"][of] == sensor
        left, right = one_to_one(side, events["ts_us"][at], told[its], seen.columns["ts_us"][of[its]], most_us)
        found.append(np.stack([at[left], of[its][right]]))
    joined = np.concatenate(found, axis=1)
    return joined[0], joined[1]


def _told(
    events: Columns, texts: dict[str, pa.Array], at: Ints, connection: Ints, seen: _Connections, sensors: pa.Array
) -> pa.Table:
    """PROCESSES: a row for each place and sensor that saw connections of it, or for the place alone."""
    place = combined([_dense(events[name]) for name in _PLACE])
    size, width = int(place.max()) + 1, len(sensors) + 1  # sensors without a name have the last number
    saw = place[at] * width + seen.columns["sensor"][connection] % width
    keys = unique(saw)
    lone = np.flatnonzero(np.bincount(keys // width, minlength=size) == 0)
    keys = np.sort(np.concatenate([keys, lone * width + width - 1]))
    of, row = keys // width, np.searchsorted(keys, saw)

    first, last, example = np.full(size, _LATEST), np.full(size, -_LATEST), np.zeros(size, np.int64)
    np.minimum.at(first, place, events["ts_us"])
    np.maximum.at(last, place, events["ts_us"])
    example[place] = np.arange(len(place))
    columns: dict[str, pa.Array] = {}
    for name in _PLACE:
        number = events[name][example[of]]
        column = pa.array(number, mask=number < 0)
        columns[name] = texts[name].take(column) if name in texts else column
    whose = keys % width
    columns |= {
        "sensor": sensors.take(pa.array(whose, mask=whose == len(sensors))),
        "events": pa.array(np.bincount(place, minlength=size)[of]),
        "first_us": pa.array(first[of]),
        "last_us": pa.array(last[of]),
        "connections": pa.array(np.bincount(row, minlength=len(keys))),
        "offset_us": _middle(events["ts_us"][at] - seen.columns["ts_us"][connection], row, len(keys)),
        "uids": _first(seen.uids, connection, row, len(keys)),
    }
    return pa.table({name: columns[name] for name in PROCESSES.names}).cast(PROCESSES)


def _middle(values: Ints, row: Ints, rows: int) -> pa.Array:
    """Each row's median, of two in the middle the lesser; null where there is none."""
    ordered, sizes = values[np.lexsort((values, row))], np.bincount(row, minlength=rows)
    middle = np.cumsum(sizes) - sizes + np.maximum(sizes - 1, 0) // 2
    return pa.array(np.append(ordered, 0)[middle], mask=sizes == 0)


def _first(uids: pa.Array, connection: Ints, row: Ints, rows: int) -> pa.Array:
    """The first uids of each row's connections, which are numbered in order of time."""
    ordered, sizes = connection[np.lexsort((connection, row))], np.bincount(row, minlength=rows)
    few = np.minimum(sizes, WITNESSES)
    return lists_of(uids.take(pa.array(ordered[spans(np.cumsum(sizes) - sizes, few)])), few)


def _ends(events: Columns) -> tuple[Ints, Ints]:
    """Both ends of each event, the lesser first."""
    client, server = (events["client"], events["client_p"]), (events["server"], events["port"])
    return both_ends(client, server, events["transport"])


def _sizes(texts: pa.Array) -> Ints:
    """The bytes of each text; 0 of null."""
    out: Ints = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return out


def _renumbered(seen: _Connections, address: Ints) -> _Connections:
    """The connections with new numbers for addresses; without those of which one is gone: their events are."""
    there = (address[seen.columns["low"] >> SHIFT] >= 0) & (address[seen.columns["high"] >> SHIFT] >= 0)
    seen = seen.take(np.flatnonzero(there))
    low, high = renumbered(seen.columns["low"], seen.columns["high"], address)
    return _Connections(seen.columns | {"low": low, "high": high}, seen.uids)


def _transport(proto: pa.Array) -> Ints:
    return whole(pc.index_in(proto, value_set=_TRANSPORTS))


def _times(column: pa.Array) -> Ints:
    """Times in µs; 0 for null."""
    out: Ints = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return np.clip(out, -_LATEST, _LATEST)


def _dense(column: Ints) -> Ints:
    """Numbers from 0 in order of the values."""
    least = int(column.min(initial=0))
    if int(column.max(initial=0)) - least < 1 << 31:
        return column - least  # near enough to each other for being combined
    return np.unique(column, return_inverse=True)[1]


def _joint(parts: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _rows(columns: Columns, rows: Ints) -> Columns:
    return {name: column[rows] for name, column in columns.items()}
