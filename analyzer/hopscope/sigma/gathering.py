"""What rules fired on, gathered by rule and place: the same whatever the batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.heuristics.base import MATCHES
from hopscope.heuristics.evidence import lists_of
from hopscope.heuristics.segments import Ints, codes, key_ids

PLACE = ("kind", "sensor", "client", "server", "port", "proto", "name", "host", "process", "pid", "user")
"""The columns of MATCHES that tell of one rule's groups which is which."""
FIRED = pa.schema([
    ("rule", pa.int32()),  # its place in the list of rules
    *((name, MATCHES.field(name).type) for name in PLACE),
    ("uid", pa.string()),
    ("ts", pa.int64()),
    ("end", pa.int64()),  # until when the record tells
    ("whole", pa.bool_()),  # the record is told once; false: it is one of several segments of a connection
])  # fmt: skip
"""A row for each rule and record on which it fired."""

MOST = 1_000
"""Groups kept of each rule; what is beyond is counted. Of a rule so noisy a thousand tell what all would."""
UIDS = 10
COUNTED = 1_000_000  # groups beyond are counted up to about here
WAITING = 50_000  # rows that are held before they are gathered
WAITING_BYTES = 1 << 26  # of them, where names are long

_SEPARATOR, _NULL = "\x1f", "\x00"
_WRITTEN = {"\x1e": "\x1e0", _SEPARATOR: "\x1e1", _NULL: "\x1e2"}  # the marks of keys, where names hold them
_WHOSE = ("rule", "sensor", "client", "host")


class Gathering:
    """Rows of FIRED by group (rule and place): how many records, when, and the earliest ten uids.

    It holds at most `most` groups of each rule: of each client and host in turn the least by their key, so that which
    they are doesn't depend on what came first, and a client that visits thousands of places takes no other's room. A
    connection that is told in segments counts once.
    """

    def __init__(self, most: int = MOST):
        self._most = most
        self._waiting: list[pa.Table] = []
        self._rows = self._bytes = 0
        self._groups: pa.Table | None = None  # key, rule, place, records, first, last, end
        self._uids: pa.Table | None = None  # key, uid, ts: the earliest of each group
        self._segments: pa.Table | None = None  # key, uid, end: connections told in segments
        self._dropped: set[int] = set()

    @property
    def untold(self) -> int:
        """Groups that are not kept."""
        self._gather()
        return len(self._dropped)

    def add(self, fired: pa.Table) -> None:
        """Rows of FIRED."""
        self._waiting.append(fired)
        self._rows += fired.num_rows
        self._bytes += fired.nbytes
        if self._rows >= WAITING or self._bytes >= WAITING_BYTES:
            self._gather()

    def forget(self, before_us: int) -> None:
        """Drop the groups of which no record goes on until then; of connections in segments only the number stays."""
        self._gather()
        if self._groups is None:
            return
        self._keep(self._groups.filter(pc.greater_equal(self._groups["end_us"], before_us)))
        if self._segments is not None:
            over = pc.less(self._segments["end"], before_us)
            self._groups = _counted(self._groups, self._segments.filter(over))
            self._segments = self._segments.filter(pc.invert(over))

    def groups(self) -> pa.Table:
        """A row for each group: rule, place, records, first_us, last_us, uids; in no order."""
        self._gather()
        if self._groups is None:
            return pa.table({name: [] for name in ("rule", *PLACE, "records", "first_us", "last_us", "uids")})
        counted = self._groups if self._segments is None else _counted(self._groups, self._segments)
        lists = _lists(self._uids)
        uids = pc.coalesce(_looked_up(counted["key"], lists["key"], lists["uids"]), pa.scalar([], lists["uids"].type))
        counted = counted.append_column("uids", uids)
        return counted.drop_columns(["key", "end_us"])

    def _gather(self) -> None:
        if not self._waiting:
            return
        fired = pa.concat_tables(self._waiting)
        self._waiting, self._rows, self._bytes = [], 0, 0
        fired = fired.append_column("key", _keys(fired))
        self._groups = self._grouped(fired)
        segments = fired.filter(pc.invert(fired["whole"])).select(["key", "uid", "end"])
        if segments.num_rows:
            known = [] if self._segments is None else [self._segments]
            each = pa.concat_tables([*known, segments]).group_by(["key", "uid"]).aggregate([("end", "max")])
            self._segments = each.rename_columns({"end_max": "end"})
        self._uids = _earliest(fired.select(["key", "uid", "ts"]), self._uids)
        self._drop()

    def _grouped(self, fired: pa.Table) -> pa.Table:
        rows = fired.select(["key", "rule", *PLACE])
        rows = rows.append_column("records", pc.cast(fired["whole"], pa.int64()))
        for name, of in (("first_us", "ts"), ("last_us", "ts"), ("end_us", "end")):
            rows = rows.append_column(name, fired[of])
        if self._groups is not None:
            rows = pa.concat_tables([self._groups, rows])
        rows = rows.append_column("row", pa.array(np.arange(rows.num_rows)))
        totals = {"row": "min", "records": "sum", "first_us": "min", "last_us": "max", "end_us": "max"}
        made = rows.group_by("key").aggregate(list(totals.items()))
        groups = rows.take(made["row_min"]).select(["key", "rule", *PLACE])
        for name in ("records", "first_us", "last_us", "end_us"):
            groups = groups.append_column(name, made[f"{name}_{totals[name]}"])
        return groups

    def _drop(self) -> None:
        """Keep no more groups of a rule than the most."""
        assert self._groups is not None
        if self._groups.num_rows <= self._most:
            return
        groups = self._groups.sort_by([("rule", "ascending"), ("key", "ascending")])
        rules = groups["rule"].to_numpy()
        # once dropped is dropped for good: what comes later puts no group before others that stood behind it
        order = np.lexsort((_rank(key_ids(groups, _WHOSE)), rules))
        last = np.zeros(len(rules), bool)
        last[order] = _rank(rules) >= self._most
        beyond = pa.array(last)
        dropped = groups.filter(beyond)["key"]
        if not len(dropped):
            return
        if len(self._dropped) < COUNTED:
            self._dropped.update(map(hash, dropped.to_pylist()))  # to count each once, however often it comes back
        self._keep(groups.filter(pc.invert(beyond)))

    def _keep(self, groups: pa.Table) -> None:
        self._groups = groups
        kept = pc.SetLookupOptions(self._groups["key"].combine_chunks())
        if self._uids is not None:
            self._uids = self._uids.filter(pc.is_in(self._uids["key"], options=kept))
        if self._segments is not None:
            self._segments = self._segments.filter(pc.is_in(self._segments["key"], options=kept))


def _rank(of: Ints) -> Ints:
    """Of each row how many rows before it have the same number."""
    order = np.argsort(of, kind="stable")
    rank = np.empty(len(of), np.int64)
    rank[order] = np.arange(len(of)) - np.searchsorted(of[order], of[order])
    return rank


def _counted(groups: pa.Table, segments: pa.Table) -> pa.Table:
    """The groups with connections told in segments among their records."""
    more = segments.group_by("key").aggregate([("uid", "count")])
    added = _looked_up(groups["key"], more["key"], more["uid_count"])
    total = pc.add(groups["records"], pc.fill_null(added, 0))
    return groups.set_column(groups.column_names.index("records"), "records", total)


def _keys(fired: pa.Table) -> Any:
    """A text for each row that is the same for rows of one group, and for no others."""
    texts = [_plain(pc.cast(fired[name], pa.string())) for name in ("rule", *PLACE)]
    options = pc.JoinOptions(null_handling="replace", null_replacement=_NULL)
    return pc.binary_join_element_wise(*texts, _SEPARATOR, options=options)


def _plain(texts: Any) -> Any:
    """Texts without the marks of keys: who names a process or a host must not choose its group."""
    if pc.any(pc.match_substring_regex(texts, f"[{_NULL}{''.join(_WRITTEN)}]")).as_py():
        for mark, written in _WRITTEN.items():
            texts = pc.replace_substring(texts, mark, written)
    return texts


def _earliest(rows: pa.Table, known: pa.Table | None) -> pa.Table:
    """The earliest uids of each group, each once."""
    rows = rows.filter(pc.is_valid(rows["uid"]))
    if known is not None:
        rows = pa.concat_tables([known, rows])
    once = rows.group_by(["key", "uid"]).aggregate([("ts", "min")]).rename_columns({"ts_min": "ts"})
    ordered = once.sort_by([("key", "ascending"), ("ts", "ascending"), ("uid", "ascending")])
    return ordered.filter(pa.array(_rank(codes(ordered["key"])) < UIDS))


def _lists(rows: pa.Table | None) -> pa.Table:
    """The uids of each group as a list; the rows are in order."""
    if rows is None or not rows.num_rows:
        return pa.table({"key": pa.array([], pa.string()), "uids": pa.array([], pa.list_(pa.string()))})
    encoded = rows["key"].combine_chunks().dictionary_encode()
    lists = lists_of(rows["uid"].combine_chunks(), np.bincount(encoded.indices.to_numpy()))
    return pa.table({"key": encoded.dictionary, "uids": lists})


def _looked_up(wanted: Any, keys: Any, values: Any) -> Any:
    """Of each wanted key its value, null where it has none."""
    places = pc.index_in(wanted, options=pc.SetLookupOptions(pa.chunked_array(keys).combine_chunks()))
    return pc.take(values, places)
