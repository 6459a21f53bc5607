"""What the commands say on standard error: warnings, errors, and how far a long run is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hopscope.outputs.escape import visible

if TYPE_CHECKING:
    from hopscope.hunting import Progress, Reading

LONG_BYTES = 8_000_000  # shorter input is read before a bar could be


def say(line: str) -> None:
    """One line on standard error, harmless for a terminal."""
    print(f"hopscope: {visible(line, 2000)}", file=sys.stderr)  # noqa: T201 - this is where the commands speak


@contextmanager
def progress() -> Iterator[Progress | None]:
    """A bar with rate and remaining time, on standard error and only where that is a terminal; else None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("{task.fields[packets]:,} packets"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("reading", total=None, packets=0)

    def show(reading: Reading) -> None:
        if reading.total is None or reading.total >= LONG_BYTES:
            bar.start()
            weighing = reading.total is not None and reading.done >= reading.total
            bar.update(
                task,
                completed=reading.done,
                total=reading.total,
                packets=reading.count.packets,
                description="weighing" if weighing else "reading",
            )

    try:
        yield show
    finally:
        bar.stop()


@contextmanager
def status() -> Iterator[Callable[[str], None]]:
    """A line on standard error that tells how a run goes, and is told anew; only where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda line: None
        return
    from rich.console import Console
    from rich.status import Status
    from rich.text import Text

    shown = Status("", console=Console(stderr=True, markup=False))

    def show(line: str) -> None:
        shown.start()
        shown.update(Text(visible(line)))

    try:
        yield show
    finally:
        shown.stop()
