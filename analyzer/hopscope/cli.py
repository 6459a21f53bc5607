"""The command line: options, exit codes, and which output goes where. The work is done elsewhere."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hopscope import __version__, graphing, labelling, options
from hopscope.allow import commands as allowing
from hopscope.allow import showing
from hopscope.baselines import commands as baselining
from hopscope.configuring import commands as configuring
from hopscope.coverage import commands as covering
from hopscope.errors import HopscopeError, InputError, UsageError
from hopscope.explaining import commands as explaining
from hopscope.exporting import commands as exporting
from hopscope.live import commands as live
from hopscope.options import CRASHED, EXIT_CODES, FOUND, INPUT, INTERRUPTED, NOTHING, READER_GONE, USAGE
from hopscope.sigma import commands as sigma_commands
from hopscope.tuning import commands as tuning
from hopscope.whatif import commands as supposing

if TYPE_CHECKING:
    from hopscope.findings import Findings
    from hopscope.outputs.page import Row


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="hopscope")
def commands() -> None:
    """Find external proxy hops (MITRE ATT&CK T1090.002) in network traffic, and explain them."""


@commands.command(epilog=EXIT_CODES)
@options.captures
@options.form
@click.option("--out", metavar="FILE", help="Write the findings there instead of to standard output.")
@options.severity
@options.local_nets
@options.config_file
@options.baseline
@options.allow_file
@options.labels_file
@options.sensor
@options.sigma
@options.store_file
def hunt(
    captures: tuple[str, ...],
    form: str | None,
    out: str | None,
    severity: str,
    local_nets: str | None,
    config_file: str | None,
    baseline: str | None,
    allow_file: str | None,
    labels_file: str | None,
    sensor: str,
    sigma: tuple[str, ...],
    store_file: str | None,
) -> int:
    """Hunt for proxy hops in captures, in Zeek's logs and in what Windows hosts tell of their connections.

    INPUT is a capture (pcap or pcapng), a log of Zeek's (TSV or JSON), Windows events (EVTX, JSON or XML), a
    directory of any, a pattern in quotes, or - for a capture on standard input; plain, gzip or zstd. All are
    weighed together.
    """
    from hopscope import hunting, labels
    from hopscope.allow.using import Using

    options.check_input(captures)
    config = options.with_rules(options.judged_by(hunting.settings(config_file, local_nets), baseline), sigma)
    using = Using(allow_file, config, options.now)
    keep = options.keeping(store_file)
    if out is not None:
        options.check_output(Path(out))
    said = labelling.said(labels_file)
    found = options.hunted(captures, config, sensor, keep)
    keep = options.saved(keep, found)
    allowed = using.over(labels.marked(found, said))
    fired = using.fired(found.matches)
    visible = found.only(allowed.shown, fired.shown)
    shown = visible.at_least(severity)
    form = options.form_for(form, out)
    _output(visible, shown, severity, form, out, keep, captures, (*allowed.lines, *fired.lines))
    return FOUND if shown or shown.matches else NOTHING


@commands.command()
@click.argument("finding")
@click.option("--pcap", metavar="FILE", required=True, help="The capture that the finding came from.")
@click.option("--connection", metavar="UID", help="Which connection. [default: the one that shows most]")
@options.store_file
def dissect(finding: str, pcap: str, connection: str | None, store_file: str | None) -> int:
    """Show the packets behind FINDING: the handshake and the exchanges that show the gap (needs TShark)."""
    from hopscope import dissect as dissecting
    from hopscope import store

    _page(dissecting.rows(store.find(options.kept(store_file), finding), Path(pcap), connection))
    return NOTHING


@commands.command()
@options.captures
@options.local_nets
@options.config_file
@options.sensor
def records(captures: tuple[str, ...], local_nets: str | None, config_file: str | None, sensor: str) -> int:
    """Print the records of captures, Zeek's logs and Windows events as JSON Lines: one per connection (segment), DNS
    query and host event.

    `docs/records.md` tells their fields; `kind` is connection, dns_query or host_event, times are epoch seconds.
    """
    from hopscope import hunting, terminal
    from hopscope.outputs import jsonl
    from hopscope.records import InputCount

    options.check_input(captures)
    config = hunting.settings(config_file, local_nets)
    count = InputCount()
    for batch in hunting.records(captures, config=config, sensor=sensor, count=count):
        sys.stdout.writelines(f"{line}\n" for line in jsonl.records(batch))
    for problem in count.problems or []:
        terminal.say(problem)
    return NOTHING


commands.add_command(allowing.allow)
commands.add_command(baselining.baseline)
commands.add_command(configuring.config)
commands.add_command(covering.coverage)
commands.add_command(explaining.explain)
commands.add_command(exporting.export)
commands.add_command(showing.findings)
commands.add_command(graphing.graph)
commands.add_command(labelling.label)
commands.add_command(labelling.labels_group)
commands.add_command(live.live)
commands.add_command(live.follow)
commands.add_command(sigma_commands.sigma)
commands.add_command(tuning.tune)
commands.add_command(supposing.whatif)


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
    except click.exceptions.NoArgsIsHelpError as e:  # a group of commands, without saying which
        e.show()
        return USAGE
    except click.ClickException as e:
        terminal.say(f"{' '.join(e.format_message().split())} (hopscope --help tells more)")
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


def _output(
    found: Findings,
    shown: Findings,
    severity: str,
    form: str,
    out: str | None,
    keep: Path | None,
    captures: tuple[str, ...],
    allowed: Sequence[str],
) -> None:
    from hopscope.outputs import jsonl, match_table, page, table
    from hopscope.sources.capture import named_like_a_capture

    pcap = None
    if found.input.packets:  # logs have none to dissect
        pcaps = [c for c in captures if Path(c).is_file() and (len(captures) == 1 or named_like_a_capture(c))]
        pcap = pcaps[0] if len(pcaps) == 1 else "CAPTURE"
    told = [*match_table.told(found), *table.allowed(allowed), *table.told(found.input, keep, shown, pcap)]
    if form == "jsonl":
        lines = [*map(jsonl.finding, shown), *map(jsonl.rule_match, shown.matches)]
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
