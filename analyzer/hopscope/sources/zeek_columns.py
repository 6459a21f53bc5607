"""Zeek's tab-separated lines to columns: hopscope's own logs, the lines of the live stream, Zeek's plain logs.

Text stays as Zeek's ASCII writer put it (control bytes and what isn't UTF-8 as \\xNN, a backslash doubled),
save what the writer escaped only to tell a value from its own marks: a comma in a list, a lone "-" and
"(empty)". hopscope's package escapes text before Zeek does, so that in its lines the doubling is undone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from hopscope.errors import InputError
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, TIME, InputCount
from hopscope.sources import zeek_values
from hopscope.sources.addresses import Networks
from hopscope.sources.zeek_values import Marks

BLOCK_BYTES = 1 << 20  # lines parsed at a time by one thread: they stay in the processor's cache
CAREFUL_BYTES = 1 << 22  # lines among which one has a bad value are read with care in stretches of this size
BAD_LINES_KEPT = 64  # lines with a wrong number of columns whose place is looked for

NEEDED_OF_CONNECTION = ("ts", "uid", "orig_h", "resp_h", "resp_p", "proto")
NEEDED_OF_DNS = ("ts", "client", "resolver")
SENSOR = "zeek"  # of records whose sensor has no name
FILLED = {"sensor": SENSOR, "seg": 0, "final": True}  # and seg_end; see `whole`
_ANYWHERE = Networks(())


@dataclass
class Place:
    """Where lines come from, for messages: the input's name, and the byte at which they begin in it if known."""

    name: str
    count: InputCount
    offset: int | None = None
    told: bool = field(default=False)

    def refuse(self, rows: int, problem: str, at: int | None = None) -> None:
        """Count rows that can't be used; the first of an input is told, `at` bytes behind the lines' begin."""
        self.count.refused += rows
        if rows and not self.told:
            self.told = True
            where = "" if self.offset is None or at is None else f" at byte {self.offset + at}"
            self.count.note(f"{self.name}{where}: {problem}; the rest was read, `refused` counts what wasn't")


def connections(
    lines: bytes | pa.Buffer,
    columns: Sequence[str],
    count: InputCount,
    networks: Networks | None = None,
    place: Place | None = None,
) -> pa.RecordBatch:
    """Lines of hopscope.log or of a stream's batches as records of CONNECTION_SCHEMA, in their order.

    `columns` names the lines' columns, in their order. Lines that can't be read are counted in
    `count.refused`. With `networks`, they say what is local, not the lines. Raises InputError when a
    column is missing that every record needs.
    """
    where = place or Place("the stream", count)
    table = read(lines, columns, CONNECTION_SCHEMA, where, NEEDED_OF_CONNECTION, own_escapes=CONNECTION_SCHEMA.names)
    table = with_addresses(table, ("orig_h", "resp_h"), where, networks, ("local_orig", "local_resp"))
    return one_batch(whole(table))


def dns_queries(
    lines: bytes | pa.Buffer, columns: Sequence[str], count: InputCount, place: Place | None = None
) -> pa.RecordBatch:
    """Lines of hopscope_dns.log or of a stream's batches as records of DNS_QUERY_SCHEMA, in their order.

    Refused lines and errors as for `connections`.
    """
    where = place or Place("the stream", count)
    table = read(lines, columns, DNS_QUERY_SCHEMA, where, NEEDED_OF_DNS, own_escapes=DNS_QUERY_SCHEMA.names)
    return one_batch(whole(with_addresses(table, ("client", "resolver"), where)))


def whole(table: pa.Table) -> pa.Table:
    """Records with what they can't do without, where their lines don't tell it.

    A connection that doesn't say which of its segments it is counts as its only one, which ends when the
    connection does; a record without a sensor is Zeek's.
    """
    names = table.schema.names
    fills = {name: pa.scalar(value, table.schema.field(name).type) for name, value in FILLED.items() if name in names}
    for name, column in fills.items():
        if table[name].null_count:
            at = names.index(name)
            table = table.set_column(at, table.schema.field(at), pc.fill_null(table[name], column))
    if "seg_end" in names and table["seg_end"].null_count:
        at = names.index("seg_end")
        end = pc.coalesce(table["seg_end"], end_of(table))
        table = table.set_column(at, table.schema.field(at), end)
    return table


def end_of(connections: pa.Table) -> pa.ChunkedArray:
    """When connections ended, by `ts` and `duration`; one of a single packet has no duration."""
    micros = pc.round(pc.multiply(pc.max_element_wise(connections["duration"], 0.0), 1e6)).cast(pa.int64())
    return pc.add(connections["ts"].cast(pa.int64()), micros).cast(TIME)


def read(
    lines: bytes | pa.Buffer,
    columns: Sequence[str],
    wanted: pa.Schema,
    place: Place,
    needed: Sequence[str] = (),
    own_escapes: Collection[str] = (),
    marks: Marks = Marks(),  # noqa: B008 - frozen
) -> pa.Table:
    """The wanted columns of the lines, each in one chunk; a column that the lines don't have is null.

    A line without a value in a `needed` column is refused. `own_escapes` are columns whose text was
    escaped before Zeek escaped it. Raises InputError when a needed column is missing.
    """
    require(columns, needed, place.name)
    there = [name for name in wanted.names if name in columns]
    lines = lines if isinstance(lines, bytes) else lines.to_pybytes()
    if not lines or lines.isspace():
        return wanted.empty_table()
    reader = _Reader(columns, wanted, there, own_escapes, marks, place)
    try:
        tables = [reader.quick(lines)]
    except pa.ArrowException:
        try:
            tables = [reader.careful(stretch, at) for stretch, at in stretches(lines)]
        except pa.ArrowException as e:
            raise unreadable(place.name, e) from e
    table = pa.concat_tables(tables).combine_chunks() if len(tables) > 1 else tables[0]
    return with_values(table, needed, place)


def require(columns: Collection[str], needed: Sequence[str], name: str) -> None:
    """Raise InputError for the first of the needed columns that isn't there."""
    for column in needed:
        if column not in columns:
            raise InputError(
                name, f"the log has no column {column}", "have Zeek write it again, or leave this log out of the hunt"
            )


def unreadable(name: str, why: Exception) -> InputError:
    """The error of lines that can't be read even one by one."""
    problem = f"its lines can't be read ({str(why).splitlines()[0] if str(why) else type(why).__name__})"
    return InputError(name, problem, "give the log as Zeek wrote it")


def require_utf8(lines: bytes) -> None:
    """Raise pa.ArrowInvalid for what isn't UTF-8: the readers of lines don't look everywhere."""
    if not lines.isascii():
        try:
            lines.decode()
        except UnicodeDecodeError as e:
            raise pa.ArrowInvalid(str(e)) from e


def with_values(table: pa.Table, needed: Sequence[str], place: Place) -> pa.Table:
    """The rows that have a value in each needed column; the others are refused."""
    for name in needed:
        lacking = table[name].null_count
        if lacking:
            place.refuse(lacking, f"a line has no {name}")
            table = table.filter(pc.is_valid(table[name])).combine_chunks()
    return table


def with_addresses(
    table: pa.Table,
    names: Sequence[str],
    place: Place,
    networks: Networks | None = None,
    local: Sequence[str] = (),
) -> pa.Table:
    """The rows whose columns `names` hold addresses, the others refused; `local` columns filled by `networks`."""
    sound: pa.Array | None = None
    for i, name in enumerate(names):
        is_address, inside = (networks or _ANYWHERE).lookup(one_chunk(table[name]))
        if networks is not None and local:
            at = table.schema.get_field_index(local[i])
            table = table.append_column(local[i], inside) if at < 0 else table.set_column(at, local[i], inside)
        if not pc.all(is_address).as_py():
            sound = is_address if sound is None else pc.and_(sound, is_address)
    if sound is None:
        return table
    place.refuse(sound.false_count, "a line has text where an address belongs")
    return table.filter(sound).combine_chunks()


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """The table's rows as one batch."""
    return pa.RecordBatch.from_arrays([one_chunk(column) for column in table.columns], schema=table.schema)


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


@dataclass
class _Reader:
    columns: Sequence[str]
    wanted: pa.Schema
    there: Sequence[str]
    own_escapes: Collection[str]
    marks: Marks
    place: Place

    def quick(self, lines: bytes, at: int = 0) -> pa.Table:
        """All lines at once. Raises pa.ArrowInvalid when a value isn't what its column is to be."""
        require_utf8(lines)
        bad = _BadLines()
        kinds = {name: zeek_values.read_as(self.wanted.field(name).type) for name in self.there}
        table = self._csv(lines, kinds, bad, BLOCK_BYTES)
        escaped = b"\\" in lines or _contains(lines, self.marks.empty.encode())
        columns = {}
        for name in self.there:
            kind, own = self.wanted.field(name).type, name in self.own_escapes
            columns[name] = zeek_values.typed(one_chunk(table[name]), kind, self.marks, escaped, own)
        bad.refuse(lines, self.place, at)
        return self._whole(columns, len(table))

    def careful(self, lines: bytes, at: int) -> pa.Table:
        """Value by value: lines with a bad one are refused, the others kept."""
        # what isn't UTF-8 is escaped as Zeek escapes it
        lines = lines.decode("utf-8", "backslashreplace").encode()
        bad = _BadLines()
        table = self._csv(lines, dict.fromkeys(self.there, pa.string()), bad, max(len(lines), BLOCK_BYTES))
        columns, sound, misfit = {}, pa.array(np.ones(len(table), bool)), ""
        for name in self.there:
            kind, own = self.wanted.field(name).type, name in self.own_escapes
            columns[name], fits = zeek_values.careful(one_chunk(table[name]), kind, self.marks, own)
            if fits.false_count:
                sound, misfit = pc.and_(sound, fits), misfit or name
        if sound.false_count:
            first = 0 if self.place.told else _begin_of_row(lines, sound.index(False).as_py(), len(self.columns))
            self.place.refuse(sound.false_count, f"a value doesn't fit its column ({misfit})", at + first)
        bad.refuse(lines, self.place, at)
        return self._whole(columns, len(table)).filter(sound).combine_chunks()

    def _csv(self, lines: bytes, kinds: dict[str, pa.DataType], bad: _BadLines, block: int) -> pa.Table:
        # columns go by their place: a header may name one twice
        place = {name: str(self.columns.index(name)) for name in kinds}
        return pa.csv.read_csv(
            pa.BufferReader(lines),
            read_options=pa.csv.ReadOptions(column_names=[str(i) for i in range(len(self.columns))], block_size=block),
            parse_options=pa.csv.ParseOptions(
                delimiter=self.marks.separator, quote_char=False, escape_char=False, invalid_row_handler=bad.see
            ),
            convert_options=pa.csv.ConvertOptions(
                include_columns=list(place.values()),
                column_types={place[name]: kind for name, kind in kinds.items()},
                null_values=[self.marks.unset, ""],
                strings_can_be_null=True,
                true_values=["T"],
                false_values=["F"],
            ),
        ).rename_columns(list(place))

    def _whole(self, columns: dict[str, pa.Array], rows: int) -> pa.Table:
        filled = [columns.get(f.name) for f in self.wanted]
        arrays = [pa.nulls(rows, f.type) if a is None else a for f, a in zip(self.wanted, filled, strict=True)]
        return pa.Table.from_arrays(arrays, schema=self.wanted)


class _BadLines:
    """Lines with a wrong number of columns: how many, and what the first look like."""

    def __init__(self) -> None:
        self._rows = 0
        self._texts: list[str] = []

    def see(self, row: Any) -> str:
        self._rows += 1
        if len(self._texts) < BAD_LINES_KEPT:
            self._texts.append(row.text)
        return "skip"

    def refuse(self, lines: bytes, place: Place, at: int) -> None:
        if not self._rows:
            return
        texts = () if place.told else self._texts
        found = [offset for text in texts if (offset := lines.find(text.encode())) >= 0]
        place.refuse(self._rows, "a line has too few or too many columns", at + min(found, default=0))


def _begin_of_row(lines: bytes, row: int, columns: int) -> int:
    """Where the row begins, lines with another number of columns not counted."""
    offset = 0
    for line in lines.splitlines(keepends=True):
        if line.count(b"\t") == columns - 1:
            if row == 0:
                return offset
            row -= 1
        offset += len(line)
    return 0


def stretches(lines: bytes) -> Iterator[tuple[bytes, int]]:
    """The lines in stretches of whole lines, each with its offset."""
    begin = 0
    while begin < len(lines):
        end = lines.find(b"\n", begin + CAREFUL_BYTES) + 1 or len(lines)
        yield lines[begin:end], begin
        begin = end


def _contains(lines: bytes, text: bytes) -> bool:
    # a single byte is found many times faster, and mostly isn't there
    return text[:1] in lines and text in lines
