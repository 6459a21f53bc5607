"""Packets of several interfaces in the order of their times; those of one in the file's order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hopscope.sensor.order import HORIZON_NS, Sorter
from support.captures import Frame, chunk_of, enhanced, interface, packets_of, pcap, read_all, section

MS = 1_000_000


def sort(times: list[int], sizes: list[int], horizon: int = 100, max_held: int = 1 << 20) -> list[tuple[int, int]]:
    """(time, number in the file) of packets that come in chunks of these sizes, as they leave the sorter."""
    sorter, out, at = Sorter(horizon, max_held), [], 0
    for size in [*sizes, len(times)]:
        part = [Frame(i.to_bytes(4, "big"), ts=times[i]) for i in range(at, min(at + size, len(times)))]
        at += size
        if part:
            out += [p for c in sorter.push(chunk_of(*part)) for p in packets_of([c])]
    out += packets_of(list(sorter.flush()))
    return [(p[0], int.from_bytes(p[1], "big")) for p in out]


def test_a_file_of_one_interface_keeps_its_order() -> None:
    back = [5 * MS, 3 * MS, 4 * MS]
    assert [p[0] for p in packets_of(read_all(pcap([Frame(b"x", t) for t in back]))[0])] == back
    raw = section() + interface() + b"".join(enhanced(b"x", t // 1000) for t in back)
    assert [p[0] for p in packets_of(read_all(raw)[0])] == back


def test_a_file_of_two_interfaces_is_sorted_and_equal_times_stay() -> None:
    raw = section() + interface() * 2
    for which, data, us in ((0, b"a", 5), (0, b"b", 9), (1, b"c", 6), (1, b"d", 9), (0, b"e", 7)):
        raw += enhanced(data, us, which)
    for chunk_bytes in (1 << 20, 64):
        chunks, count = read_all(raw, chunk_bytes=chunk_bytes)
        assert [p[1] for p in packets_of(chunks)] == [b"a", b"c", b"e", b"b", b"d"]
        assert (count.packets, count.problems) == (5, None)


def test_packets_before_damage_leave_the_sorter() -> None:
    raw = section() + interface() * 2 + enhanced(b"a", 5, 0) + enhanced(b"b", 4, 1) + b"\xff" * 12
    chunks, count = read_all(raw)
    assert [p[1] for p in packets_of(chunks)] == [b"b", b"a"]
    assert count.packets == 2
    assert len(count.problems or []) == 1


def test_what_steps_back_beyond_the_horizon_stays_in_its_place() -> None:
    for back, order in ((HORIZON_NS, [1, 0, 2]), (HORIZON_NS + 1, [0, 1, 2])):
        times = [10 * HORIZON_NS, 10 * HORIZON_NS - back, 20 * HORIZON_NS]
        got = [i for _, i in sort(times, [1, 1, 1], HORIZON_NS)]
        assert got == (order if back <= HORIZON_NS else [1, 0, 2]), "behind what has gone out, before what waits"


def test_the_bytes_held_are_bounded() -> None:
    times = list(range(1000, 0, -1))
    assert len(sort(times, [10] * 100, horizon=1 << 40, max_held=50)) == 1000


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 500), max_size=40), st.lists(st.integers(1, 9)))
def test_boundaries_do_not_matter_and_nothing_is_lost(times: list[int], sizes: list[int]) -> None:
    got = sort(times, sizes)
    assert got == sort(times, [])
    assert sorted(i for _, i in got) == list(range(len(times)))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 50), max_size=40), st.lists(st.integers(1, 9)))
def test_within_the_horizon_it_is_a_stable_sort(times: list[int], sizes: list[int]) -> None:
    assert sort(times, sizes) == sorted((t, i) for i, t in enumerate(times))
