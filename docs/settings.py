"""Writes docs/settings.md from the settings' own definitions: `make docs`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from hopscope import heuristics
from hopscope.config import MAPPINGS
from hopscope.configuring.catalogue import Setting, catalogue
from hopscope.configuring.template import toml

PAGE = Path(__file__).with_name("settings.md")

HEAD = """\
# The settings

Written by `make docs` from where each setting is defined; change them there.

A file of settings is TOML: a `[section]` for each table below, `key = value` for each row, and
`disabled = ["NAME"]` above them to leave heuristics out. `hopscope config init` writes one with everything in it
commented out, to `~/.config/hopscope/hopscope.toml`, which every command reads (`HOPSCOPE_CONFIG` or
`--config FILE` names another, `--config none` reads none). `hopscope config check` tells all that is wrong in it,
with lines; `hopscope config show --origin` what is in force, and from where.

An environment variable `HOPSCOPE_SECTION__KEY` goes over the file (`HOPSCOPE_HEURISTICS__PATH_GAP__FLOOR_MS=20`;
`HOPSCOPE_DISABLED=cadence,rotation`), an option of the command over both. A number may be followed by a unit, in a
file in quotes: `"20 ms"`, `"0.02 s"`, `"90 min"`, `"2 MB"`, `"50 %"`, `"12 dB"`; it is converted, and refused where
the setting measures something else. Fractions lie between 0 and 1, what is counted or measured isn't negative.

A running `hopscope live` or `hopscope follow` reads a changed file at the next tick. One that is broken is refused
with a line, and the settings stay. `network.local_nets`, a longer `window.hours`, `live.ack_s`, `live.queue_mb`,
`baseline.use`, `[events]` and `[sigma]` need a restart.

## `[[override]]`

Settings of heuristics for some networks, for some hours of the day, or both; as many as there are cases.

```toml
[[override]]
networks = ["10.1.2.0/28"]
hours = "22-06"
reason = "backups by night"
disabled = ["byte_ratio"]
heuristics.path_gap.floor_ms = "40 ms"
```

| key | meaning |
| --- | --- |
| `networks` | the clients for which it holds (of `relay_pattern`: our hosts that relay); left out: all |
| `hours` | hours of the day in `window.timezone`, the end not included: `"22-06"`, `"7-9, 17-19"`; left out: all |
| `reason` | why, for those who read it later |
| `disabled` | heuristics that say nothing there |
| `heuristics.NAME.KEY` | what a setting is there |

Each client's evidence is weighed with the settings that hold for it; where several overrides hold, the later one
wins. A client that an override with `hours` concerns is weighed in these hours and in the others by themselves, and
what weighs most counts: a rhythm over the whole day is then seen in parts."""


def page() -> Iterator[str]:
    """The lines of docs/settings.md."""
    yield from HEAD.split("\n")
    titles = {f"heuristics.{name}": h.title for name, h in heuristics.registry().items()}
    for group, settings in itertools.groupby(catalogue().values(), lambda s: s.group):
        if group:
            yield from _section(group, titles.get(group, ""), list(settings))


def _section(name: str, title: str, settings: list[Setting]) -> Iterator[str]:
    alike = name in MAPPINGS  # a table of numbers that mean the same
    said = (settings[0].doc if alike else title) + (f" ({settings[0].unit})" if alike and settings[0].unit else "")
    yield ""
    yield f"## `[{name}]`"
    yield ""
    if said:
        yield f"{said[0].upper()}{said[1:]}."
        yield ""
    yield "| key | default |" if alike else "| key | default | unit | meaning |"
    yield "| --- | --- |" if alike else "| --- | --- | --- | --- |"
    for setting in settings:
        row = f"| `{setting.key}` | `{toml(setting.default)}` |"
        yield row if alike else f"{row} {setting.unit} | {setting.doc} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
