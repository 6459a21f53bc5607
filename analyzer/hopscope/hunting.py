"""The line from captures to findings, wired in one place: sources, summaries, window, heuristics, fusion."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hopscope import config as configuration
from hopscope.config import Config
from hopscope.configuring.sources import settings_file
from hopscope.errors import InputError, UsageError
from hopscope.findings import Findings
from hopscope.records import Batch, InputCount
from hopscope.sources import capture as sources
from hopscope.sources import windows_events
from hopscope.sources.capture import Capture
from hopscope.sources.windows_events import EventFile

if TYPE_CHECKING:
    from hopscope.baselines.model import Baseline
    from hopscope.heuristics.base import Window
    from hopscope.observing import Observer
    from hopscope.sources.zeek_files import LogArchive
    from hopscope.summaries import Counts, Summaries

PROBLEMS = 20  # lines about the input that each finding keeps
SENSORS = ("auto", "builtin", "zeek")
Captures = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True)
class Reading:
    """How far a run is: bytes read of all inputs, of how many (None where a pipe hides it), and the counts."""

    done: int
    total: int | None
    count: InputCount


Progress = Callable[[Reading], None]


def settings(path: str | os.PathLike[str] | None, local_nets: str | Sequence[str] | None) -> Config:
    """Defaults, then the file, then the environment, then the networks given. Raises UsageError.

    Where no file is named, the user's is read when there is one (`places.settings_file`); "none" reads none.
    """
    overrides = {} if local_nets is None else {"network.local_nets": local_nets}
    return configuration.load(settings_file(path, os.environ), os.environ, overrides)


def hunt(
    captures: Captures,
    *,
    config: Config | str | os.PathLike[str] | None = None,
    local_nets: str | Sequence[str] | None = None,
    sensor: str = "auto",
    progress: Progress | None = None,
    keep: Path | None = None,
    baseline: Baseline | None = None,
) -> Findings:
    """All findings from `low` up of one or more captures, weighed as one window.

    `captures` are files, directories, patterns or "-"; `config` is a file of settings or settings already
    loaded; `local_nets` overrides the monitored networks of a file. What was weighed is kept in the directory
    `keep`, for `runs.load`. `baseline` is what was learnt as ordinary (`baselines.versions.chosen`). Raises UsageError
    for wrong settings and InputError when no capture could be read; damage to some of them, a `keep` that can't be
    written, and a `baseline` that doesn't fit is told in `input.problems`.
    """
    from hopscope import dossier, matches, runs
    from hopscope.observing import Observer
    from hopscope.outputs import words
    from hopscope.sensor.ahead import Ahead
    from hopscope.summaries import Summaries

    loaded = config if isinstance(config, Config) else settings(config, local_nets)
    if isinstance(config, Config) and local_nets is not None:
        raise UsageError("local_nets: the settings given as config name the monitored networks already; set them there")
    count = InputCount()
    summaries, observer = Summaries(loaded), Observer(loaded)
    # read in a thread of its own: parsers and engine let go of Python's lock most of the time
    with Ahead(records(captures, config=loaded, sensor=sensor, count=count, progress=progress)) as batches:
        summaries.get_ready()  # while the first batches are read
        for batch in batches:
            summaries.add(batch)
            observer.add(batch)
    window, by_hours = windows(summaries, loaded, count, baseline, count.note, observer)
    unseen = unweighed(summaries.counts, summaries.counts.outside, loaded.window.hours)
    for problem in (unseen | observer.untold()).values():
        count.note(problem)
    if (line := observer.unfitting(window, count.connections)) is not None:
        count.note(line)
    if count.connections and not _watched(window):
        nets = words.listed(loaded.network.local_nets, 5)
        count.note(
            f"none of our hosts ({nets}) talks to the internet here: is network.local_nets (--local-nets) right?"
        )
    del summaries  # the hours behind the window are not needed again: half of a long hunt's memory
    run = runs.weighed(window, by_hours, loaded, told(count))
    found = dossier.of_run(run)
    if keep is not None:
        try:
            runs.save(keep, run)
        except UsageError as e:
            runs.forget(keep)  # what is there is not behind these findings
            count.note(f"what was weighed is not kept, and whatif will have nothing to ask: {e}")
    return Findings(found, count, matches.of_window(window), observer.lines)


def _watched(window: Window) -> bool:
    """A host of ours talks to the internet: else nothing external can be found, whatever is there."""
    p = window.pairs
    return bool(p.filter(p.client_local & ~p.server_local).limit(1).count().execute())


def windows(
    summaries: Summaries,
    config: Config,
    count: InputCount,
    baseline: Baseline | None = None,
    tell: Callable[[str], None] = lambda line: None,
    observer: Observer | None = None,
) -> tuple[Window, dict[frozenset[int], Window]]:
    """The window to weigh, and those of some hours of the day that overrides ask for.

    All have what the observer was told of. They have the baseline where it fits; `tell` is told what speaks against it.
    """
    from hopscope import overrides
    from hopscope.baselines.fitting import fitted

    window = dataclasses.replace(summaries.window(), lacks=count.lacks or frozenset())
    if observer is not None:
        window = observer.onto(window)
    known, line = fitted(baseline, window, config)
    if line is not None:
        tell(line)
    window = dataclasses.replace(window, baseline=known)

    def made(hours: frozenset[int]) -> Window:
        beside = {name: getattr(window, name) for name in ("lacks", "baseline", "processes", "matches")}
        return dataclasses.replace(summaries.window(hours), **beside)

    return window, {hours: made(hours) for hours in overrides.hour_classes(config)}


def records(
    captures: Captures,
    *,
    config: Config,
    count: InputCount,
    sensor: str = "auto",
    progress: Progress | None = None,
) -> Iterator[Batch]:
    """The records of the captures, one after the other; `count` tells what was read.

    Raises UsageError for an unknown or missing sensor and InputError when none of the captures could be
    read; one bad capture among others is told in `count.problems`.
    """
    if sensor not in SENSORS:
        raise UsageError(f"no sensor {sensor!r}; there are {', '.join(SENSORS)}")
    names = [captures] if isinstance(captures, str | os.PathLike) else captures
    found = sources.find([os.fspath(name) for name in names], count)
    if sensor != "auto" and not all(isinstance(c, Capture | EventFile) for c in found):
        count.note(f"logs are read as they are; --sensor {sensor} is for captures")
    sizes = [c.size for c in found if c.size is not None]
    total = sum(sizes) if len(sizes) == len(found) else None
    before = 0
    failed: list[InputError] = []

    def tell(done: int) -> None:
        if progress is not None:
            progress(Reading(before + done, total, count))

    for capture in found:
        try:
            for batch in _read(capture, sensor, config, count, tell):
                count.took(batch)
                yield batch
        except InputError as e:
            failed.append(e)
        before += capture.size or 0
    if len(failed) == len(found):
        error = sources.nothing_read(failed)
        for problem in count.problems or []:
            error.add_note(problem)
        raise error
    for failure in failed:
        count.note(str(failure))
    if count.passed_over:
        count.note(
            f"{count.passed_over:,} Windows events of other kinds were passed over; "
            "Sysmon's 3 and 22 and Security's 5156 and 5157 are used"
        )


def _read(
    capture: EventFile | Capture | LogArchive,
    sensor: str,
    config: Config,
    count: InputCount,
    tell: Callable[[int], None],
) -> Iterator[Batch]:
    if isinstance(capture, EventFile):
        return windows_events.records(capture, count, tell)
    if not isinstance(capture, Capture):
        from hopscope.sources import zeek_archive

        return zeek_archive.records(capture, config.network.local_nets, count, tell)
    if sensor == "zeek":
        from hopscope.sources import zeek_replay

        return zeek_replay.records(capture, config.network.local_nets, count, tell)
    from hopscope.sensor import read

    return read.records(capture.path, capture.name, config, count, tell)


def will_compile(sensor: str) -> bool:
    """The run will compile the sensor's loops first, as the first run of each version does."""
    if sensor == "zeek":
        return False
    import numba

    from hopscope.sensor import compiled  # noqa: F401 - says where compiled code is kept

    kept = numba.config.CACHE_DIR
    return bool(kept) and not any(Path(kept).rglob("*.nbc"))


def unweighed(counts: Counts, outside: int, hours: int) -> dict[str, str]:
    """What was read and yet not weighed, a line for each reason; `outside` records lie before the window."""
    lines = {
        "outside": (
            outside,
            f"records lie before the last {hours} hours and were not weighed; set window.hours to weigh more, "
            "or look whether a sensor's clock is ahead",
        ),
        "duplicates": (counts.duplicates, "records came twice and were weighed once; was an input given twice?"),
        "dropped_legs": (
            counts.dropped_legs,
            "connections through very busy hosts of ours were not matched as relays; "
            "hunt in shorter captures to have them matched",
        ),
    }
    return {reason: f"{number:,} {line}" for reason, (number, line) in lines.items() if number}


def told(count: InputCount) -> dict[str, object]:
    """What findings keep of the count, so that they say what their input lacked."""
    problems = count.problems or []
    more = len(problems) - PROBLEMS
    kept = [*problems[:PROBLEMS], f"and {more:,} further problems"] if more > 0 else problems
    return dataclasses.asdict(count) | {"problems": kept, "lacks": sorted(count.lacks or ())}
