"""Evidence against: the name has been in use here for long, or the server has a certificate for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import setting
from hopscope.heuristics import dns_answers, outbound_pairs
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, numbers, partners, rise
from hopscope.summaries.schema import KEY

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Settings:
    """[heuristics.known_names]"""

    young_days: float = setting(7.0, "days", "a name known for less says nothing")
    old_days: float = setting(30.0, "days", "a name known for this long weighs most")
    most_db: float = setting(10.0, "decibans", "the most that the name's age weighs against")
    certificate_db: float = setting(2.0, "decibans", "what a certificate that fits the name weighs against")


FACTS = (
    Fact("known_days", "days", "how long ago the name was first seen here, by the end of the window; null: young"),
    Fact("certificate_fits", "", "true: all certificates seen bear the name, and none signed itself"),
)
_SERVICE = ("sensor", "server", "port", "proto", "name")


@dataclass(frozen=True)
class KnownNames:
    """Has this name been in use here for long, has the server a certificate for it, and did DNS lead there?

    Formula: from 0 at `young_days` to -most_db at `old_days` since the name was first seen, counted from
    records; -certificate_db besides where all certificates that the service showed under that name, and whose
    subjects have a common name, have it or a wildcard for it, none signed by its own subject. Both only for pairs
    whose address a DNS answer gave for that name: a relay that passes on another site's handshake shows that
    site's certificate, and a proxy that of what was asked for. Without history, without certificate (TLS 1.3 hides
    it) and where certificates name their hosts in an extension alone nothing is known and nothing is said.

    Weights: the days are PUBLISHED (RITA v5's first-seen modifier, 7 and 30 days: 15 % of its score), the
    decibans ASSUMED; no ordinary log at hand is a week long. Capped, since a patient adversary ages names.
    A fitting certificate weighs little, since Let's Encrypt gives one to whoever has a name, and who signed is
    not checked. MEASURED, 72 of 347 ordinary TLS pairs of a log of 2024 that DNS led to show one (21 %); no
    captured hop does, but the lab's certificates are all self-signed, which says nothing about hops.
    """

    name: str = "known_names"
    title: str = "the name has been in use here for long, or a certificate bears it"
    d3fend: str = "D3-NTCD"
    group: str = "against"
    source: str = "RITA v5 first-seen modifier; certificate hopscope, assumed"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = ()

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        young = window.end_us - settings.young_days * DAY_US
        seen = window.first_seen.filter(window.first_seen.kind == "name", window.first_seen.first_us < young)
        first = seen.group_by(name=seen.value).agg(name_us=seen.first_us.min()).to_pyarrow()
        fitting = _fitting(window.sets).to_pyarrow()
        pairs = outbound_pairs.fetch(window)
        rows = pairs.rows.filter(pa.array(dns_answers.led(window))).select(KEY)
        at_name, at_fit = partners(rows, first, ("name",)), partners(rows, fitting, _SERVICE)
        told = pc.or_(at_name.is_valid(), at_fit.is_valid())
        rows = rows.filter(told).append_column("name_us", first["name_us"].take(at_name.filter(told)))
        rows = rows.append_column("fits", fitting["fits"].take(at_fit.filter(told)))
        days = (window.end_us - numbers(rows, "name_us")) / DAY_US
        age = rise(days, settings.young_days, settings.old_days)
        fits = pc.fill_null(rows["fits"], False).to_numpy()
        threshold = (
            f"known_names.young_days = {settings.young_days:g} days, "
            f"certificate_db = {settings.certificate_db:g} decibans"
        )
        values = {"known_days": np.where(age > 0, np.round(days, 1), np.nan), "certificate_fits": fits}
        decibans = -settings.most_db * age - settings.certificate_db * fits
        shown = window.sets.filter(window.sets.kind == "cert_fits", window.sets.value == "true")
        return evidence(rows, decibans, threshold, FACTS, values, shown)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """The age, the certificate, or both in words."""
        parts = []
        if facts["known_days"] is not None:
            parts.append(f"the name has been in use here for {facts['known_days']:.0f} days")
        if facts["certificate_fits"]:
            parts.append("the server's certificate bears the name that was asked for and is not self-signed")
        return "; ".join(parts)


def _fitting(sets: ir.Table) -> ir.Table:
    """Services with certificates whose subjects say whom they name, and whether all `fits`, whichever client saw it.

    For all clients alike: fusion takes the pair that speaks least against, which would be one that saw none.
    """
    told = sets.filter(sets.kind == "cert_fits", sets.value.notnull())
    return told.group_by(*_SERVICE).agg(fits=(told.value == "true").all())


HEURISTIC = KnownNames()
