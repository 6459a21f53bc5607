"""A column of a batch by its distinct values, on which each test is made once."""

from __future__ import annotations

import functools
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bools = npt.NDArray[np.bool_]

_MAPPED = bytes(10) + b"\xff\xff"


class Distinct:
    """The distinct values of a column, and of each row the number of its value, which is their count where null.

    An empty text is taken for null, as rules have it. Of a list's column: of each element; `offsets` are where the
    rows' elements begin, None of other columns.
    """

    def __init__(self, column: Any):
        self.rows = len(column)
        self.offsets: npt.NDArray[np.int64] | None = None
        if pa.types.is_list(column.type):
            lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
            self.offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
            column = pc.list_flatten(column)
        encoded = column.dictionary_encode()
        self.values = encoded.dictionary
        codes = pc.fill_null(encoded.indices, len(self.values)).to_numpy(zero_copy_only=False)
        if pa.types.is_string(self.values.type) and (empty := pc.index(self.values, "").as_py()) >= 0:
            codes = np.where(codes == empty, len(self.values), codes)
        self.codes: npt.NDArray[np.int64] = codes

    def __len__(self) -> int:
        return len(self.values)

    @functools.cached_property
    def texts(self) -> Any:
        """The values as text."""
        return self.values if pa.types.is_string(self.values.type) else pc.cast(self.values, pa.string())

    @functools.cached_property
    def lower(self) -> Any:
        """The values as text in lower case."""
        return pc.utf8_lower(self.texts)

    @functools.cached_property
    def numbers(self) -> npt.NDArray[Any]:
        """The values of a column of numbers."""
        made: npt.NDArray[Any] = self.values.to_numpy(zero_copy_only=False)
        return made

    @functools.cached_property
    def addresses(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int8]]:
        """The values as addresses: rows of the upper and lower 64 bits, and the version; 0 of what is none."""
        packed = [
            _packed(text) for text in self.texts.to_pylist()
        ]  # a loop over distinct values, in C but for the call
        halves = np.frombuffer(b"".join(p for p, _ in packed), dtype=">u8").reshape(-1, 2).astype(np.uint64)
        return halves, np.array([version for _, version in packed], dtype=np.int8)

    def spread(self, holds: Bools) -> Bools:
        """Of each row whether a test holds, from what it says of each value and, last, of null."""
        if self.offsets is None:
            return holds[self.codes]
        so_far = np.concatenate(([0], np.cumsum(holds[self.codes])))
        return np.asarray(so_far[self.offsets[1:]] > so_far[self.offsets[:-1]])

    @functools.cached_property
    def null_rows(self) -> Bools:
        """Of each row whether it has no value; of a list's column, whether it is empty."""
        if self.offsets is None:
            return np.asarray(self.codes == len(self.values))
        return np.asarray(self.offsets[1:] == self.offsets[:-1])


def _packed(text: str) -> tuple[bytes, int]:
    try:
        if ":" in text:
            return inet_pton(AF_INET6, text.partition("%")[0]), 6
        return _MAPPED + inet_pton(AF_INET, text), 4
    except (OSError, ValueError):  # no address; a NUL in it
        return bytes(16), 0
