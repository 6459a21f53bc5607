"""What a heuristic is, and the evidence it gives.

Evidence is a table, so that a million pairs are weighed in columns. Its first columns are the same for
all heuristics (`EVIDENCE`), the facts behind the number follow, each declared with its unit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import ibis.expr.types as ir
import pyarrow as pa

from hopscope.baselines.model import Baseline
from hopscope.config import VantageSettings

Made = TypeVar("Made")
Of = ParamSpec("Of")

MULTICAST = r"^(2(2[4-9]|3[0-9])\.|255\.255\.255\.255$|[fF][fF][0-9a-fA-F]{2}:)"  # groups and broadcast: no hosts

EVIDENCE = pa.schema([
    ("sensor", pa.string()),
    ("client", pa.string()),  # the best client's evidence counts, further ones add a bonus
    ("server", pa.string()),
    ("port", pa.int32()),  # null: about the address, whatever the port
    ("proto", pa.string()),  # null with port
    ("name", pa.string()),  # null: no name was asked for, or the evidence is not about one
    ("decibans", pa.float64()),  # 10 log10 of the likelihood ratio; against is negative; 0 with `void`
    ("void", pa.string()),  # why the vantage couldn't tell; null when it could
    ("threshold", pa.string()),  # the setting that was crossed, with value and unit
    ("uids", pa.list_(pa.string())),  # connections behind it, at most ten
])  # fmt: skip

PROCESSES = pa.schema([
    ("host", pa.string()),  # the computer whose events tell it
    ("process", pa.string()),  # path of the program
    ("pid", pa.int64()),
    ("user", pa.string()),  # null where only Security's events told
    ("client", pa.string()),  # the process's own end where it opened the connection, else the other one
    ("server", pa.string()),
    ("port", pa.int32()),  # of the server
    ("proto", pa.string()),
    ("name", pa.string()),  # the server's, as the host knows it
    ("initiated", pa.bool_()),  # the process is the client; false: it is the server; null: not told
    ("events", pa.int64()),
    ("first_us", pa.int64()),
    ("last_us", pa.int64()),
    ("sensor", pa.string()),  # whose connections these are; null where none was matched
    ("connections", pa.int64()),  # matched on both ends, their ports and time
    ("offset_us", pa.int64()),  # the median of event time less connection time; null without any
    ("uids", pa.list_(pa.string())),  # of matched connections, at most ten, the earliest
])  # fmt: skip
"""What processes hosts name for connections: one row per process and place."""

MATCHES = pa.schema([
    ("rule", pa.string()),  # the Sigma rule's id, else its title
    ("title", pa.string()),
    ("level", pa.string()),  # informational, low, medium, high or critical
    ("tags", pa.list_(pa.string())),  # in lower case, such as attack.t1090.002
    ("kind", pa.string()),  # connection, dns_query or host_event: the records it fired on
    ("sensor", pa.string()),  # null of host events
    ("client", pa.string()),  # who opened the connection, or asked
    ("server", pa.string()),  # null of DNS queries
    ("port", pa.int32()),
    ("proto", pa.string()),
    ("name", pa.string()),  # the name that was asked for or resolved
    ("host", pa.string()),  # of host events: the computer, its process and account
    ("process", pa.string()),
    ("pid", pa.int64()),
    ("user", pa.string()),
    ("records", pa.int64()),  # on which it fired
    ("first_us", pa.int64()),
    ("last_us", pa.int64()),
    ("uids", pa.list_(pa.string())),  # of those records, at most ten; host events as HOST/record number
])  # fmt: skip
"""What Sigma rules fired on: one row per rule and place."""


@dataclass(frozen=True)
class Fact:
    """A fact column of a heuristic's evidence: name, unit ("" when it has none) and meaning."""

    name: str
    unit: str
    doc: str


@dataclass(frozen=True)
class Window:
    """The merged summaries of the hours that are scored, as Ibis tables of `summaries.schema.TABLES`.

    `first_seen` has (kind, value, first_us) over everything ever condensed, also before the window: kind
    is name or address. `host_hours` has what each of our hosts exchanged with the internet in each epoch hour
    (sensor, host, hour, orig_bytes, resp_bytes, connections), also of hours before the window. `start_us` and
    `end_us` bound the window; `history_us` is the earliest time known. `lacks` are the fields of
    Connection that none of the inputs can fill. `baseline` is what was learnt as ordinary, None where nothing was.
    `processes` and `matches` are what hosts and Sigma rules told (`PROCESSES`, `MATCHES`). `shared` is kept by `once`.
    """

    pairs: ir.Table
    samples: ir.Table
    floors: ir.Table
    starts: ir.Table
    sets: ir.Table
    legs: ir.Table
    names: ir.Table
    first_seen: ir.Table
    host_hours: ir.Table
    start_us: int
    end_us: int
    history_us: int
    vantage: VantageSettings
    lacks: frozenset[str] = frozenset()
    baseline: Baseline | None = None
    processes: pa.Table = field(default_factory=PROCESSES.empty_table)
    matches: pa.Table = field(default_factory=MATCHES.empty_table)
    shared: dict[tuple[Any, ...], Any] = field(default_factory=dict, init=False, compare=False, repr=False)


def once(make: Callable[Concatenate[Window, Of], Made]) -> Callable[Concatenate[Window, Of], Made]:
    """Keeps with the window what a function makes of it (and of what else it is given): heuristics share it."""

    @functools.wraps(make)
    def made(window: Window, /, *of: Of.args, **named: Of.kwargs) -> Made:
        key = (make, of, *named.items())
        if key not in window.shared:
            window.shared[key] = make(window, *of, **named)
        out: Made = window.shared[key]
        return out

    return made


class Heuristic(Protocol):
    """One heuristic: a file of its own that defines a module-level `HEURISTIC`.

    `name` is the file's name, `title` what it detects in a few words, `d3fend` the D3FEND technique,
    `group` the fusion group whose cap it shares, `source` where the formula and its weights come from,
    `defaults` an instance of its settings, `facts` the fact columns of its evidence. `needs` are the fields
    of Connection that it can't do without: of each group at least one; it isn't asked where they are lacking.
    """

    name: str
    title: str
    d3fend: str
    group: str
    source: str
    defaults: Any
    facts: tuple[Fact, ...]
    needs: tuple[tuple[str, ...], ...]

    def weigh(self, window: Window, settings: Any) -> pa.Table:
        """The evidence: columns of EVIDENCE, then the facts. Rows only where it can tell, or is void."""
        ...

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """One line in words for a person, from one row's facts."""
        ...


def missing(heuristic: Heuristic, lacks: frozenset[str]) -> tuple[str, ...]:
    """The fields for want of which a heuristic can't tell, where inputs lack those; empty when it can."""
    return tuple(field for group in heuristic.needs if lacks.issuperset(group) for field in group)
