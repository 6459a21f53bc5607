"""Bytes of an input, unpacked as they are read: plain, gzip (RFC 1952) or zstd (RFC 8878).

Everything streams, so memory stays bounded however far the input expands. Damage does not raise: what
was unpacked before it is still delivered and `Source.damage` says where and what it was.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

import numpy as np
import zstandard
from numpy.typing import NDArray

from hopscope.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # behind 0x50 to 0x5f: a frame with something else, before one with data

PIECE = 1 << 18  # bytes of packed input read at a time
ZSTD_PIECE = 1 << 11  # zstd output can't be capped per call; a block of 4 bytes may stand for 128 KiB
ZSTD_WINDOW = 1 << 27  # bytes; the zstd tools' own limit without --long
BOMB_FLOOR = 1 << 30  # bytes unpacked before the ratio is looked at
BOMB_RATIO = 500  # unpacked to packed; packets of zeros reach about 100, bombs 1000 and more


@dataclass(frozen=True)
class Damage:
    """Why reading stopped: byte offset (in the unpacked input unless `packed`), problem and remedy."""

    offset: int
    problem: str
    remedy: str
    packed: bool = False

    def line(self, name: str) -> str:
        """One line for a person."""
        where = "packed byte" if self.packed else "byte"
        return f"{name} at {where} {self.offset}: {self.problem}; {self.remedy}"


class _Decompressor(Protocol):
    """What gzip and zstd have in common: `pull` unpacks some of the input, at most `room` bytes; `unused`
    is how many of the packed bytes taken from the source have not been unpacked yet."""

    @property
    def unused(self) -> int: ...

    def pull(self, room: int) -> bytes: ...


class Source:
    """An input opened for reading; a context manager. Raises InputError when it can't be opened."""

    def __init__(self, path: str | Path | BinaryIO, name: str, progress: Callable[[int], None] | None = None):
        self.name = name
        self.consumed = 0  # packed bytes read so far
        self.produced = 0  # unpacked bytes delivered so far
        self.damage: Damage | None = None
        self._progress = progress
        self._own = False
        self._file = self._open(path)
        try:
            self._head = self._read(PIECE)
            self._unpacker: _Decompressor | None = None
            if self._head.startswith(GZIP_MAGIC):
                self._unpacker = _Gzip(self)
            elif self._head.startswith(ZSTD_MAGIC) or (self._head[1:4] == _ZSTD_SKIPPABLE and self._head[0] >> 4 == 5):
                self._unpacker = _Zstd(self)
        except BaseException:
            self.close()
            raise

    def _open(self, path: str | Path | BinaryIO) -> BinaryIO:
        if not isinstance(path, str | Path):
            return path
        if str(path) == "-":
            return sys.stdin.buffer
        try:
            file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        except OSError as e:
            raise InputError(self.name, f"can't be opened ({e.strerror})", "check the path and its permissions") from e
        self._own = True
        return file

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file if this object opened it."""
        if self._own:
            self._file.close()

    def _read(self, size: int) -> bytes:
        """Packed bytes, at most `size`; empty at the end or where the system fails to read."""
        try:
            data = self._file.read(size)
        except OSError as e:
            self._read_failed(e)
            return b""
        data = data or b""
        self._advance(len(data))
        return data

    def _read_failed(self, error: OSError) -> None:
        self.damage = Damage(
            self.consumed, f"can't be read further ({error.strerror})", "check the disk or the sender", packed=True
        )

    def _advance(self, size: int) -> None:
        self.consumed += size
        if self._progress is not None and size:
            self._progress(self.consumed)

    @property
    def packed_offset(self) -> int:
        """How far the unpacking has come in the packed input."""
        return self.consumed - len(self._head) - (self._unpacker.unused if self._unpacker else 0)

    def fail(self, problem: str, remedy: str) -> None:
        """Damage met in unpacking. A failure to read the file explains more than its consequence."""
        if self.damage is None:
            self.damage = Damage(self.packed_offset, problem, remedy, packed=True)

    def more(self, size: int) -> bytes:
        """The next packed bytes for a decompressor: what was peeked at first, then the file."""
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        return self._read(size)

    def readinto(self, out: NDArray[np.uint8]) -> int:
        """Fill `out` with unpacked bytes; fewer than its size only at the end or at damage."""
        filled = 0
        view = out.data
        while filled < out.size and (self.damage is None):
            got = self._plain(view[filled:]) if self._unpacker is None else self._packed(view[filled:])
            if got == 0:
                break
            filled += got
        self.produced += filled
        return filled

    def _plain(self, view: memoryview) -> int:
        if self._head:
            data, self._head = self._head[: len(view)], self._head[len(view) :]
            view[: len(data)] = data
            return len(data)
        if not hasattr(self._file, "readinto"):
            data = self._read(min(len(view), PIECE))
            view[: len(data)] = data
            return len(data)
        try:
            got: int = self._file.readinto(view) or 0
        except OSError as e:
            self._read_failed(e)
            return 0
        self._advance(got)
        return got

    def _packed(self, view: memoryview) -> int:
        assert self._unpacker is not None
        data = self._unpacker.pull(len(view))
        view[: len(data)] = data
        unpacked = self.produced + len(data)
        if unpacked > BOMB_FLOOR and unpacked > BOMB_RATIO * self.packed_offset:
            self.damage = Damage(
                unpacked,
                f"unpacks to more than {BOMB_RATIO} times its size, like a decompression bomb",
                "unpack it yourself if you trust it",
            )
        return len(data)


class _Gzip:
    """gzip members one after another; zlib checks each one's CRC and length."""

    def __init__(self, source: Source):
        self._source = source
        self._inflate = zlib.decompressobj(wbits=31)
        self._pending = b""

    @property
    def unused(self) -> int:
        return len(self._pending)

    def pull(self, room: int) -> bytes:
        while True:
            if self._inflate.eof and not self._next_member():
                return b""
            if not self._pending:
                self._pending = self._source.more(PIECE)
                if not self._pending:
                    self._source.fail("the gzip data ends before its end mark", "copy the file again, it was cut")
                    return b""
            data = self._step(room)
            if data or self._source.damage is not None:
                return data

    def _step(self, room: int) -> bytes:
        """Unpack from what is pending. zlib keeps to itself what it unpacked before damage in the same call, so
        a call that fails is made again with less input, down to the very byte that is wrong."""
        size = len(self._pending)
        while True:
            before = self._inflate.copy()
            try:
                data = self._inflate.decompress(self._pending[:size], room)
            except zlib.error as e:
                self._inflate = before
                size //= 2
                if size == 0:
                    self._source.fail(f"the gzip data is corrupt ({e})", "copy the file again or recapture")
                    return b""
                continue
            left = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            self._pending = left + self._pending[size:]
            return data

    def _next_member(self) -> bool:
        """Another member follows; zero padding and the end do not count as one."""
        while True:
            self._pending = self._pending.lstrip(b"\0")
            if len(self._pending) >= len(GZIP_MAGIC):
                break
            more = self._source.more(PIECE)
            if not more:
                break
            self._pending += more
        if not self._pending:
            return False
        if not self._pending.startswith(GZIP_MAGIC):
            self._source.fail("bytes follow the gzip data that are none", "check the file; what stood before was read")
            return False
        self._inflate = zlib.decompressobj(wbits=31)
        return True


class _Zstd:
    """zstd frames one after another. Of a damaged block's 2 KiB of packed input nothing can be had."""

    def __init__(self, source: Source):
        self._source = source
        self._frame = self._new()
        self._started = False  # the current frame has been given input
        self._packed = b""
        self._ready = memoryview(b"")

    @staticmethod
    def _new() -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()

    @property
    def unused(self) -> int:
        return len(self._packed)

    def pull(self, room: int) -> bytes:
        while not self._ready:
            if not self._packed:
                self._packed = self._source.more(PIECE)
                if not self._packed:
                    if self._started:
                        self._source.fail("the zstd data ends before its end mark", "copy the file again, it was cut")
                    return b""
            piece, self._packed = self._packed[:ZSTD_PIECE], self._packed[ZSTD_PIECE:]
            try:
                self._started = True
                self._ready = memoryview(self._frame.decompress(piece))
            except zstandard.ZstdError as e:
                self._source.fail(f"the zstd data is corrupt ({e})", "copy the file again or recapture")
                return b""
            if self._frame.eof:
                self._packed = self._frame.unused_data + self._packed
                self._frame, self._started = self._new(), False
        data, self._ready = self._ready[:room], self._ready[room:]
        return bytes(data)
