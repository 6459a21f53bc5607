"""The built-in sensor and Zeek, side by side on conversations that neither has seen; needs Zeek 8 on the PATH."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.conversations import random_capture
from tests.support.traffic import read

FIELDS = (
    "orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts", "orig_ip_bytes", "resp_ip_bytes", "missed_bytes",
    "conn_state", "history",
)  # fmt: skip


def summary(row: dict[str, Any], ts: float, prefix: str) -> tuple[Any, ...]:
    """What both say of a connection, services aside."""
    ends = tuple(row[prefix + end] for end in ("orig_h", "orig_p", "resp_h", "resp_p"))
    duration = row.get("duration")
    return (
        round(ts * 1e6), *ends, row["proto"], None if duration is None else round(duration * 1e6),
        *(row.get(field) for field in FIELDS),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_random_conversations(seed: int, tmp_path: Path) -> None:
    zeek = shutil.which("zeek")
    if zeek is None:
        pytest.skip("zeek is not installed")
    raw = random_capture(seed, 1000)
    (tmp_path / "random.pcap").write_bytes(raw)
    command = [zeek, "-C", "-r", "random.pcap", "LogAscii::use_json=T"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    rows = map(json.loads, (tmp_path / "conn.log").read_text().splitlines())
    theirs = Counter(summary(row, row["ts"], "id.") for row in rows)
    ours = Counter(summary(row, row["ts"].timestamp(), "") for row in read(raw)[0] if row["final"])
    assert sorted(map(str, (ours - theirs).elements())) == sorted(map(str, (theirs - ours).elements())) == []
