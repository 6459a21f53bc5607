"""`hopscope config`: a file of settings begun, checked, and what is in force shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from hopscope import options
from hopscope.errors import UsageError
from hopscope.options import DONE_CODES, NOTHING, USAGE

_CHECK_CODES = """\b
Exit codes:
  0  nothing is wrong
  2  something is wrong, or the file can't be read
"""


_form = click.option(
    "--format", "form", type=click.Choice(["table", "jsonl"]), default="table", show_default=True,
    help="For people, or as JSON Lines.",
)  # fmt: skip


@click.group()
def config() -> None:
    """Settings: begin a file of them, check it, show what is in force and where it comes from.

    The file is ~/.config/hopscope/hopscope.toml unless HOPSCOPE_CONFIG or --config names another.
    """


@config.command(epilog=DONE_CODES)
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(file: str | None, force: bool) -> int:
    """Write a file with every setting: its default, unit and meaning, all commented out.

    FILE is the user's own file of settings unless told; - is standard output.
    """
    from hopscope import store, terminal
    from hopscope.configuring import sources, template

    if file == "-":
        sys.stdout.writelines(f"{line}\n" for line in template.lines())
        return NOTHING
    path = sources.place(file, os.environ)
    if path is None:
        raise UsageError("none: stands for no file of settings at all; name another, or ./none")
    if os.path.lexists(path) and not force:
        raise UsageError(f"{path}: is there already; name another file, or write over it with --force")
    store.write_private(path, template.lines())
    terminal.say(f"wrote {path}; every setting in it is commented out")
    return NOTHING


@config.command(epilog=_CHECK_CODES)
@click.argument("file", required=False, metavar="[FILE]")
@_form
def check(file: str | None, form: str) -> int:
    """Tell all that is wrong with a file of settings, each with its line and what is expected there.

    Without FILE the user's own is checked, and the environment with it.
    """
    from hopscope import terminal
    from hopscope.configuring import loading, showing, sources
    from hopscope.outputs.escape import visible

    path = Path(file) if file is not None else sources.settings_file(None, os.environ)
    loaded = loading.read(path, os.environ if file is None else {}, {})
    jsonl = form == "jsonl"
    for problem in loaded.problems:
        sys.stdout.write(f"{showing.problem(problem) if jsonl else visible(str(problem), 2000)}\n")
    if path is None:
        usual = sources.place(None, os.environ)
        lacking = f"there is no file of settings at {usual}; hopscope config init writes one"
        terminal.say(lacking if usual is not None else "HOPSCOPE_CONFIG=none: no file of settings is read")
    if loaded.problems:
        return USAGE
    if path is not None:
        settings, overrides = len(loaded.origins), len(loaded.config.overrides)
        terminal.say(
            f"{path}: nothing is wrong; it sets {_many(settings, 'setting')} and {_many(overrides, 'override')}"
        )
    return NOTHING


@config.command(epilog=DONE_CODES)
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@click.option("--changed", is_flag=True, help="Only what isn't as shipped.")
@_form
@options.local_nets
@options.config_file
def show(
    keys: tuple[str, ...],
    origin: bool,
    changed: bool,
    form: str,
    local_nets: str | None,
    config_file: str | None,
) -> int:
    """Show the settings that are in force, and with --origin where each comes from.

    KEY is a setting (heuristics.path_gap.floor_ms, path_gap.floor_ms) or a table of them (fusion, path_gap).
    """
    from hopscope.configuring import loading, showing
    from hopscope.outputs.escape import visible

    given = {} if local_nets is None else {"network.local_nets": local_nets}
    loaded = loading.read_for(config_file, os.environ, given)
    loaded.checked()
    settings = [s for s in showing.named(keys) if not changed or s.name in loaded.origins]
    if form == "jsonl":
        lines = showing.json_lines(settings, loaded, overrides=not keys)
        sys.stdout.writelines(f"{line}\n" for line in lines)
    else:
        lines = showing.toml_lines(settings, loaded, overrides=not keys, origin=origin)
        sys.stdout.writelines(f"{visible(line, 5000)}\n" for line in lines)
    return NOTHING


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
