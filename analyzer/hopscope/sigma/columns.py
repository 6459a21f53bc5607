"""The columns that rules see of each kind of record: those of the records, and some that are derived.

A column is of one of five sorts: text, address, number, flag (tested as the text true or false) and texts (a list:
a test is true where it is true of any element).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, HOST_EVENT_SCHEMA

CONNECTION, DNS_QUERY, HOST_EVENT = "connection", "dns_query", "host_event"
NAMES = {CONNECTION: "connections", DNS_QUERY: "DNS queries", HOST_EVENT: "host events"}
ADDRESSES = frozenset({"orig_h", "resp_h", "client", "resolver", "src_h", "dst_h"})

_WITH_PORT = r"^(\[.*\]|[^:]*):[0-9]*$"


def _name(batch: pa.RecordBatch) -> pa.Array:
    asked, target = (pc.replace_substring_regex(batch[c], _WITH_PORT, r"\1") for c in ("http_host", "proxy_target"))
    return pc.coalesce(batch["sni"], asked, target)


def _always(batch: pa.RecordBatch) -> pa.Array:
    return pa.repeat(True, batch.num_rows)


def _six(column: str) -> Callable[[pa.RecordBatch], pa.Array]:
    return lambda batch: pc.match_substring(batch[column], ":")


DERIVED: Mapping[str, Mapping[str, tuple[str, Callable[[pa.RecordBatch], pa.Array]]]] = {
    CONNECTION: {
        "name": ("text", _name),  # of the server: its SNI, else the HTTP host, else the host a proxy was asked for
        "initiated": ("flag", _always),  # the client of a connection opened it
        "orig_is_ipv6": ("flag", _six("orig_h")),
        "resp_is_ipv6": ("flag", _six("resp_h")),
    },
    DNS_QUERY: {"query_length": ("number", lambda batch: pc.utf8_length(batch["query"]))},
    HOST_EVENT: {"src_is_ipv6": ("flag", _six("src_h")), "dst_is_ipv6": ("flag", _six("dst_h"))},
}


def _sort(field: pa.Field) -> str | None:
    if field.name in ADDRESSES:
        return "address"
    if pa.types.is_boolean(field.type):
        return "flag"
    if pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
        return "number"
    if pa.types.is_list(field.type):
        return "texts" if pa.types.is_string(field.type.value_type) else None
    return "text" if pa.types.is_string(field.type) else None


def _sorts(kind: str, schema: pa.Schema) -> dict[str, str]:
    plain = {field.name: sort for field in schema if (sort := _sort(field)) is not None}
    return plain | {name: sort for name, (sort, _) in DERIVED[kind].items()}


SORTS: Mapping[str, Mapping[str, str]] = {
    CONNECTION: _sorts(CONNECTION, CONNECTION_SCHEMA),
    DNS_QUERY: _sorts(DNS_QUERY, DNS_QUERY_SCHEMA),
    HOST_EVENT: _sorts(HOST_EVENT, HOST_EVENT_SCHEMA),
}
"""Of each kind of record: the columns and their sorts."""


def column(kind: str, name: str, batch: pa.RecordBatch) -> Any:
    """A column's values in a batch of that kind."""
    derived = DERIVED[kind].get(name)
    return batch[name] if derived is None else derived[1](batch)
