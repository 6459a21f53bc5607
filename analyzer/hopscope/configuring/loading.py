"""From what was written to the settings of a run: file < patch < environment < command line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hopscope.config import MAPPINGS, SECTIONS, Config
from hopscope.configuring import override_tables, sources
from hopscope.configuring.catalogue import (
    DISABLED,
    Setting,
    UnfitError,
    catalogue,
    full_name,
    groups,
    of_heuristics,
    unknown,
)
from hopscope.configuring.sources import DEFAULT, Given, Origin, Problem, Written
from hopscope.configuring.values import fitted
from hopscope.errors import UsageError


@dataclass(frozen=True)
class Loaded:
    """The settings, where each that isn't a default comes from, and what couldn't be used (none: all could)."""

    config: Config
    origins: Mapping[str, Origin]
    problems: tuple[Problem, ...]

    def origin(self, name: str) -> Origin:
        """Where the setting's value comes from."""
        return self.origins.get(name, DEFAULT)

    def checked(self) -> Config:
        """The settings. Raises UsageError with the first problem."""
        if not self.problems:
            return self.config
        first, more = self.problems[0], len(self.problems) - 1
        raise UsageError(f"{first}{f' (and {more} more: hopscope config check tells all)' if more else ''}")


def read(
    path: Path | None, env: Mapping[str, str] | None, options: Mapping[str, Any] | None, patch: Path | None = None
) -> Loaded:
    """The settings of these places, with all their problems. Raises UsageError when a file can't be read."""
    files = [sources.in_file(file) for file in (path, patch) if file is not None]
    return loaded([*files, sources.in_environment(env or {}), sources.on_command_line(options or {})])


def loaded(written: Iterable[Written]) -> Loaded:
    """The settings of places of which a later one goes over those before it; what can't be used is left out."""
    known = catalogue()
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    problems: list[Problem] = []
    overrides = []
    for place in written:
        problems += place.problems
        problems += [p for origin in place.passed_over if (p := _meant(origin, known)) is not None]
        overrides += place.overrides
        for given in place.values:
            if _is_empty_table(given, known):
                continue
            name = full_name(given.name, known) if given.origin == sources.COMMAND else given.name
            try:
                values[name] = _value(name, given, known)
            except UnfitError as e:
                problems.append(Problem(given.origin, name, str(e)))
            else:
                origins[name] = given.origin
    built = {group: _built(group, defaults, values, origins, problems) for group, defaults in groups().items()}
    heuristics = {g.removeprefix("heuristics."): s for g, s in built.items() if g not in SECTIONS}
    made = (override_tables.override(table, heuristics, known, problems) for table in overrides)
    config = Config(
        **{section: built[section] for section in SECTIONS},
        heuristics=heuristics,
        disabled=frozenset(values.get(DISABLED, ())),
        overrides=tuple(o for o in made if o is not None),
    )
    return Loaded(config, origins, tuple(sorted(problems, key=_place)))


def _value(name: str, given: Given, known: Mapping[str, Setting]) -> Any:
    if name not in known:
        raise UnfitError(unknown(name, known))
    try:
        value = fitted(given.value, known[name], given.text)
    except UnfitError as e:
        raise UnfitError(f"{name} {e}") from e
    if name == DISABLED:
        of_heuristics(DISABLED, value, known)
    return value


def _meant(variable: Origin, known: Mapping[str, Setting]) -> Problem | None:
    """A variable that would be a setting's if its underscores stood right; one that is no setting's is another's."""
    bare = variable.name.removeprefix(sources.PREFIX).lower().replace("_", "")
    for name in known:
        if bare in {n.replace(".", "").replace("_", "") for n in (name, name.removeprefix("heuristics."))}:
            right = f"{sources.PREFIX}{name.replace('.', '__').upper()}"
            return Problem(variable, name, f"sets nothing; did you mean {right}?")
    return None


def _place(problem: Problem) -> tuple[bool, str, int]:
    origin = problem.origin
    return origin.kind != "file", origin.name, origin.line or 0


def _is_empty_table(given: Given, known: Mapping[str, Setting]) -> bool:
    return given.value == {} and any(name.startswith(f"{given.name}.") for name in known)


def _built(
    group: str, defaults: Any, values: Mapping[str, Any], origins: Mapping[str, Origin], problems: list[Problem]
) -> Any:
    """The group with what was written of it; as shipped where its values don't go together."""
    mine: dict[str, Any] = {}
    for name, value in values.items():
        table, _, key = name.rpartition(".")
        if table == group:
            mine[key] = value
        elif table in MAPPINGS and table.rpartition(".")[0] == group:
            mine.setdefault(table.rpartition(".")[2], {})[key] = value
    try:
        return type(defaults)(**mine)
    except UsageError as e:
        name = str(e).partition(":")[0]  # such an error begins with the setting's name
        near = [o for n, o in origins.items() if n.rpartition(".")[0] == group]
        problems.append(Problem(origins.get(name, near[-1] if near else DEFAULT), name, str(e)))
        return defaults


def read_for(named: str | os.PathLike[str] | None, env: Mapping[str, str], options: Mapping[str, Any]) -> Loaded:
    """As `read`, of the file that was named or else the user's (see `sources.settings_file`)."""
    return read(sources.settings_file(named, env), env, options)


def value_of(name: str, config: Config) -> Any:
    """The value in force of a setting that is in the catalogue."""
    group, _, key = name.rpartition(".")
    if not group:
        return tuple(sorted(config.disabled))
    if group in MAPPINGS:
        table, _, entry = group.rpartition(".")
        return getattr(getattr(config, table), entry).get(key, MAPPINGS[group]()[key])
    if group in SECTIONS:
        return getattr(getattr(config, group), key)
    heuristic = group.removeprefix("heuristics.")
    return getattr(config.heuristics.get(heuristic) or groups()[group], key)


def differences(before: Config, after: Config) -> dict[str, tuple[Any, Any]]:
    """The settings that differ, by name, with their values before and after; overrides aside."""
    both = {name: (value_of(name, before), value_of(name, after)) for name in catalogue()}
    return {name: values for name, values in both.items() if values[0] != values[1]}
