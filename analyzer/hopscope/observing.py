"""What is told of single records beside their summaries: the processes that hosts name, and Sigma rules that fire."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hopscope import sigma
from hopscope.attribution import Attribution
from hopscope.config import Config, SigmaSettings
from hopscope.errors import UsageError
from hopscope.heuristics.base import Window
from hopscope.records import Batch
from hopscope.sigma import Rules


class Observer:
    """Sees each batch of a run once, hosts' events before the connections that they tell of.

    `lines` tell of the rules that the settings name: how many are applied, and each that can't be. Raises UsageError
    where the settings name rules that aren't there.
    """

    def __init__(self, config: Config):
        rules = chosen(config.sigma)
        self.lines = tuple(rules.lines()) if config.sigma.rules else ()
        self._matcher = sigma.Matcher(rules)
        self._attribution = Attribution(config.events.tolerance_s)

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

    def untold(self) -> dict[str, str]:
        """What was too much to keep, a line for each reason."""
        lines = {
            "events": (self._attribution.untold, "host events beyond what is kept at a time are not told of"),
            "connections": (self._attribution.unjoined, "connections were not matched with host events: too many"),
            "matches": (self._matcher.untold, "places at which a Sigma rule fired are not told: it fires too often"),
        }
        return {reason: f"{number:,} {line}" for reason, (number, line) in lines.items() if number}


def chosen(settings: SigmaSettings) -> Rules:
    """The rules that the settings name and those that are shipped, less those that they disable. Raises UsageError."""
    loaded = sigma.load([Path(p).expanduser() for p in settings.rules], settings.shipped)
    off = set(settings.disabled)
    known = {rule.id for rule in loaded.rules} | {rule.title for rule in loaded.rules}
    if unknown := sorted(off - known):
        raise UsageError(f"sigma.disabled: no rule has the id or title {unknown[0]!r}; hopscope sigma list names them")
    return dataclasses.replace(loaded, rules=tuple(r for r in loaded.rules if not {r.id, r.title} & off))
