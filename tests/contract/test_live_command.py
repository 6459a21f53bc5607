"""`hopscope live` and `hopscope follow` as they are run: told findings, sent findings, orderly ends."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.fake_zeek import Client, fake_zeek

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "zeek"
PATIENCE_S = 120.0


@contextmanager
def running(*arguments: str, home: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that stays, with quick ticks; ended when the test is."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hopscope", *arguments, "--local-nets", "10.0.0.0/8"],
        env={**os.environ, "XDG_STATE_HOME": str(home), "HOPSCOPE_LIVE__TICK_S": "0.5", "HOPSCOPE_CONFIG": "none"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_finding(process: subprocess.Popen[str]) -> dict[str, object]:
    """What is told first, as JSON; reading it waits for it."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return dict(json.loads(line))


def ended(process: subprocess.Popen[str]) -> str:
    """End it as a service manager would; its last words."""
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)  # as from a supervisor that tells the process and its group
    _, errors = process.communicate(timeout=PATIENCE_S)
    return errors


def sent_by_zeek() -> list[str]:
    with gzip.open(FIXTURES / "socks-microsocks.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [f["text"] for f in map(json.loads, lines) if f["dir"] == "server"][1:]


@pytest.mark.slow
def test_live_tells_a_finding_sends_it_back_and_ends_in_order(tmp_path: Path) -> None:
    frames = sent_by_zeek()

    def act(client: Client) -> None:
        client.accept()
        client.send(*frames)
        client.stay()

    with fake_zeek(act) as zeek, running("live", zeek.url, home=tmp_path) as process:
        finding = first_finding(process)
        assert finding["hop"] == "203.0.113.102"
        last = time.monotonic() + PATIENCE_S
        while not zeek.received and time.monotonic() < last:
            time.sleep(0.1)
        errors = ended(process)
        [sent] = [json.loads(frame) for frame in zeek.received]
    assert process.returncode == 1
    assert "1 finding at medium or above" in errors
    assert sent["topic"] == "/hopscope/findings"
    name, arguments = sent["data"][2]["data"][:2]
    assert name["data"] == "Hopscope::finding"
    assert arguments["data"][0]["data"][1] == {"@data-type": "address", "data": "203.0.113.102"}
    assert "asked by SOCKS5" in json.dumps(arguments["data"][0]["data"][8])
    assert json.loads((tmp_path / "hopscope" / "findings.jsonl").read_text().splitlines()[0])["hop"] == "203.0.113.102"


def test_live_where_nobody_listens_says_so(tmp_path: Path) -> None:
    with running("live", "ws://127.0.0.1:1", home=tmp_path) as process:
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3
    assert "Hopscope::listen" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_follow_tells_what_is_added_to_the_logs(tmp_path: Path) -> None:
    current = tmp_path / "current"
    current.mkdir()
    with running("follow", str(current), home=tmp_path) as process:
        for log in ("hopscope.log", "hopscope_dns.log"):
            with gzip.open(FIXTURES / "socks-microsocks" / f"{log}.gz") as packed, (current / log).open("wb") as file:
                shutil.copyfileobj(packed, file)
        finding = first_finding(process)
        errors = ended(process)
    assert finding["hop"] == "203.0.113.102"
    assert process.returncode == 1
    assert "0 refused" in errors


@pytest.mark.slow
def test_follow_takes_changed_settings_and_refuses_broken_ones(tmp_path: Path) -> None:
    current, settings = tmp_path / "current", tmp_path / "hopscope.toml"
    current.mkdir()
    settings.write_text("[fusion]\nprior_db = -400\n")
    with running("follow", str(current), "--config", str(settings), home=tmp_path) as process:
        assert process.stderr is not None
        for log in ("hopscope.log", "hopscope_dns.log"):
            with gzip.open(FIXTURES / "socks-microsocks" / f"{log}.gz") as packed, (current / log).open("wb") as file:
                shutil.copyfileobj(packed, file)
        told = iter(process.stderr.readline, "")
        next(line for line in told if "reading" in line)
        settings.write_text("[fusion]\nprior_db = 'low'\n")
        refused = next(told)
        settings.write_text("[fusion]\nprior_db = -40\n")
        taken = next(told)
        finding = first_finding(process)
        ended(process)
    assert refused.startswith(f"hopscope: {settings} line 2: fusion.prior_db must be a number of decibans")
    assert refused.endswith("; the settings stay as they were\n")
    assert taken == f"hopscope: {settings}: read again; fusion.prior_db changed\n"
    assert (finding["hop"], finding["prior_db"]) == ("203.0.113.102", -40.0)
    assert process.returncode == 1


def test_a_url_of_another_kind_is_wrong_usage(tmp_path: Path) -> None:
    with running("live", "http://127.0.0.1:27759", home=tmp_path) as process:
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "ws://HOST:PORT" in errors
