"""A small set of logs as Zeek 8 writes them with LogAscii::use_json=T."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def _ends(uid: str, ts: float, orig_p: int = 40000, resp_p: int = 443) -> dict[str, Any]:
    return {
        "ts": ts, "uid": uid, "id.orig_h": "10.0.0.5", "id.orig_p": orig_p,
        "id.resp_h": "203.0.113.9", "id.resp_p": resp_p,
    }  # fmt: skip


LOGS: dict[str, list[dict[str, Any]]] = {
    "conn": [
        {**_ends("Ctls", 1700000000.250001), "proto": "tcp", "service": "ssl", "duration": 1.5, "orig_bytes": 500,
         "resp_bytes": 1500, "conn_state": "SF", "missed_bytes": 0, "history": "ShADadFf", "orig_pkts": 8,
         "orig_ip_bytes": 900, "resp_pkts": 7, "resp_ip_bytes": 1900, "ip_proto": 6},
        {**_ends("Csocks", 1700000001.0, resp_p=1080), "proto": "tcp", "service": "socks,ssl", "duration": 2.0,
         "orig_pkts": 3, "resp_pkts": 2},
        {**_ends("Cconnect", 1700000002.0, resp_p=8080), "proto": "tcp", "service": "http", "orig_pkts": 3,
         "resp_pkts": 2},
        {**_ends("Cinner", 1700000003.0), "proto": "udp", "orig_pkts": 1, "resp_pkts": 0,
         "tunnel_parents": ["Ctls", "Cgone"]},
    ],
    "dns": [
        {"ts": 1700000000.1, "uid": "Cdns", "id.orig_h": "10.0.0.5", "id.orig_p": 5353, "id.resp_h": "192.0.2.53",
         "id.resp_p": 53, "query": "x.example", "qtype_name": "A", "rcode_name": "NOERROR", "rtt": 0.02,
         "answers": ["203.0.113.9"], "TTLs": [60.0]},
        {"ts": 1700000000.2, "uid": "Cdns2", "id.orig_h": "10.0.0.5", "id.resp_h": "192.0.2.53", "query": "y.example"},
    ],
    "ssl": [
        {"uid": "Ctls", "version": "TLSv12", "server_name": "x.example", "resumed": False, "next_protocol": "h2",
         "ja4": "t13d1516h2_8daaf6152771_02713d6af862",
         "cert_chain_fps": ["aa", "bb"]},
        {"uid": "Ctls", "version": "TLSv13", "server_name": "later.example"},
    ],
    "x509": [
        {"fingerprint": "bb", "certificate.subject": "CN=CA", "certificate.issuer": "CN=root"},
        {"fingerprint": "aa", "certificate.subject": "CN=x.example", "certificate.issuer": "CN=x.example"},
    ],
    "http": [
        {"uid": "Cconnect", "method": "CONNECT", "host": "c2.example", "uri": "c2.example:443", "user_agent": "curl/8",
         "status_code": 407},
    ],
    "ssh": [{"uid": "Cssh", "client": "SSH-2.0-a", "server": "SSH-2.0-b", "host_key": "ab:cd"}],
    "socks": [
        {"uid": "Csocks", "version": 5, "status": "succeeded", "request.name": "far.example", "request_p": 8443},
    ],
}  # fmt: skip


def write(directory: Path, logs: dict[str, list[dict[str, Any]]] = LOGS) -> None:
    """Write the logs as files into a directory."""
    for name, rows in logs.items():
        (directory / f"{name}.log").write_text("".join(json.dumps(row) + "\n" for row in rows))
