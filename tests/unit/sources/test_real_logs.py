"""Logs that many versions of Zeek wrote at other sites, and Zeek 8's of the lab, are read without a complaint."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from hopscope.records import InputCount
from hopscope.sources import zeek_archive
from hopscope.sources.capture import find
from hopscope.sources.zeek_files import LogArchive

NETS = ("10.0.0.0/8", "192.168.0.0/16")


def counted(directory: Path, log: str) -> int:
    """The lines of a log below a directory, by a way of its own."""
    return sum(not line.startswith(b"#") and log in path.name for path in files(directory) for line in lines(path))


def files(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*.log*") if path.is_file())


def lines(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).splitlines()


def read(directory: Path) -> tuple[dict[str, int], dict[str, int]]:
    """How many connections and queries there are, and how many connections have each field."""
    count = InputCount()
    [archive] = find([str(directory)], count)
    assert isinstance(archive, LogArchive)
    rows, filled = {"conn": 0, "dns": 0}, dict.fromkeys(("sni", "cert_subject", "http_host", "ssh_client"), 0)
    for batch in zeek_archive.records(archive, NETS, count):
        rows["conn"] += len(batch.connections)
        rows["dns"] += len(batch.dns_queries)
        for name in filled:
            filled[name] += len(batch.connections) - batch.connections[name].null_count
    assert (count.refused, count.problems) == (0, None)
    assert count.inputs == len(archive.files)
    return rows, filled


@pytest.mark.parametrize(
    ("name", "some"),
    [
        ("rita/missing_host", ("sni", "http_host")),
        ("rita/proxy", ("sni", "http_host")),
        ("rita/proxy_rolling", ("sni", "http_host", "cert_subject")),
        ("zat", ("sni", "http_host", "cert_subject")),
        ("zat/json", ("sni", "cert_subject")),
        ("tenzir", ("sni", "http_host", "cert_subject")),
    ],
)
def test_logs_of_other_sites(shared: Path, name: str, some: tuple[str, ...]) -> None:
    directory = shared / "real/logs" / name
    rows, filled = read(directory)
    assert rows == {log: counted(directory, log) for log in ("conn", "dns")}
    assert all(filled[field] for field in some), filled


@pytest.mark.parametrize("name", ["rita/open_sni", "rita/open_conns"])
def test_logs_of_what_was_still_open_tell_each_connection_once(shared: Path, name: str) -> None:
    directory = shared / "real/logs" / name
    rows, filled = read(directory)
    ended, still_open = (
        [line.split(b"\t")[1] for path in directory.rglob(f"{name}*") for line in lines(path) if line[:1].isdigit()]
        for name in ("conn.", "open_conn.")
    )
    assert still_open
    assert rows["conn"] == len(ended) + len(set(still_open) - set(ended))
    assert filled["sni"]


def test_logs_of_the_lab(shared: Path) -> None:
    directories = sorted(path for path in (shared / "zeek/logs").iterdir() if path.is_dir())
    assert len(directories) > 20
    for directory in directories:
        rows, filled = read(directory)
        assert rows == {log: counted(directory, log) for log in ("conn", "dns")}, directory
        assert filled["sni"], directory
        assert filled["cert_subject"], directory
        assert filled["ssh_client"], directory


def test_both_forms_of_the_lab_s_logs_say_the_same(shared: Path) -> None:
    """The JSON logs are of another run over the same capture: the uids differ, the rest doesn't."""
    told = []
    for name in ("socat-beacon", "socat-beacon-json"):
        [archive] = find([str(shared / "zeek/logs" / name)], InputCount())
        assert isinstance(archive, LogArchive)
        rows = [row for b in zeek_archive.records(archive, NETS, InputCount()) for row in b.connections.to_pylist()]
        told.append(sorted((r["ts"], r["orig_h"], r["orig_p"], r["sni"] or "", r["orig_bytes"] or 0) for r in rows))
    assert told[0] == told[1]
