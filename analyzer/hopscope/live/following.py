"""A directory of growing Zeek logs as a live source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hopscope.config import Config
from hopscope.findings import Finding
from hopscope.records import Batch, InputCount
from hopscope.sources.follow import Follower

LOOK_S = 1.0  # how often the directory is looked at


class Following:
    """Looks for new lines every second; `sleep` waits for so many seconds."""

    def __init__(self, directory: Path, config: Config, count: InputCount, sleep: Callable[[float], None]):
        self._follower = Follower(directory, config, count)
        self._sleep = sleep

    def poll(self, timeout_s: float) -> list[Batch]:
        """The records whose lines are complete by now; waits where there are none."""
        batches = self._follower.poll()
        if not batches:
            self._sleep(min(timeout_s, LOOK_S))
        return batches
