"""Settings as they would be: those of a run with some of them changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from hopscope.config import Config
from hopscope.configuring import loading, sources
from hopscope.configuring.catalogue import catalogue
from hopscope.configuring.loading import value_of
from hopscope.configuring.sources import Given, Origin, Written
from hopscope.errors import UsageError
from hopscope.heuristics import registry

LAST = Origin("last run")
FIXED = ("network", "window", "events", "sigma")  # what they decide of the records needs the traffic to change


@dataclasses.dataclass(frozen=True)
class Supposed:
    """What a user supposes: a file of settings instead of the run's, a patch, KEY=VALUEs, heuristics off and on."""

    file: Path | None = None
    patch: Path | None = None
    values: Sequence[str] = ()
    off: Sequence[str] = ()
    on: Sequence[str] = ()


def supposed(run: Config, asked: Supposed, env: Mapping[str, str]) -> Config:
    """A run's settings with what is supposed; of FIXED sections the run's stay unless they are named.

    Raises UsageError, with the place, for the first that can't be used.
    """
    places = [_written(run)]
    overrides = run.overrides
    if asked.file is not None:
        places = [_written(run, FIXED), sources.in_file(asked.file), sources.in_environment(env)]
        overrides = ()
    if asked.patch is not None:
        places.append(sources.in_file(asked.patch))
    places.append(sources.on_command_line(dict(map(_split, asked.values))))
    config = loading.loaded(places).checked()
    for option, names in (("--disable", asked.off), ("--enable", asked.on)):
        for name in names:
            if name not in registry():
                raise UsageError(f"{option} {name}: no such heuristic; there are {', '.join(sorted(registry()))}")
    disabled = (config.disabled | frozenset(asked.off)) - frozenset(asked.on)
    return dataclasses.replace(config, disabled=disabled, overrides=(*overrides, *config.overrides))


def _split(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: no value; write it like path_gap.floor_ms=25")
    name = key.strip()
    return f"heuristics.{name}" if name.partition(".")[0] in registry() else name, value.strip()


def _written(config: Config, sections: Sequence[str] = ()) -> Written:
    """What of the settings isn't as shipped, of these sections alone where some are named."""
    values = [
        Given(name, value, LAST)
        for name, setting in catalogue().items()
        if (value := value_of(name, config)) != setting.default and (not sections or name.split(".")[0] in sections)
    ]
    return Written(values)
