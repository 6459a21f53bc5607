"""A slow and obvious reading of Sigma rules, one record at a time: what compiled rules must agree with.

It knows nothing of pySigma and takes a rule as its YAML says it, and a record as a mapping of columns.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]
ADDRESSES = frozenset({"orig_h", "resp_h", "src_h", "dst_h", "client", "resolver"})


def fires(rule: Mapping[str, Any], columns: Mapping[str, str], record: Record) -> bool:
    """The rule's condition holds of the record, whose columns the rule's fields are."""
    detection = rule["detection"]
    told = {name: _search(search, columns, record) for name, search in detection.items() if name != "condition"}
    words = re.findall(r"\(|\)|[^\s()]+", detection["condition"])
    value, rest = _or(words, told)
    assert not rest, rest
    return value


def _or(words: list[str], told: Mapping[str, bool]) -> tuple[bool, list[str]]:
    value, words = _and(words, told)
    while words and words[0] == "or":
        other, words = _and(words[1:], told)
        value = value or other
    return value, words


def _and(words: list[str], told: Mapping[str, bool]) -> tuple[bool, list[str]]:
    value, words = _not(words, told)
    while words and words[0] == "and":
        other, words = _not(words[1:], told)
        value = value and other
    return value, words


def _not(words: list[str], told: Mapping[str, bool]) -> tuple[bool, list[str]]:
    if words[0] == "not":
        value, rest = _not(words[1:], told)
        return not value, rest
    if words[0] == "(":
        value, rest = _or(words[1:], told)
        return value, rest[1:]
    if words[0] in ("1", "all") and words[1:2] == ["of"]:
        pattern = words[2]
        names = list(told) if pattern == "them" else [n for n in told if re.fullmatch(pattern.replace("*", ".*"), n)]
        values = [told[n] for n in names]
        return (any(values) if words[0] == "1" else all(values)), words[3:]
    return told[words[0]], words[1:]


def _search(search: Any, columns: Mapping[str, str], record: Record) -> bool:
    if isinstance(search, list):
        return any(_search(part, columns, record) for part in search)
    return all(_item(key, values, columns, record) for key, values in search.items())


def _item(key: str, values: Any, columns: Mapping[str, str], record: Record) -> bool:
    field, *given = key.split("|")
    column = columns[field]
    modifiers = [m for m in given if m not in ("all", "neq")]
    listed = values if isinstance(values, list) else [values]
    told = [_value(value, modifiers, column, columns, record) for value in listed]
    value = all(told) if "all" in given else any(told)
    return not value if "neq" in given else value


def _value(value: Any, modifiers: list[str], column: str, columns: Mapping[str, str], record: Record) -> bool:
    held = record.get(column)
    if "exists" in modifiers:
        return (not _missing(held)) is value
    if value is None or (value in ("", "-") and set(modifiers) <= {"cased"}):
        return _missing(held)
    if "fieldref" in modifiers:
        other = record.get(columns[value])
        return (
            not _missing(held) and not _missing(other) and _refers(_text(held).lower(), _text(other).lower(), modifiers)
        )
    elements = held if isinstance(held, list) else [held]
    return any(_holds(element, value, modifiers, column) for element in elements if element not in (None, ""))


def _missing(held: Any) -> bool:
    return held in (None, "", [])


def _text(held: Any) -> str:
    """A value as text: 3389.0 is 3389."""
    return str(int(held) if isinstance(held, float) and held.is_integer() else held)


def _refers(held: str, other: str, modifiers: list[str]) -> bool:
    if "contains" in modifiers:
        return other in held
    if "startswith" in modifiers:
        return held.startswith(other)
    if "endswith" in modifiers:
        return held.endswith(other)
    return held == other


def _holds(held: Any, value: Any, modifiers: list[str], column: str) -> bool:
    if "cidr" in modifiers:
        try:
            address = ipaddress.ip_address(held)
        except ValueError:
            return False
        return address in ipaddress.ip_network(value)
    for name, compare in (("gte", held.__ge__), ("gt", held.__gt__), ("lte", held.__le__), ("lt", held.__lt__)):
        if name in modifiers:
            return bool(compare(value))
    if "re" in modifiers:
        flags = [flag for flag in modifiers if flag in ("i", "m", "s")]
        return re.search(f"(?{''.join(flags)})" * bool(flags) + value, _text(held)) is not None
    if isinstance(held, bool):
        held = "true" if held else "false"
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(held, int | float) and set(modifiers) <= {"cased"}:
        try:
            return held == float(value)
        except ValueError:
            pass
    return any(
        _fits(_text(held), pattern, "cased" in modifiers) for pattern in _patterns(str(value), modifiers, column)
    )


def _patterns(value: str, modifiers: list[str], column: str) -> list[str]:
    """The regular expressions that a value stands for."""
    texts = [value]
    if "windash" in modifiers:
        texts = [re.sub(r"\B[-/]\b", dash, value, count=1) for dash in "-/\u2013\u2014\u2015"]
    if "base64" in modifiers:
        texts = [base64.b64encode(value.encode()).decode()]
    if column in ADDRESSES and set(modifiers) <= {"cased"}:
        texts = [_shortest(value)]
    before = ".*" if "contains" in modifiers or "endswith" in modifiers else ""
    after = ".*" if "contains" in modifiers or "startswith" in modifiers else ""
    return [before + _pattern(text) + after for text in texts]


def _shortest(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    return str(getattr(address, "ipv4_mapped", None) or address)


def _pattern(text: str) -> str:
    """* is any text, ? any character; a backslash before one of these three takes it as it is."""
    made, i = "", 0
    while i < len(text):
        if text[i] == "\\" and text[i + 1 : i + 2] in ("*", "?", "\\"):
            i += 1
            made += re.escape(text[i])
        else:
            made += {"*": ".*", "?": "."}.get(text[i], re.escape(text[i]))
        i += 1
    return made


def _fits(held: str, pattern: str, cased: bool) -> bool:
    if not cased:
        held, pattern = held.lower(), pattern.lower()
    return re.fullmatch(pattern, held, re.DOTALL) is not None
