"""Numbers for texts as they come, so that millions of rows are kept and compared as whole numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.heuristics.segments import Ints


class Texts:
    """Texts by number, in order of their coming."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}
        self._values: pa.Array | None = None

    def numbers(self, column: pa.Array) -> Ints:
        """Each row's number; -1 for null. Texts that are new get one."""
        coded = column.dictionary_encode()
        known = self._number
        each = [known.setdefault(value, len(known)) for value in coded.dictionary.to_pylist()]  # different ones only
        self._values = None
        return np.array([*each, -1], np.int64)[whole(coded.indices)]

    def keep(self, numbers: Ints) -> Ints:
        """Forget other numbers' texts; gives for each number its new one, -1 where it has none, last -1 for -1."""
        kept = np.unique(numbers[numbers >= 0])
        values = self.values.take(pa.array(kept)).to_pylist()
        new = np.full(len(self._number) + 1, -1)
        new[kept] = np.arange(len(kept))
        self._number, self._values = {value: number for number, value in enumerate(values)}, None
        return new

    def look_up(self, column: pa.Array) -> Ints:
        """Each row's number; -1 for null and for what has none."""
        return whole(pc.index_in(column, value_set=self.values))

    @property
    def values(self) -> pa.Array:
        """The texts in order of their numbers."""
        if self._values is None:
            self._values = pa.array(list(self._number), pa.string())
        return self._values

    def ranks(self) -> tuple[pa.Array, Ints]:
        """The texts in order, and for each number the place of its text among them, last -1 for -1."""
        order = pc.sort_indices(self.values).to_numpy()
        place = np.full(len(order) + 1, -1)
        place[order] = np.arange(len(order))
        return self.values.take(pa.array(order)), place


def whole(column: pa.Array) -> Ints:
    """A column of whole numbers, or of flags (1 for true), as int64; -1 for null."""
    out: Ints = column.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return out
