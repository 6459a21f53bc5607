"""Logs as Zeek writes them, tab-separated or JSON, from rows of plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hopscope.records import CONNECTION, DNS_QUERY

Row = Mapping[str, Any]

CONN = (
    "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration", "orig_bytes",
    "resp_bytes", "conn_state", "local_orig", "local_resp", "missed_bytes", "history", "orig_pkts", "orig_ip_bytes",
    "resp_pkts", "resp_ip_bytes", "tunnel_parents", "ip_proto",
)  # fmt: skip
COLUMNS: dict[str, tuple[str, ...]] = {
    "conn": CONN,
    "dns": (*CONN[:7], "trans_id", "rtt", "query", "qtype_name", "rcode_name", "AA", "answers", "TTLs", "rejected"),
    "ssl": (*CONN[:6], "version", "cipher", "server_name", "resumed", "next_protocol", "established",
            "cert_chain_fps", "client_cert_chain_fps"),
    "x509": ("ts", "fingerprint", "certificate.version", "certificate.subject", "certificate.issuer", "san.dns"),
    "http": (*CONN[:6], "trans_depth", "method", "host", "uri", "user_agent", "status_code", "tags"),
    "ssh": (*CONN[:6], "version", "client", "server", "host_key"),
    "socks": (*CONN[:6], "version", "user", "status", "request.host", "request.name", "request_p"),
    "hopscope": tuple(f.name for f in CONNECTION),
    "hopscope_dns": tuple(f.name for f in DNS_QUERY),
    "weird": (*CONN[:6], "name", "addl", "notice"),
}  # fmt: skip
REALS = {"ts", "seg_end", "duration", "rtt", "ttls", "TTLs"}  # written with six decimals


def conn(uid: str, ts: float, **more: Any) -> dict[str, Any]:
    """A row of conn.log."""
    return {
        "ts": ts, "uid": uid, "id.orig_h": "10.0.0.5", "id.orig_p": 40000, "id.resp_h": "203.0.113.9", "id.resp_p": 443,
        "proto": "tcp", "duration": 1.5, "orig_bytes": 500, "resp_bytes": 1500, "conn_state": "SF", "missed_bytes": 0,
        "history": "ShADadFf", "orig_pkts": 8, "orig_ip_bytes": 900, "resp_pkts": 7, "resp_ip_bytes": 1900, **more,
    }  # fmt: skip


def side(uid: str, ts: float, **more: Any) -> dict[str, Any]:
    """A row of a log that belongs to a connection."""
    return {key: conn(uid, ts)[key] for key in CONN[:6]} | more


def hopscope(uid: str, ts: float, **more: Any) -> dict[str, Any]:
    """A row of hopscope.log."""
    return {
        "ts": ts, "uid": uid, "sensor": "worker-1", "orig_h": "10.0.0.5", "orig_p": 40000, "resp_h": "203.0.113.9",
        "resp_p": 443, "proto": "tcp", "seg": 0, "seg_end": ts + 1.5, "final": True, "tcp_rtt": 0.02, **more,
    }  # fmt: skip


def escaped(text: str, listed: bool = False) -> str:
    """Text as Zeek's ASCII writer puts it into a field or, `listed`, into an element of a list."""
    if text == "":
        return "(empty)"
    if text in ("-", "(empty)"):
        return f"\\x{ord(text[0]):02x}{text[1:]}"
    out = "".join(_byte(c) if c < " " or c == "\x7f" else "\\\\" if c == "\\" else c for c in text)
    return out.replace(",", "\\x2c") if listed else out


def _byte(char: str) -> str:
    return f"\\x{ord(char):02x}"


def field(name: str, value: Any) -> str:
    """A value as a field of a tab-separated line."""
    if value is None:
        return "-"
    if isinstance(value, list):
        elements = (escaped(v, listed=True) if isinstance(v, str) else field(name, v) for v in value)
        return ",".join(elements) or "(empty)"
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, str):
        return escaped(value)
    return f"{value:.6f}" if name in REALS else str(value)


def lines(rows: Iterable[Row], columns: Sequence[str]) -> bytes:
    """The rows as tab-separated lines."""
    return "".join("\t".join(field(c, row.get(c)) for c in columns) + "\n" for row in rows).encode()


def header(path: str, columns: Sequence[str]) -> bytes:
    """The lines that stand before the rows."""
    marks = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
    kinds = "\t".join("string" for _ in columns)
    names = "\t".join(columns)
    return f"{marks}#path\t{path}\n#open\t2024-01-01-00-00-00\n#fields\t{names}\n#types\t{kinds}\n".encode()


CLOSE = b"#close\t2024-01-01-01-00-00\n"


def tsv(log: str, rows: Iterable[Row], columns: Sequence[str] | None = None) -> bytes:
    """A whole log, tab-separated."""
    columns = COLUMNS[log] if columns is None else columns
    return header(log, columns) + lines(rows, columns) + CLOSE


def as_json(rows: Iterable[Row], times: str = "epoch", **always: Any) -> bytes:
    """A whole log in JSON; `times` are epoch, millis or iso, `always` stands in every line."""
    out = []
    for row in rows:
        there = {k: v for k, v in (always | dict(row)).items() if v is not None}
        if "ts" in there and times == "millis":
            there["ts"] = round(there["ts"] * 1000)
        elif "ts" in there and times == "iso":
            there["ts"] = datetime.fromtimestamp(there["ts"], UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        out.append(json.dumps(there, separators=(",", ":")) + "\n")
    return "".join(out).encode()
