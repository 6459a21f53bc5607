"""The commands `hopscope allow ...`: what is ordinary, who said so, and for how long."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hopscope import options
from hopscope.errors import UsageError
from hopscope.options import FOUND, NOTHING

if TYPE_CHECKING:
    from hopscope.allow.using import Using
    from hopscope.findings import Finding
    from hopscope.outputs.page import Row

_CODES = """\b
Exit codes:
  0  done
  {one}2  wrong usage, or an allowlist that can't be read
"""
DONE = _CODES.format(one="")
HELP = """Hide what you have looked at and know to be ordinary: with a reason, an author and an expiry.

    \b
    An entry's conditions must all hold; it hides a finding when it covers all of it, all its clients and
    all its names. It works backwards: findings that are kept are hidden or shown again at once.
    """
_DAYS = re.compile(r"(\d{1,4})\s*d(ays?)?")

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
file = click.option("--allow", "allow_file", metavar="FILE", help="The allowlist. [default: yours]")
reason = click.option("--reason", metavar="TEXT", required=True, help="Why: for whoever reads it in half a year.")
author = click.option("--author", metavar="NAME", help="Who says so. [default: you]")
expires = click.option(
    "--expires", metavar="WHEN", default="90d", show_default=True, help="Days (90d), the day it ends, or never."
)


@click.group(help=HELP)
def allow() -> None:
    """See HELP."""


def _own(*names: str, metavar: str, meaning: str) -> Callable[[Decorated], Decorated]:
    """An option that may be given without a value: then it is what the finding of --from has."""
    return click.option(*names, multiple=True, is_flag=False, flag_value="", metavar=metavar, help=meaning)


@allow.command(epilog=DONE)
@click.option("--from", "finding", metavar="FINDING", help="Take what the entry covers from this finding.")
@_own("--name", "--names", "names", metavar="[NAME]",
      meaning="A name (example.com), or its subdomains (.example.com); those of FINDING without a value.")  # fmt: skip
@_own("--address", "--addresses", "addresses", metavar="[ADDRESS]",
      meaning="An address, with port and transport if you like (203.0.113.9:443/tcp); that of FINDING without a value.",
)  # fmt: skip
@_own("--client", "--clients", "clients", metavar="[CLIENT]",
      meaning="A host, network or [groups] entry of ours; the clients of FINDING without a value.")  # fmt: skip
@click.option("--network", "networks", metavar="CIDR", multiple=True, help="A network that the hop is in.")
@click.option("--fingerprint", "fingerprints", metavar="KIND:VALUE", multiple=True, help="As `explain` shows them.")
@click.option("--asn", "asns", metavar="AS", multiple=True, help="An AS; needs network.asn_database in the settings.")
@click.option("--heuristic", "heuristics", metavar="NAME", multiple=True,
              help="Take away what this heuristic says of it, rather than hide it.")  # fmt: skip
@reason
@author
@expires
@click.option("--id", "entry_id", metavar="ID", help="Its name. [default: from the reason]")
@file
@options.config_file
@options.store_file
def add(
    finding: str | None,
    reason: str,
    author: str | None,
    expires: str,
    entry_id: str | None,
    allow_file: str | None,
    config_file: str | None,
    store_file: str | None,
    **conditions: tuple[str, ...],
) -> int:
    """Add an entry.

    With --from alone it is as narrow as sensible: the names that DNS led there by, else address and port, and the
    clients where they are few. Several values of an option: any of them; several options: all of them.
    """
    from hopscope import store
    from hopscope.allow import adding, writing

    using = _using(allow_file, config_file)
    today = options.now().date()
    asked = adding.Asked(
        reason=reason,
        author=_author(author),
        added=today,
        expires=_until(expires, today),
        id=entry_id,
        given={c: tuple(v for v in values if v) for c, values in conditions.items()},
        own=frozenset(c for c, values in conditions.items() if "" in values),
    )
    about = None if finding is None else store.find(options.kept(store_file), finding)
    made = adding.entry(asked, using.allowlist, about)
    writing.add(using.path, [made])
    _told([made.id], using, store_file, writing.to_toml(made).splitlines())
    return NOTHING


@allow.command("list", epilog=_CODES.format(one="1  an entry has a warning\n  "))
@options.form
@file
@options.config_file
@options.labels_file
@options.store_file
def list_(
    form: str | None,
    allow_file: str | None,
    config_file: str | None,
    labels_file: str | None,
    store_file: str | None,
) -> int:
    """List the entries: what each covers and hides now, when it last matched, when it ends, and what is doubtful."""
    from hopscope.allow import listing

    using = _using(allow_file, config_file)
    entries = listing.listed(using, store_file, labels_file, options.now())
    if options.form_for(form) == "jsonl":
        sys.stdout.writelines(f"{line}\n" for line in map(listing.to_json, entries))
    else:
        _page(listing.rows(entries, using.path, options.now().date()))
    return FOUND if any(e.warnings for e in entries) else NOTHING


@allow.command(epilog=_CODES.format(one="1  nothing hides it\n  "))
@click.argument("what", metavar="FINDING|ADDRESS|NAME")
@file
@options.config_file
@options.store_file
def test(what: str, allow_file: str | None, config_file: str | None, store_file: str | None) -> int:
    """Say which entries hide a finding, an address (with its port) or a name, and why others don't."""
    from hopscope.allow import trying

    using = _using(allow_file, config_file)
    tried = trying.tried(what, using.allowlist, options.kept(store_file), options.now(), using.fusion)
    _page(trying.rows(tried))
    return NOTHING if any(t.by is not None for t in tried) else FOUND


@allow.command(epilog=DONE)
@click.argument("entry", metavar="ID")
@file
@options.config_file
@options.store_file
def expire(entry: str, allow_file: str | None, config_file: str | None, store_file: str | None) -> int:
    """End an entry now. It stays in the file with its date, so that one can see what was allowed when."""
    from hopscope.allow import listing, writing

    using = _using(allow_file, config_file)
    today = options.now().date()
    if not using.allowlist.entry(entry).in_force(today):
        raise UsageError(f"{entry} expired already, on {using.allowlist.entry(entry).expires}")
    before = listing.hidden_by(using, store_file)
    writing.end(using.path, entry, today)
    using.refresh()
    still = {f.id for found in listing.hidden_by(using, store_file).values() for f in found}
    again = [f for f in before.get(entry, []) if f.id not in still]
    _say([f"{entry} ended on {today}", *_effect("not covered any more", again)])
    return NOTHING


@allow.command("import", epilog=DONE)
@click.argument("source", metavar="FILE")
@click.option("--format", "form", type=click.Choice(["zeek-intel", "misp", "list"]), help="[default: by its beginning]")
@reason
@author
@click.option("--expires", metavar="WHEN", required=True, help="Days (90d), the day it ends, or never.")
@click.option("--id", "entry_id", metavar="ID", help="Its name. [default: from the file's source]")
@file
@options.config_file
@options.store_file
def import_(
    source: str,
    form: str | None,
    reason: str,
    author: str | None,
    expires: str,
    entry_id: str | None,
    allow_file: str | None,
    config_file: str | None,
    store_file: str | None,
) -> int:
    """Take in a list of others: a file of Zeek's Intel framework, a MISP warninglist, or one item a line.

    Networks, addresses, names and fingerprints become an entry each. A warninglist says what is common, not what is
    harmless: lists of clouds and hosters hold the machines that hops are rented from.
    """
    from hopscope.allow import adding, exchange, writing

    using = _using(allow_file, config_file)
    today = options.now().date()
    taken = exchange.read(_text(source), source, form)
    asked = adding.Asked(reason, _author(author), today, _until(expires, today), entry_id)
    made = adding.imported(asked, taken, using.allowlist, Path(source).name)
    writing.add(using.path, made)
    counts = [f"{e.id}: {len(v):,} {c}" for e, (c, v) in zip(made, taken.conditions.items(), strict=True)]
    _told([e.id for e in made], using, store_file, [*counts, *taken.lines])
    return NOTHING


@allow.command(epilog=DONE)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--format", "form", type=click.Choice(["zeek-intel", "misp", "list"]), default="list", show_default=True)
@click.option("--type", "misp_type", type=click.Choice(["cidr", "hostname", "string"]), default="cidr",
              show_default=True, help="MISP: a warninglist has one type.")  # fmt: skip
@click.option("--out", metavar="FILE", help="Write it there instead of to standard output.")
@file
@options.config_file
def export(
    ids: tuple[str, ...],
    form: str,
    misp_type: str,
    out: str | None,
    allow_file: str | None,
    config_file: str | None,
) -> int:
    """Write the entries in force (or those named) as a list for others; what it can't say is told.

    zeek-intel has meta.whitelist set: with policy/frameworks/intel/whitelist Zeek keeps quiet about what is on it.
    """
    from hopscope import store, terminal
    from hopscope.allow import exchange

    using = _using(allow_file, config_file)
    today = options.now().date()
    wanted = [using.allowlist.entry(i) for i in ids] or list(using.allowlist.entries)
    text, lines = exchange.write([e for e in wanted if e.in_force(today)], form, misp_type, f"{today:%Y%m%d}")
    if out is None:
        sys.stdout.write(text)
    else:
        store.write_private(Path(out), text.removesuffix("\n").split("\n"), 0o644)  # Zeek may run as another user
    for line in lines:
        terminal.say(line)
    return NOTHING


def _using(named: str | None, config_file: str | None) -> Using:
    """The allowlist to look at or to change; one that was named needn't exist yet."""
    from hopscope import hunting
    from hopscope.allow.using import OFF, Using

    if named == OFF:
        raise UsageError("--allow none names no allowlist; leave the option out, or name a file")
    return Using(named, hunting.settings(config_file, None), options.now, must_exist=False)


def _author(named: str | None) -> str:
    return named if named is not None else os.environ.get("USER") or os.environ.get("LOGNAME") or ""


def _until(text: str, today: date) -> date | None:
    """The first day on which an entry no longer holds; None for never. Raises UsageError."""
    if text.strip().lower() == "never":
        return None
    days = _DAYS.fullmatch(text.strip().lower())
    try:
        until = today + timedelta(days=int(days[1])) if days else date.fromisoformat(text.strip())
    except ValueError as e:
        raise UsageError(f"--expires {text}: is neither days (90d) nor a date (2027-02-20) nor never") from e
    if until <= today:
        raise UsageError(f"--expires {text}: is over already; name a later day")
    return until


def _text(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: can't be read ({e})") from e


def _told(ids: Sequence[str], using: Using, store_file: str | None, lines: Iterable[str]) -> None:
    """What was written, what it hides now, and what is doubtful about it."""
    from hopscope.allow import listing
    from hopscope.outputs import words

    # first of all: findings or labels that can't be read leave it written
    _say([*lines, "", f"written to {words.place(using.path)}"])
    using.refresh()
    entries = [e for e in listing.listed(using, store_file, None, options.now()) if e.entry.id in ids]
    told: list[str] = []
    for e in entries:
        told += _effect("hidden" if not e.entry.heuristics else "hidden or counting for less", e.findings)
        told += [f"{e.entry.id}: {warning}" for warning in e.warnings]
    _say(told)


def _effect(what: str, findings: Sequence[Finding]) -> list[str]:
    from hopscope.outputs import words

    ids = f": {words.listed([f.id for f in findings], 5)}" if findings else ""
    return [f"{words.plural(len(findings), 'finding')} of the last run {what}{ids}"]


def _say(lines: Iterable[str]) -> None:
    from hopscope.outputs.page import Row

    _page(Row(line, whole=True) for line in lines)


def _page(rows: Iterable[Row]) -> None:
    from hopscope.outputs import page

    page.write(rows, page.console(sys.stdout))
