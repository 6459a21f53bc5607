"""What is told beside a finding: what would change it, what ordinary thing is most like it, how to hide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from hopscope import fusion, labels
from hopscope.allow import proposing
from hopscope.config import FusionSettings
from hopscope.explaining import comparing, counterfactuals, neighbourhood
from hopscope.explaining.comparing import Comparison
from hopscope.explaining.counterfactuals import Crossing, Without
from hopscope.findings import Finding
from hopscope.labels.kept import Label
from hopscope.runs import Run

TRIES = 5  # destinations looked at until one is found that scores below low


@dataclass(frozen=True)
class Ordinary:
    """An ordinary destination beside the finding; `scaled` is what each heuristic adds to its score."""

    comparison: Comparison
    score_db: float
    scaled: Mapping[str, float]


@dataclass(frozen=True)
class Beside:
    """What is told beside a finding.

    `without` has each of its heuristics, `together` the fewest that change it where no single one does. `nearest` is
    None where nothing compares. `allow_toml` and `allow_command` would hide it. `lacking` says why thresholds and
    destinations aren't known, None where they are.
    """

    without: tuple[Without, ...] = ()
    together: Without | None = None
    crossings: tuple[Crossing, ...] = ()
    nearest: Ordinary | None = None
    allow_toml: str = ""
    allow_command: str = ""
    lacking: str | None = None


def tell(
    finding: Finding,
    kept: Sequence[Finding],
    said: Sequence[Label],
    run: Run | None,
    settings: FusionSettings,
    today: date,
    lacking: str | None = None,
) -> Beside:
    """All that is told beside a finding: `kept` are all of its hunt, `said` all labels, `run` what weighed it."""
    crossings: list[Crossing] = []
    if run is not None:
        weigher = neighbourhood.weigher(run.window, finding, run.config)
        crossings = counterfactuals.crossings(finding, run.config, weigher)
    return Beside(
        without=tuple(counterfactuals.singly(finding, settings)),
        together=counterfactuals.together(finding, settings),
        crossings=tuple(crossings),
        nearest=None if run is None else nearest(finding, kept, said, run),
        allow_toml=proposing.toml_for(finding, today),
        allow_command=proposing.command_for(finding),
        lacking=lacking,
    )


def nearest(finding: Finding, kept: Sequence[Finding], said: Sequence[Label], run: Run) -> Ordinary | None:
    """The nearest destination that is no finding, isn't labelled hop and scores below low."""
    called_hops = (label for label in labels.in_force(said) if label.verdict == "hop")
    suspects: list[Finding | Label] = [*kept, *called_hops]
    hops = {s.hop for s in suspects if s.hop is not None}
    names = {s.entity.value for s in suspects if s.entity.kind == "name"}
    for _ in range(TRIES):
        other = comparing.nearest(run.window, finding, hops, names)
        if other is None:
            return None
        pieces = run.pieces(other.kind, other.value, finding.sensor)
        score = fusion.score_of(pieces, run.config.fusion)
        if score < run.config.fusion.low_db:
            return Ordinary(other, round(score, 1), fusion.scaled_of(pieces, run.config.fusion))
        hops.add(other.address)  # what it belongs to is told as something wider or narrower
    return None
