"""Zeek's default JSON logs become records with what those logs have."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA
from hopscope.sources import zeek_logs
from support import zeek_json

NETS = ("10.0.0.0/8", "fd00::/8")


@pytest.fixture
def connections(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """By Zeek's uid, without the mark of the capture."""
    zeek_json.write(tmp_path)
    batch = zeek_logs.read(tmp_path, NETS)
    assert batch.connections.schema == CONNECTION_SCHEMA
    return {row["uid"][:-8]: row for row in batch.connections.to_pylist()}


def test_volume_state_and_time_are_the_logs(connections: dict[str, dict[str, Any]]) -> None:
    c = connections["Ctls"]
    assert (c["ts"].timestamp(), c["seg_end"].timestamp()) == (1700000000.250001, 1700000001.750001)
    assert (c["orig_h"], c["orig_p"], c["resp_h"], c["resp_p"]) == ("10.0.0.5", 40000, "203.0.113.9", 443)
    assert (c["duration"], c["orig_bytes"], c["resp_bytes"], c["conn_state"]) == (1.5, 500, 1500, "SF")
    assert (c["seg"], c["final"], c["seg_orig_bytes"], c["seg_resp_pkts"]) == (0, True, 500, 7)
    assert (c["local_orig"], c["local_resp"], c["sensor"]) == (True, False, "zeek")


def test_what_the_logs_lack_is_null(connections: dict[str, dict[str, Any]]) -> None:
    c = connections["Csocks"]
    assert [
        c[k] for k in ("orig_bytes", "tcp_rtt", "hello_rtt", "first_reply", "replies", "sni", "tunnel_parents")
    ] == [None] * 7
    assert connections["Cconnect"]["duration"] is None
    assert connections["Cconnect"]["seg_end"] == connections["Cconnect"]["ts"]


def test_tls_is_the_first_handshake_with_its_certificate(connections: dict[str, dict[str, Any]]) -> None:
    c = connections["Ctls"]
    assert (c["sni"], c["tls_version"], c["alpn"], c["resumed"]) == ("x.example", "TLSv12", "h2", False)
    assert (c["cert_sha256"], c["cert_subject"], c["cert_issuer"]) == ("aa", "CN=x.example", "CN=x.example")
    assert c["cert_self_signed"] is True
    assert connections["Csocks"]["cert_self_signed"] is None


def test_what_a_proxy_was_asked_for(connections: dict[str, dict[str, Any]]) -> None:
    def asked(uid: str) -> tuple[Any, ...]:
        return tuple(connections[uid][f"proxy_{k}"] for k in ("protocol", "target", "accepted"))

    assert asked("Csocks") == ("socks5", "far.example:8443", True)
    assert asked("Cconnect") == ("http-connect", "c2.example:443", False)
    assert asked("Ctls") == (None, None, None)


def test_uids_tell_captures_apart_and_tunnels_follow(tmp_path: Path) -> None:
    zeek_json.write(tmp_path)
    first = zeek_logs.read(tmp_path, NETS)
    assert zeek_logs.read(tmp_path, NETS).connections.equals(first.connections)
    rows = {row["uid"][:-8]: row for row in first.connections.to_pylist()}
    mark = rows["Ctls"]["uid"][-8:]
    assert rows["Cinner"]["tunnel_parents"] == [f"Ctls{mark}", f"Cgone{mark}"]
    zeek_json.write(tmp_path, {**zeek_json.LOGS, "conn": zeek_json.LOGS["conn"][:1]})
    assert zeek_logs.read(tmp_path, NETS).connections["uid"][0].as_py() != f"Ctls{mark}"


def test_dns_queries_answered_or_not(tmp_path: Path) -> None:
    zeek_json.write(tmp_path)
    batch = zeek_logs.read(tmp_path, NETS).dns_queries
    assert batch.schema == DNS_QUERY_SCHEMA
    answered, unanswered = batch.to_pylist()
    assert (answered["client"], answered["resolver"], answered["query"]) == ("10.0.0.5", "192.0.2.53", "x.example")
    assert (answered["qtype"], answered["rcode"], answered["rtt"]) == ("A", "NOERROR", 0.02)
    assert (answered["answers"], answered["ttls"]) == (["203.0.113.9"], [60.0])
    assert (unanswered["query"], unanswered["rcode"], unanswered["answers"]) == ("y.example", None, None)


@pytest.mark.parametrize("logs", [{}, {"conn": []}, {"conn": zeek_json.LOGS["conn"]}, {"dns": zeek_json.LOGS["dns"]}])
def test_logs_may_be_missing(tmp_path: Path, logs: dict[str, list[dict[str, Any]]]) -> None:
    zeek_json.write(tmp_path, logs)
    batch = zeek_logs.read(tmp_path, NETS)
    assert (batch.connections.num_rows, batch.dns_queries.num_rows) == (
        len(logs.get("conn", [])),
        len(logs.get("dns", [])),
    )


def test_the_fields_it_says_it_fills_are_those_it_fills(tmp_path: Path) -> None:
    zeek_json.write(tmp_path)
    batch = zeek_logs.read(tmp_path, NETS)
    connection, dns_query = zeek_logs.filled()
    kinds = ((batch.connections, connection), (batch.dns_queries, dns_query))
    for table, fields in kinds:
        seen = [name for name in table.schema.names if table[name].null_count < table.num_rows]
        assert set(seen) | {"ssh_client", "ssh_server"} == set(fields) | {"ssh_client", "ssh_server"}


def test_real_logs_of_a_capture(tmp_path: Path, shared: Path) -> None:
    for log in (shared / "zeek/logs/socat-beacon-json").iterdir():
        shutil.copy(log, tmp_path)
    batch = zeek_logs.read(tmp_path, NETS)
    assert (batch.connections.num_rows, batch.dns_queries.num_rows) == (593, 455)
    assert set(batch.connections["proto"].to_pylist()) <= {"tcp", "udp", "icmp", "unknown_transport"}
