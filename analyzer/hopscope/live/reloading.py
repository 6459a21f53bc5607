"""The settings of a running analyzer, read again when their file changed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hopscope.config import Config
from hopscope.configuring.loading import differences
from hopscope.errors import UsageError

NAMED = 5  # changed settings that are named


class Reloading:
    """Loads the settings and watches their file (None: there is none); `load` reads all of them, or raises UsageError.

    `config` is what holds. Afterwards a file that is broken or gone leaves it as it was. So does a change that a
    running analyzer can't follow, while what else changed in the file is taken.
    """

    def __init__(self, path: Path | None, load: Callable[[], Config]):
        self._path, self._load = path, load
        self._empty: _Stamp | None = None
        self._seen = _stamp(path)  # before it is read: what is written meanwhile is a change
        self.config = load()

    def look(self) -> tuple[str, ...]:
        """Read the file again if it changed since it was last read; the lines that tell what came of it."""
        stamp = _stamp(self._path)
        if stamp == self._seen:
            return ()
        if stamp is not None and stamp.size == 0 and stamp != self._empty:
            self._empty = stamp  # an editor may be about to write: it is taken if it is empty still next time
            return ()
        self._seen = stamp
        if stamp is None:
            return (f"{self._path}: is gone; the settings stay as they were",)
        try:
            asked = self._load()
        except UsageError as e:
            return (f"{e}; the settings stay as they were",)
        taken, refused = following(self.config, asked)
        lines = [f"{name}: can't change in a running analyzer; restart it to take this" for name in refused]
        changed = [
            *differences(self.config, taken),
            *(["override"] if taken.overrides != self.config.overrides else []),
        ]
        self.config = taken
        if changed:
            more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
            lines.insert(0, f"{self._path}: read again; {', '.join(changed[:NAMED])}{more} changed")
        elif not refused:
            lines.append(f"{self._path}: read again; no setting changed")
        return tuple(lines)


def following(old: Config, new: Config) -> tuple[Config, list[str]]:
    """The new settings as far as a running analyzer can take them, and the names of those that stay as they were.

    Which connections are read, hours that are gone, the connection to Zeek, the baseline and the rules stay.
    """
    keep: dict[str, set[str]] = {
        "network": {"local_nets"},
        "window": {"hours"} if new.window.hours > old.window.hours else set(),
        "live": {"ack_s", "queue_mb"},
        "baseline": {"use"},
        "events": {"tolerance_s"},
        "sigma": {"rules", "shipped", "disabled"},
    }
    sections, refused = {}, []
    for section, names in keep.items():
        was, wanted = getattr(old, section), getattr(new, section)
        stay = {name: getattr(was, name) for name in sorted(names) if getattr(was, name) != getattr(wanted, name)}
        refused += [f"{section}.{name}" for name in stay]
        sections[section] = dataclasses.replace(wanted, **stay)
    return dataclasses.replace(new, **sections), refused


class _Stamp(NamedTuple):
    """What tells that a file changed."""

    mtime_ns: int
    size: int
    inode: int


def _stamp(path: Path | None) -> _Stamp | None:
    """The file's stamp; None where there is no file."""
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    return _Stamp(found.st_mtime_ns, found.st_size, found.st_ino)
