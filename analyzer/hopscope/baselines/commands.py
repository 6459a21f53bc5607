"""The command `hopscope baseline`."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hopscope import options, places
from hopscope.errors import UsageError
from hopscope.options import DONE_CODES, NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hopscope.baselines.learning import Learnt
    from hopscope.config import Config
    from hopscope.labels import Label
    from hopscope.outputs.page import Row
    from hopscope.records import InputCount

LEARN_CODES = f"""{DONE_CODES}  3  input that couldn't be read
"""


@click.group(epilog=DONE_CODES)
def baseline() -> None:
    """Learn what is ordinary on this network, and see what was learnt.

    Hunts are judged by the latest baseline unless --baseline or the setting baseline.use say otherwise. Nothing is
    learnt but by `hopscope baseline learn`.
    """


@baseline.command(epilog=LEARN_CODES)
@options.captures
@click.option(
    "--days", type=click.IntRange(min=1), default=7, show_default=True, help="How many days, back from the last (UTC)."
)
@click.option(
    "--keep",
    metavar="DESTINATION",
    multiple=True,
    help="Learn this address, name or finding too, though it looks like a hop; all: whatever does. Can be repeated.",
)
@options.local_nets
@options.config_file
@options.sensor
@options.labels_file
def learn(
    captures: tuple[str, ...],
    days: int,
    keep: tuple[str, ...],
    local_nets: str | None,
    config_file: str | None,
    sensor: str,
    labels_file: str | None,
) -> int:
    """Learn a baseline from captures and Zeek's logs.

    What each host exchanges hour by hour, which hosts belong together, and who uses what. Destinations that a hunt
    would show at medium or above, or that are labelled hop, are left out, unless they are labelled benign: a hop that
    is there while a baseline is learnt must not become ordinary by it.
    """
    from hopscope import hunting, labels, terminal
    from hopscope.baselines import versions
    from hopscope.outputs import baseline_page
    from hopscope.records import InputCount

    options.check_input(captures)
    config = hunting.settings(config_file, local_nets)
    directory = places.baselines(os.environ)
    given = labels.read(Path(labels_file) if labels_file is not None else places.labels_file(os.environ))
    count = InputCount()
    with versions.temporary(directory) as spool:
        learnt = _learnt(captures, config, sensor, count, spool, given, keep, days)
    for problem in count.problems or []:
        terminal.say(problem)
    if not learnt.hosts:
        nets = ", ".join(config.network.local_nets)
        raise UsageError(f"nothing to learn: none of our hosts ({nets}) talks to the internet here; see --local-nets")
    for wanted in keep:
        if wanted not in learnt.spared:
            terminal.say(f"--keep {wanted}: nothing of that name looks like a hop; it is learnt if it was there")
    about = versions.save(directory, learnt.tables, learnt.about(options.now(), config.network.local_nets))
    _write(baseline_page.learnt(about, days))
    return NOTHING


@baseline.command("list", epilog=DONE_CODES)
@options.form
@options.config_file
def listed(form: str | None, config_file: str | None) -> int:
    """List the baselines, and which one is used."""
    from hopscope import hunting
    from hopscope.baselines import versions
    from hopscope.outputs import baseline_page

    use = hunting.settings(config_file, None).baseline.use
    kept = versions.listed(places.baselines(os.environ))
    if options.form_for(form) == "jsonl":
        sys.stdout.writelines(f"{json.dumps(dataclasses.asdict(about))}\n" for about in kept)
    else:
        _write(baseline_page.listed(kept, use))
    return NOTHING


@baseline.command(epilog=DONE_CODES)
@click.argument("number", metavar="[NUMBER]", default="latest")
def show(number: str) -> int:
    """Show what a baseline learnt.

    Its days and hosts, who belongs together, what is used most, and what was left out.

    NUMBER is as `hopscope baseline list` shows it; the latest unless given.
    """
    from hopscope.baselines import versions
    from hopscope.outputs import baseline_page

    found = versions.chosen(places.baselines(os.environ), number if number == "latest" else str(_number(number)))
    if found is None:
        raise UsageError("no baseline was learnt yet; hopscope baseline learn INPUT learns one")
    _write(baseline_page.shown(found))
    return NOTHING


@baseline.command(epilog=DONE_CODES)
@click.argument("number", metavar="NUMBER")
def remove(number: str) -> int:
    """Forget a baseline.

    Its number isn't given again. Hunts are then judged by the latest that is left.
    """
    from hopscope.baselines import versions
    from hopscope.outputs.page import Row

    versions.remove(places.baselines(os.environ), _number(number))
    _write([Row(f"baseline {_number(number)} removed")])
    return NOTHING


def _learnt(
    captures: tuple[str, ...],
    config: Config,
    sensor: str,
    count: InputCount,
    spool: Path,
    given: Iterable[Label],
    keep: Iterable[str],
    days: int,
) -> Learnt:
    from hopscope import hunting, terminal
    from hopscope.baselines.learning import Learning
    from hopscope.sensor.ahead import Ahead

    if sys.stderr.isatty() and hunting.will_compile(sensor):
        terminal.say("compiling the sensor, once for each version; this takes up to a minute")
    learning = Learning(config, count, spool, given, keep)
    with terminal.progress() as progress:
        read = hunting.records(captures, config=config, sensor=sensor, count=count, progress=progress)
        with Ahead(read) as batches:
            for batch in batches:
                learning.add(batch)
        return learning.learnt(days)


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UsageError(f"'{text:.40}' is no baseline's number; hopscope baseline list shows them")
    return int(text)


def _write(rows: Iterable[Row]) -> None:
    from hopscope.outputs import page

    page.write(rows, page.console(sys.stdout))
