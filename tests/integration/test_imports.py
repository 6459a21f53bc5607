"""What importing costs, and what core code never imports."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "analyzer" / "hopscope"
HEAVY = {"numpy", "pyarrow", "ibis", "duckdb", "numba", "pandas", "cryptography", "rich", "scapy", "pyshark", "pyspark"}
NEVER_IN_CORE = {"scapy", "pyshark", "pyspark", "dpkt", "nfstream", "broker", "zeek"}


def loaded(script: str, *arguments: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after the script."""
    tell = "import sys; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\n{tell}", *arguments],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "script",
    [
        "import hopscope; hopscope.__version__",
        "import hopscope.cli; hopscope.cli.run(['--version'])",
        "import hopscope.cli; hopscope.cli.run(['hunt', '--help'])",
    ],
)
def test_version_help_and_import_load_nothing_heavy(script: str) -> None:
    assert not loaded(script) & HEAVY


def test_a_hunt_loads_neither_scapy_nor_pyshark(pcaps: Path) -> None:
    script = "import sys, hopscope; hopscope.hunt(sys.argv[1])"
    assert not loaded(script, str(pcaps / "socat-beacon.pcap.gz")) & NEVER_IN_CORE


def test_pyshark_is_imported_in_one_place_and_the_others_nowhere() -> None:
    found = {
        (str(file.relative_to(PACKAGE)), name)
        for file in PACKAGE.rglob("*.py")
        for name in re.findall(r"^\s*(?:import|from)\s+(\w+)", file.read_text(), re.MULTILINE)
        if name in NEVER_IN_CORE
    }
    assert found == {("packets.py", "pyshark")}


def test_the_package_offers_what_it_says() -> None:
    import hopscope

    assert {name for name in hopscope.__all__ if getattr(hopscope, name) is None} == set()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hopscope.nothing  # noqa: B018
