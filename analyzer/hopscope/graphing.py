"""The command `hopscope graph`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hopscope import options
from hopscope.errors import UsageError
from hopscope.options import EXIT_CODES, NOTHING


@click.command(epilog=EXIT_CODES)
@options.captures
@click.option(
    "--format", "form", type=click.Choice(["graphml", "json"]), default="graphml", show_default=True,
    help="GraphML, or JSON in networkx's node-link form.",
)  # fmt: skip
@click.option("-o", "--out", metavar="FILE", help="Write the graph there instead of to standard output.")
@options.severity
@options.local_nets
@options.config_file
@options.allow_file
@options.sensor
def graph(
    captures: tuple[str, ...],
    form: str,
    out: str | None,
    severity: str,
    local_nets: str | None,
    config_file: str | None,
    allow_file: str | None,
    sensor: str,
) -> int:
    """Hunt, and write what was found as a graph: clients, hops, far ends, names and certificates.

    INPUT is what hunt takes. Hops of this severity and above become nodes; chains of hops and campaigns (hops that
    share a certificate or a behaviour) are told with it. The exit code is 0 whatever was found.
    """
    from hopscope import graph as graphs
    from hopscope import hunting, terminal
    from hopscope.allow.using import Using
    from hopscope.outputs import graph_files

    options.check_input(captures)
    config = hunting.settings(config_file, local_nets)
    if out is not None:
        options.check_output(Path(out))
    using = Using(allow_file, config, options.now)
    found = options.hunted(captures, config, sensor)
    allowed = using.over(found)
    made = graphs.build(found.only(allowed.shown, found.matches).at_least(severity))
    for problem in (*(found.input.problems or []), *allowed.lines):
        terminal.say(problem)
    if made.chains.cut:
        terminal.say("there are longer or further chains than were followed")
    text = graph_files.FORMS[form](made.graph)
    if out is None:
        sys.stdout.write(text)
        return NOTHING
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as e:
        raise UsageError(f"{out}: can't be written ({e.strerror}); name a writable file with --out") from e
    return NOTHING
