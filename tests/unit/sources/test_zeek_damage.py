"""Whatever bytes a log holds, reading it ends in records, counts and problems, never in another error."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hopscope.errors import InputError
from hopscope.records import InputCount
from hopscope.sources import zeek_archive, zeek_json
from hopscope.sources.capture import find
from hopscope.sources.zeek_columns import Place
from hopscope.sources.zeek_files import LogArchive
from hopscope.sources.zeek_logs import LOGS, NEEDED
from support.zeek_text import as_json, conn, hopscope, side, tsv

T = 1700000000.0
CONN = [conn(f"C{i}", T + i, service="ssl", tunnel_parents=["Ca", "Cb"]) for i in range(4)]
SSL = [side("C1", T, version="TLSv13", server_name="x\\y,z", cert_chain_fps=["aa"], resumed=True)]
DNS = [side("D1", T, query="x", answers=["a,b", "-"], TTLs=[1.0, 2.5], rtt=0.5)]
OWN = [hopscope("C9", T, tls_sizes=[1, -2], on_starts=[0.5], user_agent="a\\b")]
FORMS = {
    "conn": (tsv("conn", CONN), as_json(CONN)),
    "ssl": (tsv("ssl", SSL), as_json(SSL)),
    "dns": (tsv("dns", DNS), as_json(DNS)),
    "hopscope": (tsv("hopscope", OWN), as_json(OWN)),
}

PIECES = st.sampled_from(
    [b"\n", b"\t", b"\r", b"#", b"\\", b'"', b"{", b"}", b"[", b"]", b",", b"-", b"(empty)", b"\0", b"\xff", b"NaN",
     b"#fields\tts\n", b"#separator \\x09\n", b"#separator \n", b"#path\tconn\n", b"#fields\n", b"null", b"1e400",
     b"-1", b"99999999999999999999", b"\\x2d", b'"_path":"ssl",', b'"id":{', b"\n{\n", b"2024-13-45T99:99:99Z"]
)  # fmt: skip
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), PIECES | st.binary(max_size=4)), max_size=6)


def damaged(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for where, gone, new in edits:
        at = int(where * len(data))
        data = data[:at] + new + data[at + gone :]
    return data


def read(directory: Path) -> InputCount:
    count = InputCount()
    try:
        for archive in find([str(directory)], count):
            if isinstance(archive, LogArchive):
                for batch in zeek_archive.records(archive, ("10.0.0.0/8",), count):
                    batch.connections.validate(full=True)
                    batch.dns_queries.validate(full=True)
    except InputError:
        pass
    assert count.refused >= 0
    assert all("\n" not in problem for problem in count.problems or [])
    return count


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1), st.fixed_dictionaries(dict.fromkeys(FORMS, EDITS)))
def test_damaged_logs(tmp_path: Path, form: int, edits: dict[str, list[tuple[float, int, bytes]]]) -> None:
    for log, forms in FORMS.items():
        (tmp_path / f"{log}.log").write_bytes(damaged(forms[form], edits[log]))
    read(tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES | st.binary(max_size=30), max_size=20).map(b"".join), st.sampled_from(["conn", "ssl", "dns"]))
@example(b"#fields\tts\tuid\tid.orig_h\tid.resp_h\tid.resp_p\tproto\n\t\t\t\t\t\n", "conn")
def test_any_bytes(tmp_path: Path, data: bytes, log: str) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    (tmp_path / "conn.0.log").write_bytes(FORMS["conn"][0])
    (tmp_path / f"{log}.log").write_bytes(data)
    read(tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(CONN) - 1), EDITS)
@example(0, [(0.0, 2, b"null")])  # Arrow's reader crashes on a null where a block begins
@example(0, [(0.0, 2, b"\xef\xbb\xbf \t null")])
def test_a_damaged_line_of_json_takes_no_other_along(which: int, edits: list[tuple[float, int, bytes]]) -> None:
    lines = as_json(CONN).splitlines(keepends=True)
    broken = damaged(lines[which], edits).replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"
    data = b"".join([*lines[:which], broken, *lines[which + 1 :]])
    count = InputCount()
    table = zeek_json.read(data, LOGS["conn"], Place("conn.log", count), NEEDED["conn"])
    rest = [uid for uid in table["uid"].to_pylist() if uid != f"C{which}"]
    assert set(rest) >= {f"C{i}" for i in range(len(CONN)) if i != which}
    assert len(table) + count.refused in (len(CONN), len(CONN) - 1)  # a line may become an empty one
