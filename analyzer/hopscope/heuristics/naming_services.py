"""Names of tunnel and dynamic-DNS services, and names that spell an address: from `data/naming_services.toml`."""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

CATEGORIES = ("tunnel", "dyndns", "device", "literal")


@dataclass(frozen=True)
class Service:
    """One entry of the file: `own` are hosts of the service itself, `apex` that the suffix itself is given out."""

    operator: str
    category: str
    suffixes: tuple[str, ...]
    source: str
    date: str
    own: tuple[str, ...] = ("www",)
    apex: bool = False


@functools.cache
def services() -> tuple[Service, ...]:
    """All entries. Raises KeyError when one lacks a field: the file is part of the program, a test reads it."""
    text = resources.files("hopscope.heuristics").joinpath("data/naming_services.toml").read_text(encoding="utf-8")
    return tuple(_service(entry) for entry in tomllib.loads(text)["service"])


def matches(names: pa.ChunkedArray | pa.Array) -> pa.Table:
    """(name, category, operator) of those among `names` that a service's customer has; each name once.

    Names are lower case, as in summaries. A service's own hosts and names that only end alike are no match.
    """
    nothing = pa.schema([("name", pa.string()), ("category", pa.string()), ("operator", pa.string())]).empty_table()
    distinct = pc.drop_null(pc.unique(names.cast(pa.string())))
    hit = distinct.filter(pc.match_substring_regex(distinct, _pattern()))
    if not len(hit):
        return nothing
    parts = pc.extract_regex(hit, _pattern())
    rows = []
    # few rows: names of such services alone
    for name, part in zip(hit.to_pylist(), parts.to_pylist(), strict=True):
        service = _by_suffix()[part["suffix"]]
        customer = part["label"].removesuffix(".")
        if customer in service.own or (not customer and not service.apex):
            continue
        rows.append({"name": name, "category": service.category, "operator": service.operator})
    return pa.Table.from_pylist(rows, schema=nothing.schema)


@functools.cache
def _by_suffix() -> dict[str, Service]:
    return {suffix: service for service in services() for suffix in service.suffixes}


@functools.cache
def _pattern() -> str:
    """Of several suffixes the longest, since the label before it is taken as short as can be."""
    return rf"^(?P<label>(?:.+?\.)?)(?P<suffix>{'|'.join(re.escape(s) for s in _by_suffix())})$"


def _service(entry: dict[str, Any]) -> Service:
    return Service(
        operator=entry["operator"],
        category=entry["category"],
        suffixes=tuple(entry["suffixes"]),
        source=entry["source"],
        date=entry["date"].isoformat(),
        own=("www", *entry.get("own", ())),
        apex=entry.get("apex", False),
    )
