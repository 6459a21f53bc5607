"""The findings of the last run, kept as JSON Lines so that `explain` and `dissect` can name them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from hopscope.errors import UsageError
from hopscope.findings import Finding


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


Identified = TypeVar("Identified", bound=_Identified)


def write_private(path: Path, lines: Iterable[str], mode: int = 0o600) -> None:
    """Replace a file in one step by one that only its owner can read; a reader sees the old or the new.

    `mode` is another one for what is made for others to read. A symbolic link stays and its target is replaced.
    Raises UsageError when the place can't be written.
    """
    target = Path(os.path.realpath(path))
    temporary: str | None = None
    try:
        if target.exists() and not target.is_file():
            raise UsageError(f"{path}: is not a regular file; name a file to write to")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # made with mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as f:
            f.writelines(f"{line}\n" for line in lines)
            f.flush()
            os.fchmod(f.fileno(), mode)
            os.fsync(f.fileno())
        os.replace(temporary, target)
        temporary = None
    except OSError as e:
        raise UsageError(f"{path}: can't be written ({e.strerror or e}); name another place or free this one") from e
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def check_writable(path: Path, option: str = "--findings") -> None:
    """Raise UsageError now, rather than after an hour's hunt, when the file could not be written."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise UsageError(f"{path}: is not a regular file; name a file to write to")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as e:
        raise UsageError(f"{path}: can't be written ({e.strerror or e}); name a writable file with {option}") from e


@contextlib.contextmanager
def locked(path: Path, option: str) -> Iterator[None]:
    """The file is for nobody else who asks for this to change until the block ends: others wait.

    `option` names another file. Raises UsageError when the file could not be written.
    """
    check_writable(path, option)
    target = Path(os.path.realpath(path))
    try:
        descriptor = os.open(target.with_name(f".{target.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise UsageError(f"{path}: can't be locked ({e.strerror or e}); name another file with {option}") from e
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def save(path: Path, findings: Iterable[Finding]) -> None:
    """Keep these findings instead of the last run's. Raises UsageError when the place can't be written."""
    write_private(path, (f.to_json() for f in findings))


def read(path: Path) -> list[Finding]:
    """The findings kept at a place, in the order they were saved.

    Raises UsageError when there is no such file, when it can't be read, or at the first line that is
    not a finding.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as e:
        raise UsageError(
            f"{path}: no findings are kept here; run `hopscope hunt CAPTURE` first, or name the file with --findings"
        ) from e
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: can't be read ({e}); name the file with --findings") from e
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                found.append(Finding.from_json(line))
            except ValueError as e:
                raise UsageError(
                    f"{path} line {number}: not a finding ({e}); name a file that `hopscope hunt --findings` wrote"
                ) from e
    return found


def named(things: Sequence[Identified], wanted: str) -> list[Identified]:
    """Those with this id; where there are none, those whose id begins so (with or without `hop-`)."""
    exact = [t for t in things if t.id == wanted]
    return exact or [t for t in things if wanted and t.id.startswith((wanted, f"hop-{wanted}"))]


def find(path: Path, wanted: str) -> Finding:
    """The kept finding with this id, or the only one whose id begins so (with or without `hop-`).

    Raises UsageError, with what to do, when there is none or more than one.
    """
    return only(read(path), wanted, path)


def only(kept: Sequence[Finding], wanted: str, path: Path) -> Finding:
    """`find` among findings that were read from a place already. Raises UsageError as it does."""
    matches = named(kept, wanted)
    if len(matches) == 1:
        return matches[0]
    if wanted.startswith("rule-"):
        raise UsageError(f"'{wanted}' is what a Sigma rule fired on, no finding; hopscope findings shows all of it")
    if matches:
        raise UsageError(f"'{wanted}' fits {', '.join(f.id for f in matches[:5])}; give more of the id")
    if not kept:
        raise UsageError(f"no finding '{wanted}': the last run kept none in {path}; hunt again")
    ids = ", ".join(f.id for f in kept[:5]) + (", ..." if len(kept) > 5 else "")
    raise UsageError(f"no finding '{wanted}' in {path}, which has {ids}; hunt again or see --findings")
