"""Hosts' events and connections whose ends are known, joined one to one, and told as rows of PROCESSES."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hopscope.heuristics.base import PROCESSES
from hopscope.heuristics.evidence import lists_of
from hopscope.heuristics.segments import Flags, Ints, combined, spans, unique
from hopscope.nearest import one_to_one

WITNESSES = 10  # uids named with a row
LATEST = 1 << 61  # µs; forged times are cut to this, so that differences hold

_PLACE = ("host", "process", "pid", "user", "client", "server", "port", "proto", "name", "initiated")
_SYSMONS = ("process", "user", "name", "client", "client_p", "server", "port")  # where Security tells of the same

Columns = dict[str, Ints]
"""Columns of equal length, -1 for null. Of events: `ts_us`, `transport`, `client_p`, `port`, `pid`, `record`, the flags
`initiated` and `sysmon`, and texts by their rank: `host`, `process`, `user`, `proto`, `name`, `client`, `server`."""


@dataclass(frozen=True)
class Connections:
    """Connections whose ends an event names: `ts_us`, `sensor`, and the ends, `low` and `high`."""

    columns: Columns
    uids: pa.Array

    def take(self, rows: Ints) -> Connections:
        """Those rows, in that order."""
        return Connections(taken(self.columns, rows), self.uids.take(pa.array(rows)))


def merged(events: Columns, pair: Ints, most_us: int) -> Flags:
    """Gives Security's events what Sysmon's say of the same, in place; true for events with ends that stand alone then.

    `pair` numbers the ends of each event, -1 where it lacks one; the two tellings are at most `most_us` apart.
    """
    able = np.flatnonzero((pair >= 0) & (events["pid"] >= 0))
    same = combined([dense(events[name][able]) for name in ("host", "pid", "initiated")] + [pair[able]])
    of_sysmon = events["sysmon"][able] == 1
    sides = [(same[side], events["ts_us"][able[side]]) for side in (of_sysmon, ~of_sysmon)]
    left, right = one_to_one(*sides[0], *sides[1], most_us)
    told, telling = able[of_sysmon][left], able[~of_sysmon][right]
    for name in _SYSMONS:
        events[name][telling] = events[name][told]
    alone: Flags = pair >= 0
    alone[telling] = False
    return alone


def joined(events: Columns, pair: Ints, alone: Flags, seen: Connections, mine: Ints, most_us: int) -> tuple[Ints, Ints]:
    """Places of events and of the connections that they tell of; `pair` and `mine` number their ends.

    A connection may be told by one event for each host and direction: by both its sides.
    """
    at = np.flatnonzero(alone)
    side = combined([pair[at], dense(events["host"][at]), events["initiated"][at] + 1])
    pair_of = np.zeros(int(side.max(initial=-1)) + 1, np.int64)
    pair_of[side] = pair[at]  # in order: sides are numbered by pair first
    begin, end = np.searchsorted(pair_of, mine), np.searchsorted(pair_of, mine, "right")
    of, told = np.repeat(np.arange(len(mine)), end - begin), spans(begin, end - begin)
    found = [np.zeros((2, 0), np.int64)]
    for sensor in unique(seen.columns["sensor"]):  # few: each saw its own
        its = seen.columns["sensor"][of] == sensor
        left, right = one_to_one(side, events["ts_us"][at], told[its], seen.columns["ts_us"][of[its]], most_us)
        found.append(np.stack([at[left], of[its][right]]))
    pairs = np.concatenate(found, axis=1)
    return pairs[0], pairs[1]


def process_table(
    events: Columns, texts: dict[str, pa.Array], at: Ints, connection: Ints, seen: Connections, sensors: pa.Array
) -> pa.Table:
    """PROCESSES: a row for each place and sensor that saw connections of it, or for the place alone.

    `texts` are those whose ranks the events have; events `at` are joined with connections `connection` of `seen`, which
    are in order of time; `sensors` are by rank.
    """
    place = combined([dense(events[name]) for name in _PLACE])
    size, width = int(place.max()) + 1, len(sensors) + 1  # sensors without a name have the last number
    saw = place[at] * width + seen.columns["sensor"][connection] % width
    keys = unique(saw)
    lone = np.flatnonzero(np.bincount(keys // width, minlength=size) == 0)
    keys = np.sort(np.concatenate([keys, lone * width + width - 1]))
    of, row = keys // width, np.searchsorted(keys, saw)

    first, last, example = np.full(size, LATEST), np.full(size, -LATEST), np.zeros(size, np.int64)
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


def dense(column: Ints) -> Ints:
    """Numbers from 0 in order of the values."""
    least = int(column.min(initial=0))
    if int(column.max(initial=0)) - least < 1 << 31:
        return column - least  # near enough to each other for being combined
    return np.unique(column, return_inverse=True)[1]


def taken(columns: Columns, rows: Ints) -> Columns:
    """Those rows of columns, in that order."""
    return {name: column[rows] for name, column in columns.items()}


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
