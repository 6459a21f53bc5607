"""Text from the wire, made harmless for a terminal: the one place where that is done."""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "Mn", "Me"})
"""Categories that move the cursor, hide, reorder or overprint: controls, formats (bidirectional overrides
and zero-width characters among them), surrogates, private and unassigned code points, separators,
combining marks."""


def visible(text: str, limit: int = 500) -> str:
    r"""The text on one line, with everything that could act on a terminal or deceive its reader as \xNN.

    Code points above 255 become \uNNNN or \UNNNNNNNN, a backslash is doubled, so that no name can look
    like an escape of another. Text longer than `limit` code points is cut and ends in "...".
    """
    if text.isascii() and text.isprintable() and "\\" not in text and len(text) <= limit:
        return text
    cut = text if len(text) <= limit else text[:limit]
    return "".join(map(_visible_char, cut)) + ("" if cut is text else "...")


def _visible_char(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char == " " or unicodedata.category(char) not in _HIDDEN:
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
