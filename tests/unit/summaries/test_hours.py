"""Hours, lateness, replay and the window, by event time only."""

import pyarrow as pa
import pytest

from hopscope.config import Config, VantageSettings, WindowSettings
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch
from hopscope.summaries import Counts, Summaries, held, hours, schema
from hopscope.summaries import window as windows
from support import generate
from support.tables import assert_same

HOUR = 3_600_000_000
T = 472_223 * HOUR
ALL = (*windows.TABLES, "first_seen", "host_hours")


def connection(uid, at, **values):
    row = {
        "ts": at, "seg_end": at, "seg": 0, "final": True, "uid": uid, "sensor": "s", "proto": "tcp",
        "orig_h": "10.0.0.5", "orig_p": 4000, "resp_h": f"198.51.100.{len(uid)}", "resp_p": 443,
        "local_orig": True, "local_resp": False, "conn_state": "SF",
    }  # fmt: skip
    return {**row, **values}


def batch(*connections, queries=()):
    return Batch(generate.records(CONNECTION_SCHEMA, connections), generate.records(DNS_QUERY_SCHEMA, queries))


def add(summaries, *connections, queries=()):
    summaries.add(batch(*connections, queries=queries))
    summaries.flush()


def config(hours=24, **vantage):
    return Config(window=WindowSettings(hours=hours), vantage=VantageSettings(**vantage))


class TestReplay:
    def test_counts_nothing_twice(self):
        whole = generate.batch(200, seed=5, hours=1.5)
        once, twice = Summaries(config()), Summaries(config())
        once.add(whole)
        add(twice)
        twice.add(whole)
        twice.flush()
        twice.add(whole)
        twice.flush()
        assert_same(twice.tables(), once.tables())
        assert twice.counts.duplicates == whole.connections.num_rows + whole.dns_queries.num_rows

    def test_within_a_batch_and_by_sensor_uid_and_segment(self):
        summaries = Summaries(config())
        first = connection("C", T)
        add(summaries, first, first, {**first, "seg": 1}, {**first, "sensor": "other"}, {**first, "uid": "D"})
        assert summaries.counts == Counts(connections=4, duplicates=1)


class TestLateness:
    def test_an_hour_closes_ten_minutes_after_its_end(self):
        summaries = Summaries(config())
        add(summaries, connection("A", T + HOUR + hours.GRACE_US - 1))
        add(summaries, connection("B", T + HOUR - 1))
        assert summaries.counts.late == 0
        add(summaries, connection("C", T + HOUR + hours.GRACE_US))
        add(summaries, connection("D", T + HOUR - 2), connection("E", T + HOUR))
        assert summaries.counts.late == 1

    def test_late_records_are_merged_in(self):
        whole = generate.batch(200, seed=6, hours=5)
        in_time, late = Summaries(config()), Summaries(config())
        in_time.add(whole)
        for piece in reversed(list(generate.pieces(whole, 50))):
            late.add(piece)
            late.flush()
        assert late.counts.late > 0
        assert_same(late.tables(), in_time.tables())


class TestExpiry:
    def test_hours_beyond_the_window_are_let_go_but_stay_known(self):
        summaries = Summaries(config(hours=2))
        query = {"ts": T, "uid": "D", "sensor": "s", "client": "10.0.0.5", "query": "old.example"}
        add(summaries, connection("A", T, sni="first.example"), queries=[{**query, "answers": ["192.0.2.1"]}])
        add(summaries, connection("BB", T + 10 * HOUR, sni="new.example"))
        assert {r["server"] for r in summaries.tables()["pairs"].to_pylist()} == {"198.51.100.2"}
        window = summaries.window()
        seen = {(r["kind"], r["value"]): r["first_us"] for r in window.first_seen.to_pyarrow().to_pylist()}
        assert seen == {
            ("name", "first.example"): T,
            ("name", "old.example"): T,
            ("name", "new.example"): T + 10 * HOUR,
            ("address", "198.51.100.1"): T,
            ("address", "192.0.2.1"): T,
            ("address", "198.51.100.2"): T + 10 * HOUR,
        }
        assert window.history_us == T
        assert summaries.counts == Counts(connections=2, dns_queries=1, expired=2, outside=2)

    def test_what_is_known_has_a_bound(self, monkeypatch):
        monkeypatch.setattr(hours, "KNOWN_ROWS", 3)
        summaries = Summaries(config(hours=1))
        add(summaries, *(connection("C" * (i + 1), T + i) for i in range(5)))
        add(summaries, connection("later", T + 9 * HOUR))
        kept = {r["value"] for r in summaries.window().first_seen.to_pyarrow().to_pylist()}
        assert kept == {"198.51.100.3", "198.51.100.4", "198.51.100.5"}
        assert summaries.counts.forgotten == 2

    def test_what_pairs_exchanged_hour_by_hour(self):
        volumes = {"seg_orig_bytes": 100, "seg_resp_bytes": 7}
        times = {"A": T, "B": T + 1, "C": T + HOUR, "D": T + 30 * HOUR}
        summaries = Summaries(config())
        for uid, at in times.items():
            add(summaries, connection(uid, at, **volumes))
        pairs = summaries.pair_hours().to_pylist()
        first = T // HOUR
        assert {(r["hour"] - first, r["connections"], r["orig_bytes"], r["resp_bytes"]) for r in pairs} == {
            (30, 1, 100, 7)
        }  # the others are no longer held
        whole = Summaries(config(hours=48))
        for uid, at in times.items():
            add(whole, connection(uid, at, **volumes))
        hours = {(r["hour"] - first, r["connections"], r["orig_bytes"]) for r in whole.pair_hours().to_pylist()}
        assert hours == {(0, 2, 200), (1, 1, 100), (30, 1, 100)}
        assert {r["pair"] for r in whole.pair_hours().to_pylist()} == set(
            whole.window().pairs.pair.to_pyarrow().to_pylist()
        )

    def test_what_hosts_exchanged_stays_for_a_week(self):
        summaries = Summaries(config(hours=2))
        volumes = {"orig_bytes": 100, "seg_orig_bytes": 100, "resp_bytes": 7, "seg_resp_bytes": 7}
        for i, hour in enumerate((0, 0, 1, 100, 167, 168)):
            add(summaries, connection("C" * (i + 1), T + hour * HOUR, **volumes))
        hosts = summaries.window().host_hours.to_pyarrow().to_pylist()
        first = T // HOUR
        assert {(r["hour"] - first, r["connections"], r["orig_bytes"]) for r in hosts} == {
            (1, 1, 100), (100, 1, 100), (167, 1, 100), (168, 1, 100),
        }  # fmt: skip

    def test_of_an_hour_that_lies_partly_before_the_window_hosts_are_known_whole(self):
        pieces = [Summaries(config(hours=3)), Summaries(config(hours=48))]
        whole = generate.batch(200, seed=3, hours=30)
        for summaries in pieces:
            for piece in generate.pieces(whole, 40):
                summaries.add(piece)
                summaries.flush()
        tables = [{"host_hours": s.window().host_hours.to_pyarrow()} for s in pieces]
        assert_same(*tables)
        assert tables[0]["host_hours"].num_rows

    def test_hours_of_hosts_have_a_bound(self, monkeypatch):
        monkeypatch.setattr(hours, "HOST_ROWS", 2)
        summaries = Summaries(config(hours=1))
        for i in range(6):
            add(summaries, connection("C" * (i + 1), T + i * HOUR))
        kept = {r["hour"] - T // HOUR for r in summaries.window().host_hours.to_pyarrow().to_pylist()}
        assert kept == {2, 3, 4, 5}
        assert summaries.counts.forgotten_hours == 2


class TestWindow:
    def test_reaches_back_from_the_latest_record_and_counts_what_lies_outside(self):
        summaries = Summaries(config(hours=2, dns_seen=False))
        times = (T - 1, T, T + HOUR, T + 2 * HOUR, T + 2 * HOUR + 5)
        add(summaries, *(connection("C" * (i + 1), at) for i, at in enumerate(times)))
        window = summaries.window()
        assert (window.start_us, window.end_us) == (T, T + 2 * HOUR + 6)
        assert window.pairs.to_pyarrow()["server"].to_pylist() != []
        assert set(window.pairs.to_pyarrow()["first_us"].to_pylist()) == set(times[1:])
        assert summaries.counts.outside == 1
        assert window.vantage == VantageSettings(dns_seen=False)

    def test_joins_the_hours(self):
        whole = generate.batch(300, seed=7, hours=4, clients=3, servers=8)
        summaries = Summaries(config())
        summaries.add(whole)
        window, held = summaries.window(), summaries.tables()
        assert window.pairs.schema().to_pyarrow().names == windows.TABLES["pairs"].names
        pairs = window.pairs.to_pyarrow()
        assert pairs.num_rows == len({tuple(r[k] for k in schema.PAIR) for r in held["pairs"].to_pylist()})
        for column in ("connections", "segments", "open_us", "orig_bytes"):
            assert sum(pairs[column].to_pylist()) == sum(held["pairs"][column].to_pylist())
        for table in ("samples", "starts"):
            assert getattr(window, table).count().to_pyarrow().as_py() == held[table].num_rows

    def test_is_the_same_when_it_is_joined_piece_by_piece(self, monkeypatch):
        whole = generate.batch(300, seed=8, hours=4, clients=6, servers=8)
        windows_made = []
        for rows in (hours.PIECE_ROWS, 70):
            monkeypatch.setattr(hours, "PIECE_ROWS", rows)
            summaries = Summaries(config(), batch_rows=200)
            for piece in generate.pieces(whole, 100):
                summaries.add(piece)
            window = summaries.window()
            windows_made.append({name: getattr(window, name).to_pyarrow() for name in ALL})
        assert_same(*windows_made)

    @pytest.mark.parametrize("rows_at_a_time", [40, 1000])
    def test_is_the_same_whether_pairs_are_kept_as_records_or_condensed(self, monkeypatch, rows_at_a_time):
        whole = generate.batch(300, seed=9, hours=3, clients=3, servers=4)
        bounds = hours.Bounds(samples=5, floors=100, starts=4, sets=2, leg_rows=12)
        windows_made = []
        for busy in (1_000_000, 7, 0):
            monkeypatch.setattr(held, "BUSY_ROWS", busy)
            monkeypatch.setattr(held, "_UNSETTLED_ROWS", 50)
            summaries = Summaries(config(), bounds, batch_rows=rows_at_a_time)
            for piece in generate.pieces(whole, 20):
                summaries.add(piece)
            window = summaries.window()
            made = {name: getattr(window, name).to_pyarrow() for name in ALL}
            # a connection's segments may tell a floor several times
            floors = made["floors"].group_by([c for c in made["floors"].column_names if c != "value_us"])
            made["floors"] = floors.aggregate([("value_us", "min")])
            windows_made.append((made, summaries.counts))
        for made, counts in windows_made[1:]:
            assert_same(made, windows_made[0][0])
            assert counts == windows_made[0][1]

    def test_does_not_change_when_records_come_later(self):
        summaries = Summaries(config())
        add(summaries, connection("A", T))
        window = summaries.window()
        add(summaries, connection("BB", T + 1))
        assert summaries.window().pairs.count().to_pyarrow().as_py() == 2
        assert window.pairs.count().to_pyarrow().as_py() == 1

    def test_of_no_records_is_empty(self):
        window = Summaries(config()).window()
        assert all(getattr(window, name).count().to_pyarrow().as_py() == 0 for name in ALL)

    def test_holds_the_types_that_are_declared(self):
        summaries = Summaries(config())
        summaries.add(generate.batch(30))
        window = summaries.window()
        for name, columns in windows.TABLES.items():
            assert getattr(window, name).to_pyarrow().schema.equals(columns), name

    @pytest.mark.parametrize(("connects_to", "relays"), [("203.0.113.1", True), ("192.0.2.1", False), (None, False)])
    def test_keeps_the_legs_of_hosts_that_accept_and_connect_elsewhere(self, connects_to, relays):
        ours = "10.0.0.9"
        near = connection("N", T, orig_h="192.0.2.1", resp_h=ours, local_orig=False, local_resp=True)
        far = [connection("F", T, orig_h=ours, resp_h=connects_to)] if connects_to else []
        summaries = Summaries(config())
        add(summaries, near, *far, connection("other", T))
        legs = summaries.window().legs.to_pyarrow().to_pylist()
        assert {leg["uid"] for leg in legs} == ({"N", "F"} if relays else set())

    def test_tells_of_dropped_legs(self):
        summaries = Summaries(config(), bounds=hours.Bounds(leg_rows=5))
        add(summaries, *(connection(f"C{i:02}", T) for i in range(9)))
        summaries.window()
        assert summaries.counts.dropped_legs == 9


def test_records_wait_until_there_are_enough_and_none_is_forgotten():
    summaries = Summaries(config(), batch_rows=10)
    for i in range(25):
        summaries.add(batch(connection(f"C{i:02}", T + i)))
    assert summaries.counts.connections == 20
    assert pa.compute.sum(summaries.tables()["pairs"]["connections"]).as_py() == 25


class TestHoursOfDay:
    """T starts an hour that is 23 of the day in UTC."""

    def windows(self, timezone="UTC", *of_day):
        told = Config(window=WindowSettings(hours=24, timezone=timezone))
        summaries = Summaries(told)
        rows = [connection("C" * (i + 1), T + i * HOUR, sni=f"n{i}.example") for i in range(5)]
        query = {"ts": T, "uid": "D", "sensor": "s", "client": "10.0.0.5", "query": "q.example"}
        add(summaries, *rows, queries=[{**query, "answers": ["192.0.2.1"]}])
        return summaries, [summaries.window(hours_of_day) for hours_of_day in of_day]

    def names(self, window):
        return {r["name"] for r in window.pairs.to_pyarrow().to_pylist()}

    def test_a_window_has_the_hours_that_start_in_them(self):
        first = T // HOUR % 24
        night = frozenset({first, (first + 2) % 24})
        _, (some, others, none) = self.windows("UTC", night, frozenset(range(24)) - night, frozenset())
        assert self.names(some) == {"n0.example", "n2.example"}
        assert self.names(others) == {"n1.example", "n3.example", "n4.example"}
        assert self.names(none) == set()
        assert {r["name"] for r in some.names.to_pyarrow().to_pylist()} == {"q.example"}
        assert others.names.to_pyarrow().num_rows == 0

    def test_hours_are_those_of_the_time_zone(self):
        # Kolkata is five and a half hours ahead: an hour that starts at x:00 starts at x+5:30 there
        there = frozenset({(T // HOUR + 5) % 24})
        _, (window,) = self.windows("Asia/Kolkata", there)
        assert self.names(window) == {"n0.example"}

    def test_what_is_known_and_counted_is_that_of_all_hours(self):
        summaries, (part,) = self.windows("UTC", frozenset({T // HOUR % 24}))
        whole = summaries.window()
        for known in ("first_seen", "host_hours"):
            rows = [sorted(map(str, getattr(w, known).to_pyarrow().to_pylist())) for w in (part, whole)]
            assert rows[0] == rows[1]
        assert (part.start_us, part.end_us, part.history_us) == (whole.start_us, whole.end_us, whole.history_us)
        before = Counts(**vars(summaries.counts))
        summaries.window(frozenset({1}))
        assert summaries.counts == before

    def test_all_hours_are_the_window(self):
        told = Config(window=WindowSettings(hours=24))
        summaries = Summaries(told)
        summaries.add(generate.batch(300, seed=8, hours=5))
        whole, same = summaries.window(), summaries.window(frozenset(range(24)))
        assert_same(*({n: getattr(w, n).to_pyarrow() for n in ALL} for w in (same, whole)))


class TestOtherSettings:
    def test_a_window_that_is_made_shorter_is_shorter_from_then_on(self):
        summaries = Summaries(config(hours=24))
        add(summaries, connection("A", T), connection("BB", T + 5 * HOUR))
        assert summaries.window().pairs.to_pyarrow().num_rows == 2
        summaries.use(config(hours=2))
        assert summaries.window().pairs.to_pyarrow()["server"].to_pylist() == ["198.51.100.2"]
        assert summaries.counts.outside == 1
        add(summaries, connection("CCC", T + 5 * HOUR + 1))
        assert summaries.counts.expired == 1
        assert {r["server"] for r in summaries.tables()["pairs"].to_pylist()} == {"198.51.100.2", "198.51.100.3"}
