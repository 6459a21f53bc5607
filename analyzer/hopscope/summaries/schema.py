"""The summary tables: their columns, bounds and how each merges.

Times are int64 microseconds since the epoch (UTC), so that sums and comparisons are exact on every
engine. `hour` is the epoch hour of a row's `seg_end` (of `ts` for DNS). A pair is
(sensor, client, server, port, proto, name); `client` is the connection's originator and `name` what it
asked for: SNI, HTTP host, CONNECT or SOCKS target, null when none.
"""

from __future__ import annotations

import pyarrow as pa

PAIR: tuple[str, ...] = ("sensor", "client", "server", "port", "proto", "name")
KEY: tuple[str, ...] = ("pair", *PAIR)  # `pair` is a number for PAIR, so that tables join by one column

SAMPLE_ROWS = 64  # connections kept per pair and hour, those with the least hash
FLOOR_ROWS = 8  # least values kept per pair, hour and measure
START_ROWS = 256  # first connection starts kept per pair and hour, in order
SESSION_CALLS = 6  # calls within one segment of a connection from which they count as starts of their own
SET_ROWS = 16  # least hashes kept per pair, hour and kind; one more tells that there were more
LEG_ROWS = 20_000  # leg rows kept per host and hour; whole 10-second buckets drop beyond
LEG_BUCKET_SECONDS = 10
SILENCE_SECONDS = 0.5  # without payload in one direction: what `on_starts` takes for silence
ANSWER_SECONDS = 0.25  # the far side spoke, and nobody could have read it, thought and typed before that

_T, _I, _F, _B = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_KEY: list[tuple[str, pa.DataType]] = [
    ("pair", _I),
    ("sensor", _T), ("client", _T), ("server", _T), ("port", pa.int32()), ("proto", _T), ("name", _T),
]  # fmt: skip

TABLES: dict[str, pa.Schema] = {
    # sums, first and last times; merges by sum, min, max, or
    "pairs": pa.schema([
        *_KEY, ("hour", _I),
        ("client_local", _B), ("server_local", _B),
        ("connections", _I),  # counted at segment 0
        ("segments", _I),
        ("established", _I),  # connections whose responder answered (TCP: a handshake or data both ways)
        ("failed", _I),  # finished connections refused or never answered
        ("orig_bytes", _I), ("resp_bytes", _I), ("orig_pkts", _I), ("resp_pkts", _I),  # sums of the segments' deltas
        ("open_us", _I),  # time the connections were open, summed
        ("first_us", _I), ("last_us", _I),  # least ts, greatest seg_end
    ]),
    # values of one connection stay together; merges by union, SAMPLE_ROWS rows of least hash
    "samples": pa.schema([
        *_KEY, ("hour", _I), ("hash", _I), ("uid", _T), ("seg", pa.int32()), ("client_port", pa.int32()), ("ts_us", _I), ("end_us", _I),
        ("service", _T), ("conn_state", _T), ("orig_bytes", _I), ("resp_bytes", _I), ("duration", _F),
        ("tcp_rtt", _F), ("client_rtt", _F), ("hello_rtt", _F), ("finished_rtt", _F), ("first_reply", _F), ("reply_p10", _F),
        ("replies", _I), ("pause", _F), ("close_rtt", _F), ("first_speaker", _T), ("first_len", _I), ("first_bits", _F),
        ("first_printable", _F), ("first_run", _I), ("first_head_printable", _B), ("tls_sizes", pa.list_(pa.int32())),
        # of this segment alone, from on_starts; null without it:
        ("resumed", _I),  # silences of SILENCE_SECONDS and more that either side broke
        ("resumed_by_resp", _I),  # of those, the ones that the responder broke
        ("asked_by_resp", _I),  # of those, the ones that the originator answered within ANSWER_SECONDS
        ("lull_ms", _I), ("lull_ms2", _I),  # the silences before asked_by_resp: sum and sum of squares, each at most 1000 s
    ]),
    # least values with their uid; measures: tcp_rtt, client_rtt, hello_rtt, finished_rtt, first_reply, reply_p10
    "floors": pa.schema([*_KEY, ("hour", _I), ("measure", _T), ("value_us", _I), ("uid", _T)]),
    # first starts of connections in order, and of exchanges in sessions kept open (bytes null);
    # merges by union, START_ROWS rows of least (ts_us, uid)
    "starts": pa.schema([*_KEY, ("hour", _I), ("ts_us", _I), ("uid", _T), ("orig_bytes", _I), ("resp_bytes", _I)]),
    # kinds: service, ja4, server_hello, cert_sha256, cert_subject, ssh_host_key, ssh_server, ssh_client, alpn,
    # user_agent, proxy_protocol, proxy_target, proxy_accepted, leaked_far_end,
    # cert_fits (true: issued to the name asked for; false: its subject names another, or nobody else signed it);
    # merges by union, SET_ROWS + 1 of least hash
    "sets": pa.schema([*_KEY, ("hour", _I), ("kind", _T), ("value", _T), ("hash", _I), ("uid", _T), ("connections", _I)]),
    # one row per segment through a host of ours; role accept or connect; bytes as the host sees them
    "legs": pa.schema([
        ("sensor", _T), ("host", _T), ("role", _T), ("uid", _T), ("seg", pa.int32()), ("final", _B),
        ("peer", _T), ("peer_port", pa.int32()), ("own_port", pa.int32()), ("proto", _T), ("peer_local", _B),
        ("start_us", _I), ("end_us", _I), ("in_bytes", _I), ("out_bytes", _I), ("on_starts", pa.list_(pa.float64())),
        ("service", _T), ("name", _T), ("hour", _I), ("bucket", _I),
    ]),
    # how many leg rows each bucket had, dropped ones included: two legs of a relay live or die together
    "leg_buckets": pa.schema([("sensor", _T), ("host", _T), ("hour", _I), ("bucket", _I), ("rows", _I)]),
    # which name led to which address; until_us is the answer's time plus its TTL, the latest seen
    "names": pa.schema([
        ("sensor", _T), ("client", _T), ("name", _T), ("address", _T), ("hour", _I),
        ("first_us", _I), ("last_us", _I), ("until_us", _I), ("answers", _I),
    ]),
}  # fmt: skip

OF_PAIRS = tuple(name for name, columns in TABLES.items() if name != "pairs" and "pair" in columns.names)
"""The tables beside `pairs` that have the pair's number and columns in each row."""

# The window holds the same tables merged over its hours, without `hour` (legs and leg_buckets keep it).
