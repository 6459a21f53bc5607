"""The command `hopscope tune`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hopscope import options
from hopscope.errors import UsageError

if TYPE_CHECKING:
    from hopscope.config import Config
    from hopscope.labels import Label
    from hopscope.outputs.page import Row
    from hopscope.tuning.model import Example, Labelled, Settings
    from hopscope.tuning.patch import Source
    from hopscope.tuning.validation import Proposal

PROPOSED, KEEP = 0, 1
LIBRARIES = {"sklearn": "scikit-learn", "scipy": "SciPy", "threadpoolctl": "threadpoolctl"}
LABEL_WIDTH = 11

TUNE_CODES = """\b
Exit codes:
  0  better settings are proposed
  1  nothing better was found: keep what you have
  2  too few labels, wrong usage or configuration, or a file that can't be read or written
"""


@click.command(epilog=TUNE_CODES)
@options.labels_file
@options.config_file
@click.option("--out", metavar="FILE", help="Write the patch there. [default: to standard output]")
@click.option(
    "--lose", metavar="N", type=click.IntRange(0), default=0, show_default=True,
    help="Hops among the labels held out that may be lost for fewer false findings.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="How labels are parted.")
def tune(labels_file: str | None, config_file: str | None, out: str | None, lose: int, seed: int) -> int:
    """Propose weights, prior and severities from the labels.

    \b
    hopscope tune --out patch.toml
    hopscope whatif --patch patch.toml

    The proposal is a file of settings with its measured effect as comments; nothing is applied. Its figures are of
    labels that had no say in it: they are held out by hop, several times. It needs labels of at least 10 different
    hops and 20 different benign destinations, and proposes nothing that doesn't lower false findings on labels held
    out or that loses hops. More evidence never lowers a score, whatever the labels say.
    """
    import sys

    from hopscope import hunting, labels, store, terminal
    from hopscope.outputs import page
    from hopscope.tuning import model, patch, validation

    _check_libraries()
    if out is not None:
        _check_out(Path(out))
    config = hunting.settings(config_file, None)
    given = labels.in_force(labels.read(options.labelled(labels_file)))
    known = [label for label in given if label.pieces is not None]
    if sys.stderr.isatty():
        terminal.say("fitting to parts of the labels and measuring on the others; this takes up to a minute")
    columns = model.labelled([example(label) for label in known], config.fusion, config.disabled)
    current = current_settings(columns.heuristics, config)
    proposal = validation.propose(columns, current, model.shape(columns.heuristics, config.fusion), seed, lose)
    source = _source(columns, known, len(given) - len(known), proposal)
    summary = list(_rows(columns, current, proposal, source))
    if proposal.refused is not None:
        page.write([*summary, _row("verdict", f"keep what you have: {proposal.refused}")], page.console(sys.stdout))
        return KEEP
    text = patch.text(proposal, columns.heuristics, current, source)
    if out is None:
        sys.stdout.write(text)
        page.write(summary, page.console(sys.stderr))
        return PROPOSED
    store.write_private(Path(out), text.splitlines())
    told = f"{out}; nothing is applied: hopscope whatif --patch {out} shows what it would do"
    page.write([*summary, _row("written", told)], page.console(sys.stdout))
    return PROPOSED


def _check_libraries() -> None:
    lacking = [name for module, name in LIBRARIES.items() if importlib.util.find_spec(module) is None]
    if lacking:
        raise UsageError(
            f"tune needs {' and '.join(lacking)}, not installed here; install with pip install 'hopscope[tune]'"
        )


def _check_out(out: Path) -> None:
    """A patch may replace an older one, and nothing else: names of settings files lie near."""
    from hopscope import store
    from hopscope.tuning.patch import HEAD

    store.check_writable(out, "--out")
    if out.is_file():
        with out.open("rb") as f:
            if not f.read(len(HEAD)) == HEAD.encode():
                raise UsageError(f"{out}: is there and no patch of tune's; name another file with --out")


def example(label: Label) -> Example:
    """A label as the fit sees it; only labels whose pieces are known."""
    from hopscope.tuning.model import Example

    own = (label.entity.value,) if label.entity.kind == "name" else ()
    return Example(label.verdict == "hop", label.pieces or {}, label.hop, (*own, *label.names, *label.dns_names))


def current_settings(heuristics: tuple[str, ...], config: Config) -> Settings:
    """What is in force, of what the fit may change."""
    import numpy as np

    from hopscope.tuning.model import Settings

    f = config.fusion
    weights = np.array([f.weights.get(h, 1.0) for h in heuristics])
    return Settings(f.prior_db, weights, f.medium_db, f.high_db, f.critical_db)


def _source(columns: Labelled, known: list[Label], left_out: int, proposal: Proposal) -> Source:
    from hopscope import __version__
    from hopscope.tuning.patch import Source

    middle = proposal.middle
    return Source(
        __version__, f"{options.now():%Y-%m-%d}", int(columns.hop.sum()), int((~columns.hop).sum()),
        len(set(columns.place.tolist())), left_out,
        tuple(known[row].entity.value for row in middle.lost), tuple(known[row].entity.value for row in middle.gained),
    )  # fmt: skip


def _rows(columns: Labelled, current: Settings, proposal: Proposal, source: Source) -> Iterator[Row]:
    from hopscope.tuning import patch

    left = f"; {source.left_out} left out, as nothing is known of their evidence" if source.left_out else ""
    yield _row("labels", f"{source.hops} hops and {source.benign} benign, of {source.places} places{left}")
    for label, line in zip(("held out", "", ""), patch.effects(proposal), strict=True):
        yield _row(label, line)
    if proposal.refused is not None:
        return
    for which, hops in (("lost", source.lost), ("new", source.gained)):
        if hops:
            yield _row(f"{which} hops", ", ".join(hops))
    for n, change in enumerate(patch.changes(proposal, columns.heuristics, current)):
        yield _row("" if n else "proposed", f"fusion.{change.name} = {change.new:g} (was {change.old:g})")


def _row(label: str, text: str) -> Row:
    from hopscope.outputs.page import Row

    return Row(text, label, LABEL_WIDTH)
