"""The coverage of the technique: as a page, as JSON Lines, and as the tables of docs/coverage.md."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec

from hopscope.coverage.rows import KINDS, Coverage, Row
from hopscope.outputs import page

LABELS = 11
NOUNS = {"heuristics": "heuristic", "rules": "rule", "outputs": "output", "sources": "source"}


def rows(told: Coverage) -> Iterator[page.Row]:
    """All rows, kind by kind, each with what serves it, what proves it, and its limits."""
    yield page.Row("T1090.002 External Proxy: what answers it, and what proves that", style="bold")
    for kind, heading in KINDS.items():
        yield page.Row()
        yield page.Row(f"{heading} ({len(told.of(kind))})", style="bold")
        for row in told.of(kind):
            yield page.Row()
            yield page.Row(row.id if row.name == row.id else f"{row.id}  {row.name}", style="bold", indent=2)
            yield page.Row(_served(row), "served by", LABELS, indent=4)
            for label, text in zip(itertools.chain(["proof"], itertools.repeat("")), _proofs(row), strict=False):
                yield page.Row(text, label, LABELS, indent=4)
            yield page.Row(row.limits, "limits", LABELS, indent=4)


def jsonl(told: Coverage) -> Iterator[str]:
    """One row a line, in the form that `coverage.toml` has."""
    for row in (r for kind in KINDS for r in told.of(kind)):
        yield msgspec.json.encode(row).decode()


def markdown(told: Coverage, root: str | None = None) -> Iterator[str]:
    """A table for each kind. With `root`, the way to the project's root, proofs are links to their files."""
    for kind, heading in KINDS.items():
        yield f"## {heading}"
        yield ""
        yield f"| {kind} | served by | proof | limits |"
        yield "| --- | --- | --- | --- |"
        for row in told.of(kind):
            name = row.id if row.name == row.id else f"{row.id} {row.name}"
            served = "; ".join(
                f"{_noun(what, names)} {', '.join(f'`{n}`' for n in names)}"
                for what, names in row.served.named().items()
            )
            proofs = [
                f"{_linked(s.capture, f'pcaps/{s.capture}.json', root)} ({', '.join(s.heuristics)})"
                for s in row.proof.captures
            ]
            proofs += [_linked(_test(t), t.partition("::")[0], root) for t in row.proof.tests]
            cells = (f"[{name}]({row.reference})", served, "<br>".join(proofs), row.limits)
            yield f"| {' | '.join(c.replace('|', '&#124;') for c in cells)} |"
        yield ""


def _served(row: Row) -> str:
    return "; ".join(f"{_noun(what, names)} {', '.join(names)}" for what, names in row.served.named().items())


def _proofs(row: Row) -> Iterator[str]:
    for shown in row.proof.captures:
        yield f"capture {shown.capture}: {', '.join(shown.heuristics)}"
    yield from row.proof.tests


def _noun(what: str, names: tuple[str, ...]) -> str:
    return NOUNS[what] if len(names) == 1 else what


def _test(node: str) -> str:
    """The test without its directory."""
    return node.rpartition("/")[2]


def _linked(text: str, file: str, root: str | None) -> str:
    return f"`{text}`" if root is None else f"[{text}]({root}/{file})"
