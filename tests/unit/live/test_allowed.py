"""The allowlist in a running analyzer: what it hides isn't told, and is told when it is shown again."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopscope import config, hunting
from hopscope.findings import Findings
from hopscope.live.loop import Loop
from hopscope.records import Batch, InputCount


class Source:
    """Gives everything at the first look."""

    def __init__(self, batches: list[Batch]):
        self._left = batches

    def poll(self, timeout_s: float) -> list[Batch]:
        given, self._left = self._left, []
        return given

    def drain(self) -> list[Batch]:
        return self.poll(0.0)


class View:
    """Hides everything while it is told to."""

    def __init__(self) -> None:
        self.hides, self.changed = True, False

    def __call__(self, found: Findings) -> Findings:
        return Findings([] if self.hides else list(found), found.input)

    def renewed(self) -> bool:
        changed, self.changed = self.changed, False
        return changed

    def turn(self) -> None:
        self.hides, self.changed = not self.hides, True


@pytest.fixture(scope="module")
def batches(pcaps: Path) -> list[Batch]:
    return list(hunting.records(pcaps / "socat-beacon.pcap.gz", config=config.load(), count=InputCount()))


def test_what_is_hidden_is_not_told_and_what_is_shown_again_is(batches: list[Batch]) -> None:
    now = 0.0
    view = View()
    loop = Loop(
        Source(batches), config.load(overrides={"live.tick_s": 10.0}), InputCount(), lambda: now, view, view.renewed
    )  # type: ignore[arg-type]
    told = []
    looks = iter(range(100))

    def stopped() -> bool:
        nonlocal now
        now += 10.0
        return next(looks) >= 10

    for tick in loop.run(stopped):
        told.append((len(tick.found), len(tick.shown), len(tick.arisen)))
        if len(told) < 4:
            view.turn()
    found = told[0][0]
    assert found > 0
    # hidden; shown and told; hidden again; shown and told again: no records came meanwhile
    assert told == [(found, 0, 0), (found, found, found), (found, 0, 0), (found, found, found)]
