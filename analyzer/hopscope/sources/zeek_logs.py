"""Zeek's own JSON logs of one capture to records: the fields that default logs have, the others null.

Zeek's default logs tell nothing of timing (no round trips, no reply times), so that the heuristics that
rest on it are silent on such records.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch

_T, _I, _F, _B = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_TEXTS = pa.list_(_T)

# the columns that are read, by log; a log may lack any of them
LOGS: dict[str, dict[str, pa.DataType]] = {
    "conn": {
        "ts": _F, "uid": _T, "id.orig_h": _T, "id.orig_p": _I, "id.resp_h": _T, "id.resp_p": _I, "proto": _T,
        "service": _T, "duration": _F, "orig_bytes": _I, "resp_bytes": _I, "conn_state": _T, "missed_bytes": _I,
        "history": _T, "orig_pkts": _I, "orig_ip_bytes": _I, "resp_pkts": _I, "resp_ip_bytes": _I,
        "tunnel_parents": _TEXTS,
    },
    "dns": {
        "ts": _F, "uid": _T, "id.orig_h": _T, "id.resp_h": _T, "query": _T, "qtype_name": _T, "rcode_name": _T,
        "answers": _TEXTS, "TTLs": pa.list_(_F), "rtt": _F,
    },
    "ssl": {
        "uid": _T, "version": _T, "server_name": _T, "resumed": _B, "next_protocol": _T, "cert_chain_fps": _TEXTS,
    },
    "x509": {"fingerprint": _T, "certificate.subject": _T, "certificate.issuer": _T},
    "http": {"uid": _T, "method": _T, "host": _T, "uri": _T, "user_agent": _T, "status_code": _I},
    "ssh": {"uid": _T, "client": _T, "server": _T},
    "socks": {"uid": _T, "version": _I, "status": _T, "request.host": _T, "request.name": _T, "request_p": _I},
}  # fmt: skip

SENSOR = "zeek"


def read(directory: Path, local_nets: Sequence[str]) -> Batch:
    """The records of the logs in a directory, all written by one run of Zeek with its seed fixed (`-D`).

    A missing log is an empty one. uids are Zeek's with a mark of the capture, because two runs with the same
    seed number their connections alike.
    """
    logs = {name: _log(directory / f"{name}.log", columns) for name, columns in LOGS.items()}
    conn = directory / "conn.log"
    mark = hashlib.blake2b(conn.read_bytes() if conn.exists() else b"", digest_size=4).hexdigest()
    return Batch(
        _batch(CONNECTION_SCHEMA, _known_of_connections(logs, mark, local_nets), len(logs["conn"])),
        _batch(DNS_QUERY_SCHEMA, _known_of_dns(logs["dns"], mark), len(logs["dns"])),
    )


def filled() -> tuple[list[str], list[str]]:
    """The fields of Connection and of DnsQuery that this source fills, in the records' order."""
    none = {name: pa.schema(list(columns.items())).empty_table() for name, columns in LOGS.items()}
    connection, dns_query = _known_of_connections(none, "", ()), _known_of_dns(none["dns"], "")
    return (
        [name for name in CONNECTION_SCHEMA.names if name in connection],
        [name for name in DNS_QUERY_SCHEMA.names if name in dns_query],
    )


def _log(path: Path, columns: dict[str, pa.DataType]) -> pa.Table:
    schema = pa.schema(list(columns.items()))
    if not path.exists() or path.stat().st_size == 0:
        return schema.empty_table()
    options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    # one row may hold many answers or fingerprints: let a block be longer than the default of 1 MB
    blocks = pa.json.ReadOptions(block_size=16 << 20)
    return pa.json.read_json(path, parse_options=options, read_options=blocks).select(schema.names).combine_chunks()


def _known_of_connections(logs: dict[str, pa.Table], mark: str, local_nets: Sequence[str]) -> dict[str, Any]:
    conn = logs["conn"]
    ssl, http, ssh, socks = (_first_of(logs[name], conn["uid"]) for name in ("ssl", "http", "ssh", "socks"))
    return {
        **{name: conn[name] for name in conn.schema.names if name in CONNECTION_SCHEMA.names},
        "ts": _time(conn["ts"]),
        "uid": _marked(conn["uid"], mark),
        "sensor": pa.repeat(SENSOR, len(conn)),
        **{name: conn[f"id.{name}"] for name in ("orig_h", "orig_p", "resp_h", "resp_p")},
        "local_orig": _local(conn["id.orig_h"], local_nets),
        "local_resp": _local(conn["id.resp_h"], local_nets),
        "tunnel_parents": _marked_lists(conn["tunnel_parents"], mark),
        "seg": pa.repeat(0, len(conn)),
        "seg_end": _time(pc.add(conn["ts"], pc.fill_null(conn["duration"], 0.0))),
        "final": pa.repeat(True, len(conn)),
        **{f"seg_{name}": conn[name] for name in ("orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts")},
        "tls_version": ssl["version"],
        "sni": ssl["server_name"],
        "resumed": ssl["resumed"],
        "alpn": ssl["next_protocol"],
        **_certificate(ssl["cert_chain_fps"], logs["x509"]),
        "http_host": http["host"],
        "http_method": http["method"],
        "user_agent": http["user_agent"],
        "ssh_client": ssh["client"],
        "ssh_server": ssh["server"],
        **_proxying(http, socks),
    }


def _known_of_dns(dns: pa.Table, mark: str) -> dict[str, Any]:
    return {
        "ts": _time(dns["ts"]),
        "uid": _marked(dns["uid"], mark),
        "sensor": pa.repeat(SENSOR, len(dns)),
        "client": dns["id.orig_h"],
        "resolver": dns["id.resp_h"],
        "query": dns["query"],
        "qtype": dns["qtype_name"],
        "rcode": dns["rcode_name"],
        "answers": dns["answers"],
        "ttls": dns["TTLs"],
        "rtt": dns["rtt"],
    }


def _batch(schema: pa.Schema, known: dict[str, Any], rows: int) -> pa.RecordBatch:
    """The known columns in the schema's types and order, the others null; rows in order of time."""
    columns = []
    for field in schema:
        column = known.get(field.name)
        column = pa.nulls(rows, field.type) if column is None else column.cast(field.type)
        columns.append(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    return batch.sort_by([("ts", "ascending"), ("uid", "ascending")])


def _first_of(log: pa.Table, uids: pa.ChunkedArray) -> pa.Table:
    """The log's first row for each uid, null where it has none."""
    order = pc.index_in(uids, value_set=log["uid"].combine_chunks()) if len(log) else pa.nulls(len(uids), pa.int32())
    return log.take(order)


def _time(seconds: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.round(pc.multiply(seconds, 1e6)).cast(pa.int64()).cast(pa.timestamp("us", tz="UTC"))


def _marked(uids: pa.Array | pa.ChunkedArray, mark: str) -> Any:
    return pc.binary_join_element_wise(uids, mark, "")


def _marked_lists(lists: pa.ChunkedArray, mark: str) -> pa.Array:
    plain = lists.combine_chunks()
    flat = plain.flatten()
    if not len(flat):
        return plain
    return pa.ListArray.from_arrays(plain.offsets, _marked(plain.values, mark), mask=plain.is_null())


def _local(addresses: pa.ChunkedArray, local_nets: Sequence[str]) -> pa.Array:
    """Whether each address lies in a monitored network; looked up once per distinct address."""
    nets = [ipaddress.ip_network(net) for net in local_nets]
    coded = addresses.combine_chunks().dictionary_encode()
    known = [any(ipaddress.ip_address(a) in net for net in nets) for a in coded.dictionary.to_pylist()]
    return pa.array(known, pa.bool_()).take(coded.indices)


def _certificate(chains: pa.ChunkedArray, x509: pa.Table) -> dict[str, Any]:
    chains = chains.combine_chunks()
    has = pc.greater(pc.list_value_length(chains), 0)
    first = pc.list_element(pc.if_else(has, chains, pa.scalar([None], _TEXTS)), 0)
    rows = pc.index_in(first, value_set=x509["fingerprint"].combine_chunks(), skip_nulls=True)
    subject, issuer = (x509[f"certificate.{part}"].combine_chunks().take(rows) for part in ("subject", "issuer"))
    return {
        "cert_sha256": first,
        "cert_subject": subject,
        "cert_issuer": issuer,
        "cert_self_signed": pc.equal(subject, issuer),
    }


def _proxying(http: pa.Table, socks: pa.Table) -> dict[str, Any]:
    """What the client asked a proxy for: SOCKS as its own log tells it, else an HTTP CONNECT."""
    asked = pc.is_valid(socks["uid"])
    connect = pc.equal(http["method"], "CONNECT")
    version = pc.binary_join_element_wise("socks", pc.cast(socks["version"], _T), "")
    host = pc.coalesce(socks["request.name"], socks["request.host"])
    target = pc.binary_join_element_wise(host, pc.cast(socks["request_p"], _T), ":")
    granted = pc.and_(pc.greater_equal(http["status_code"], 200), pc.less(http["status_code"], 300))
    return {
        "proxy_protocol": pc.if_else(asked, version, pc.if_else(connect, "http-connect", None)),
        "proxy_target": pc.if_else(asked, target, pc.if_else(connect, http["uri"], None)),
        "proxy_accepted": pc.if_else(
            asked, pc.equal(socks["status"], "succeeded"), pc.if_else(connect, granted, pa.scalar(None, _B))
        ),
    }
