"""The command `hopscope explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hopscope import options
from hopscope.errors import UsageError
from hopscope.options import DONE_CODES, NOTHING

if TYPE_CHECKING:
    from hopscope.findings import Finding
    from hopscope.runs import Run


@click.command(epilog=DONE_CODES)
@click.argument("finding")
@options.config_file
@options.allow_file
@options.labels_file
@options.store_file
def explain(
    finding: str, config_file: str | None, allow_file: str | None, labels_file: str | None, store_file: str | None
) -> int:
    """Explain FINDING: its evidence, what would change it, and the ordinary thing most like it.

    FINDING is the id that hunt shows, or as much of it as is unique. Told are each heuristic's numbers, thresholds
    and facts; what the finding would be without it; how far a threshold would have to move for it to be less, or
    none; the nearest ordinary destination; the connections behind it; and the allowlist entry that would hide it.
    """
    from hopscope import hunting, labels, store
    from hopscope.allow.showing import made
    from hopscope.allow.using import Using
    from hopscope.explaining import beside
    from hopscope.outputs import explanation, page

    path = options.kept(store_file)
    found = store.find(path, finding)
    run, lacking = _run(path, found)
    config = hunting.settings(config_file, None)
    using = Using(allow_file, config, options.now)
    said = labels.read(options.labelled(labels_file))
    after = using.over(labels.marked([found], said), made(path))
    told = (*after.shown, *after.hidden)[0]
    settings = config.fusion if run is None else run.config.fusion  # those that the score is of
    more = beside.tell(told, store.read(path), said, run, settings, using.today, lacking)
    page.write(explanation.rows(told, more), page.console(sys.stdout))
    return NOTHING


def _run(findings: Path, finding: Finding) -> tuple[Run | None, str | None]:
    """What the finding was weighed from; None where that can't be asked, with a line that says why."""
    try:
        run = options.run_behind(findings)
    except UsageError as e:
        return None, str(e)
    if finding.input != run.read:
        return None, f"{findings}: what is kept beside the findings is of another hunt; hunt again"
    return run, None
