"""Every hop of the labelled captures is found, and nothing false, with default settings."""

from __future__ import annotations

from pathlib import Path

import pytest

import hopscope
from bench.quality.judge import judge
from support import labelled

OURS = ("benign", "chisel", "frp", "gost-tls", "hop-rotation", "htran", "socat-beacon", "socks-microsocks")
DEVELOPMENT = (
    "benign", "connect-squid", "connect-tinyproxy", "haproxy-beacon", "haproxy-exfil", "hop-rotation", "htran-banner",
    "inside-relay", "inside-relay-ssh", "nginx-stream-shell", "shadowsocks", "socat-beacon", "socat-plain",
    "socat-session", "socks-dante-443", "socks-microsocks", "ssh-dynamic", "ssh-reverse", "stunnel-nested", "trojan",
    "two-hops",
)  # fmt: skip
# A redirector that ends TLS is a slow site to the network: not found, and nothing else is either.
QUIET = ("web-redirector",)


@pytest.mark.parametrize("name", OURS)
def test_our_captures(pcaps: Path, name: str) -> None:
    verdict = judge(pcaps / f"{name}.json", labelled.found(name))
    assert (verdict.missed, verdict.false) == ([], [])


@pytest.mark.parametrize("name", DEVELOPMENT)
def test_development_captures(shared: Path, name: str) -> None:
    verdict = judge(shared / f"captures/{name}.json", hopscope.hunt(shared / f"captures/{name}.pcap.gz"))
    assert (verdict.missed, verdict.false) == ([], [])


@pytest.mark.parametrize("name", QUIET)
def test_nothing_false_elsewhere(shared: Path, name: str) -> None:
    verdict = judge(shared / f"captures/{name}.json", hopscope.hunt(shared / f"captures/{name}.pcap.gz"))
    assert verdict.false == []


def test_the_same_capture_gives_the_same_findings(pcaps: Path) -> None:
    again = hopscope.hunt(pcaps / "socat-beacon.pcap.gz")
    assert [f.to_json() for f in labelled.found("socat-beacon")] == [f.to_json() for f in again]
