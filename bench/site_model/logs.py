"""The hour's rows as the columns of Zeek's logs: conn, dns, ssl, and hopscope with its timing.

In hopscope.log the round trip to the hop is the address's own with 3 % of exponential noise; answers add a
server's time to think (exponential, 2 ms) and the way behind the address, twice where it dials first. The
other timing and shape fields follow from these; what the package can't fill is unset.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.records import CONNECTION, SEGMENT_SECONDS
from site_model.places import SECOND, Floats, Ints, Site
from site_model.traffic import SERVICES, SF, STATES, TCP, TTL, UDP, Hour, Rows

ASKED_FOR = "vault.example:443"  # of every SOCKS proxy, which grants it
TIME, INTERVAL = "time", "interval"  # columns of int64 microseconds, written as seconds
_ALPHABET = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)
_ID = {"id.orig_h": "addr", "id.orig_p": "port", "id.resp_h": "addr", "id.resp_p": "port"}

TYPES: dict[str, dict[str, str]] = {
    "conn": {
        "ts": TIME, "uid": "string", **_ID, "proto": "enum", "service": "string", "duration": INTERVAL,
        "orig_bytes": "count", "resp_bytes": "count", "conn_state": "string", "local_orig": "bool",
        "local_resp": "bool", "missed_bytes": "count", "history": "string", "orig_pkts": "count",
        "orig_ip_bytes": "count", "resp_pkts": "count", "resp_ip_bytes": "count", "tunnel_parents": "set[string]",
        "ip_proto": "count",
    },
    "dns": {
        "ts": TIME, "uid": "string", **_ID, "proto": "enum", "trans_id": "count", "rtt": INTERVAL, "query": "string",
        "qclass": "count", "qclass_name": "string", "qtype": "count", "qtype_name": "string", "rcode": "count",
        "rcode_name": "string", "AA": "bool", "TC": "bool", "RD": "bool", "RA": "bool", "Z": "count",
        "answers": "vector[string]", "TTLs": "vector[interval]", "rejected": "bool",
    },
    "ssl": {
        "ts": TIME, "uid": "string", **_ID, "version": "string", "cipher": "string", "curve": "string",
        "server_name": "string", "resumed": "bool", "last_alert": "string", "next_protocol": "string",
        "established": "bool", "ssl_history": "string",
    },
    "hopscope": {
        f.name: {"timestamp[us, tz=UTC]": TIME, "double": INTERVAL if f.unit == "s" else "double", "bool": "bool",
                 "int64": "count", "int32": "count", "string": "string"}.get(str(f.type), "vector[string]")
        for f in CONNECTION
    },
}  # fmt: skip
"""Each log's fields and their Zeek types, in order."""


def tables(site: Site, hour: Hour, rng: np.random.Generator, hopscope: bool) -> dict[str, pa.Table]:
    """The hour's logs by name, with `_end` (µs, when Zeek writes the row) beside the fields of TYPES."""
    rows = hour.connections
    uid = _uids(rng, len(rows))
    names = _texts(site.names, rows["name"], rows["name"] >= 0)
    out = {"conn": _conn(site, rows, uid), "dns": _dns(site, hour, uid), "ssl": _ssl(site, rows, uid, names)}
    if hopscope:
        out["hopscope"] = _hopscope(site, rows, uid, names, rng)
    return out


def _conn(site: Site, rows: Rows, uid: pa.Array) -> pa.Table:
    known = {
        "ts": rows["start"], "uid": uid, **_ends(site, rows), **_volume(rows, rows["up"], rows["down"]),
        "proto": _coded(("tcp", "udp"), rows["proto"]),
        "service": _coded(SERVICES, rows["service"], rows["service"] > 0),
        "duration": pa.array(rows["length"], mask=rows["length"] == 0),
        "conn_state": _coded(STATES, rows["state"]), "history": _history(rows),
        "local_orig": site.local[rows["client"]], "local_resp": site.local[rows["server"]],
        "missed_bytes": np.zeros(len(rows), np.int64), "ip_proto": np.where(rows["proto"] == TCP, 6, 17),
    }  # fmt: skip
    return _table("conn", known, rows["start"] + rows["length"])


def _dns(site: Site, hour: Hour, uid: pa.Array) -> pa.Table:
    q = hour.queries
    n = len(q)
    home = site.home[q["name"]]
    two = home[:, 0] != home[:, 1]
    offsets = np.concatenate([[0], np.cumsum(1 + two)])
    flat = home[np.stack([np.ones(n, bool), two], axis=1)]
    known = {
        "ts": q["start"], "uid": uid.take(pa.array(q["row"])), "id.orig_h": _texts(site.addresses, q["client"]),
        "id.orig_p": q["client_port"], "id.resp_h": _texts(site.addresses, q["resolver"]),
        "id.resp_p": np.full(n, 53), "proto": pa.array(np.full(n, "udp")), "trans_id": q["client_port"] * 31 % 65_536,
        "rtt": q["rtt"], "query": _texts(site.names, q["name"]), "qclass": np.ones(n, np.int64),
        "qclass_name": pa.array(np.full(n, "C_INTERNET")), "qtype": np.ones(n, np.int64),
        "qtype_name": pa.array(np.full(n, "A")), "rcode": np.zeros(n, np.int64),
        "rcode_name": pa.array(np.full(n, "NOERROR")), **{k: np.zeros(n, bool) for k in ("AA", "TC", "rejected")},
        **{k: np.ones(n, bool) for k in ("RD", "RA")}, "Z": np.zeros(n, np.int64),
        "answers": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), _texts(site.addresses, flat)),
        "TTLs": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(np.full(len(flat), TTL / SECOND))),
    }  # fmt: skip
    return _table("dns", known, q["start"] + q["rtt"])


def _ssl(site: Site, rows: Rows, uid: pa.Array, names: pa.Array) -> pa.Table:
    at = np.flatnonzero(rows["service"] == SERVICES.index("ssl"))
    tls, n = rows[at], len(at)
    known = {
        "ts": tls["start"] + (2 * site.rtt_us[tls["server"]]).astype(np.int64), "uid": uid.take(pa.array(at)),
        **_ends(site, tls), "version": pa.array(np.full(n, "TLSv13")),
        "cipher": pa.array(np.full(n, "TLS_AES_128_GCM_SHA256")), "curve": pa.array(np.full(n, "x25519")),
        "server_name": names.take(pa.array(at)), "resumed": tls["client_port"] % 3 == 0,
        "established": np.ones(n, bool), "ssl_history": pa.array(np.full(n, "CsiI")),
    }  # fmt: skip
    return _table("ssl", known, known["ts"])


def _hopscope(site: Site, rows: Rows, uid: pa.Array, names: pa.Array, rng: np.random.Generator) -> pa.Table:
    """One row per segment of five minutes; volume is spread evenly over them."""
    grid = SEGMENT_SECONDS * SECOND
    count = rows["length"] // grid + 1
    row = np.repeat(np.arange(len(rows)), count)
    seg = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    r, many = rows[row], count[row]
    length = np.minimum((seg + 1) * grid, r["length"])
    upto = {k: r[k] * (seg + 1) // many for k in ("up", "down")}
    part = {k: upto[k] - r[k] * seg // many for k in ("up", "down")}
    volume, share = _volume(r, upto["up"], upto["down"]), _volume(r, part["up"], part["down"])
    answered = (r["proto"] == TCP) & (r["state"] == SF)
    tls = answered & (r["service"] == SERVICES.index("ssl"))
    timing = {k: v[row] for k, v in _timing(site, rows, rng).items()}
    plain = answered & ~tls & (r["service"] > 0)
    socks = r["service"] == SERVICES.index("socks")
    known = {
        "ts": r["start"], "uid": uid.take(pa.array(row)), "sensor": pa.array(np.full(len(r), "zeek")),
        **{k.removeprefix("id."): v for k, v in _ends(site, r).items()}, **volume,
        **{f"seg_{k}": share[k] for k in ("orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts")},
        "proto": _coded(("tcp", "udp"), r["proto"]), "service": _coded(SERVICES, r["service"], r["service"] > 0),
        "local_orig": site.local[r["client"]], "local_resp": site.local[r["server"]],
        "seg": seg, "seg_end": r["start"] + length, "final": seg == many - 1,
        "duration": pa.array(length, mask=length == 0), "missed_bytes": np.zeros(len(r), np.int64),
        "conn_state": pc.if_else(pa.array(seg < many - 1), "S1", _coded(STATES, r["state"])),
        "history": _history(r), **{k: pa.array(timing[k], mask=~answered) for k in ("tcp_rtt", "client_rtt", "pause")},
        **{k: pa.array(timing[k], mask=~tls) for k in ("hello_rtt", "finished_rtt")},
        "first_reply": pa.array(timing["first_reply"], mask=~(tls | plain)),
        "first_speaker": _coded(("orig",), np.zeros(len(r), np.int64), answered),
        "first_len": pa.array(np.where(tls, 517, np.minimum(r["up"], 400)), mask=~answered),
        "sni": pc.if_else(pa.array(tls), names.take(pa.array(row)), None),
        "tls_version": _coded(("TLSv13",), np.zeros(len(r), np.int64), tls), "resumed": pa.array(~tls, mask=~tls),
        "ja4": _coded(("t13d1516h2_8daaf6152771_b186095e22b6", "t13d311100_e8f1e7e78f70_d339722ba4af"), r["client"] % 2,
                      tls),
        "http_host": pc.if_else(pa.array(r["service"] == SERVICES.index("http")), names.take(pa.array(row)), None),
        "proxy_protocol": _coded(("socks5",), np.zeros(len(r), np.int64), socks),
        "proxy_target": _coded((ASKED_FOR,), np.zeros(len(r), np.int64), socks),
        "proxy_accepted": pa.array(socks, mask=~socks),
    }  # fmt: skip
    return _table("hopscope", known, known["seg_end"])


def _timing(site: Site, rows: Rows, rng: np.random.Generator) -> dict[str, Ints]:
    n = len(rows)
    way = site.rtt_us[rows["server"]]

    def noisy(base: Floats) -> Ints:
        out: Ints = (base * (1 + rng.exponential(0.03, n))).astype(np.int64)
        return out

    think = rng.exponential(2000, n)
    behind = (2 - rows["kept"]) * rows["gap"]
    return {
        "tcp_rtt": noisy(way), "client_rtt": noisy(np.full(n, 300.0)),
        "pause": rng.exponential(800, n).astype(np.int64),
        "hello_rtt": noisy(way + think + behind), "finished_rtt": noisy(way + 200 + rows["gap"]),
        "first_reply": noisy(way + think + behind),
    }  # fmt: skip


def _volume(rows: Rows, up: Ints, down: Ints) -> dict[str, Any]:
    answered = rows["state"] == SF
    tcp = rows["proto"] == TCP
    orig = np.where(tcp, np.where(answered, 5 + up // 1400, 1), 1)
    resp = np.where(tcp, np.where(answered, 4 + down // 1400, 0), 1)
    head = np.where(tcp, 52, 28)
    return {"orig_bytes": up, "resp_bytes": down, "orig_pkts": orig, "resp_pkts": resp,
            "orig_ip_bytes": up + orig * head, "resp_ip_bytes": down + resp * head}  # fmt: skip


def _ends(site: Site, rows: Rows) -> dict[str, Any]:
    return {"id.orig_h": _texts(site.addresses, rows["client"]), "id.orig_p": rows["client_port"],
            "id.resp_h": _texts(site.addresses, rows["server"]), "id.resp_p": rows["port"]}  # fmt: skip


def _history(rows: Rows) -> pa.Array:
    return _coded(("ShADadFf", "S", "Sr", "Dd"), np.where(rows["proto"] == UDP, 3, rows["state"]))


def _coded(texts: tuple[str, ...], codes: NDArray[Any], told: NDArray[np.bool_] | None = None) -> pa.Array:
    return _texts(pa.array(texts), codes.astype(np.int64), told)


def _texts(texts: pa.Array, ids: Ints, told: NDArray[np.bool_] | None = None) -> pa.Array:
    return texts.take(pa.array(ids, mask=None if told is None else ~told))


def _uids(rng: np.random.Generator, n: int) -> pa.Array:
    letters = _ALPHABET[rng.integers(0, len(_ALPHABET), (n, 18), np.uint8)]
    letters[:, 0] = ord("C")
    offsets = np.arange(0, 18 * (n + 1), 18, dtype=np.int32)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(letters.tobytes()))


def _table(log: str, known: dict[str, Any], end: Ints) -> pa.Table:
    columns = {name: pa.array(known[name]) if name in known else pa.nulls(len(end)) for name in TYPES[log]}
    table = pa.table({**columns, "_end": end})
    return table.take(pa.array(np.argsort(end, kind="stable")))
