"""The live loop: records are summarised as they come, and every tick the window is weighed anew.

The loop itself reads no clock and prints nothing: time, output and the stop are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hopscope.baselines.model import Baseline
from hopscope.config import Config
from hopscope.findings import SEVERITIES, Findings, RuleMatch
from hopscope.hunting import told, unweighed, windows
from hopscope.records import Batch, InputCount
from hopscope.runs import Run
from hopscope.sources.live_source import LiveSource
from hopscope.sources.telling import Telling

POLL_S = 1.0  # how long a source is waited for at a time, so that a stop is heeded soon
REST = 1.0  # a tick that took t seconds is followed by at least REST * t seconds of reading


@dataclass(frozen=True)
class Tick:
    """What one weighing brought: `shown` of what was `found` is to be told (others the allowlist hides), `arisen` of
    that is new, shown again, or more severe than when last told; `arisen.matches` are places at which a Sigma rule
    fired for the first time. `run` is what was weighed."""

    found: Findings
    shown: Findings
    arisen: Findings
    run: Run


class Loop:
    """Reads a source until it is told to stop, and weighs what was read every `tick_s` seconds.

    `count` tells what was read; the source counts what it refused and what went missing. `view` gives what of the
    findings is to be told; `renewed` is asked when a tick is due, and says that `view` or the settings have changed.
    `baseline` is what was learnt as ordinary.
    """

    def __init__(
        self,
        source: LiveSource,
        config: Config,
        count: InputCount,
        clock: Callable[[], float],
        view: Callable[[Findings], Findings] = lambda found: found,
        renewed: Callable[[], bool] = lambda: False,
        baseline: Baseline | None = None,
    ):
        from hopscope.observing import Observer
        from hopscope.summaries import Summaries

        self.count = count
        self._source, self._config, self._clock = source, config, clock
        self._view, self._renewed, self._baseline = view, renewed, baseline
        self._summaries, self._observer = Summaries(config), Observer(config)
        self._telling = Telling(count)
        self._told: dict[str, int] = {}  # finding -> the highest severity told of it
        self._fired: set[str] = set()  # the rule matches that were told
        self._changed = False  # records came since the last tick

    @property
    def rules(self) -> Sequence[str]:
        """What is to be said of the Sigma rules that the settings name."""
        return self._observer.lines

    def use(self, config: Config) -> None:
        """Go on with other settings, from the next tick."""
        self._config = config
        self._summaries.use(config)

    def run(self, stopped: Callable[[], bool]) -> Iterator[Tick]:
        """Ticks that brought something, until `stopped`; the last one weighs what came since the one before."""
        due = self._clock() + self._config.live.tick_s
        while not stopped():
            self._add(self._source.poll(max(0.0, min(POLL_S, due - self._clock()))))
            began = self._clock()
            if began < due:
                continue
            if self._renewed() or self._changed:
                yield self.tick()
            now = self._clock()
            due = now + max(self._config.live.tick_s, REST * (now - began))
        self._add(self._source.drain())
        if self._changed:
            yield self.tick()

    def tick(self) -> Tick:
        """Weigh the window as it is now."""
        from hopscope import dossier, matches, runs

        self._changed = False
        window, by_hours = windows(
            self._summaries, self._config, self.count, self._baseline,
            lambda line: self._telling.tell("baseline", line), self._observer,
        )  # fmt: skip
        self._observer.forget(window.start_us)
        counts = self._summaries.counts
        # what has grown old since it came is not worth a word, what was old when it came is
        unseen = unweighed(counts, counts.stale, self._config.window.hours) | self._observer.untold()
        for reason, problem in unseen.items():
            self._telling.tell(reason, problem)
        run = runs.weighed(window, by_hours, self._config, told(self.count))
        fired = matches.of_window(window)
        found = Findings(dossier.of_run(run), self.count, fired, self._observer.lines)
        shown = self._view(found)
        for hidden in {f.id for f in found} - {f.id for f in shown}:
            self._told.pop(hidden, None)
        new = (f for f in shown if SEVERITIES.index(f.severity) > self._told.get(f.id, -1))
        arisen = Findings(new, self.count, self._new(shown.matches))
        for finding in arisen:
            self._told[finding.id] = SEVERITIES.index(finding.severity)
        return Tick(found, shown, arisen, run)

    def _new(self, fired: Iterable[RuleMatch]) -> list[RuleMatch]:
        """Those that weren't told before. One that is gone from the window is told again when it comes again."""
        fired = list(fired)
        new = [m for m in fired if m.id not in self._fired]
        self._fired = {m.id for m in fired}
        return new

    def _add(self, batches: list[Batch]) -> None:
        for batch in batches:
            self.count.took(batch)
            self._summaries.add(batch)
            self._observer.add(batch)
            self._changed = True
