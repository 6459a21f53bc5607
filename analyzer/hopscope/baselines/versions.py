"""Baselines on disk: a directory for each version, with its tables as Parquet and `baseline.json` about them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from hopscope import store
from hopscope.baselines.model import TABLES, About, Baseline
from hopscope.errors import UsageError

ABOUT = "baseline.json"
_LAST = ".last"  # the greatest number ever given, so that none is given twice
_REMEDY = "remove it with `hopscope baseline remove {}` and learn another"


def listed(directory: Path) -> list[About]:
    """What is kept, by number. Raises UsageError where one can't be read."""
    return [about(directory, number) for number in _numbers(directory)]


def about(directory: Path, number: int) -> About:
    """Where a baseline comes from. Raises UsageError where there is none of that number, or it is damaged."""
    path = directory / str(number) / ABOUT
    try:
        found = msgspec.json.decode(path.read_bytes(), type=About)
    except FileNotFoundError as e:
        raise UsageError(_lacking(directory, number)) from e
    except (OSError, ValueError) as e:
        raise UsageError(f"{path}: can't be read ({e}); {_REMEDY.format(number)}") from e
    if found.version != number:
        raise UsageError(f"{path}: speaks of baseline {found.version}; {_REMEDY.format(number)}")
    return found


def load(directory: Path, number: int) -> Baseline:
    """The baseline of that number. Raises UsageError where there is none, or it isn't what was learnt."""
    told = about(directory, number)
    place = directory / str(number)
    try:
        tables = {name: pq.read_table(place / f"{name}.parquet", schema=schema) for name, schema in TABLES.items()}
        digest = _digest(place)
    except (OSError, pa.ArrowException) as e:
        raise UsageError(f"{place}: can't be read ({e}); {_REMEDY.format(number)}") from e
    if digest != told.digest:
        raise UsageError(f"{place}: its tables are not those that were learnt; {_REMEDY.format(number)}")
    return Baseline(told, **tables)


def chosen(directory: Path, use: str) -> Baseline | None:
    """The baseline of a setting: `none`, `latest` (None where there is none yet) or a number. Raises UsageError."""
    if use == "none":
        return None
    if use == "latest":
        numbers = _numbers(directory)
        return load(directory, numbers[-1]) if numbers else None
    return load(directory, int(use))


def save(directory: Path, tables: Mapping[str, pa.Table], told: About) -> About:
    """Keep tables of TABLES as the next version; gives `told` with its number and digest. Raises UsageError."""
    with temporary(directory) as made, _explained(directory):
        for name, schema in TABLES.items():
            path = made / f"{name}.parquet"
            pq.write_table(tables[name].cast(schema), path, compression="zstd")
            path.chmod(0o600)
        while True:
            number = _next(directory)
            told = dataclasses.replace(told, version=number, digest=_digest(made))
            store.write_private(made / ABOUT, [json.dumps(dataclasses.asdict(told), indent=1)])
            try:
                (directory / str(number)).mkdir(mode=0o700)
            except FileExistsError:  # another one learnt meanwhile
                continue
            made.rename(directory / str(number))  # a directory takes the place of an empty one in one step
            break
        store.write_private(directory / _LAST, [str(number)])
    return told


def remove(directory: Path, number: int) -> None:
    """Forget a baseline; its number isn't given again. Raises UsageError where there is none."""
    place = directory / str(number)
    if not place.is_dir():
        raise UsageError(_lacking(directory, number))
    with _explained(directory):
        store.write_private(directory / _LAST, [str(_next(directory) - 1)])
        shutil.rmtree(place)


@contextlib.contextmanager
def temporary(directory: Path) -> Iterator[Path]:
    """A directory beside the baselines that is gone afterwards, where the block has left it there."""
    with _explained(directory):
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".learning.", dir=directory))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _numbers(directory: Path) -> list[int]:
    if not directory.is_dir():
        return []
    return sorted(int(p.name) for p in directory.iterdir() if p.name.isdecimal() and (p / ABOUT).exists())


def _next(directory: Path) -> int:
    """One more than was ever given."""
    names = [p.name for p in directory.iterdir()]
    last = directory / _LAST
    given = last.read_text(encoding="ascii", errors="replace").strip() if last.exists() else ""
    return 1 + max(int(n) for n in ("0", given, *names) if n.isdecimal() and n.isascii())


def _digest(place: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in TABLES:
        digest.update((place / f"{name}.parquet").read_bytes())
    return digest.hexdigest()


def _lacking(directory: Path, number: int) -> str:
    numbers = _numbers(directory)
    if not numbers:
        return f"no baseline {number}: none was learnt yet; hopscope baseline learn INPUT learns one"
    return f"no baseline {number}; there are {', '.join(map(str, numbers))}"


@contextlib.contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise UsageError(
            f"{directory}: can't be written ({e.strerror or e}); free the place, or name another with XDG_STATE_HOME"
        ) from e
