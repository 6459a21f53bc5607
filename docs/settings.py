"""Writes docs/settings.md from the settings' own definitions: `make docs`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hopscope import config, heuristics

PAGE = Path(__file__).with_name("settings.md")


def page() -> Iterator[str]:
    """The lines of docs/settings.md."""
    yield "# The settings"
    yield ""
    yield "Written by `make docs` from where each setting is defined; change them there."
    yield ""
    yield "A file of settings is TOML, given with `--config FILE`: a `[section]` for each table below, `key = value`"
    yield 'for each row, and `disabled = ["NAME"]` above them to leave heuristics out. An environment variable'
    yield "`HOPSCOPE_SECTION__KEY` goes over the file (`HOPSCOPE_HEURISTICS__PATH_GAP__FLOOR_MS=20.0`), an option of"
    yield "the command over both. Unknown keys and wrong types are errors that name the place."
    for name, group in config.SECTIONS.items():
        yield from _section(name, "", group())
    for name, heuristic in heuristics.registry().items():
        yield from _section(f"heuristics.{name}", heuristic.title, heuristic.defaults)


def _section(name: str, title: str, group: Any) -> Iterator[str]:
    yield ""
    yield f"## `[{name}]`"
    yield ""
    if title:
        yield f"{title[0].upper()}{title[1:]}."
        yield ""
    yield "| key | default | unit | meaning |"
    yield "| --- | --- | --- | --- |"
    for field in dataclasses.fields(group):
        default = json.dumps(getattr(group, field.name))  # lists, numbers and strings are TOML, too
        yield f"| `{field.name}` | `{default}` | {field.metadata['unit']} | {field.metadata['doc']} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
