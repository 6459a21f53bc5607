"""A relay that names its far end in clear, or gives itself away by a trait of the tool."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import beside, evidence, numbers, outbound, rows_of

USES = ("relay", "service")


@dataclass(frozen=True)
class Settings:
    """[heuristics.leaked_far_end]"""

    leaked_db: float = setting(45.0, "decibans", "the relay named its far end in clear")
    tool_db: float = setting(25.0, "decibans", "a fixed trait of a relay tool, which names no far end")
    service_db: float = setting(12.0, "decibans", "a fixed trait of a tunnel service's client, administrators' too")
    opening_db: float = setting(20.0, "decibans", "a first message of a relay tool's length and count of set bits")
    told: int = setting(5, "far ends", "far ends named with a finding at most")


FACTS = (
    Fact("far_ends", "", "host:port of the far ends that were named, in order; null when none was"),
    Fact("tool", "", "the relay tool whose trait was seen; null when the far end was named"),
    Fact("trait", "", "the record's field and value that tell the tool, or what it opens with"),
    Fact("told", "connections", "connections in which it was seen first"),
)


@dataclass(frozen=True)
class Trait:
    """One entry of `data/relay_tools.toml`."""

    tool: str
    use: str
    field: str
    values: tuple[str, ...]
    source: str
    date: str


@dataclass(frozen=True)
class Opening:
    """One `opening` of `data/relay_tools.toml`: what a tool's client says first, in a protocol of its own."""

    tool: str
    length: int  # bytes
    bits: int  # of them set
    printable: int  # bytes of them that are
    source: str
    date: str

    @property
    def trait(self) -> str:
        """The opening in words."""
        return f"opens with {self.length} bytes, {self.bits} bits of them set"


@dataclass(frozen=True)
class LeakedFarEnd:
    """Does what answers say itself that it is a relay, and whose?

    Formula: `leaked_db` for a pair in which a relay named its far end in clear: HTRAN answers "[SERVER]connection
    to HOST:PORT error" when the server behind it is down. Else `tool_db` (`service_db` for the client of a
    tunnel service) where a record's field holds a value that a relay tool sets and nothing else is known to.

    Weights: both assumed. The sentence with host and port, at the start of what a host outside says, is
    close to proof: 45 dB lift it over the prior by itself. A tool's trait is as rare, but relays have lawful
    uses, and it names no far end.
    Source: SecureWorks 2011, "HTran and the Advanced Persistent Threat"; Emerging Threats' HTran rules; the tools'
    own sources, dated, in `data/relay_tools.toml`.

    Look-alikes: a page or a mail that quotes the sentence has it further in than the first 2 KB that are looked
    at; a company's own tunnels.
    """

    name: str = "leaked_far_end"
    title: str = "a relay names its far end, or itself"
    d3fend: str = "D3-PMAD"
    group: str = "proxy"
    source: str = "SecureWorks 2011; Emerging Threats; the tools' own sources"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("leaked_far_end", "alpn", "ssh_server", "cert_subject"),)

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair: a far end that was named, else a tool."""
        sets = window.sets
        leaks = sets.filter(sets.kind == "leaked_far_end", sets.value.notnull())
        traits = _traits(sets)
        traits = traits.union(_openings(window.samples).anti_join(traits, "pair"))
        far = leaks.group_by("pair").agg(far_ends=leaks.value.collect(), leaked_in=leaks.connections.sum())
        # a pair that shows several traits is told by one of them
        tool = traits.group_by("pair").agg(trait=traits.trait.min(), seen_in=traits.connections.max())
        far, tool = far.to_pyarrow(), tool.to_pyarrow()
        found = pa.chunked_array([*far["pair"].chunks, *tool["pair"].chunks], pa.int64()).unique()
        table = beside(beside(rows_of(outbound(window), found), far), tool)
        named = ~np.isnan(numbers(table, "leaked_in"))
        # rows are few: relays that gave themselves away
        weigh = {"relay": settings.tool_db, "service": settings.service_db}
        known = {_key(t.field, v): (t.tool, weigh[t.use]) for t in relay_tools() for v in t.values}
        known |= {o.trait: (o.tool, settings.opening_db) for o in openings()}
        seen = [known.get(k, (None, 0.0)) for k in table["trait"].to_pylist()]
        values = {
            "far_ends": pa.array(
                [sorted(set(f))[: settings.told] if f else None for f in table["far_ends"].to_pylist()],
                pa.list_(pa.string()),
            ),
            "tool": pa.array([None if n else tool for n, (tool, _) in zip(named, seen, strict=True)], pa.string()),
            "trait": table["trait"],
            "told": pa.array(np.where(named, numbers(table, "leaked_in"), numbers(table, "seen_in")).astype(np.int64)),
        }
        decibans = np.where(named, settings.leaked_db, np.array([db for _, db in seen], np.float64))
        both = leaks.select("pair", "uid").union(traits.select("pair", "uid"))
        return evidence(table, decibans, "a relay's own words or traits were seen", FACTS, values, both)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """Which far ends, or which tool."""
        if facts["far_ends"]:
            return f"the relay named its far end in clear: {', '.join(facts['far_ends'])}"
        if facts["trait"] in {o.trait for o in openings()}:
            return f"the client {facts['trait']}, as that of the relay tool {facts['tool']} does"
        return f"what answers shows a fixed trait of the relay tool {facts['tool']} ({facts['trait']})"


@functools.cache
def relay_tools() -> tuple[Trait, ...]:
    """All traits. Raises KeyError when one lacks a field: the file is part of the program, a test reads it."""
    return tuple(
        Trait(e["tool"], e["use"], e["field"], tuple(e["values"]), e["source"], e["date"].isoformat())
        for e in _data()["trait"]
    )


@functools.cache
def openings() -> tuple[Opening, ...]:
    """All openings; as `relay_tools`."""
    return tuple(
        Opening(e["tool"], e["length"], e["bits"], e["printable"], e["source"], e["date"].isoformat())
        for e in _data()["opening"]
    )


def _data() -> dict[str, Any]:
    text = resources.files("hopscope.heuristics").joinpath("data/relay_tools.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _traits(sets: ir.Table) -> ir.Table:
    """The rows of `sets` that hold a tool's trait, with `trait` as "field value" in lower case."""
    fields: dict[str, list[str]] = {}
    for trait in relay_tools():
        fields.setdefault(trait.field, []).extend(v.lower() for v in trait.values)
    tells = [(sets.kind == kind) & sets.value.lower().isin(values) for kind, values in sorted(fields.items())]
    found = sets.filter(ibis.or_(*tells))
    return found.select("pair", "uid", "connections", trait=found.kind + " " + found.value.lower())


def _openings(samples: ir.Table) -> ir.Table:
    """One row per connection that opens as a tool does, with the columns of `_traits`."""
    s = samples.filter(
        samples.proto == "tcp", samples.seg == 0, samples.service.isnull(), samples.first_speaker == "orig"
    )
    bits, printable = ((s.first_len * share).round() for share in (s.first_bits, s.first_printable))
    cases = [((s.first_len == o.length) & (bits == o.bits) & (printable == o.printable), o.trait) for o in openings()]
    told = s.select("pair", "uid", connections=ibis.literal(1, "int64"), trait=ibis.cases(*cases))
    return told.filter(told.trait.notnull())


def _key(field: str, value: str) -> str:
    return f"{field} {value.lower()}"


HEURISTIC = LeakedFarEnd()
