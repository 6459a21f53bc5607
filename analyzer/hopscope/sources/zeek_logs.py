"""Zeek's plain logs to records: what is read of each log, and how their rows come together.

Plain logs tell nothing of timing (no round trips, no reply times), so that the heuristics that rest on it
are silent on such records.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopscope.records import CONNECTION_SCHEMA, COUNT, DNS_QUERY_SCHEMA, FLAG, SECONDS, TEXT, TEXTS, TIME
from hopscope.sources.addresses import Networks
from hopscope.sources.zeek_columns import SENSOR, Place, end_of, one_chunk, with_addresses

_PORT = pa.int32()
_ENDS = [("id.orig_h", TEXT), ("id.orig_p", _PORT), ("id.resp_h", TEXT), ("id.resp_p", _PORT)]

# the columns that are read, by log; a log may lack those that aren't NEEDED
LOGS: dict[str, pa.Schema] = {
    "conn": pa.schema([
        ("ts", TIME), ("uid", TEXT), *_ENDS, ("proto", TEXT), ("service", TEXT), ("duration", SECONDS),
        ("orig_bytes", COUNT), ("resp_bytes", COUNT), ("conn_state", TEXT), ("missed_bytes", COUNT),
        ("history", TEXT), ("orig_pkts", COUNT), ("orig_ip_bytes", COUNT), ("resp_pkts", COUNT),
        ("resp_ip_bytes", COUNT), ("tunnel_parents", TEXTS),
    ]),
    "dns": pa.schema([
        ("ts", TIME), ("uid", TEXT), ("id.orig_h", TEXT), ("id.resp_h", TEXT), ("query", TEXT), ("qtype_name", TEXT),
        ("rcode_name", TEXT), ("answers", TEXTS), ("TTLs", pa.list_(SECONDS)), ("rtt", SECONDS),
    ]),
    "ssl": pa.schema([
        ("ts", TIME), ("uid", TEXT), ("version", TEXT), ("server_name", TEXT), ("resumed", FLAG),
        ("next_protocol", TEXT), ("ja4", TEXT), ("cert_chain_fps", TEXTS), ("cert_chain_fuids", TEXTS),
        ("subject", TEXT), ("issuer", TEXT), ("issuer_subject", TEXT),
    ]),
    "x509": pa.schema([
        ("ts", TIME), ("fingerprint", TEXT), ("id", TEXT), ("certificate.subject", TEXT), ("certificate.issuer", TEXT),
    ]),
    "http": pa.schema([
        ("ts", TIME), ("uid", TEXT), ("method", TEXT), ("host", TEXT), ("uri", TEXT), ("user_agent", TEXT),
        ("status_code", COUNT),
    ]),
    "ssh": pa.schema([("ts", TIME), ("uid", TEXT), ("client", TEXT), ("server", TEXT)]),
    "socks": pa.schema([
        ("ts", TIME), ("uid", TEXT), ("version", COUNT), ("status", TEXT), ("request.host", TEXT),
        ("request.name", TEXT), ("request_p", _PORT),
    ]),
}  # fmt: skip
NEEDED = {
    "conn": ("ts", "uid", "id.orig_h", "id.resp_h", "id.resp_p", "proto"),
    "dns": ("ts", "id.orig_h", "id.resp_h"),
    **dict.fromkeys(("ssl", "http", "ssh", "socks"), ("uid",)),
    "x509": (),
}
SIDES = ("ssl", "x509", "http", "ssh", "socks")  # what they tell belongs to connections
# text that escapes bytes by itself, before Zeek logs it
OWN_ESCAPES = frozenset(("certificate.subject", "certificate.issuer", "subject", "issuer", "issuer_subject"))

# the rows of a side log that belong to keys, in their order; None when it has none for any of them
Found = Callable[[str, pa.Array], pa.Table | None]


def key(log: str, rows: pa.Table) -> pa.Array:
    """What the rows of a side log are found by: the connection's uid; of a certificate its hash or file."""
    if log == "x509":
        return pc.coalesce(one_chunk(rows["fingerprint"]), one_chunk(rows["id"]))
    return one_chunk(rows["uid"])


def connections(conn: pa.Table, found: Found, networks: Networks, place: Place) -> pa.RecordBatch:
    """Rows of conn.log, and what the side logs tell of them, as records of CONNECTION_SCHEMA in the rows' order."""
    conn = with_addresses(conn, ("id.orig_h", "id.resp_h"), place, networks, ("local_orig", "local_resp"))
    rows = {"conn": conn}
    for log in SIDES:
        theirs = found(log, _certificates(rows["ssl"]) if log == "x509" else one_chunk(conn["uid"]))
        rows[log] = LOGS[log].empty_table() if theirs is None else theirs
    told = {
        field: one_chunk(rows[log][column])
        for field, (log, column) in _COPIED.items()
        if log == "conn" or len(rows[log])
    }
    made = {
        "sensor": pa.repeat(SENSOR, len(conn)),
        "local_orig": one_chunk(conn["local_orig"]),
        "local_resp": one_chunk(conn["local_resp"]),
        "tunnel_parents": _none_for_empty(told["tunnel_parents"]),
        "seg": pa.repeat(pa.scalar(0, pa.int32()), len(conn)),
        "seg_end": one_chunk(end_of(conn)),
        "final": pa.repeat(True, len(conn)),
        **_certificate(rows["ssl"], rows["x509"]),
        **_proxying(rows["http"], rows["socks"]),
    }
    return _records(CONNECTION_SCHEMA, told | made, len(conn))


def dns_queries(dns: pa.Table, place: Place) -> pa.RecordBatch:
    """Rows of dns.log as records of DNS_QUERY_SCHEMA, in their order."""
    dns = with_addresses(dns, ("id.orig_h", "id.resp_h"), place)
    told = {field: one_chunk(dns[column]) for field, column in _OF_DNS.items()}
    return _records(DNS_QUERY_SCHEMA, told | {"sensor": pa.repeat(SENSOR, len(dns))}, len(dns))


def filled(logs: Mapping[str, Collection[str]] | None = None) -> tuple[list[str], list[str]]:
    """The fields of Connection and of DnsQuery that logs with these columns can fill (None: all that are read)."""
    there = {log: schema.names for log, schema in LOGS.items()} if logs is None else logs
    sources = {field: (source,) for field, source in _COPIED.items()} | _MADE_OF
    connection = {f for f, any_of in sources.items() if any(column in there.get(log, ()) for log, column in any_of)}
    dns_query = {field for field, column in _OF_DNS.items() if column in there.get("dns", ())}
    connection |= {"sensor", "local_orig", "local_resp", "seg", "seg_end", "final"} if "conn" in there else set()
    dns_query |= {"sensor"} if "dns" in there else set()
    return (
        [name for name in CONNECTION_SCHEMA.names if name in connection],
        [name for name in DNS_QUERY_SCHEMA.names if name in dns_query],
    )


# fields that are a column of a log as it stands
_COPIED = {
    **{field: ("conn", f"id.{field}") for field in ("orig_h", "orig_p", "resp_h", "resp_p")},
    **{name: ("conn", name) for name in LOGS["conn"].names if not name.startswith("id.")},
    **{f"seg_{name}": ("conn", name) for name in ("orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts")},
    "tls_version": ("ssl", "version"), "sni": ("ssl", "server_name"), "resumed": ("ssl", "resumed"),
    "alpn": ("ssl", "next_protocol"), "ja4": ("ssl", "ja4"),
    "http_host": ("http", "host"), "http_method": ("http", "method"), "user_agent": ("http", "user_agent"),
    "ssh_client": ("ssh", "client"), "ssh_server": ("ssh", "server"),
}  # fmt: skip
# fields that are made of columns, any of these
_MADE_OF = {
    "cert_sha256": (("ssl", "cert_chain_fps"),),
    "cert_subject": (("x509", "certificate.subject"), ("ssl", "subject")),
    "cert_issuer": (("x509", "certificate.issuer"), ("ssl", "issuer"), ("ssl", "issuer_subject")),
    "cert_self_signed": (("x509", "certificate.issuer"), ("ssl", "issuer"), ("ssl", "issuer_subject")),
    "proxy_protocol": (("socks", "version"), ("http", "method")),
    "proxy_target": (("socks", "request_p"), ("http", "uri")),
    "proxy_accepted": (("socks", "status"), ("http", "status_code")),
}
_OF_DNS = {
    "ts": "ts", "uid": "uid", "client": "id.orig_h", "resolver": "id.resp_h", "query": "query", "qtype": "qtype_name",
    "rcode": "rcode_name", "answers": "answers", "ttls": "TTLs", "rtt": "rtt",
}  # fmt: skip


def _records(schema: pa.Schema, known: Mapping[str, Any], rows: int) -> pa.RecordBatch:
    """The known columns in the schema's order, the others null."""
    columns = [known.get(f.name) for f in schema]
    arrays = [pa.nulls(rows, f.type) if c is None else c for f, c in zip(schema, columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _none_for_empty(lists: pa.Array) -> pa.Array:
    """Older versions write an empty set where there is no tunnel."""
    if lists.null_count == len(lists):
        return lists
    return pc.if_else(pc.equal(pc.list_value_length(lists), 0), pa.scalar(None, TEXTS), lists)


def _first(lists: pa.ChunkedArray) -> pa.Array:
    """The first of each list, null where there is none."""
    made = one_chunk(lists)
    if made.null_count == len(made):
        return pa.nulls(len(made), TEXT)
    has = pc.greater(pc.list_value_length(made), 0)
    return made.values.take(pc.if_else(has, made.offsets[:-1], pa.scalar(None, pa.int32())))


def _certificates(ssl: pa.Table) -> pa.Array:
    """The key of the server's certificate: its hash, in older versions that of the file."""
    return pc.coalesce(_first(ssl["cert_chain_fps"]), _first(ssl["cert_chain_fuids"]))


def _certificate(ssl: pa.Table, x509: pa.Table) -> dict[str, pa.Array]:
    """Subject and issuer as x509.log tells them, else as ssl.log does, which named the issuer otherwise once."""
    if not len(ssl):
        return {}
    subject, issuer = one_chunk(ssl["subject"]), pc.coalesce(*map(one_chunk, (ssl["issuer"], ssl["issuer_subject"])))
    if len(x509):
        subject = pc.coalesce(one_chunk(x509["certificate.subject"]), subject)
        issuer = pc.coalesce(one_chunk(x509["certificate.issuer"]), issuer)
    return {
        "cert_sha256": _first(ssl["cert_chain_fps"]),
        "cert_subject": subject,
        "cert_issuer": issuer,
        "cert_self_signed": pc.equal(subject, issuer),
    }


def _target(uri: pa.Array) -> pa.Array:
    """Host and port that a CONNECT names; clients that send more than one word behind it are seen."""
    return pc.replace_substring_regex(uri, "(?s) .*", "")


def _proxying(http: pa.Table, socks: pa.Table) -> dict[str, pa.Array]:
    """What the client asked a proxy for: SOCKS as its own log tells it, else an HTTP CONNECT."""
    asked: dict[str, pa.Array] = {}
    if len(http):
        connect, status = pc.equal(one_chunk(http["method"]), "CONNECT"), one_chunk(http["status_code"])
        granted = pc.and_(pc.greater_equal(status, 200), pc.less(status, 300))
        asked = {
            "proxy_protocol": pc.if_else(connect, "http-connect", pa.scalar(None, TEXT)),
            "proxy_target": pc.if_else(connect, _target(one_chunk(http["uri"])), pa.scalar(None, TEXT)),
            "proxy_accepted": pc.if_else(connect, granted, pa.scalar(None, FLAG)),
        }
    if len(socks):
        version = pc.binary_join_element_wise("socks", one_chunk(socks["version"]).cast(TEXT), "")
        host = pc.coalesce(one_chunk(socks["request.name"]), one_chunk(socks["request.host"]))
        told = {
            "proxy_protocol": version,
            "proxy_target": pc.binary_join_element_wise(host, one_chunk(socks["request_p"]).cast(TEXT), ":"),
            "proxy_accepted": pc.equal(one_chunk(socks["status"]), "succeeded"),
        }
        is_socks = pc.is_valid(one_chunk(socks["uid"]))
        nulls = pa.nulls(len(socks))
        asked = {name: pc.if_else(is_socks, column, asked.get(name, nulls)) for name, column in told.items()}
    return asked
