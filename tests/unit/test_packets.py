"""The filter that names a connection to TShark, and what TShark says of a real one."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope import packets
from hopscope.errors import InputError, UsageError
from support.findings import CONNECTION

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
# of pcaps/socat-beacon.pcap.gz
BEACON = {**CONNECTION, "ts": "2026-11-21T23:16:37.287Z"}


def test_the_filter_names_both_ways_and_the_time() -> None:
    assert packets.display_filter(CONNECTION) == (
        "((ip.src == 10.0.0.11 && tcp.srcport == 33886 && ip.dst == 192.0.2.102 && tcp.dstport == 443)"
        " || (ip.src == 192.0.2.102 && tcp.srcport == 443 && ip.dst == 10.0.0.11 && tcp.dstport == 33886))"
        " && frame.time_epoch >= 1795302996.287000 && frame.time_epoch <= 1795302998.787000"
    )


def test_ipv6_udp_and_unknown_times() -> None:
    c = {"orig_h": "fd00::1", "orig_p": 5000, "resp_h": "2001:db8::2", "resp_p": 443, "proto": "udp", "ts": None}
    assert packets.display_filter(c) == (
        "((ipv6.src == fd00::1 && udp.srcport == 5000 && ipv6.dst == 2001:db8::2 && udp.dstport == 443)"
        " || (ipv6.src == 2001:db8::2 && udp.srcport == 443 && ipv6.dst == fd00::1 && udp.dstport == 5000))"
    )


@pytest.mark.parametrize("field", ["orig_h", "orig_p", "resp_h", "resp_p", "proto"])
@given(value=st.one_of(st.text(), st.none(), st.just("10.0.0.1 || frame"), st.just("443 || frame")))
def test_nothing_but_addresses_and_numbers_reaches_the_filter(field: str, value: Any) -> None:
    made = ""
    with contextlib.suppress(UsageError):
        made = packets.display_filter({**CONNECTION, field: value})
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz_0123456789.:&|=<>() ")
    assert "|| frame" not in made


@pytest.mark.parametrize(
    ("ts", "seconds"),
    [(1.5, 1.5), (None, None), ("2026-11-21T23:16:37.287Z", 1795302997.287), ("yesterday", None), (["x"], None)],
)
def test_times(ts: Any, seconds: float | None) -> None:
    assert packets.epoch(ts) == seconds


@needs_tshark
def test_a_connection_of_a_packed_capture(pcaps: Path) -> None:
    seen = packets.read(pcaps / "socat-beacon.pcap.gz", BEACON)
    told = [(p.number, p.from_orig, p.what, p.size) for p in seen[:6]]
    assert told == [
        (1108, True, "SYN", 0),
        (1109, False, "SYN-ACK", 0),
        (1110, True, "ACK", 0),
        (1111, True, "ClientHello", 517),
        (1112, False, "ACK", 0),
        (1146, False, "ServerHello", 758),
    ]
    assert [round(p.seconds, 4) for p in seen[:6]] == [0.0, 0.0115, 0.0122, 0.0127, 0.0276, 0.1718]


@needs_tshark
def test_another_time_is_another_connection(pcaps: Path) -> None:
    assert packets.read(pcaps / "socat-beacon.pcap.gz", {**BEACON, "ts": 1795302900.0}) == []


@needs_tshark
def test_a_capture_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        packets.read(tmp_path / "absent.pcap", BEACON)
    (tmp_path / "x.pcap").write_text("not a capture")
    with pytest.raises(InputError, match=r"x\.pcap: TShark can't read it"):
        packets.read(tmp_path / "x.pcap", BEACON)


@needs_tshark
def test_nothing_is_left_running_or_complaining(pcaps: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from hopscope import packets\n"
        f"packets.MOST = 3; assert len(packets.read(Path(sys.argv[1]), {BEACON!r})) == 3\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(pcaps / "socat-beacon.pcap.gz")], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_missing_tools_are_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="apt-get install tshark"):
        packets.read(tmp_path / "x.pcap", BEACON)
    monkeypatch.setitem(sys.modules, "pyshark", None)
    with pytest.raises(UsageError, match=r"pip install 'hopscope\[dissect\]'"):
        packets.read(tmp_path / "x.pcap", BEACON)
