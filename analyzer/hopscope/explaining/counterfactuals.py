"""What would have changed a finding: without each heuristic, and with each threshold moved as far as it takes.

A heuristic is weighed anew, on the part of the window that concerns the entity, for each value that is tried.
The values are round ones, so that what is said of a value has been seen to hold at that value.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hopscope import fusion
from hopscope.config import Config, FusionSettings
from hopscope.dossier import severity
from hopscope.findings import SEVERITIES, Finding

Piece = tuple[float, int]
Weigher = Callable[[Any], Piece | None]
"""A heuristic's piece of the entity under some of its settings; None where it gives none."""

TOGETHER = 3  # heuristics that are left out together, at most
DECADES = 2  # a threshold is moved to a hundred times, or a hundredth, of what it is
DECISIVE = 3  # heuristics whose thresholds are moved, those first that matter most
WEIGHINGS = 24  # of all that are tried for one finding: a second or two
ROUND = (10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91)
"""What is tried in a decade: steps of a tenth (IEC 60063, series E24)."""
SAME_DB = 0.1  # a piece that is weighed anew on a part of the window must come this close to what it was
_NAMED = re.compile(r"(?:\b\w+\.)?\b([a-z_]\w*) = ")  # a setting in an evidence's threshold
_RISE, _FALL = re.compile(r"^min_|floor|_(low|least|few)$|^few$"), re.compile(r"^max_|_most$")
"""Settings of which more, and of which less, leaves less evidence."""


@dataclass(frozen=True)
class Without:
    """What the finding would be if those heuristics had said nothing; `info` is below low: no finding."""

    heuristics: tuple[str, ...]
    score_db: float
    severity: str


@dataclass(frozen=True)
class Crossing:
    """The least change of a threshold that makes the finding less.

    At `at`, and as far beyond as was tried (`up`: more, else less), it is `severity`; `info` is no finding any more.
    """

    setting: str  # heuristic.name
    unit: str
    now: float
    at: float
    up: bool
    score_db: float
    severity: str


def singly(finding: Finding, settings: FusionSettings) -> list[Without]:
    """The finding without each of its heuristics, the most consequential first."""
    out = [Without((h,), score, severity(score, settings)) for h, score in finding.counterfactuals.items()]
    return sorted(out, key=lambda w: (w.score_db, w.heuristics))


def together(finding: Finding, settings: FusionSettings) -> Without | None:
    """The fewest heuristics without which the finding would be less, where it takes more than one; else None.

    Of equally few those without which it scores least.
    """
    pieces = {h: p for h, p in fusion.pieces_of(finding).items() if h in finding.counterfactuals}
    now = SEVERITIES.index(finding.severity)
    supporting = [h for h, scaled in fusion.scaled_of(pieces, settings).items() if scaled > 0]
    for size in range(1, TOGETHER + 1):
        less = []
        for left_out in itertools.combinations(supporting, size):
            score = fusion.score_of({h: p for h, p in pieces.items() if h not in left_out}, settings)
            told = severity(score, settings)
            if SEVERITIES.index(told) < now:
                less.append(Without(left_out, round(score, 1), told))
        if less:
            return min(less, key=lambda w: (w.score_db, w.heuristics)) if size > 1 else None
    return None


def crossings(finding: Finding, config: Config, weigher: Callable[[str], Weigher | None]) -> list[Crossing]:
    """For each threshold that matters the least change that makes the finding less, the largest effect first.

    Asked are the heuristics without which the finding would be less, as many as DECISIVE: of the settings that
    their evidence names as thresholds those that can do it and, where none can, of their least and greatest numbers
    (`min_`, `max_`). `weigher` gives what weighs a heuristic for this entity, None where that can't be done.
    """
    now, asked, left = SEVERITIES.index(finding.severity), 0, _Left(WEIGHINGS)
    pieces = {h: p for h, p in fusion.pieces_of(finding).items() if h in finding.counterfactuals}
    found: list[Crossing] = []
    for name in (w.heuristics[0] for w in singly(finding, config.fusion) if SEVERITIES.index(w.severity) < now):
        weigh = weigher(name) if name in config.heuristics and asked < DECISIVE else None
        if weigh is None:
            continue
        asked += 1
        threshold = next((e.threshold for e in finding.evidence if e.heuristic == name), "")
        for keys in _asked(config.heuristics[name], threshold):
            trials = (_Trial(name, key, config, pieces, weigh, left) for key in keys)
            told = [crossing for trial in trials if (crossing := trial.crossing(now)) is not None]
            found += told
            if told:
                break
    return sorted(found, key=lambda c: SEVERITIES.index(c.severity))


def grid(now: float, up: bool, most: float | None = None, whole: bool = False) -> list[float]:
    """The round values from `now` to DECADES beyond it, nearest first; upwards up to `most`; whole ones if `whole`.

    Empty where `now` isn't more than 0: it has no hundredth.
    """
    if now <= 0:
        return []
    exponent = math.floor(math.log10(now))
    powers = range(exponent - DECADES - 1, exponent + DECADES + 2)
    every = [float(f"{mantissa}e{power - 1}") for power in powers for mantissa in ROUND]
    if whole:  # below ten each, above it the round ones
        every = [*map(float, range(1, 10)), *(v for v in every if v >= 10)]
    far = now * 10.0 ** (DECADES if up else -DECADES)
    least, greatest = min(now, far), max(now, far) if most is None or not up else min(far, most)
    chosen = [v for v in every if least <= v <= greatest and v != now]
    return chosen if up else chosen[::-1]


def _asked(settings: Any, threshold: str) -> tuple[list[str], list[str]]:
    """The settings to try: those that the threshold names, and the other least and greatest numbers."""
    fields = {f.name: f for f in dataclasses.fields(settings)}
    # weights are for `tune`: they say how much, not whether
    numeric = [
        key for key, field in fields.items()
        if type(getattr(settings, key)) in (int, float) and field.metadata.get("unit") != "decibans"
    ]  # fmt: skip
    named = [key for key in dict.fromkeys(_NAMED.findall(threshold)) if key in numeric]
    return named, [key for key in numeric if key.startswith(("min_", "max_")) and key not in named]


@dataclass
class _Left:
    """How many weighings may still be done for the finding."""

    weighings: int


class _Trial:
    """One setting of one heuristic, to be moved until the finding is less."""

    def __init__(
        self, heuristic: str, key: str, config: Config, pieces: Mapping[str, Piece], weigh: Weigher, left: _Left
    ):
        self.heuristic, self.key, self.fusion, self.weigh = heuristic, key, config.fusion, weigh
        self.others = {h: p for h, p in pieces.items() if h != heuristic}
        self.settings = config.heuristics[heuristic]
        self.now = getattr(self.settings, key)
        self.unit: str = next(f.metadata.get("unit", "") for f in dataclasses.fields(self.settings) if f.name == key)
        self.left = left

    def crossing(self, now: int) -> Crossing | None:
        """The least change that makes it less than the severity `now`; None when none is found."""
        for up in [True] if _RISE.search(self.key) else [False] if _FALL.search(self.key) else [True, False]:
            found = self._search(grid(self.now, up, self._most(), isinstance(self.now, int)), now)
            if found is not None:
                at, score, told = found
                setting = f"{self.heuristic}.{self.key}"
                return Crossing(setting, self.unit, self.now, at, up, round(score, 1), SEVERITIES[told])
        return None

    def _most(self) -> float | None:
        """A fraction is 1 at most, and where the weight begins isn't above where it is full."""
        for begins, full in (("_low", "_high"), ("_least", "_full")):
            if self.key.endswith(begins):
                upper: float | None = getattr(self.settings, self.key.removesuffix(begins) + full, None)
                return upper
        return 1.0 if self.unit == "fraction" else None

    def _search(self, values: Sequence[float], now: int) -> tuple[float, float, int] | None:
        """Of the values the nearest at which it is as little as at the last one; None where that is no less."""
        score = self._score(values[-1]) if values else None
        if score is None or (least := SEVERITIES.index(severity(score, self.fusion))) >= now:
            return None
        found = (values[-1], score)
        low, high = -1, len(values) - 1
        while high - low > 1:
            middle = (low + high) // 2
            score = self._score(values[middle])
            if score is None:
                return None
            if SEVERITIES.index(severity(score, self.fusion)) <= least:
                high, found = middle, (values[middle], score)
            else:
                low = middle
        return *found, least

    def _score(self, value: float) -> float | None:
        """The entity's score with the setting at that value; None when there were trials enough."""
        if self.left.weighings <= 0:
            return None
        self.left.weighings -= 1
        piece = self.weigh(dataclasses.replace(self.settings, **{self.key: type(self.now)(value)}))
        return fusion.score_of(self.others if piece is None else {**self.others, self.heuristic: piece}, self.fusion)
