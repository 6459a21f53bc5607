"""Work in a thread of its own, a little ahead of who needs it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Iterates over `items` in another thread, at most `depth` items ahead.

    An exception of `items` is raised here, after the items before it. `close` (or the end of a `with`) ends
    the thread when it next has an item to hand over.
    """

    def __init__(self, items: Iterator[T], depth: int = 2) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="hopscope-sensor", daemon=True)
        self._thread.start()

    def __enter__(self) -> Ahead[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[T]:
        while True:
            got = self._queue.get()
            if got is None:
                return
            if isinstance(got, BaseException):
                raise got
            yield got[0]

    def close(self) -> None:
        """Have the thread end, and wait for it."""
        self._closed.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)  # it may wait for room
            except queue.Empty:
                continue

    def _work(self) -> None:
        try:
            for item in self._items:
                self._queue.put((item,))
                if self._closed.is_set():
                    return
            self._queue.put(None)
        except BaseException as e:
            self._queue.put(e)
