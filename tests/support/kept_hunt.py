"""A hunt in the project's captures, run once and kept as a command keeps it; each test has a home with a copy."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from hopscope import cli, places

CAPTURES = ("socat-beacon", "socks-microsocks")
OPTIONS = ("--local-nets", "10.0.0.0/8,192.168.0.0/16", "--config", "none", "--allow", "none")


@functools.cache
def kept() -> Path:
    """The findings of the captures, with the run behind them beside."""
    directory = tempfile.mkdtemp(prefix="hopscope-kept-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    place = Path(directory) / "findings.jsonl"
    captures = [str(Path(__file__).parents[2] / "pcaps" / f"{name}.pcap.gz") for name in CAPTURES]
    assert cli.run(["hunt", *captures, *OPTIONS, "--findings", str(place), "--format", "jsonl"]) == cli.FOUND
    return place


def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home with the kept hunt; gives where its findings are."""
    source = kept()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOPSCOPE_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("USER", "ana")
    place = places.findings_file(os.environ)
    place.parent.mkdir(parents=True)
    shutil.copy(source, place)
    shutil.copytree(places.run_of(source), places.run_of(place))
    return place


class Run:
    """Runs a command in this process; gives exit code, standard output and standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = cli.run(list(arguments))
        said = self._capsys.readouterr()
        return code, said.out, said.err
