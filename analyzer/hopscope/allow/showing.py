"""The command `hopscope findings`: what the last run found, after allowlist and labels."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from hopscope import options
from hopscope.options import EXIT_CODES, FOUND, NOTHING


@click.command(epilog=EXIT_CODES)
@click.option("--all", "everything", is_flag=True, help="Show findings that the allowlist hides as well, and by what.")
@options.form
@options.severity
@options.config_file
@options.allow_file
@options.labels_file
@options.store_file
def findings(
    everything: bool,
    form: str | None,
    severity: str,
    config_file: str | None,
    allow_file: str | None,
    labels_file: str | None,
    store_file: str | None,
) -> int:
    """List the findings of the last run, after your allowlist as it is now, with what labels say of them, and what
    Sigma rules fired on.

    With --format jsonl a hidden finding is one whose `suppression` isn't null.
    """
    from hopscope import hunting, labels, matches, places, runs, store
    from hopscope.allow.using import Using
    from hopscope.findings import Findings
    from hopscope.outputs import jsonl, match_table, page, table
    from hopscope.records import InputCount

    path = options.kept(store_file)
    using = Using(allow_file, hunting.settings(config_file, None), options.now)
    said = labels.read(options.labelled(labels_file))
    after = using.over(labels.marked(store.read(path), said), made(path))
    beside = runs.beside(places.run_of(path))
    fired = matches.told(beside["matches"].to_pylist(), beside["processes"])
    rules = using.fired(fired, made(path))
    visible = Findings(after.shown, InputCount(), rules.shown)
    shown = visible.at_least(severity)
    hidden = Findings(after.hidden if everything else (), InputCount(), rules.hidden if everything else ())
    hidden = hidden.at_least(severity)
    matched = (*shown.matches, *hidden.matches)
    rows = [table.verdict(shown, visible, severity), *table.allowed((*after.lines, *rules.lines))]
    if options.form_for(form) == "jsonl":
        lines = (*map(jsonl.finding, (*shown, *hidden)), *map(jsonl.rule_match, matched))
        sys.stdout.writelines(f"{line}\n" for line in lines)
        page.write(rows, page.console(sys.stderr))
    else:
        listed = sorted((*shown, *hidden), key=lambda f: (-f.score_db, f.id))
        told = [row for f in listed for row in (*table.told_of(f), page.Row())]
        page.write([*told, *match_table.rows(matched), *rows], page.console(sys.stdout))
    return FOUND if shown or shown.matches else NOTHING


def made(path: Path) -> datetime:
    """When a file of findings was written."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
