"""Fields of Windows events, under the names that exports give them, to columns of HostEvent.

Names: Sysmon's and Security's own event data ("Data Name"), of all their versions; Splunk's Common Information
Model; the Elastic Common Schema (as `ecs.…`, see windows_rows). Values come typed or as text; here they are text first.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopscope.addresses import unmapped
from hopscope.records import HOST_EVENT_SCHEMA, PROTOCOLS
from hopscope.sources import zeek_values
from hopscope.sources.zeek_values import PORTS

NAMES: dict[str, tuple[str, ...]] = {
    "utc": ("UtcTime",),
    "process": ("Image", "Application", "Application_Name", "process_path", "ecs.process.executable"),
    "pid": ("ProcessId", "ProcessID", "Process_ID", "process_id", "ecs.process.pid"),
    "process_guid": ("ProcessGuid", "process_guid", "ecs.process.entity_id"),
    "user": ("User", "ecs.user.name"),
    "proto": ("Protocol", "transport", "ecs.network.transport"),
    "initiated": ("Initiated", "Direction", "ecs.network.direction"),
    "src_h": ("SourceIp", "SourceAddress", "Source_Address", "src_ip", "ecs.source.ip"),
    "src_p": ("SourcePort", "Source_Port", "src_port", "ecs.source.port"),
    "src_name": ("SourceHostname", "src_host", "ecs.source.domain"),
    "dst_h": (
        "DestinationIp", "DestAddress", "DestinationAddress", "Destination_Address", "dest_ip", "ecs.destination.ip",
    ),
    "dst_p": ("DestinationPort", "DestPort", "Destination_Port", "dest_port", "ecs.destination.port"),
    "dst_name": ("DestinationHostname", "dest_host", "ecs.destination.domain"),
    "filter_origin": ("FilterOrigin", "Filter_Origin"),
    "query": ("QueryName", "ecs.dns.question.name"),
    "query_status": ("QueryStatus", "ecs.sysmon.dns.status"),
    "query_results": ("QueryResults",),
}  # fmt: skip
"""The names of each column, those of the event's own data first."""

LONGEST = 4096  # characters of a text; Windows allows paths of 32,767, of which nobody needs as many
_UNSET = pa.array(["", "-"])
_KNOWN = 1 << 16  # addresses and the like remembered from batch to batch

_DIGITS = "^[0-9]{1,18}$"
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_SHORTEST_V4 = rf"^{_OCTET}(\.{_OCTET}){{3}}$"
_PROTOCOLS = {**PROTOCOLS, "ipv6-icmp": "icmp", "icmp6": "icmp"}
_WORDS = {
    "true": True, "1": True, "outbound": True, "egress": True, "%%14593": True,
    "false": False, "0": False, "inbound": False, "ingress": False, "%%14592": False,
}  # fmt: skip


def batch(heads: Mapping[str, Sequence[Any]], data: Mapping[str, Sequence[Any]]) -> tuple[pa.RecordBatch, int, int]:
    """A batch of HostEvent, how many events had no time and are left out, and how many values were none.

    `heads` has `time`, `provider`, `event_id`, `record` and `host`; `data` what `NAMES` names, as far as it is there.
    All are of one length, None where an event lacks the field.
    """
    size = len(heads["provider"])
    bad = 0
    columns: dict[str, pa.Array] = {}
    for name, others in NAMES.items():
        columns[name] = functools.reduce(_coalesce, (texts(data[n]) for n in others if n in data), _none(size))
    ts, _ = zeek_values.any_times(_dates(columns.pop("utc")))
    if ts.null_count:
        written, _ = zeek_values.any_times(_dates(texts(heads["time"])))
        ts = pc.coalesce(ts, written)
    columns["record"] = texts(heads["record"])
    for name, make in _MADE.items():
        given = columns[name]
        columns[name] = _mapped(given, make, HOST_EVENT_SCHEMA.field(name).type)
        if name in _CHECKED:
            bad += columns[name].null_count - given.null_count
    columns |= {
        "ts": ts,
        "provider": pa.array(heads["provider"], pa.string()),
        "event_id": pa.array(heads["event_id"], pa.int32()),
        "host": texts(heads["host"]),
        "query": pc.replace_substring_regex(columns["query"], r"\.$", ""),
    }
    table = pa.RecordBatch.from_arrays([columns[name] for name in HOST_EVENT_SCHEMA.names], schema=HOST_EVENT_SCHEMA)
    return (table.filter(pc.is_valid(ts)) if ts.null_count else table), ts.null_count, bad


def texts(values: Sequence[Any]) -> pa.Array:
    """Values of any kind as text; null where there is none: what is unset, a list, an object."""
    try:
        column = pa.array(values, pa.string())
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        column = _whole(values)
    if column.null_count == len(column):
        return column
    return pc.if_else(pc.is_in(column, value_set=_UNSET), pa.scalar(None, pa.string()), _shortened(column))


def _shortened(column: pa.Array) -> pa.Array:
    """Texts without the middle of those that are too long: a process names itself, and millions may be kept."""
    if column.nbytes <= LONGEST or pc.max(pc.binary_length(column)).as_py() <= LONGEST:
        return column
    begin, end = pc.utf8_slice_codeunits(column, 0, LONGEST // 2), pc.utf8_slice_codeunits(column, -LONGEST // 2 + 1)
    cut = pc.binary_join_element_wise(begin, end, "\N{HORIZONTAL ELLIPSIS}")
    return pc.if_else(pc.greater(pc.utf8_length(column), LONGEST), cut, column)


def _whole(values: Sequence[Any]) -> pa.Array:
    """Numbers, flags, or a mixture, as text."""
    try:
        column = pa.array(values)
        if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
            return column.cast(pa.string())
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        value = int(value)
    return str(value) if isinstance(value, int | float) else None


def _none(size: int) -> pa.Array:
    return pa.nulls(size, pa.string())


def _coalesce(first: pa.Array, then: pa.Array) -> pa.Array:
    if first.null_count == len(first):
        return then
    return pc.coalesce(first, then) if first.null_count and then.null_count < len(then) else first


def _mapped(column: pa.Array, make: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
    """Each distinct value looked at once, save where all are as they should be."""
    if column.null_count == len(column):
        return pa.nulls(len(column), kind)
    if pa.types.is_integer(kind) and pc.all(pc.match_substring_regex(column, _DIGITS)).as_py():
        numbers = column.cast(pa.int64())
        return (numbers if make is _number else pc.if_else(pc.less_equal(numbers, PORTS), numbers, None)).cast(kind)
    coded = column.dictionary_encode()
    distinct = coded.dictionary
    values = distinct.to_pylist()
    if make is _address:
        good = pc.match_substring_regex(distinct, _SHORTEST_V4)
        if good.false_count == 0:
            return column
        made = [value if fine else make(value) for value, fine in zip(values, good.to_pylist(), strict=True)]
    else:
        made = [make(value) for value in values]
    return pa.array(made, kind).take(coded.indices)


def _dates(column: pa.Array) -> pa.Array:
    """.NET's JSON dates, "/Date(1550080907512)/", as the number in them; the others as they are."""
    if column.null_count == len(column):
        return column
    return pc.replace_substring_regex(column, r"^/Date\(([0-9]+)([-+][0-9]{4})?\)/$", r"\1")


@functools.lru_cache(_KNOWN)
def _address(text: str) -> str | None:
    """The shortest form (RFC 5952), without a zone; an IPv4-mapped address is the IPv4 one."""
    try:
        return str(unmapped(ipaddress.ip_address(text.partition("%")[0])))
    except ValueError:
        return None


def _port(text: str) -> int | None:
    number = _number(text)
    return number if number is not None and number <= PORTS else None


def _number(text: str) -> int | None:
    """A whole number from 0 on, decimal or hexadecimal with 0x."""
    try:
        number = int(text, 16 if text[:2] in ("0x", "0X") else 10) if len(text) <= 18 and text.isascii() else -1
    except ValueError:
        return None
    return number if number >= 0 else None


def _guid(text: str) -> str:
    """In braces and capitals, as Sysmon writes it; parsers leave the braces out."""
    return "{" + text.strip("{}").upper() + "}"


_MADE: dict[str, Callable[[str], Any]] = {
    "record": _number,
    "pid": _number,
    "process_guid": _guid,
    "proto": lambda text: _PROTOCOLS.get(text.lower(), text.lower()),
    "initiated": lambda text: _WORDS.get(text.lower()),
    "src_h": _address,
    "src_p": _port,
    "dst_h": _address,
    "dst_p": _port,
}
_CHECKED = ("src_h", "src_p", "dst_h", "dst_p")  # without which an event tells little
