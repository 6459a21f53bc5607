"""Baselines for tests, made from a few rows with defaults for what a test doesn't care about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from hopscope.baselines.model import DAY_US, TABLES, About, Baseline
from hopscope.config import NetworkSettings
from support.windows import CLIENT, SERVER, START

HOUR = START // 3_600_000_000
DEFAULTS: dict[str, dict[str, Any]] = {
    "host_hours": {
        "sensor": "s", "host": CLIENT, "hour": HOUR - 48, "orig_bytes": 50_000, "resp_bytes": 950_000,
        "connections": 40,
    },
    "places": {
        "sensor": "s", "kind": "address", "value": SERVER, "clients": 1, "days": 7, "first_us": START - 8 * DAY_US,
        "last_us": START - DAY_US,
    },
    "communities": {"sensor": "s", "client": CLIENT, "community": 0, "members": 5},
    "habits": {"sensor": "s", "community": 0, "place": SERVER, "users": 1, "user": CLIENT},
}  # fmt: skip
ABOUT: dict[str, Any] = {
    "version": 3, "made": "2023-11-14T22:13:20Z", "first_us": START - 8 * DAY_US, "last_us": START - DAY_US, "days": 7,
    "hosts": 1, "destinations": 1, "sensors": ("s",), "local_nets": NetworkSettings().local_nets, "left_out": (),
    "hopscope": "0.1.0", "digest": "",
}  # fmt: skip


def make_tables(**given: Iterable[Mapping[str, Any]]) -> dict[str, pa.Table]:
    """Tables of `model.TABLES` of the given rows."""
    return {
        name: pa.Table.from_pylist([{**DEFAULTS[name], **row} for row in given.get(name, ())], schema=schema)
        for name, schema in TABLES.items()
    }


def make_baseline(about: Mapping[str, Any] | None = None, **given: Iterable[Mapping[str, Any]]) -> Baseline:
    """A baseline of seven days that end a day before START, of the given rows of its tables."""
    return Baseline(About(**{**ABOUT, **(about or {})}), **make_tables(**given))
