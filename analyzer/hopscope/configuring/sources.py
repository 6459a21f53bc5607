"""Where settings are written: in files, in the environment, on the command line."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hopscope import places
from hopscope.configuring import lines
from hopscope.configuring.catalogue import DISABLED
from hopscope.errors import UsageError

PREFIX = "HOPSCOPE_"
NONE = "none"  # named instead of a file: read none
OVERRIDE = "override"
MOST_BYTES = 1_000_000
_LOOKED_BACK = 1000  # lines before a fault among which the statement's beginning is sought


@dataclass(frozen=True)
class Origin:
    """Where a value comes from: `kind` default, file, environment or command line; the file's or variable's name."""

    kind: str = "default"
    name: str = ""
    line: int | None = None

    def __str__(self) -> str:
        if self.kind == "file":
            return self.name if self.line is None else f"{self.name} line {self.line}"
        return f"{self.kind} {self.name}".rstrip()


DEFAULT, COMMAND = Origin(), Origin("command line")


@dataclass(frozen=True)
class Problem:
    """Something that can't be used, where it stands, and what is expected there; `key` is the setting's name."""

    origin: Origin
    key: str
    said: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.said}"


@dataclass(frozen=True)
class Given:
    """A value as it was written for a setting; `text`: where all is text, as in the environment."""

    name: str
    value: Any
    origin: Origin
    text: bool = False


@dataclass(frozen=True)
class GivenOverride:
    """One [[override]] as it was written, with the line of each of its keys."""

    number: int  # from 1, in its file
    table: Mapping[str, Any]
    file: str
    lines: Mapping[lines.Path, int]

    def origin(self, *path: str) -> Origin:
        """Where that key of it stands; the table itself without one."""
        return Origin("file", self.file, lines.line_of((OVERRIDE, self.number - 1, *path), self.lines))


@dataclass
class Written:
    """What was written in some places: values, overrides, and what is no setting at all."""

    values: list[Given] = field(default_factory=list)
    overrides: list[GivenOverride] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    passed_over: list[Origin] = field(default_factory=list)  # variables of ours that name no setting


def settings_file(named: str | os.PathLike[str] | None, env: Mapping[str, str]) -> Path | None:
    """The file of settings to read: the one that was named, else the user's where there is one; None for none."""
    path = place(named, env)
    is_named = named is not None or env.get("HOPSCOPE_CONFIG")
    return path if is_named or (path is not None and os.path.exists(path)) else None


def place(named: str | os.PathLike[str] | None, env: Mapping[str, str]) -> Path | None:
    """Where the file of settings is, or would be; None where none is to be read."""
    chosen = os.fspath(named) if named is not None else env.get("HOPSCOPE_CONFIG") or None
    if chosen is None:
        return places.settings_file(env)
    return None if chosen == NONE else Path(chosen)


def in_file(path: Path) -> Written:
    """What a file says. Raises UsageError when it can't be read; what isn't TOML is told as a problem."""
    try:
        with path.open("rb") as f:
            data = f.read(MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: can't be read ({e}); name a file of settings that can be read") from e
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path}: is no file of settings, it is longer than {MOST_BYTES:,} bytes; see --config")
    return in_text(text, str(path))


def in_text(text: str, name: str) -> Written:
    """What a file of this text and name says. Of one that isn't TOML what stands before the fault is read."""
    out = Written()
    text = text.replace("\r\n", "\n")
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as e:  # numbers of more digits than Python reads are no TOMLDecodeError
        told = re.search(r"at line (\d+)", str(e))
        beginning = _before(text, int(told[1]) if told else None)
        line = int(told[1]) if told else beginning.count("\n") + 1  # the statement that goes on to the end
        out.problems.append(Problem(Origin("file", name, line), "", f"not valid TOML ({e}); correct that line"))
        text = beginning
        tree = tomllib.loads(text)
    where = lines.lines_of(text)
    overrides = tree.pop(OVERRIDE, [])
    if isinstance(overrides, list) and all(isinstance(o, dict) for o in overrides):
        out.overrides = [GivenOverride(i, table, name, where) for i, table in enumerate(overrides, 1)]
    else:
        origin = Origin("file", name, lines.line_of((OVERRIDE,), where))
        out.problems.append(Problem(origin, OVERRIDE, "override must be a table; write it as [[override]]"))
    for path, value in _leaves(tree, ()):
        out.values.append(Given(".".join(path), value, Origin("file", name, lines.line_of(path, where))))
    return out


def in_environment(env: Mapping[str, str]) -> Written:
    """What HOPSCOPE_SECTION__KEY and HOPSCOPE_DISABLED say."""
    out = Written()
    for variable, raw in env.items():
        name = variable.removeprefix(PREFIX).lower().replace("__", ".")
        if variable.startswith(PREFIX) and ("." in name or name == DISABLED):
            out.values.append(Given(name, raw, Origin("environment", variable), text=True))
        elif variable.startswith(PREFIX):
            out.passed_over.append(Origin("environment", variable))
    return out


def on_command_line(values: Mapping[str, Any]) -> Written:
    """What options say, by the settings' names."""
    return Written([Given(name, value, COMMAND, isinstance(value, str)) for name, value in values.items()])


def _before(text: str, line: int | None) -> str:
    """The longest beginning of the text, before that line, that is TOML; it ends with a line's end."""
    whole = text.split("\n")
    last = (line or len(whole)) - 1
    for end in range(last, max(0, last - _LOOKED_BACK), -1):
        beginning = "".join(f"{one}\n" for one in whole[:end])
        try:
            tomllib.loads(beginning)
        except (ValueError, RecursionError):
            continue
        return beginning
    return ""


def _leaves(tree: Mapping[str, Any], prefix: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*prefix, key))
        else:
            yield (*prefix, key), value
