"""From what the user names to captures: files, directories, patterns, standard input."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from hopscope import config, hunting
from hopscope.errors import InputError, UsageError
from hopscope.records import InputCount
from hopscope.sources.capture import STDIN, find
from support.zeek_text import as_json, conn, side, tsv

PCAP = b"\xd4\xc3\xb2\xa1" + bytes(20)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory as people have it: captures with and without suffix, and other things between them."""
    monkeypatch.chdir(tmp_path)
    for name in ("d/b.pcap", "d/a.pcapng.gz", "d/sub/c.CAP", "d/sub/trace.pcap3", "d/sub/bare", "e/x.pcap.zst"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(PCAP)
    Path("d/notes.txt").write_text("nothing")
    Path("d/notes.gz").write_bytes(b"\x1f\x8b")
    Path("d/sub/empty").touch()
    return tmp_path


def paths(*names: str, count: InputCount | None = None) -> list[str]:
    return [c.path for c in find(names, count or InputCount())]


def test_a_file_is_taken_whatever_its_name(tree: Path) -> None:
    assert paths("d/notes.txt") == ["d/notes.txt"]


def test_a_directory_is_searched_by_suffix_and_by_first_bytes(tree: Path) -> None:
    assert paths("d") == ["d/a.pcapng.gz", "d/b.pcap", "d/sub/bare", "d/sub/c.CAP", "d/sub/trace.pcap3"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("d/*.pcap*", ["d/a.pcapng.gz", "d/b.pcap"]),
        ("**/*.pcap*", ["d/a.pcapng.gz", "d/b.pcap", "d/sub/trace.pcap3", "e/x.pcap.zst"]),
        ("*", None),
    ],
)
def test_a_pattern_fits_files(tree: Path, pattern: str, found: list[str] | None) -> None:
    if found is not None:
        assert paths(pattern) == found
    else:  # it fits directories alone, which are named, not matched, to be searched
        with pytest.raises(InputError, match="the pattern fits no file"):
            paths(pattern)


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tree: Path) -> None:
    Path("d/[b].pcap").write_bytes(PCAP)
    assert paths("d/[b].pcap") == ["d/[b].pcap"]


def test_order_is_the_users_and_each_capture_is_read_once(tree: Path) -> None:
    Path("link.pcap").symlink_to("d/b.pcap")
    assert paths("e", "d/b.pcap", "link.pcap", "d/../d/b.pcap", "d/*.pcap") == ["e/x.pcap.zst", "d/b.pcap"]


def test_directories_in_a_circle_end(tree: Path) -> None:
    Path("e/loop").symlink_to("../e")
    assert paths("e") == ["e/x.pcap.zst"]


def test_standard_input_is_read_once(tree: Path) -> None:
    [stdin] = find([STDIN], InputCount())
    assert (stdin.path, stdin.name, stdin.size) == ("-", "standard input", None)
    with pytest.raises(UsageError, match="named twice"):
        find([STDIN, STDIN], InputCount())


def test_sizes_are_known_of_files_alone(tree: Path) -> None:
    import os

    os.mkfifo("pipe")
    assert [c.size for c in find(["d/b.pcap", "pipe"], InputCount())] == [24, None]


def test_one_bad_name_among_others_is_a_counted_problem(tree: Path) -> None:
    count = InputCount()
    Path("none").mkdir()
    assert paths("absent.pcap", "d/b.pcap", "*.nope", "none", count=count) == ["d/b.pcap"]
    assert count.problems == [
        "absent.pcap: no such file or directory; check the path",
        "*.nope: the pattern fits no file; check the pattern and the directory",
        "none: no capture, no Zeek log and no Windows events in this directory; "
        "name a file, or a directory with .pcap, .pcapng, .cap files, Zeek's logs or Windows events",
    ]


def test_only_bad_names_are_an_error_that_tells_each(tree: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.pcap: no such file") as e:
        find(["absent.pcap", "*.nope"], InputCount())
    assert e.value.__notes__ == ["*.nope: the pattern fits no file; check the pattern and the directory"]


@pytest.mark.parametrize("data", [tsv("weird", [side("C1", 1.0)]), as_json([side("C1", 1.0, name="odd")])])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_log_that_is_not_used_is_told_which_are(tree: Path, data: bytes, pack: Callable[[bytes], bytes]) -> None:
    Path("weird.log").write_bytes(pack(data))
    used = "conn, dns, ssl, x509, http, ssh, socks, hopscope, hopscope_dns"
    with pytest.raises(InputError, match=rf"^weird\.log: this log of Zeek's isn't used; the logs that are: {used}$"):
        find(["weird.log"], InputCount())
    assert paths("weird.log", "d/b.pcap") == ["d/b.pcap"]


def test_a_sensor_named_for_logs_is_told_to_be_of_no_use(tree: Path) -> None:
    Path("conn.log").write_bytes(tsv("conn", [conn("C1", 1.0)]))
    for sensor, problems in (("auto", None), ("zeek", ["logs are read as they are; --sensor zeek is for captures"])):
        count = InputCount()
        list(hunting.records("conn.log", config=config.load(), count=count, sensor=sensor))
        assert count.problems == problems
