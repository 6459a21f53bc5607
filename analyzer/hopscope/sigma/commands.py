"""The commands `hopscope sigma ...`: which rules are applied, and why others can't be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from hopscope import options
from hopscope.options import FOUND, NOTHING

_CODES = """\b
Exit codes:
  0  {nothing}
  {found}2  wrong usage or configuration, or a path that can't be read or holds no rule
"""
HELP = """Look at Sigma rules: those that hunts apply, and what of a rule set can be applied.

    \b
    A hunt applies the rules that hopscope brings, those that the setting sigma.rules names, and those of
    --sigma PATH. docs/sigma.md tells log sources, fields and modifiers.
    """

paths = click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))


@click.group(help=HELP)
def sigma() -> None:
    """See HELP."""


@sigma.command(epilog=_CODES.format(nothing="every rule can be applied", found="1  some can't\n  "))
@paths
@click.option("--all", "everything", is_flag=True, help="Name also each rule about log sources that aren't read.")
@options.form
@options.config_file
def check(paths: tuple[Path, ...], everything: bool, form: str | None, config_file: str | None) -> int:
    """Tell which rules of files and directories can be applied, to which records, and why each other can't be.

    Without PATH: those that hunts apply. With --format jsonl each rule is a line, `applied` true or false.
    """
    from hopscope import hunting
    from hopscope.outputs import page, rule_table
    from hopscope.sigma.rules import load, load_named

    settings = hunting.settings(config_file, None).sigma
    told = load(paths, shipped=False) if paths else load_named(settings)
    if options.form_for(form) == "jsonl":
        sys.stdout.writelines(f"{line}\n" for line in (*rule_table.applied(told), *rule_table.unsupported(told)))
    else:
        page.write(rule_table.checked(told, everything), page.console(sys.stdout))
    return FOUND if told.unsupported else NOTHING


@sigma.command("list", epilog=_CODES.format(nothing="done", found=""))
@paths
@options.form
@options.config_file
def list_(paths: Sequence[Path], form: str | None, config_file: str | None) -> int:
    """List the rules that hunts apply, and those of PATH: level, title, records, techniques, id and file."""
    from hopscope import hunting
    from hopscope.outputs import page, rule_table
    from hopscope.sigma.rules import load_named

    told = load_named(hunting.settings(config_file, None).sigma, paths)
    if options.form_for(form) == "jsonl":
        sys.stdout.writelines(f"{line}\n" for line in rule_table.applied(told))
    else:
        page.write(rule_table.listed(told), page.console(sys.stdout))
    return NOTHING
