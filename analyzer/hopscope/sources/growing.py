"""A file that grows: it is held open, whatever becomes of its name, and read on from where it was left."""

from __future__ import annotations

import os
import stat
from pathlib import Path

READ_BYTES = 16 << 20  # read at a look
HEAD_BYTES = 256  # by which a file that was written anew is known


class GrowingFile:
    """One file. Raises OSError when it can't be opened or read; only plain files are opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.behind = False  # more could be read at once
        self._file = path.open("rb", buffering=0)
        status = os.fstat(self._file.fileno())
        if not stat.S_ISREG(status.st_mode):
            self._file.close()
            raise OSError(0, "not a plain file")
        self._identity = (status.st_dev, status.st_ino)
        self._offset = 0
        self._head = b""

    def is_named(self) -> bool:
        """The file still has its name (so does one whose name is gone and no other's)."""
        try:
            status = self.path.stat()
        except OSError:
            return True
        return (status.st_dev, status.st_ino) == self._identity or not stat.S_ISREG(status.st_mode)

    def was_rewritten(self) -> bool:
        """It was cut back or written anew; it is read from its begin then."""
        number = self._file.fileno()
        if os.fstat(number).st_size >= self._offset and os.pread(number, len(self._head), 0) == self._head:
            return False
        self._offset, self._head = 0, b""
        return True

    def more(self) -> bytes:
        """What it has beyond what was read, at most READ_BYTES."""
        data = os.pread(self._file.fileno(), READ_BYTES, self._offset)
        self._offset += len(data)
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
        self.behind = len(data) == READ_BYTES
        return data

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
