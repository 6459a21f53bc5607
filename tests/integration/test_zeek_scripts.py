"""The Zeek package: what can be told without Zeek, and its btests where Zeek is installed."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

import hopscope
from hopscope.records import CONNECTION, DNS_QUERY
from tests.conftest import ROOT

SCRIPTS = ROOT / "zeek-scripts"
BTESTS = ROOT / "tests" / "btest"
PARSED = [*sorted(SCRIPTS.rglob("*.zeek")), *sorted((ROOT / "tests" / "fixtures").rglob("*.zeek"))]
FORMATTED = [*PARSED, *sorted(p for p in BTESTS.glob("*/*.zeek"))]
RECORDS = {"Connection": CONNECTION, "DnsQuery": DNS_QUERY}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FORMATTED, ids=name)
def test_script_parses_and_is_formatted(path: Path) -> None:
    zeekscript = pytest.importorskip("zeekscript", reason="zeekscript isn't installed, so no script is parsed")
    script = zeekscript.Script(path)
    assert script.parse(), script.get_error()
    formatted = io.BytesIO()
    script.format(formatted)
    assert formatted.getvalue().decode() == path.read_text(), f"run zeek-format -i {name(path)}"


@pytest.mark.parametrize("path", PARSED, ids=name)
def test_script_says_what_it_is_for(path: Path) -> None:
    assert path.read_text().startswith("##! ")


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.sig")), ids=name)
def test_signatures(path: Path) -> None:
    text = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.MULTILINE)
    signatures = re.findall(r"^signature ([a-z0-9-]+) \{\n((?:  .+\n|\n)+)\}$", text, flags=re.MULTILINE)
    assert len(signatures) == text.count("signature ") > 0
    assert len({name for name, _ in signatures}) == len(signatures)
    scripts = "".join(script.read_text() for script in SCRIPTS.glob("*.zeek"))
    for name, body in signatures:
        assert name.startswith("hopscope-")
        for function in re.findall(r"eval Hopscope::(\w+)", body):
            assert f"function {function}(" in scripts


def zeek_fields(record: str) -> list[tuple[str, str, bool]]:
    """Names, types and &optional of a record in records.zeek."""
    text = (SCRIPTS / "records.zeek").read_text()
    body = text.split(f"type {record}: record {{")[1].split("};")[0]
    return [(n, t, bool(o)) for n, t, o in re.findall(r"^\t\t(\w+): (.+?) &log( &optional)?;$", body, re.MULTILINE)]


HOLDS = {
    pa.timestamp("us", tz="UTC"): {"time"},
    pa.string(): {"string", "addr"},
    pa.int32(): {"port", "count", "int"},
    pa.int64(): {"count"},
    pa.float64(): {"interval", "double"},
    pa.bool_(): {"bool"},
}


def fits(type_: pa.DataType, zeek: str) -> bool:
    """The Zeek type can hold what the Arrow type holds."""
    if pa.types.is_list(type_):
        return zeek.startswith("vector of ") and fits(type_.value_type, zeek.removeprefix("vector of "))
    return zeek in HOLDS[type_]


@pytest.mark.parametrize("record", RECORDS)
def test_records_are_the_analyzers(record: str) -> None:
    fields = zeek_fields(record)
    assert [n for n, _, _ in fields] == [f.name for f in RECORDS[record]]
    misfits = [(f.name, t) for f, (_, t, _) in zip(RECORDS[record], fields, strict=True) if not fits(f.type, t)]
    assert not misfits


@pytest.mark.parametrize(
    ("record", "columns"), [("Connection", "connection_columns"), ("DnsQuery", "dns_query_columns")]
)
def test_columns_of_the_stream_are_the_records_fields(record: str, columns: str) -> None:
    text = (SCRIPTS / "lines.zeek").read_text()
    listed = re.search(rf"const {columns}: vector of string = vector\(([^)]*)\)", text)
    assert listed
    assert re.findall(r'"(\w+)"', listed[1]) == [f.name for f in RECORDS[record]]


def test_version_is_the_analyzers() -> None:
    assert f'const version = "{hopscope.__version__}";' in (SCRIPTS / "stream_events.zeek").read_text()


def test_package_names_its_parts() -> None:
    meta = (ROOT / "zkg.meta").read_text()
    assert "script_dir = zeek-scripts" in meta
    loaded = set(re.findall(r"^@load \./(\w+)$", (SCRIPTS / "__load__.zeek").read_text(), re.MULTILINE))
    asked_for = {"__load__", "replay", "standalone"}
    assert loaded == {p.stem for p in SCRIPTS.glob("*.zeek")} - asked_for


def installed_zeek() -> str:
    zeek = shutil.which("zeek")
    if zeek is None:
        pytest.skip("zeek is not installed: the scripts were parsed, not run")
    return zeek


@pytest.mark.slow
def test_btests() -> None:
    installed_zeek()
    beside = Path(sys.executable).with_name("btest")
    btest = shutil.which("btest") or (str(beside) if beside.exists() else None)
    if btest is None:
        pytest.skip("btest is not installed: the scripts were parsed, not run")
    path = f"{Path(btest).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([btest, "-d"], cwd=BTESTS, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def recorder() -> ModuleType:
    path = ROOT / "tests" / "fixtures" / "zeek" / "record.py"
    spec = importlib.util.spec_from_file_location("record", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_what_a_client_gets_is_what_is_logged(tmp_path: Path, pcaps: Path) -> None:
    zeek = installed_zeek()
    pytest.importorskip("websockets", reason="websockets isn't installed, so no stream is recorded")
    transcript = tmp_path / "stream.jsonl.gz"
    recorder().record(pcaps / "socat-beacon.pcap.gz", transcript, 27791, [])
    streamed: list[str] = []
    with gzip.open(transcript, "rt") as frames:
        for frame in map(json.loads, frames):
            message = json.loads(frame["text"]) if frame["dir"] == "server" else {}
            if message.get("type") == "data-message":
                event, arguments = message["data"][2]["data"][:2]
                if event["data"] == "Hopscope::batch":
                    streamed += [line["data"] for line in arguments["data"][6]["data"]]

    (tmp_path / "capture.pcap").write_bytes(gzip.decompress((pcaps / "socat-beacon.pcap.gz").read_bytes()))
    subprocess.run([zeek, "-C", "-D", "-r", "capture.pcap", SCRIPTS], cwd=tmp_path, check=True, capture_output=True)
    logged = [
        line
        for log in ("hopscope.log", "hopscope_dns.log")
        for line in (tmp_path / log).read_text().splitlines()
        if not line.startswith("#")
    ]
    assert sorted(streamed) == sorted(logged)
    assert streamed


def settings() -> list[tuple[str, str]]:
    """What a site can set: every option and redef-able constant, with the file that defines it."""
    return [
        (path.name, name)
        for path in sorted(SCRIPTS.glob("*.zeek"))
        for name in re.findall(r"^\t(?:option (\w+)|const (\w+) .*&redef;)", path.read_text(), re.MULTILINE)
        for name in name
        if name and name != "switches"
    ]


@pytest.mark.parametrize(("file", "name"), settings())
def test_every_option_is_documented(file: str, name: str) -> None:
    page = (ROOT / "docs" / "zeek.md").read_text(encoding="utf-8")
    assert re.search(rf"`(Hopscope::)?{name}`", page), f"docs/zeek.md says nothing of {name} ({file})"
