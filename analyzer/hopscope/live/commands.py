"""The commands that stay: `hopscope live`, fed by Zeek, and `hopscope follow`, which watches its logs."""

from __future__ import annotations

import functools
import itertools
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hopscope import options, places
from hopscope.errors import UsageError
from hopscope.live import stopping
from hopscope.options import EXIT_CODES, FOUND, NOTHING

if TYPE_CHECKING:
    from hopscope.allow.using import Using
    from hopscope.config import Config
    from hopscope.findings import Findings
    from hopscope.live.loop import Tick
    from hopscope.live.reloading import Reloading
    from hopscope.records import InputCount
    from hopscope.sources.live_source import LiveSource


@click.command(epilog=EXIT_CODES)
@click.argument("url")
@options.form
@options.severity
@click.option("--ca", metavar="FILE", help="wss: the authority that signed Zeek's certificate (PEM).")
@click.option("--cert", metavar="FILE", help="wss: our own certificate, where Zeek asks for one (PEM).")
@click.option("--key", metavar="FILE", help="wss: the key of --cert (PEM).")
@click.option("--send/--no-send", default=True, show_default=True, help="Send findings back to Zeek.")
@options.local_nets
@options.config_file
@options.baseline
@options.allow_file
@options.sigma
@options.store_file
def live(
    url: str,
    form: str | None,
    severity: str,
    ca: str | None,
    cert: str | None,
    key: str | None,
    send: bool,
    local_nets: str | None,
    config_file: str | None,
    baseline: str | None,
    allow_file: str | None,
    sigma: tuple[str, ...],
    store_file: str | None,
) -> int:
    """Hunt in what a running Zeek sends, and tell findings as they arise.

    URL is ws://HOST:PORT, wss://HOST:PORT (the package's `Hopscope::listen`), or broker://HOST:PORT with
    Zeek's own Python bindings. Ends with Ctrl-C or SIGTERM.
    """
    from hopscope.records import InputCount
    from hopscope.sources import live_source
    from hopscope.sources.addresses import Networks

    settings = _settings(config_file, local_nets, baseline, sigma)
    count = InputCount()
    tls = live_source.Tls(ca, cert, key)
    networks = Networks(settings.config.network.local_nets)
    with live_source.connect(url, settings.config.live, count, tls, networks) as source:
        return _stay(source, url, settings, count, form, severity, allow_file, store_file, send)


@click.command(epilog=EXIT_CODES)
@click.argument("directory", metavar="DIR")
@options.form
@options.severity
@options.local_nets
@options.config_file
@options.baseline
@options.allow_file
@options.sigma
@options.store_file
def follow(
    directory: str,
    form: str | None,
    severity: str,
    local_nets: str | None,
    config_file: str | None,
    baseline: str | None,
    allow_file: str | None,
    sigma: tuple[str, ...],
    store_file: str | None,
) -> int:
    """Hunt in the logs that Zeek is writing in DIR, and tell findings as they arise.

    DIR is what Zeek calls `current`: the logs are read as they grow, across rotation and restarts.
    Ends with Ctrl-C or SIGTERM.
    """
    from hopscope.live.following import Following
    from hopscope.records import InputCount

    settings = _settings(config_file, local_nets, baseline, sigma)
    count = InputCount()
    with Following(Path(directory), settings.config, count, time.sleep) as source:
        return _stay(source, directory, settings, count, form, severity, allow_file, store_file, send=False)


def _settings(
    config_file: str | None, local_nets: str | None, baseline: str | None, sigma: tuple[str, ...]
) -> Reloading:
    """The settings of the run, whose file is read again when it changes."""
    from hopscope import hunting
    from hopscope.configuring import sources
    from hopscope.live.reloading import Reloading

    path = sources.place(config_file, os.environ)

    def load() -> Config:
        return options.with_rules(options.judged_by(hunting.settings(config_file, local_nets), baseline), sigma)

    return Reloading(path, load)


def _stay(
    source: LiveSource,
    name: str,
    settings: Reloading,
    count: InputCount,
    form: str | None,
    severity: str,
    allow_file: str | None,
    store_file: str | None,
    send: bool,
) -> int:
    """Run the loop until a signal ends it; the exit code tells whether anything was found."""
    from hopscope import runs, store, terminal
    from hopscope.allow.using import Using
    from hopscope.live.loop import Loop

    allowed = _Allowed(Using(allow_file, settings.config, options.now))
    keep = options.keeping(store_file)
    if keep is not None:
        runs.forget(places.run_of(keep))  # it isn't what these findings come from
    form = options.form_for(form)

    def renewed() -> bool:
        before = settings.config
        for line in settings.look():
            terminal.say(line)
        if settings.config == before:
            return allowed.renewed(None)
        loop.use(settings.config)
        allowed.renewed(settings.config)
        return True

    known = options.baseline_of(settings.config)
    loop = Loop(source, settings.config, count, time.monotonic, allowed, renewed, known)
    for line in loop.rules:
        terminal.say(line)
    last: Tick | None = None
    shown = 0
    problems, kept = _Problems(count), _Keeping(keep)
    terminal.say(f"reading {name}; Ctrl-C ends it")
    with stopping.asked() as ended, terminal.status() as status:

        def stopped() -> bool:
            problems.tell()
            status(f"{source.status.line()}; {shown} findings told")
            return ended()

        for tick in loop.run(stopped):
            arisen = tick.arisen.at_least(severity)
            _show(arisen, form)
            shown += len(arisen) + len(arisen.matches)
            if send:
                for finding in arisen:
                    source.send_finding(finding)
            kept(functools.partial(store.save, findings=tick.found))
            last = tick
    problems.tell()
    if last is not None and settings.config.keep.window:
        run = last.run
        kept(lambda path: runs.save(places.run_of(path), run))
    return _sum_up(last, count, severity, keep, allowed.lines)


def _show(arisen: Findings, form: str) -> None:
    from hopscope.outputs import jsonl, match_table, page, table

    if form == "jsonl":
        lines = (*map(jsonl.finding, arisen), *map(jsonl.rule_match, arisen.matches))
        sys.stdout.writelines(f"{line}\n" for line in lines)
    else:
        rows = (*map(table.told_of, arisen), match_table.rows(arisen.matches))
        page.write(itertools.chain.from_iterable(rows), page.console(sys.stdout))
    sys.stdout.flush()


def _sum_up(last: Tick | None, count: InputCount, severity: str, keep: Path | None, allowed: Sequence[str]) -> int:
    """The last words, on standard error."""
    from hopscope.findings import Findings
    from hopscope.outputs import page, table

    found = last.shown if last is not None else Findings([], count)
    shown = found.at_least(severity)
    rows = [table.verdict(shown, found, severity), *table.allowed(allowed), *table.told(count, keep, shown, None)]
    page.write(rows, page.console(sys.stderr))
    return FOUND if shown or shown.matches else NOTHING


class _Allowed:
    """The allowlist over the findings of each tick; what it hides is told when that changes."""

    def __init__(self, using: Using):
        self._using = using
        self.lines: tuple[str, ...] = ()

    def __call__(self, found: Findings) -> Findings:
        from hopscope import terminal

        shown, fired = self._using.over(found), self._using.fired(found.matches)
        lines = (*shown.lines, *fired.lines)
        for line in lines:
            if line not in self.lines:
                terminal.say(line)
        self.lines = lines
        return found.only(shown.shown, fired.shown)

    def renewed(self, config: Config | None) -> bool:
        """Whether the file changed since it was last asked for, or is read by other settings; tells so."""
        from hopscope import terminal

        line = self._using.refresh(config)
        if line is not None:
            terminal.say(line)
        return line is not None


class _Keeping:
    """Keeps things beside the findings, if anywhere; what stands in the way is told once, and ends nothing."""

    def __init__(self, path: Path | None):
        self._path = path
        self._told = ""

    def __call__(self, save: Callable[[Path], None]) -> None:
        from hopscope import terminal

        if self._path is None:
            return
        try:
            save(self._path)
        except UsageError as e:
            if str(e) != self._told:
                terminal.say(f"what was found isn't kept: {e}")
            self._told = str(e)
        else:
            self._told = ""


class _Problems:
    """Problems of the input, each told once, when it arises."""

    def __init__(self, count: InputCount):
        self._count, self._told = count, 0

    def tell(self) -> None:
        from hopscope import terminal

        problems = self._count.problems or []
        for problem in problems[self._told :]:
            terminal.say(problem)
        self._told = len(problems)
