"""A capture to records through an installed Zeek, for those who trust nothing else with their traffic.

Zeek runs with its default scripts in a temporary directory and reads the capture from its standard input,
unpacked on the way where it is packed, so that nothing of the capture is written to disk.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from hopscope.errors import InputError, UsageError
from hopscope.records import Batch, InputCount
from hopscope.sensor.unpack import Damage, Source
from hopscope.sources import zeek_logs
from hopscope.sources.capture import Capture

PIECE_BYTES = 1 << 20
ARGUMENTS = (
    "-C",  # don't check checksums: captures from the sending host have none yet
    "-D",  # a fixed seed, so that the same capture gives the same uids
    "-r", "-",
    "LogAscii::use_json=T",
    "LogAscii::json_timestamps=JSON::TS_EPOCH",
    "Log::default_rotation_interval=0secs",
)  # fmt: skip


def program() -> str:
    """The path of the installed zeek. Raises UsageError when there is none."""
    found = shutil.which("zeek")
    if found is None:
        raise UsageError("--sensor zeek: there is no zeek on the PATH; install Zeek or leave --sensor out")
    return found


def records(
    capture: Capture, local_nets: Sequence[str], count: InputCount, progress: Callable[[int], None] | None = None
) -> Iterator[Batch]:
    """The records of one capture, in one batch. `count.packets` counts those that belong to connections.

    Raises UsageError when zeek isn't installed and InputError when Zeek can't read the capture; where it
    stopped midway, what stands before is kept and the problem counted.
    """
    zeek = program()
    with tempfile.TemporaryDirectory(prefix="hopscope-zeek-") as scratch, tempfile.TemporaryFile() as errors:
        with Source(capture.path, capture.name, progress) as source:
            pieces = _pieces(source)
            first = next(pieces, None)
            if first is None:
                damage = source.damage or Damage(0, "the file is empty", "check how it was captured or copied")
                raise InputError(capture.name, damage.problem, damage.remedy, damage.offset)
            process = subprocess.Popen(  # noqa: S603 - a list of arguments that are all ours
                [zeek, *ARGUMENTS],
                cwd=scratch,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
            try:
                assert process.stdin is not None
                _feed(process.stdin, itertools.chain((first,), pieces))
                status = process.wait()
            except BaseException:
                process.kill()
                process.wait()
                raise
        batch = zeek_logs.read(Path(scratch), local_nets)
        complaint = _last_line(errors)
    if status != 0 or (complaint is not None and "error" in complaint):
        problem = f"Zeek stopped: {complaint or f'exit status {status}'}"
        if not batch.connections.num_rows:
            raise InputError(capture.name, problem, "give a file that tcpdump or Wireshark wrote")
        count.note(f"{capture.name}: {problem}; what it had logged before was read")
    elif source.damage is not None:
        count.note(source.damage.line(capture.name))
    count.inputs += 1
    packets = (batch.connections.column(name).to_numpy(zero_copy_only=False) for name in ("orig_pkts", "resp_pkts"))
    count.packets += int(sum(np.nansum(column) for column in packets))
    yield batch


def _pieces(source: Source) -> Iterator[memoryview]:
    buffer = np.empty(PIECE_BYTES, np.uint8)
    while got := source.readinto(buffer):
        yield buffer[:got].data


def _feed(zeek: IO[bytes], pieces: Iterable[memoryview]) -> None:
    try:
        for piece in pieces:
            zeek.write(piece)
        zeek.close()
    except BrokenPipeError:
        return  # Zeek gave up early and says why on its standard error


def _last_line(errors: IO[bytes]) -> str | None:
    """Zeek's last words, at most the end of what it wrote."""
    size = errors.seek(0, 2)
    errors.seek(max(0, size - 4096))
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else None
