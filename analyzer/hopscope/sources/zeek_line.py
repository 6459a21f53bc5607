"""What the lines to Zeek have in common: what came is decoded, what went wrong is told, the end is orderly."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from hopscope.config import LiveSettings
from hopscope.findings import Finding
from hopscope.records import Batch, InputCount
from hopscope.sources.addresses import Networks
from hopscope.sources.broker_json import Message
from hopscope.sources.inbox import Inbox
from hopscope.sources.live_source import LineStatus
from hopscope.sources.zeek_stream import ZeekStream

SILENT_S = 30.0  # connected and no node has said hello: three of the package's heartbeats

T = TypeVar("T")


class ZeekLine(ABC, Generic[T]):
    """A `LiveSource` whose thread puts what comes into `_inbox`. It tells `_notes`, never `count`, which is theirs
    who poll."""

    def __init__(
        self,
        url: str,
        settings: LiveSettings,
        count: InputCount,
        networks: Networks | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._clock = url, clock
        self._stream = ZeekStream(count, networks)
        self._inbox: Inbox[T] = Inbox(settings.queue_mb * 1_000_000)
        self._notes: deque[tuple[str, str]] = deque()
        self._peer: str | None = None  # what it is connected to
        self._since = 0.0  # since when
        self._trouble: str | None = None
        self._joins = 0
        self._unsent = 0  # findings that were given up
        self._ending = False  # nothing more is waited for

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def close(self) -> None:
        """Let go of the line, once what waits to be sent is sent or can't be in time."""

    @abstractmethod
    def _decoded(self, item: T) -> Message:
        """The message in what the thread put into the inbox."""

    @abstractmethod
    def _send(self, finding: Finding) -> None:
        """Have a finding sent, or count it in `_unsent`."""

    def _flush(self) -> None:
        """Wait for what is to be sent, as long as closing may take."""

    @property
    def _to_send(self) -> int:
        """Findings that wait."""
        return 0

    @property
    def status(self) -> LineStatus:
        """How the line is doing now."""
        return LineStatus(
            url=self._url,
            peer=self._peer,
            trouble=self._trouble,
            reconnects=max(0, self._joins - 1),
            waiting_bytes=self._inbox.bytes,
            lost_frames=self._inbox.lost,
            unsent=self._unsent + self._to_send,
            stream=self._stream.status(),
        )

    def poll(self, timeout_s: float) -> list[Batch]:
        """The records that came; waits for some, at most so long."""
        batches = self._stream.feed(map(self._decoded, self._inbox.take(timeout_s)))
        self._tell()
        return batches

    def drain(self) -> list[Batch]:
        """All that is left of what came; nothing is taken in any more. What is lost or can't be sent is told then,
        and findings handed in from now on are waited for, a little."""
        self._ending = True
        self._inbox.close()
        out: list[Batch] = []
        while items := self._inbox.take(0.0):
            out += self._stream.feed(map(self._decoded, items))
        self._stream.end()
        self._flush()
        self._tell()
        return out

    def send_finding(self, finding: Finding) -> None:
        """Have a finding sent to Zeek when the line allows."""
        self._send(finding)
        if self._ending:
            self._flush()
            self._tell()

    def _tell(self) -> None:
        tell = self._stream.telling.tell
        while self._notes:
            tell(*self._notes.popleft())
        if self._inbox.lost:
            tell(
                "lost frames",
                f"{self._url}: {self._inbox.lost:,} frames were dropped because decoding could not keep up; "
                "raise live.queue_mb, or send less",
            )
        unsent = self._unsent + (self._to_send if self._ending else 0)
        if unsent:
            tell("unsent", f"{self._url}: {unsent:,} findings could not be sent back to Zeek")
        if self._peer is not None and self._clock() - self._since > SILENT_S and not self._stream.heard:
            tell(
                "silent",
                f"{self._url}: connected, but no node has said hello in {SILENT_S:g} s; load hopscope's package on "
                "the node that listens and on every worker",
            )
