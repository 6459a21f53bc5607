"""The settings that are in force, as TOML or JSON Lines, with where each comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from hopscope.config import Override
from hopscope.configuring.catalogue import Setting, catalogue, unknown
from hopscope.configuring.loading import Loaded, value_of
from hopscope.configuring.override_tables import ranges_of
from hopscope.configuring.sources import Problem
from hopscope.configuring.template import toml
from hopscope.errors import UsageError


def named(keys: Sequence[str]) -> list[Setting]:
    """The settings with these names or in these tables, all where none is named. Raises UsageError for others.

    `heuristics.` may be left out.
    """
    known = catalogue()
    out: dict[str, Setting] = {} if keys else known
    for key in keys:
        tables = (f"{key}.", f"heuristics.{key}.")
        matches = {n: s for n, s in known.items() if n in (key, f"heuristics.{key}") or n.startswith(tables)}
        if not matches:
            raise UsageError(unknown(key, known))
        out |= matches
    return list(out.values())


def toml_lines(settings: Iterable[Setting], loaded: Loaded, *, overrides: bool, origin: bool) -> Iterator[str]:
    """TOML that sets what is in force; the unit and, with `origin`, where it comes from as a comment."""
    for setting in settings:
        told = [setting.unit, str(loaded.origin(setting.name)) if origin else ""]
        comment = "; ".join(t for t in told if t)
        value = f"{setting.name} = {toml(value_of(setting.name, loaded.config))}"
        yield f"{value}  # {comment}" if comment else value
    for override in loaded.config.overrides if overrides else ():
        yield ""
        yield f"[[override]]{f'  # {override.place}' if origin else ''}"
        yield from _override(override)


def json_lines(settings: Iterable[Setting], loaded: Loaded, *, overrides: bool) -> Iterator[str]:
    """An object for each setting (key, value, unit, origin) and each override (its keys and origin)."""
    for setting in settings:
        value = value_of(setting.name, loaded.config)
        told = {"key": setting.name, "value": value, "unit": setting.unit, "origin": str(loaded.origin(setting.name))}
        yield json.dumps(told)
    for o in loaded.config.overrides if overrides else ():
        told = {
            "key": "override",
            "networks": o.networks,
            "hours": None if o.hours is None else sorted(o.hours),
            "reason": o.reason,
            "disabled": sorted(o.disabled),
            "heuristics": {name: dict(values) for name, values in o.heuristics.items()},
            "origin": o.place,
        }
        yield json.dumps(told)


def problem(found: Problem) -> str:
    """A problem as JSON: where (null where there is no such place), which key, what is wrong and what is expected."""
    origin = found.origin
    file = origin.name if origin.kind == "file" else None
    variable = origin.name if origin.kind == "environment" else None
    told = {"file": file, "line": origin.line, "variable": variable, "key": found.key or None, "problem": found.said}
    return json.dumps(told)


def _override(override: Override) -> Iterator[str]:
    if override.networks:
        yield f"networks = {toml(override.networks)}"
    if override.hours is not None:
        yield f"hours = {toml(ranges_of(override.hours))}"
    if override.reason:
        yield f"reason = {toml(override.reason)}"
    if override.disabled:
        yield f"disabled = {toml(sorted(override.disabled))}"
    for name, values in override.heuristics.items():
        for key, value in values.items():
            yield f"heuristics.{name}.{key} = {toml(value)}"
