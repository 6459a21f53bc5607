"""The command line: options, exit codes, and which output goes where. The work is done elsewhere."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hopscope import __version__
from hopscope.errors import HopscopeError, InputError, UsageError

if TYPE_CHECKING:
    from hopscope.hunting import Findings
    from hopscope.outputs.page import Row

NOTHING, FOUND, USAGE, INPUT = 0, 1, 2, 3
CRASHED = 70  # sysexits.h EX_SOFTWARE: a fault of hopscope's must look neither like findings nor like none
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
READER_GONE = 141  # 128 + SIGPIPE

EXIT_CODES = """\b
Exit codes:
  0  nothing at or above the severity
  1  findings at or above the severity
  2  wrong usage or configuration, or a missing tool
  3  input that couldn't be read
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="hopscope")
def commands() -> None:
    """Find external proxy hops (MITRE ATT&CK T1090.002) in network traffic, and explain them."""


_captures = click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")
_local_nets = click.option(
    "--local-nets", metavar="CIDR,CIDR", help="The monitored networks, e.g. 10.0.0.0/8,2001:db8::/32."
)
_config = click.option("--config", "config_file", metavar="FILE", help="Settings, in TOML.")
_sensor = click.option(
    "--sensor",
    type=click.Choice(["auto", "builtin", "zeek"]),
    default="auto",
    show_default=True,
    help="What reads the captures. Zeek's default logs lack timing, so auto takes the built-in sensor.",
)
_findings = click.option(
    "--findings", "store_file", metavar="FILE", help="Where findings are kept. [default: the last run's]"
)


@commands.command(epilog=EXIT_CODES)
@_captures
@click.option(
    "--format", "form", type=click.Choice(["table", "jsonl"]), help="[default: table on a terminal, else jsonl]"
)
@click.option("--out", metavar="FILE", help="Write the findings there instead of to standard output.")
@click.option(
    "--severity",
    type=click.Choice(["info", "low", "medium", "high", "critical"]),
    default="medium",
    show_default=True,
    help="Show findings of this severity and above; lower ones are kept all the same.",
)
@_local_nets
@_config
@_sensor
@_findings
def hunt(
    captures: tuple[str, ...],
    form: str | None,
    out: str | None,
    severity: str,
    local_nets: str | None,
    config_file: str | None,
    sensor: str,
    store_file: str | None,
) -> int:
    """Hunt for proxy hops in captures.

    CAPTURE is a file (pcap or pcapng, plain, gzip or zstd), a directory, a pattern in quotes, or - for
    standard input.
    """
    from hopscope import hunting, store, terminal

    _check_input(captures)
    config = hunting.settings(config_file, local_nets)
    keep = _store(store_file)
    if out is not None:
        _check_output(Path(out))
    if sys.stderr.isatty() and hunting.will_compile(sensor):
        terminal.say("compiling the sensor, once for each version; this takes up to a minute")
    with terminal.progress() as progress:
        found = hunting.hunt(captures, config=config, sensor=sensor, progress=progress)
    if keep is not None:
        store.save(keep, found)
    shown = found.at_least(severity)
    form = form or ("table" if out is None and sys.stdout.isatty() else "jsonl")
    _output(found, shown, severity, form, out, keep, captures)
    return FOUND if shown else NOTHING


@commands.command()
@click.argument("finding")
@_findings
def explain(finding: str, store_file: str | None) -> int:
    """Explain FINDING: its evidence with numbers, thresholds and facts, and the connections behind it.

    FINDING is the id that hunt shows, or as much of it as is unique.
    """
    from hopscope import store
    from hopscope.outputs import explanation

    _page(explanation.rows(store.find(_kept(store_file), finding)))
    return NOTHING


@commands.command()
@click.argument("finding")
@click.option("--pcap", metavar="FILE", required=True, help="The capture that the finding came from.")
@click.option("--connection", metavar="UID", help="Which connection. [default: the one that shows most]")
@_findings
def dissect(finding: str, pcap: str, connection: str | None, store_file: str | None) -> int:
    """Show the packets behind FINDING: the handshake and the exchanges that show the gap (needs TShark)."""
    from hopscope import dissect as dissecting
    from hopscope import store

    _page(dissecting.rows(store.find(_kept(store_file), finding), Path(pcap), connection))
    return NOTHING


@commands.command()
@_captures
@_local_nets
@_config
@_sensor
def records(captures: tuple[str, ...], local_nets: str | None, config_file: str | None, sensor: str) -> int:
    """Print the records of captures as JSON Lines, one per connection (segment) and DNS query.

    `docs/records.md` tells their fields; `kind` is connection or dns_query, times are epoch seconds.
    """
    from hopscope import hunting, terminal
    from hopscope.outputs import jsonl
    from hopscope.records import InputCount

    _check_input(captures)
    config = hunting.settings(config_file, local_nets)
    count = InputCount()
    for batch in hunting.records(captures, config=config, sensor=sensor, count=count):
        sys.stdout.writelines(f"{line}\n" for line in jsonl.records(batch))
    for problem in count.problems or []:
        terminal.say(problem)
    return NOTHING


def main() -> None:
    """The entry point of the `hopscope` command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; every error becomes one line and its code."""
    from hopscope import terminal

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name must not stop the output where locales are poor
    try:
        # not commands.main(): its exit code for a reader that went away is 1, which says findings here
        with commands.make_context("hopscope", [*arguments] or ["--help"]) as context:
            code: Any = commands.invoke(context)
        sys.stdout.flush()
        return int(code or NOTHING)
    except click.exceptions.Exit as e:
        return USAGE if not arguments else e.exit_code
    except click.ClickException as e:
        terminal.say(f"{e.format_message()} (hopscope --help tells more)")
        return USAGE
    except HopscopeError as e:
        for line in (str(e), *getattr(e, "__notes__", ())):
            terminal.say(line)
        return INPUT if isinstance(e, InputError) else USAGE
    except (click.Abort, KeyboardInterrupt):
        terminal.say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # what is left in the buffer has no reader either: keep the interpreter from trying at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except Exception:
        terminal.say("a fault in hopscope itself; please report it with the lines below")
        for line in traceback.format_exc().splitlines():
            terminal.say(line)
        return CRASHED


def _check_input(captures: tuple[str, ...]) -> None:
    if "-" in captures and sys.stdin.isatty():
        raise UsageError("standard input is a terminal; pipe a capture into hopscope or name a file")


def _check_output(out: Path) -> None:
    from hopscope import store

    if not out.exists():
        store.check_writable(out, "--out")
    elif out.is_dir() or not os.access(out, os.W_OK):
        raise UsageError(f"{out}: can't be written; name a writable file with --out")


def _store(named: str | None) -> Path | None:
    """Where this run's findings will be kept. Only a place that the user named must be writable."""
    from hopscope import store, terminal

    path = Path(named) if named is not None else store.default_path(os.environ)
    try:
        store.check_writable(path)
    except UsageError as e:
        if named is not None:
            raise
        terminal.say(f"findings won't be kept: {e}")
        return None
    return path


def _kept(named: str | None) -> Path:
    from hopscope import store

    return Path(named) if named is not None else store.default_path(os.environ)


def _output(
    found: Findings,
    shown: Findings,
    severity: str,
    form: str,
    out: str | None,
    keep: Path | None,
    captures: tuple[str, ...],
) -> None:
    from hopscope.outputs import jsonl, page, table

    pcap = captures[0] if len(captures) == 1 and Path(captures[0]).is_file() else "CAPTURE"
    told = table.told(found.input, keep, shown, pcap)
    if form == "jsonl":
        lines = [jsonl.finding(f) for f in shown]
        page.write([table.verdict(shown, found, severity), *told], page.console(sys.stderr))
    elif out is None:
        page.write(table.rows(shown, found, severity, told), page.console(sys.stdout))
        return
    else:
        lines = [line.plain for line in page.lines(table.rows(shown, found, severity, told), page.PLAIN_WIDTH)]
    if out is None:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return
    try:
        with open(out, "w", encoding="utf-8") as f:
            f.writelines(f"{line}\n" for line in lines)
    except OSError as e:
        raise UsageError(f"{out}: can't be written ({e.strerror}); name a writable file with --out") from e


def _page(rows: Iterable[Row]) -> None:
    from hopscope.outputs import page

    page.write(rows, page.console(sys.stdout))
