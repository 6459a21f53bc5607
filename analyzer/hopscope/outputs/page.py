"""A page for people: labelled rows, wrapped to the width, with every text made harmless on its way out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.text import Text

from hopscope.outputs.escape import visible

PLAIN_WIDTH = 100  # where the output is no terminal, so that the same run gives the same text
MAX_WIDTH = 120  # longer lines are hard to read, however wide the terminal


@dataclass(frozen=True)
class Row:
    """A line of a page: `label` in a column of `label_width`, `text` beside it, wrapped under itself.

    A `whole` text is not wrapped (a table's row). A `right` text stands at the right end of the first line
    where there is room. Style names are rich's; they colour the label, or the text where there is no label.
    """

    text: str = ""
    label: str = ""
    label_width: int = 0
    indent: int = 0
    right: str = ""
    whole: bool = False
    style: str = ""


def table(cells: Sequence[Sequence[str]], indent: int = 0) -> Iterator[Row]:
    """Rows of columns as wide as their longest entry; the last may be as long as it likes."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        text = "  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip()
        yield Row(text, indent=indent, whole=True)


def console(stream: TextIO) -> Console:
    """A console that interprets nothing in the text it is given; colours only on a terminal (see NO_COLOR)."""
    made = Console(file=stream, markup=False, emoji=False, highlight=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = PLAIN_WIDTH
    return made


def write(rows: Iterable[Row], to: Console) -> None:
    """Print the rows."""
    for line in lines(rows, min(to.width, MAX_WIDTH)):
        to.print(line)


def lines(rows: Iterable[Row], width: int) -> Iterator[Text]:
    """The rows as lines of at most `width` columns (longer where a word is)."""
    for row in rows:
        yield from _lines(row, width)


def _lines(row: Row, width: int) -> list[Text]:
    label = visible(row.label)
    if label and len(label) >= row.label_width:
        label += "  "
    lead = " " * row.indent + label.ljust(row.label_width)
    shown = visible(row.text, 2000)
    room = max(20, width - len(lead))
    wrapped = textwrap.wrap(shown, room, break_long_words=False, break_on_hyphens=False) if not row.whole else [shown]
    wrapped = wrapped or [""]
    first = f"{lead}{wrapped[0]}"
    right = visible(row.right)
    if right:
        first = f"{first:<{width - len(right)}}{right}" if len(first) + len(right) + 2 <= width else f"{first}  {right}"
    text = Text(first.rstrip())
    if row.style:
        text.stylize(row.style, row.indent, len(lead.rstrip()) if row.label else len(first))
    return [text, *(Text(" " * len(lead) + line) for line in wrapped[1:])]
