"""Evidence against: many of our hosts go there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from hopscope.config import setting
from hopscope.heuristics import dns_answers, outbound_pairs
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence
from hopscope.heuristics.learnt import hosts, used, version
from hopscope.heuristics.segments import Floats, Ints, differing
from hopscope.summaries.schema import KEY


@dataclass(frozen=True)
class Settings:
    """[heuristics.prevalence]"""

    few: int = setting(2, "clients", "up to this many clients nothing speaks against a hop")
    step_db: float = setting(4.0, "decibans", "weight against for each doubling of the clients beyond `few`")
    share_db: float = setting(10.0, "decibans", "further weight against when all our hosts go there")
    share_floor: float = setting(0.5, "fraction", "share of our hosts from which that counts")
    min_hosts: int = setting(4, "clients", "hosts of ours that must be active before a share means anything")
    most_db: float = setting(25.0, "decibans", "the most that this evidence weighs against")


FACTS = (
    Fact("clients", "clients", "hosts of ours that went there (to the address, or to the name where DNS confirms it)"),
    Fact("hosts", "clients", "hosts of ours that talk to the internet in this window"),
    Fact("learnt_clients", "clients", "hosts of ours that went there in the baseline's days; null: none, or left out"),
    Fact("learnt_hosts", "clients", "hosts of ours that talked to the internet in those days; null without one"),
    Fact("baseline", "", "version of the learnt baseline; null when none was asked"),
)


@dataclass(frozen=True)
class Prevalence:
    """How many of our hosts use this destination?

    Formula: -(step_db x log2(clients / few)) from the third client on, and up to -share_db as the share of
    our active hosts goes from `share_floor` to all. The clients of a name count for an address only where
    a DNS answer led from the one to the other, so that a hop can't borrow a popular name by its SNI.
    With a learnt baseline the same is asked of its days, and what speaks more against a hop counts.
    A single client is no evidence for a hop: in small networks 77 to 99 % of destinations have one client
    only (measured on ordinary logs of 7 to 10 hosts).

    Weights: none PUBLISHED; RITA's modifiers (prevalence of 50 % and more against, 2 % and less for) are the
    model, the numbers ASSUMED: 4 dB a doubling says that a hop gains a further client two and a half times as
    rarely as an ordinary destination does. MEASURED: on a real office's day (4 clients) it speaks against
    10 % of 390 destinations, 28 of them at 12 dB and more; on two hours of one client against none; in lab
    networks of 6 to 10 hosts against 70 % of what ordinary hosts use and no hop of 21. Source: RITA v5.
    """

    name: str = "prevalence"
    title: str = "many of our hosts go there"
    d3fend: str = "D3-NTCD"
    group: str = "against"
    source: str = "RITA v5 prevalence modifier"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = ()

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        pairs, led = outbound_pairs.fetch(window), dns_answers.led(window)
        rows, client = pairs.rows.select(KEY), pairs.codes["client"]
        clients = differing(pairs.ids("sensor", "server"), client)
        clients[led] = np.maximum(clients[led], differing(pairs.ids("sensor", "name")[led], client[led]))
        total = differing(pairs.codes["sensor"], client)
        against = _against(clients, total, settings)
        values: dict[str, Any] = {"clients": clients, "hosts": total}
        values |= dict.fromkeys(("learnt_clients", "learnt_hosts"), pa.nulls(len(rows), pa.int64()))
        if window.baseline is not None:
            learnt, of = used(window.baseline, rows, led), hosts(window.baseline, rows)
            against = np.maximum(against, _against(learnt.clients, of, settings))
            values |= {"learnt_clients": pa.array(learnt.clients, mask=learnt.left_out), "learnt_hosts": of}
        values["baseline"] = version(window.baseline, len(rows))
        decibans = -np.minimum(against, settings.most_db)
        return evidence(rows, decibans, f"prevalence.few = {settings.few} clients", FACTS, values)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """The share in words."""
        said = f"{facts['clients']} of our {facts['hosts']} active hosts go there"
        if facts.get("learnt_clients") is None:
            return said
        days = f"the days of baseline {facts['baseline']}"
        return f"{said}; in {days} {facts['learnt_clients']} of {facts['learnt_hosts']} did"


def _against(clients: Ints, hosts: Ints, settings: Settings) -> Floats:
    """What so many clients of so many hosts of ours weigh against a hop, uncapped."""
    doublings = np.log2(np.maximum(clients, settings.few) / settings.few)
    share = np.where(hosts >= settings.min_hosts, clients / np.maximum(hosts, 1), 0.0)
    common = np.clip((share - settings.share_floor) / (1 - settings.share_floor), 0.0, 1.0)
    against: Floats = settings.step_db * doublings + settings.share_db * common * (clients > settings.few)
    return against


HEURISTIC = Prevalence()
