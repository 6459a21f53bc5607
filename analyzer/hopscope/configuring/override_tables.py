"""[[override]]: what a file says of some networks or hours, checked and made an Override."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hopscope.config import Override, check_networks
from hopscope.configuring.catalogue import Setting, UnfitError, like, of_heuristics, unknown
from hopscope.configuring.sources import GivenOverride, Problem
from hopscope.configuring.values import fitted
from hopscope.errors import UsageError

KEYS = ("networks", "hours", "reason", "disabled", "heuristics")
_HOUR = r"([0-9]{1,2})(?::00)?"
_RANGE = re.compile(rf"\s*{_HOUR}\s*-\s*{_HOUR}\s*")
_T = TypeVar("_T")
_D = TypeVar("_D")


def override(
    given: GivenOverride, heuristics: Mapping[str, Any], known: Mapping[str, Setting], problems: list[Problem]
) -> Override | None:
    """The override; None where something in it is wrong, which is added to the problems.

    `heuristics` has the settings of each heuristic, over which the override's are laid; `known` are all settings.
    """
    reader = _Reader(given, problems)
    for key in given.table:
        if key not in KEYS:
            close = like(key, KEYS)
            there = f"did you mean {close[0]}?" if close else f"an override has {', '.join(KEYS)}"
            reader.wrong((key,), f"unknown key {key!r}; {there}")
    no_networks: tuple[str, ...] = ()
    none_disabled: frozenset[str] = frozenset()
    no_tables: dict[str, Any] = {}
    networks = reader.take("networks", _networks, no_networks)
    hours = reader.take("hours", hours_of_day, None)
    reason = reader.take("reason", lambda value: fitted(value, Setting("reason", "", "", "")), "")
    disabled = reader.take("disabled", lambda value: _disabled(value, known), none_disabled)
    changed = reader.take("heuristics", _tables, no_tables)
    settings = {name: _settings(name, table, heuristics, known, reader) for name, table in changed.items()}
    if not reader.failed and "networks" not in given.table and "hours" not in given.table:
        reader.wrong((), "names neither networks nor hours, for which it would hold; add them")
    if not reader.failed and not disabled and not any(settings.values()):
        reader.wrong((), "changes nothing; add a line such as heuristics.path_gap.floor_ms = 40")
    if reader.failed:
        return None
    return Override(networks, hours, reason, settings, disabled, str(given.origin()))


def hours_of_day(value: Any) -> frozenset[int]:
    """The hours, 0 to 23, of ranges like "22-06" or "7-9, 17-19"; the end is not in a range. Raises UnfitError."""
    remedy = 'write it like "22-06", or "7-9, 17-19"; whole hours, the end not included'
    if not isinstance(value, str) or not value.strip():
        raise UnfitError(f"hours must be ranges of hours in quotes, not {value!r}; {remedy}")
    hours: set[int] = set()
    for part in value.split(","):
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2])) if match else (0, 0)
        if match is None or first > 23 or last > 24 or first == last % 24 != 0 or first == last:
            raise UnfitError(f"hours: {part.strip()!r} is no range of hours; {remedy}")
        hours |= {hour % 24 for hour in range(first, last if last > first else last + 24)}
    return frozenset(hours)


def ranges_of(hours: frozenset[int]) -> str:
    """Hours of the day as `hours_of_day` reads them."""
    if len(hours) == 24:
        return "0-24"
    firsts = [hour for hour in sorted(hours) if (hour - 1) % 24 not in hours]
    ends = [next(h for h in range(first + 1, first + 24) if h % 24 not in hours) for first in firsts]
    return ", ".join(f"{first}-{end % 24 or 24}" for first, end in zip(firsts, ends, strict=True))


class _Reader:
    """Takes values out of an override's table and notes what is wrong with them."""

    def __init__(self, given: GivenOverride, problems: list[Problem]):
        self._given, self._problems = given, problems
        self.failed = False

    def take(self, key: str, make: Callable[[Any], _T], default: _D) -> _T | _D:
        """What `make` makes of a key's value; the default where there is none, or a wrong one."""
        return self.made((key,), self._given.table[key], make, default) if key in self._given.table else default

    def made(self, path: tuple[str, ...], value: Any, make: Callable[[Any], _T], default: _D) -> _T | _D:
        """The same of a value that stands further down."""
        try:
            return make(value)
        except (UnfitError, UsageError) as e:
            self.wrong(path, str(e))
        return default

    def wrong(self, path: tuple[str, ...], said: str) -> None:
        self.failed = True
        key = ".".join(("override", *path))
        self._problems.append(Problem(self._given.origin(*path), key, f"override {self._given.number}: {said}"))


def _networks(value: Any) -> tuple[str, ...]:
    networks = _named("networks", value)
    check_networks("networks", networks)
    if not networks:
        raise UnfitError("networks is empty; name some, or leave the line out for all")
    return networks


def _disabled(value: Any, known: Mapping[str, Setting]) -> frozenset[str]:
    names = _named("disabled", value)
    of_heuristics("disabled", names, known)
    return frozenset(names)


def _named(key: str, value: Any) -> tuple[str, ...]:
    try:
        return tuple(fitted(value, Setting(key, (), "", "")))
    except UnfitError as e:
        raise UnfitError(f"{key} {e}") from e


def _tables(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnfitError("heuristics must be a table; write lines such as heuristics.path_gap.floor_ms = 40")
    return value


def _settings(
    name: str, table: Any, heuristics: Mapping[str, Any], known: Mapping[str, Setting], reader: _Reader
) -> dict[str, Any]:
    """The settings of one heuristic that the override changes."""
    path = ("heuristics", name)
    if name not in heuristics or not isinstance(table, dict):
        reader.wrong(path, unknown(f"heuristics.{name}", known))
        return {}
    values = {}
    for key, value in table.items():
        make = functools.partial(_value, f"heuristics.{name}.{key}", known)
        values[key] = reader.made((*path, key), value, make, None)
    if not reader.failed:
        reader.made(path, values, lambda v: dataclasses.replace(heuristics[name], **v), None)
    return dict(sorted(values.items()))


def _value(name: str, known: Mapping[str, Setting], value: Any) -> Any:
    if name not in known:
        raise UnfitError(unknown(name, known))
    try:
        return fitted(value, known[name])
    except UnfitError as e:
        raise UnfitError(f"{name} {e}") from e
