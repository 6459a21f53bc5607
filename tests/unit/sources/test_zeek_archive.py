"""Archives of Zeek's logs become records, however they are written, packed, rotated and cut."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopscope.errors import InputError
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch, InputCount
from hopscope.sources import zeek_archive, zeek_columns, zeek_memory, zeek_rows
from hopscope.sources.capture import find
from hopscope.sources.zeek_files import LogArchive
from support import zeek_text
from support.zeek_text import as_json, conn, escaped, hopscope, side, tsv

NETS = ("10.0.0.0/8",)
T = 1700000000.0
HOUR = 3600.0


def batches(*paths: Path, count: InputCount | None = None) -> list[Batch]:
    count = count or InputCount()
    [archive] = find(map(str, paths), count)
    assert isinstance(archive, LogArchive)
    made = list(zeek_archive.records(archive, NETS, count))
    assert all(b.connections.schema == CONNECTION_SCHEMA and b.dns_queries.schema == DNS_QUERY_SCHEMA for b in made)
    return made


def connections(*paths: Path, count: InputCount | None = None) -> list[dict[str, Any]]:
    return [row for batch in batches(*paths, count=count) for row in batch.connections.to_pylist()]


def queries(*paths: Path, count: InputCount | None = None) -> list[dict[str, Any]]:
    return [row for batch in batches(*paths, count=count) for row in batch.dns_queries.to_pylist()]


def write(directory: Path, **logs: bytes) -> Path:
    for log, data in logs.items():
        (directory / f"{log}.log").write_bytes(data)
    return directory


DNS = side("D1", T, proto="udp", query="x.example", qtype_name="A", rcode_name="NOERROR", rtt=0.02,
           answers=["203.0.113.9"], TTLs=[60.0])  # fmt: skip
SSL = side("C1", T, version="TLSv13", server_name="x.example", resumed=False, next_protocol="h2",
           cert_chain_fps=["aa", "bb"])  # fmt: skip
X509 = [
    {"ts": T, "fingerprint": fp, "certificate.subject": f"CN={fp}", "certificate.issuer": "CN=aa"}
    for fp in ("aa", "bb")
]
HTTP = [side("C2", T, method="CONNECT", host="c2.example", uri="c2.example:443 /", user_agent="curl/8",
             status_code=200),
        side("C2", T + 1, method="GET", host="later.example", status_code=404)]  # fmt: skip
SSH = side("C3", T, client="SSH-2.0-a", server="SSH-2.0-b")
SOCKS = side("C4", T, version=5, status="succeeded", **{"request.name": "far.example"}, request_p=8443)


@pytest.mark.parametrize("form", ["tsv", "epoch", "millis", "iso", "mixed", "nested"])
def test_logs_are_joined_by_uid_in_every_form(tmp_path: Path, form: str) -> None:
    logs: dict[str, list[dict[str, Any]]] = {
        "conn": [conn(f"C{i}", T + 0.25) for i in range(1, 6)], "dns": [DNS], "ssl": [SSL], "x509": X509,
        "http": HTTP, "ssh": [SSH], "socks": [SOCKS], "weird": [side("C1", T, name="odd")],
    }  # fmt: skip
    if form == "tsv":
        write(tmp_path, **{log: tsv(log, rows) for log, rows in logs.items()})
    elif form == "mixed":
        rows = b"".join(as_json(rows, _path=log, _write_ts=T) for log, rows in logs.items())
        (tmp_path / "everything.ndjson").write_bytes(rows)
    elif form == "nested":
        (tmp_path / "conn.log").write_bytes(as_json(map(nested, logs["conn"])))
        write(tmp_path, **{log: as_json(map(nested, rows)) for log, rows in logs.items()})
    else:
        write(tmp_path, **{log: as_json(rows, form) for log, rows in logs.items()})
    count = InputCount()
    rows = {row["uid"]: row for row in connections(tmp_path, count=count)}
    assert (count.refused, count.problems, sorted(rows)) == (0, None, ["C1", "C2", "C3", "C4", "C5"])
    c1 = rows["C1"]
    assert (c1["ts"].timestamp(), c1["seg_end"].timestamp()) == (T + 0.25, T + 1.75)
    assert (c1["orig_h"], c1["orig_p"], c1["resp_h"], c1["resp_p"]) == ("10.0.0.5", 40000, "203.0.113.9", 443)
    assert (c1["local_orig"], c1["local_resp"], c1["sensor"], c1["seg"], c1["final"]) == (True, False, "zeek", 0, True)
    assert (c1["orig_bytes"], c1["seg_resp_pkts"], c1["conn_state"], c1["history"]) == (500, 7, "SF", "ShADadFf")
    assert (c1["sni"], c1["tls_version"], c1["alpn"], c1["resumed"]) == ("x.example", "TLSv13", "h2", False)
    assert (c1["cert_sha256"], c1["cert_subject"], c1["cert_self_signed"]) == ("aa", "CN=aa", True)
    assert (rows["C2"]["http_host"], rows["C2"]["user_agent"]) == ("c2.example", "curl/8")
    asked = {uid: tuple(row[f"proxy_{k}"] for k in ("protocol", "target", "accepted")) for uid, row in rows.items()}
    assert asked == {
        "C1": (None, None, None), "C2": ("http-connect", "c2.example:443", True), "C3": (None, None, None),
        "C4": ("socks5", "far.example:8443", True), "C5": (None, None, None),
    }  # fmt: skip
    assert (rows["C3"]["ssh_client"], rows["C3"]["ssh_server"]) == ("SSH-2.0-a", "SSH-2.0-b")
    [query] = queries(tmp_path)
    assert (query["query"], query["client"], query["answers"], query["ttls"]) == (
        "x.example", "10.0.0.5", ["203.0.113.9"], [60.0],
    )  # fmt: skip


def nested(row: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in row.items():
        outer, dot, inner = name.partition(".")
        if dot:
            made.setdefault(outer, {})[inner] = value
        else:
            made[name] = value
    return made


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize(
    "name",
    [
        "conn.log", "conn.log.gz", "2024-01-01/conn.17:00:00-18:00:00.log.gz", "conn.2024-01-01-00-00-00.log",
        "conn_20240101_00:00:00-01:00:00-0500.log.zst", "a/b/conn.log.3",
    ],
)  # fmt: skip
def test_a_log_is_known_by_content_whatever_its_name_and_packing(tmp_path: Path, name: str, pack: Any) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for data in (tsv("conn", [conn("C1", T)]), as_json([conn("C1", T)])):
        path.write_bytes(pack(data))
        assert [row["uid"] for row in connections(tmp_path)] == ["C1"]


def test_what_a_log_says_goes_before_its_name(tmp_path: Path) -> None:
    (tmp_path / "ssl.log").write_bytes(tsv("conn", [conn("C1", T)]))
    (tmp_path / "trace.txt.log").write_bytes(as_json([conn("C2", T)], _path="conn"))
    (tmp_path / "conn_long.log").write_bytes(zeek_text.header("conn_long", zeek_text.CONN))
    (tmp_path / "conn.notes.log").write_bytes(tsv("weird", [side("C1", T)]))
    assert sorted(row["uid"] for row in connections(tmp_path)) == ["C1", "C2"]


def test_one_log_named_alone(tmp_path: Path) -> None:
    write(tmp_path, conn=tsv("conn", [conn("C1", T)]), dns=tsv("dns", [DNS]))
    assert [row["uid"] for row in connections(tmp_path / "conn.log")] == ["C1"]
    count = InputCount()
    assert [row["uid"] for row in queries(tmp_path / "dns.log", count=count)] == ["D1"]
    assert count.problems == [f"{tmp_path}/dns.log: there is dns.log but no conn.log; only DNS queries were read"]


def test_logs_without_their_connections_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, ssl=tsv("ssl", [SSL]), dns=tsv("dns", [DNS]))
    with pytest.raises(InputError, match=r"there is dns\.log, ssl\.log but no conn\.log"):
        batches(tmp_path)


@pytest.mark.parametrize("name", ["ts", "uid", "id.orig_h", "id.resp_h", "id.resp_p", "proto"])
@pytest.mark.parametrize("rows", [0, 1])
def test_a_missing_column_that_is_needed_is_named(tmp_path: Path, name: str, rows: int) -> None:
    columns = [c for c in zeek_text.CONN if c != name]
    write(tmp_path, conn=tsv("conn", [conn("C1", T)] * rows, columns))
    if rows:
        with pytest.raises(InputError, match=rf"conn\.log: the log has no column {name};"):
            batches(tmp_path)
    else:
        assert batches(tmp_path) == []
    # one bad log among others is a problem
    (tmp_path / "conn.2.log").write_bytes(tsv("conn", [conn("C2", T)]))
    count = InputCount()
    assert [row["uid"] for row in connections(tmp_path, count=count)] == ["C2"]
    assert len(count.problems or []) == rows


def test_columns_in_any_order_with_extra_ones_and_few(tmp_path: Path) -> None:
    columns = ["resp_cc", *reversed(zeek_text.CONN), "community_id"]
    write(tmp_path, conn=tsv("conn", [conn("C1", T, service="ssl")], columns))
    [row] = connections(tmp_path)
    assert (row["service"], row["orig_bytes"]) == ("ssl", 500)
    write(tmp_path, conn=tsv("conn", [conn("C1", T)], ["ts", "uid", "id.orig_h", "id.resp_h", "id.resp_p", "proto"]))
    [row] = connections(tmp_path)
    assert (row["orig_p"], row["duration"], row["orig_bytes"], row["seg_end"]) == (None, None, None, row["ts"])


def test_a_log_put_together_of_several(tmp_path: Path) -> None:
    old = [c for c in zeek_text.CONN if c not in ("local_resp", "ip_proto")]
    data = tsv("conn", [conn("C1", T)], old) + tsv("conn", [conn("C2", T)]) + as_json([conn("C3", T)])
    data += tsv("ssl", [SSL]) + tsv("weird", [side("C9", T)]) + tsv("conn", [conn("C4", T)], list(reversed(old)))
    write(tmp_path, conn=data)
    count = InputCount()
    rows = connections(tmp_path, count=count)
    assert [(row["uid"], row["resp_pkts"], row["conn_state"]) for row in rows] == [
        (f"C{i}", 7, "SF") for i in range(1, 5)
    ]
    assert (count.refused, count.problems) == (0, None)
    assert rows[0]["sni"] is None or rows[0]["sni"] == "x.example"


def test_marks_that_the_header_sets(tmp_path: Path) -> None:
    head = b"#separator \\x7c\n#set_separator|;\n#empty_field|NONE\n#unset_field|?\n#path|conn\n"
    columns = [c for c in zeek_text.CONN if c != "ip_proto"]
    head += ("#fields|" + "|".join(columns) + "\n").encode()
    row = zeek_text.lines([conn("C1", T, tunnel_parents=["Ca", "Cb"])], columns)
    write(tmp_path, conn=head + row.replace(b"\t", b"|").replace(b",", b";").replace(b"|-|", b"|?|"))
    [row_read] = connections(tmp_path)
    assert (row_read["tunnel_parents"], row_read["service"]) == (["Ca", "Cb"], None)


def test_only_names_as_header(tmp_path: Path) -> None:
    rows = [conn("C1", T)]
    write(tmp_path, conn="\t".join(zeek_text.CONN).encode() + b"\n" + zeek_text.lines(rows, zeek_text.CONN))
    assert [row["uid"] for row in connections(tmp_path)] == ["C1"]


def test_rows_without_any_header_are_an_error(tmp_path: Path) -> None:
    write(tmp_path, conn=zeek_text.lines([conn("C1", T)], zeek_text.CONN))
    with pytest.raises(InputError, match="header"):
        batches(tmp_path)


@pytest.mark.parametrize("data", [b"", zeek_text.header("conn", zeek_text.CONN), tsv("conn", [])])
def test_logs_without_rows_are_no_problem(tmp_path: Path, data: bytes) -> None:
    write(tmp_path, conn=data, ssl=data and tsv("ssl", []))
    count = InputCount()
    assert connections(tmp_path, count=count) == []
    assert (count.refused, count.problems) == (0, None)


@pytest.mark.parametrize("form", ["tsv", "json"])
def test_a_line_that_is_still_being_written_is_left_out_and_told_once(tmp_path: Path, form: str) -> None:
    rows = [conn(f"C{i}", T) for i in range(3)]
    data = tsv("conn", rows).removesuffix(zeek_text.CLOSE) if form == "tsv" else as_json(rows)
    dns = tsv("dns", [DNS, DNS]).removesuffix(zeek_text.CLOSE)
    write(tmp_path, conn=data[:-20], dns=dns[:-1])
    count = InputCount()
    assert [row["uid"] for row in connections(tmp_path, count=count)] == ["C0", "C1"]
    assert count.refused == 0
    [problem] = count.problems or []
    assert "conn.log" in problem
    assert "dns.log" in problem
    assert ": the last line hasn't ended" in problem


def test_the_last_line_of_json_is_whole_without_a_newline(tmp_path: Path) -> None:
    write(tmp_path, conn=as_json([conn("C1", T), conn("C2", T)]).rstrip(b"\n"))
    count = InputCount()
    assert [row["uid"] for row in connections(tmp_path, count=count)] == ["C1", "C2"]
    assert count.problems is None


def test_a_packed_log_that_was_cut(tmp_path: Path) -> None:
    rows = [conn(f"C{i}", T + i) for i in range(2000)]
    (tmp_path / "conn.log.gz").write_bytes(gzip.compress(tsv("conn", rows))[:-2000])
    count = InputCount()
    found = [row["uid"] for row in connections(tmp_path, count=count)]
    assert 100 < len(found) < 2000
    assert found == [f"C{i}" for i in range(len(found))]
    [problem] = count.problems or []
    assert "gzip" in problem
    assert count.refused == 0


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    for data in (tsv("conn", [conn("C1", T), conn("C2", T, ip_proto=6)]), as_json([conn("C1", T), conn("C2", T)])):
        write(tmp_path, conn=b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
        count = InputCount()
        assert [row["uid"] for row in connections(tmp_path, count=count)] == ["C1", "C2"]
        assert (count.refused, count.problems) == (0, None)


@pytest.mark.parametrize("form", ["tsv", "json"])
def test_bad_lines_are_counted_and_take_no_others_along(tmp_path: Path, form: str) -> None:
    good = [conn(f"C{i}", T) for i in range(4)]
    bad = [conn("B1", T, orig_bytes="x"), conn("B2", T) | {"id.orig_h": "x"}, conn("B3", T, duration=-1), conn("", T)]
    bad[3]["uid"] = None
    if form == "tsv":
        body = zeek_text.lines([*good[:2], *bad, *good[2:]], zeek_text.CONN)
        write(tmp_path, conn=zeek_text.header("conn", zeek_text.CONN) + b"odd\tline\n" + body)
    else:
        write(tmp_path, conn=as_json(good[:2]) + b"{odd\n" + as_json(bad) + as_json(good[2:]))
    count = InputCount()
    assert [row["uid"] for row in connections(tmp_path, count=count)] == ["C0", "C1", "B3", "C2", "C3"]
    assert count.refused == 4
    assert len(count.problems or []) == 1


def hourly(directory: Path, log: str, hours: dict[int, list[dict[str, Any]]]) -> None:
    day = directory / "2023-11-14"
    day.mkdir(exist_ok=True)
    for hour, rows in hours.items():
        name = f"{log}.{hour:02}:00:00-{hour + 1:02}:00:00.log.gz"
        (day / name).write_bytes(gzip.compress(tsv(log, rows)))


def test_hours_come_in_their_order_and_side_rows_wait_for_later_ones(tmp_path: Path) -> None:
    hourly(tmp_path, "conn", {
        # the connection of the second hour began in the first
        2: [conn("C3", T + 2 * HOUR)], 0: [conn("C1", T)], 1: [conn("C2", T + 60, duration=HOUR)],
    })  # fmt: skip
    hourly(tmp_path, "ssl", {0: [SSL, {**SSL, "uid": "C2", "server_name": "second.example"}], 2: []})
    (tmp_path / "x509.log").write_bytes(tsv("x509", X509))  # rotated otherwise
    rows = connections(tmp_path)
    assert [row["uid"] for row in rows] == ["C1", "C2", "C3"]
    assert [row["sni"] for row in rows] == ["x.example", "second.example", None]
    assert [row["cert_subject"] for row in rows] == ["CN=aa", "CN=aa", None]


def test_one_daily_log_of_connections_and_hourly_ones_of_the_others(tmp_path: Path) -> None:
    rows = [conn(f"C{i}", T + i * HOUR) for i in range(6)]
    (tmp_path / "conn.log").write_bytes(tsv("conn", rows))
    hourly(tmp_path, "ssl", {i: [{**SSL, "uid": f"C{i}", "ts": T + i * HOUR}] for i in range(6)})
    assert [row["sni"] for row in connections(tmp_path)] == ["x.example"] * 6


def test_a_log_of_few_lines_over_a_long_time_belongs_to_all_of_it(tmp_path: Path) -> None:
    hourly(tmp_path, "conn", {i: [conn(f"C{i}", T + i * HOUR)] for i in range(6)})
    (tmp_path / "ssl.log").write_bytes(tsv("ssl", [{**SSL, "uid": f"C{i}", "ts": T + i * HOUR} for i in range(6)]))
    assert [row["sni"] for row in connections(tmp_path)] == ["x.example"] * 6


def test_pieces_and_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeek_rows, "PIECE_BYTES", 4096)
    rows = [conn(f"C{i}", T + 10 * i) for i in range(2000)]
    tls = [{**SSL, "uid": f"C{i}", "ts": T + 10 * i, "server_name": f"n{i}.example"} for i in range(2000)]
    write(tmp_path, conn=tsv("conn", rows), ssl=tsv("ssl", tls), x509=tsv("x509", X509))
    count = InputCount()
    made = batches(tmp_path, count=count)
    assert len(made) > 20
    names = [name for batch in made for name in batch.connections["sni"].to_pylist()]
    assert names == [f"n{i}.example" for i in range(2000)]
    assert count.problems is None


def test_side_rows_beyond_the_bound_go_and_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeek_memory.SideRows.__init__, "__defaults__", (10,))
    write(tmp_path, conn=tsv("conn", [conn("C0", T), conn("C99", T)]),
          ssl=tsv("ssl", [{**SSL, "uid": f"C{i}"} for i in range(100)]))  # fmt: skip
    count = InputCount()
    assert [row["sni"] for row in connections(tmp_path, count=count)] == [None, "x.example"]
    assert count.problems == [
        f"{tmp_path}: 90 rows of ssl.log waited too long for their connections and were let go; "
        "give the logs of a shorter time"
    ]


def test_certificates_of_older_versions(tmp_path: Path) -> None:
    columns = ["ts", "uid", "server_name", "cert_chain_fuids"]
    write(
        tmp_path,
        conn=tsv("conn", [conn("C1", T), conn("C2", T), conn("C3", T)]),
        ssl=tsv("ssl", [{"ts": T, "uid": "C1", "cert_chain_fuids": ["F1", "F2"]}], columns)
        + tsv("ssl", [{"ts": T, "uid": "C2", "subject": "CN=s\\, t", "issuer_subject": "CN=i"}],
              ["ts", "uid", "subject", "issuer_subject"]),
        x509=tsv("x509", [{"ts": T, "id": "F1", "certificate.subject": "CN=f", "certificate.issuer": "CN=f"}],
                 ["ts", "id", "certificate.subject", "certificate.issuer"]),
    )  # fmt: skip
    c1, c2, c3 = connections(tmp_path)
    assert (c1["cert_subject"], c1["cert_self_signed"], c1["cert_sha256"]) == ("CN=f", True, None)
    assert (c2["cert_subject"], c2["cert_issuer"], c2["cert_self_signed"]) == ("CN=s\\, t", "CN=i", False)
    assert (c3["cert_subject"], c3["cert_self_signed"]) == (None, None)


def test_hopscopes_rows_take_the_place_of_plain_ones(tmp_path: Path) -> None:
    parts = [hopscope("C1", T, seg=i, final=i == 1, seg_end=T + 300 * (i + 1), sni="own.example") for i in (0, 1)]
    dns = {"ts": T, "uid": "D1", "sensor": "worker-1", "client": "10.0.0.5", "resolver": "10.0.0.2", "query": "own"}
    write(
        tmp_path,
        conn=tsv("conn", [conn("C1", T, duration=600), conn("C2", T)]),
        ssl=tsv("ssl", [SSL, {**SSL, "uid": "C2"}]),
        hopscope=tsv("hopscope", parts),
        dns=tsv("dns", [DNS, {**DNS, "uid": "D2"}]),
        hopscope_dns=tsv("hopscope_dns", [dns]),
    )
    rows = sorted((r["uid"], r["seg"], r["sensor"], r["sni"], r["tcp_rtt"]) for r in connections(tmp_path))
    assert rows == [
        ("C1", 0, "worker-1", "own.example", 0.02), ("C1", 1, "worker-1", "own.example", 0.02),
        ("C2", 0, "zeek", "x.example", None),
    ]  # fmt: skip
    assert sorted((r["uid"], r["query"]) for r in queries(tmp_path)) == [("D1", "own"), ("D2", "x.example")]


def test_what_is_still_open_is_told_once_and_as_it_ended_if_it_did(tmp_path: Path) -> None:
    for i in (1, 2):
        rows = [conn(uid, T, duration=i * 3600.0, orig_bytes=i, conn_state="OTH") for uid in ("C1", "C2", "C3")]
        (tmp_path / f"open_conn.{i}.log").write_bytes(tsv("conn", rows))
    hourly(tmp_path, "conn", {3: [conn("C1", T, duration=10000.0, orig_bytes=9)]})
    hourly(tmp_path, "ssl", {0: [{**SSL, "uid": uid} for uid in ("C1", "C2")]})
    write(tmp_path, hopscope=tsv("hopscope", [hopscope("C3", T)]))
    rows = sorted((r["uid"], r["final"], r["orig_bytes"], r["duration"], r["sni"]) for r in connections(tmp_path))
    assert rows == [
        ("C1", True, 9, 10000.0, "x.example"), ("C2", False, 2, 7200.0, "x.example"), ("C3", True, None, None, None),
    ]  # fmt: skip


def test_an_end_that_is_told_before_the_log_of_what_is_open(tmp_path: Path) -> None:
    (tmp_path / "open_conn.log").write_bytes(tsv("conn", [conn("C1", T + HOUR), conn("C2", T + HOUR)]))
    write(tmp_path, conn=tsv("conn", [conn("C1", T)]))
    assert [(row["uid"], row["final"]) for row in connections(tmp_path)] == [("C1", True), ("C2", False)]


@pytest.mark.parametrize(
    ("logs", "lacking", "filled"),
    [
        (("conn",), {"sni", "http_host", "tcp_rtt", "cert_subject", "ja4"}, {"orig_bytes", "seg", "conn_state"}),
        (("conn", "ssl"), {"http_host", "tcp_rtt", "ja4"}, {"sni", "cert_sha256"}),
        (("conn", "ssl", "x509", "http"), {"hello_rtt", "ssh_client"}, {"cert_subject", "http_host", "proxy_target"}),
        (("conn", "hopscope"), set(), {"tcp_rtt", "ja4"}),
        (("dns",), {"sni", "orig_h"}, set()),
    ],
)
def test_what_the_logs_can_not_fill_is_known(
    tmp_path: Path, logs: tuple[str, ...], lacking: set[str], filled: set[str]
) -> None:
    write(tmp_path, **{log: tsv(log, []) for log in logs})
    count = InputCount()
    batches(tmp_path, count=count)
    assert lacking <= (count.lacks if count.lacks is not None else set(CONNECTION_SCHEMA.names))
    assert not filled & (count.lacks or set())


def test_a_directory_with_captures_beside_logs(tmp_path: Path) -> None:
    write(tmp_path, conn=tsv("conn", [conn("C1", T)]))
    (tmp_path / "a.pcap").write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(20))
    count = InputCount()
    assert [row["uid"] for row in connections(tmp_path, count=count)] == ["C1"]
    assert count.problems == [
        f"{tmp_path}: Zeek's logs were read, not the 1 capture beside them ({tmp_path}/a.pcap); "
        "name captures themselves to have them read"
    ]
    assert len(find([str(tmp_path), str(tmp_path / "a.pcap")], InputCount())) == 2


def test_other_files_beside_logs_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, conn=tsv("conn", [conn("C1", T)]), stats=tsv("weird", []), reporter=b"text\n", stderr=b"")
    (tmp_path / "settings.json").write_text('{"a": 1}')
    (tmp_path / "conn.md").write_text("# notes")
    (tmp_path / "picture.log").write_bytes(bytes(range(256)))
    count = InputCount()
    assert [row["uid"] for row in connections(tmp_path, count=count)] == ["C1"]
    assert (count.inputs, count.problems) == (1, None)


def test_progress_reaches_the_size_of_all_logs(tmp_path: Path) -> None:
    write(tmp_path, conn=tsv("conn", [conn("C1", T)]), ssl=tsv("ssl", [SSL]), dns=tsv("dns", [DNS]))
    [archive] = find([str(tmp_path)], InputCount())
    assert isinstance(archive, LogArchive)
    seen: list[int] = []
    list(zeek_archive.records(archive, NETS, InputCount(), seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == archive.size == sum(path.stat().st_size for path in tmp_path.iterdir())


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=10).filter(
    lambda text: "\\x" not in text and not any("\x7f" <= c <= "\x9f" for c in text)
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_TEXT, st.none() | _TEXT, st.none() | st.integers(0, 10**12)), min_size=1, max_size=5))
def test_both_forms_of_any_logs_give_the_same_records(tmp_path: Path, made: list[Any]) -> None:
    rows = [conn(f"C{i}", T + i, orig_bytes=number) for i, (_, _, number) in enumerate(made)]
    http = [side(f"C{i}", T + i, host=host, user_agent=agent) for i, (host, agent, _) in enumerate(made)]
    dns = [side(f"D{i}", T + i, query=host, answers=agent and [agent, host]) for i, (host, agent, _) in enumerate(made)]
    forms = []
    for form in (tsv, lambda log, rows: as_json(rows)):
        write(tmp_path, conn=form("conn", rows), http=form("http", http), dns=form("dns", dns))
        count = InputCount()
        forms.append((connections(tmp_path, count=count), queries(tmp_path)))
        assert (count.refused, count.problems) == (0, None)
    assert forms[0] == forms[1]
    told, asked = forms[0]
    assert [row["orig_bytes"] for row in told] == [number for _, _, number in made]
    plain = {"(empty)": "(empty)", "-": "-"}
    assert [row["http_host"] for row in told] == [plain.get(host, escaped(host)) for host, _, _ in made]
    assert [row["query"] for row in asked] == [plain.get(host, escaped(host)) for host, _, _ in made]


def test_times_are_utc_whatever_the_zone_of_the_log(tmp_path: Path) -> None:
    row = conn("C1", T) | {"ts": "2023-11-14T23:13:20.5+01:00"}
    write(tmp_path, conn=as_json([row, row | {"uid": "C2", "ts": "2023-11-14T22:13:20.500000999Z"}]))
    assert [r["ts"] for r in connections(tmp_path)] == [datetime(2023, 11, 14, 22, 13, 20, 500000, UTC)] * 2


@pytest.mark.parametrize("form", ["tsv", "json"])
def test_own_rows_without_their_segment_are_told_whole(tmp_path: Path, form: str) -> None:
    gone = ("seg", "seg_end", "final", "sensor")
    row = {name: value for name, value in hopscope("C1", T, duration=2.5).items() if name not in gone}
    columns = tuple(name for name in zeek_text.COLUMNS["hopscope"] if name not in gone)
    write(tmp_path, hopscope=tsv("hopscope", [row], columns) if form == "tsv" else as_json([row]))
    count = InputCount()
    [made] = connections(tmp_path, count=count)
    assert (made["seg"], made["seg_end"].timestamp(), made["final"], made["sensor"]) == (0, T + 2.5, True, "zeek")
    assert count.lacks == set()


@pytest.mark.parametrize("form", ["tsv", "json"])
def test_counts_that_are_nonsense_are_refused(tmp_path: Path, form: str) -> None:
    rows = [conn("C1", T), conn("C2", T, orig_bytes=99_999_999_999_999_999), conn("C3", T, duration=1e12)]
    write(tmp_path, conn=tsv("conn", rows) if form == "tsv" else as_json(rows))
    count = InputCount()
    assert [row["uid"] for row in connections(tmp_path, count=count)] == ["C1"]
    assert count.refused == 2


@pytest.mark.parametrize(
    "line",
    [
        b'{"ts":' + b"1" * 400 + b"}\n",
        b'{"x":' + b"[" * 6000 + b"]" * 6000 + b"}\n",
        b'{"ts":"0001-01-01T00:00:00+23:59"}\n',
    ],
    ids=["long", "deep", "early"],
)
def test_an_odd_first_line_of_json_takes_nothing_along(tmp_path: Path, line: bytes) -> None:
    write(tmp_path, conn=line + as_json([conn("C1", T)]), dns=as_json([DNS]))
    count = InputCount()
    assert [row["uid"] for row in connections(tmp_path, count=count)] == ["C1"]
    assert count.refused == 1
    assert [row["uid"] for row in queries(tmp_path)] == ["D1"]


@pytest.mark.parametrize("mark", [b"\\x0d", b"\\x0a", b"\\x00"])
def test_a_separator_that_ends_lines_takes_no_other_log_along(tmp_path: Path, mark: bytes) -> None:
    write(tmp_path, conn=tsv("conn", [conn("C1", T)]), dns=tsv("dns", [DNS]).replace(b"\\x09", mark))
    assert [row["uid"] for row in connections(tmp_path)] == ["C1"]
    assert [row["uid"] for row in queries(tmp_path)] == ["D1"]


def test_lines_that_even_with_care_can_not_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise pa.ArrowInvalid("no such thing")

    monkeypatch.setattr(zeek_columns._Reader, "quick", fail)
    monkeypatch.setattr(zeek_columns._Reader, "careful", fail)
    write(tmp_path, conn=tsv("conn", [conn("C1", T)]), dns=as_json([DNS]))
    count = InputCount()
    assert [row["uid"] for row in queries(tmp_path, count=count)] == ["D1"]
    assert (
        "conn.log: its lines can't be read (no such thing); give the log as Zeek wrote it"
        in (count.problems or [""])[0]
    )
