"""What can be found in Zeek's plain logs alone, without hopscope's package, and what findings say is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopscope import hunting

# Of the lab's captures, by the logs that a plain Zeek wrote: requests to relay and relays of our own show in conn,
# http and socks logs; what is told by distance alone doesn't.
FOUND = {
    "connect-squid": {("198.51.100.102", 8080)},
    "connect-tinyproxy": {("192.0.2.102", 8888)},
    "inside-relay": {("10.0.0.80", 8443)},
    "inside-relay-json-iso": {("10.0.0.80", 8443)},
    "socks-dante-443": {("198.51.100.102", 443)},
    "socks-microsocks": {("203.0.113.102", 1080)},
}
NOTHING = [
    "benign", "haproxy-beacon", "haproxy-exfil", "hop-rotation", "htran-banner", "inside-relay-ssh",
    "nginx-stream-shell", "shadowsocks", "socat-beacon", "socat-beacon-json", "socat-plain", "socat-session",
    "ssh-dynamic", "ssh-reverse", "stunnel-nested", "trojan", "two-hops", "web-redirector",
]  # fmt: skip


def test_all_logs_have_an_expectation(shared: Path) -> None:
    assert {p.name for p in (shared / "zeek" / "logs").iterdir()} == {*FOUND, *NOTHING}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted([*FOUND, *NOTHING]))
def test_what_plain_logs_tell(name: str, shared: Path) -> None:
    found = hunting.hunt(shared / "zeek" / "logs" / name, local_nets="10.0.0.0/8")
    assert {(f.hop, f.port) for f in found.at_least("medium")} == FOUND.get(name, set())
    assert (found.input.refused, found.input.problems) == (0, None)
    assert found.input.lacks is not None
    assert {"tcp_rtt", "hello_rtt", "first_reply", "replies"} <= found.input.lacks
    for finding in found:
        assert set(finding.void) >= {"path_gap", "terminal_session"}
        assert "tcp_rtt" in finding.void["path_gap"]


REAL = ["rita/missing_host", "rita/open_conns", "rita/open_sni", "rita/proxy", "rita/proxy_rolling", "zat", "tenzir"]


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_logs_of_others_are_read_without_a_complaint(name: str, shared: Path) -> None:
    read = hunting.hunt(shared / "real" / "logs" / name).input
    assert (read.refused, read.missing) == (0, 0)
    assert read.connections > 0
    # what is told is about the window and about rows that stand there twice, not about the files
    assert all("24 hours" in p or "came twice" in p for p in read.problems or [])
