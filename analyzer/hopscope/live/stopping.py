"""The end of a run that stays: Ctrl-C, or SIGTERM as service managers send it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ECHO_S = 1.0  # how long after a signal another one is taken for the same


@contextmanager
def asked() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM came; the run then ends in order. One that comes later ends it at once.

    Those that follow at once are the same one: it may reach a process by itself and by its group.
    """
    came: float | None = None

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = came or time.monotonic()
        if time.monotonic() - came > ECHO_S:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: came is not None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
