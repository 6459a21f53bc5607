"""The command `hopscope coverage`."""

from __future__ import annotations

import sys

import click

from hopscope.options import DONE_CODES, NOTHING


@click.command("coverage", epilog=DONE_CODES)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl", "markdown"]),
    default="table",
    show_default=True,
    help="A page, a line of JSON for each row, or the text of docs/coverage.md.",
)
def coverage(form: str) -> int:
    """Show what answers T1090.002, row by row, and what proves it.

    Rows are the nine techniques of MITRE D3FEND that counter it, the two host events and the two public Sigma rules
    that tell of it, and the three tools that its description names. Each has the heuristics, rules, outputs or sources
    that serve it, the captures (in pcaps/) and tests that prove it, and what it can't do. hopscope's own tests fail
    where a row has no proof. It speaks of hopscope as shipped: settings of yours that leave something out change
    nothing here.
    """
    from hopscope.coverage import rows
    from hopscope.outputs import coverage_table, page

    told = rows.coverage()
    if form == "table":
        page.write(coverage_table.rows(told), page.console(sys.stdout))
    else:
        lines = coverage_table.jsonl(told) if form == "jsonl" else coverage_table.markdown(told)
        sys.stdout.writelines(f"{line}\n" for line in lines)
    return NOTHING
