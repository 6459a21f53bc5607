"""What a reading thread hands to the one that decodes: bounded in bytes, never waited for by the reader."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")
ITEM_BYTES = 200  # what an item takes beside its payload, about
TAKE_BYTES = 32 << 20  # what is handed out at a time, so that a tick is never far


class Inbox(Generic[T]):
    """A queue of items with their sizes, to which each adds what it takes itself. What doesn't fit is dropped
    and counted in `lost`."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._items: deque[tuple[T, int]] = deque()
        self._came = threading.Condition()
        self._closed = False
        self.bytes = 0
        self.lost = 0

    def put(self, item: T, size: int) -> None:
        """Add an item, or drop it where there is no room."""
        size += ITEM_BYTES
        with self._came:
            if self._closed:
                return
            if self.bytes + size > self._most:
                self.lost += 1
                return
            self._items.append((item, size))
            self.bytes += size
            self._came.notify()

    def take(self, timeout_s: float) -> list[T]:
        """What has come, the oldest first; waits for something to come, at most so long."""
        with self._came:
            if not self._items and not self._closed and timeout_s > 0:
                self._came.wait(timeout_s)
            out: list[T] = []
            taken = 0
            while self._items and taken < TAKE_BYTES:
                item, size = self._items.popleft()
                out.append(item)
                taken += size
            self.bytes -= taken
            return out

    def close(self) -> None:
        """Wake who waits. What has come can still be taken; what comes from now on came too late to count."""
        with self._came:
            self._closed = True
            self._came.notify_all()
