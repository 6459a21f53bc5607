"""Text from the wire, made harmless for a terminal: the one place where that is done."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "Mn", "Me"})
"""Categories that move the cursor, hide, reorder or overprint: controls, formats (bidirectional overrides
and zero-width characters among them), surrogates, private and unassigned code points, separators,
combining marks."""

_LIKE_ESCAPE = re.compile(r"\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}")  # what makes an escape of a backslash


def visible(text: str, limit: int = 500) -> str:
    r"""The text on one line, with everything that could act on a terminal or deceive its reader as \xNN.

    Code points above 255 become \uNNNN or \UNNNNNNNN. A backslash before what would make it look like an escape
    is doubled, so that no text looks like another's; elsewhere it stays, as in C:\Windows. Text longer than
    `limit` code points is cut and ends in "...".
    """
    if text.isascii() and text.isprintable() and "\\" not in text and len(text) <= limit:
        return text
    cut = text if len(text) <= limit else text[:limit]
    return "".join(_visible_char(cut, i) for i in range(len(cut))) + ("" if cut is text else "...")


def ascii_json(line: str) -> str:
    """A line of JSON in ASCII without the one control character that JSON leaves as it is."""
    return line.replace("\x7f", "\\u007f")


def _visible_char(text: str, at: int) -> str:
    char = text[at]
    if char == "\\":
        after = text[at + 1 : at + 2]
        return "\\\\" if (after and _hidden(after)) or _LIKE_ESCAPE.match(text, at + 1) else char
    if not _hidden(char):
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _hidden(char: str) -> bool:
    return char != " " and unicodedata.category(char) in _HIDDEN
