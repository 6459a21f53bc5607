"""What docs/tools.md says of each tool, held by made packets where no capture of its software lies in pcaps/."""

from __future__ import annotations

import io

import pytest

from hopscope import config, fusion
from hopscope.records import InputCount
from hopscope.sensor.read import records
from hopscope.summaries import Summaries
from support import tool_traffic as made
from support.traffic import SERVER, Capture, Tcp

MEDIUM = 0.0
TARGET = b"CONNECT 198.51.100.66:443 HTTP/1.1\r\nHost: 198.51.100.66:443\r\n\r\n"


def heard(capture: Capture, server: str = SERVER) -> tuple[dict[str, float], float]:
    """Each heuristic's best decibans for the server, and the entity's score."""
    settings = config.Config()
    summaries = Summaries(settings)
    for batch in records(io.BytesIO(capture.pcap()), "made", settings, InputCount()):
        summaries.add(batch)
    window = summaries.window()
    tables = fusion.weigh(window, settings)[0]
    rows = [(name, row) for name, table in tables.items() for row in table.to_pylist() if row["server"] == server]
    best: dict[str, float] = {}
    for name, row in rows:
        best[name] = max(best.get(name, float("-inf")), row["decibans"])
    scores = [s.score_db for s in fusion.rank(window, tables, settings.fusion) if s.address == server]
    return best, max(scores, default=settings.fusion.prior_db)


def test_a_port_that_passes_tls_on_is_told_by_its_delay() -> None:
    best, score = heard(made.redirected())
    assert best["path_gap"] > 30
    assert score >= MEDIUM


def test_htran_tells_its_far_end_when_that_is_down() -> None:
    capture = Capture()
    tcp = Tcp(capture, ports=(40000, 8080))
    at = tcp.open()
    tcp.say(at + 0.15, b"[SERVER]connection to 198.51.100.66:443 error\r\n", back=True)
    tcp.close(at + 0.2)
    best, score = heard(capture)
    assert best["leaked_far_end"] == 45
    assert score >= MEDIUM


def test_lcx_slave_is_a_session_that_the_far_side_drives() -> None:
    best, score = heard(made.lcx_slave())
    assert best["terminal_session"] == 14
    assert best["proxy_protocol"] == 6  # no TLS on its port
    assert -10 <= score < 10


ZXPROXY = {
    "CONNECT": [(TARGET, b"HTTP/1.0 200 OK\r\n\r\n\0")],  # with the zero that ends it in memory
    "SOCKS5": made.socks5(),
    "SOCKS4": [(b"\4\1\1\xbb\xc6\x33\x64\x42\0", b"\0\x5a" + bytes(6))],
}


@pytest.mark.parametrize("protocol", ZXPROXY)
def test_zxproxy_is_asked_to_relay(protocol: str) -> None:
    best, score = heard(made.granted(*ZXPROXY[protocol]))
    assert best["proxy_protocol"] == 45
    assert score >= MEDIUM


def test_zxproxy_s_plain_requests_are_not_seen_as_such() -> None:
    capture = Capture()
    tcp = Tcp(capture, ports=(40000, 8080))
    at = tcp.open()
    tcp.say(at, b"GET http://far.example/a HTTP/1.1\r\nHost: far.example\r\nUser-Agent: x\r\n\r\n")
    tcp.say(at + 0.09, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", back=True)
    tcp.close(at + 0.2)
    best, _ = heard(capture)
    assert "proxy_protocol" not in best


@pytest.mark.parametrize("keep_alive", [8.2, 64.0])
def test_zxportmap_turned_round_is_a_session_that_the_far_side_drives(keep_alive: float) -> None:
    best, score = heard(made.zxportmap_reverse(keep_alive))
    assert best["terminal_session"] == 14
    assert "leaked_far_end" not in best
    assert score >= -10


def test_earthworm_is_known_by_its_records() -> None:
    best, score = heard(made.earthworm_rssocks())
    assert (best["leaked_far_end"], best["terminal_session"]) == (20, 14)
    assert score >= MEDIUM


def test_earthworm_that_waits_leaves_its_opening_alone() -> None:
    best, score = heard(made.earthworm_rssocks(operator=False))
    assert best["leaked_far_end"] == 20
    assert score < MEDIUM


def test_earthworm_and_gost_as_plain_socks_servers_are_asked_to_relay() -> None:
    best, _ = heard(made.granted(*made.socks5()))
    assert best["proxy_protocol"] == 45


@pytest.mark.parametrize("window", [0, 0x5C0000], ids=["before 0.50", "from 0.50, without TLS"])
def test_frp_is_known_by_its_opening(window: int) -> None:
    best, score = heard(made.frp_yamux(window))
    assert (best["leaked_far_end"], best["terminal_session"]) == (20, 14)
    assert score >= MEDIUM


@pytest.mark.parametrize("port", [11601, 8443], ids=["ligolo-ng", "revsocks"])
def test_a_multiplexer_inside_tls_is_a_session_that_the_far_side_drives(port: int) -> None:
    best, score = heard(made.yamux_in_tls(port))
    assert best["terminal_session"] == 8
    assert "leaked_far_end" not in best
    assert score < MEDIUM


@pytest.mark.parametrize("name", ["connect.ngrok-agent.com", "tunnel.us.ngrok.com", "0.tcp.ngrok.io"])
def test_ngrok_is_known_by_name(name: str) -> None:
    best, score = heard(made.named(name, "203.0.113.77"), "203.0.113.77")
    assert best["unnamed"] == 13
    assert score < MEDIUM


@pytest.mark.parametrize("name", ["lab-31337.portmap.io", "lab-31337.portmap.host"])
def test_portmap_io_is_known_by_name(name: str) -> None:
    best, score = heard(made.named(name, "203.0.113.77", 31337), "203.0.113.77")
    assert best["unnamed"] == 13
    assert score < MEDIUM


@pytest.mark.parametrize("name", ["ngrok.com", "portmap.io", "notportmap.io"])
def test_a_company_s_website_is_not_its_tunnel(name: str) -> None:
    best, _ = heard(made.named(name, "203.0.113.77"), "203.0.113.77")
    assert best.get("unnamed", 0) <= 0
