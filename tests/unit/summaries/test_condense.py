"""What a record becomes in each table, on records written by hand."""

from hopscope.config import Config
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, Batch
from hopscope.summaries import Summaries
from hopscope.summaries.merge import BOUNDS, Bounds
from support import generate

HOUR = 3_600_000_000
T = 472_223 * HOUR + 60_000_000  # a minute into an hour
CLIENT, SERVER = "10.0.0.5", "198.51.100.7"


def connection(uid="C1", **values):
    row = {
        "ts": T, "seg_end": T + 2_000_000, "seg": 0, "final": True, "uid": uid, "sensor": "s", "proto": "tcp",
        "orig_h": CLIENT, "orig_p": 40_000, "resp_h": SERVER, "resp_p": 443, "local_orig": True, "local_resp": False,
        "conn_state": "SF", "orig_bytes": 100, "resp_bytes": 200, "orig_pkts": 3, "resp_pkts": 4,
        "seg_orig_bytes": 100, "seg_resp_bytes": 200, "seg_orig_pkts": 3, "seg_resp_pkts": 4,
    }  # fmt: skip
    return {**row, **values}


def tables(connections=(), queries=(), bounds=BOUNDS):
    summaries = Summaries(Config(), bounds=bounds)
    summaries.add(Batch(generate.records(CONNECTION_SCHEMA, connections), generate.records(DNS_QUERY_SCHEMA, queries)))
    return {name: table.to_pylist() for name, table in summaries.tables().items()}


class TestPairs:
    def test_sums_the_segments_and_counts_the_connection_once(self):
        second = connection(
            ts=T, seg=1, seg_end=T + 400_000_000, orig_bytes=150, seg_orig_bytes=50, seg_resp_bytes=None
        )
        first = connection(seg_end=T + 300_000_000, final=False)
        (pair,) = tables([second, first])["pairs"]
        assert pair == {
            "pair": pair["pair"],
            "sensor": "s", "client": CLIENT, "server": SERVER, "port": 443, "proto": "tcp", "name": None,
            "hour": T // HOUR, "client_local": True, "server_local": False, "connections": 1, "segments": 2,
            "established": 1, "failed": 0, "orig_bytes": 150, "resp_bytes": 200, "orig_pkts": 6, "resp_pkts": 8,
            "open_us": 400_000_000, "first_us": T, "last_us": T + 400_000_000,
        }  # fmt: skip

    def test_a_segment_belongs_to_the_hour_of_its_end(self):
        late = T + HOUR - 61_000_000  # the last second of the hour
        rows = [
            connection(ts=late, seg_end=late + 300_000_000, final=False),
            connection("C2", ts=late, seg_end=late + 999_999),
        ]
        assert {(p["hour"], p["connections"]) for p in tables(rows)["pairs"]} == {
            (T // HOUR + 1, 1),
            (T // HOUR, 1),
        }

    def test_unknown_sizes_stay_unknown(self):
        (pair,) = tables([connection(seg_orig_bytes=None)])["pairs"]
        assert (pair["orig_bytes"], pair["resp_bytes"]) == (None, 200)

    def test_established_means_that_the_responder_answered(self):
        def answered(**values):
            (pair,) = tables([connection(**values)])["pairs"]
            return pair["established"], pair["failed"]

        nothing = {"orig_bytes": None, "resp_bytes": None, "resp_pkts": 0}
        assert answered(conn_state="SF") == (1, 0)
        assert answered(conn_state="RSTR", **nothing) == (1, 0)
        assert answered(conn_state="OTH") == (1, 0)  # seen from the middle, data both ways
        assert answered(conn_state="OTH", **nothing) == (0, 0)
        assert answered(conn_state="S0", **nothing) == (0, 1)
        assert answered(conn_state="REJ", **nothing) == (0, 1)
        assert answered(conn_state="S0", final=False, **nothing) == (0, 0)
        assert answered(conn_state="SF", proto="udp") == (1, 0)
        assert answered(conn_state="S0", proto="udp", **nothing) == (0, 1)
        assert answered(conn_state=None, proto="udp", orig_pkts=0, resp_pkts=2) == (1, 0)


class TestFloors:
    def test_keeps_the_least_values_of_different_connections(self):
        rows = [
            connection("C1", tcp_rtt=0.020),
            connection("C1", seg=1, tcp_rtt=0.020, reply_p10=0.5),
            connection("C2", tcp_rtt=0.0100004),
            connection("C3", tcp_rtt=0.030),
            connection("C4"),
        ]
        floors = tables(rows, bounds=Bounds(floors=2))["floors"]
        assert {(f["measure"], f["value_us"], f["uid"]) for f in floors} == {
            ("tcp_rtt", 10_000, "C2"),
            ("tcp_rtt", 20_000, "C1"),
            ("reply_p10", 500_000, "C1"),
        }

    def test_leaves_out_what_is_no_span_of_time(self):
        rows = [connection(str(i), tcp_rtt=v) for i, v in enumerate((-0.1, float("nan"), float("inf"), 1e300))]
        assert tables(rows)["floors"] == []


class TestStarts:
    def test_keep_the_first_starts_in_order_of_time_and_uid(self):
        rows = [
            connection("C3", ts=T + 1),
            connection("C2"),
            connection("C1", ts=T + 2),
            connection("C4", ts=T + 1),
        ]
        starts = tables(rows, bounds=Bounds(starts=3))["starts"]
        assert {(s["ts_us"], s["uid"]) for s in starts} == {(T, "C2"), (T + 1, "C3"), (T + 1, "C4")}

    def test_the_calls_of_a_session_kept_open_are_starts_without_bytes(self):
        calls = [10.0, -10.5, 20.0, 30.0, -30.5, 40.0, 50.0, 60.0]
        rows = [
            connection("C1", seg=1, on_starts=calls),
            connection("C2", on_starts=calls[:-1]),  # five calls are no rhythm
            connection("C3", seg=1, on_starts=[float("nan")] * 9),
        ]
        starts = {(s["uid"], s["ts_us"], s["orig_bytes"]) for s in tables(rows)["starts"]}
        assert starts == {("C2", T, 100)} | {("C1", T + s * 1_000_000, None) for s in (10, 20, 30, 40, 50, 60)}


class TestSilences:
    KEYS = ("resumed", "resumed_by_resp", "asked_by_resp", "lull_ms", "lull_ms2")

    def of(self, on_starts):
        (sample,) = tables([connection(on_starts=on_starts)])["samples"]
        return tuple(sample[k] for k in self.KEYS)

    def test_who_broke_them_and_who_answered_at_once(self):
        # the originator asks; the responder asks and is answered; it speaks into the void; it asks again
        assert self.of([0.0, -0.1, 3.0, -3.1, -5.0, 5.125, -9.0, 9.375, -12.0, 12.25]) == (4, 3, 2, 4525, 10_500_625)

    def test_silence_is_half_a_second_at_least(self):
        assert self.of([0.0, -0.375, 0.5]) == (0, 0, 0, 0, 0)
        assert self.of([0.0, -0.5, 0.625]) == (1, 1, 1, 500, 250_000)

    def test_nothing_is_known_without_the_times(self):
        assert self.of(None) == (None,) * 5
        assert self.of([]) == self.of([0.0, -0.75]) == (0,) * 5

    def test_what_is_no_span_of_time_counts_for_nothing(self):
        for odd in ([float("nan")] * 5, [0.0, -1e300, 1e300, float("inf")], [5.0, -3.0, 2.0], [0.0, None, -2.0, 2.1]):
            assert self.of(odd) == (0,) * 5


class TestSets:
    def test_hold_each_value_with_its_connections(self):
        rows = [
            connection("C2", ja4="t13d", proxy_accepted=True),
            connection("C1", ja4="t13d"),
            connection("C1", seg=1, ja4="t13d", leaked_far_end="x:1"),
            connection("C3", ja4="t12d", proxy_accepted=False),
        ]
        sets = {(s["kind"], s["value"], s["connections"], s["uid"]) for s in tables(rows)["sets"]}
        assert sets == {
            ("ja4", "t13d", 2, "C1"),
            ("ja4", "t12d", 1, "C3"),
            ("leaked_far_end", "x:1", 0, "C1"),
            ("proxy_accepted", "true", 1, "C2"),
            ("proxy_accepted", "false", 1, "C3"),
        }

    def test_tell_whether_the_certificate_fits_the_name(self):
        certified = {"cert_subject": "CN=*.example.com", "cert_issuer": "CN=CA", "cert_self_signed": False}
        rows = [
            connection("C1", sni="www.example.com", **certified),
            connection("C2", sni="www.example.com", **certified | {"cert_self_signed": True}),
            connection("C3", sni="far.example", **certified),
            connection("C4", sni="www.example.com"),
            connection("C5", **certified),
        ]
        told = {(s["name"], s["value"], s["uid"]) for s in tables(rows)["sets"] if s["kind"] == "cert_fits"}
        assert told == {
            ("www.example.com", "true", "C1"), ("www.example.com", "false", "C2"), ("far.example", "false", "C3"),
        }  # fmt: skip

    def test_one_more_than_the_bound_tells_that_there_were_more(self):
        rows = [connection(str(i), ja4=f"j{i}") for i in range(20)]
        sets = tables(rows)["sets"]
        assert len(sets) == 17
        assert len({s["hash"] for s in sets}) == 17


class TestLegs:
    def test_a_monitored_host_accepts_and_connects(self):
        relayed = connection(orig_h="192.0.2.1", resp_h="10.0.0.5", local_orig=False, local_resp=True, on_starts=[1.5])
        (leg,) = tables([relayed])["legs"]
        assert leg == {
            "sensor": "s", "host": "10.0.0.5", "role": "accept", "uid": "C1", "seg": 0, "final": True,
            "peer": "192.0.2.1", "peer_port": 40_000, "own_port": 443, "proto": "tcp", "peer_local": False,
            "start_us": T, "end_us": T + 2_000_000, "in_bytes": 100, "out_bytes": 200, "on_starts": [1.5],
            "service": None, "name": None, "hour": T // HOUR, "bucket": T // 10_000_000,
        }  # fmt: skip
        (leg,) = tables([connection(sni="Far.example")])["legs"]
        assert (leg["host"], leg["role"], leg["peer"], leg["peer_port"]) == (CLIENT, "connect", SERVER, 443)
        assert (leg["own_port"], leg["in_bytes"], leg["out_bytes"], leg["name"]) == (40_000, 200, 100, "far.example")

    def test_between_monitored_hosts_each_has_its_own(self):
        legs = tables([connection(local_resp=True)])["legs"]
        assert {(leg["host"], leg["role"], leg["peer_local"]) for leg in legs} == {
            (CLIENT, "connect", True),
            (SERVER, "accept", True),
        }

    def test_what_was_not_answered_relays_nothing(self):
        rows = [
            connection("C1", conn_state="S0", resp_bytes=0),
            connection("C2", local_orig=False),
            connection("C3", proto="icmp"),
        ]
        assert tables(rows)["legs"] == []

    def test_short_queries_to_servers_that_pass_on_by_design_leave_none(self):
        short = [connection(f"C{service}", service=service, resp_p=53) for service in ("dns", "ntp", "smtp")]
        kept = [
            connection("Cweb", service="ssl"),
            connection("Cmore", service="dns,ssl"),
            connection("Clong", service="dns", final=False, seg_end=T + 300_000_000),
        ]
        assert {leg["uid"] for leg in tables([*short, *kept])["legs"]} == {"Cweb", "Cmore", "Clong"}

    def test_whole_buckets_drop_and_are_counted(self):
        rows = [connection(f"C{i}", ts=T + i * 1_000_000, seg_end=T + i * 1_000_000) for i in range(100)]
        result = tables(rows, bounds=Bounds(leg_rows=35))
        kept = [leg["bucket"] for leg in result["legs"]]
        assert len(kept) == 30
        assert {kept.count(bucket) for bucket in kept} == {10}
        assert sum(b["rows"] for b in result["leg_buckets"]) == 100

    def test_the_bound_is_each_hosts_own(self):
        rows = [connection(f"C{i}", orig_h=f"10.0.0.{i % 2}") for i in range(20)]
        assert len(tables(rows, bounds=Bounds(leg_rows=10))["legs"]) == 20


class TestNames:
    def query(self, **values):
        row = {"ts": T, "uid": "D1", "sensor": "s", "client": CLIENT, "resolver": "10.0.0.1", "query": "A.example"}
        return {**row, **values}

    def test_which_name_led_to_which_address_and_until_when(self):
        rows = [
            self.query(answers=["b.example", "192.0.2.1", "2001:db8::1"], ttls=[9.0, 60.0, 30.0], rtt=0.5),
            self.query(ts=T + 10_000_000, answers=["192.0.2.1"], ttls=[5.0], rtt=0.5),
        ]
        names = {n["address"]: n for n in tables(queries=rows)["names"]}
        assert names.keys() == {"192.0.2.1", "2001:db8::1"}
        assert names["192.0.2.1"] == {
            "sensor": "s", "client": CLIENT, "name": "a.example", "address": "192.0.2.1", "hour": T // HOUR,
            "first_us": T + 500_000, "last_us": T + 10_500_000, "until_us": T + 60_500_000, "answers": 2,
        }  # fmt: skip

    def test_answers_without_times_to_live_count_and_others_do_not(self):
        rows = [
            self.query(answers=["192.0.2.1"]),
            self.query(ts=T + 1, answers=["192.0.2.2"], ttls=[]),
            self.query(ts=T + 2, answers=["TXT 5 a:b:c", "<unknown type=65>"], ttls=[1.0, 1.0]),
            self.query(ts=T + 3, answers=[], ttls=[]),
            self.query(ts=T + 4),
        ]
        names = tables(queries=rows)["names"]
        assert {(n["address"], n["until_us"]) for n in names} == {("192.0.2.1", T), ("192.0.2.2", T + 1)}
