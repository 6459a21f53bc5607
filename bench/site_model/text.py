"""Columns as the text of a Zeek log, TSV or JSON, without a loop over rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from site_model.logs import INTERVAL, TIME
from site_model.places import SECOND


def header(log: str, types: Mapping[str, str], opened: int) -> str:
    """The lines before the rows of a TSV log; `opened` in epoch seconds."""
    return (
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
        f"#path\t{log}\n#open\t{_moment(opened)}\n"
        + "\t".join(("#fields", *types)) + "\n" + "\t".join(("#types", *types.values())) + "\n"
    )  # fmt: skip


def footer(closed: int) -> str:
    """The last line of a TSV log."""
    return f"#close\t{_moment(closed)}\n"


def tsv(table: pa.Table, types: Mapping[str, str]) -> pa.Buffer:
    """The rows, each ended by a newline; the columns are those of `types`, all null where a type is unused."""
    columns = [pc.fill_null(_text(table[name], kind, ","), "-") for name, kind in types.items()]
    columns[-1] = pc.binary_join_element_wise(columns[-1], "\n", "")
    return _joined(pc.binary_join_element_wise(*columns, "\t"))


def json(table: pa.Table, types: Mapping[str, str]) -> pa.Buffer:
    """The rows as JSON objects, one a line; unset fields are left out, as Zeek does."""
    quoted = {"string", "addr", "enum"}
    parts = []
    for i, (name, kind) in enumerate(types.items()):
        text = _text(table[name], kind, '","' if "string" in kind else ",", "true", "false")
        before, after = ('"', '"') if kind in quoted else ("", "")
        if "[" in kind:
            before, after = ('["', '"]') if "string" in kind else ("[", "]")
        member = pc.binary_join_element_wise(f'{"," if i else "{"}"{name}":{before}', text, after, "")
        parts.append(pc.fill_null(member, ""))
    parts.append(pa.scalar("}\n"))
    return _joined(pc.binary_join_element_wise(*parts, ""))


def _text(column: pa.ChunkedArray, kind: str, between: str, yes: str = "T", no: str = "F") -> pa.ChunkedArray:
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    if kind in (TIME, INTERVAL) and pa.types.is_integer(column.type):
        return _seconds(column)
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, yes, no)
    if pa.types.is_list(column.type):
        if pa.types.is_floating(column.type.value_type):
            column = column.cast(pa.list_(pa.string()))
        return pc.binary_join(column, between)
    return column.cast(pa.string())


def _seconds(us: pa.ChunkedArray) -> pa.ChunkedArray:
    """Microseconds (not negative) as seconds with six decimals."""
    whole = pc.divide(us, SECOND)
    rest = pc.subtract(us, pc.multiply(whole, SECOND))
    return pc.binary_join_element_wise(
        whole.cast(pa.string()), pc.utf8_lpad(rest.cast(pa.string()), width=6, padding="0"), "."
    )


def _joined(lines: pa.ChunkedArray | pa.Array) -> pa.Buffer:
    """The bytes of all texts end to end: they lie so in Arrow's memory."""
    array = lines.combine_chunks() if isinstance(lines, pa.ChunkedArray) else lines
    _, offsets, data = array.buffers()
    if data is None:
        return pa.py_buffer(b"")
    end = int.from_bytes(
        offsets[4 * (array.offset + len(array)) : 4 * (array.offset + len(array) + 1)].to_pybytes(), "little"
    )
    return data.slice(0, end)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d-%H-%M-%S")
