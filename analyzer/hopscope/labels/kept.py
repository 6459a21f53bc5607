"""What people said of findings: hop or benign, kept as JSON Lines with what the heuristics said at the time.

Which label fits which finding is told by `fits`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

import msgspec

from hopscope import store
from hopscope.errors import UsageError
from hopscope.findings import Entity
from hopscope.outputs.escape import ascii_json

Verdict = Literal["hop", "benign"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
KINDS = ("name", "service", "address", "network")


@dataclass(frozen=True)
class Label:
    """A person's verdict on an entity, with what was known of it then.

    `entity` is as in the finding (a service as `192.0.2.1:443/tcp`), `id` the finding's id (that of the
    entity and sensor, whether it was a finding or not).
    """

    id: str
    verdict: Verdict
    entity: Entity
    hop: str | None  # the address; null for a name that wasn't seen yet
    time: str  # when it was given: RFC 3339, UTC
    port: int | None = None  # null when the entity is an address or a network
    proto: str | None = None
    sensor: str = ""
    author: str = ""
    note: str = ""
    names: tuple[str, ...] = ()  # what clients asked the hop for
    dns_names: tuple[str, ...] = ()  # whose DNS answers gave a client the hop's address
    fingerprints: tuple[str, ...] = ()
    # heuristic -> (its own decibans for the best client, clients); null where they weren't known
    pieces: Mapping[str, tuple[float, int]] | None = None
    groups: Mapping[str, float] = field(default_factory=dict)  # groups of heuristics that spoke for it: decibans
    score_db: float | None = None  # null where nothing was known of it
    versions: Mapping[str, str] = field(default_factory=dict)  # of hopscope, settings and baseline

    def to_json(self) -> str:
        """One line of JSON, keys in the order of the fields."""
        return ascii_json(json.dumps(dataclasses.asdict(self), ensure_ascii=True, separators=(", ", ": ")))

    @classmethod
    def from_json(cls, line: str) -> Label:
        """The inverse of `to_json`. Raises ValueError that says what is wrong."""
        raw = msgspec.json.decode(line)
        if not isinstance(raw, dict):
            raise ValueError("not an object")
        unknown = sorted(raw.keys() - {f.name for f in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"unknown field {unknown[0]!r}")
        label = msgspec.convert(raw, cls)
        _check(label)
        return label


def _check(label: Label) -> None:
    if label.entity.kind not in KINDS:
        raise ValueError(f"no entity is a {label.entity.kind!r}; there are {', '.join(KINDS)}")
    if label.hop is not None:
        ipaddress.ip_address(label.hop)
    elif label.entity.kind != "name":
        raise ValueError(f"a {label.entity.kind} needs a hop")
    if label.port is not None and not 0 <= label.port <= 0xFFFF:
        raise ValueError(f"port {label.port} is out of range")
    moment = datetime.fromisoformat(label.time)
    if moment.utcoffset() != timedelta(0):
        raise ValueError(f"time {label.time!r} is not in UTC")
    for heuristic, (_, clients) in (label.pieces or {}).items():
        if clients < 1:
            raise ValueError(f"{heuristic} has {clients} clients")


def parse(lines: Iterable[str], place: str) -> list[Label]:
    """The labels of JSON Lines in their order; empty lines are passed over.

    Raises UsageError, with the place and the line's number, at the first that is no label.
    """
    out = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                out.append(Label.from_json(line))
            except (ValueError, RecursionError) as e:
                raise UsageError(f"{place} line {number}: not a label ({e}); correct or remove that line") from e
    return out


def read(path: Path) -> list[Label]:
    """The labels kept at a place, in the order they were given; none where there is no file.

    Raises UsageError when it can't be read or at the first line that is no label.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: can't be read ({e}); name the file with --labels") from e
    return parse(text.split("\n"), str(path))


def write(path: Path, labels: Iterable[Label]) -> None:
    """Keep these labels instead of those that are there. Raises UsageError when the place can't be written."""
    store.write_private(path, (label.to_json() for label in labels))


@contextlib.contextmanager
def changing(path: Path) -> Iterator[list[Label]]:
    """The labels of a place, to be changed in the block and kept at its end; another who changes them waits.

    Raises UsageError as `read` and `write` do; then, and when the block raises, the file stays as it was.
    """
    with store.locked(path, "--labels"):
        labels = read(path)
        yield labels
        write(path, labels)


def in_force(labels: Iterable[Label]) -> list[Label]:
    """The newest label of each entity and sensor, newest first; of equally new ones the last."""
    newest: dict[tuple[str, Entity], Label] = {}
    for label in labels:
        key = (label.sensor, label.entity)
        if key not in newest or moment(label) >= moment(newest[key]):
            newest[key] = label
    return sorted(newest.values(), key=lambda label: (moment(label), label.id), reverse=True)


def moment(label: Label) -> datetime:
    """When the label was given."""
    return datetime.fromisoformat(label.time)


def summary(label: Label) -> str:
    """The verdict with what goes with it: `benign: the night's backup (ana, 2026-11-21)`."""
    note = f": {label.note}" if label.note else ""
    return f"{label.verdict}{note} ({label.author or 'unknown'}, {label.time[:10]})"
