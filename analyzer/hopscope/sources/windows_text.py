"""Text of an export in pieces: unpacked, its encoding told by the byte order mark or the first bytes, as UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import numpy as np

from hopscope.sensor.unpack import Source

PIECE_BYTES = 1 << 22
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),  # Windows PowerShell's Out-File and >
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def pieces(source: Source, size: int = PIECE_BYTES) -> Iterator[bytes]:
    """The text as UTF-8, about `size` bytes at a time; broken UTF-16 is replaced, UTF-8 left as it is."""
    buffer = np.empty(size, np.uint8)
    first = buffer[: source.readinto(buffer)].tobytes()
    mark, encoding = _encoding(first)
    decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)("replace")
    piece = first[len(mark) :]
    while piece:
        yield piece if decoder is None else decoder.decode(piece).encode("utf-8", "replace")
        piece = buffer[: source.readinto(buffer)].tobytes()


def _encoding(first: bytes) -> tuple[bytes, str]:
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return mark, encoding
    if first[1:2] == b"\0" and first[:1] in b"<{[\r\n \t":
        return b"", "utf-16-le"
    return (b"", "utf-16-be") if first[:1] == b"\0" and first[1:2] in (b"<", b"{", b"[") else (b"", "utf-8")
