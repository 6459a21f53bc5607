"""Running Zeek: with a program that stands in for it, and the real one where it is installed."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from hopscope.errors import InputError, UsageError
from hopscope.records import Batch, InputCount
from hopscope.sources import zeek_replay
from hopscope.sources.capture import Capture, find
from support import zeek_text

NETS = ("10.0.0.0/8",)
CAPTURE = b"\xd4\xc3\xb2\xa1" + bytes(5_000_000)


def read(path: Path, count: InputCount) -> list[Batch]:
    [capture] = find([str(path)], InputCount())
    assert isinstance(capture, Capture)
    return list(zeek_replay.records(capture, NETS, count))


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `zeek` that keeps its arguments and input and writes logs as the package does."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "bin").mkdir()
    rows = [zeek_text.hopscope(f"C{i}", 100.0 + i, orig_pkts=4, resp_pkts=3) for i in range(4)]
    (tmp_path / "logs" / "hopscope.log").write_bytes(zeek_text.tsv("hopscope", rows))
    program(tmp_path, f'printf "%s\\n" "$@" > {tmp_path}/args\ncat > {tmp_path}/input\ncp {tmp_path}/logs/* .\n')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    return tmp_path


def program(tmp_path: Path, script: str) -> None:
    zeek = tmp_path / "bin" / "zeek"
    zeek.write_text(f"#!/bin/sh\n{script}")
    zeek.chmod(0o755)


@pytest.mark.parametrize("packed", [False, True])
def test_zeek_gets_the_capture_unpacked(stand_in: Path, packed: bool) -> None:
    capture = stand_in / "-r; touch hacked $(touch hacked).pcap"
    capture.write_bytes(gzip.compress(CAPTURE) if packed else CAPTURE)
    count = InputCount()
    [batch] = read(capture, count)
    assert batch.connections.num_rows == 4
    assert (stand_in / "input").read_bytes() == CAPTURE
    assert (stand_in / "args").read_text().split("\n")[:3] == ["-C", "-r", "-"]
    assert not list(stand_in.glob("**/hacked"))
    assert (count.inputs, count.packets, count.problems) == (1, 28, None)


def test_a_capture_cut_midway_keeps_what_stands_before(stand_in: Path) -> None:
    capture = stand_in / "cut.pcap.gz"
    capture.write_bytes(gzip.compress(CAPTURE)[:-100])
    count = InputCount()
    [batch] = read(capture, count)
    assert batch.connections.num_rows == 4
    assert count.problems is not None
    assert "the gzip data ends before its end mark" in count.problems[0]


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)], ids=["plain", "packed"])
def test_an_empty_file_is_an_error(stand_in: Path, content: bytes) -> None:
    (stand_in / "x.pcap").write_bytes(content)
    with pytest.raises(InputError, match="the file is empty"):
        read(stand_in / "x.pcap", InputCount())


def test_a_zeek_that_gives_up_is_an_error_with_its_last_words(stand_in: Path) -> None:
    (stand_in / "x.pcap").write_bytes(CAPTURE)
    program(stand_in, "echo first >&2; echo 'fatal error: unknown file format' >&2; exit 1\n")
    with pytest.raises(InputError, match=r"x\.pcap: Zeek stopped: fatal error: unknown file format"):
        read(stand_in / "x.pcap", InputCount())


def test_a_zeek_that_gives_up_midway_is_a_problem(stand_in: Path) -> None:
    (stand_in / "x.pcap").write_bytes(CAPTURE)
    program(stand_in, f"cat > /dev/null; cp {stand_in}/logs/* .; echo 'error: bad dump file' >&2; exit 1\n")
    count = InputCount()
    [batch] = read(stand_in / "x.pcap", count)
    assert batch.connections.num_rows == 4
    assert count.problems is not None
    assert "Zeek stopped: error: bad dump file; what it had logged before was read" in count.problems[0]


def test_no_zeek_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "x.pcap").write_bytes(CAPTURE)
    with pytest.raises(UsageError, match="there is no zeek on the PATH; install Zeek or leave --sensor out"):
        read(tmp_path / "x.pcap", InputCount())


def test_uids_are_the_capture_s_own(stand_in: Path) -> None:
    program(stand_in, f"cat seeds >> {stand_in}/seeds; cp {stand_in}/logs/* .\n")
    for name, content in (("a", CAPTURE), ("b", CAPTURE), ("c", CAPTURE[:99] + b"another" + CAPTURE[106:])):
        (stand_in / f"{name}.pcap").write_bytes(content)
        read(stand_in / f"{name}.pcap", InputCount())
    words = (stand_in / "seeds").read_text().split()
    first, again, other = (words[i : i + 21] for i in range(0, len(words), 21))
    assert first == again
    assert first != other


def test_a_capture_without_a_connection_has_no_records(stand_in: Path) -> None:
    (stand_in / "x.pcap").write_bytes(CAPTURE)
    program(stand_in, "cat > /dev/null\n")
    count = InputCount()
    assert read(stand_in / "x.pcap", count) == []
    assert (count.inputs, count.problems) == (1, None)


@pytest.mark.skipif(shutil.which("zeek") is None, reason="zeek is not installed")
def test_a_real_zeek_reads_our_captures(pcaps: Path) -> None:
    count = InputCount()
    batches = read(pcaps / "socks-microsocks.pcap.gz", count)
    asked = {protocol for batch in batches for protocol in batch.connections["proxy_protocol"].to_pylist()}
    assert count.problems is None
    assert asked == {None, "socks5"}
    assert any(batch.dns_queries.num_rows for batch in batches)
    assert count.lacks is not None
    assert "tcp_rtt" not in count.lacks
    again = read(pcaps / "socks-microsocks.pcap.gz", InputCount())
    assert [b.connections for b in again] == [b.connections for b in batches]
