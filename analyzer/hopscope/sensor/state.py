"""The tables of open connections: all that the compiled tracker keeps, in one record.

A slot per open connection, two endpoints per slot (2*slot sent the first packet), side tables for what few
connections need (holes in the stream, first bytes, reply times), a heap of timers, and the rows on their
way out. One record of fixed size, because compiled code takes it as one pointer: the operating system gives
memory to the parts that are touched, free rows are reused last in, first out, so that few are. When a table
is full, connections end early or go without; both are counted.
"""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

HISTORY = 48  # letters kept of a connection's history
BLOCK = 2048  # bytes in a block of first bytes
ORIG_BLOCKS, RESP_BLOCKS = 4, 8  # blocks of first bytes kept of each direction
ORIG_BOUND, RESP_BOUND = ORIG_BLOCKS * BLOCK, RESP_BLOCKS * BLOCK
DATAGRAMS = 4  # first datagrams kept of each direction of UDP
MARKS = 24  # times at which the stream grew within its first bytes, kept of each direction
TLS_SIZES = 25  # TLS records whose sizes are kept
HOLES = 24  # out-of-order pieces kept of each direction
REPLIES = 128  # reply times kept of a connection
ON_STARTS = 256  # on_starts kept of a segment
MAX_DEPTH = 4  # tunnels around a connection
NEVER = np.int64(1) << 62  # an offset that no stream reaches

# rows of each table
OPEN = 1 << 18  # connections
INDEX = 1 << 20
TIMERS = 1 << 21
EARLIES = 1 << 17  # connections with payload
BLOCK_ROWS = 1 << 17
HOLE_ROWS = 1 << 14
REPLY_ROWS = 1 << 16
ON_NODES = 1 << 21
OUT_ROWS = 4096
OUT_BYTES, OUT_INTS, OUT_FLOATS, OUT_LONGS = OUT_ROWS * 2048, OUT_ROWS * 32, OUT_ROWS * 64, OUT_ROWS * 64
DNS_ROWS = 16384
PARENT_ROWS = 4096

# A packet as the tracker takes it; `slot` is the tracker's.
PACKET = np.dtype(
    [
        ("src_hi", "u8"), ("src_lo", "u8"), ("dst_hi", "u8"), ("dst_lo", "u8"),
        ("ts", "i8"), ("payload_off", "i8"), ("seq", "u4"), ("ack", "u4"),
        ("payload_len", "i4"), ("payload_cap", "i4"), ("ip_bytes", "i4"), ("outer", "i4"), ("slot", "i4"),
        ("sport", "u2"), ("dport", "u2"), ("window", "u2"),
        ("version", "u1"), ("proto", "u1"), ("flags", "u1"), ("carrier", "u1"), ("bad_checksum", "u1"),
    ],
    align=True,
)  # fmt: skip

# An open connection. Times are nanoseconds since the epoch, -1 when unknown.
CONN = np.dtype(
    [
        ("uid_a", "u8"), ("uid_b", "u8"), ("a_hi", "u8"), ("a_lo", "u8"), ("b_hi", "u8"), ("b_lo", "u8"),
        ("hash", "i8"), ("serial", "i8"), ("start", "i8"), ("last", "i8"), ("timeout", "i8"), ("missed", "i8"),
        ("syn_at", "i8"), ("synack_at", "i8"), ("ack_at", "i8"), ("orig_at", "i8"),
        ("first_at", "i8"), ("first_end", "i8"), ("first_reply", "i8"), ("fin_at", "i8"), ("close_rtt", "i8"),
        ("request_at", "i8"), ("request_end", "i8"), ("seg_end", "i8"),
        ("seg_orig_bytes", "i8"), ("seg_resp_bytes", "i8"), ("seg_orig_pkts", "i8"), ("seg_resp_pkts", "i8"),
        ("gen", "i4"), ("seen", "u4"), ("seg", "i4"), ("early", "i4"), ("replies", "i4"), ("reply_row", "i4"),
        ("on_head", "i4"), ("on_tail", "i4"), ("on_count", "i4"), ("syns", "i4"), ("synacks", "i4"),
        ("first_len", "i4"), ("first_run", "i4"), ("first_bits", "f4"), ("first_printable", "f4"),
        ("a_port", "u2"), ("b_port", "u2"),
        ("proto", "u1"), ("version", "u1"), ("kind", "u1"), ("one_way", "u1"), ("flip", "u1"), ("active", "u1"),
        ("partial", "u1"), ("packet_seen", "u1"), ("deferred", "u1"), ("timers", "u1"), ("first_head", "u1"),
        ("speaker", "u1"), ("first_state", "u1"), ("first_bad", "u1"), ("request", "u1"), ("request_bad", "u1"),
        ("content", "u1"), ("dns", "u1"), ("ssh", "u1"), ("depth", "u1"), ("letters", "u1"),
        ("history", "u1", (HISTORY,)),
    ],
    align=True,
)  # fmt: skip

# One end of a connection. Sequence numbers as in Zeek: `start` that of the SYN, relative ones count from it.
END = np.dtype(
    [
        ("start", "i8"), ("last", "i8"), ("ack", "i8"), ("fin_seq", "i8"), ("reassembled", "i8"), ("trimmed", "i8"),
        ("upper", "i8"), ("syn_hist", "i8"), ("fin_hist", "i8"), ("rst_hist", "i8"), ("bytes", "i8"), ("pkts", "i8"),
        ("ip_bytes", "i8"), ("fresh_end", "i8"), ("payload_at", "i8"),
        ("seq_wraps", "i4"), ("ack_wraps", "i4"), ("fins", "i4"), ("holes", "i4"),
        ("zeros", "i4"), ("zeros_next", "i4"), ("again", "i4"), ("again_next", "i4"), ("gaps", "i4"),
        ("gaps_next", "i4"), ("bad", "i4"), ("bad_next", "i4"),
        ("state", "u1"), ("before", "u1"), ("closed", "u1"), ("eof", "u1"), ("skip", "u1"),
    ],
    align=True,
)  # fmt: skip

# What is kept of a connection's first bytes and of its TLS records; offsets are stream offsets from 0.
EARLY = np.dtype(
    [
        ("c_pos", "i8"), ("s_pos", "i8"), ("c_from", "i8"), ("s_from", "i8"), ("c_start", "i8"), ("fin_at", "i8"),
        ("finished_rtt", "i8"), ("mark_at", "i8", (2 * MARKS,)), ("mark_end", "i4", (2 * MARKS,)),
        ("block", "i4", (ORIG_BLOCKS + RESP_BLOCKS,)), ("size", "i4", (TLS_SIZES,)),
        ("orig_len", "i4"), ("resp_len", "i4"), ("orig_stop", "i4"), ("resp_stop", "i4"),
        ("orig_marks", "i4"), ("resp_marks", "i4"), ("ticket", "i4"), ("sizes", "i4"), ("head", "u1", (12,)),
        ("c_have", "u1"), ("s_have", "u1"), ("c_state", "u1"), ("s_state", "u1"), ("tls", "u1"), ("tls13", "u1"),
        ("tickets", "u1"), ("fin_wait", "u1"), ("c_extra", "u1"), ("turn", "u1"),
    ],
    align=True,
)  # fmt: skip

# A row that leaves the tracker. kind: 0 final, 1 end of a segment, 2 first bytes only. -1 is unset.
OUT = np.dtype(
    [
        ("uid_a", "u8"), ("uid_b", "u8"), ("o_hi", "u8"), ("o_lo", "u8"), ("r_hi", "u8"), ("r_lo", "u8"),
        ("serial", "i8"), ("ts", "i8"), ("seg_end", "i8"), ("duration", "i8"),
        ("orig_bytes", "i8"), ("resp_bytes", "i8"), ("orig_pkts", "i8"), ("resp_pkts", "i8"),
        ("orig_ip_bytes", "i8"), ("resp_ip_bytes", "i8"), ("missed_bytes", "i8"),
        ("seg_orig_bytes", "i8"), ("seg_resp_bytes", "i8"), ("seg_orig_pkts", "i8"), ("seg_resp_pkts", "i8"),
        ("tcp_rtt", "i8"), ("client_rtt", "i8"), ("finished_rtt", "i8"), ("first_reply", "i8"), ("pause", "i8"),
        ("close_rtt", "i8"), ("reply_p10", "f8"), ("first_bits", "f8"), ("first_printable", "f8"),
        ("history_at", "i4"), ("sizes_at", "i4"), ("sizes", "i4"), ("on_at", "i4"), ("on", "i4"),
        ("orig_at", "i4"), ("orig_len", "i4"), ("resp_at", "i4"), ("resp_len", "i4"),
        ("marks_at", "i4"), ("orig_marks", "i4"), ("resp_marks", "i4"),
        ("seg", "i4"), ("replies", "i4"), ("first_len", "i4"), ("first_run", "i4"),
        ("o_port", "u2"), ("r_port", "u2"),
        ("kind", "u1"), ("proto", "u1"), ("version", "u1"), ("transport", "u1"), ("state", "u1"), ("letters", "u1"),
        ("first_head", "u1"), ("speaker", "u1"), ("content", "u1"), ("dns", "u1"), ("depth", "u1"), ("partial", "u1"),
    ],
    align=True,
)  # fmt: skip

DNS_ROW = np.dtype(
    [
        ("uid_a", "u8"), ("uid_b", "u8"), ("o_hi", "u8"), ("o_lo", "u8"), ("r_hi", "u8"), ("r_lo", "u8"),
        ("serial", "i8"), ("ts", "i8"), ("at", "i8"), ("len", "i4"), ("o_port", "u2"), ("r_port", "u2"),
        ("version", "u1"), ("from_orig", "u1"),
    ],
    align=True,
)  # fmt: skip

PARENT_ROW = np.dtype([("uid_a", "u8"), ("uid_b", "u8"), ("serial", "i8"), ("level", "i4")], align=True)

TIMER = np.dtype([("at", "i8"), ("tag", "i8"), ("slot", "i4")], align=True)
ON_NODE = np.dtype([("value", "f8"), ("next", "i4")], align=True)


def _pool(name: str, rows: int) -> list[tuple[str, str] | tuple[str, str, tuple[int]]]:
    """Fields of a table whose rows are reused: a stack of free rows, its height, rows ever used."""
    return [(f"{name}_free", "i4", (rows,)), (f"{name}_frees", "i8"), (f"{name}_used", "i8")]


TABLES = np.dtype(
    [
        ("seed", "u8"), ("key", "u8"), ("now", "i8"), ("serial", "i8"), ("open_most", "i8"), ("open", "i8"),
        ("timers", "i8"), ("outs", "i8"), ("bytes", "i8"), ("ints", "i8"), ("floats", "i8"), ("longs", "i8"),
        ("dns_rows", "i8"), ("parents", "i8"), ("evicted", "i8"), ("starved", "i8"),
        *_pool("conn", OPEN), *_pool("early", EARLIES), *_pool("block", BLOCK_ROWS), *_pool("hole", HOLE_ROWS),
        *_pool("reply", REPLY_ROWS), *_pool("on", ON_NODES),
        ("blank_conn", CONN, (1,)), ("blank_end", END, (1,)), ("blank_early", EARLY, (1,)), ("blank_out", OUT, (1,)),
        ("likely", "u1", (2, 65536)),  # [tcp or udp, port]: likely server ports
        ("conn", CONN, (OPEN,)), ("end", END, (2 * OPEN,)), ("index", "i4", (INDEX,)), ("timer", TIMER, (TIMERS,)),
        ("early", EARLY, (EARLIES,)), ("block", "u1", (BLOCK_ROWS, BLOCK)),
        ("hole", "i8", (HOLE_ROWS, 2 * HOLES)), ("hole_count", "i4", (HOLE_ROWS,)),
        ("reply", "f4", (REPLY_ROWS, REPLIES)), ("on", ON_NODE, (ON_NODES,)),
        ("out", OUT, (OUT_ROWS,)), ("out_bytes", "u1", (OUT_BYTES,)), ("out_ints", "i4", (OUT_INTS,)),
        ("out_floats", "f8", (OUT_FLOATS,)), ("out_longs", "i8", (OUT_LONGS,)),
        ("dns", DNS_ROW, (DNS_ROWS,)), ("parent", PARENT_ROW, (PARENT_ROWS,)),
    ],
    align=True,
)  # fmt: skip

# Likely server ports of Zeek 8's default scripts (likely_server_ports), without its Spicy analyzers.
LIKELY_TCP = (
    21, 22, 25, 53, 79, 80, 81, 88, 135, 139, 143, 443, 445, 502, 563, 585, 587, 614, 631, 636, 989, 990, 992, 993, 995,
    1080, 1883, 2811, 3128, 3389, 5222, 5223, 5269, 6666, 6667, 6668, 6669, 8000, 8080, 8888, 20000,
)  # fmt: skip
LIKELY_UDP = (
    53, 67, 88, 123, 137, 161, 162, 443, 514, 1812, 2123, 2152, 3389, 3544, 4789, 5060, 5072, 5353, 5355, 6081, 20000,
)  # fmt: skip


# How a row begins where that isn't zero.
CONN_BLANK = dict.fromkeys(
    ("syn_at", "synack_at", "ack_at", "orig_at", "first_at", "first_reply", "fin_at", "close_rtt", "request_at",
     "early", "reply_row", "on_head", "on_tail", "first_len"), -1,
) | {"active": 1}  # fmt: skip
END_BLANK = {
    "reassembled": 1, "trimmed": 1, "upper": 1, "payload_at": -1, "holes": -1,
    "zeros_next": 1, "again_next": 1, "gaps_next": 1, "bad_next": 1,
}  # fmt: skip
EARLY_BLANK = {
    "s_pos": -1, "c_from": int(NEVER), "s_from": int(NEVER), "fin_at": -1, "finished_rtt": -1, "block": -1,
    "orig_stop": ORIG_BOUND, "resp_stop": RESP_BOUND,
}  # fmt: skip
OUT_BLANK = dict.fromkeys(
    ("duration", "orig_bytes", "resp_bytes", "seg_orig_bytes", "seg_resp_bytes", "tcp_rtt", "client_rtt",
     "finished_rtt", "first_reply", "pause", "close_rtt"), -1,
)  # fmt: skip


def new_tables(seed: int, most_open: int = OPEN) -> NDArray[np.void]:
    """Empty tables (an array of one). `seed` goes into the uids; `most_open` connections are kept at most."""
    tables = np.zeros(1, TABLES)
    t = tables[0]
    t["key"] = secrets.randbits(64)
    t["seed"], t["open_most"], t["now"] = seed, min(most_open, OPEN), np.iinfo(np.int64).min // 2
    t["likely"][0, list(LIKELY_TCP)] = 1
    t["likely"][1, list(LIKELY_UDP)] = 1
    _fill(t["blank_conn"][0], CONN_BLANK)
    _fill(t["blank_end"][0], END_BLANK)
    _fill(t["blank_early"][0], EARLY_BLANK)
    _fill(t["blank_out"][0], OUT_BLANK)
    return tables


def _fill(record: np.void, values: dict[str, int]) -> None:
    for name, value in values.items():
        record[name] = value
