"""Which log a name stands for, and what header lines say."""

from __future__ import annotations

import pytest

from hopscope.sources.zeek_headers import Header, log_named
from hopscope.sources.zeek_values import Marks


@pytest.mark.parametrize(
    ("name", "log"),
    [
        ("conn", ("conn", False)),
        ("conn.log", ("conn", False)),
        ("conn.17:00:00-18:00:00.log.gz", ("conn", False)),
        ("conn.2024-01-01-00-00-00.log", ("conn", False)),
        ("conn-2024-01-01.log", ("conn", False)),
        ("open_conn.17_32_32-18_00_00.log.gz", ("conn", True)),
        ("json_streaming_ssl.3.log", ("ssl", False)),
        ("hopscope_dns.log", ("hopscope_dns", False)),
        ("hopscope.log.zst", ("hopscope", False)),
        ("x509.log", ("x509", False)),
        ("conn_long.log", None),
        ("conn-summary.log", None),
        ("connections.log", None),
        ("known_certs.log", None),
        ("files.log", None),
        ("ssldump.log", None),
        ("", None),
    ],
)
def test_names(name: str, log: tuple[str, bool] | None) -> None:
    assert log_named(name) == log


def test_a_header_is_taken_line_by_line_and_begun_anew() -> None:
    header = Header()
    for line in (b"#separator \\x09\n", b"#set_separator\t;\n", b"#empty_field\tNONE\r\n", b"#unset_field\t?\n",
                 b"#path\tconn\n", b"#open\t2024\n", b"#fields\tts\tuid\n", b"#types\ttime\tstring\n"):  # fmt: skip
        header = header.then(line)
    assert header == Header(("ts", "uid"), "conn", Marks("\t", ";", "NONE", "?"))
    assert header.then(b"#close\t2024\n") == header
    assert header.then(b"#separator ,\n") == Header(marks=Marks(separator=","))


@pytest.mark.parametrize(
    "line",
    [
        b"#separator \n",
        b"#separator\n",
        b"#separator \\x09\\x09\n",
        b"#separator \xff\n",
        b"#separator \\x0d\n",
        b"#separator \\x0a\n",
        b"#separator \\x00\n",
    ],
)
def test_a_separator_that_is_none_leaves_the_usual_one(line: bytes) -> None:
    assert Header().then(line).then(b"#fields\tts\tuid\n") == Header(("ts", "uid"))
    assert Header().then(line).then(b"#set_separator\t\n").marks == Marks()
