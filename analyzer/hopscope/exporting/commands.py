"""The command `hopscope export`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hopscope import options
from hopscope.errors import UsageError
from hopscope.exporting import FORMATS
from hopscope.options import DONE_CODES, NOTHING

if TYPE_CHECKING:
    from hopscope.exporting.blocklist import Blocklist
    from hopscope.findings import Finding
    from hopscope.runs import Run

TOLD = 100  # lines on what isn't listed; the rest is counted


@click.command(epilog=DONE_CODES)
@click.argument("form", type=click.Choice(FORMATS), metavar="|".join(FORMATS))
@click.option("--severity", type=options.SEVERITY, default="high",
              show_default=True, help="List findings of this severity and above.")  # fmt: skip
@click.option("--expires", metavar="WHEN", default="7d", show_default=True,
              help="How long a hop is listed after it was last seen (12h, 7d, 2w), or the day all ends.")  # fmt: skip
@click.option("--never", "nevers", metavar="FILE|CIDR", multiple=True,
              help="Never list this: a network, an address, or a file with networks, addresses and names.")  # fmt: skip
@click.option("--shared", metavar="NAMES", type=click.IntRange(min=1), default=20, show_default=True,
              help="Never list an address to which DNS led by more names than this.")  # fmt: skip
@click.option("--addresses", "whole", is_flag=True,
              help="List whole addresses, without ports, for what knows no ports.")  # fmt: skip
@click.option("--chains", is_flag=True, help="nftables: with the chains that drop; without, nothing blocks.")
@click.option("--out", metavar="FILE", help="Write it there, in one step, instead of to standard output.")
@click.option("--without-run", is_flag=True, help="List even where what the hunt weighed isn't kept.")
@options.local_nets
@options.config_file
@options.allow_file
@options.labels_file
@options.store_file
def export(
    form: str,
    severity: str,
    expires: str,
    nevers: tuple[str, ...],
    shared: int,
    whole: bool,
    chains: bool,
    out: str | None,
    without_run: bool,
    local_nets: str | None,
    config_file: str | None,
    allow_file: str | None,
    labels_file: str | None,
    store_file: str | None,
) -> int:
    """Write the hops of the last run as a list for a firewall, for Zeek, or one a line.

    \b
    hopscope export nftables --out hops.nft && nft -f hops.nft
    hopscope export zeek-intel --out /opt/zeek/share/zeek/site/hops.dat
    hopscope export plain --severity critical --expires 24h --never partners.txt

    Nothing blocks by itself: nftables gets sets, and chains that drop only with --chains. Never listed are your own
    networks, resolvers, your own proxies, what the allowlist hides or lowers, what is labelled benign, addresses that
    many names share, special ranges, and what --never names; each is told with its reason. docs/filtering.md tells
    more.
    """
    from hopscope import hunting, labels, store
    from hopscope.allow.applying import apply
    from hopscope.allow.using import Using
    from hopscope.exporting import blocklist, expiry, guards, known
    from hopscope.exporting.never import Never, given

    if chains and form != "nftables":
        raise UsageError(f"--chains is for nftables; {form} has no chains")
    now = options.now()
    ends = expiry.parse(expires, now)
    config = hunting.settings(config_file, local_nets)
    path = options.kept(store_file)
    findings = store.read(path)
    allowlist = Using(allow_file, config, options.now).allowlist
    said = labels.read(options.labelled(labels_file))
    if out is not None:
        options.check_output(Path(out))
    run = None if without_run else _run(path, findings)
    facts = known.of_findings(findings) if run is None else known.of_run(run, findings)
    after = apply(findings, allowlist, now, config.fusion)
    fits = labels.of(findings, said)
    never = Never()
    guards.ours(never, [config] if run is None else [config, run.config], facts)
    given(never, nevers)
    refused = guards.allowed(never, after, allowlist, now.date())
    guards.benign(never, said)
    rules = blocklist.Rules(
        severity, ends, shared, ports=form != "zeek-intel" and not whole, names=form == "zeek-intel"
    )
    made = blocklist.make((*after.shown, *after.hidden), refused, fits, never, facts, rules, now)
    _write(made, form, chains, out)
    _tell(made, [*after.lines, *(facts.doubts if findings else ())])
    return NOTHING


def _run(path: Path, findings: Iterable[Finding]) -> Run:
    """What the findings were weighed from. Raises UsageError where it isn't there: who shares an address is unknown."""
    try:
        run = options.run_behind(path)
    except UsageError as e:
        raise UsageError(
            f"{e}. Without it resolvers and addresses that many names share aren't known, and would be listed; "
            "--without-run lists all the same"
        ) from e
    if any(f.input != run.read for f in findings):
        raise UsageError(
            f"{path}: the findings are of another hunt than what is kept beside them; hunt again, or --without-run"
        )
    return run


def _write(made: Blocklist, form: str, chains: bool, out: str | None) -> None:
    from hopscope import store
    from hopscope.outputs import nftables, plain_list, zeek_intel

    if form == "nftables":
        lines = nftables.lines(made, chains)
    else:
        lines = zeek_intel.lines(made) if form == "zeek-intel" else plain_list.lines(made)
    if out is None:
        sys.stdout.writelines(f"{line}\n" for line in lines)
    else:
        store.write_private(Path(out), lines, 0o644)  # Zeek and firewalls may run as other users


def _tell(made: Blocklist, lines: Iterable[str]) -> None:
    """On standard error: what isn't listed and why, then how much is."""
    from hopscope import terminal
    from hopscope.outputs import words

    for left in made.left[:TOLD]:
        terminal.say(left.text)
    if len(made.left) > TOLD:
        terminal.say(f"and {len(made.left) - TOLD:,} more are not listed")
    for line in lines:
        terminal.say(line)
    below = f"; {words.plural(made.below, 'finding')} below {made.floor}" if made.below else ""
    terminal.say(f"{words.plural(len(made.listed), 'line')} listed, {len(made.left):,} not{below}")
