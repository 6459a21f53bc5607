"""All settings by their dotted names, and what somebody may have meant by a name that there isn't."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hopscope.config import MAPPINGS, SECTIONS

DISABLED = "disabled"


class UnfitError(ValueError):
    """What is wrong with a name or a value, and what to write instead."""


@dataclass(frozen=True)
class Setting:
    """One setting: its dotted name, default, unit, meaning and bounds (None: unbounded)."""

    name: str
    default: Any
    unit: str
    doc: str
    least: float | None = None
    most: float | None = None

    @property
    def group(self) -> str:
        """The table it stands in; "" at the top of a file."""
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        """Its name in that table."""
        return self.name.rpartition(".")[2]


def groups() -> dict[str, Any]:
    """The groups of settings with their defaults, by the name of their table."""
    from hopscope import heuristics  # here: heuristics declare their settings by means of `config`

    registry = heuristics.registry()
    return {name: cls() for name, cls in SECTIONS.items()} | {
        f"heuristics.{n}": h.defaults for n, h in registry.items()
    }


def catalogue() -> dict[str, Setting]:
    """Every setting by its name, those of a table of numbers one by one."""
    return {s.name: s for s in _settings()}


def _settings() -> Iterator[Setting]:
    yield Setting(DISABLED, (), "", "heuristics that are left out")
    for group, defaults in groups().items():
        for field in dataclasses.fields(defaults):
            name, told = f"{group}.{field.name}", field.metadata
            bounds = told["least"], told["most"]
            if name in MAPPINGS:
                for key, default in MAPPINGS[name]().items():
                    yield Setting(f"{name}.{key}", default, told["unit"], told["doc"], *bounds)
            else:
                yield Setting(name, getattr(defaults, field.name), told["unit"], told["doc"], *bounds)


def full_name(name: str, known: Mapping[str, Setting]) -> str:
    """The setting's whole name where `heuristics.` was left out; else the name as it is."""
    return f"heuristics.{name}" if name not in known and f"heuristics.{name}" in known else name


def unknown(name: str, known: Mapping[str, Setting]) -> str:
    """The words for a name that is none, with what may have been meant."""
    if any(other.startswith(f"{name}.") for other in known):
        return f"{name} is a table of settings and has no value itself; write {name}.KEY = value"
    said = f"unknown setting {name!r}"
    if (whole := full_name(name, known)) != name:
        return f"{said}; did you mean {whole}?"
    group, _, key = name.rpartition(".")
    beside = {s.key: s.name for s in known.values() if s.group == group}
    if not beside:  # `heuristics.` may have been left out as well
        beside = {s.key: s.name for s in known.values() if s.group == f"heuristics.{group}"}
    tables = [table for table in dict.fromkeys(s.group for s in known.values()) if table]
    if close := [beside[k] for k in like(key, beside)] or [n for n in like(name, known) if n.endswith(f".{key}")]:
        return f"{said}; did you mean {close[0]}?"
    if not group and len(elsewhere := [s.name for s in known.values() if s.key == name]) == 1:
        return f"{said}; did you mean {elsewhere[0]}?"
    if group and beside:
        return f"{said}; {group} has {', '.join(sorted(beside))}"
    if close := like(group or name, tables):
        return f"{said}; did you mean the table [{close[0]}]?"
    return f"{said}; tables are {', '.join(tables)}"


def of_heuristics(name: str, named: Iterable[str], known: Mapping[str, Setting]) -> None:
    """Raises UnfitError for the first that is no heuristic; `name` is the setting that names them."""
    there = {parts[1] for s in known if (parts := s.split("."))[0] == "heuristics"}
    for heuristic in named:
        if heuristic not in there:
            close = like(heuristic, there)
            remedy = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(there))}"
            raise UnfitError(f"{name} names no heuristic {heuristic!r}; {remedy}")


def like(name: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that are written much like it, the likest first."""
    return difflib.get_close_matches(name, list(names), n=3, cutoff=0.75)
