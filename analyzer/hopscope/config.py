"""Every setting once: with its default, unit and meaning.

A group of settings is a frozen dataclass whose fields are made with `setting`; the core's groups stand
here, each heuristic's own group stands in the heuristic's file and appears as `[heuristics.NAME]`.
`configuring` reads them from files, the environment and the command line.
"""

from __future__ import annotations

import datetime
import ipaddress
import itertools
import re
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hopscope.errors import UsageError

_BASELINE = re.compile(r"[0-9]{1,9}")
SIGNED = frozenset({"", "decibans"})  # units of what may be less than nothing


def setting(default: Any, unit: str, doc: str, *, least: float | None = None, most: float | None = None) -> Any:
    """A dataclass field with its unit ("" when it has none), one line of meaning, and the bounds of its value.

    Unless told, a fraction lies between 0 and 1, and what is measured or counted isn't negative.
    """
    if least is None and unit not in SIGNED:
        least = 0
    if most is None and unit == "fraction":
        most = 1
    metadata = {"unit": unit, "doc": doc, "least": least, "most": most}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def check_networks(name: str, networks: Iterable[str]) -> None:
    """Raises UsageError for the first that is no network; `name` is the setting's."""
    for net in networks:
        try:
            ipaddress.ip_network(net)
        except ValueError as e:
            raise UsageError(f"{name}: {net!r} is not a network ({e}); write it like 10.0.0.0/8") from e


@dataclass(frozen=True)
class NetworkSettings:
    """[network]"""

    local_nets: tuple[str, ...] = setting(
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"),
        "", "the monitored networks; what lies outside them is the internet")  # fmt: skip

    asn_database: str = setting(
        "", "", "path of a MaxMind-format database of autonomous systems (.mmdb), for allowlist entries by ASN"
    )

    def __post_init__(self) -> None:
        if not self.local_nets:
            raise UsageError("network.local_nets: is empty, and no host would be ours; name the monitored networks")
        check_networks("network.local_nets", self.local_nets)


@dataclass(frozen=True)
class VantageSettings:
    """[vantage]: what the sensor can't see; evidence that this voids is 0 dB and named as void."""

    dns_seen: bool = setting(True, "", "clients' DNS queries pass the sensor (false voids `unnamed`)")
    one_sided: bool = setting(False, "", "only one direction of each connection is seen (voids gaps and ratios)")
    own_proxies: tuple[str, ...] = setting((), "", "addresses of our own explicit proxies: never hops")


@dataclass(frozen=True)
class WindowSettings:
    """[window]"""

    hours: int = setting(24, "hours", "length of the window that is scored, back from the last record", least=1)
    timezone: str = setting("UTC", "", "time zone of the hours of day that overrides name, e.g. Europe/Berlin")

    def __post_init__(self) -> None:
        try:
            _ = self.zone
        except (LookupError, ValueError, OSError) as e:  # no such zone, or no name of one at all
            raise UsageError(
                f"window.timezone: {self.timezone!r} is no time zone that is known here; write it like Europe/Berlin"
            ) from e

    @property
    def zone(self) -> datetime.tzinfo:
        """The time zone; UTC needs no database of zones."""
        return datetime.UTC if self.timezone == "UTC" else zoneinfo.ZoneInfo(self.timezone)


@dataclass(frozen=True)
class KeepSettings:
    """[keep]: what a hunt leaves beside its findings."""

    window: bool = setting(True, "", "keep what was weighed, so that whatif, tune and explain need no traffic")


@dataclass(frozen=True)
class EventsSettings:
    """[events]: what hosts tell of their connections."""

    tolerance_s: float = setting(
        60.0, "s", "how far a host's clock may be from the sensor's for its event and a connection to be one"
    )


@dataclass(frozen=True)
class SigmaSettings:
    """[sigma]"""

    rules: tuple[str, ...] = setting(
        (), "", "files and directories of Sigma rules that every run applies; whole paths, which may begin with ~"
    )
    shipped: bool = setting(True, "", "apply the rules that hopscope brings")
    disabled: tuple[str, ...] = setting((), "", "rules that are not applied, by id or title")


@dataclass(frozen=True)
class BaselineSettings:
    """[baseline]"""

    use: str = setting("latest", "", 'the learnt baseline to judge by: "latest" where there is one, its number, "none"')

    def __post_init__(self) -> None:
        if self.use not in ("latest", "none") and not _BASELINE.fullmatch(self.use):
            raise UsageError(f"baseline.use: {self.use[:40]!r} is neither latest nor none nor a baseline's number")


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
        {}, "", "what a heuristic's decibans are multiplied with, by its name; 1 unless told", least=0
    )
    caps: Mapping[str, float] = setting(
        {}, "decibans", "the most that a group of heuristics weighs, by the group's name; else as shipped", least=0
    )

    def __post_init__(self) -> None:
        steps = ("low_db", "medium_db", "high_db", "critical_db")
        for lower, higher in itertools.pairwise(steps):
            if getattr(self, lower) > getattr(self, higher):
                raise UsageError(
                    f"fusion.{lower}: {getattr(self, lower):g} is above fusion.{higher}, {getattr(self, higher):g}; "
                    f"they must rise in the order {', '.join(steps)}"
                )


@dataclass(frozen=True)
class Override:
    """[[override]]: settings of heuristics that hold for some clients, at some hours of the day, or both.

    `networks` empty: for all clients; `hours` None: at all hours, else hours of the day (0 to 23) in
    `window.timezone`. `heuristics` maps a heuristic's name to the settings that change there, `disabled` are
    left out there. `place` tells where it was written.
    """

    networks: tuple[str, ...] = ()
    hours: frozenset[int] | None = None
    reason: str = ""
    heuristics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()
    place: str = field(default="", compare=False, repr=False)

    def speaks_of(self, heuristic: str) -> bool:
        """It changes something of that heuristic."""
        return heuristic in self.heuristics or heuristic in self.disabled


@dataclass(frozen=True)
class Config:
    """All settings of a run. `heuristics` maps a heuristic's name to its settings; `disabled` are left out.

    `overrides` hold in their order: of those that hold for a client, the later one wins.
    """

    network: NetworkSettings = NetworkSettings()
    vantage: VantageSettings = VantageSettings()
    window: WindowSettings = WindowSettings()
    baseline: BaselineSettings = BaselineSettings()
    events: EventsSettings = EventsSettings()
    sigma: SigmaSettings = SigmaSettings()
    keep: KeepSettings = KeepSettings()
    live: LiveSettings = LiveSettings()
    fusion: FusionSettings = FusionSettings()
    heuristics: Mapping[str, Any] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()
    overrides: tuple[Override, ...] = ()


SECTIONS: dict[str, type[Any]] = {
    "network": NetworkSettings,
    "vantage": VantageSettings,
    "window": WindowSettings,
    "baseline": BaselineSettings,
    "events": EventsSettings,
    "sigma": SigmaSettings,
    "keep": KeepSettings,
    "live": LiveSettings,
    "fusion": FusionSettings,
}


def _weights() -> dict[str, float]:
    from hopscope import heuristics

    return dict.fromkeys(heuristics.registry(), 1.0)


def _caps() -> dict[str, float]:
    from hopscope import fusion

    return {name: group.cap_db for name, group in fusion.GROUPS.items()}


MAPPINGS: dict[str, Callable[[], dict[str, float]]] = {"fusion.weights": _weights, "fusion.caps": _caps}
"""Settings that are tables of numbers, and what gives their keys with what holds unless told."""


def load(
    path: Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    patch: Path | None = None,
) -> Config:
    """Read the settings: defaults, then the TOML file, then a second one, then the environment, then `overrides`.

    `env` is looked through for HOPSCOPE_SECTION__KEY. `overrides` maps dotted names ("network.local_nets",
    "heuristics.path_gap.floor_ms", "path_gap.floor_ms") to values, or to texts as a command line has them.
    Raises UsageError with the place of the first unknown key, wrong type, unit or number, or unreadable file.
    """
    from hopscope.configuring import loading  # here: it knows the heuristics, which know this module

    return loading.read(path, env, overrides, patch).checked()
