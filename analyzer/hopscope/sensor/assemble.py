"""Rows of the tracker to records: dissectors on the first bytes, then whole columns at a time."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hopscope.records import CONNECTION_SCHEMA, Batch
from hopscope.sensor import dissect, emit, names
from hopscope.sensor.dissect import dns, dnstcp
from hopscope.sensor.dnslog import DnsLog
from hopscope.sensor.state import OUT
from hopscope.sensor.track import Rows

BATCH_ROWS = 8192

_PROTO = np.array(["", "tcp", "udp", "icmp", "unknown_transport"])
_STATES = pa.array(emit.STATES)
_TRANSPORTS = pa.array(_PROTO)
_SPEAKERS = pa.array([None, "orig", "resp"])
_SAID = (
    "sni", "alpn", "tls_version", "ja4", "server_hello", "cert_subject", "cert_issuer", "cert_sha256",
    "cert_self_signed", "resumed", "ssh_client", "ssh_server", "ssh_host_key", "http_host", "http_method",
    "user_agent", "proxy_protocol", "proxy_target", "proxy_accepted", "leaked_far_end",
)  # fmt: skip
_NS = ("tcp_rtt", "client_rtt", "finished_rtt", "first_reply", "pause", "close_rtt")
_COUNTS = (
    "orig_bytes", "resp_bytes", "seg_orig_bytes", "seg_resp_bytes", "orig_pkts", "resp_pkts", "orig_ip_bytes",
    "resp_ip_bytes", "missed_bytes", "seg_orig_pkts", "seg_resp_pkts",
)  # fmt: skip

# What the first bytes said: the values of _SAID, the services, hello_rtt in ns (-1 when unknown). Plain tuples,
# not Facts, are kept, for the garbage collector passes them over.
Said = tuple[tuple[Any, ...], str | None, int]

_values = attrgetter(*_SAID)
_SILENT: Said = (_values(dissect.Facts()), None, -1)


class Assembler:
    """Gathers the tracker's rows and makes batches of records of them."""

    def __init__(self, sensor: str, addresses: names.Addresses) -> None:
        self._sensor, self._addresses = sensor, addresses
        self._dns = DnsLog(sensor, addresses)
        self._said: dict[int, Said] = {}  # of open connections whose first bytes came early
        self._parents: dict[int, list[tuple[int, int]]] = {}
        self._pending: list[_Piece] = []
        self._rows = 0

    def add(self, rows: Rows) -> Iterator[Batch]:
        """Take in what the tracker let go; yields batches when enough has come together."""
        for a, b, serial, _level in rows.parents.tolist():
            self._parents.setdefault(serial, []).append((a, b))
        self._dns.datagrams(rows.dns, rows.data)
        if rows.out.shape[0]:
            piece = self._piece(rows)
            self._pending.append(piece)
            self._rows += piece.out.shape[0]
        if self._rows + len(self._dns) >= BATCH_ROWS:
            yield self.flush()

    def flush(self) -> Batch:
        """All that has come together so far."""
        pieces, self._pending, self._rows = self._pending, [], 0
        return Batch(_connections(pieces, self._sensor, self._addresses), self._dns.take())

    def _piece(self, rows: Rows) -> _Piece:
        """Dissect, and keep the rows that become records."""
        kinds = rows.out["kind"]
        said: list[Said] = []
        parents: list[list[tuple[int, int]] | None] = []
        contents = _Contents(rows)
        for i, (kind, serial, content, is_dns) in enumerate(
            zip(kinds.tolist(), *(rows.out[c].tolist() for c in ("serial", "content", "dns")), strict=True)
        ):
            final = kind == emit.FINAL
            if content:
                facts = self._dissect(contents, i, kind != emit.SEGMENT)
                if final:
                    self._said.pop(serial, None)
                else:
                    self._said[serial] = facts
            elif self._said:
                facts = (self._said.pop if final else self._said.get)(serial, _SILENT) or _SILENT
            else:
                facts = _SILENT
            if kind == emit.CONTENT:
                continue
            if final and self._dns.ended(serial) and is_dns:
                facts = (facts[0], "dns", facts[2])
            said.append(facts)
            parents.append((self._parents.pop if final else self._parents.get)(serial, None) if self._parents else None)
        return _Piece(rows.out[kinds != emit.CONTENT], rows, said, parents)

    def _dissect(self, contents: _Contents, i: int, last: bool) -> Said:
        """What the first bytes of row i say; `last`: they don't come again."""
        if contents.transport[i] == emit.TCP:
            orig, resp = contents.streams(i)
            facts = dissect.tcp(orig, resp, contents.o_port[i], contents.r_port[i], bool(contents.partial[i]))
            if last and "dns" in facts.services:
                self._dns_messages(contents, i, contents.dns_stream(i))
            hello_rtt = -1
            if facts.hello_at is not None and facts.server_hello_at is not None and not facts.flipped:
                asked, answered = contents.times(i)
                hello_rtt = _between(_time_of(asked, facts.hello_at), _time_of(answered, facts.server_hello_at))
            return _values(facts), ",".join(facts.services) or None, hello_rtt
        sent, received = contents.datagrams(i)
        facts = dissect.udp([d for _, d in sent], [d for _, d in received], contents.o_port[i], contents.r_port[i])
        if last and "dns" in facts.services:
            self._dns_messages(contents, i, [(ts, dns.parse(d)) for ts, d in sorted(sent + received)])
        return _values(facts), ",".join(facts.services) or None, -1

    def _dns_messages(self, contents: _Contents, i: int, messages: list[tuple[int, dns.DnsMessage | None]]) -> None:
        row = contents.out[i : i + 1]
        client, resolver = (self._addresses.lookup(row["version"], row[f"{r}_hi"], row[f"{r}_lo"])[0][0] for r in "or")
        key = int(row["serial"][0]), int(row["uid_a"][0]), int(row["uid_b"][0])
        self._dns.stream(key, client, resolver, messages)


Marks = list[tuple[int, int]]  # (stream offset, or size of a datagram; time in ns)


class _Contents:
    """The first bytes that came with rows of the tracker."""

    def __init__(self, rows: Rows) -> None:
        self.out, self._raw = rows.out, memoryview(rows.bytes)  # type: ignore[arg-type]
        self._longs: list[int] = rows.longs.tolist()
        columns = (rows.out[c].tolist() for c in ("transport", "o_port", "r_port", "partial"))
        self.transport, self.o_port, self.r_port, self.partial = columns
        self._bytes = rows.out[["orig_at", "orig_len", "resp_at", "resp_len"]].tolist()
        self._marks = rows.out[["marks_at", "orig_marks", "resp_marks"]].tolist()

    def streams(self, i: int) -> tuple[bytes, bytes]:
        """The first bytes of both directions of TCP."""
        orig_at, orig_len, resp_at, resp_len = self._bytes[i]
        return bytes(self._raw[orig_at : orig_at + orig_len]), bytes(self._raw[resp_at : resp_at + resp_len])

    def times(self, i: int) -> tuple[Marks, Marks]:
        """When which part of them was there."""
        at, orig, resp = self._marks[i]
        pairs = self._longs[at : at + 2 * (orig + resp)]
        marks = list(zip(pairs[::2], pairs[1::2], strict=True))
        return marks[:orig], marks[orig:]

    def datagrams(self, i: int) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
        """The first datagrams of both directions of UDP with their times."""
        both = []
        for at, marks in zip((self._bytes[i][0], self._bytes[i][2]), self.times(i), strict=True):
            found = []
            for size, ts in marks:
                found.append((ts, bytes(self._raw[at : at + size])))
                at += size
            both.append(found)
        return both[0], both[1]

    def dns_stream(self, i: int) -> list[tuple[int, dns.DnsMessage | None]]:
        """The messages of DNS over TCP at the times they were complete, in order of time."""
        found = []
        for stream, marks in zip(self.streams(i), self.times(i), strict=True):
            for message, end in dnstcp.messages(stream):
                ts = _time_of(marks, end)
                if ts is not None:
                    found.append((ts, message))
        return sorted(found, key=lambda m: m[0])


def _time_of(marks: Marks, offset: int) -> int | None:
    """When the stream was there up to `offset`."""
    for end, ts in marks:
        if end >= offset:
            return ts
    return None


def _between(asked: int | None, answered: int | None) -> int:
    """Nanoseconds from one to the other, -1 when unknown."""
    return answered - asked if asked is not None and answered is not None and answered >= asked else -1


class _Piece:
    """Rows that become records, with copies of what they point to."""

    def __init__(
        self,
        out: NDArray[np.void],
        rows: Rows,
        said: list[Said],
        parents: list[list[tuple[int, int]] | None],
    ) -> None:
        self.out, self.said, self.parents = out, said, parents
        self.history = _gather(rows.bytes, out["history_at"], out["letters"])
        self.sizes = _gather(rows.ints, out["sizes_at"], out["sizes"])
        self.on = _gather(rows.floats, out["on_at"], out["on"])


def _gather(values: NDArray[Any], at: NDArray[np.int32], count: NDArray[Any]) -> NDArray[Any]:
    """values[at[i] : at[i] + count[i]] of all i, one behind another."""
    n = count.astype(np.int64)
    ends = np.cumsum(n)
    total = int(ends[-1]) if n.size else 0
    index = np.arange(total) - np.repeat(ends - n, n) + np.repeat(at.astype(np.int64), n)
    return values[index]


def _offsets(count: NDArray[Any]) -> pa.Array:
    ends = np.zeros(count.shape[0] + 1, np.int32)
    np.cumsum(count, out=ends[1:])
    return pa.array(ends)


def _lists(count: NDArray[Any], values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Lists; null where there is none."""
    offsets = _offsets(count)
    return pa.ListArray.from_arrays(offsets, pa.array(values, kind.value_type), type=kind, mask=pa.array(count == 0))


def _texts(count: NDArray[Any], letters: NDArray[np.uint8]) -> pa.Array:
    """Strings; null where empty."""
    buffers = [pa.py_buffer(np.packbits(count > 0, bitorder="little")), _offsets(count).buffers()[1]]
    return pa.StringArray.from_buffers(count.shape[0], buffers[1], pa.py_buffer(letters), buffers[0])


def _times(ns: NDArray[np.int64]) -> pa.Array:
    return pa.array(ns // 1000).cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))


def _connections(pieces: list[_Piece], sensor: str, addresses: names.Addresses) -> pa.RecordBatch:
    """The records of all pieces, in the order they came."""
    out = np.concatenate([p.out for p in pieces]) if pieces else np.empty(0, OUT)
    if not out.shape[0]:
        return _empty()
    said = [s for p in pieces for s in p.said]
    n = out.shape[0]
    orig = addresses.lookup(out["version"], out["o_hi"], out["o_lo"])
    resp = addresses.lookup(out["version"], out["r_hi"], out["r_lo"])
    known: dict[str, pa.Array] = {
        "ts": _times(out["ts"]),
        "uid": names.uids(out["uid_a"], out["uid_b"]),
        "sensor": pa.array([sensor] * n, pa.string()),
        "orig_h": pa.array([a for a, _ in orig], pa.string()),
        "orig_p": pa.array(out["o_port"].astype(np.int32)),
        "resp_h": pa.array([a for a, _ in resp], pa.string()),
        "resp_p": pa.array(out["r_port"].astype(np.int32)),
        "proto": _TRANSPORTS.take(pa.array(out["transport"])),
        "service": pa.array([service for _, service, _ in said], pa.string()),
        "local_orig": pa.array([local for _, local in orig], pa.bool_()),
        "local_resp": pa.array([local for _, local in resp], pa.bool_()),
        "tunnel_parents": _tunnels([q for p in pieces for q in p.parents]),
        "seg": pa.array(out["seg"]),
        "seg_end": _times(out["seg_end"]),
        "final": pa.array(out["kind"] == emit.FINAL),
        "duration": pa.array(out["duration"] / 1e9, mask=out["duration"] < 0),
        "conn_state": _STATES.take(pa.array(out["state"])),
        "history": _texts(out["letters"], np.concatenate([p.history for p in pieces])),
        "hello_rtt": _seconds(np.array([rtt for _, _, rtt in said], np.int64)),
        "reply_p10": pa.array(out["reply_p10"], mask=np.isnan(out["reply_p10"])),
        "replies": pa.array(out["replies"].astype(np.int64)),
        "first_speaker": _SPEAKERS.take(pa.array(out["speaker"])),
        "tls_sizes": _lists(
            out["sizes"], np.concatenate([p.sizes for p in pieces]), CONNECTION_SCHEMA.field("tls_sizes").type
        ),
        "on_starts": _lists(
            out["on"], np.concatenate([p.on for p in pieces]), CONNECTION_SCHEMA.field("on_starts").type
        ),
    }
    for name in _COUNTS:
        known[name] = pa.array(out[name], mask=out[name] < 0)
    for name in _NS:
        known[name] = _seconds(out[name])
    silent = out["first_len"] < 0
    for name in ("first_len", "first_run"):
        known[name] = pa.array(out[name].astype(np.int64), mask=silent)
    for name in ("first_bits", "first_printable"):
        known[name] = pa.array(out[name], mask=silent)
    known["first_head_printable"] = pa.array(out["first_head"].astype(bool), mask=silent)
    for name, column in zip(_SAID, zip(*(values for values, _, _ in said), strict=True), strict=True):
        known[name] = pa.array(column, CONNECTION_SCHEMA.field(name).type)
    return pa.RecordBatch.from_arrays([known[name] for name in CONNECTION_SCHEMA.names], schema=CONNECTION_SCHEMA)


def _empty() -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in CONNECTION_SCHEMA], schema=CONNECTION_SCHEMA)


def _seconds(ns: NDArray[np.int64]) -> pa.Array:
    return pa.array(ns / 1e9, mask=ns < 0)


def _tunnels(parents: list[list[tuple[int, int]] | None]) -> pa.Array:
    """Uids of the enclosing tunnels, outermost first; they come innermost first."""
    kind = CONNECTION_SCHEMA.field("tunnel_parents").type
    if not any(parents):
        return pa.nulls(len(parents), kind)
    flat = [pair for own in parents if own for pair in own]
    told = iter(
        names.uids(np.array([a for a, _ in flat], np.uint64), np.array([b for _, b in flat], np.uint64)).to_pylist()
    )
    return pa.array([[next(told) for _ in own][::-1] if own else None for own in parents], kind)
