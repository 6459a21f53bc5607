"""What a hunt weighed, kept beside its findings: the window's tables and the evidence, as Parquet.

`whatif`, `explain` and `label` ask it, so that nobody has to read the traffic again. A run is a directory:

    run.json               settings, times and what was read; `Run` without its tables
    window/NAME.parquet    the window's tables
    hours-N/NAME.parquet   those of some hours of the day, where overrides name hours
    evidence/NAME.parquet  each heuristic's evidence
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hopscope import __version__, fusion
from hopscope.baselines.model import Baseline
from hopscope.config import SECTIONS, Config, Override
from hopscope.errors import UsageError
from hopscope.findings import Entity
from hopscope.heuristics import registry
from hopscope.heuristics.base import EVIDENCE, MATCHES, PROCESSES, Window
from hopscope.summaries.schema import KEY, OF_PAIRS, PAIR
from hopscope.summaries.window import FIRST_SEEN, HOST_HOURS, TABLES

FORM = 2  # of the directory; another one is refused
_BESIDE = {"processes": PROCESSES, "matches": MATCHES}  # small tables, kept as they are
GROUP_ROWS = 1 << 16  # rows of evidence that are read together
_TABLES: dict[str, list[str]] = {
    **{name: columns.names for name, columns in TABLES.items()},
    "first_seen": [c for c in FIRST_SEEN.names if c != "last_us"],  # heuristics ask for the beginning alone
    "host_hours": HOST_HOURS.names,
}
Hours = Mapping[frozenset[int], Window]
Take = Callable[[str, Sequence[int]], list[dict[str, Any]]]  # a heuristic's rows of evidence at these places


@dataclass(frozen=True)
class Run:
    """What a hunt weighed, by which settings, and what came of it.

    `tables` has by heuristic the columns of EVIDENCE up to `decibans`, at least; `take` gives whole rows by their
    place. `by_hours` has the windows that overrides by hours need; `version` is the hopscope that weighed it.
    """

    window: Window
    by_hours: Hours
    config: Config
    read: Mapping[str, Any]
    tables: Mapping[str, pa.Table]
    void: Mapping[str, str]
    take: Take
    version: str = __version__

    def pieces(self, kind: str, value: str, sensor: str | None = None) -> dict[str, tuple[float, int]]:
        """What was said of an entity, also of one below `low`, as `fusion.score_of` takes it.

        The value of a service is `address|port|proto`.
        """
        return fusion.pieces_about(self.window, self.tables, Entity(kind, value), sensor)


def save(path: Path, run: Run) -> None:
    """Keep a run instead of the one that is there. Raises UsageError when it can't be written."""
    target = Path(os.path.realpath(path))
    made: str | None = None
    if target.exists() and not (target / "run.json").exists():
        raise UsageError(f"{path}: is something else than a kept run and stays; name other findings with --findings")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)  # made with mode 0700
        new = Path(made)
        _write_window(new / "window", run.window)
        for number, window in enumerate(run.by_hours.values()):
            _write_window(new / f"hours-{number}", window)
        (new / "evidence").mkdir()
        for name, table in run.tables.items():
            pq.write_table(table, new / "evidence" / f"{name}.parquet", row_group_size=GROUP_ROWS, compression="zstd")
        (new / "run.json").write_text(json.dumps(_plain(run)), encoding="utf-8")
        _replace(new, target)
        made = None
    except OSError as e:
        raise UsageError(f"{path}: can't be written ({e.strerror or e}); free this place or name another") from e
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def forget(path: Path) -> None:
    """Remove a run that is kept, if there is one."""
    if (path / "run.json").exists():
        shutil.rmtree(path, ignore_errors=True)


def load(path: Path, baseline: Callable[[int], Baseline] | None = None) -> Run:
    """The run that is kept at a place; its tables are read when they are asked for.

    `baseline` gives the baseline of a version, which a run that was judged by one needs. Raises UsageError
    when there is none or when it can't be used.
    """
    try:
        plain = json.loads((path / "run.json").read_text(encoding="utf-8"))
        if plain["form"] != FORM:
            raise UsageError(f"{path}: was kept by hopscope {plain['version']}; hunt again with this version")
        config = _config(plain["config"])
        version = plain["window"].pop("baseline")
        known = None if version is None or baseline is None else baseline(version)
        window = _window(path / "window", plain["window"], config, known)
        by_hours = {
            frozenset(hours): _window(path / f"hours-{number}", plain["window"], config, known)
            for number, hours in enumerate(plain["by_hours"])
        }
        stored = _Stored(path / "evidence", plain["evidence"])
        tables = stored.tables()
    except FileNotFoundError as e:
        raise UsageError(
            f"{path}: what the findings were weighed from isn't kept here; hunt again (with keep.window = true)"
        ) from e
    except _DAMAGE as e:
        told = (str(e) or type(e).__name__).splitlines()[0]  # DuckDB tells more, over several lines
        raise UsageError(f"{path}: can't be used ({told}); hunt again") from e
    return Run(window, by_hours, config, plain["read"], tables, plain["void"], stored.take, plain["version"])


def beside(path: Path) -> dict[str, pa.Table]:
    """`processes` and `matches` of the run that is kept at a place; without rows where none is. Raises UsageError."""
    files = {name: path / "window" / f"{name}.parquet" for name in _BESIDE}
    if not (path / "run.json").exists():
        return {name: schema.empty_table() for name, schema in _BESIDE.items()}
    try:
        return {name: pq.read_table(file, schema=_BESIDE[name]) for name, file in files.items()}
    except (OSError, ValueError, pa.ArrowException) as e:
        raise UsageError(f"{path}: can't be used ({str(e).splitlines()[0]}); hunt again") from e


_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, pa.ArrowException, duckdb.Error)
"""What reading a directory raises that is no run, or one that was cut short or written by another version."""


class _Stored:
    """Evidence as it lies on disk: key columns are read as a whole, rows with their facts where they are asked for."""

    def __init__(self, place: Path, names: Sequence[str]):
        self._files = {name: pq.ParquetFile(place / f"{name}.parquet") for name in names}
        for name, file in self._files.items():
            _require(f"evidence/{name}.parquet", file.schema_arrow, EVIDENCE.names)

    def tables(self) -> dict[str, pa.Table]:
        columns = list(EVIDENCE.names[: EVIDENCE.get_field_index("decibans") + 1])
        return {name: file.read(columns=columns) for name, file in self._files.items()}

    def take(self, name: str, places: Sequence[int]) -> list[dict[str, Any]]:
        file = self._files[name]
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        begin = np.concatenate([[0], np.cumsum(sizes)])
        wanted = np.asarray(places, np.int64)
        groups = np.searchsorted(begin, wanted, side="right") - 1
        found: dict[int, dict[str, Any]] = {}
        for group in np.unique(groups).tolist():
            here = wanted[groups == group]
            rows = file.read_row_group(group).take(pa.array(here - begin[group])).to_pylist()
            found |= dict(zip(here.tolist(), rows, strict=True))
        return [found[place] for place in wanted.tolist()]


def _require(file: str, schema: pa.Schema, columns: Sequence[str]) -> None:
    lacking = [c for c in columns if c not in schema.names]
    if lacking:
        raise ValueError(f"{file} has no {', '.join(lacking)}")


def _write_window(place: Path, window: Window) -> None:
    """Write a window's tables; what numbers a pair's columns need not be told in each of them."""
    place.mkdir()
    for name in _TABLES:
        table = getattr(window, name)
        kept = table.drop(*PAIR) if name in OF_PAIRS else table
        kept.to_parquet(place / f"{name}.parquet", compression="zstd")
    for name in _BESIDE:
        pq.write_table(getattr(window, name), place / f"{name}.parquet", compression="zstd")


def _window(place: Path, plain: Mapping[str, Any], config: Config, baseline: Baseline | None) -> Window:
    from hopscope.summaries import engine

    for name, columns in _TABLES.items():
        expected = [c for c in columns if name not in OF_PAIRS or c not in PAIR]
        _require(f"{place.name}/{name}.parquet", pq.read_schema(place / f"{name}.parquet"), expected)
    backend = engine.backend()
    tables = {name: backend.read_parquet(place / f"{name}.parquet", table_name=f"kept_{name}") for name in _TABLES}
    pairs = tables["pairs"].select(*KEY)
    for name in OF_PAIRS:
        whole = tables[name].inner_join(pairs, "pair").select(*TABLES[name].names)
        tables[name] = backend.create_view(f"window_{name}", whole)
    small = {name: pq.read_table(place / f"{name}.parquet", schema=schema) for name, schema in _BESIDE.items()}
    told = {**plain, "lacks": frozenset(plain["lacks"])}
    return Window(**tables, **small, **told, vantage=config.vantage, baseline=baseline)


def _replace(new: Path, target: Path) -> None:
    """Put the new directory where the old one was; a reader finds the old, the new, or for a moment none."""
    old = None
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        os.replace(target, old / "old")
    os.replace(new, target)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _plain(run: Run) -> dict[str, Any]:
    w = run.window
    return {
        "form": FORM,
        "version": run.version,
        "config": _plain_config(run.config),
        "window": {
            "start_us": w.start_us, "end_us": w.end_us, "history_us": w.history_us, "lacks": sorted(w.lacks),
            "baseline": None if w.baseline is None else w.baseline.about.version,
        },
        "by_hours": [sorted(hours) for hours in run.by_hours],
        "read": dict(run.read),
        "void": dict(run.void),
        "evidence": sorted(run.tables),
    }  # fmt: skip


def _plain_config(config: Config) -> dict[str, Any]:
    return {
        "sections": {name: dataclasses.asdict(getattr(config, name)) for name in SECTIONS},
        "heuristics": {name: dataclasses.asdict(settings) for name, settings in config.heuristics.items()},
        "disabled": sorted(config.disabled),
        "overrides": [msgspec.to_builtins(o, order="deterministic") for o in config.overrides],
    }


def _config(plain: Mapping[str, Any]) -> Config:
    """The inverse of `_plain_config`: JSON knows lists where settings are tuples."""
    overrides = tuple(
        dataclasses.replace(o, heuristics={name: _tuples(values) for name, values in o.heuristics.items()})
        for o in msgspec.convert(plain["overrides"], list[Override])
    )
    known = registry()
    return Config(
        **{name: _settings(cls, plain["sections"][name]) for name, cls in SECTIONS.items()},
        heuristics={
            name: _settings(type(known[name].defaults), values)
            for name, values in plain["heuristics"].items() if name in known
        },
        disabled=frozenset(plain["disabled"]),
        overrides=overrides,
    )  # fmt: skip


def _settings(cls: type[Any], values: Mapping[str, Any]) -> Any:
    unknown = sorted(values.keys() - {f.name for f in dataclasses.fields(cls)})
    if unknown:
        raise ValueError(f"unknown setting {unknown[0]}")
    return msgspec.convert(values, cls)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def weighed(window: Window, by_hours: Hours, config: Config, read: Mapping[str, Any]) -> Run:
    """A run of windows that were just made."""
    tables, void = fusion.weigh(window, config, by_hours)
    return Run(window, by_hours, config, read, tables, void, taking(tables))


def taking(tables: Mapping[str, pa.Table]) -> Take:
    """Gives rows of evidence that is at hand as a whole."""
    return lambda name, places: tables[name].take(pa.array(places, pa.int64())).to_pylist()
