"""What docs/tools.md says of each tool, held by made packets where no capture of its software lies in pcaps/.

All tools are at work in one network at once, each between a client and a hop of its own, beside ordinary sites.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

import pytest

from hopscope import config, fusion
from hopscope.records import InputCount
from hopscope.sensor.read import records
from hopscope.summaries import Summaries
from support import tool_traffic as made
from support.traffic import Capture, Tcp

LOW, MEDIUM, HIGH = -10.0, 0.0, 10.0
TUNNELS = ("connect.ngrok-agent.com", "tunnel.us.ngrok.com", "0.tcp.ngrok.io", "a-31337.portmap.io", "a.portmap.host")
WEBSITES = ("ngrok.com", "portmap.io", "notportmap.io")


@dataclass(frozen=True)
class Heard:
    """Each heuristic's best decibans for a hop, and its score."""

    best: dict[str, float]
    score: float


def conversations(*said: tuple[float, bytes, bool], port: int = 8080) -> Capture:
    """One connection: what is said after how many seconds, and whether by the hop."""
    capture = Capture()
    tcp = Tcp(capture, ports=(40000, port))
    at = tcp.open()
    for after, payload, back in said:
        at += after
        tcp.say(at, payload, back=back)
    tcp.close(at + 0.1)
    return capture


def tools() -> dict[str, Capture]:
    """What each test listens to, by name."""
    connect = b"CONNECT 198.51.100.66:443 HTTP/1.1\r\nHost: 198.51.100.66:443\r\n\r\n"
    get = b"GET http://far.example/a HTTP/1.1\r\nHost: far.example\r\nUser-Agent: x\r\n\r\n"
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    return {
        "port map": made.redirected(),
        "htran": conversations((0.15, b"[SERVER]connection to 198.51.100.66:443 error\r\n", True)),
        "lcx -slave": made.lcx_slave(),
        # with the zero that ends the answer in memory
        "zxproxy CONNECT": made.granted((connect, b"HTTP/1.0 200 OK\r\n\r\n\0")),
        "zxproxy SOCKS5": made.granted(*made.socks5("198.51.100.67")),
        "zxproxy SOCKS4": made.granted((b"\4\1\1\xbb\xc6\x33\x64\x44\0", b"\0\x5a" + bytes(6))),
        "zxproxy GET": conversations((0.001, get, False), (0.09, page, True)),
        "zxportmap reverse 8 s": made.zxportmap_reverse(8.2),
        "zxportmap reverse 64 s": made.zxportmap_reverse(64.0),
        "earthworm": made.earthworm_rssocks(),
        "earthworm waiting": made.earthworm_rssocks(operator=False),
        "frp before 0.50": made.frp_yamux(0),
        "frp from 0.50 without TLS": made.frp_yamux(0x5C0000),
        "ligolo-ng": made.yamux_in_tls(11601),
        "revsocks": made.yamux_in_tls(8443),
    }


@functools.cache
def network() -> dict[str, Heard]:
    """What is said of each of `tools`, of `TUNNELS` and of `WEBSITES`."""
    hops: dict[str, str] = {}
    frames = []
    for k, (name, capture) in enumerate(tools().items()):
        hops[name] = f"203.0.113.{k + 10}"
        frames += made.moved(capture, f"10.0.1.{k + 1}", hops[name]).frames
    sites = [f"www{k}.example" for k in range(60)]
    for k, name in enumerate([*TUNNELS, *WEBSITES, *sites]):
        hops[name] = f"192.0.2.{k + 10}"
        frames += made.moved(made.named(name, hops[name]), f"10.0.2.{k + 1}", hops[name]).frames
    settings = config.Config()
    summaries = Summaries(settings)
    for batch in records(io.BytesIO(Capture(frames).pcap()), "made", settings, InputCount()):
        summaries.add(batch)
    window = summaries.window()
    tables = fusion.weigh(window, settings)[0]
    best: dict[str, dict[str, float]] = {hop: {} for hop in hops.values()}
    for heuristic, table in tables.items():
        for row in table.select(["server", "decibans"]).to_pylist():
            if row["server"] in best:
                heard = best[row["server"]]
                heard[heuristic] = max(heard.get(heuristic, row["decibans"]), row["decibans"])
    scores = dict.fromkeys(best, settings.fusion.prior_db)
    for s in fusion.rank(window, tables, settings.fusion):
        if s.address in scores:
            scores[s.address] = max(scores[s.address], s.score_db)
    return {name: Heard(best[hop], scores[hop]) for name, hop in hops.items()}


def test_a_port_that_passes_tls_on_is_told_by_its_delay() -> None:
    heard = network()["port map"]
    assert heard.best["path_gap"] > 30
    assert heard.score >= MEDIUM


def test_htran_tells_its_far_end_when_that_is_down() -> None:
    heard = network()["htran"]
    assert heard.best["leaked_far_end"] == 45
    assert heard.score >= MEDIUM


def test_lcx_slave_is_a_session_that_the_far_side_drives() -> None:
    heard = network()["lcx -slave"]
    assert (heard.best["terminal_session"], heard.best["proxy_protocol"]) == (14, 6)  # no TLS on 8443
    assert LOW <= heard.score < HIGH


@pytest.mark.parametrize("protocol", ["CONNECT", "SOCKS5", "SOCKS4"])
def test_zxproxy_is_asked_to_relay(protocol: str) -> None:
    heard = network()[f"zxproxy {protocol}"]
    assert heard.best["proxy_protocol"] == 45
    assert heard.score >= MEDIUM


def test_zxproxy_s_plain_requests_are_not_seen_as_such() -> None:
    assert "proxy_protocol" not in network()["zxproxy GET"].best


@pytest.mark.parametrize("keep_alive", ["8 s", "64 s"])
def test_zxportmap_turned_round_is_a_session_that_the_far_side_drives(keep_alive: str) -> None:
    heard = network()[f"zxportmap reverse {keep_alive}"]
    assert heard.best["terminal_session"] == 14
    assert "leaked_far_end" not in heard.best
    assert heard.score >= LOW


def test_earthworm_is_known_by_its_records() -> None:
    heard = network()["earthworm"]
    assert (heard.best["leaked_far_end"], heard.best["terminal_session"]) == (20, 14)
    assert heard.score >= MEDIUM


def test_earthworm_that_waits_leaves_its_opening_alone() -> None:
    heard = network()["earthworm waiting"]
    assert heard.best["leaked_far_end"] == 20
    assert heard.score < MEDIUM


@pytest.mark.parametrize("version", ["before 0.50", "from 0.50 without TLS"])
def test_frp_is_known_by_its_opening(version: str) -> None:
    heard = network()[f"frp {version}"]
    assert (heard.best["leaked_far_end"], heard.best["terminal_session"]) == (20, 14)
    assert heard.score >= MEDIUM


@pytest.mark.parametrize("tool", ["ligolo-ng", "revsocks"])
def test_a_multiplexer_inside_tls_is_a_session_that_the_far_side_drives(tool: str) -> None:
    heard = network()[tool]
    assert heard.best["terminal_session"] == 8
    assert "leaked_far_end" not in heard.best
    assert heard.score < MEDIUM


@pytest.mark.parametrize("name", TUNNELS)
def test_a_tunnel_service_is_known_by_name(name: str) -> None:
    heard = network()[name]
    assert heard.best["unnamed"] == 13
    assert heard.score < MEDIUM


@pytest.mark.parametrize("name", WEBSITES)
def test_a_tunnel_service_s_website_is_none(name: str) -> None:
    assert network()[name].best.get("unnamed", 0) <= 0
