"""The command `hopscope whatif`."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hopscope import options
from hopscope.errors import UsageError
from hopscope.options import DONE_CODES, NOTHING

if TYPE_CHECKING:
    from hopscope.findings import Finding
    from hopscope.runs import Run
    from hopscope.whatif.changes import Ask, Parts


@click.command(epilog=DONE_CODES)
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="Another value, e.g. path_gap.floor_ms=25.")
@click.option("--disable", "off", multiple=True, metavar="HEURISTIC", help="Leave a heuristic out.")
@click.option("--enable", "on", multiple=True, metavar="HEURISTIC", help="Take in one that was left out.")
@click.option("--config", "config_file", metavar="FILE", help="This file of settings instead of the last run's.")
@click.option("--patch", metavar="FILE", help="Settings of a file on top, such as hopscope tune proposes.")
@options.severity
@options.form
@options.store_file
@options.labels_file
@options.allow_file
def whatif(
    values: tuple[str, ...],
    off: tuple[str, ...],
    on: tuple[str, ...],
    config_file: str | None,
    patch: str | None,
    severity: str,
    form: str | None,
    store_file: str | None,
    labels_file: str | None,
    allow_file: str | None,
) -> int:
    """Show what other settings would find in what the last hunt read.

    \b
    hopscope whatif --set path_gap.floor_ms=25 --disable cadence
    hopscope whatif --patch patch.toml

    Nothing is kept or changed, and no traffic is read again. Findings are those at or above the severity: which
    appear, vanish, rise and fall, and the piece of evidence that moved each most; with labels, precision and recall
    before and after. The allowlist hides nothing here: what it would hide is marked.
    """
    from hopscope import labels, store
    from hopscope.allow.applying import apply
    from hopscope.allow.using import Using
    from hopscope.configuring.loading import differences
    from hopscope.outputs import page, whatif_table
    from hopscope.whatif import changes, rescoring, supposing

    if not (values or off or on or config_file or patch):
        raise UsageError("nothing is supposed; try --set KEY=VALUE, --disable HEURISTIC, --patch FILE or --config FILE")
    path = options.kept(store_file)
    before = store.read(path)
    run = options.run_behind(path)
    if any(f.input != run.read for f in before):
        raise UsageError(f"{path}: the findings are of another hunt than what is kept beside them; hunt again")
    asked = supposing.Supposed(_file(config_file), _file(patch), values, off, on)
    config = supposing.supposed(run.config, asked, os.environ)
    again = rescoring.rescore(run, config)
    said = labels.read(options.labelled(labels_file))
    both = [*before, *again.findings]
    outcome = changes.outcome(before, again.findings, said, severity, _ask(run, both), _ask(again.run, both))
    told = labels.marked([c.finding for c in outcome.changes], said)
    hidden = apply(told, Using(allow_file, config, options.now).allowlist, options.now(), config.fusion).hidden
    marks = {f.id: f for f in told} | {f.id: f for f in hidden}
    summary = whatif_table.summary(
        outcome, differences(run.config, config), len(config.overrides) - len(run.config.overrides),
        again.again, severity,
    )  # fmt: skip
    if options.form_for(form) == "jsonl":
        sys.stdout.writelines(f"{line}\n" for line in whatif_table.jsonl(outcome, marks))
        page.write(summary, page.console(sys.stderr))
    else:
        page.write([*whatif_table.rows(outcome, marks), *summary], page.console(sys.stdout))
    return NOTHING


def _file(named: str | None) -> Path | None:
    return None if named is None else Path(named)


def _ask(run: Run, findings: Sequence[Finding]) -> Ask:
    """The parts of the score of any of these entities in the run."""
    from hopscope import fusion
    from hopscope.labels.making import stored

    few = _about(run, findings)

    def parts(finding: Finding) -> Parts:
        pieces = few.pieces(finding.entity.kind, stored(finding), finding.sensor or None)
        return {"prior": run.config.fusion.prior_db} | fusion.scaled_of(pieces, run.config.fusion)

    return parts


def _about(run: Run, findings: Sequence[Finding]) -> Run:
    """The run with the evidence about these entities alone: of a million pairs few."""
    import pyarrow as pa
    import pyarrow.compute as pc

    servers = pa.array(sorted({f.hop for f in findings}), pa.string())
    names = pa.array(sorted({f.entity.value for f in findings if f.entity.kind == "name"}), pa.string())
    networks = any(f.entity.kind == "network" for f in findings)

    def mine(table: pa.Table) -> pa.Table:
        wanted = pc.or_(pc.is_in(table["server"], value_set=servers), pc.is_in(table["name"], value_set=names))
        return table.filter(pc.or_(wanted, pc.match_substring(table["server"], ":")) if networks else wanted)

    return dataclasses.replace(run, tables={name: mine(table) for name, table in run.tables.items()})
