"""Values of Zeek's logs to Arrow columns of the records' types: whole columns fast, text value by value with care."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.records import TIME

PORTS = 65535
LATEST_S = 1e11  # seconds; a greater number of a time is in milliseconds
LATEST_MS = 1e14
LATEST = pa.scalar(int(LATEST_S * 1e6), pa.int64()).cast(TIME)
MOST_COUNTED = 1 << 53  # beyond, a count isn't exact as a float, and is nonsense anyway
MOST_SECONDS = LATEST_S  # of any number that isn't a count: with a time it makes a time

_NUMBER = r"-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]{1,2})?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
_KEPT = "\x00"  # stands for a doubled backslash while single ones are looked at; Zeek writes this byte as \x00


@dataclass(frozen=True)
class Marks:
    """What separates values and stands for none, as a log's header tells it."""

    separator: str = "\t"
    set_separator: str = ","
    empty: str = "(empty)"
    unset: str = "-"


def read_as(kind: pa.DataType) -> pa.DataType:
    """The type in which a reader of numbers and text should give a column that is to be of type `kind`."""
    if kind == TIME:
        return pa.float64()
    return pa.string() if pa.types.is_list(kind) else kind


def typed(column: pa.Array, kind: pa.DataType, marks: Marks, escaped: bool, own_escapes: bool) -> pa.Array:
    """A column as `read_as` asks for it, in type `kind`.

    `escaped`: backslashes or the mark of emptiness may occur. `own_escapes`: the text was escaped before
    Zeek escaped it. Raises pa.ArrowInvalid when a value is out of range.
    """
    if column.null_count == len(column):
        return pa.nulls(len(column), kind)
    if kind == TIME:
        return _times(column)
    if pa.types.is_list(kind):
        made = _lists(column, kind, marks, escaped, own_escapes)
        require_sound(made)
        return made
    if pa.types.is_string(kind):
        return _text(column, marks, own_escapes) if escaped else column
    if not _within(column, kind):
        raise pa.ArrowInvalid("a number is out of range")
    return column


def careful(column: pa.Array, kind: pa.DataType, marks: Marks, own_escapes: bool) -> tuple[pa.Array, pa.Array]:
    """A column of text in type `kind`, null where a value doesn't fit, and where it fits (null does)."""
    if pa.types.is_string(kind):
        return typed(column, kind, marks, True, own_escapes), pa.array(np.ones(len(column), bool))
    if kind == TIME:
        return any_times(column)
    fits = pc.fill_null(pc.match_substring_regex(column, _pattern(kind, marks)), True)
    fitting = pc.if_else(fits, column, pa.scalar(None, pa.string()))
    if pa.types.is_boolean(kind):
        return pc.if_else(pc.is_null(fitting), None, pc.is_in(fitting, value_set=_TRUE)), fits
    if not pa.types.is_list(kind):
        if pa.types.is_integer(kind):
            fitting = pc.replace_substring_regex(fitting, r"\.0*$", "").cast(pa.int64())
            most = PORTS if kind == pa.int32() else MOST_COUNTED
            within = pc.fill_null(pc.less_equal(fitting, most), True)
        else:
            fitting = fitting.cast(kind)
            within = _within_seconds(fitting)
        fits = pc.and_(fits, within)
        return pc.if_else(fits, fitting, None).cast(kind), fits
    made = _lists(fitting, kind, marks, True, own_escapes)
    within = _sound(made)
    return pc.if_else(within, made, None), pc.and_(fits, within)


def require_sound(lists: pa.Array) -> None:
    """Raise pa.ArrowInvalid when a number in one of the lists is out of range."""
    if pa.types.is_floating(lists.type.value_type) and not pc.all(_within_seconds(lists.values)).as_py():
        raise pa.ArrowInvalid("a number in a list is out of range")


def _sound(lists: pa.Array) -> pa.Array:
    """In which of the lists every number is in range."""
    if not pa.types.is_floating(lists.type.value_type):
        return pa.array(np.ones(len(lists), bool))
    sound = _within_seconds(lists.values).to_numpy(zero_copy_only=False)
    odd = np.concatenate([[0], np.cumsum(~sound)])[lists.offsets.to_numpy()]
    return pa.array(odd[1:] == odd[:-1])


def _within_seconds(numbers: pa.Array) -> pa.Array:
    return pc.fill_null(pc.less_equal(pc.abs(numbers), MOST_SECONDS), True)


_TRUE = pa.array(["T", "true", "1"])


def _pattern(kind: pa.DataType, marks: Marks) -> str:
    """What a value of `kind` looks like."""
    if pa.types.is_list(kind):
        if pa.types.is_string(kind.value_type):
            return ""
        one = r"-?[0-9]{1,9}" if pa.types.is_integer(kind.value_type) else _NUMBER
        one = f"({one}|{re.escape(marks.unset)})"
        return f"^({one}({re.escape(marks.set_separator)}{one})*|{re.escape(marks.empty)})$"
    if pa.types.is_boolean(kind):
        return "^(T|F|true|false|1|0)$"
    return r"^[0-9]{1,18}(\.0*)?$" if pa.types.is_integer(kind) else f"^{_NUMBER}$"


def any_times(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Text of epoch seconds, epoch milliseconds or ISO 8601 (UTC where it names no zone), and where it is one."""
    none = pa.scalar(None, pa.string())
    numeric = pc.fill_null(pc.match_substring_regex(column, r"^[0-9]{1,14}(\.[0-9]*)?([eE]\+?[0-9])?$"), False)
    seconds = pc.if_else(numeric, column, none).cast(pa.float64())
    seconds = pc.if_else(pc.less(seconds, LATEST_MS), seconds, None)
    at = pa.nulls(len(column), TIME) if seconds.null_count == len(column) else _times(seconds)
    dated = pc.fill_null(pc.match_substring_regex(column, f"^{_DATE}(Z|[-+][0-9]{{2}}:?[0-9]{{2}})?$"), False)
    if pc.any(dated).as_py():
        dates = _dates(pc.if_else(dated, column, none))
        in_range = pc.and_(pc.greater_equal(dates.cast(pa.int64()), 0), pc.less(dates, LATEST))
        at = pc.coalesce(at, pc.if_else(in_range, dates, None))
    return at, pc.or_(pc.is_valid(at), pc.is_null(column))


def _dates(column: pa.Array) -> pa.Array:
    """ISO 8601 to TIME, null where there is no such date."""
    zoned = pc.match_substring_regex(column, r"(Z|[-+][0-9]{2}:?[0-9]{2})$")
    # nanoseconds are cut to what TIME keeps
    column = pc.replace_substring_regex(column, r"(\.[0-9]{6})[0-9]+", r"\1")
    zoneless = pc.if_else(zoned, column, pc.binary_join_element_wise(column, "Z", ""))
    try:
        return zoneless.cast(TIME)
    except pa.ArrowInvalid:  # one of them names a day or an hour that doesn't exist: look at each
        return pa.array([None if value is None else _date(value) for value in zoneless.to_pylist()], TIME)


def _date(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def as_logged(column: pa.Array, own_escapes: bool) -> pa.Array:
    """Text as the ASCII writer would have put it: control bytes as \\xNN, and backslashes doubled save those of
    such escapes and those of text that was escaped before."""
    if pc.any(pc.match_substring_regex(column, "[\x00-\x1f\x7f]")).as_py():
        for control in (*range(0x20), 0x7F):
            column = pc.replace_substring(column, chr(control), f"\\x{control:02x}")
    if own_escapes or not pc.any(pc.match_substring(column, "\\")).as_py():
        return column
    column = pc.replace_substring_regex(column, r"\\(x[0-9a-f]{2})", _KEPT + r"\1")
    return pc.replace_substring(pc.replace_substring(column, "\\", "\\\\"), _KEPT, "\\")


def _within(column: pa.Array, kind: pa.DataType) -> bool:
    if pa.types.is_integer(kind):
        extremes = pc.min_max(column)
        most = PORTS if kind == pa.int32() else MOST_COUNTED
        return bool(extremes["min"].as_py() >= 0 and extremes["max"].as_py() <= most)
    if pa.types.is_floating(kind):
        return bool(pc.all(_within_seconds(column)).as_py())
    return True


def _times(seconds: pa.Array) -> pa.Array:
    """Epoch seconds or milliseconds as TIME. Raises pa.ArrowInvalid for what is neither."""
    extremes = pc.min_max(seconds)
    least, most = extremes["min"].as_py(), extremes["max"].as_py()
    if not (least >= 0 and most < LATEST_MS) or pc.any(pc.is_nan(seconds)).as_py():
        raise pa.ArrowInvalid("a time is out of range")
    scale: pa.Scalar | pa.Array = pa.scalar(1e6)
    if most >= LATEST_S:
        scale = pc.if_else(pc.greater_equal(seconds, LATEST_S), 1e3, 1e6)
    return pc.round(pc.multiply(seconds, scale)).cast(pa.int64()).cast(TIME)


def _text(column: pa.Array, marks: Marks, own_escapes: bool) -> pa.Array:
    """Text with the writer's escapes of its own marks undone, and all of its escapes of backslashes if asked."""
    column = _marks_undone(column, marks)
    return _single(column) if own_escapes else column


def _marks_undone(column: pa.Array, marks: Marks) -> pa.Array:
    """The empty mark becomes empty text; text that is like a mark had its first byte escaped."""
    column = pc.if_else(pc.equal(column, marks.empty), "", column)
    for mark in (marks.unset, marks.empty):
        if mark:
            escaped = f"\\x{ord(mark[0]):02x}{mark[1:]}"
            column = pc.if_else(pc.equal(column, escaped), mark, column)
    return column


def _single(column: pa.Array) -> pa.Array:
    return pc.replace_substring(column, "\\\\", "\\")


def _lists(column: pa.Array, kind: pa.DataType, marks: Marks, escaped: bool, own_escapes: bool) -> pa.Array:
    """Lists from their text; an unset element is null. Raises pa.ArrowInvalid when a number isn't one."""
    split = pc.split_pattern(column, marks.set_separator)
    values = split.values
    if pa.types.is_string(kind.value_type):
        if escaped:
            values = _marks_undone(_separator_undone(values, marks.set_separator), marks)
            values = _single(values) if own_escapes else values
    else:
        values = pc.if_else(pc.equal(values, marks.unset), pa.scalar(None, pa.string()), values)
        empty = pc.equal(column, marks.empty)
        if pc.any(empty).as_py():
            values = pc.if_else(pc.equal(values, marks.empty), pa.scalar(None, pa.string()), values)
        values = values.cast(kind.value_type)
    made = pa.ListArray.from_arrays(split.offsets, values, mask=split.is_null())
    if escaped:
        is_empty = pc.equal(column, marks.empty)
        if pc.any(is_empty).as_py():
            made = pc.if_else(is_empty, pa.array([[]], kind).take(pa.array(np.zeros(len(made), np.int8))), made)
    return made.cast(kind)


def _separator_undone(values: pa.Array, separator: str) -> pa.Array:
    """The separator in an element is written as its byte; behind a doubled backslash that text is the element's own."""
    escaped = "".join(f"\\x{byte:02x}" for byte in separator.encode())
    if not pc.any(pc.match_substring(values, escaped)).as_py():
        return values
    values = pc.replace_substring(values, "\\\\", _KEPT)
    return pc.replace_substring(pc.replace_substring(values, escaped, separator), _KEPT, "\\\\")
