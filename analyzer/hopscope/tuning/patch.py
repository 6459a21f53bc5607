"""A proposal as settings: a TOML patch whose comments tell what each change does to labels held out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import Table

from hopscope.outputs.escape import visible
from hopscope.tuning.model import Settings
from hopscope.tuning.validation import FOLDS, PARTINGS, Effect, Proposal

HEAD = "# Proposed by hopscope tune"
WIDTH = 110


@dataclass(frozen=True)
class Source:
    """Where a proposal comes from: the labels in numbers, when, by what, and the hops it speaks of in words."""

    version: str
    day: str
    hops: int
    benign: int
    places: int
    left_out: int  # labels of which no evidence is known
    lost: tuple[str, ...]
    gained: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """One setting: its full name, today's value and the proposed one, and what is told without this change alone."""

    name: str
    old: float
    new: float
    effect: str


def changes(proposal: Proposal, heuristics: tuple[str, ...], current: Settings) -> list[Change]:
    """What the proposal changes, prior first, then weights by name, then severities."""
    new, without = proposal.fitted.settings, proposal.middle.without
    out = []
    if new.prior_db != current.prior_db:
        out.append(Change("prior_db", current.prior_db, new.prior_db, _alone(without["prior"])))
    for name, old, weight in zip(heuristics, current.weights, new.weights, strict=True):
        if weight != old:
            out.append(Change(f"weights.{name}", float(old), float(weight), _alone(without[name])))
    levels = (("high", current.high_db, new.high_db), ("critical", current.critical_db, new.critical_db))
    for level, (severity, threshold, moved) in enumerate(levels, 1):
        if moved != threshold:
            told = _told(proposal.before[level], proposal.middle.after[level])
            out.append(Change(f"{severity}_db", threshold, moved, f"{severity} and above: {told}"))
    return out


def effects(proposal: Proposal) -> Iterator[str]:
    """What the proposal does to labels held out, a line for each severity."""
    for level, severity in enumerate(("medium", "high", "critical")):
        spread = [p.after[level] for p in proposal.partings]
        false = _spread([e.false for e in spread])
        found = _spread([e.found for e in spread])
        yield f"{severity} and above: {_told(proposal.before[level], proposal.middle.after[level], false, found)}"


def text(proposal: Proposal, heuristics: tuple[str, ...], current: Settings, source: Source) -> str:
    """The patch: what changes, in TOML, with the measured effects as comments."""
    document = tomlkit.document()
    for line in _head(proposal, source):
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    fusion, weights = tomlkit.table(), tomlkit.table()
    for change in changes(proposal, heuristics, current):
        table, key = (weights, change.name.removeprefix("weights.")) if "." in change.name else (fusion, change.name)
        _add(table, key, change)
    if weights:
        fusion.add("weights", weights)
    document.add("fusion", fusion)
    return _dumped(document)


def _head(proposal: Proposal, source: Source) -> Iterator[str]:
    middle = proposal.middle
    left = f"; {source.left_out} more left out, as nothing is known of their evidence" if source.left_out else ""
    yield from _wrapped(
        f"{HEAD[2:]} {source.version} on {source.day}, from {source.hops + source.benign} labels of {source.places} "
        f"places: {source.hops} hops, {source.benign} benign{left}. Nothing is applied: look with "
        "hopscope whatif --patch FILE, then copy what you want into your settings."
    )
    yield ""
    yield from _wrapped(
        f"Measured on labels held out, {FOLDS} parts by hop, parted {PARTINGS} times: the middle one, and the range."
    )
    for line in effects(proposal):
        yield f"  {line}"
    yield from _wrapped(
        f"Of places with false findings {middle.vanished} lose them and {middle.appeared} get some. "
        f"Hops lost: {_listed(source.lost)}; new: {_listed(source.gained)}. So few labels leave it open whether up to "
        f"{proposal.lost_at_most:.0%} of such hops are lost."
    )
    yield from _wrapped(
        f"Shipped weights count as {proposal.fitted.strength:g} labels each. Hops and benign ones weigh alike, "
        "as labels are of what was found and don't tell how rare hops are; what was never found or labelled isn't in "
        "these figures. Beside each value: what it was, and what were told at medium with all changes but this one."
    )


def _add(table: Table, key: str, change: Change) -> None:
    table.add(key, change.new)
    table[key].comment(f"was {change.old:g}; {change.effect}")


def _alone(effect: Effect) -> str:
    return f"without this change {effect.false} false findings, {effect.found} of {effect.hops} hops"


def _told(before: Effect, after: Effect, false: str = "", found: str = "") -> str:
    return (
        f"false findings {before.false} -> {after.false}{false} of {after.benign}, "
        f"hops {before.found} -> {after.found}{found} of {after.hops}"
    )


def _spread(counts: list[int]) -> str:
    return f" ({min(counts)} to {max(counts)})" if min(counts) < max(counts) else ""


def _listed(names: tuple[str, ...], most: int = 5) -> str:
    told = ", ".join(visible(n, 80) for n in names[:most])
    return (f"{told} and {len(names) - most} more" if len(names) > most else told) or "none"


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, break_on_hyphens=False, break_long_words=False)


def _dumped(document: TOMLDocument) -> str:
    return "\n".join(line.rstrip() for line in tomlkit.dumps(document).splitlines()) + "\n"
