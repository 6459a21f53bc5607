"""The made-up site of the benchmarks: the same each time, read back whole in every form it is written in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hopscope import hunting

ROOT = Path(__file__).resolve().parents[2]
CONNECTIONS = 6000


def write(out: Path, *options: str) -> Path:
    command = [sys.executable, ROOT / "bench" / "synthetic.py", "--out", out, "--hours", "6"]
    subprocess.run([*command, "--connections", str(CONNECTIONS), *options], check=True, capture_output=True)
    return out


def rows(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if not line.startswith("#")]


def test_the_same_arguments_write_the_same_site(tmp_path: Path) -> None:
    one, again = write(tmp_path / "one"), write(tmp_path / "again")
    other = write(tmp_path / "other", "--seed", "7")
    for log in ("conn.log", "dns.log", "ssl.log", "truth.json"):
        assert (one / log).read_bytes() == (again / log).read_bytes()
    assert rows(one / "conn.log") != rows(other / "conn.log")
    # what runs by the clock may add some
    assert CONNECTIONS <= len(rows(one / "conn.log")) < 1.5 * CONNECTIONS


@pytest.mark.slow
def test_every_form_tells_the_same_findings(tmp_path: Path) -> None:
    forms = {
        "whole": ("--hopscope",),
        "hourly": ("--hopscope", "--hourly", "--gzip"),
        "json": ("--hopscope", "--format", "json", "--hourly"),
    }
    found = {}
    for form, options in forms.items():
        findings = hunting.hunt(write(tmp_path / form, *options))
        assert (findings.input.refused, findings.input.problems) == (0, None)
        found[form] = ([(f.hop, f.score_db) for f in findings], findings.input.connections, findings.input.dns_queries)
    assert found["hourly"] == found["whole"]
    assert found["json"] == found["whole"]
    hops = {hop["hop"] for hop in json.loads((tmp_path / "whole" / "truth.json").read_text())["hops"]}
    assert {hop for hop, _ in found["whole"][0]} & hops
