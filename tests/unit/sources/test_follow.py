"""Logs that grow are followed: nothing is read twice, and what may be lost is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hopscope import config
from hopscope.errors import InputError
from hopscope.records import InputCount
from hopscope.sources import follow, growing, zeek_memory
from hopscope.sources.follow import LEAVING_POLLS, QUIET_POLLS, Follower
from support import zeek_text
from support.zeek_text import CLOSE, CONN, as_json, conn, header, hopscope, lines, side, tsv

T = 1700000000.0
DAY = 86400.0


class Site:
    """A directory in which Zeek writes, and its follower."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.count = InputCount()
        self.follower = Follower(directory, config.load(), self.count)

    def append(self, log: str, data: bytes) -> None:
        with (self.directory / f"{log}.log").open("ab") as f:
            f.write(data)

    def poll(self, times: int = 1, *, last: bool = False) -> list[dict[str, Any]]:
        batches = [batch for _ in range(times) for batch in self.follower.poll(last=last)]
        return [row for batch in batches for row in batch.connections.to_pylist() + batch.dns_queries.to_pylist()]

    def uids(self, times: int = 1, *, last: bool = False) -> list[str]:
        return [row["uid"] for row in self.poll(times, last=last)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.follower.close()


def begun(log: str, *rows: dict[str, Any]) -> bytes:
    return tsv(log, rows).removesuffix(CLOSE)


def rows_of_conn(*uids: str, ts: float = T) -> bytes:
    return lines([conn(uid, ts) for uid in uids], CONN)


ALL = QUIET_POLLS + 2  # polls after which no row waits


def test_lines_are_read_when_they_are_whole(site: Site) -> None:
    assert site.poll() == []
    data = begun("hopscope", hopscope("C1", T), hopscope("C2", T))
    site.append("hopscope", data[:-30])
    assert site.uids() == ["C1"]
    site.append("hopscope", data[-30:-1])
    assert site.uids() == []
    site.append("hopscope", data[-1:] + lines([hopscope("C3", T)], zeek_text.COLUMNS["hopscope"]))
    assert site.uids() == ["C2", "C3"]
    assert site.uids(ALL) == []
    assert (site.count.refused, site.count.problems, site.count.inputs) == (0, None, 1)


def test_what_stood_there_before_is_read(site: Site) -> None:
    site.append("conn", begun("conn", conn("C1", T)))
    site.append("conn", CLOSE)
    assert site.uids(ALL) == ["C1"]


def test_rows_wait_for_what_other_logs_tell_of_them(site: Site) -> None:
    site.append("conn", begun("conn", conn("C1", T)))
    assert site.poll() == []
    site.append("ssl", begun("ssl", side("C1", T, server_name="x.example")))
    assert site.poll() == []
    # the logs have gone on
    site.append("hopscope", begun("hopscope", hopscope("C2", T + 60)))
    assert [(row["uid"], row["sni"]) for row in site.poll()] == [("C2", None), ("C1", "x.example")]


def test_rows_do_not_wait_when_nothing_comes_or_at_the_end(site: Site) -> None:
    site.append("conn", begun("conn", conn("C1", T)))
    assert site.uids(QUIET_POLLS) == []
    assert site.uids() == ["C1"]
    site.append("conn", rows_of_conn("C2"))
    assert site.uids(last=True) == ["C2"]
    assert site.uids(ALL, last=True) == []


def test_hopscopes_rows_take_the_place_of_plain_ones(site: Site) -> None:
    site.append("conn", begun("conn", conn("C1", T), conn("C2", T)))
    site.append("dns", begun("dns", side("D1", T, query="plain.example")))
    assert site.poll() == []
    query = {"ts": T, "uid": "D1", "sensor": "s", "client": "10.0.0.5", "resolver": "10.0.0.2", "query": "own.example"}
    site.append("hopscope_dns", begun("hopscope_dns", query))
    site.append("hopscope", begun("hopscope", hopscope("C1", T)))
    rows = site.poll(ALL)
    assert sorted((row["uid"], row["sensor"]) for row in rows) == [("C1", "worker-1"), ("C2", "zeek"), ("D1", "s")]


@pytest.mark.parametrize("packed", [False, True])
def test_rotation(site: Site, packed: bool) -> None:
    site.append("conn", begun("conn", conn("C1", T)))
    assert site.uids(ALL) == ["C1"]
    site.append("conn", rows_of_conn("C2") + CLOSE)
    old = site.directory / "conn.log"
    if packed:  # packed elsewhere and gone before the next look
        old.unlink()
    else:
        old.rename(site.directory / "conn.2024-01-01-00-00-00.log")
    site.append("conn", begun("conn", conn("C3", T)))
    assert site.uids(ALL) == ["C2", "C3"]
    site.append("conn", rows_of_conn("C4"))
    assert site.uids(ALL + LEAVING_POLLS) == ["C4"]
    assert (site.count.refused, site.count.problems, site.count.inputs) == (0, None, 2)


def test_lines_that_come_into_a_rotated_file_after_all(site: Site) -> None:
    site.append("conn", begun("conn", conn("C1", T))[:-10])
    assert site.uids(ALL) == []
    (site.directory / "conn.log").rename(site.directory / "old.log")
    site.append("conn", begun("conn", conn("C3", T)))
    assert site.uids(ALL) == ["C3"]
    with (site.directory / "old.log").open("ab") as f:
        f.write(begun("conn", conn("C1", T))[-10:] + rows_of_conn("C2") + b"170")
    assert site.uids(ALL) == ["C1", "C2"]
    # what it ends in is told when it is let go of
    assert site.uids(LEAVING_POLLS) == []
    [problem] = site.count.problems or []
    assert "was replaced while its last line hadn't ended" in problem
    assert site.count.refused == 1


def test_a_restart_with_other_columns(site: Site) -> None:
    site.append("conn", begun("conn", conn("C1", T)))
    assert site.uids(ALL) == ["C1"]
    (site.directory / "conn.log").rename(site.directory / "conn.old")
    columns = ["extra", *reversed(CONN)]
    site.append("conn", header("conn", columns) + lines([conn("C2", T, service="ssh")], columns))
    [row] = site.poll(ALL)
    assert (row["uid"], row["service"], row["resp_pkts"]) == ("C2", "ssh", 7)
    # and of one that goes on in the same file, in another form
    site.append("conn", header("conn", CONN) + rows_of_conn("C3") + CLOSE + as_json([conn("C4", T)]))
    assert site.uids(ALL) == ["C3", "C4"]


@pytest.mark.parametrize("more", [0, 5])
def test_a_log_that_is_cut_back_or_written_anew_is_read_from_its_begin(site: Site, more: int) -> None:
    site.append("conn", begun("conn", conn("C1", T), conn("C2", T)))
    assert site.uids(ALL) == ["C1", "C2"]
    again = as_json([conn(f"N{i}", T) for i in range(1 + more)])
    (site.directory / "conn.log").write_bytes(again)  # of the same file, shorter or longer than before
    assert site.uids(ALL) == [f"N{i}" for i in range(1 + more)]
    [problem] = site.count.problems or []
    assert "was cut back or written anew" in problem


def test_a_log_that_vanishes_and_comes_again(site: Site) -> None:
    path = site.directory / "conn.log"
    site.append("conn", begun("conn", conn("C1", T)))
    assert site.uids(ALL) == ["C1"]
    path.unlink()
    assert site.uids(ALL) == []
    site.append("conn", begun("conn", conn("C2", T)))
    assert site.uids(ALL) == ["C2"]


def test_only_the_logs_being_written_are_followed(site: Site) -> None:
    (site.directory / "conn.2024-01-01-00-00-00.log").write_bytes(tsv("conn", [conn("C1", T)]))
    (site.directory / "open_conn.log").write_bytes(tsv("conn", [conn("C2", T)]))
    (site.directory / "stats.log").write_bytes(b"anything\n")
    os.mkfifo(site.directory / "ssl.log")
    (site.directory / "http.log").mkdir()
    site.append("json_streaming_conn", as_json([conn("C3", T)], _path="conn"))
    assert site.uids(ALL) == ["C3"]
    assert site.count.problems is None


def test_a_log_without_a_needed_column_is_told_once_and_the_others_are_read(site: Site) -> None:
    columns = [name for name in CONN if name != "uid"]
    site.append("conn", header("conn", columns) + lines([conn("C1", T)], columns))
    site.append("dns", begun("dns", side("D1", T, query="x.example")))
    assert site.uids(ALL) == ["D1"]
    site.append("conn", lines([conn("C2", T)], columns))
    assert site.uids(ALL) == []
    [problem] = site.count.problems or []
    assert "the log has no column uid" in problem
    (site.directory / "conn.log").unlink()
    site.append("conn", begun("conn", conn("C3", T)))
    assert site.uids(ALL) == ["C3"]


def test_bad_lines_are_counted(site: Site) -> None:
    site.append("conn", begun("conn", conn("C1", T)) + b"odd\n" + rows_of_conn("C2"))
    assert site.uids(ALL) == ["C1", "C2"]
    assert (site.count.refused, len(site.count.problems or [])) == (1, 1)


def test_a_log_that_can_not_be_opened_is_told_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    site.append("conn", begun("conn", conn("C1", T)))
    monkeypatch.setattr(follow, "GrowingFile", refuse)
    assert site.uids(ALL) == []
    assert site.count.problems == [
        f"{site.directory}/conn.log: can't be opened (Permission denied); check its permissions"
    ]
    monkeypatch.undo()
    assert site.uids(ALL) == ["C1"]


def test_a_great_backlog_is_read_in_portions_and_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "READ_BYTES", 10_000)
    monkeypatch.setattr(follow, "WAITING_ROWS", 200)
    n = 2000
    write = {
        "conn": [conn(f"C{i}", T + i) for i in range(n)],
        # much larger than conn.log, so that it is behind for long
        "ssl": [side(f"C{i}", T + i, server_name=f"n{i}.example", cipher="x" * 500) for i in range(n)],
    }
    for log, rows in write.items():
        (tmp_path / f"{log}.log").write_bytes(tsv(log, rows))
    site = Site(tmp_path)
    rows = site.poll(300)
    assert [(row["uid"], row["sni"]) for row in rows] == [(f"C{i}", f"n{i}.example") for i in range(n)]
    site.follower.close()


def test_what_the_logs_can_not_fill_is_known_as_they_come(site: Site) -> None:
    assert site.count.lacks is None
    site.append("conn", begun("conn", conn("C1", T)))
    site.poll()
    assert {"sni", "tcp_rtt"} <= (site.count.lacks or set())
    site.append("ssl", begun("ssl", side("C1", T)))
    site.poll()
    assert "sni" not in (site.count.lacks or set())
    site.append("hopscope", begun("hopscope", hopscope("C1", T)))
    site.poll()
    assert site.count.lacks == set()


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        Follower(tmp_path / "absent", config.load(), InputCount())


def test_rows_that_there_was_no_room_for_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeek_memory.SideRows.__init__, "__defaults__", (10,))
    site = Site(tmp_path)
    columns = zeek_text.COLUMNS["ssl"]
    site.append("ssl", begun("ssl", *(side(f"C{i}", T) for i in range(30))))
    site.append("conn", begun("conn", conn("C29", T)))
    assert site.uids(ALL) == ["C29"]
    site.append("ssl", lines([side(f"D{i}", T) for i in range(30)], columns))
    site.append("conn", rows_of_conn("D29"))
    assert site.uids(ALL) == ["D29"]
    assert site.count.problems == [
        f"{tmp_path}: 49 rows of ssl.log were let go, because too many wait for their connections; "
        "what they tell is lacking there"
    ]
    site.follower.close()


def test_the_directory_may_go_and_come_as_a_link_does(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "conn.log").write_bytes(tsv("conn", [conn(f"C{name}", T)]))
    (tmp_path / "current").symlink_to("a")
    site = Site(tmp_path / "current")
    assert site.uids(ALL) == ["Ca"]
    (tmp_path / "current").unlink()
    assert site.uids(ALL) == []
    (tmp_path / "current").symlink_to("b")
    assert site.uids(ALL) == ["Cb"]
    site.follower.close()
