"""Which fields of the records plain logs fill."""

from __future__ import annotations

from pathlib import Path

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, InputCount
from hopscope.sources import zeek_archive, zeek_logs
from hopscope.sources.capture import find
from hopscope.sources.zeek_files import LogArchive
from support.zeek_text import as_json, conn, side

T = 1700000000.0
LOGS = {
    "conn": [conn("C1", T, service="ssl", tunnel_parents=["Ca"]), *(conn(f"C{i}", T) for i in range(2, 5))],
    "dns": [side("D1", T, query="x.example", qtype_name="A", rcode_name="NOERROR", answers=["a"], TTLs=[1.0], rtt=0.5)],
    "ssl": [side("C1", T, version="TLSv12", server_name="x", resumed=True, next_protocol="h2", ja4="t13d1516h2_8_0",
                 cert_chain_fps=["aa"])],
    "x509": [{"ts": T, "fingerprint": "aa", "certificate.subject": "CN=x", "certificate.issuer": "CN=i"}],
    "http": [side("C2", T, method="GET", host="x.example", user_agent="curl/8", status_code=200)],
    "ssh": [side("C3", T, client="SSH-2.0-a", server="SSH-2.0-b")],
    "socks": [side("C4", T, version=5, status="succeeded", **{"request.host": "192.0.2.1"}, request_p=80)],
}  # fmt: skip


def test_the_fields_it_says_it_fills_are_those_it_fills(tmp_path: Path) -> None:
    for log, rows in LOGS.items():
        (tmp_path / f"{log}.log").write_bytes(as_json(rows))
    [archive] = find([str(tmp_path)], InputCount())
    assert isinstance(archive, LogArchive)
    batches = list(zeek_archive.records(archive, ("10.0.0.0/8",), InputCount()))
    connection, dns_query = zeek_logs.filled()
    kinds = ([b.connections for b in batches], connection), ([b.dns_queries for b in batches], dns_query)
    for tables, fields in kinds:
        assert fields == [
            name for name in tables[0].schema.names if any(t[name].null_count < len(t) for t in tables if len(t))
        ]


def test_a_field_is_filled_by_any_column_that_tells_it() -> None:
    conn_columns = zeek_logs.LOGS["conn"].names
    assert zeek_logs.filled({}) == ([], [])
    plain, _ = zeek_logs.filled({"conn": conn_columns})
    assert "orig_bytes" in plain
    assert "cert_subject" not in plain
    old, _ = zeek_logs.filled({"conn": conn_columns, "ssl": ["uid", "subject", "issuer_subject"]})
    assert set(old) - set(plain) == {"cert_subject", "cert_issuer", "cert_self_signed"}
    assert set(plain) < set(old) < set(CONNECTION_SCHEMA.names)
    assert zeek_logs.filled({"dns": ["ts", "query"]})[1] == ["ts", "sensor", "query"]
    assert set(zeek_logs.filled()[1]) == set(DNS_QUERY_SCHEMA.names)
