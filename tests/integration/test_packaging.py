"""The wheel works where nothing but the wheel is, and asks for what it should."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {"broker", "zeek"}  # these names on PyPI are other people's projects


def names(requirements: list[str]) -> set[str]:
    """Normalised project names of requirement lines."""
    return {re.split(r"[^A-Za-z0-9._-]", r, maxsplit=1)[0].lower().replace("_", "-") for r in requirements}


def test_no_dependency_is_someone_elses_broker_or_zeek() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [r for requirements in project["optional-dependencies"].values() for r in requirements]
    assert not names(project["dependencies"] + extras) & NOT_OURS


def test_every_dependency_has_a_lower_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [r for requirements in project["optional-dependencies"].values() for r in requirements]
    assert [r for r in project["dependencies"] + extras if ">=" not in r] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what the source distribution has."""
    work = tmp_path_factory.mktemp("wheel")
    source = work / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "analyzer", source / "analyzer", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "zeek-scripts", source / "zeek-scripts")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(work), str(source)]
    subprocess.run(build, check=True, capture_output=True, timeout=600)
    [made] = work.glob("*.whl")
    return made


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_promises(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as z:
        files = z.namelist()
        metadata = z.read(next(f for f in files if f.endswith("METADATA"))).decode()
    modules = {str(f.relative_to(ROOT / "analyzer")) for f in (ROOT / "analyzer").rglob("*.py")}
    assert {f for f in files if f.endswith(".py")} == modules
    scripts = {f"hopscope/zeek-scripts/{f.name}" for f in (ROOT / "zeek-scripts").iterdir()}
    assert {"hopscope/py.typed", *scripts} <= set(files)
    required = re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    assert not names(required) & NOT_OURS
    # of the tools that are GPL or only serve tests, none is asked for by default
    assert not names([r for r in required if "extra ==" not in r]) & {"scapy", "pyshark", "pyspark", "pandas"}
    assert [f for f in files if not f.startswith(("hopscope/", "hopscope-"))] == []


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path, pcaps: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    command = tmp_path / "venv" / "bin" / "hopscope"
    install = [str(tmp_path / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=1200)
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    version = subprocess.run([command, "--version"], capture_output=True, text=True, cwd=tmp_path, env=env, timeout=60)
    assert version.stdout.startswith("hopscope, version ")
    hunt = subprocess.run(
        [command, "hunt", str(pcaps / "socat-beacon.pcap.gz")],
        capture_output=True, text=True, cwd=tmp_path, env=env, timeout=600,
    )  # fmt: skip
    assert (hunt.returncode, '"hop": "192.0.2.102"' in hunt.stdout) == (1, True), hunt.stderr
    dissect = subprocess.run(
        [command, "dissect", "hop", "--pcap", str(pcaps / "socat-beacon.pcap.gz")],
        capture_output=True, text=True, cwd=tmp_path, env=env, timeout=60,
    )  # fmt: skip
    assert dissect.returncode == 2
