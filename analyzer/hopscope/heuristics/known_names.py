"""Evidence against: the name has been in use here for long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, join, numbers, outbound, rise
from hopscope.summaries.schema import KEY

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Settings:
    """[heuristics.known_names]"""

    young_days: float = setting(7.0, "days", "a name known for less says nothing")
    old_days: float = setting(30.0, "days", "a name known for this long weighs most")
    most_db: float = setting(10.0, "decibans", "the most that this evidence weighs against")


FACTS = (Fact("known_days", "days", "how long ago the name was first seen here, by the end of the window"),)


@dataclass(frozen=True)
class KnownNames:
    """Has this name been in use here for long, and did DNS lead to this address?

    Formula: from 0 at `young_days` to -most_db at `old_days` since the name was first seen, counted from
    records, for pairs whose address a DNS answer gave for that name. Without history nothing is known and
    nothing is said.

    Weights: the days are PUBLISHED (RITA v5's first-seen modifier, 7 and 30 days: 15 % of its score), the
    decibans ASSUMED; no ordinary log at hand is a week long. Capped, since a patient adversary ages names.
    A certificate that fits the name is not asked for: MEASURED, 21 % of ordinary TLS pairs of 2024 show one
    (TLS 1.3 hides the rest), and whoever has a name for his hop has one too.
    """

    name: str = "known_names"
    title: str = "the name has been in use here for long"
    d3fend: str = "D3-NTCD"
    group: str = "against"
    source: str = "RITA v5 first-seen modifier"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = ()

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        seen = window.first_seen.filter(window.first_seen.kind == "name")
        first = seen.group_by(name=seen.value).agg(name_us=seen.first_us.min())
        answers = window.names.select("sensor", "name", server=window.names.address).distinct()
        pairs = outbound(window).select(*KEY)
        led = answers.inner_join(first, "name")
        rows = join(pairs, led, ("sensor", "name", "server")).filter(lambda t: t.name_us.notnull()).to_pyarrow()
        days = (window.end_us - numbers(rows, "name_us")) / DAY_US
        decibans = -settings.most_db * rise(days, settings.young_days, settings.old_days)
        threshold = f"known_names.young_days = {settings.young_days:g} days"
        return evidence(rows, decibans, threshold, FACTS, {"known_days": np.round(days, 1)})

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """The age in words."""
        return f"the name has been in use here for {facts['known_days']:.0f} days"


HEURISTIC = KnownNames()
