"""The live loop over a source that is fed by hand, with a clock of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from hopscope import config, hunting
from hopscope.findings import Finding
from hopscope.live.loop import Loop
from hopscope.records import TIME, Batch, InputCount
from support.baselines import make_baseline

TICK = 10.0


class Clock:
    """Seconds that pass when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Fed:
    """A source that gives one batch every `every` seconds, then nothing more."""

    def __init__(self, batches: list[Batch], clock: Clock, every: float):
        self._batches, self._clock, self._every = iter(batches), clock, every
        self._due = every
        self.given = 0
        self.status = self

    def line(self) -> str:
        return f"{self.given} given"

    def poll(self, timeout_s: float) -> list[Batch]:
        self._clock.now += max(timeout_s, 0.01)
        if self._clock.now < self._due:
            return []
        self._due += self._every
        batch = next(self._batches, None)
        self.given += batch is not None
        return [] if batch is None else [batch]

    def drain(self) -> list[Batch]:
        return self.poll(0.0)

    def send_finding(self, finding: Finding) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@pytest.fixture(scope="module")
def pieces(pcaps: Path) -> list[Batch]:
    """A capture with a hop, as a stream would bring it."""
    settings = config.load()
    path = pcaps / "socat-beacon.pcap.gz"
    out = []
    for batch in hunting.records(path, config=settings, count=InputCount()):
        for at in range(0, max(batch.connections.num_rows, batch.dns_queries.num_rows), 60):
            out.append(Batch(batch.connections.slice(at, 60), batch.dns_queries.slice(at, 60)))
    return out


def ends_at(clock: Clock, seconds: float) -> Iterator[bool]:
    while True:
        yield clock.now >= seconds


def run(
    pieces: list[Batch], every: float, seconds: float, rules: tuple[str, ...] = ()
) -> tuple[Loop, list[tuple[float, object]]]:
    clock = Clock()
    settings = config.load(overrides={"sigma.rules": list(rules)})
    loop = Loop(Fed(pieces, clock, every), settings, InputCount(), clock)
    end = ends_at(clock, seconds)
    return loop, [(clock.now, tick) for tick in loop.run(lambda: next(end))]


def test_a_hop_is_told_when_it_arises_and_told_once(pieces: list[Batch], pcaps: Path) -> None:
    loop, ticks = run(pieces, every=5.0, seconds=300.0)
    arisen = [f for _, tick in ticks for f in tick.arisen if f.severity in ("medium", "high", "critical")]  # type: ignore[attr-defined]
    whole = hunting.hunt(pcaps / "socat-beacon.pcap.gz").at_least("medium")
    assert {f.hop for f in arisen} == {f.hop for f in whole}
    assert len(arisen) == len({(f.id, f.severity) for f in arisen})
    # in the end the window holds what a hunt through the whole holds
    last = ticks[-1][1].found  # type: ignore[attr-defined]
    assert [(f.id, f.score_db) for f in last.at_least("medium")] == [(f.id, f.score_db) for f in whole]
    assert loop.count.connections == whole.input.connections


def test_a_place_where_a_rule_fires_is_told_once(pieces: list[Batch], tmp_path: Path) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text(
        "title: To the hop\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {product: zeek, service: conn}\n"
        "detection: {s: {id.resp_h: 192.0.2.102}, condition: s}\nlevel: high\n"
    )
    loop, ticks = run(pieces, every=15.0, seconds=300.0, rules=(str(rule),))
    assert "rules applied, 0 unsupported" in loop.rules[0]
    told = [m for _, tick in ticks for m in tick.arisen.matches]  # type: ignore[attr-defined]
    assert [(m.title, m.server) for m in told] == [("To the hop", "192.0.2.102")]
    (known,) = ticks[-1][1].found.matches  # type: ignore[attr-defined]
    assert (known.id, known.records) == (told[0].id, 10)


def test_nothing_new_is_not_weighed_again(pieces: list[Batch]) -> None:
    _, ticks = run(pieces[:1], every=1.0, seconds=200.0)
    assert len(ticks) == 1


def test_what_came_before_the_end_is_weighed(pieces: list[Batch]) -> None:
    loop, ticks = run(pieces, every=0.5, seconds=TICK / 2)
    assert len(ticks) == 1
    assert loop.count.connections > 0


def test_ticks_come_when_they_are_due(pieces: list[Batch]) -> None:
    _, ticks = run(pieces, every=1.0, seconds=100.0)
    times = [at for at, _ in ticks]
    assert times[0] == pytest.approx(TICK, abs=1.1)
    assert all(later - earlier >= TICK - 0.01 for earlier, later in pairwise(times))


def test_records_that_a_wrong_clock_pushes_out_are_told(pieces: list[Batch]) -> None:
    ahead = pieces[0].connections.slice(0, 1)
    later = pa.scalar(dt.timedelta(days=400))
    for name in ("ts", "seg_end"):
        at = ahead.schema.get_field_index(name)
        ahead = ahead.set_column(at, ahead.schema.field(at), pc.add(ahead[name], later).cast(TIME))
    none = pieces[0].dns_queries.slice(0, 0)
    loop, _ = run([Batch(ahead.set_column(1, "uid", pa.array(["Cahead"])), none), *pieces], every=2.0, seconds=100.0)
    [problem] = loop.count.problems or []
    assert "records lie before the last 24 hours and were not weighed" in problem
    assert "clock is ahead" in problem


def test_other_settings_hold_from_the_next_tick_without_new_records(pieces: list[Batch]) -> None:
    clock = Clock()
    asked: list[float] = []
    quiet = config.load(overrides={"fusion.prior_db": -400.0, "live.tick_s": 20.0})

    def renewed() -> bool:
        asked.append(clock.now)
        if clock.now < 6 * TICK or len(used) == 1:
            return False
        used.append(quiet)
        loop.use(quiet)
        return True

    used: list[config.Config] = []
    loop = Loop(Fed(pieces, clock, 0.5), config.load(), InputCount(), clock, renewed=renewed)
    end = ends_at(clock, 12 * TICK)
    ticks = [(clock.now, tick) for tick in loop.run(lambda: next(end))]
    before, (at, last) = [t for _, t in ticks[:-1]], ticks[-1]
    assert before[-1].found.at_least("medium")
    assert (at, list(last.found)) == (pytest.approx(6 * TICK, abs=1.1), [])
    later = [t for t in asked if t > at]
    assert later[0] - at == pytest.approx(20.0, abs=1.1)  # ticks come when the new settings say


def test_a_baseline_judges_each_tick_and_what_speaks_against_it_is_told_once(pieces: list[Batch]) -> None:
    hosts = [{"sensor": "pcap", "host": f"10.0.0.{i}"} for i in range(11, 16)]
    old = {"sensors": ("pcap",), "first_us": 0, "last_us": 1, "local_nets": config.load().network.local_nets}
    clock, count = Clock(), InputCount()
    loop = Loop(Fed(pieces, clock, TICK), config.load(), count, clock, baseline=make_baseline(old, host_hours=hosts))
    ticks = list(loop.run(lambda: clock.now > 3 * TICK))
    told = {f.versions["baseline"] for tick in ticks for f in tick.found}
    assert told == {"3 of 2023-11-14, 7 days"}
    [line] = [p for p in count.problems or [] if "baseline" in p]
    assert "days older than these records" in line
