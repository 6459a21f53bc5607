"""Which records were condensed already: their hashes, hour by hour, so that a replay counts nothing twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_RUNS = 8  # sorted runs an hour holds before they become one


class Seen:
    """Hashes of records by hour. Eight bytes a record, as long as the hour is kept."""

    def __init__(self) -> None:
        self._hours: dict[int, list[NDArray[np.int64]]] = {}

    def add(self, hours: NDArray[np.int64], hashes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Remember the records; true for those that are new (the first of equal ones in a batch is)."""
        new = np.zeros(len(hashes), dtype=bool)
        for hour in np.unique(hours):
            rows = np.flatnonzero(hours == hour)
            keys, first = np.unique(hashes[rows], return_index=True)
            runs = self._hours.setdefault(int(hour), [])
            unknown = np.ones(len(keys), dtype=bool)
            for run in runs:
                at = np.minimum(np.searchsorted(run, keys), len(run) - 1)
                unknown &= run[at] != keys
            new[rows[first[unknown]]] = True
            if unknown.any():
                runs.append(keys[unknown])
            if len(runs) > _RUNS:
                self._hours[int(hour)] = [np.sort(np.concatenate(runs))]
        return new

    def forget(self, before: int) -> None:
        """Drop the hours before the epoch hour `before`."""
        self._hours = {hour: runs for hour, runs in self._hours.items() if hour >= before}
