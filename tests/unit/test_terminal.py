"""What goes to standard error: harmless lines, and a bar only where a person watches."""

from __future__ import annotations

import io
import sys

import pytest

from hopscope import terminal
from hopscope.hunting import Reading
from hopscope.records import InputCount


class Screen(io.StringIO):
    """A standard error that is a terminal or not."""

    def __init__(self, terminal: bool):
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def shown(monkeypatch: pytest.MonkeyPatch, is_terminal: bool, total: int | None) -> str:
    """What is on the screen after a run over `total` bytes."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr(sys, "stderr", Screen(is_terminal))
    with terminal.progress() as progress:
        if progress is not None:
            for done in range(0, 20_000_001, 5_000_000):
                progress(Reading(done, total, InputCount(packets=done // 100)))
    return sys.stderr.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_long_run_on_a_terminal_shows_rate_and_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown(monkeypatch, True, 20_000_000)
    assert "20.0/20.0 MB" in screen
    assert "200,000 packets" in screen
    assert "B/s" in screen
    assert "0:00:00" in screen


def test_a_pipe_has_no_end_and_a_bar_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "200,000 packets" in shown(monkeypatch, True, None)


@pytest.mark.parametrize(("is_terminal", "total"), [(False, 20_000_000), (False, None), (True, 1_000_000)])
def test_short_runs_and_logs_stay_clean(monkeypatch: pytest.MonkeyPatch, is_terminal: bool, total: int | None) -> None:
    assert shown(monkeypatch, is_terminal, total) == ""


def test_lines_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("x.pcap\x1b[2J: bad\nhopscope: all is well")
    assert capsys.readouterr().err == "hopscope: x.pcap\\x1b[2J: bad\\x0ahopscope: all is well\n"
