"""What is told of single records beside their summaries: the processes that hosts name, and Sigma rules that fire."""

from __future__ import annotations

import dataclasses

import pyarrow.compute as pc

from hopscope import sigma
from hopscope.attribution import Attribution
from hopscope.config import Config
from hopscope.heuristics.base import Window
from hopscope.heuristics.sigma_rules import LOOPBACK
from hopscope.records import Batch

UNSUPPORTED = 10  # rules that can't be applied that a run names; hopscope sigma check names all


class Observer:
    """Sees each batch of a run once, hosts' events before the connections that they tell of.

    `lines` tell of the rules that the settings name: how many are applied, and each that can't be. Raises UsageError
    where the settings name rules that aren't there.
    """

    def __init__(self, config: Config):
        rules = sigma.load_named(config.sigma)
        self.lines = tuple(rules.lines(UNSUPPORTED)) if config.sigma.rules else ()
        self._matcher = sigma.Matcher(rules)
        self._tolerance_s = config.events.tolerance_s
        self._attribution = Attribution(self._tolerance_s)

    def add(self, batch: Batch) -> None:
        """Look at the records of a batch."""
        self._attribution.add(batch)
        self._matcher.add(batch)

    def forget(self, before_us: int) -> None:
        """Drop what happened before that time, in microseconds of the epoch: a run that stays must not grow."""
        self._attribution.forget(before_us)
        self._matcher.forget(before_us)

    def onto(self, window: Window) -> Window:
        """The window with what was told so far."""
        return dataclasses.replace(window, processes=self._attribution.processes(), matches=self._matcher.matches())

    def unfitting(self, window: Window, connections: int) -> str | None:
        """What is to be said where hosts tell of connections and not one of them is among those that were read."""
        p = window.processes
        tells = p.filter(pc.invert(pc.match_substring_regex(p["client"], LOOPBACK)))
        if not len(tells) or not connections or pc.sum(tells["connections"]).as_py():
            return None
        return (
            "no host event fits a connection that was read: are the clocks further apart than events.tolerance_s "
            f"({self._tolerance_s:g} s), are addresses translated between host and sensor, or is it other traffic?"
        )

    def untold(self) -> dict[str, str]:
        """What was too much to keep, a line for each reason."""
        lines = {
            "events": (self._attribution.untold, "host events beyond what is kept at a time are not told of"),
            "connections": (self._attribution.unjoined, "connections were not matched with host events: too many"),
            "matches": (self._matcher.untold, "places at which a Sigma rule fired are not told: it fires too often"),
        }
        return {reason: f"{number:,} {line}" for reason, (number, line) in lines.items() if number}
