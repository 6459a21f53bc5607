"""Options and exit codes that several commands share."""

from __future__ import annotations

import dataclasses
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hopscope import places
from hopscope.errors import UsageError

if TYPE_CHECKING:
    from hopscope.baselines.model import Baseline
    from hopscope.config import Config
    from hopscope.findings import Findings
    from hopscope.runs import Run

NOTHING, FOUND, USAGE, INPUT = 0, 1, 2, 3
CRASHED = 70  # sysexits.h EX_SOFTWARE: a fault of hopscope's must look neither like findings nor like none
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
READER_GONE = 141  # 128 + SIGPIPE

EXIT_CODES = """\b
Exit codes:
  0  nothing at or above the severity
  1  findings at or above the severity, or a Sigma rule of that level that fired
  2  wrong usage or configuration, or a missing tool
  3  input that couldn't be read
"""

DONE_CODES = """\b
Exit codes:
  0  done
  2  wrong usage or configuration, or a file that can't be read or written
"""

captures = click.argument("captures", nargs=-1, required=True, metavar="INPUT...")
local_nets = click.option(
    "--local-nets", metavar="CIDR,CIDR", help="The monitored networks, e.g. 10.0.0.0/8,2001:db8::/32."
)
config_file = click.option(
    "--config",
    "config_file",
    metavar="FILE",
    help="Settings, in TOML; none for those as shipped. [default: your own file, see hopscope config]",
)
sensor = click.option(
    "--sensor",
    type=click.Choice(["auto", "builtin", "zeek"]),
    default="auto",
    show_default=True,
    help="What reads the captures: the built-in sensor (auto), or an installed Zeek with hopscope's package.",
)
store_file = click.option(
    "--findings", "store_file", metavar="FILE", help="Where findings are kept. [default: the last run's]"
)
sigma = click.option(
    "--sigma",
    metavar="PATH",
    multiple=True,
    help="Sigma rules to apply: a file or a directory, as often as you like; beside those that hopscope brings.",
)
baseline = click.option(
    "--baseline",
    metavar="NUMBER|latest|none",
    help="The learnt baseline to judge by. [default: the setting baseline.use: the latest]",
)
labels_file = click.option("--labels", "labels_file", metavar="FILE", help="Where labels are kept. [default: yours]")
allow_file = click.option(
    "--allow", "allow_file", metavar="FILE", help="The allowlist; none for none. [default: yours, where there is one]"
)
form = click.option(
    "--format", "form", type=click.Choice(["table", "jsonl"]), help="[default: table on a terminal, else jsonl]"
)
SEVERITY = click.Choice(["info", "low", "medium", "high", "critical"])  # findings.SEVERITIES, which loads slowly
severity = click.option(
    "--severity",
    type=SEVERITY,
    default="medium",
    show_default=True,
    help="Show findings of this severity and above; lower ones are kept all the same.",
)


def form_for(named: str | None, out: str | None = None) -> str:
    """How to print: as --format names it, else a table on a terminal; JSON Lines elsewhere and to the file `out`."""
    return named or ("table" if out is None and sys.stdout.isatty() else "jsonl")


def now() -> datetime:
    """The time, in UTC: read in commands alone and handed down."""
    return datetime.now(UTC)  # noqa: TID251 - the one clock for dates of labels and entries


def kept(named: str | None) -> Path:
    """Where findings are kept."""
    return Path(named) if named is not None else places.findings_file(os.environ)


def labelled(named: str | None) -> Path:
    """Where labels are kept."""
    return Path(named) if named is not None else places.labels_file(os.environ)


def judged_by(config: Config, use: str | None) -> Config:
    """The settings with the baseline that the command line names. Raises UsageError where that is none."""
    from hopscope.config import BaselineSettings

    if use is None:
        return config
    try:
        return dataclasses.replace(config, baseline=BaselineSettings(use))
    except UsageError as e:
        raise UsageError(
            f"--baseline {use:.40}: name latest, none or a number that hopscope baseline list shows"
        ) from e


def with_rules(config: Config, rules: tuple[str, ...]) -> Config:
    """The settings with the Sigma rules that the command line names beside those of the settings."""
    named = dataclasses.replace(config.sigma, rules=(*config.sigma.rules, *rules))
    return dataclasses.replace(config, sigma=named)


def baseline_of(config: Config) -> Baseline | None:
    """The baseline that the settings name; None where none is learnt. Raises UsageError."""
    from hopscope.baselines import versions

    return versions.chosen(places.baselines(os.environ), config.baseline.use)


def run_behind(findings: Path) -> Run:
    """What the findings kept at a place were weighed from. Raises UsageError where it isn't kept or can't be used."""
    from hopscope import runs
    from hopscope.baselines import versions

    def known(number: int) -> Baseline:
        try:
            return versions.load(places.baselines(os.environ), number)
        except UsageError as e:
            raise UsageError(f"the last hunt was judged by a baseline that is no more: {e}; hunt again") from e

    return runs.load(places.run_of(findings), known)


def keeping(named: str | None) -> Path | None:
    """Where this run's findings will be kept, None where they can't be; a place that was named must be writable."""
    from hopscope import store, terminal

    path = kept(named)
    try:
        store.check_writable(path)
    except UsageError as e:
        if named is not None:
            raise
        terminal.say(f"findings won't be kept: {e}")
        return None
    return path


def hunted(captures: tuple[str, ...], config: Config, sensor: str, keep: Path | None = None) -> Findings:
    """A hunt as the commands do it: a terminal is told when the sensor must be compiled first, and how far it is.

    What was weighed is kept beside the findings' file `keep`, unless the settings say no.
    """
    from hopscope import hunting, runs, terminal

    if sys.stderr.isatty() and hunting.will_compile(sensor):
        terminal.say("compiling the sensor, once for each version; this takes up to a minute")
    baseline = baseline_of(config)
    run = None if keep is None else places.run_of(keep)
    kept = run if config.keep.window else None
    with terminal.progress() as progress:
        found = hunting.hunt(captures, config=config, sensor=sensor, progress=progress, keep=kept, baseline=baseline)
    if run is not None and kept is None:
        runs.forget(run)  # what is there is not behind these findings
    return found


def saved(place: Path | None, found: Findings) -> Path | None:
    """Keep a hunt's findings; None, and a problem told with them, where the place can no longer be written."""
    from hopscope import runs, store

    if place is None:
        return None
    try:
        store.save(place, found)
    except UsageError as e:
        runs.forget(places.run_of(place))
        found.input.note(f"findings are not kept: {e}")
        return None
    return place


def check_input(captures: tuple[str, ...]) -> None:
    """Raises UsageError when a person would have to type a capture."""
    if "-" in captures and sys.stdin.isatty():
        raise UsageError("standard input is a terminal; pipe a capture into hopscope or name a file")


def check_output(out: Path) -> None:
    """Raises UsageError when the file can't be written, before the work begins."""
    from hopscope import store

    if not out.exists():
        store.check_writable(out, "--out")
    elif out.is_dir() or not os.access(out, os.W_OK):
        raise UsageError(f"{out}: can't be written; name a writable file with --out")
