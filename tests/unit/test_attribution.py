"""attribution: which process stands behind a connection."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopscope import attribution
from hopscope.attribution import Attribution
from hopscope.heuristics.base import PROCESSES
from hopscope.records import Batch
from support.events import CLIENT, SECURITY, SERVER, START, SYSMON, batch

SECOND = 1_000_000
Row = dict[str, Any]


def processes(*batches: Batch, tolerance_s: float = 60.0) -> list[Row]:
    told = Attribution(tolerance_s)
    for each in batches:
        told.add(each)
    table = told.processes()
    assert table.schema.equals(PROCESSES)
    rows: list[Row] = table.to_pylist()
    return rows


def joined(events: list[Row], connections: list[Row], tolerance_s: float = 60.0) -> list[Row]:
    return processes(batch(events=events), batch(connections=connections), tolerance_s=tolerance_s)


class TestJoin:
    def test_an_event_names_the_process_and_user_of_a_connection(self) -> None:
        (row,) = joined([{"ts": START + 2 * SECOND, "dst_name": "c2.example"}], [{"uid": "C7"}])
        assert row == {
            "host": "ws1.example", "process": r"C:\Tools\agent.exe", "pid": 4242, "user": r"CORP\ann",
            "client": CLIENT, "server": SERVER, "port": 443, "proto": "tcp", "name": "c2.example", "initiated": True,
            "events": 1, "first_us": START + 2 * SECOND, "last_us": START + 2 * SECOND, "sensor": "s",
            "connections": 1, "offset_us": 2 * SECOND, "uids": ["C7"],
        }  # fmt: skip

    @pytest.mark.parametrize("other", [
        {"dst_p": 444}, {"src_p": 50_001}, {"dst_h": "203.0.113.10"}, {"src_h": "10.0.0.6"}, {"proto": "udp"},
        {"src_p": None}, {"proto": None},
    ])  # fmt: skip
    def test_all_of_both_ends_and_transport_must_agree(self, other: Row) -> None:
        (row,) = joined([other], [{}])
        assert (row["connections"], row["sensor"], row["offset_us"], row["uids"]) == (0, None, None, [])

    @pytest.mark.parametrize(("seconds", "connections"), [(-61, 0), (-60, 1), (0, 1), (60, 1), (61, 0)])
    def test_times_may_differ_by_the_tolerance(self, seconds: int, connections: int) -> None:
        (row,) = joined([{"ts": START + seconds * SECOND}], [{}])
        assert row["connections"] == connections

    def test_a_listener_joins_the_other_way_round(self) -> None:
        accepted = {"initiated": False, "src_h": SERVER, "src_p": 443, "dst_h": CLIENT, "dst_p": 50_000}
        (row,) = joined([SECURITY | accepted], [{}])
        assert (row["client"], row["server"], row["port"], row["initiated"]) == (CLIENT, SERVER, 443, False)
        assert row["connections"] == 1

    def test_a_source_is_the_client_where_later_versions_of_sysmon_tell_what_was_accepted(self) -> None:
        (row,) = joined([{"initiated": False}], [{}])
        assert (row["client"], row["server"], row["port"]) == (CLIENT, SERVER, 443)

    def test_only_the_first_segment_of_a_connection_counts(self) -> None:
        (row,) = joined([{}], [{}, {"seg": 1}, {"seg": 2}])
        assert row["connections"] == 1

    def test_the_nearest_of_several_and_each_only_once(self) -> None:
        events = [{"ts": START, "pid": 1}, {"ts": START + 30 * SECOND, "pid": 2}]
        connections = [{"ts": START + 29 * SECOND, "uid": "late"}, {"ts": START - 20 * SECOND, "uid": "early"}]
        assert {r["pid"]: r["uids"] for r in joined(events, connections)} == {1: ["early"], 2: ["late"]}
        assert {r["pid"]: r["uids"] for r in joined(events, connections[:1])} == {1: [], 2: ["late"]}
        (row,) = joined(events[1:], connections)
        assert row["uids"] == ["late"]

    def test_both_sides_may_tell_of_one_connection(self) -> None:
        accepted = {"host": "srv", "process": "sshd", "pid": 7, "user": "root", "initiated": False}
        rows = joined([{}, accepted], [{}])
        assert [(r["host"], r["initiated"], r["connections"]) for r in rows] == [
            ("srv", False, 1),
            ("ws1.example", True, 1),
        ]

    def test_what_two_sensors_saw_is_told_for_each(self) -> None:
        rows = joined([{}, {"ts": START + 1, "src_p": 1}], [{"sensor": "b", "uid": "B"}, {"sensor": "a", "uid": "A"}])
        assert [(r["sensor"], r["uids"], r["events"]) for r in rows] == [("a", ["A"], 2), ("b", ["B"], 2)]

    def test_an_input_that_is_given_twice_counts_once(self) -> None:
        (row,) = joined([{"record": 5}, {"record": 5}], [{}, {}])
        assert (row["events"], row["connections"]) == (1, 1)

    def test_events_without_a_server_are_passed_over(self) -> None:
        nothing = {"event_id": 22, "src_h": None, "src_p": None, "dst_h": None, "dst_p": None, "query": "c2.example"}
        assert joined([nothing], [{}]) == []


class TestTwoTellings:
    def test_sysmon_stands_for_security_too(self) -> None:
        (row,) = joined([SECURITY | {"ts": START + SECOND}, {"ts": START + 2 * SECOND}], [{}])
        assert (row["process"], row["user"], row["events"], row["connections"]) == (
            r"C:\Tools\agent.exe",
            r"CORP\ann",
            2,
            1,
        )
        assert row["offset_us"] == 2 * SECOND

    def test_two_connections_told_twice_are_two(self) -> None:
        times = (START, START + 20 * SECOND)
        events = [base | {"ts": ts} for ts in times for base in (SECURITY, SYSMON)]
        (row,) = joined(events, [{"ts": ts, "uid": str(ts)} for ts in times])
        assert (row["events"], row["connections"]) == (4, 2)

    @pytest.mark.parametrize("other", [{"pid": 1}, {"host": "ws2"}, {"dst_p": 80}, {"initiated": False}, {"pid": None}])
    def test_another_process_host_end_or_direction_is_another_telling(self, other: Row) -> None:
        rows = joined([SECURITY | other, {}], [])
        assert sorted(r["user"] is None for r in rows) == [False, True]

    def test_security_alone_names_the_process_and_no_user(self) -> None:
        (row,) = joined([SECURITY], [{}])
        assert (row["process"], row["user"], row["connections"]) == (SECURITY["process"], None, 1)


class TestRows:
    def test_a_process_and_place_is_one_row(self) -> None:
        events = [{"ts": START + i * SECOND, "src_p": 50_000 + i} for i in range(30)]
        connections = [
            {"ts": START + i * SECOND - (i % 3), "orig_p": 50_000 + i, "uid": f"C{i:02}"} for i in reversed(range(20))
        ]
        (row,) = joined(events, connections)
        assert (row["events"], row["connections"], row["offset_us"]) == (30, 20, 1)
        assert row["uids"] == [f"C{i:02}" for i in range(10)]
        assert (row["first_us"], row["last_us"]) == (START, START + 29 * SECOND)

    @pytest.mark.parametrize("other", [
        {"process": "x"}, {"pid": 1}, {"user": None}, {"host": "b"}, {"dst_h": "198.51.100.1"}, {"dst_p": 80},
        {"dst_name": "n"}, {"initiated": None}, {"proto": "udp"}, {"proto": "47", "src_p": None, "dst_p": None},
    ])  # fmt: skip
    def test_what_differs_is_another_row(self, other: Row) -> None:
        assert len(joined([{}, other], [])) == 2


class TestBounds:
    def test_what_is_beyond_is_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(attribution, "MOST", 3)
        told = Attribution(60.0)
        for _ in range(2):
            told.add(batch(events=[{"pid": i} for i in range(2)]))
        told.add(batch(connections=[{"uid": f"C{i}"} for i in range(5)]))
        assert (told.untold, told.unjoined) == (1, 2)
        assert sum(r["events"] for r in told.processes().to_pylist()) == 3

    def test_only_connections_with_ends_that_events_name_are_kept(self) -> None:
        told = Attribution(60.0)
        told.add(batch(events=[{}], connections=[{}, {"orig_p": 1}, {"resp_h": "198.51.100.1"}, {"orig_h": SERVER}]))
        assert [c.uids.to_pylist() for c in told._connections] == [["C1"]]

    def test_what_left_the_window_is_forgotten(self) -> None:
        told = Attribution(60.0)
        told.add(batch(events=[{}, {"ts": START + SECOND, "src_p": 1}], connections=[{}]))
        told.forget(START + SECOND)
        assert [(r["events"], r["connections"]) for r in told.processes().to_pylist()] == [(1, 0)]
        told.forget(START + 2 * SECOND)
        assert not told.processes()

    def test_what_is_forgotten_leaves_no_texts_and_the_rest_is_joined(self) -> None:
        told = Attribution(60.0)
        old = [{"src_h": f"10.1.0.{i}", "process": f"{i}.exe", "ts": START - 100 * SECOND} for i in range(9)]
        told.add(
            batch(events=[*old, {"src_h": "10.0.0.6"}], connections=[{"orig_h": "10.0.0.6"}, {"orig_h": "10.1.0.3"}])
        )
        before = told.processes()
        told.forget(START)
        assert told.processes().to_pylist() == [r for r in before.to_pylist() if r["client"] == "10.0.0.6"]
        assert len(told._addresses.values) == 2
        told.add(batch(events=[{"src_h": "10.1.0.3"}], connections=[{"orig_h": "10.1.0.3", "uid": "C2"}]))
        assert [(r["client"], r["uids"]) for r in told.processes().to_pylist()] == [
            ("10.0.0.6", ["C1"]), ("10.1.0.3", ["C2"]),
        ]  # fmt: skip

    def test_texts_of_any_length_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(attribution, "MOST_BYTES", 100)
        told = Attribution(60.0)
        told.add(batch(events=[{"process": "p" * 60}, {"process": "p" * 60}]))
        told.add(batch(events=[{"process": "p" * 40}, {"process": "q"}]))
        assert told.untold == 2
        assert sorted(len(r["process"]) for r in told.processes().to_pylist()) == [40, 60]
        told.forget(START)
        told.add(batch(events=[{"process": "q"}]))
        assert told.untold == 3
        told.forget(START + SECOND)
        told.add(batch(events=[{"process": "q"}]))
        assert told.untold == 3

    def test_forged_times_and_numbers_do_no_harm(self) -> None:
        least, most = -(1 << 63) + 1, (1 << 63) - 1
        events = [{"ts": least, "pid": most}, {"ts": most, "pid": least}, {"pid": 0, "src_p": 1 << 20, "record": most}]
        assert len(joined(events, [{"ts": least}, {"ts": most, "uid": "C2"}])) == 3


HOSTS = st.sampled_from(["10.0.0.5", "10.0.0.6", "203.0.113.9"])
PORTS = st.sampled_from([443, 50_000])
TIMES = st.integers(0, 12).map(lambda s: START + s * SECOND)
EVENT = st.fixed_dictionaries({
    "ts": TIMES, "src_h": HOSTS, "src_p": PORTS, "dst_h": HOSTS, "dst_p": PORTS, "pid": st.integers(1, 2),
    "host": st.sampled_from(["a", "b"]), "initiated": st.sampled_from([True, False, None]),
    "proto": st.sampled_from(["tcp", "udp", "icmp"]),
})  # fmt: skip
SEEN = st.fixed_dictionaries({
    "ts": TIMES, "orig_h": HOSTS, "orig_p": PORTS, "resp_h": HOSTS, "resp_p": PORTS, "sensor": st.sampled_from("st"),
    "proto": st.sampled_from(["tcp", "udp", "icmp"]),
})  # fmt: skip


def simple(events: list[Row], connections: list[Row], most_us: int) -> Counter[tuple[Any, ...]]:
    """How many connections each host, process and direction has of each sensor: nearest first, pair by pair."""
    sides: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for i, e in enumerate(events):
        ends = frozenset([(e["src_h"], e["src_p"]), (e["dst_h"], e["dst_p"])])
        sides[e["proto"], ends, e["host"], e["initiated"]].append(i)
    count: Counter[tuple[Any, ...]] = Counter()
    for (proto, ends, host, initiated), mine in sides.items():
        if proto == "icmp":
            continue
        for sensor in "st":
            theirs = [
                j
                for j, c in enumerate(connections)
                if (c["proto"], c["sensor"]) == (proto, sensor)
                and frozenset([(c["orig_h"], c["orig_p"]), (c["resp_h"], c["resp_p"])]) == ends
            ]
            line = sorted([(events[i]["ts"], 0, i) for i in mine] + [(connections[j]["ts"], 1, j) for j in theirs])
            # places in the line settle what is equally near
            near = sorted(
                (abs(a[0] - b[0]), y - x, x, y)
                for x, a in enumerate(line)
                for y, b in enumerate(line[x + 1 :], x + 1)
                if a[1] != b[1] and abs(a[0] - b[0]) <= most_us
            )
            taken: set[int] = set()
            for _, _, x, y in near:
                if not {x, y} & taken:
                    taken |= {x, y}
                    count[host, initiated, sensor] += 1
    return count


@settings(max_examples=60)
@given(st.lists(EVENT, max_size=8), st.lists(SEEN, max_size=8), st.integers(0, 12), st.randoms())
def test_it_agrees_with_a_simple_join(
    events: list[Row], connections: list[Row], tolerance_s: int, shuffle: random.Random
) -> None:
    for i, c in enumerate(connections):
        c["uid"] = f"C{i}"
    rows = joined(events, connections, tolerance_s)
    found: Counter[tuple[Any, ...]] = Counter()
    for r in rows:
        if r["connections"]:
            found[r["host"], r["initiated"], r["sensor"]] += r["connections"]
    assert found == simple(events, connections, tolerance_s * SECOND)
    # no event is lost, and the order and the batches don't matter
    alone = {tuple(r[k] for k in PROCESSES.names[:10]): r["events"] for r in rows}
    assert sum(alone.values()) == len(events)
    for records in (events, connections):
        shuffle.shuffle(records)
    half = [batch(events=events[i::2]) for i in (0, 1)] + [batch(connections=connections[i::2]) for i in (0, 1)]
    assert processes(*half, tolerance_s=tolerance_s) == rows


def test_nothing_known_is_no_rows() -> None:
    assert pa.Table.equals(Attribution(60.0).processes(), PROCESSES.empty_table())
    assert processes(batch(connections=[{}])) == []
