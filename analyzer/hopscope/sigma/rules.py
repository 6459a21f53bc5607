"""Rules as they are applied, and what loads them."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hopscope.config import SigmaSettings
from hopscope.errors import UsageError
from hopscope.sigma.expressions import Expression
from hopscope.sigma.refusing import ELSEWHERE, Cause

LEVELS = ("informational", "low", "medium", "high", "critical")


@dataclass(frozen=True)
class Rule:
    """A rule that is applied: `kinds` are the records it is applied to (connection, dns_query, host_event).

    `id` is the title where the rule has none, `level` medium where it has none; `tags` are in lower case, `place` is
    the file. `expressions` are what it was compiled to, by kind.
    """

    id: str
    title: str
    level: str
    tags: tuple[str, ...]
    place: str
    expressions: Mapping[str, Expression] = field(repr=False)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of records that it is applied to."""
        return tuple(self.expressions)


def severest_first(rule: Rule) -> tuple[int, str, str]:
    """The order in which rules are told: by level, then by title and id."""
    return -LEVELS.index(rule.level), rule.title, rule.id


@dataclass(frozen=True)
class Unsupported:
    """A rule that can't be applied, or a file that is none: where, its title ("" when unknown), and why."""

    place: str
    title: str
    reason: str
    cause: Cause = Cause.INVALID


@dataclass(frozen=True)
class Rules:
    """What was loaded: rules that are applied, and those that can't be; `asked` are the paths that were named."""

    rules: tuple[Rule, ...] = ()
    unsupported: tuple[Unsupported, ...] = ()
    asked: tuple[str, ...] = ()

    def lines(self, most: int) -> list[str]:
        """What a run tells: how many are applied, why others aren't, and at most so many of them with their reasons.

        Rules that are about something else altogether come last; places are told below the paths that were named.
        """
        causes = Counter(one.cause for one in self.unsupported).most_common()
        why = f" ({', '.join(f'{cause} {number:,}' for cause, number in causes)})" if len(causes) > 1 else ""
        told = [f"sigma: {self.count()}{why}"]
        nearest = sorted(self.unsupported, key=lambda one: one.cause in ELSEWHERE)
        for one in nearest[:most]:
            told.append(f"sigma: {self._below(one.place)}: {one.title + ': ' if one.title else ''}{one.reason}")
        if (more := len(self.unsupported) - most) > 0:
            told.append(f"sigma: and {more:,} more: hopscope sigma check {shlex.join(self.asked)} names them")
        return told

    def count(self) -> str:
        """How many are applied and how many can't be."""
        rules = "1 rule" if len(self.rules) == 1 else f"{len(self.rules):,} rules"
        return f"{rules} applied, {len(self.unsupported):,} unsupported"

    def _below(self, place: str) -> str:
        """A place as seen from the directory that was named."""
        for asked in self.asked:
            if place.startswith(asked.rstrip("/") + "/"):
                return place[len(asked.rstrip("/")) + 1 :]
        return place


def load(paths: Sequence[Path], shipped: bool = True, disabled: Collection[str] = ()) -> Rules:
    """The rules of files and of the .yml and .yaml files in directories, and those that hopscope brings.

    `disabled` are ids or titles of rules that are left out. A rule whose id a rule before it has is unsupported;
    rules of your own come before those that are shipped. Raises UsageError for a path that isn't there, can't be
    read, or holds no rule at all, and where a disabled rule is none of them.
    """
    from hopscope.sigma import shipped as ours  # it knows this module

    given: list[Rule | Unsupported] = []
    seen: set[Path] = set()
    paths = [path.expanduser() for path in paths]  # settings may begin them with ~
    for path in paths:
        from hopscope.sigma import reading  # it imports pySigma, for which a run without rules needn't wait

        found = reading.below(path, seen)
        if found is None:
            raise UsageError(f"{path}: holds no Sigma rule; name files or directories of rules (.yml)")
        given.extend(found)
    if shipped:
        given.extend(ours.rules())
    names = [{one.title.lower(), one.id.lower()} if isinstance(one, Rule) else {one.title.lower()} for one in given]
    off = {name.lower(): name for name in disabled}
    if unknown := off.keys() - set().union(*names):
        raise UsageError(
            f"sigma.disabled: no rule has the id or title {off[min(unknown)]!r}; hopscope sigma list names them"
        )
    wanted = [one for one, called in zip(given, names, strict=True) if called.isdisjoint(off)]
    return _told_once(wanted, tuple(map(str, paths)))


def load_named(settings: SigmaSettings, more: Sequence[Path] = ()) -> Rules:
    """The rules that hunts apply by these settings, and those of further paths. Raises UsageError as `load`."""
    return load([*map(Path, settings.rules), *more], settings.shipped, settings.disabled)


def _told_once(given: Sequence[Rule | Unsupported], asked: tuple[str, ...]) -> Rules:
    rules: dict[str, Rule] = {}
    unsupported: list[Unsupported] = []
    for one in given:
        if isinstance(one, Rule) and (other := rules.get(one.id)) is not None:
            one = Unsupported(one.place, one.title, f"{other.place} has the same id", Cause.DUPLICATE)
        if isinstance(one, Rule):
            rules[one.id] = one
        else:
            unsupported.append(one)
    return Rules(tuple(rules.values()), tuple(unsupported), asked)
