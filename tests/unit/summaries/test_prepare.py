import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA
from hopscope.summaries import prepare
from support import generate

US = 1_700_003_600_123_456  # 23:13:20.123456, in epoch hour 472223


def connection(**values):
    row = {"ts": US, "seg_end": US + 1, "seg": 0, "uid": "C1", "sensor": "s", **values}
    return prepare.prepare_connections(pa.Table.from_batches([generate.records(CONNECTION_SCHEMA, [row])])).to_pylist()[
        0
    ]


class TestConnections:
    def test_has_the_declared_columns(self):
        batch = generate.batch(20, seed=1)
        connections = prepare.prepare_connections(pa.Table.from_batches([batch.connections]))
        assert connections.schema == prepare.CONNECTIONS
        assert prepare.prepare_dns(pa.Table.from_batches([batch.dns_queries])).schema == prepare.DNS_QUERIES

    def test_times_are_whole_microseconds_and_the_hour_is_that_of_the_segments_end(self):
        row = connection(seg_end=US + 3_600_000_000)
        assert (row["ts_us"], row["end_us"], row["hour"]) == (US, US + 3_600_000_000, US // 3_600_000_000 + 1)

    @pytest.mark.parametrize(
        ("asked", "name"),
        [
            ({"proxy_target": "Far.Example:443", "sni": "near.example"}, "far.example"),
            ({"proxy_target": "[2001:DB8::1]:443"}, "2001:db8::1"),
            ({"proxy_target": "2001:db8::1"}, "2001:db8::1"),
            ({"proxy_target": "192.0.2.1:80"}, "192.0.2.1"),
            ({"sni": "WWW.Example", "http_host": "other.example"}, "www.example"),
            ({"http_host": "Example:8080"}, "example"),
            ({"sni": ""}, None),
            ({"proxy_target": ":80"}, None),
            ({}, None),
        ],
    )
    def test_name_is_what_was_asked_for(self, asked, name):
        assert connection(**asked)["name"] == name

    def test_dns_name_is_lower_case(self):
        query = generate.records(DNS_QUERY_SCHEMA, [{"ts": US, "query": "WwW.Example"}])
        assert prepare.prepare_dns(pa.Table.from_batches([query]))["name"].to_pylist() == ["www.example"]


class TestHash:
    def test_is_the_same_everywhere(self):
        # a fixed number: summaries written elsewhere or earlier must keep their order
        identity = (pa.array(["sensor"]), pa.array(["CHhAvVGS1DHFjwGM9"]), pa.array([3]))
        assert prepare.hash_rows(*identity).tolist() == [2106004044772557972]

    @given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20), st.integers(0, 9)), min_size=1, max_size=30))
    def test_rows_have_equal_hashes_only_when_they_are_equal(self, identities):
        sensor, uid, seg = zip(*identities, strict=True)
        hashes = prepare.hash_rows(pa.array(sensor), pa.array(uid), pa.array(seg, pa.int32()))
        assert (hashes >= 0).all()
        assert len(set(hashes.tolist())) == len(set(identities))

    def test_does_not_depend_on_where_a_batch_was_cut(self):
        uids = pa.array([f"C{i}" * (i % 7) for i in range(50)])
        whole = prepare.hash_rows(uids)
        cut = [prepare.hash_rows(uids.slice(at, 13)) for at in range(0, 50, 13)]
        assert np.concatenate(cut).tolist() == whole.tolist()

    def test_takes_null_and_very_long_texts(self):
        hashes = prepare.hash_rows(pa.array([None, "", "x" * 10_000, "x" * 10_001]))
        assert len(set(hashes.tolist())) == 3
