"""Every setting once: with its default, unit and meaning. File < environment < command line.

A group of settings is a frozen dataclass whose fields are made with `setting`; the core's groups stand
here, each heuristic's own group stands in the heuristic's file and appears as `[heuristics.NAME]`.
Unknown keys and wrong types are errors that name the place.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hopscope.errors import UsageError

ENV_PREFIX = "HOPSCOPE_"


def setting(default: Any, unit: str, doc: str) -> Any:
    """A dataclass field with its unit ("" when it has none) and one line of meaning."""
    metadata = {"unit": unit, "doc": doc}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class NetworkSettings:
    """[network]"""

    local_nets: tuple[str, ...] = setting(
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"),
        "", "the monitored networks; what lies outside them is the internet")  # fmt: skip

    def __post_init__(self) -> None:
        for net in self.local_nets:
            try:
                ipaddress.ip_network(net)
            except ValueError as e:
                raise UsageError(f"network.local_nets: {net!r} is not a network ({e}); write it like 10.0.0.0/8") from e


@dataclass(frozen=True)
class VantageSettings:
    """[vantage]: what the sensor can't see; evidence that this voids is 0 dB and named as void."""

    dns_seen: bool = setting(True, "", "clients' DNS queries pass the sensor (false voids `unnamed`)")
    one_sided: bool = setting(False, "", "only one direction of each connection is seen (voids gaps and ratios)")
    own_proxies: tuple[str, ...] = setting((), "", "addresses of our own explicit proxies: never hops")


@dataclass(frozen=True)
class WindowSettings:
    """[window]"""

    hours: int = setting(24, "hours", "length of the window that is scored, back from the last record")


@dataclass(frozen=True)
class LiveSettings:
    """[live]"""

    tick_s: float = setting(10.0, "s", "how often a running analyzer weighs what it has read")
    ack_s: float = setting(10.0, "s", "how long Zeek may take to accept a subscription")
    queue_mb: int = setting(256, "MB", "what may wait to be decoded; what comes beyond it is dropped and counted")

    def __post_init__(self) -> None:
        for name in ("tick_s", "ack_s", "queue_mb"):
            if getattr(self, name) <= 0:
                raise UsageError(f"live.{name}: must be more than 0")


@dataclass(frozen=True)
class FusionSettings:
    """[fusion]"""

    prior_db: float = setting(-40.0, "decibans", "belief before any evidence that a destination is a hop")
    low_db: float = setting(-10.0, "decibans", "score from which a finding is low")
    medium_db: float = setting(0.0, "decibans", "score from which a finding is medium")
    high_db: float = setting(10.0, "decibans", "score from which a finding is high")
    critical_db: float = setting(20.0, "decibans", "score from which a finding is critical")
    client_bonus_db: float = setting(1.0, "decibans", "what each further client adds to a piece of evidence")
    client_bonus_most_db: float = setting(3.0, "decibans", "the most that further clients add")
    widen_db: float = setting(3.0, "decibans", "how much more a wider entity must score to be told instead")
    services_told: int = setting(3, "services", "more ports than this of one address are told as the address")
    weights: Mapping[str, float] = setting(
        {}, "", "what a heuristic's decibans are multiplied with, by its name; 1 unless told"
    )
    caps: Mapping[str, float] = setting(
        {},
        "decibans",
        "the most that a group of heuristics weighs, by the group's name; else as shipped",
    )


@dataclass(frozen=True)
class Config:
    """All settings of a run. `heuristics` maps a heuristic's name to its settings; `disabled` are left out."""

    network: NetworkSettings = NetworkSettings()
    vantage: VantageSettings = VantageSettings()
    window: WindowSettings = WindowSettings()
    live: LiveSettings = LiveSettings()
    fusion: FusionSettings = FusionSettings()
    heuristics: Mapping[str, Any] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()


SECTIONS: dict[str, type[Any]] = {
    "network": NetworkSettings,
    "vantage": VantageSettings,
    "window": WindowSettings,
    "live": LiveSettings,
    "fusion": FusionSettings,
}


def _heuristic_names() -> tuple[str, ...]:
    from hopscope import heuristics

    return tuple(heuristics.registry())


def _group_names() -> tuple[str, ...]:
    from hopscope import fusion

    return tuple(fusion.GROUPS)


MAPPINGS: dict[str, Callable[[], tuple[str, ...]]] = {
    "fusion.weights": _heuristic_names,
    "fusion.caps": _group_names,
}
"""Settings that are tables of numbers, and what gives their keys."""


def load(
    path: Path | None = None, env: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Config:
    """Read the settings: defaults, then the TOML file, then HOPSCOPE_SECTION__KEY from `env`, then `overrides`.

    `overrides` maps dotted names ("network.local_nets", "heuristics.path_gap.floor_ms") to values.
    Raises UsageError with the place of the first unknown key, wrong type or unreadable file.
    """
    from hopscope import heuristics  # here: heuristics declare their settings with `setting` of this module

    values: dict[str, tuple[Any, str]] = {}
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise UsageError(f"{path}: can't be read ({e}); check the path given with --config") from e
        try:
            tree = tomllib.loads(text)
        except tomllib.TOMLDecodeError as e:
            raise UsageError(f"{path}: not valid TOML ({e}); correct that line") from e
        _flatten(tree, "", str(path), values)
    for key, raw in (env or {}).items():
        if key.startswith(ENV_PREFIX) and "__" in key:
            values[key.removeprefix(ENV_PREFIX).lower().replace("__", ".")] = (_from_text(raw), f"environment {key}")
    for key, value in (overrides or {}).items():
        values[key] = (value, "command line")

    registry = heuristics.registry()
    groups: dict[str, type[Any]] = dict(SECTIONS) | {f"heuristics.{n}": type(h.defaults) for n, h in registry.items()}
    chosen: dict[str, dict[str, Any]] = {g: {} for g in groups}
    disabled: frozenset[str] = frozenset()
    for name, (value, origin) in values.items():
        if name == "disabled":
            disabled = _disabled(value, origin, set(registry))
            continue
        group, _, key = name.rpartition(".")
        table, _, entry = group.rpartition(".")
        if table in groups and (known := MAPPINGS.get(group)) is not None:
            if key not in known():
                raise UsageError(f"{origin}: {group} names no {key!r}; there are {', '.join(sorted(known()))}")
            chosen[table].setdefault(entry, {})[key] = _coerce(value, 0.0, name, origin)
            continue
        if group not in groups:
            raise UsageError(f"{origin}: unknown setting {name!r}; sections are {', '.join(sorted(groups))}")
        fields = {f.name: f for f in dataclasses.fields(groups[group])}
        if key not in fields:
            raise UsageError(f"{origin}: unknown setting {name!r}; {group} has {', '.join(sorted(fields))}")
        chosen[group][key] = _coerce(value, fields[key].default, name, origin)
    built = {g: cls(**chosen[g]) for g, cls in groups.items()}
    return Config(
        **{s: built[s] for s in SECTIONS},
        heuristics={n: built[f"heuristics.{n}"] for n in registry},
        disabled=disabled,
    )


def _flatten(tree: Mapping[str, Any], prefix: str, origin: str, out: dict[str, tuple[Any, str]]) -> None:
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            _flatten(value, f"{name}.", origin, out)
        else:
            out[name] = (value, origin)


def _from_text(raw: str) -> Any:
    """An environment variable's value: TOML where it parses (numbers, true, lists), else a plain string."""
    try:
        return tomllib.loads(f"x = {raw}")["x"]
    except tomllib.TOMLDecodeError:
        return raw


def _disabled(value: Any, origin: str, known: set[str]) -> frozenset[str]:
    names = [value] if isinstance(value, str) else list(value)
    for n in names:
        if n not in known:
            raise UsageError(f"{origin}: disabled names no heuristic {n!r}; there are {', '.join(sorted(known))}")
    return frozenset(names)


def _coerce(value: Any, default: Any, name: str, origin: str) -> Any:
    if isinstance(default, tuple):
        items = [v.strip() for v in value.split(",") if v.strip()] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise UsageError(f"{origin}: {name} must be a list, not {value!r}")
        return tuple(items)
    if isinstance(default, bool) or isinstance(value, bool):
        fits = isinstance(default, bool) and isinstance(value, bool)
    elif isinstance(default, float):
        fits = isinstance(value, int | float)
        value = float(value) if fits else value
    else:
        fits = isinstance(value, type(default))
    if not fits:
        raise UsageError(f"{origin}: {name} must be a {type(default).__name__}, not {value!r}")
    return value
