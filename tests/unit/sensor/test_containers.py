"""Capture files of all formats, whole and damaged, to raw packets."""

from __future__ import annotations

import gzip
import io
import random
import struct
import sys
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hopscope.errors import InputError
from hopscope.records import InputCount
from hopscope.sensor import containers, unpack
from hopscope.sensor.index import MAX_PACKET
from support.captures import (
    Frame,
    block,
    enhanced,
    interface,
    option,
    packets_of,
    pcap,
    read_all,
    section,
)

T = 1_700_000_000_123_456_789
FRAMES = [Frame(bytes([i]) * (20 + i), T + i * 1000) for i in range(5)]
WHOLE = pcap(FRAMES)
NG = section() + interface(options=option(9, b"\x09")) + b"".join(enhanced(f.data, f.ts) for f in FRAMES)


class Pipe(io.RawIOBase):
    """A stream as a pipe gives it: in pieces of its own choice, without seek or readinto of a file."""

    def __init__(self, data: bytes, piece: int = 7):
        self._data, self._piece = data, piece

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        size = min(self._piece, size if size >= 0 else self._piece)
        out, self._data = self._data[:size], self._data[size:]
        return out

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        out = self.read(len(buffer))
        buffer[: len(out)] = out
        return len(out)


def problem(raw: bytes) -> str:
    with pytest.raises(InputError) as e:
        read_all(raw)
    assert "\n" not in str(e.value)
    return str(e.value)


def noted(raw: bytes, packets: int) -> str:
    """The one line noted for a capture of which so many packets could be read."""
    chunks, count = read_all(raw)
    assert len(packets_of(chunks)) == count.packets == packets
    assert count.inputs == 1
    assert count.problems is not None
    (line,) = count.problems
    assert line.startswith("x.pcap at ")
    return line


# --- what is whole


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [True, False])
def test_pcap_of_either_byte_order_and_resolution(order: str, nano: bool) -> None:
    chunks, count = read_all(pcap([*FRAMES, Frame(b"cut", T, 1500)], order=order, nano=nano))
    got = packets_of(chunks)
    assert [g[0] for g in got] == [f.ts if nano else f.ts // 1000 * 1000 for f in [*FRAMES, Frame(b"", T)]]
    assert [g[1] for g in got] == [*(f.data for f in FRAMES), b"cut"]
    assert got[-1][2:4] == (1500, 1)
    assert got[1][4] == 24 + 16 + 20
    assert (count.packets, count.inputs, count.problems) == (6, 1, None)


def test_pcap_with_longer_record_headers() -> None:
    assert [p[1] for p in packets_of(read_all(pcap(FRAMES, modified=True, nano=False))[0])] == [f.data for f in FRAMES]


def test_link_type_ignores_the_bits_of_the_frame_check_sequence() -> None:
    raw = bytearray(pcap(FRAMES, link=113))
    raw[23] = 0x14
    assert {p[3] for p in packets_of(read_all(bytes(raw))[0])} == {113}


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_with_every_kind_of_packet_block(order: str) -> None:
    old = struct.pack(order + "HHIIII", 0, 3, T >> 32, T & 0xFFFFFFFF, 3, 3) + b"old"
    raw = (
        section(order)
        + interface(options=option(2, b"eth0", order) + option(9, b"\x09", order), order=order)
        + block(5, bytes(12), order)  # statistics
        + enhanced(b"enhanced", T, order=order, wirelen=99)
        + block(0xBAD, b"whatever", order)
        + block(2, old, order)
        + block(3, struct.pack(order + "I", 6) + b"simple", order)
    )
    chunks, count = read_all(raw)
    assert [p[:3] for p in packets_of(chunks)] == [(T, b"enhanced", 99), (T, b"old", 3), (T, b"simple", 6)]
    assert count.problems is not None
    assert "have no time" in count.problems[0]


def test_pcapng_simple_packets_are_cut_to_the_snap_length() -> None:
    raw = section() + interface(snap=4) + block(3, struct.pack("<I", 1000) + b"1234")
    assert [p[1:3] for p in packets_of(read_all(raw)[0])] == [(b"1234", 1000)]


@pytest.mark.parametrize(
    ("options", "stamp", "ns"),
    [
        (b"", 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (option(9, b"\x00"), 1_700_000_000, 1_700_000_000_000_000_000),
        (option(9, b"\x09"), T, T),
        (option(9, b"\x0a"), T * 10 + 7, T),
        (option(9, b"\x8a"), 1_700_000_000 * 1024 + 512, 1_700_000_000_500_000_000),
        (option(9, b"\x9f"), (1_700_000_000 << 31) + (3 << 29), 1_700_000_000_750_000_000),
        (option(14, struct.pack("<q", 1_700_000_000)), 5, 1_700_000_000_000_005_000),
        (option(14, struct.pack("<q", -1)), 2_000_000, 1_000_000_000),
    ],
)
def test_pcapng_times_follow_the_interface(options: bytes, stamp: int, ns: int) -> None:
    raw = section() + interface(options=options) + enhanced(b"x", stamp)
    assert packets_of(read_all(raw)[0])[0][0] == ns


def test_pcapng_interfaces_keep_their_own_link_type_and_a_new_section_starts_over() -> None:
    raw = (
        section()
        + interface(1)
        + interface(113, options=option(9, b"\x03"))
        + enhanced(b"a", 1, 0)
        + enhanced(b"b", 2, 1)
        + section(">")
        + interface(101, order=">")
        + enhanced(b"c", 3_000_000, 0, order=">")
    )
    assert [p[:2] + p[3:4] for p in packets_of(read_all(raw)[0])] == [
        (1000, b"a", 1),
        (2_000_000, b"b", 113),
        (3_000_000_000, b"c", 101),
    ]


def test_pcapng_with_many_interfaces() -> None:
    raw = section() + b"".join(interface(i) for i in range(40)) + enhanced(b"x", 1, 39)
    assert packets_of(read_all(raw)[0])[0][3] == 39


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        lambda raw: gzip.compress(raw[:50]) + gzip.compress(raw[50:]),
        lambda raw: gzip.compress(raw) + bytes(512),  # a tape's padding
        zstandard.compress,
        lambda raw: zstandard.compress(raw[:50]) + zstandard.compress(raw[50:]),
        lambda raw: b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip" + zstandard.compress(raw),
    ],
)
@pytest.mark.parametrize("raw", [WHOLE, NG])
def test_packed_captures(pack: object, raw: bytes) -> None:
    assert callable(pack)
    for stream in (io.BytesIO(pack(raw)), Pipe(pack(raw), 11)):
        count = InputCount()
        chunks = list(containers.read(stream, "x.pcap", count))  # type: ignore[arg-type]
        assert [p[1] for p in packets_of(chunks)] == [f.data for f in FRAMES]
        assert count.problems is None


def test_pipes_and_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packets_of(read_all(Pipe(WHOLE))[0]) == packets_of(read_all(WHOLE)[0])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WHOLE)))
    assert len(packets_of(list(containers.read("-", "standard input", InputCount())))) == 5


def test_files_by_path_and_progress(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap.gz"
    path.write_bytes(gzip.compress(WHOLE))
    told: list[int] = []
    assert len(packets_of(list(containers.read(path, str(path), InputCount(), told.append)))) == 5
    assert told == sorted(told)
    assert told[-1] == path.stat().st_size


def test_a_capture_without_packets_is_read() -> None:
    for raw in (pcap([]), section() + interface()):
        chunks, count = read_all(raw)
        assert (chunks, count.packets, count.inputs, count.problems) == ([], 0, 1, None)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.binary(max_size=70), st.integers(1, 2**60)), max_size=12),
    st.integers(1, 300),
    st.booleans(),
)
def test_chunk_boundaries_do_not_matter(frames: list[tuple[bytes, int]], chunk_bytes: int, ng: bool) -> None:
    if ng:
        raw = section() + interface(options=option(9, b"\x09")) + b"".join(enhanced(d, t) for d, t in frames)
    else:
        raw = pcap([Frame(d, t) for d, t in frames])
    want = packets_of(read_all(raw)[0])
    assert [p[:2] for p in want] == [(t, d) for d, t in frames]
    assert packets_of(read_all(raw, chunk_bytes=chunk_bytes)[0]) == want


def test_memory_stays_bounded_however_far_a_file_expands() -> None:
    raw = gzip.compress(pcap([Frame(bytes(1400))] * 30_000))
    tracemalloc.start()
    try:
        count = InputCount()
        for _ in containers.read(io.BytesIO(raw), "x", count, chunk_bytes=1 << 20):
            pass
        assert count.packets == 30_000  # 42 MB
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


# --- what can't be read at all


def test_what_is_no_capture_is_named() -> None:
    assert problem(b"") == "x.pcap: the file is empty; check how it was captured or copied"
    assert "neither pcap nor pcapng" in problem(b"hello, world")
    assert "neither pcap nor pcapng" in problem(b"\xd4")
    assert "a zip archive" in problem(b"PK\x03\x04" + bytes(40))
    assert "a Zeek log" in problem(b"#separator \\x09\n#set_separator\t,\n")
    assert "gzip-packed twice" in problem(gzip.compress(gzip.compress(WHOLE)))
    assert "neither pcap nor pcapng" in problem(gzip.compress(bytes(1 << 20)))
    assert "empty" in problem(gzip.compress(b""))


def test_headers_cut_short() -> None:
    assert "at byte 20: ends within the pcap file header" in problem(WHOLE[:20])
    assert "in the middle of a packet" in problem(WHOLE[:30])
    assert "in the middle of a block" in problem(NG[:20])
    assert "ends before its end mark" in problem(gzip.compress(WHOLE)[:12])
    assert "ends before its end mark" in problem(zstandard.compress(WHOLE)[:12])


def test_unknown_versions() -> None:
    raw = bytearray(WHOLE)
    raw[4] = 3
    assert "pcap version 3 is unknown" in problem(bytes(raw))
    assert "pcapng version 9 is unknown" in problem(section(major=9))
    assert "no known byte order" in problem(section()[:8] + bytes(20))


def test_paths_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pcap", tmp_path):
        with pytest.raises(InputError, match="can't be"):
            list(containers.read(path, str(path), InputCount()))


def test_damage_in_the_first_packet_leaves_nothing_to_read() -> None:
    assert "at byte 24: the capture ends in the middle of a packet" in problem(WHOLE[:50])


# --- damage in the middle: what stood before is kept


def test_cut_in_the_middle_of_a_packet() -> None:
    at = 24 + 4 * 16 + 20 + 21 + 22 + 23
    assert f"at byte {at}: the capture ends in the middle of a packet" in noted(WHOLE[:-3], 4)
    assert "in the middle of a block" in noted(NG[:-3], 4)


def test_longer_than_the_snap_length_is_cut_to_it_and_told_once() -> None:
    raw = pcap([Frame(b"a" * 10), Frame(b"b" * 30), Frame(b"c" * 40)], snap=20)
    assert "longer than the file's snap length of 20 bytes" in noted(raw, 3)
    assert [len(p[1]) for p in packets_of(read_all(raw)[0])] == [10, 20, 20]
    raw = section() + interface(snap=20) + enhanced(b"a" * 10) + enhanced(b"b" * 30) + enhanced(b"c" * 40)
    assert "longer than its interface's snap length" in noted(raw, 3)


@pytest.mark.parametrize(("size", "fits"), [(MAX_PACKET, True), (MAX_PACKET + 1, False)])
def test_a_length_that_no_packet_has(size: int, fits: bool) -> None:
    raw = pcap([FRAMES[0], Frame(bytes(size)), FRAMES[1]], snap=0)
    ng = section() + interface() + enhanced(b"x") + enhanced(bytes(size)) + enhanced(b"y")
    if fits:
        assert [read_all(r)[1].packets for r in (raw, ng)] == [3, 3]
    else:
        assert f"claims more than {MAX_PACKET} bytes" in noted(raw, 1)
        assert f"claims more than {MAX_PACKET} bytes" in noted(ng, 1)


def test_a_file_that_was_not_written_to_its_end() -> None:
    assert f"at byte {len(WHOLE)}: zeros stand" in noted(WHOLE + bytes(100_000), 5)


@pytest.mark.parametrize("lie", [0, 8, 13, 33, 1 << 25, 0xFFFFFFFC])
def test_pcapng_block_with_a_lying_length(lie: int) -> None:
    bad = bytearray(enhanced(b"bad"))
    bad[4:8] = struct.pack("<I", lie)
    assert f"at byte {len(NG)}: a block's two lengths disagree" in noted(NG + bytes(bad) + enhanced(b"lost"), 5)
    bad = bytearray(enhanced(b"bad"))
    bad[-4:] = struct.pack("<I", lie)
    assert f"at byte {len(NG)}: a block's two lengths disagree" in noted(NG + bytes(bad) + enhanced(b"lost"), 5)


def test_pcapng_blocks_that_contradict_themselves() -> None:
    over = block(6, struct.pack("<IIIII", 0, 0, 0, 500, 500) + b"only this")
    assert "more bytes than its block has" in noted(NG + over, 5)
    assert "an interface that the file doesn't describe" in noted(NG + enhanced(b"x", which=7), 5)
    assert "an interface that the file doesn't describe" in noted(NG + section() + enhanced(b"x"), 5)
    for kind in (2, 3, 6):
        assert "two lengths disagree or make no sense" in noted(NG + block(kind, b""), 5)
    assert "more than 4096 interfaces" in noted(NG + interface() * 5000, 5)


def test_damaged_gzip() -> None:
    packed = gzip.compress(WHOLE)
    big = gzip.compress(pcap([Frame(bytes(range(200)), T + i) for i in range(2000)]))
    assert "ends before its end mark" in noted(packed[:-4], 5)
    assert "corrupt" in noted(packed[:-8] + b"\0\0\0\0" + packed[-4:], 5)
    assert "that are none" in noted(packed + b"junk", 5)
    for broken in (big[: len(big) // 2], big[: len(big) // 2] + b"\xff" * 100):
        _, count = read_all(broken)
        assert 900 < count.packets < 1100, "everything before the damage counts"
        assert count.problems is not None
        assert len(count.problems) == 1


def test_damaged_zstd() -> None:
    noise = random.Random(1).randbytes(900_000)
    frames = [Frame(noise[i : i + 900]) for i in range(0, len(noise), 900)]
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(pcap(frames))
    _, count = read_all(packed[:-2])
    assert count.packets == 1000
    assert count.problems is not None
    assert "the zstd data ends before its end mark" in count.problems[0]
    broken = packed[: len(packed) // 2] + bytes(8) + packed[len(packed) // 2 + 8 :]
    _, count = read_all(broken)
    assert count.packets >= 350, "the blocks before the damage, of 128 KiB each, are read"
    assert count.problems is not None
    assert "corrupt" in count.problems[0]


def test_a_decompression_bomb_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "BOMB_FLOOR", 1 << 20)
    raw = pcap([Frame(bytes(1000))]) + struct.pack("<IIII", 1, 1, 0, 0) * 2_000_000
    for packed in (gzip.compress(raw), zstandard.compress(raw)):
        _, count = read_all(packed, chunk_bytes=1 << 16)
        assert count.packets < 100_000
        assert count.problems is not None
        assert "like a decompression bomb" in count.problems[0]


def test_an_input_that_fails_while_it_is_read() -> None:
    class Failing(Pipe):
        def read(self, size: int = -1) -> bytes:
            out = super().read(size)
            if not out:
                raise OSError(5, "Input/output error")
            return out

    chunks, count = read_all(Failing(WHOLE))
    assert len(packets_of(chunks)) == 5
    assert count.problems is not None
    assert "can't be read further (Input/output error)" in count.problems[0]


def test_link_types_that_are_not_understood_are_told() -> None:
    _, count = read_all(pcap(FRAMES, link=189))
    assert count.problems is not None
    assert "link type 189 is not understood" in count.problems[0]
    _, count = read_all(section() + interface(1) + interface(189) + enhanced(b"x"))
    assert count.problems is None, "an interface without packets is nobody's problem"


# --- anything at all

_seeds = st.sampled_from(
    [WHOLE, NG, gzip.compress(WHOLE), zstandard.compress(NG), pcap(FRAMES, order=">"), section(">")]
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300), _seeds, st.integers(0, 300), st.integers(1, 400))
@example(b"\xff" * 16, WHOLE, 24, 8)
def test_no_input_does_more_than_raise_input_error(junk: bytes, seed: bytes, at: int, chunk_bytes: int) -> None:
    for raw in (junk, seed[:at] + junk, seed[:at] + junk + seed[at + len(junk) :], seed[:at] + seed[at + 1 :]):
        try:
            chunks, count = read_all(raw, chunk_bytes=chunk_bytes)
        except InputError:
            continue
        for chunk in chunks:
            assert chunk.offset.size
            assert (chunk.offset >= 0).all()
            assert (chunk.caplen >= 0).all()
            assert (chunk.wirelen >= chunk.caplen).all()
            assert (chunk.offset + chunk.caplen <= chunk.data.size).all()
        assert count.packets == sum(c.offset.size for c in chunks)
