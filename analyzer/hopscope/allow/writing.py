"""Allowlist entries as TOML, and changes of the file that keep what people wrote in it."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hopscope import store
from hopscope.allow.entries import CONDITIONS, NEVER, Entry, parse
from hopscope.errors import UsageError


def to_toml(entry: Entry) -> str:
    """The entry as TOML, ready to paste; all of it is printable ASCII but the words of reason and author."""
    import tomlkit

    def text(value: object) -> str:
        return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in tomlkit.item(str(value)).as_string())

    def plain(value: object) -> str:  # what came from the wire must neither hide nor reorder itself in an editor
        return "".join(c if c.isascii() else f"\\U{ord(c):08x}" for c in text(value))

    lines = ["[[allow]]", f"id = {text(entry.id)}", f"reason = {text(entry.reason)}"]
    if entry.author:
        lines.append(f"author = {text(entry.author)}")
    if entry.added is not None:
        lines.append(f"added = {entry.added.isoformat()}")
    lines.append(f"expires = {text(NEVER) if entry.expires is None else entry.expires.isoformat()}")
    for condition in CONDITIONS:
        values = getattr(entry, condition)
        if values:
            shown = [plain(f"AS{v}" if condition == "asns" else v) for v in values]
            one = ", ".join(shown)
            many = "\n" + "".join(f"    {s},\n" for s in shown)
            lines.append(f"{condition} = [{one if len(one) < 80 else many}]")
    return "\n".join(lines) + "\n"


def add(path: Path, new: Sequence[Entry]) -> None:
    """Write further entries to the end of the file, which keeps its comments and its order. Raises UsageError."""
    import tomlkit
    from tomlkit.items import AoT

    def change(document: tomlkit.TOMLDocument) -> None:
        if not isinstance(document.get("allow", AoT([])), AoT):
            raise TypeError("`allow` is one array")
        for entry in new:
            added = tomlkit.parse(to_toml(entry) + "\n")
            if "allow" in document:
                document["allow"].append(added["allow"][0])
            else:
                document["allow"] = added["allow"]

    _edit(path, change)


def end(path: Path, entry_id: str, today: datetime.date) -> None:
    """Date an entry's end, so that it holds no longer. Raises UsageError."""
    import tomlkit

    def change(document: tomlkit.TOMLDocument) -> None:
        for table in document["allow"]:
            if table["id"] == entry_id:
                table["expires"] = today

    _edit(path, change)


def _edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a file in one step; nothing that another wrote meanwhile is lost, and its mode stays."""
    with store.locked(path, "--allow"):
        _change(path, change)


def _change(path: Path, change: Callable[[Any], None]) -> None:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        before = path.read_text(encoding="utf-8-sig") if path.exists() else ""
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: can't be read ({e}); name the allowlist with --allow") from e
    try:
        document = tomlkit.parse(before)
        change(document)
        text = tomlkit.dumps(document)
    except (TOMLKitError, ValueError, TypeError, AttributeError) as e:
        raise UsageError(f"{path}: can't be changed by a command ({e}); write each entry under [[allow]]") from e
    parse(text, path)  # nothing that couldn't be read again is written
    # an editor asks for no lock
    if (path.read_text(encoding="utf-8-sig") if path.exists() else "") != before:
        raise UsageError(f"{path}: was changed by somebody else meanwhile; run the command again")
    store.write_private(path, text.removesuffix("\n").split("\n"))
    try:
        os.chmod(path, mode)
    except OSError as e:
        raise UsageError(f"{path}: was written, but its mode can't be set ({e.strerror})") from e
