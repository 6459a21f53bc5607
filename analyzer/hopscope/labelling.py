"""The commands `hopscope label` and `hopscope labels`."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hopscope import options, places
from hopscope.errors import UsageError
from hopscope.options import DONE_CODES, NOTHING

if TYPE_CHECKING:
    from hopscope.labels.kept import Label
    from hopscope.labels.making import Said
    from hopscope.runs import Run

AHEAD = timedelta(days=1)  # how far another machine's clock may be ahead of ours
VERDICTS = ("hop", "benign")
CONTRADICTIONS = 10  # of an import, told one by one


@click.command(epilog=DONE_CODES)
@click.argument("words", nargs=-1, required=True, metavar="FINDING|ADDRESS[:PORT[/PROTO]]|NAME... [hop|benign]")
@click.option("--note", default="", help="Why, for those who read it later.")
@click.option("--author", help="Who says so. [default: the user's name]")
@click.option("--remove", is_flag=True, help="Take back what was said of it.")
@options.labels_file
@options.store_file
def label(
    words: tuple[str, ...],
    note: str,
    author: str | None,
    remove: bool,
    labels_file: str | None,
    store_file: str | None,
) -> int:
    """Say whether findings are hops or benign.

    \b
    hopscope label hop-3fa9c21b7d benign --note "the night's backup"
    hopscope label 203.0.113.9:443 198.51.100.7 hop

    A label sticks to the behaviour: it fits the same destination in later runs, and its name at a new address where
    DNS gave it. A benign label no longer counts once the finding shows a new kind of evidence. What isn't a finding
    can be labelled too, so that whatif and tune know of hops that were missed.
    """
    from hopscope import labels, terminal
    from hopscope.labels import making

    verdict = words[-1] if words[-1] in VERDICTS else None
    named = words if verdict is None else words[:-1]
    if remove == (verdict is not None) or not named:
        raise UsageError("say hop or benign, or --remove, and not both; hopscope label --help shows how")
    place = options.labelled(labels_file)
    if remove:
        with labels.changing(place) as kept:
            taken = [_removed(kept, what, store_file) for what in named]
        for gone in taken:
            _say(f"{len(gone)} of {_about(gone[0])} removed")
        return NOTHING
    by = making.Said("hop" if verdict == "hop" else "benign", options.now(), _author(author), note)
    given = _given(named, by, store_file)
    with labels.changing(place) as kept:
        before = {(old.entity, old.sensor): old for old in reversed(labels.in_force(kept))}
        kept += given
    for new in given:
        old = before.get((new.entity, new.sensor))
        changed = "" if old is None or old.verdict == new.verdict else f" (was {labels.summary(old)})"
        _say(f"{_about(new)} labelled {new.verdict}{changed}")
        if new.pieces is None:
            terminal.say("nothing is known of its evidence: tune leaves this label out until it is given after a hunt")
    return NOTHING


@click.group("labels", invoke_without_command=True, epilog=DONE_CODES)
@click.pass_context
def labels_group(context: click.Context) -> int:
    """List labels, and take them from one machine to another."""
    if context.invoked_subcommand is None:
        return int(context.invoke(listed))
    return NOTHING


@labels_group.command("list", epilog=DONE_CODES)
@options.form
@options.severity
@options.labels_file
@options.store_file
def listed(form: str | None, severity: str, labels_file: str | None, store_file: str | None) -> int:
    """List the labels in force, newest first.

    Beside each is the last run's finding that it fits; below are precision and recall of the findings at or above
    the severity.
    """
    from hopscope import labels, store
    from hopscope.outputs import label_table, page

    kept = labels.in_force(labels.read(options.labelled(labels_file)))
    if options.form_for(form) == "jsonl":
        sys.stdout.writelines(f"{given.to_json()}\n" for given in kept)
        return NOTHING
    path = options.kept(store_file)
    findings = store.read(path) if path.exists() or store_file is not None else []
    page.write(label_table.rows(kept, findings, severity), page.console(sys.stdout))
    return NOTHING


@labels_group.command("export", epilog=DONE_CODES)
@click.option("-o", "--out", metavar="FILE", help="Write them there instead of to standard output.")
@options.labels_file
def export(out: str | None, labels_file: str | None) -> int:
    """Write the labels as JSON Lines.

    All that were given, in their order.
    """
    from hopscope import labels

    kept = labels.read(options.labelled(labels_file))
    if out is None:
        sys.stdout.writelines(f"{given.to_json()}\n" for given in kept)
    else:
        labels.write(Path(out), kept)
    return NOTHING


@labels_group.command("import", epilog=DONE_CODES)
@click.argument("file", metavar="FILE")
@options.labels_file
def import_(file: str, labels_file: str | None) -> int:
    """Add labels of another machine.

    FILE (- for standard input) is what `hopscope labels export` wrote. Labels that are there already are passed over;
    where two speak of one thing, the newer is in force.
    """
    from hopscope import labels

    if file == "-":
        text = sys.stdin.read()
    else:
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise UsageError(f"{file}: can't be read ({e}); name a file that `hopscope labels export` wrote") from e
    read = labels.parse(text.split("\n"), "standard input" if file == "-" else file)
    late = [given for given in read if labels.moment(given) > options.now() + AHEAD]
    if late:
        raise UsageError(
            f"{file}: the label of {_about(late[0])} is of {late[0].time}, which is to come, and would outlast all "
            "others; correct its time"
        )
    with labels.changing(options.labelled(labels_file)) as kept:
        before = {(old.sensor, old.entity): old.verdict for old in labels.in_force(kept)}
        there = {old.to_json() for old in kept}
        new = [given for line, given in {g.to_json(): g for g in read}.items() if line not in there]
        kept.extend(new)
        after = labels.in_force(kept)
    others = [now for now in after if before.get((now.sensor, now.entity), now.verdict) != now.verdict]
    _say(f"{len(read)} labels read: {len(new)} new, {len(read) - len(new)} there already")
    for now in others[:CONTRADICTIONS]:
        _say(f"{_about(now)} is now {now.verdict}")
    if len(others) > CONTRADICTIONS:
        _say(f"and {len(others) - CONTRADICTIONS} more changed")
    return NOTHING


def said(named: str | None) -> list[Label]:
    """The labels that a hunt shows; those of the usual file that can't be read are told, and none is shown.

    Raises UsageError for a named file that can't be read.
    """
    from hopscope import labels, terminal

    try:
        return labels.read(options.labelled(named))
    except UsageError as e:
        if named is not None:
            raise
        terminal.say(f"labels aren't shown: {e}")
        return []


def _author(named: str | None) -> str:
    return named if named is not None else os.environ.get("USER") or os.environ.get("LOGNAME") or ""


def _given(named: Iterable[str], by: Said, store_file: str | None) -> list[Label]:
    """The labels of what the user names."""
    from hopscope import store
    from hopscope.labels import making

    path = options.kept(store_file)
    findings = store.read(path) if path.exists() or store_file is not None else []
    several = len({f.sensor for f in findings}) > 1
    run = functools.cache(lambda: _run(path))  # read when something is named that isn't a finding, and once
    given = []
    for what in named:
        wanted = making.target(what)
        if wanted is None:
            kept = findings or store.read(path)  # which tells what to do where there is no file
            given.append(making.of_finding(store.only(kept, what, path), by))
            continue
        exact = [f for f in findings if f.entity == wanted.entity]
        # what is a finding needs no run, unless another sensor may have seen it below low
        given += making.of_target(wanted, by, findings, None if exact and not several else run())
    return given


def _removed(kept: list[Label], what: str, store_file: str | None) -> list[Label]:
    """Takes all labels of one entity out of those kept, and gives them. Raises UsageError where there are none."""
    from hopscope import store
    from hopscope.labels import making

    wanted = making.target(what)
    gone = [old for old in kept if old.entity == wanted.entity] if wanted is not None else store.named(kept, what)
    if len({(old.sensor, old.entity) for old in gone}) > 1:
        ids = sorted({old.id for old in gone})
        remedy = "give more of the id" if wanted is None else "they are of several sensors: give the id of one"
        raise UsageError(f"'{what}' fits {', '.join(ids[:5])}; {remedy}")
    if not gone:
        raise UsageError(f"nothing was said of '{what}' itself{_said_by_another(kept, what, store_file)}")
    kept[:] = [old for old in kept if old not in gone]
    return gone


def _said_by_another(kept: list[Label], what: str, store_file: str | None) -> str:
    """Where another entity's label fits the finding: which."""
    from hopscope import labels, store

    try:
        fits = labels.of([finding := store.find(options.kept(store_file), what)], kept)
    except UsageError:
        return "; hopscope labels lists what was said"
    if finding.id not in fits:
        return "; hopscope labels lists what was said"
    return f"; it is labelled through {_about(fits[finding.id].label)}, remove that"


def _run(findings: Path) -> Run | None:
    """What the last hunt weighed; None where it isn't kept or can't be used, which is told."""
    from hopscope import terminal

    if not places.run_of(findings).exists():
        return None
    try:
        return options.run_behind(findings)
    except UsageError as e:
        terminal.say(str(e))
        return None


def _about(given: Label) -> str:
    return f"{given.id} ({given.entity.value})"


def _say(text: str) -> None:
    from hopscope.outputs import page

    page.write([page.Row(text)], page.console(sys.stdout))
