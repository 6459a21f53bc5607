"""What a hunt would have found with other settings: only what they change is weighed again, without the traffic."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hopscope import __version__, dossier, fusion, overrides
from hopscope.config import Config
from hopscope.errors import UsageError
from hopscope.findings import Finding
from hopscope.heuristics import registry
from hopscope.heuristics.base import Window
from hopscope.runs import Run
from hopscope.whatif.supposing import FIXED


@dataclass(frozen=True)
class Rescored:
    """The findings from `low` up, strongest first, and the heuristics that were weighed again for them.

    `run` is as if these settings had been those of the hunt; it gives the pieces of what is no finding.
    """

    findings: tuple[Finding, ...]
    again: tuple[str, ...]
    run: Run


def rescore(run: Run, config: Config) -> Rescored:
    """The findings of a run by other settings.

    Raises UsageError for settings that change what is made of the traffic, before anything is weighed.
    """
    _check(run, config)
    again = changed(run, config)
    baseline = run.window.baseline if config.baseline.use != "none" else None

    def seen(window: Window) -> Window:
        return dataclasses.replace(window, vantage=config.vantage, baseline=baseline)

    window, by_hours = seen(run.window), {hours: seen(part) for hours, part in run.by_hours.items()}
    tables, void = fusion.weigh(window, config, by_hours, only=again)
    kept = {name: table for name, table in run.tables.items() if name not in again and name not in config.disabled}
    void |= {name: why for name, why in run.void.items() if name not in again and name not in config.disabled}

    def take(name: str, places: Sequence[int]) -> list[dict[str, Any]]:
        return run.take(name, places) if name in kept else tables[name].take(places).to_pylist()

    would_be = Run(window, by_hours, config, run.read, kept | tables, void, take)
    return Rescored(tuple(dossier.of_run(would_be)), tuple(sorted(again)), would_be)


def changed(run: Run, config: Config) -> frozenset[str]:
    """The heuristics that other settings have weigh otherwise, without those that they disable."""
    asked = frozenset(registry()) - config.disabled
    if config.vantage != run.config.vantage or run.version != __version__:
        return asked
    without = run.window.baseline is not None and config.baseline.use == "none"
    return frozenset(
        name for name in asked
        if _settings_of(name, config) != _settings_of(name, run.config) or (without and _learns(name))
    )  # fmt: skip


def _learns(name: str) -> bool:
    """The heuristic asks the baseline, and says which one it asked."""
    return any(fact.name == "baseline" for fact in registry()[name].facts)


def _settings_of(name: str, config: Config) -> Any:
    """All that bears on what a heuristic says, of the settings; None where it isn't asked."""
    if name in config.disabled:
        return None
    return config.heuristics.get(name), [o for o in config.overrides if o.speaks_of(name)]


def _check(run: Run, config: Config) -> None:
    for name in (*FIXED, "baseline"):
        was, would_be = getattr(run.config, name), getattr(config, name)
        for field in dataclasses.fields(was):
            old, new = getattr(was, field.name), getattr(would_be, field.name)
            free = f"{name}.{field.name}" in _FREE or (name == "baseline" and new == "none")
            if old != new and not free:
                raise UsageError(
                    f"{name}.{field.name}: what is kept was made with {old!r}; hunt again to see what {new!r} changes"
                )
    hours = overrides.hour_classes(config)
    if frozenset(hours) - frozenset(run.by_hours):
        raise UsageError(
            "override.hours: what is kept isn't divided at these hours; hunt again with this override in the settings"
        )


_FREE = frozenset({"network.asn_database"})  # bears on no score
