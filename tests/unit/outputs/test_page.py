"""Rows become lines: wrapped under themselves, harmless, with colour only on a terminal."""

from __future__ import annotations

import io

import pytest

from hopscope.outputs import page
from hopscope.outputs.page import Row


def text(*rows: Row, width: int = 40) -> list[str]:
    return [line.plain for line in page.lines(rows, width)]


def test_text_wraps_under_itself() -> None:
    assert text(Row("one two three four five six seven", "why", 6, indent=2)) == [
        "  why   one two three four five six",
        "        seven",
    ]


def test_a_text_at_the_right_stands_at_the_end_where_there_is_room() -> None:
    assert text(Row("short", right="hop-1")) == ["short" + " " * 30 + "hop-1"]
    assert text(Row("x" * 38, right="hop-1")) == ["x" * 38 + "  hop-1"]


def test_a_table_row_stays_whole() -> None:
    assert text(Row("a  b " * 12, whole=True)) == [("a  b " * 12).rstrip()]


def test_a_long_word_is_not_broken() -> None:
    name = "a" * 70 + ".example"
    assert text(Row(name)) == [name]


def test_a_label_longer_than_its_column_stays_apart_from_the_text() -> None:
    assert text(Row("text", "Cabcdef", 4)) == ["Cabcdef  text"]


def test_what_the_wire_says_does_not_reach_the_terminal() -> None:
    [line] = text(Row("\x1b[2J[bold]x[/bold]", "\x07label", 10), width=80)
    assert line == r"\x07label \x1b[2J[bold]x[/bold]"


@pytest.mark.parametrize("terminal", [False, True])
def test_colour_only_on_a_terminal(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    stream = io.StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]
    page.write([Row("hot", "LABEL", 8, style="bold red"), Row("[red]:smile: 10.0.0.1")], page.console(stream))
    assert ("\x1b[" in stream.getvalue()) is terminal
    assert "[red]:smile: 10.0.0.1" in stream.getvalue()
