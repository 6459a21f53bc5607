"""A directory of growing Zeek logs as a live source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hopscope.config import Config
from hopscope.findings import Finding
from hopscope.records import Batch, InputCount
from hopscope.sources.follow import Follower

LOOK_S = 1.0  # how often the directory is looked at


@dataclass(frozen=True)
class FollowingStatus:
    """How far the logs have been read."""

    connections: int
    dns_queries: int

    def line(self) -> str:
        """In a few words."""
        return f"{self.connections:,} connections, {self.dns_queries:,} DNS queries"


class Following:
    """Looks for new lines every second; `sleep` waits for so many seconds."""

    def __init__(self, directory: Path, config: Config, count: InputCount, sleep: Callable[[float], None]):
        self._follower = Follower(directory, config, count)
        self._count, self._sleep = count, sleep

    @property
    def status(self) -> FollowingStatus:
        """How far the logs have been read."""
        return FollowingStatus(self._count.connections, self._count.dns_queries)

    def poll(self, timeout_s: float) -> list[Batch]:
        """The records whose lines are complete by now; waits where there are none."""
        batches = self._follower.poll()
        if not batches:
            self._sleep(min(timeout_s, LOOK_S))
        return batches

    def drain(self) -> list[Batch]:
        """The records of all complete lines, those that other logs might have told more of among them."""
        return self._follower.poll(last=True)

    def send_finding(self, finding: Finding) -> None:
        """Logs take nothing back."""

    def close(self) -> None:
        """Let go of the files."""
        self._follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
