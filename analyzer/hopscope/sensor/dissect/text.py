"""Strings from the wire as valid, printable, bounded text."""

from __future__ import annotations

from functools import lru_cache

NAME_LIMIT = 255
LINE_LIMIT = 1024


@lru_cache(maxsize=8192)
def text(raw: bytes, limit: int = NAME_LIMIT) -> str:
    r"""At most `limit` bytes of `raw` as text, escaped as Zeek's logs are.

    Valid UTF-8 stays; what isn't valid, control characters and whatever else has no visible form become
    \xNN byte by byte, a backslash is doubled so that the two can't be confused.
    """
    raw = raw[:limit]
    if raw.isascii():
        plain = raw.decode("ascii")
        if plain.isprintable() and "\\" not in plain:
            return plain
    return "".join(_shown(char) for char in raw.decode("utf-8", "surrogateescape"))


def visible(value: str) -> str:
    r"""The text with what has no visible form as \xNN; backslashes stay, for text with escapes of its own."""
    return value if value.isprintable() else "".join(char if char == "\\" else _shown(char) for char in value)


def _shown(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
