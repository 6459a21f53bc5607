"""Problems of a source that stays: one line each in the input's problems, rewritten as its numbers grow."""

from __future__ import annotations

from collections.abc import Hashable

from hopscope.records import InputCount

MOST = 200  # lines; problems beyond are told together, so that no sender can fill the memory with them


class Telling:
    """Keeps one line per key in `count.problems`. Lines are only ever added there, so that places stay."""

    def __init__(self, count: InputCount) -> None:
        self._count = count
        self._places: dict[Hashable, int] = {}
        self._beyond: set[Hashable] = set()

    def tell(self, key: Hashable, line: str) -> None:
        """Add the line of a problem, or put it in the place of the one that was told before."""
        if key not in self._places and len(self._places) > MOST:
            if len(self._beyond) < MOST * MOST:
                self._beyond.add(key)
            line, key = f"{len(self._beyond):,} or more further problems with what Zeek sends", MOST
        if key not in self._places:
            self._count.note(line)
            self._places[key] = len(self._count.problems or ()) - 1
        elif self._count.problems is not None:
            self._count.problems[self._places[key]] = line
