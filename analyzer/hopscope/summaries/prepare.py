"""Records as condensing takes them: the columns it needs, and those that engines would compute each in their own way.

Times as int64 microseconds, a hash of what identifies a record, and names without case and port are
computed here, in Arrow and NumPy, before an engine sees the records: so that DuckDB and Spark condense
the same numbers, and so that a replayed record is known by its hash.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA
from hopscope.summaries.certificates import cert_fits
from hopscope.summaries.schema import PAIR, TABLES

HOUR_US = 3_600_000_000

SET_KINDS = (
    "service", "ja4", "server_hello", "cert_sha256", "cert_subject", "ssh_host_key", "ssh_server", "ssh_client", "alpn",
    "user_agent", "proxy_protocol", "proxy_target", "proxy_accepted", "leaked_far_end", "cert_fits",
)  # fmt: skip
RENAMED = {
    "orig_h": "client", "orig_p": "client_port", "resp_h": "server", "resp_p": "port",
    "local_orig": "client_local", "local_resp": "server_local",
}  # fmt: skip
ADDED = pa.schema(
    [
        ("name", pa.string()),  # what was asked for, lower case, without port; null when nothing was
        ("ts_us", pa.int64()),  # ts in microseconds since the epoch
        ("end_us", pa.int64()),  # seg_end; DNS: ts
        ("hour", pa.int64()),  # epoch hour of end_us
        ("hash", pa.int64()),  # of (sensor, uid, seg); DNS: of (sensor, uid, ts, query, qtype); never negative
    ]
)

_USED = tuple(dict.fromkeys((
    "sensor", *RENAMED, "proto", "uid", "seg", "final", "conn_state", "orig_bytes", "resp_bytes", "orig_pkts",
    "resp_pkts", "seg_orig_bytes", "seg_resp_bytes", "seg_orig_pkts", "seg_resp_pkts", "on_starts",
    *(kind for kind in SET_KINDS if kind in CONNECTION_SCHEMA.names),
    *(column for column in TABLES["samples"].names if column in CONNECTION_SCHEMA.names),
)))  # fmt: skip
CONNECTIONS = pa.schema(
    [
        *(CONNECTION_SCHEMA.field(c).with_name(RENAMED.get(c, c)) for c in _USED),
        *(
            pa.field(f"{kind}_hash", pa.int64()) for kind in SET_KINDS
        ),  # of the value's text; any number or null when null
        *ADDED,
        pa.field("cert_fits", pa.bool_()),  # see `certificates.cert_fits`
        pa.field("pair", pa.int64()),  # of PAIR; see `pair_numbers`
    ]
)
COMPACT = pa.schema(
    [
        f.with_type(pa.dictionary(pa.int32(), f.type))
        if (f.type == pa.string() and f.name != "uid") or f.name.endswith("_hash")
        else f
        for f in CONNECTIONS
    ]
)
"""CONNECTIONS as records are kept: what repeats is coded."""
DNS_QUERIES = pa.schema(
    [*(DNS_QUERY_SCHEMA.field(c) for c in ("sensor", "client", "uid", "answers", "ttls", "rtt")), *ADDED]
)

_SEED = np.uint64(0x9E3779B97F4A7C15)
_PRIME = np.uint64(0xFF51AFD7ED558CCD)  # the multipliers of MurmurHash3's finaliser
_PRIME2 = np.uint64(0xC4CEB9FE1A85EC53)
_PORT = r"^(\[[^\]]*\]|[^:]*):[0-9]*$"  # host:port or [v6]:port, not a bare IPv6 address


def prepare_connections(connections: pa.Table) -> pa.Table:
    """Connections of CONNECTION_SCHEMA as the columns of CONNECTIONS."""
    return compact(connections).cast(CONNECTIONS)


def compact(connections: pa.Table) -> pa.Table:
    """Connections of CONNECTION_SCHEMA as the columns of COMPACT, each in one piece; empty ones share their memory."""
    name = pc.coalesce(_host(connections["proxy_target"]), _lower(connections["sni"]), _host(connections["http_host"]))
    identity = hash_rows(connections["sensor"], connections["uid"], connections["seg"])
    columns = dict(zip(CONNECTIONS.names, connections.select(_USED).columns, strict=False))
    added = _added(name, connections["ts"], connections["seg_end"], identity)
    columns |= dict(zip(ADDED.names, added, strict=True))
    columns |= {
        c: _coded(columns[c]) for c in COMPACT.names if c in columns and pa.types.is_dictionary(COMPACT.field(c).type)
    }
    certified = (connections[c].combine_chunks() for c in ("cert_subject", "cert_issuer", "cert_self_signed", "sni"))
    columns["cert_fits"] = pa.chunked_array([cert_fits(*certified)])
    columns |= {f"{kind}_hash": _value_hashes(columns[kind]) for kind in SET_KINDS}
    columns["pair"] = pa.array(pair_numbers([columns[c] for c in PAIR]))
    return pa.Table.from_arrays([_whole(columns[f.name], f.type) for f in COMPACT], schema=COMPACT)


def rows_of(connections: pa.Table, wanted: NDArray[np.bool_]) -> pa.Table:
    """Some rows of a table of COMPACT; columns without values go on sharing their memory."""
    if wanted.all():
        return connections
    mask, rows = pa.array(wanted), int(wanted.sum())
    columns = [
        _nothing(column.type, rows) if column.null_count == len(column) else column.filter(mask)
        for column in connections.columns
    ]
    return pa.Table.from_arrays(columns, schema=connections.schema)


def pair_numbers(columns: Sequence[pa.Array]) -> NDArray[np.int64]:
    """A number of 63 bits for each row of PAIR's columns, texts as dictionaries.

    Texts enter by their BLAKE2b digest, so that nobody can choose a name to get another pair's number; among
    ten million pairs two share one by chance in 1 of 200,000 cases.
    """
    h = np.full(len(columns[0]), _SEED, dtype=np.uint64)
    for column in columns:
        if pa.types.is_dictionary(column.type):
            digests = np.array([*(_digest(text) for text in column.dictionary.to_pylist()), 0], np.uint64)
            _absorb(h, digests[column.indices.fill_null(len(digests) - 1).to_numpy()])
        else:
            _absorb(h, column.combine_chunks().fill_null(-1).cast(pa.int64()).to_numpy().view(np.uint64))
    return (h >> np.uint64(1)).view(np.int64)


@functools.lru_cache(1 << 18)
def _digest(text: str | None) -> int:
    return int.from_bytes(hashlib.blake2b((text or "").encode(), digest_size=8).digest(), "little")


def prepare_dns(queries: pa.Table) -> pa.Table:
    """DNS queries of DNS_QUERY_SCHEMA as the columns of DNS_QUERIES."""
    identity = hash_rows(
        queries["sensor"], queries["uid"], pc.cast(queries["ts"], pa.int64()), queries["query"], queries["qtype"]
    )
    used = queries.select(DNS_QUERIES.names[: -len(ADDED)]).columns
    added = _added(_lower(queries["query"]), queries["ts"], queries["ts"], identity)
    return pa.Table.from_arrays([*used, *added], schema=DNS_QUERIES)


def hash_rows(*columns: pa.ChunkedArray | pa.Array) -> NDArray[np.int64]:
    """A hash of each row's values, 63 bits, the same on every machine. Null hashes as the empty text or 0."""
    h = np.full(len(columns[0]), _SEED, dtype=np.uint64)
    for column in columns:
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if pa.types.is_string(array.type):
            _absorb_text(h, array)
        else:
            _absorb(h, array.fill_null(0).cast(pa.int64()).to_numpy(zero_copy_only=False).view(np.uint64))
    h ^= h >> np.uint64(33)
    h *= _PRIME2
    h ^= h >> np.uint64(33)
    return (h >> np.uint64(1)).view(np.int64)


def _added(name: pa.ChunkedArray, ts: pa.ChunkedArray, end: pa.ChunkedArray, identity: NDArray[np.int64]) -> list[Any]:
    end_us = pc.cast(end, pa.int64())
    return [name, pc.cast(ts, pa.int64()), end_us, pc.divide(end_us, HOUR_US), pa.array(identity)]


def _coded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if column.null_count == len(column):
        return _nothing(pa.dictionary(pa.int32(), pa.string()), len(column))
    return column.cast(pa.string()).combine_chunks().dictionary_encode()


def _value_hashes(coded: pa.DictionaryArray | pa.ChunkedArray) -> pa.DictionaryArray:
    """The hash of each value's text; values repeat, so that only the distinct ones are hashed."""
    coded = coded if isinstance(coded, pa.DictionaryArray) else coded.combine_chunks().dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices, pa.array(hash_rows(coded.dictionary.cast(pa.string()))))


def _whole(column: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    if column.null_count == len(column):
        return _nothing(kind, len(column))
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _nothing(kind: pa.DataType, rows: int) -> pa.Array:
    """Nulls; all that are asked for are one array."""
    longest = _nulls(kind, 1 << max(rows - 1, 0).bit_length())
    return longest.slice(0, rows)


@functools.cache
def _nulls(kind: pa.DataType, rows: int) -> pa.Array:
    return pa.nulls(rows, kind)


def _lower(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return _told(pc.utf8_lower(column))


def _host(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.null_count == len(column):
        return column
    text = pc.utf8_lower(column)
    text = pc.if_else(pc.match_substring_regex(text, _PORT), pc.replace_substring_regex(text, r":[0-9]*$", ""), text)
    return _told(pc.replace_substring_regex(text, r"^\[|\]$", ""))


def _told(text: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _absorb(h: NDArray[np.uint64], words: NDArray[np.uint64]) -> None:
    h ^= words
    h *= _PRIME
    h ^= h >> np.uint64(29)


def _absorb_text(h: NDArray[np.uint64], array: pa.Array) -> None:
    """Mix the bytes of each text into `h`, eight at a time, then its length."""
    if not len(array):
        return
    array = array.fill_null("")
    _, offsets_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    raw = np.frombuffer(data_buffer, np.uint8)[: offsets[-1]] if data_buffer else np.empty(0, np.uint8)
    data = np.concatenate([raw, np.zeros(8, np.uint8)])  # so that the last word can be read whole
    words = np.ndarray((len(data) - 7,), "<u8", data.tobytes(), 0, (1,))  # the word at every byte
    start, length = offsets[:-1], np.diff(offsets)
    for at in range(0, int(length.max(initial=0)), 8):
        rows = np.flatnonzero(length > at)
        word = words[start[rows] + at]
        missing = np.maximum(8 - (length[rows] - at), 0).astype(np.uint64) * np.uint64(8)
        word &= np.uint64(0xFFFFFFFFFFFFFFFF) >> missing
        part = h[rows]
        _absorb(part, word)
        h[rows] = part
    _absorb(h, length.astype(np.uint64))
