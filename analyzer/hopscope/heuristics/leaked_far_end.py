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
    told: int = setting(5, "far ends", "far ends named with a finding at most")


FACTS = (
    Fact("far_ends", "", "host:port of the far ends that were named, in order; null when none was"),
    Fact("tool", "", "the relay tool whose trait was seen; null when the far end was named"),
    Fact("trait", "", "the record's field and value that tell the tool"),
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
        far = leaks.group_by("pair").agg(far_ends=leaks.value.collect(), leaked_in=leaks.connections.sum())
        # a pair that shows several traits is told by one of them
        tool = traits.group_by("pair").agg(trait=traits.trait.min(), seen_in=traits.connections.max())
        far, tool = far.to_pyarrow(), tool.to_pyarrow()
        found = pa.chunked_array([*far["pair"].chunks, *tool["pair"].chunks], pa.int64()).unique()
        table = beside(beside(rows_of(outbound(window), found), far), tool)
        named = ~np.isnan(numbers(table, "leaked_in"))
        # rows are few: relays that gave themselves away
        known = {_key(t.field, v): t for t in relay_tools() for v in t.values}
        seen = [known.get(k) for k in table["trait"].to_pylist()]
        weights = [settings.service_db if t and t.use == "service" else settings.tool_db for t in seen]
        values = {
            "far_ends": pa.array(
                [sorted(set(f))[: settings.told] if f else None for f in table["far_ends"].to_pylist()],
                pa.list_(pa.string()),
            ),
            "tool": pa.array(
                [None if n or t is None else t.tool for n, t in zip(named, seen, strict=True)], pa.string()
            ),
            "trait": table["trait"],
            "told": pa.array(np.where(named, numbers(table, "leaked_in"), numbers(table, "seen_in")).astype(np.int64)),
        }
        decibans = np.where(named, settings.leaked_db, np.array(weights, np.float64))
        both = leaks.select("pair", "uid").union(traits.select("pair", "uid"))
        return evidence(table, decibans, "a relay's own words or traits were seen", FACTS, values, both)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """Which far ends, or which tool."""
        if facts["far_ends"]:
            return f"the relay named its far end in clear: {', '.join(facts['far_ends'])}"
        return f"what answers shows a fixed trait of the relay tool {facts['tool']} ({facts['trait']})"


@functools.cache
def relay_tools() -> tuple[Trait, ...]:
    """All traits. Raises KeyError when one lacks a field: the file is part of the program, a test reads it."""
    text = resources.files("hopscope.heuristics").joinpath("data/relay_tools.toml").read_text(encoding="utf-8")
    return tuple(
        Trait(e["tool"], e["use"], e["field"], tuple(e["values"]), e["source"], e["date"].isoformat())
        for e in tomllib.loads(text)["trait"]
    )


def _traits(sets: ir.Table) -> ir.Table:
    """The rows of `sets` that hold a tool's trait, with `trait` as "field value" in lower case."""
    fields: dict[str, list[str]] = {}
    for trait in relay_tools():
        fields.setdefault(trait.field, []).extend(v.lower() for v in trait.values)
    tells = [(sets.kind == kind) & sets.value.lower().isin(values) for kind, values in sorted(fields.items())]
    found = sets.filter(ibis.or_(*tells))
    return found.mutate(trait=found.kind + " " + found.value.lower())


def _key(field: str, value: str) -> str:
    return f"{field} {value.lower()}"


HEURISTIC = LeakedFarEnd()
