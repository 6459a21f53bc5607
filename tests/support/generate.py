"""Generated records with the mixture a real network has: for tests of what reads records, not of sensors.

All columns are drawn at once from a seeded generator, so that a million records take seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, SEGMENT_SECONDS, Batch

EPOCH_US = 1_700_000_000_000_000  # 2023-11-14 22:13:20 UTC, 13 minutes into an hour

_SERVICES = ("ssl", "http", "ssh", "dns", "ssl,http2", "socks,ssl", None)
_STATES = ("SF", "S0", "REJ", "RSTO", "RSTR", "S1", "OTH", "SH")
_RESUMED = (None, [0.5, -2.25, 2.375, -7.0, 7.125], [1.0], [1.5, -1.75, 3.0, 4.5, -5.0, 6.0, 7.5, 9.0, 10.5], [])
_STATE_ODDS = (0.72, 0.08, 0.05, 0.03, 0.03, 0.05, 0.03, 0.01)


def batch(
    connections: int,
    dns_queries: int | None = None,
    *,
    seed: int = 0,
    hours: float = 3.0,
    clients: int = 20,
    servers: int = 60,
    sensors: Sequence[str] = ("s1",),
) -> Batch:
    """Records in the order of their `seg_end` (DNS: `ts`).

    `connections` is the number of connections; long ones have several rows. Servers are drawn with odds
    that fall as in real traffic; one in ten servers is local, so that some hosts accept and connect.
    """
    rng = np.random.default_rng(seed)
    conn = _connections(rng, connections, hours, clients, servers, sensors)
    dns = _dns_queries(rng, connections // 2 if dns_queries is None else dns_queries, hours, clients, servers, sensors)
    return Batch(conn, dns)


def pieces(whole: Batch, rows: int) -> Iterator[Batch]:
    """The batch cut into batches of at most `rows` connections and as many DNS queries."""
    for at in range(0, max(whole.connections.num_rows, whole.dns_queries.num_rows), rows):
        yield Batch(whole.connections.slice(at, rows), whole.dns_queries.slice(at, rows))


def records(schema: pa.Schema, rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Handwritten records: what a row leaves out is null."""
    return pa.RecordBatch.from_pylist([{n: row.get(n) for n in schema.names} for row in rows], schema=schema)


def _local(index: NDArray[Any]) -> pa.Array:
    pool = [f"10.0.{i // 250}.{i % 250 + 1}" for i in range(int(index.max(initial=0)) + 1)]
    return pa.array(pool).take(pa.array(index))


def _server(index: NDArray[Any], clients: int) -> pa.Array:
    pool = [
        f"10.0.{i % clients // 250}.{i % clients % 250 + 1}"
        if i % 10 == 7
        else f"198.51.{i // 250 % 250}.{i % 250 + 1}"
        for i in range(int(index.max(initial=0)) + 1)
    ]
    return pa.array(pool).take(pa.array(index))


def _pick(rng: np.random.Generator, n: int, pool: Sequence[Any], odds: Sequence[float] | None = None) -> pa.Array:
    return pa.array(pool).take(pa.array(rng.choice(len(pool), n, p=odds)))


def _sparse(rng: np.random.Generator, values: Any, share: float, type_: pa.DataType | None = None) -> pa.Array:
    """`values` with all but `share` of them null."""
    return pa.array(np.asarray(values), type=type_, mask=rng.random(len(values)) >= share)


def _zipf(rng: np.random.Generator, n: int, pool: int) -> NDArray[np.int64]:
    odds = np.arange(1.0, pool + 1) ** -1.3
    return rng.choice(pool, n, p=odds / odds.sum())


def _texts(prefix: str, numbers: NDArray[Any]) -> pa.Array:
    return pa.array([f"{prefix}{x:x}" for x in numbers.tolist()])


def _connections(
    rng: np.random.Generator, n: int, hours: float, clients: int, servers: int, sensors: Sequence[str]
) -> pa.RecordBatch:
    client, server = rng.integers(0, clients, n), _zipf(rng, n, servers)
    ts = EPOCH_US + np.sort(rng.integers(0, int(hours * 3.6e9), n))
    duration = np.where(rng.random(n) < 0.03, rng.uniform(300, 4000, n), rng.lognormal(0, 1.5, n))
    bytes_ = rng.lognormal(6, 2, (2, n))
    proto = np.where(server % 9 == 3, 1, 0)
    names = _texts("host", server % 40)

    segs = (duration // SEGMENT_SECONDS).astype(np.int64) + 1
    row = np.repeat(np.arange(n), segs)  # the connection of each record
    seg = np.arange(len(row)) - np.repeat(np.cumsum(segs) - segs, segs)
    final = seg == segs[row] - 1
    length = np.where(final, duration[row], (seg + 1) * float(SEGMENT_SECONDS))
    began = seg * float(SEGMENT_SECONDS)
    end = ts[row] + (length * 1e6).astype(np.int64)
    m = len(row)

    def share(total: NDArray[Any], upto: NDArray[Any]) -> NDArray[np.int64]:
        return (total[row] * np.minimum(upto / duration[row], 1)).astype(np.int64)  # type: ignore[no-any-return]

    columns: dict[str, Any] = {
        "ts": ts[row], "uid": _texts("C", rng.integers(0, 2**60, n)).take(pa.array(row)),
        "sensor": _pick(rng, n, sensors).take(pa.array(row)),
        "orig_h": _local(client[row]), "orig_p": rng.integers(1024, 65535, n)[row],
        "resp_h": _server(server[row], clients),
        "resp_p": pa.array([443, 80, 22, 53, 8443]).take(pa.array(server[row] % 5)),
        "proto": pa.array(["tcp", "udp"]).take(pa.array(proto[row])),
        "service": _pick(rng, n, _SERVICES).take(pa.array(row)),
        "local_orig": np.ones(m, bool), "local_resp": server[row] % 10 == 7,
        "seg": seg, "seg_end": end, "final": final, "duration": length,
        "conn_state": _pick(rng, n, _STATES, _STATE_ODDS).take(pa.array(row)),
        "history": _pick(rng, m, ("ShADadFf", "S")),
        "missed_bytes": np.zeros(m, np.int64),
        "tcp_rtt": _sparse(rng, (0.001 * server + rng.lognormal(-6, 0.7, n))[row], 0.8),
        "client_rtt": _sparse(rng, rng.lognormal(-8, 0.5, n)[row], 0.8),
        "hello_rtt": _sparse(rng, rng.lognormal(-4, 0.5, m), 0.4),
        "finished_rtt": _sparse(rng, rng.lognormal(-4, 0.5, m), 0.3),
        "first_reply": _sparse(rng, rng.lognormal(-3, 0.8, m), 0.6),
        "reply_p10": _sparse(rng, rng.lognormal(-3, 0.8, m), 0.2), "replies": _sparse(rng, rng.integers(0, 9, m), 0.6),
        "close_rtt": _sparse(rng, rng.lognormal(-4, 0.5, m), 0.3),
        "pause": _sparse(rng, rng.lognormal(-6, 1, m), 0.6), "first_speaker": _pick(rng, m, ("orig", "resp", None)),
        "first_len": _sparse(rng, rng.integers(1, 1500, m), 0.8), "first_bits": _sparse(rng, rng.uniform(2, 6, m), 0.8),
        "sni": names.take(pa.array(np.where(server[row] % 3 == 0, row, -1), mask=server[row] % 3 != 0)),
        "http_host": names.take(pa.array(row, mask=server[row] % 3 != 1)),
        "ja4": _texts("t13d", rng.integers(0, 30, n) % (server + 2)).take(pa.array(row, mask=server[row] % 3 != 0)),
        "alpn": pa.array(["h2", "http/1.1", None]).take(pa.array(server[row] % 3)),
        "user_agent": pa.array([None, "curl/8", None]).take(pa.array(server[row] % 3)),
        "cert_sha256": _texts("ab", server * 7919).take(pa.array(row, mask=server[row] % 3 != 0)),
        "cert_subject": _texts("CN=host", server % 5 * 8).take(pa.array(row, mask=server[row] % 3 != 0)),
        "cert_issuer": pa.array(["CN=CA", "CN=host0"]).take(pa.array(server[row] % 2)),
        "proxy_target": _pick(rng, m, (None, "Far.example:443", "[2001:db8::9]:8080"), (0.98, 0.01, 0.01)),
        "tls_sizes": pa.array([None, [517, -1200, 80], [320, -900]]).take(pa.array(rng.integers(0, 3, m))),
        "on_starts": pa.array(_RESUMED).take(pa.array(rng.integers(0, len(_RESUMED), m))),
    }  # fmt: skip
    for side, total in zip(("orig", "resp"), bytes_, strict=True):
        upto, before = share(total, length), share(total, began)
        columns |= {f"{side}_bytes": upto, f"{side}_pkts": upto // 800 + 1, f"{side}_ip_bytes": upto + 40}
        columns |= {f"seg_{side}_bytes": upto - before, f"seg_{side}_pkts": (upto - before) // 800 + 1}
    return _batch(CONNECTION_SCHEMA, columns, m).take(pa.array(np.argsort(end, kind="stable")))


def _dns_queries(
    rng: np.random.Generator, n: int, hours: float, clients: int, servers: int, sensors: Sequence[str]
) -> pa.RecordBatch:
    server = _zipf(rng, n, servers)
    address = _server(server, clients)
    told = [["edge.example.", a, "2001:db8::1"] if i % 5 == 0 else [a] for i, a in enumerate(address.to_pylist())]
    answers = [None if unanswered else a for unanswered, a in zip(rng.random(n) < 0.1, told, strict=True)]
    columns: dict[str, Any] = {
        "ts": EPOCH_US + np.sort(rng.integers(0, int(hours * 3.6e9), n)),
        "uid": _texts("D", rng.integers(0, 2**60, n)), "sensor": _pick(rng, n, sensors),
        "client": _local(rng.integers(0, clients, n)), "resolver": _pick(rng, n, ("10.0.0.53",)),
        "query": _texts("Host", server % 40), "qtype": _pick(rng, n, ("A", "AAAA")),
        "rcode": _pick(rng, n, ("NOERROR",)),
        "answers": pa.array(answers, pa.list_(pa.string())),
        "ttls": pa.array([None if a is None else [60.0] * len(a) for a in answers], pa.list_(pa.float64())),
        "rtt": _sparse(rng, rng.lognormal(-4, 1, n), 0.9),
    }  # fmt: skip
    return _batch(DNS_QUERY_SCHEMA, columns, n)


def _batch(schema: pa.Schema, columns: dict[str, Any], rows: int) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(rows, field.type))
        else:
            array = values if isinstance(values, pa.Array) else pa.array(values)
            arrays.append(array.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
