"""No DNS answer led to the address: somebody wrote it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, join, numbers, outbound, void_for_all
from hopscope.summaries.schema import KEY


@dataclass(frozen=True)
class Settings:
    """[heuristics.unnamed]"""

    hop_rate: float = setting(0.5, "fraction", "share of hops that are reached by bare address")
    usual_rate: float = setting(0.06, "fraction", "ordinary destinations without an answer, in general")
    usual_weight: float = setting(200.0, "destinations", "destinations of the window that outweigh it")
    blind_rate: float = setting(0.5, "fraction", "share without answers from which DNS is taken as not seen")
    most_db: float = setting(10.0, "decibans", "the most that this evidence weighs")


FACTS = (
    Fact("asked_for", "", "the name the client sent all the same (SNI or HTTP host); null when none"),
    Fact("connections", "connections", "connections to the address"),
    Fact("unnamed_share", "fraction", "share of this window's outside destinations that no DNS answer led to"),
)


@dataclass(frozen=True)
class Unnamed:
    """Is the address one that no client of this sensor was given by DNS?

    Formula: 10 log10(hop_rate / r), where r is the share of outside destinations without any answer in
    this window, smoothed with `usual_weight` destinations at `usual_rate`. So where DNS is half blind
    (answers cached before a capture began, DNS over HTTPS, resolvers elsewhere) the evidence shrinks by
    itself; from `blind_rate` on, or without any DNS answers, it is void.

    Weights: 6 % of destinations had no answer in two hours of 2024's ordinary traffic with whole DNS logs;
    no publication gives the rate. That half of the hops are reached by bare address is an assumption.
    Capped at `most_db`.
    """

    name: str = "unnamed"
    title: str = "no DNS answer led to the address"
    d3fend: str = "D3-PMAD"
    group: str = "naming"
    source: str = "Sigma and ET rules on bare addresses; rate measured on ordinary logs"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = ()

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        if not window.vantage.dns_seen:
            return void_for_all("clients' DNS is not seen here ([vantage] dns_seen)", FACTS)
        names = window.names
        answered = names.select("sensor", server=names.address).distinct().mutate(answered=True)
        pairs = outbound(window).select(*KEY, "connections")
        rows = join(pairs, answered, ("sensor", "server")).to_pyarrow()
        missing = pc.is_null(rows["answered"])
        servers = rows.append_column("missing", missing).group_by(["sensor", "server"]).aggregate([("missing", "max")])
        unnamed, total = pc.sum(servers["missing_max"]).as_py() or 0, servers.num_rows
        if total and unnamed / total >= settings.blind_rate and unnamed >= 5:
            return void_for_all(f"no DNS answer led to {unnamed} of {total} destinations: DNS is not seen", FACTS)
        usual = settings.usual_rate * settings.usual_weight
        rate = (unnamed + usual) / (total + settings.usual_weight)
        weight = float(np.clip(10 * np.log10(settings.hop_rate / rate), 0.0, settings.most_db))
        decibans = np.where(missing.to_numpy(zero_copy_only=False), weight, 0.0)
        share = np.full(rows.num_rows, round(unnamed / total, 3) if total else 0.0)
        values = {"asked_for": rows["name"], "connections": numbers(rows, "connections"), "unnamed_share": share}
        threshold = f"unnamed.blind_rate = {settings.blind_rate:g}"
        return evidence(rows, decibans, threshold, FACTS, values, window.samples)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """Which name was missing."""
        if facts["asked_for"]:
            return f"the client asked for {facts['asked_for']}, but no DNS answer led to this address"
        return "reached by bare address: no DNS answer led to it"


HEURISTIC = Unnamed()
