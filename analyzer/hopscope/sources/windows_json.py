"""Windows events from JSON: one object a line, one array, or objects one after another.

Lines are parsed a piece at a time in one call; a piece with damage line by line, so that the other lines are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from hopscope.sources.windows_rows import Gathered
from hopscope.sources.windows_shapes import Wrapped

MOST_BYTES = 1 << 24  # of one object; what goes on longer has lost a quote or a brace
FIRST_LINES = 8  # of which one must be sound, so that a file that was cut at its begin is known

_DECODER = msgspec.json.Decoder(Wrapped)
_BROKEN = (msgspec.MsgspecError, RecursionError, UnicodeError)  # nested too deep; text that isn't UTF-8


def is_lines(head: bytes) -> bool:
    """One of the first lines is an object by itself."""
    *first, _ = head.lstrip().split(b"\n", FIRST_LINES)
    return not head.lstrip().startswith(b"[") and any(map(_is_object, first))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line.decode("utf-8", "replace")), dict)
    except _BROKEN:
        return False


def lines(pieces: Iterable[bytes], into: Gathered) -> Iterator[None]:
    """Take lines of JSON, pausing after each piece."""
    rest = b""
    for piece in pieces:
        text = rest + piece
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        if end:
            take_lines(text[:end], into)
            yield
        elif len(rest) > MOST_BYTES:
            into.strange, rest = into.strange + 1, b""
    if rest:
        take_lines(rest, into)
        yield


def objects(pieces: Iterable[bytes], into: Gathered) -> Iterator[None]:
    """Take objects wherever they end, in arrays or not, pausing after each piece."""
    rest = b""
    for piece in pieces:
        text = rest + piece
        starts, ends, open_at = _spans(text)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):  # msgspec takes one at a time
            _take(text[start:end], into)
        rest = text[open_at:]
        if len(rest) > MOST_BYTES:
            into.strange, rest = into.strange + 1, b""
        yield
    if rest:
        into.strange += 1


def take_lines(text: bytes, into: Gathered) -> None:
    try:
        into.take(_DECODER.decode_lines(text))
    except _BROKEN:
        for line in text.split(b"\n"):
            if line and not line.isspace():
                _take(line, into)


def _take(text: bytes, into: Gathered) -> None:
    try:
        row = _DECODER.decode(text)
    except _BROKEN:
        try:
            row = _DECODER.decode(text.decode("utf-8", "replace"))
        except _BROKEN:
            into.strange += 1
            return
    into.take((row,))


def _spans(text: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Where the outermost objects of a text begin and end, and where what isn't complete begins.

    Braces within strings don't count: those behind an odd number of quotes, escaped quotes left out.
    """
    codes = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(codes == ord('"'))
    slashes = np.flatnonzero(codes == ord("\\"))
    if len(slashes):
        breaks = np.flatnonzero(np.diff(slashes) != 1) + 1
        first = np.concatenate([[0], breaks])
        lengths = np.diff(np.append(first, len(slashes)))
        behind = slashes[first] + lengths
        quotes = quotes[~np.isin(quotes, behind[lengths % 2 == 1])]
    braces = np.flatnonzero((codes == ord("{")) | (codes == ord("}")))
    braces = braces[np.searchsorted(quotes, braces) % 2 == 0]
    opens = codes[braces] == ord("{")
    depth = np.cumsum(np.where(opens, 1, -1))
    depth -= np.minimum(np.minimum.accumulate(depth), 0) if len(depth) else 0  # braces that close nothing
    starts = braces[opens & (depth == 1)]
    closing = braces[~opens & (depth == 0)]
    # of closing braces behind a start the first is its end; before the next start others may follow that close nothing
    of = np.searchsorted(starts, closing) - 1
    owner, first = np.unique(of[of >= 0], return_index=True)
    ends = closing[of >= 0][first] + 1
    return starts[: len(owner)], ends, int(starts[-1]) if len(starts) > len(owner) else len(text)
