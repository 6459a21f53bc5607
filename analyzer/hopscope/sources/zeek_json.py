"""Lines of JSON that Zeek or a shipper wrote, to columns of the records' types.

Text becomes what Zeek's ASCII writer makes of it, so that both forms of a log give the same records.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from hopscope.records import TIME
from hopscope.sources import zeek_columns, zeek_values
from hopscope.sources.zeek_columns import Place, one_chunk
from hopscope.sources.zeek_values import Marks

BLOCK_BYTES = 1 << 22  # parsed at a time by one thread
_PATH = r'"_path"\s*:\s*"(?P<path>[^"\\]{1,64})"'
_BARE_NULL = re.compile(rb"^[\s\xef\xbb\xbf]*null", re.MULTILINE)
_LISTS = Marks(unset="null", empty="")


def by_log(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The lines of each path that lines of JSON name, in their order; lines that name none are left out."""
    rows = _rows(data)
    paths = pc.struct_field(pc.extract_regex(rows, _PATH), "path")
    for path in pc.unique(paths).drop_null().to_pylist():
        those = pc.fill_null(pc.equal(paths, path), False)
        yield path.decode("utf-8", "replace"), b"".join(rows.filter(those).to_pylist())


def read(
    data: bytes, wanted: pa.Schema, place: Place, needed: Sequence[str] = (), own_escapes: Collection[str] = ()
) -> pa.Table:
    """The wanted columns of lines of JSON, each in one chunk; a value that isn't there is null.

    A line that can't be read, or has no value in a `needed` column, is refused. Names with dots are found
    flat ("id.orig_h") and nested ({"id": {"orig_h": …}}). `own_escapes` are columns whose text was escaped
    before Zeek logged it.
    """
    if not data or data.isspace():
        return wanted.empty_table()
    try:
        tables = [_quick(data, wanted, own_escapes)]
    except pa.ArrowException:
        try:
            parts = zeek_columns.stretches(data)
            tables = [_careful(part, wanted, own_escapes, place, at) for part, at in parts]
        except pa.ArrowException as e:
            raise zeek_columns.unreadable(place.name, e) from e
    table = pa.concat_tables(tables).combine_chunks() if len(tables) > 1 else tables[0]
    return zeek_columns.with_values(table, needed, place)


def _quick(data: bytes, wanted: pa.Schema, own_escapes: Collection[str]) -> pa.Table:
    """All lines at once. Raises pa.ArrowInvalid when one isn't JSON or a value isn't what it is to be."""
    zeek_columns.require_utf8(data)
    if b"null" in data and _BARE_NULL.search(data):  # Arrow's reader crashes on one that starts a block (26.0)
        raise pa.ArrowInvalid("a line isn't an object")
    dated = re.search(rb'"ts"\s*:\s*"', data[: data.find(b"\n")]) is not None
    kinds = {f.name: _json_kind(f.type, dated) for f in wanted}
    fields = list(kinds.items())
    # flat lines hold no objects; where something looks like one, both forms are looked for
    inner: dict[str, dict[str, pa.DataType]] = {}
    if b'":{' in data or b'": {' in data:
        for name, kind in kinds.items():
            outer, dot, rest = name.partition(".")
            if dot:
                inner.setdefault(outer, {})[rest] = kind
        fields += [(outer, pa.struct(list(names.items()))) for outer, names in inner.items()]
    table = pa.json.read_json(
        pa.BufferReader(data),
        read_options=pa.json.ReadOptions(block_size=BLOCK_BYTES),
        parse_options=pa.json.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore"),
    )
    escaped = b"\\" in data
    columns = []
    for f in wanted:
        column = one_chunk(table[f.name])
        outer, _, rest = f.name.partition(".")
        if outer in inner:
            column = pc.coalesce(column, pc.struct_field(one_chunk(table[outer]), rest))
        columns.append(_typed(column, f.type, escaped, f.name in own_escapes))
    return pa.Table.from_arrays(columns, schema=wanted)


def _json_kind(kind: pa.DataType, dated: bool) -> pa.DataType:
    if kind == TIME:
        return pa.string() if dated else pa.float64()
    return kind


def _typed(column: pa.Array, kind: pa.DataType, escaped: bool, own_escapes: bool) -> pa.Array:
    if kind == TIME and pa.types.is_string(column.type):
        at, fits = zeek_values.any_times(column)
        if fits.false_count:
            raise pa.ArrowInvalid("a time isn't one")
        return at
    if pa.types.is_string(kind):
        return zeek_values.as_logged(column, own_escapes) if escaped else column
    if pa.types.is_list(kind):
        zeek_values.require_sound(column)
        return _logged_lists(column, own_escapes) if escaped and pa.types.is_string(kind.value_type) else column
    return zeek_values.typed(column, kind, _LISTS, False, False)


def _logged_lists(column: pa.Array, own_escapes: bool) -> pa.Array:
    values = zeek_values.as_logged(column.values, own_escapes)
    return pa.ListArray.from_arrays(column.offsets, values, mask=column.is_null())


def _careful(data: bytes, wanted: pa.Schema, own_escapes: Collection[str], place: Place, at: int) -> pa.Table:
    """Value by value: lines that aren't JSON or have a value that doesn't fit are refused, the others kept."""
    rows = _rows(data)
    rows = rows.filter(pc.invert(pc.match_substring_regex(rows, r"^\s*$")))
    texts, is_json = _extracted(rows, wanted)
    columns, sound = {}, is_json
    problem = "" if not is_json.false_count else "a line isn't an object of JSON"
    for f in wanted:
        column, own = texts[f.name], f.name in own_escapes
        if pa.types.is_string(f.type) or pa.types.is_list(column.type):
            columns[f.name] = _typed(column, f.type, True, own)
            continue
        if pa.types.is_list(f.type):
            column = pc.replace_substring_regex(column, r"[\[\]\s]", "")
        columns[f.name], fits = zeek_values.careful(column, f.type, _LISTS, False)
        if fits.false_count:
            sound, problem = pc.and_(sound, fits), problem or f"a value doesn't fit its column ({f.name})"
    if sound.false_count:
        before = pc.binary_length(rows.slice(0, sound.index(False).as_py()))
        place.refuse(sound.false_count, problem, at + pc.sum(before, min_count=0).as_py())
    return pa.Table.from_pydict(columns, schema=wanted).filter(sound).combine_chunks()


def _extracted(rows: pa.Array, wanted: pa.Schema) -> tuple[dict[str, pa.Array], pa.Array]:
    """Each wanted column as text (lists of text as lists), and which rows are objects of JSON."""
    import duckdb  # slow to load, and needed for damaged lines only

    lines = pa.array([_repaired(row) for row in rows.to_pylist()], pa.string())
    with duckdb.connect(":memory:", config={"python_enable_replacements": "false"}) as con:
        con.register("rows", pa.table({"line": lines}))
        columns = ", ".join(_column(f.name, f.type) for f in wanted)
        table = con.sql(
            "SELECT o IS NOT NULL AS is_json, "  # noqa: S608 - the names are our own
            f"{columns} FROM (SELECT CASE WHEN json_valid(line) AND json_type(line) = 'OBJECT' "
            "THEN line::JSON END AS o FROM rows)"
        ).to_arrow_table()
    return {f.name: one_chunk(table[f.name]) for f in wanted}, one_chunk(table["is_json"])


def _column(name: str, kind: pa.DataType) -> str:
    outer, dot, rest = name.partition(".")
    paths = [f'$."{name}"', *([f'$."{outer}"."{rest}"'] if dot else [])]
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        found = [f"json_transform(json_extract(o, '{path}'), '[\"VARCHAR\"]')" for path in paths]
    else:
        found = [f"json_extract_string(o, '{path}')" for path in paths]
    return f'COALESCE({", ".join(found)}) AS "{name}"'


def _repaired(row: bytes) -> str:
    """The line as text; bytes that aren't UTF-8 as \\xNN."""
    try:
        return row.decode()
    except UnicodeDecodeError:
        text = row.decode("utf-8", "surrogateescape")
        return re.sub("[\udc80-\udcff]", lambda byte: f"\\\\x{ord(byte[0]) - 0xDC00:02x}", text)


def _rows(data: bytes) -> pa.Array:
    """The lines, each with its end."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")).astype(np.int64) + 1
    if not len(ends) or ends[-1] < len(data):
        ends = np.append(ends, len(data))
    offsets = np.concatenate([[0], ends])
    return pa.Array.from_buffers(pa.large_binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
