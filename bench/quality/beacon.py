"""The beacon that is known in a real log: its rank among all destinations, and among all pairs beside other methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.quality import baseline, run
from bench.quality.corpus import BEACON, Item
from hopscope.hunting import records
from hopscope.records import InputCount


@dataclass(frozen=True)
class View:
    """The log with some networks monitored: places (first and last of a tie) of the beacon's pair, and how many pairs.

    `entity` is the place of the server among all entities that scored, None when nothing speaks of it.
    """

    monitored: str
    pairs: int
    ranks: dict[str, tuple[int, int]]
    scores: dict[str, float]
    entity: int | None
    entities: int
    told: run.Told | None


def view(job: tuple[str, Item, Sequence[str]]) -> View:
    """One view of the log; all methods see the answered connections of the window's pairs that lead out."""
    monitored, item, nets = job
    config = run.settings(nets)
    count = InputCount()
    batches = list(records(item.path, config=config, count=count))
    got = run.weighed(run.window_of(batches, config, count.lacks), config, ablate=False)
    pairs = baseline.calls(batches, last_hours=config.window.hours)
    said = got.evidence.to_pylist() if got.evidence is not None else []
    scores = {"hopscope": baseline.of_pairs(said, pairs, config.fusion), **baseline.scores(pairs)}
    place = next((n for n, t in enumerate(got.scored, 1) if t.hop == BEACON[1] and t.port in (None, 80)), None)
    return View(
        monitored,
        len(pairs),
        {m: baseline.rank(s, BEACON) for m, s in scores.items()},
        {m: s[BEACON] for m, s in scores.items()},
        place,
        len(got.scored),
        got.scored[place - 1] if place else None,
    )


def views(item: Item) -> list[tuple[str, Item, Sequence[str]]]:
    """Everyone but the recorded host, and the beacon's own client alone."""
    return [
        ("all hosts but the server itself", item, item.nets or ()),
        ("the beacon's client alone", item, (f"{BEACON[0]}/32",)),
    ]
