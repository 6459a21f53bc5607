"""A file of settings for somebody to begin with: every setting, commented out, as it is without the file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from hopscope.configuring.catalogue import Setting, catalogue

_HEAD = """\
# The settings of hopscope. Each is commented out and shows what holds without it; take away the # to change it.
# A number may be followed by its unit, in quotes: "25 ms", "0.025 s", "90 min", "50 %".
# `hopscope config check` tells what is wrong in this file, `hopscope config show --origin` what is in force."""

_OVERRIDES = """\
# Settings of heuristics for some of our networks, for some hours of the day (in window.timezone), or both.
# As many of these as there are cases; where several hold for a client, the later one wins.
# [[override]]
# networks = ["10.1.2.0/28"]
# hours = "22-06"
# reason = "backups by night"
# disabled = ["byte_ratio"]
# heuristics.path_gap.floor_ms = "40 ms\""""


def lines() -> Iterator[str]:
    """The lines of the file."""
    from hopscope import heuristics

    titles = {f"heuristics.{name}": h.title for name, h in heuristics.registry().items()}
    yield from _HEAD.split("\n")
    for group, settings in itertools.groupby(catalogue().values(), lambda s: s.group):
        yield ""
        if group:
            yield f"[{group}]"
        if group in titles:
            yield f"# {titles[group]}"
            yield "#"
        told = ""
        for setting in settings:
            if meaning(setting) != told:  # those of a table of numbers mean the same
                told = meaning(setting)
                yield f"# {told}"
            yield f"# {setting.key} = {toml(setting.default)}"
    yield ""
    yield from _OVERRIDES.split("\n")


def meaning(setting: Setting) -> str:
    """What a setting means, and its unit."""
    return f"{setting.doc} ({setting.unit})" if setting.unit else setting.doc


def toml(value: Any) -> str:
    """A setting's value as TOML: of texts, numbers and lists of texts it is written as JSON is."""
    return json.dumps(value, ensure_ascii=False)
