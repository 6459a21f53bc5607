"""Which batches of one numbered series came, and how many records those hold that did not."""

from __future__ import annotations

from bisect import bisect_right
from math import ceil

MOST_HOLES = 4096  # ranges of settled missing batches that are still waited for; the oldest are given up
MOST_JUMP = 1 << 20  # batches that can be lost in a row; more is a number that was not counted up to
MOST_COUNTED = 1 << 32  # the same where the sender's own counters say so: days of it
MOST_RECORDS = 1 << 20  # in a batch
MOST_UNSETTLED = 1 << 16  # batches whose sizes are kept until the sender's next counters


class Sequence:
    """Batches numbered from 0 by their sender, which now and then tells how many it sent, with how many records.

    A reader that joins late begins with the first batch or counters that it sees; with `from_start`
    everything from number 0 on is due. How many records the lost batches held is known exactly once the
    sender's counters enclose them; before that they are taken to be of the usual size. A batch far beyond
    what is due is none of the series, unless the next ones go on from it: then the series begins anew there.
    """

    def __init__(self, from_start: bool) -> None:
        self._first: int | None = 0 if from_start else None
        self._next = 0
        self._from: list[int] = []  # holes: batches from _from[i] up to _to[i] did not come
        self._to: list[int] = []
        self._holes = self._open = 0  # batches in the holes, and those of them from `_settled_to` on
        self._given_up = 0  # missing batches that no hole tells of any more
        self._settled_to = 0  # up to this batch `_settled` tells the missing records
        self._settled = 0
        self._sent: int | None = 0 if from_start else None  # records that the sender had sent up to there
        self._sizes: dict[int, int] = {}  # records of the batches from there on
        self._batches = self._records = 0
        self._exact = True
        self._stray: int | None = None  # what would follow a batch that was far beyond what was due
        self.strays = 0  # batches and counters far beyond what was due
        self.came_late = 0  # batches that were missing for a while

    def came(self, number: int, records: int) -> bool:
        """Note a batch. False when it came before: then it must not be used again."""
        if self._first is None:
            self._begin(number, 0 if number == 0 else None)
        if number - self._next > MOST_JUMP:
            if self._stray is None or not 0 <= number - self._stray <= MOST_JUMP:
                again = self._stray == number + 1
                self.strays += not again
                self._stray = number + 1
                return not again
            self._begin_anew(number)
        if number >= self._next:
            self._lose(number)
            self._next = number + 1
        elif number >= (self._first or 0) and not self._find(number, records):
            return False
        self._batches += 1
        self._records += records
        if number >= self._settled_to:
            self._sizes[number] = records
            if len(self._sizes) > MOST_UNSETTLED:  # no counters for long: settle by estimate
                self._settle(self._next, None)
        return True

    def counters(self, batches: int, records: int) -> None:
        """Take in the sender's own: it has sent so many batches with so many records."""
        if self._first is None:
            self._begin(batches, records)
        elif batches - self._next > MOST_COUNTED:
            self.strays += 1
        elif batches >= self._settled_to:  # else overtaken by later ones
            self._lose(batches)
            self._settle(batches, records)
        elif self._settled_to - batches > MOST_JUMP:  # it was not this sender that the series began with
            self.strays += 1
            self._begin_anew(batches)
            self._sent = records

    @property
    def missing(self) -> int:
        """Records that were sent and did not come; an estimate unless `exact`."""
        return self._settled + self._usual(self._open)

    @property
    def missing_batches(self) -> int:
        """Batches that were sent and did not come."""
        return self._given_up + self._holes

    @property
    def exact(self) -> bool:
        """`missing` rests on the sender's own counters."""
        return self._exact and not self._open

    def _begin(self, batch: int, sent: int | None) -> None:
        self._first = self._next = self._settled_to = batch
        self._sent = sent

    def _usual(self, batches: int) -> int:
        return ceil(batches * max(1.0, self._records / self._batches)) if self._batches else batches

    def _begin_anew(self, number: int) -> None:
        """What was missing stays so; how many were lost on the way here nobody knows."""
        self._settle(self._next, None)
        self._begin(number, None)
        self._exact, self._stray = False, None
        self._open, self._sizes = 0, {}

    def _lost_between(self, low: int, high: int) -> int:
        """Missing batches from low up to high."""
        holes = zip(self._from, self._to, strict=True)
        return sum(min(b, high) - max(a, low) for a, b in holes if b > low and a < high)

    def _lose(self, number: int) -> None:
        """Everything before this number is due by now."""
        if number > self._next:
            self._from.append(self._next)
            self._to.append(number)
            self._holes += number - self._next
            self._open += number - self._next
            self._next = number

    def _find(self, number: int, records: int) -> bool:
        """Take a batch that comes late out of its hole; False when it is in none."""
        i = bisect_right(self._from, number) - 1
        if i < 0 or number >= self._to[i]:
            return False
        parts = [(a, b) for a, b in ((self._from[i], number), (number + 1, self._to[i])) if a < b]
        self._from[i : i + 1] = [a for a, _ in parts]
        self._to[i : i + 1] = [b for _, b in parts]
        self._holes -= 1
        if number < self._settled_to:
            self._settled = max(0, self._settled - records)
        else:
            self._open -= 1
        self.came_late += 1
        return True

    def _settle(self, batch: int, sent: int | None) -> None:
        """Count what is missing before this batch for good; `sent` records were sent up to there, None if unknown."""
        lost = self._lost_between(self._settled_to, batch)
        if lost:
            got = sum(size for number, size in self._sizes.items() if number < batch)
            gap = sent - self._sent - got if sent is not None and self._sent is not None else -1
            known = 0 <= gap <= lost * MOST_RECORDS
            self._exact = self._exact and known
            self._settled += gap if known else self._usual(lost)
            self._open -= lost
        self._settled_to, self._sent = batch, sent
        self._sizes = {number: size for number, size in self._sizes.items() if number >= batch}
        beyond = bisect_right(self._to, batch) - MOST_HOLES
        if beyond > 0:
            gone = sum(self._to[:beyond]) - sum(self._from[:beyond])
            self._given_up += gone
            self._holes -= gone
            del self._from[:beyond], self._to[:beyond]
