"""Rules applied to batches of records, and what they fired on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.heuristics.base import MATCHES
from hopscope.host_ends import oriented
from hopscope.records import Batch
from hopscope.sigma import columns
from hopscope.sigma.columns import CONNECTION, DNS_QUERY, HOST_EVENT
from hopscope.sigma.evaluating import Program
from hopscope.sigma.gathering import FIRED, MOST, PLACE, WAITING, Gathering
from hopscope.sigma.rules import Rules, severest_first


class Matcher:
    """Applies rules to batches, and gathers what they fired on by rule and place.

    Of each rule at most `most` groups are kept; `untold` counts those beyond.
    """

    def __init__(self, rules: Rules, most: int = MOST):
        self._rules = rules.rules
        self._gathering = Gathering(most)
        self._programs: list[tuple[Program, list[int]]] = []
        for kind in _PLACES:
            numbers = [n for n, rule in enumerate(self._rules) if kind in rule.expressions]
            if numbers:
                self._programs.append((Program(kind, [self._rules[n].expressions[kind] for n in numbers]), numbers))

    @property
    def untold(self) -> int:
        """Groups of a rule and a place that are not among the matches, since the rule had too many."""
        return self._gathering.untold

    def add(self, batch: Batch) -> None:
        """Apply the rules to a batch's records."""
        records = {CONNECTION: batch.connections, DNS_QUERY: batch.dns_queries, HOST_EVENT: batch.host_events}
        for program, numbers in self._programs:
            if records[program.kind].num_rows:
                self._apply(program, numbers, records[program.kind])

    def _apply(self, program: Program, numbers: list[int], records: pa.RecordBatch) -> None:
        fired: list[tuple[int, Any]] = []
        waiting = 0
        for number, told in zip(numbers, program.on(records), strict=True):  # a loop over rules, not records
            rows = np.flatnonzero(told) if not isinstance(told, bool) else np.arange(records.num_rows if told else 0)
            if len(rows):
                fired.append((number, rows))
                waiting += len(rows)
            if waiting >= WAITING:  # of many rules that fire on everything
                self._gather(program.kind, fired, records)
                fired, waiting = [], 0
        if fired:
            self._gather(program.kind, fired, records)

    def _gather(self, kind: str, fired: list[tuple[int, Any]], records: pa.RecordBatch) -> None:
        """Take in the records' rows on which rules, by their number, fired."""
        rules = np.repeat([number for number, _ in fired], [len(rows) for _, rows in fired])
        chosen = records.take(pa.array(np.concatenate([rows for _, rows in fired])))
        place = _PLACES[kind](chosen)
        place |= {"rule": pa.array(rules, pa.int32()), "kind": pa.repeat(kind, len(rules))}
        place["ts"] = pc.cast(chosen["ts"], pa.int64())
        place["end"] = pc.coalesce(pc.cast(place.get("end", chosen["ts"]), pa.int64()), place["ts"])
        made = [pc.cast(place[f.name], f.type) if f.name in place else pa.nulls(len(rules), f.type) for f in FIRED]
        self._gathering.add(pa.table(made, schema=FIRED))

    def forget(self, before_us: int) -> None:
        """Drop the groups whose last record ended before that time; those that went on keep their totals."""
        self._gathering.forget(before_us)

    def matches(self) -> pa.Table:
        """What the rules fired on, as MATCHES: the severest first, then by title, time and place."""
        groups = self._gathering.groups()
        order = sorted(range(len(self._rules)), key=lambda n: severest_first(self._rules[n]))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        numbers = groups["rule"].to_numpy().astype(np.int64)
        groups = groups.append_column("rank", pa.array(rank[numbers]))
        groups = groups.sort_by([(name, "ascending") for name in ("rank", "first_us", *PLACE)])
        numbers = pa.array(groups["rule"].to_numpy().astype(np.int64))
        made = {
            "rule": pa.array([r.id for r in self._rules], pa.string()).take(numbers),
            "title": pa.array([r.title for r in self._rules], pa.string()).take(numbers),
            "level": pa.array([r.level for r in self._rules], pa.string()).take(numbers),
            "tags": pa.array([list(r.tags) for r in self._rules], pa.list_(pa.string())).take(numbers),
        }
        told = [pc.cast(made[f.name] if f.name in made else groups[f.name], f.type) for f in MATCHES]
        return pa.table(told, schema=MATCHES)


def _of_connections(records: pa.RecordBatch) -> dict[str, Any]:
    return {
        "sensor": records["sensor"],
        "client": records["orig_h"],
        "server": records["resp_h"],
        "port": records["resp_p"],
        "proto": records["proto"],
        "name": pc.utf8_lower(columns.column(CONNECTION, "name", records)),
        "uid": records["uid"],
        "end": records["seg_end"],
        "whole": pc.and_(pc.equal(records["seg"], 0), records["final"]),
    }


def _of_dns_queries(records: pa.RecordBatch) -> dict[str, Any]:
    return {
        "sensor": records["sensor"],
        "client": records["client"],
        "name": pc.utf8_lower(records["query"]),
        "uid": records["uid"],
        "whole": pa.repeat(True, records.num_rows),
    }


def _of_host_events(records: pa.RecordBatch) -> dict[str, Any]:
    ends = oriented(records)
    number = pc.cast(records["record"], pa.string())
    return {
        "client": ends["client"],
        "server": ends["server"],
        "port": ends["port"],
        "proto": records["proto"],
        "name": pc.utf8_lower(pc.coalesce(ends["server_name"], records["query"])),
        "host": records["host"],
        "process": records["process"],
        "pid": records["pid"],
        "user": records["user"],
        "uid": pc.binary_join_element_wise(pc.fill_null(records["host"], ""), number, "/"),
        "whole": pa.repeat(True, records.num_rows),
    }


_PLACES: dict[str, Callable[[pa.RecordBatch], dict[str, Any]]] = {
    CONNECTION: _of_connections,
    DNS_QUERY: _of_dns_queries,
    HOST_EVENT: _of_host_events,
}
