"""The sensor as a whole: whatever comes in, in whatever portions, the same sound records come out."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopscope.config import Config, NetworkSettings
from hopscope.errors import InputError
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, InputCount
from hopscope.sensor.ahead import Ahead
from hopscope.sensor.read import records
from tests.support.captures import RAW, Frame, pcap
from tests.support.messages import client_hello, dns, record, resource, server_hello, sized
from tests.support.traffic import CLIENT, SERVER, START, Capture, Tcp, ip, read

# --- random traffic --------------------------------------------------------------------------------------

HOSTS = ("10.0.0.1", "203.0.113.1", "2001:db8::1", "2001:db8::2")
PORTS = (53, 80, 443, 1080, 4789, 40000, 40001)

tcp_segments = st.builds(
    lambda sport, dport, seq, ack, flags, window, payload: (
        6, struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, window, 0, 0) + payload
    ),
    st.sampled_from(PORTS), st.sampled_from(PORTS),
    st.one_of(st.integers(0, 300), st.integers(2**32 - 300, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.one_of(st.integers(0, 300), st.integers(0, 2**32 - 1)),
    st.integers(0, 63), st.sampled_from((0, 1000)),
    st.one_of(st.binary(max_size=40), st.sampled_from((record(client_hello()), record(server_hello()), bytes(1400)))),
)  # fmt: skip
datagrams = st.builds(
    lambda sport, dport, payload: (17, struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload),
    st.sampled_from(PORTS), st.sampled_from(PORTS),
    st.one_of(st.binary(max_size=40), st.just(dns("www.example.org"))),
)  # fmt: skip
others = st.builds(
    lambda proto, payload: (proto, payload), st.sampled_from((1, 4, 47, 58, 132)), st.binary(max_size=60)
)


@st.composite
def captures(draw: st.DrawFn) -> bytes:
    """Up to 40 packets between few hosts, so that they meet; times mostly rise."""
    now, frames = START, []
    for _ in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from((-0.01, 0.0, 0.001, 0.3, 5.0, 61.0, 299.0)))
        version6 = draw(st.booleans())
        src, dst = draw(st.permutations(HOSTS[2:] if version6 else HOSTS[:2]))
        proto, payload = draw(st.one_of(tcp_segments, tcp_segments, datagrams, others))
        packet = ip(src, dst, proto, payload)
        cut = draw(st.sampled_from((0, 0, 0, 10)))
        frames.append(Frame(packet[: len(packet) - cut], round(now * 1e9), len(packet)))
    return pcap(frames, link=RAW)


@given(captures())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_packets_give_sound_records(raw: bytes) -> None:
    count = InputCount()
    connections, _ = read(raw, count)
    finals = [r for r in connections if r["final"]]
    assert len({r["uid"] for r in finals}) == len(finals)
    assert {r["uid"] for r in connections} == {r["uid"] for r in finals}
    for r in connections:
        assert (r["duration"] is None) == (r["orig_bytes"] is None) == (r["resp_bytes"] is None)
        assert r["duration"] is None or r["duration"] > 0
        for field in ("tcp_rtt", "client_rtt", "hello_rtt", "finished_rtt", "first_reply", "reply_p10", "pause"):
            assert r[field] is None or r[field] >= -0.011, field  # clocks may step back that far here
        assert (r["replies"] == 0) == (r["reply_p10"] is None)
        assert r["seg_end"] >= r["ts"] or not r["final"]
        assert r["tls_sizes"] is None or len(r["tls_sizes"]) <= 25
    outer = sum(r["orig_pkts"] + r["resp_pkts"] for r in finals if r["tunnel_parents"] is None)
    assert outer <= count.packets


@given(captures(), st.integers(64, 2000))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_portions_make_no_difference(raw: bytes, chunk_bytes: int) -> None:
    assert read(raw, chunk_bytes=chunk_bytes) == read(raw)


def test_portions_make_no_difference_to_a_long_exchange() -> None:
    capture = Capture()
    tcp = Tcp(capture, ports=(40000, 443))
    tcp.open()
    tcp.say(0.1, record(client_hello()))
    hello = record(server_hello()) + record(bytes(9000), kind=23)
    for k in range(0, len(hello), 1000):
        tcp.say(0.2 + k / 1e6, hello[k : k + 1000], back=True)
    for k in range(30):
        tcp.say(1 + k * 20, 200)
        tcp.say(1.1 + k * 20, 40_000 % 1400, back=True)
    capture.udp(3, dns("a.example"), ports=(40001, 53))
    raw = capture.pcap()
    whole = read(raw)
    assert [r["seg"] for r in whole[0]] == [0, 1, 0]
    for chunk_bytes in (100, 1499, 4000):
        assert read(raw, chunk_bytes=chunk_bytes) == whole


# --- names -----------------------------------------------------------------------------------------------


def test_the_same_capture_gives_the_same_uids_and_another_sensor_others() -> None:
    capture = Capture()
    capture.udp(0, b"x")
    capture.udp(1, b"x", ports=(40001, 9999))
    first, again, other = capture.records()[0], capture.records()[0], capture.records(sensor="north")[0]
    assert [r["uid"] for r in first] == [r["uid"] for r in again]
    assert len({r["uid"] for r in first + other}) == 4
    assert all(r["uid"].startswith("C") and len(r["uid"]) == 19 and r["uid"].isalnum() for r in first)
    assert {r["sensor"] for r in other} == {"north"}


def test_local_ends() -> None:
    capture = Capture()
    capture.udp(0, b"x", ends=("10.0.0.1", "192.0.2.1"))
    config = Config(network=NetworkSettings(local_nets=("192.0.2.0/24",)))
    (batch,) = records(io.BytesIO(capture.pcap()), "test", config, InputCount())
    assert batch.connections["local_orig"].to_pylist() == [False]
    assert batch.connections["local_resp"].to_pylist() == [True]


def test_batches_have_the_records_types_and_do_not_grow_large() -> None:
    capture = Capture()
    for k in range(20_000):
        capture.udp(k / 1000, b"x", ports=(1024 + k % 60000, 9999))
    batches = list(records(io.BytesIO(capture.pcap()), "test", Config(), InputCount()))
    assert sum(b.connections.num_rows for b in batches) == 20_000
    assert max(b.connections.num_rows for b in batches) <= 16_384
    for batch in batches:
        batch.connections.validate(full=True)
        assert batch.connections.schema == CONNECTION_SCHEMA
        assert batch.dns_queries.schema == DNS_QUERY_SCHEMA
        assert pc.all(batch.connections["final"]).as_py()


def test_progress_is_told_and_no_capture_is_an_error() -> None:
    capture = Capture()
    capture.udp(0, b"x")
    told: list[int] = []
    list(records(io.BytesIO(capture.pcap()), "test", Config(), InputCount(), told.append))
    assert told[-1] == len(capture.pcap())
    with pytest.raises(InputError):
        list(records(io.BytesIO(b"not a capture at all, but some text"), "test", Config(), InputCount()))


# --- content ---------------------------------------------------------------------------------------------


class TestFirstBytes:
    """The ClientHello's server name is read from the stream, however its segments came."""

    HELLO = record(client_hello("www.example.org"))

    def sni(self, *segments: tuple[int, int], cut: int = 0) -> str | None:
        """`segments` are (from, to) of the hello, in the order they come."""
        capture = Capture()
        tcp = Tcp(capture, ports=(40000, 443))
        tcp.open()
        first = tcp.next[0]
        for k, (low, high) in enumerate(segments):
            tcp.next[0] = first
            tcp.say(0.1 + k / 100, self.HELLO[low:high], shift=low, ahead=True, cut=cut)
        tcp.next[0] = first + len(self.HELLO)
        tcp.packet(0.5, "A", back=True)
        (found,) = capture.records()[0]
        return found["sni"]

    def test_in_order(self) -> None:
        assert self.sni((0, 100), (100, 400)) == "www.example.org"

    def test_out_of_order(self) -> None:
        assert self.sni((200, 400), (100, 200), (0, 100)) == "www.example.org"

    def test_overlapping_and_repeated(self) -> None:
        assert self.sni((0, 150), (0, 150), (100, 400), (50, 400)) == "www.example.org"

    def test_what_came_first_stands(self) -> None:
        capture = Capture()
        tcp = Tcp(capture, ports=(40000, 443))
        tcp.open()
        tcp.say(0.1, self.HELLO)
        tcp.say(0.2, bytes(len(self.HELLO)), shift=-len(self.HELLO))
        assert capture.records()[0][0]["sni"] == "www.example.org"

    def test_a_gap_ends_it(self) -> None:
        assert self.sni((0, 60), (100, 400)) is None

    def test_as_does_a_cut_packet(self) -> None:
        assert self.sni((0, 150), (150, 400), cut=120) is None

    def test_long_streams_are_told_once_and_bounded(self) -> None:
        capture = Capture()
        tcp = Tcp(capture, ports=(40000, 443))
        tcp.open()
        tcp.say(0.1, self.HELLO)
        for k in range(200):
            tcp.say(0.2 + k / 1000, 1400, back=True)
        (found,) = capture.records()[0]
        assert (found["sni"], found["resp_bytes"]) == ("www.example.org", 280_000)

    def test_segments_carry_what_is_known_so_far(self) -> None:
        capture = Capture()
        tcp = Tcp(capture, ports=(40000, 443))
        tcp.open()
        tcp.say(0.1, self.HELLO)
        tcp.say(200, 10, back=True)
        tcp.say(400, 10)
        assert [r["sni"] for r in capture.records()[0]] == ["www.example.org"] * 2

    def test_what_comes_after_the_first_segment_is_read_too(self) -> None:
        capture = Capture()
        tcp = Tcp(capture, ports=(40000, 443))
        tcp.open()
        tcp.say(1, b"CONNECT www.example.org:443 HTTP/1.1\r\n\r\n")
        tcp.say(290, b"HTTP/1.1 200 OK\r\n\r\n", back=True)
        tcp.say(310, self.HELLO)
        records, _ = capture.records()
        assert [r["proxy_target"] for r in records] == ["www.example.org:443"] * 2
        assert [r["sni"] for r in records] == [None, "www.example.org"]


class TestDns:
    ASK = dns("www.example.org", ident=7)
    TELL = dns("www.example.org", answers=(resource(1, bytes((192, 0, 2, 1)), ttl=60),), flags=0x8180, ident=7)
    PORTS = (40000, 53)

    def test_over_udp(self) -> None:
        capture = Capture()
        capture.udp(0, self.ASK, ports=self.PORTS)
        capture.udp(0.03, self.TELL, back=True, ports=self.PORTS)
        (connection,), (query,) = capture.records()
        assert connection["service"] == "dns"
        assert (query["uid"], query["client"], query["resolver"]) == (connection["uid"], CLIENT, SERVER)
        assert (query["query"], query["qtype"], query["rcode"]) == ("www.example.org", "A", "NOERROR")
        assert (query["answers"], query["ttls"], query["rtt"]) == (["192.0.2.1"], [60.0], pytest.approx(0.03))
        assert query["ts"].timestamp() == START

    def test_unanswered(self) -> None:
        capture = Capture()
        capture.udp(0, dns("www.example.org"), ports=(40000, 53))
        (query,) = capture.records()[1]
        assert (query["rcode"], query["answers"], query["rtt"]) == (None, None, None)

    def test_two_of_one_port_and_id_pair_in_order(self) -> None:
        capture = Capture()
        for k, kind in enumerate((1, 28)):
            capture.udp(k / 10, dns("www.example.org", kind=kind, ident=7), ports=self.PORTS)
        for k, kind in enumerate((1, 28)):
            answer = dns("www.example.org", kind=kind, flags=0x8180 | k * 3, ident=7)
            capture.udp(0.5 + k, answer, back=True, ports=self.PORTS)
        assert [(q["qtype"], q["rcode"]) for q in capture.records()[1]] == [("A", "NOERROR"), ("AAAA", "NXDOMAIN")]

    def test_over_tcp_each_message_at_its_time(self) -> None:
        capture = Capture()
        tcp = Tcp(capture, ports=self.PORTS)
        tcp.open()
        for k in range(2):
            tcp.say(1 + k, sized(2, self.ASK))
            tcp.say(1.04 + k, sized(2, self.TELL), back=True)
        (connection,), queries = capture.records()
        assert connection["service"] == "dns"
        assert [q["ts"].timestamp() - START for q in queries] == pytest.approx([1, 2])
        assert [q["rtt"] for q in queries] == pytest.approx([0.04, 0.04])

    def test_what_is_no_dns_is_not_called_so(self) -> None:
        capture = Capture()
        capture.udp(0, b"no DNS at all, and long enough", ports=(40000, 53))
        (connection,), queries = capture.records()
        assert (connection["service"], queries) == (None, [])


# --- the thread ------------------------------------------------------------------------------------------


class TestAhead:
    def test_items_in_order(self) -> None:
        with Ahead(iter(range(100))) as items:
            assert list(items) == list(range(100))

    def test_an_error_comes_after_the_items_before_it(self) -> None:
        def failing() -> Iterator[int]:
            yield 1
            raise ValueError("damage")

        with Ahead(failing()) as items:
            running = iter(items)
            assert next(running) == 1
            with pytest.raises(ValueError, match="damage"):
                next(running)

    def test_leaving_early_ends_the_thread(self) -> None:
        seen = []

        def counting() -> Iterator[int]:
            for k in range(1_000_000):
                seen.append(k)
                yield k

        with Ahead(counting()) as items:
            assert next(iter(items)) == 0
        assert len(seen) < 10


def test_leaving_records_early_is_fine() -> None:
    capture = Capture()
    for k in range(30_000):
        capture.udp(k * 10, b"x", ports=(1024 + k % 60000, 9999))
    first = next(records(io.BytesIO(capture.pcap()), "test", Config(), InputCount(), chunk_bytes=65536))
    assert first.connections.num_rows


@pytest.mark.parametrize("name", ["socat-beacon", "socks-microsocks"])
def test_segments_add_up_to_the_connection(pcaps: Path, name: str) -> None:
    # TLS connections among them, whose first bytes are handed on before they end
    path = pcaps / f"{name}.pcap.gz"
    batches = list(records(str(path), name, Config(), InputCount()))
    rows = pa.Table.from_batches([b.connections for b in batches])
    for of in ("orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts"):
        summed = rows.group_by("uid").aggregate([(f"seg_{of}", "sum"), (of, "max")])
        assert summed[f"seg_{of}_sum"].to_pylist() == summed[f"{of}_max"].to_pylist()
