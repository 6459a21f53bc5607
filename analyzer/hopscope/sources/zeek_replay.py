"""A capture to records through an installed Zeek with hopscope's package, for those who trust nothing else.

Zeek runs in a temporary directory and reads the capture from its standard input, unpacked on the way where
it is packed, so that nothing of the capture is written to disk; only the package's own logs are.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow.compute as pc

import hopscope
from hopscope.errors import InputError, UsageError
from hopscope.records import CONNECTION_SCHEMA, Batch, InputCount
from hopscope.sensor.unpack import Damage, Source
from hopscope.sources import capture as inputs
from hopscope.sources import zeek_archive
from hopscope.sources.capture import Capture
from hopscope.sources.zeek_files import LogArchive

PIECE_BYTES = 1 << 20
LOGS = ("hopscope.log", "hopscope_dns.log")
SEEDS = "seeds"
ARGUMENTS = (
    "-C",  # don't check checksums: captures from the sending host have none yet
    "-r", "-",
    "-G", SEEDS,
    "LogAscii::use_json=F",
    "Log::default_rotation_interval=0secs",
)  # fmt: skip
SEED_WORDS = 21  # what Zeek reads of a file of seeds


def package() -> Path:
    """The package's scripts: beside the module in an installation, at the root in a checkout."""
    here = Path(hopscope.__file__).parent
    for place in (here / "zeek-scripts", here.parents[1] / "zeek-scripts"):
        if (place / "__load__.zeek").is_file():
            return place
    raise UsageError("--sensor zeek: the package's scripts are missing; install hopscope again")


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
    zeek, scripts = program(), package()
    with tempfile.TemporaryDirectory(prefix="hopscope-zeek-") as scratch, tempfile.TemporaryFile() as errors:
        with Source(capture.path, capture.name, progress) as source:
            pieces = _pieces(source)
            first = next(pieces, None)
            if first is None:
                damage = source.damage or Damage(0, "the file is empty", "check how it was captured or copied")
                raise InputError(capture.name, damage.problem, damage.remedy, damage.offset)
            (Path(scratch) / SEEDS).write_text(_seeds(first))
            process = subprocess.Popen(  # noqa: S603 - a list of arguments that are all ours
                [zeek, *ARGUMENTS, str(scripts), str(scripts / "replay.zeek")],
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
        complaint = _last_line(errors)
        if status != 0 or (complaint is not None and "error" in complaint):
            problem = f"Zeek stopped: {complaint or f'exit status {status}'}"
            if not (Path(scratch) / LOGS[0]).exists():
                raise InputError(capture.name, problem, "give a file that tcpdump or Wireshark wrote")
            count.note(f"{capture.name}: {problem}; what it had logged before was read")
        elif source.damage is not None:
            count.note(source.damage.line(capture.name))
        count.inputs += 1
        yield from _logged(Path(scratch), capture.name, local_nets, count)


def _logged(directory: Path, name: str, local_nets: Sequence[str], count: InputCount) -> Iterator[Batch]:
    """The records of the package's logs; what is wrong with them is told of the capture."""
    logs = [str(directory / log) for log in LOGS if (directory / log).exists()]
    if not logs:  # not one connection
        return
    inner = InputCount()
    for archive in inputs.find(logs, inner):
        assert isinstance(archive, LogArchive)
        for batch in zeek_archive.records(archive, local_nets, inner):
            last = batch.connections.filter(pc.fill_null(batch.connections["final"], True))
            count.packets += sum(pc.sum(last[column]).as_py() or 0 for column in ("orig_pkts", "resp_pkts"))
            yield batch
    count.refused += inner.refused
    count.fills(set(CONNECTION_SCHEMA.names) - (inner.lacks or frozenset()))
    for problem in inner.problems or []:
        count.note(problem.replace(str(directory), name))


def _seeds(beginning: bytes | memoryview) -> str:
    """Seeds of Zeek's random numbers, and so of its uids: the same for the same capture, others for another."""
    digest = hashlib.shake_128(beginning).digest(4 * SEED_WORDS)
    words = (int.from_bytes(digest[i : i + 4], "little") for i in range(0, len(digest), 4))
    return "".join(f"{word}\n" for word in words)


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
