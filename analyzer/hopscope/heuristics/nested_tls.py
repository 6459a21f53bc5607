"""A TLS handshake inside a TLS session: the outer server hands on what a client says to a further one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, numbers, outbound, rise
from hopscope.summaries.schema import KEY

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# What a TLS 1.2 client sends after the server's flight (RFC 5246, RFC 5288, RFC 7905): its key, ChangeCipherSpec
# (6 bytes) and Finished (45 with AES-GCM, 37 with ChaCha20, 69 with CBC and SHA-1).
KEYS_12 = (42, 75, 107)  # ClientKeyExchange of X25519, P-256 and P-384: what the client's turn has over the server's
TURNS_12 = tuple(key + 6 + finished for key in KEYS_12 for finished in (37, 45, 69))
CARRIERS = (16, 17, 24)  # bytes an outer record adds: ChaCha20 in TLS 1.2, any cipher in 1.3, AES-GCM in 1.2
MASKS = (0, 2, 4, 6)  # how many more a proxy's own framing adds for the client than for the server
SHORT = 200  # bytes; a proxy's own answer is no longer
_NO_PAIR = pa.table({"pair": pa.array([], pa.int64()), "uids": pa.array([], pa.list_(pa.string()))})
FLIGHT = 600  # bytes; a server's flight with certificates is no shorter
TICKET = 400  # bytes; an outer session ticket is no longer


@dataclass(frozen=True)
class Settings:
    """[heuristics.nested_tls]"""

    hello_least: int = setting(200, "bytes", "least size of the record with the inner ClientHello")
    hello_most: int = setting(2600, "bytes", "greatest; a post-quantum key share makes about 1800")
    flight_least: int = setting(200, "bytes", "least answer to it: an inner session that is resumed")
    flight_most: int = setting(12_000, "bytes", "greatest answer to it: a long chain of certificates")
    finished_least: int = setting(74, "bytes", "least size of the record with the inner Finished: 58 and 16 around it")
    finished_most: int = setting(138, "bytes", "greatest: 80, 24 around it, and 34 for a proxy's own cipher")
    request_least: int = setting(40, "bytes", "least size of the first request behind it")
    request_records: int = setting(4, "records", "most records behind it in the same turn: no stream")
    one_db: float = setting(12.0, "decibans", "what one such session weighs, the only one seen of a pair")
    most_db: float = setting(24.0, "decibans", "what many such sessions weigh, always with the same sizes")
    short_part: float = setting(0.5, "fraction", "part of the weight for answers too short to hold certificates")
    socks_db: float = setting(7.0, "decibans", "added where a SOCKS greeting comes first, by its sizes")
    full_sessions: int = setting(8, "sessions", "sessions with it from which their number no longer matters")
    share_least: float = setting(0.2, "fraction", "share of the pair's telling sessions up to which nothing is said")
    share_full: float = setting(0.5, "fraction", "share from which it weighs in full")


FACTS = (
    Fact("sessions", "sessions", "TLS sessions that look so"),
    Fact("telling", "sessions", "TLS sessions whose records could have shown it"),
    Fact("hello", "bytes", "median size of the record that looks like the inner ClientHello"),
    Fact("flight", "bytes", "median size of the server's answer to it"),
    Fact("finished", "bytes", "the most frequent size of the client's turn after that"),
    Fact("constant", "fraction", "share of these sessions in which that turn has this very size"),
    Fact("certificates", "fraction", "share of these sessions in which the answer is long enough for certificates"),
    Fact("prelude", "", "what came first in at least half of them: SOCKS5, or a short exchange; null for nothing"),
)


@dataclass(frozen=True)
class NestedTls:
    """Do the sizes of a TLS session's first records tell of a second TLS handshake inside it?

    A client that reaches a TLS server through an encrypted proxy (trojan, VLESS, VMess over TLS, SOCKS in
    stunnel) shakes hands twice, and encryption hides neither sizes nor turns: a ClientHello up, the server's
    flight with its certificates down, Finished (58 to 80 bytes in TLS 1.3: RFC 8446, with SHA-256 or SHA-384,
    with or without ChangeCipherSpec) and the first request up.

    Formula: the first 25 records are told apart by turns. Before the inner handshake there may be the proxy's
    own exchange (up to three short answers, at most SHORT bytes: SOCKS, a WebSocket's upgrade). Then
      1. at most three records up, the largest `hello_least` to `hello_most`;
      2. `flight_least` to `flight_most` down, two equal records of at most TICKET bytes (the outer session
         tickets) not counted;
      3. TLS 1.3: a record up of `finished_least` to `finished_most`, at once followed by one to
         `request_records` more, the first of at least `request_least`. TLS 1.2: one record up alone; the
         server's turn is shorter by exactly a ClientKeyExchange (KEYS_12, which no overhead changes, and MASKS),
         or it brings a session ticket and the client's has exactly the size of TURNS_12 in a bare outer record
         (CARRIERS); the request follows. Only after at least FLIGHT down.
    A record of step 3 that is as large as one of step 1 (within 2 bytes) is the same request once more, and
    tells nothing. Sessions are telling when the client has two turns or more. With n matching sessions the
    weight is `one_db` at one and `most_db` at `full_sessions`, linear in log n, times the share of telling
    sessions that match (0 at `share_least`, 1 at `share_full`), times the share of the most frequent size in
    step 3 (from a half up): Finished is always as long, a further request is not. Sessions with less than
    FLIGHT down count `short_part`: resumption looks so, but a WebSocket's upgrade and two messages as well.
    `socks_db` more where at least half of the sessions begin with the sizes of SOCKS 5 (RFC 1928: two bytes of
    answer to a greeting of three to five, ten or 22 to a request of ten or more, RFC 1929's login between),
    which no other protocol in TLS is known to have.

    Weights: published for the classifier of Xue et al., which also has times: 73.7 % of trojan at a false rate
    of 0.0544 % over TLS (31 dB for one flow), with a TLS 1.3 handshake inside about 10 % at 0.05 % (23 dB).
    Measured for these rules: 60 to 90 % of the sessions of trojan, VLESS and nested stunnel in a laboratory,
    where no ordinary pair matched (15,000 sessions, but of few programs, which repeat themselves). Of 154
    telling sessions in public captures of browsers, phones and applications one matched, to a server named
    for a VPN; what it held is not known, so it counts as false: 0.6 %, below 3.1 % with 95 % confidence.
    That shows 13 dB for one session and no more: `one_db`. `most_db`, for sessions that agree, is close to the
    published 23 dB; that agreement makes up for the difference is assumed, as are `short_part` and `socks_db`.

    Benign look-alikes: HTTP/2, whose client answers the server's SETTINGS with 26 bytes first (too short
    for a Finished); API clients that send headers and body apart (repeated sizes; headers beyond
    `finished_most`); WebSocket applications that speak twice after the upgrade (one answer, not constant);
    streams of VPNs (more than `request_records`). Several of those on one pair are what `share_least` and the
    constant size are for. Multiplexed proxies show one handshake for all, padded ones (XTLS Vision,
    NaiveProxy) none. Carriers other than TLS have no record sizes: see opaque_first_bytes.
    """

    name: str = "nested_tls"
    title: str = "a TLS handshake inside a TLS session"
    d3fend: str = "D3-PMAD"
    group: str = "shape"
    source: str = "USENIX Security 2024, Xue et al.; RFC 8446, RFC 5246; weights measured and published"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("tls_sizes",),)

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        s = window.samples
        sized = s.filter(s.proto == "tcp", s.tls_sizes.length() > 2)
        # each segment of a session kept open tells the same first records: the longest list counts, once
        sized = sized.group_by(["pair", "uid"]).agg(tls_sizes=sized.tls_sizes.argmax(sized.tls_sizes.length()))
        seen = sized.order_by(["pair", "uid"]).to_pyarrow()
        if not seen.num_rows:
            return evidence(_NO_PAIR, np.zeros(0), "", FACTS, {f.name: pa.nulls(0) for f in FACTS})
        found = _sessions(seen["tls_sizes"], settings)
        telling, found = seen["pair"].filter(found["telling"]), found.append_column("pair", seen["pair"])
        found = found.append_column("uid", seen["uid"]).filter(found["matches"])
        pairs = _per_pair(found, telling)
        rows = outbound(window).select(*KEY).inner_join(ibis.memtable(pairs), "pair").to_pyarrow()
        n, of, constant = (numbers(rows, k) for k in ("sessions", "telling", "constant"))
        size = np.clip(np.log(np.maximum(n, 1.0)) / np.log(max(settings.full_sessions, 2)), 0.0, 1.0)
        weight = settings.one_db + (settings.most_db - settings.one_db) * size
        share = rise(n / np.maximum(of, 1.0), settings.share_least, settings.share_full)
        part = settings.short_part + (1 - settings.short_part) * numbers(rows, "certificates")
        socks = np.where(pc.equal(rows["prelude"], "SOCKS5").fill_null(False).to_numpy(), settings.socks_db, 0.0)
        decibans = (weight * np.maximum(constant, 0.5) * part + socks) * share
        values = {f.name: rows[f.name] for f in FACTS}
        threshold = f"nested_tls.share_least = {settings.share_least:g}"
        return evidence(rows, decibans, threshold, FACTS, values, ibis.memtable(found.select(["pair", "uid"])))

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """How many sessions, and the three turns."""
        of = f"{facts['sessions']} of {facts['telling']} TLS sessions"
        look = "looks as if it" if facts["sessions"] == 1 else "look as if they"
        first = f", after {facts['prelude']}" if facts["prelude"] else ""
        same = "" if facts["sessions"] == 1 else f", the same in {facts['constant']:.0%} of them"
        return (
            f"{of} {look} held a further TLS handshake{first}: {facts['hello']:.0f} bytes up (its hello), "
            f"{facts['flight']:.0f} down (certificates), {facts['finished']} up (its end{same})"
        )


def _sessions(lists: pa.ChunkedArray, settings: Settings) -> pa.Table:
    """For each list of signed sizes: telling, matches, and hello, flight, finished (bytes) and prelude of the match."""
    whole = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    t = _Turns(whole)
    asks = t.up & t.alone_before & (t.largest >= settings.hello_least) & (t.total <= settings.hello_most)
    asks &= (t.records <= 3) & (t.after(1, t.flight, 0) >= settings.flight_least)
    asks &= t.after(1, t.flight, 0) <= settings.flight_most
    done, more, second = t.after(2, t.first, 0), t.after(2, t.records, 0) - 1, t.after(2, t.second, 0)
    fresh = (np.abs(done - t.first) > 2) & (np.abs(done - t.last) > 2)
    new = (done >= settings.finished_least) & (done <= settings.finished_most) & (second >= settings.request_least)
    new &= (more >= 1) & (more <= settings.request_records)
    reply = t.after(3, t.total, 0)
    shorter = np.isin(done - reply, np.add.outer(KEYS_12, MASKS)) & (reply > 0)
    ticket = np.isin(done, np.add.outer(TURNS_12, CARRIERS)) & (reply >= SHORT) & (reply <= TICKET + SHORT)
    old = (more == 0) & (shorter | ticket) & (t.after(1, t.flight, 0) >= FLIGHT) & (t.after(4, t.total, 0) > 0)
    hits = np.flatnonzero(asks & fresh & (new | old))
    _, at = np.unique(t.row[hits], return_index=True)  # the first of each session
    hits = hits[at]
    n = len(whole)
    turns = np.bincount(t.row[t.up], minlength=n)

    def column(values: Ints | Flags) -> pa.Array:
        wide = np.zeros(n, np.int64)
        wide[t.row[hits]] = values[hits]
        return pa.array(wide)

    matches = np.zeros(n, np.bool_)
    matches[t.row[hits]] = True
    return pa.table({
        "telling": pa.array(turns >= 2), "matches": pa.array(matches), "hello": column(t.largest),
        "flight": column(t.after(1, t.flight, 0)), "finished": column(done), "spoken": column(t.spoken_before > 0),
        "socks": column(t.socks()[t.row]), "whole": column(t.after(1, t.flight, 0) >= FLIGHT),
    })  # fmt: skip


class _Turns:
    """The records of all sessions by turns (runs of one direction), one entry per turn, in order.

    `row` is the session; `records`, `total`, `first`, `second` (0 when alone), `last`, `largest` its sizes;
    `flight` the total without the outer session tickets; `spoken_before` the originator's turns before it;
    `alone_before` tells that nothing but a proxy's own short exchange came before it.
    """

    def __init__(self, lists: pa.ListArray):
        signed = lists.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
        lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        row = np.repeat(np.arange(len(lists)), lengths)
        up, size = signed > 0, np.abs(signed)
        start = np.flatnonzero(np.r_[True, (row[1:] != row[:-1]) | (up[1:] != up[:-1])])
        end = np.r_[start[1:], len(size)]
        self.row, self.up, self.records = row[start], up[start], end - start
        self.total, self.largest = np.add.reduceat(size, start), np.maximum.reduceat(size, start)
        self.first, self.last = size[start], size[end - 1]
        self.second = np.where(self.records > 1, size[np.minimum(start + 1, len(size) - 1)], 0)
        tickets = ~self.up & (self.first == self.second) & (self.first <= TICKET)
        self.flight = self.total - np.where(tickets, 2 * self.first, 0)
        opened = np.searchsorted(self.row, self.row)  # the session's first turn
        opening = np.arange(len(start)) == opened
        self.spoken_before = _before(self.up, opened)
        # a server that opens sends its tickets; any later turn of its that ends long is no proxy's answer
        answered = ~self.up & ~opening & (self.last > SHORT)
        self.alone_before = (_before(answered, opened) == 0) & (self.spoken_before <= 3)

    def after(self, turns: int, values: Ints, missing: int) -> Ints:
        """`values` of the turn so many turns later in the same session, `missing` where there is none."""
        out = np.full_like(values, missing)
        same = self.row[turns:] == self.row[:-turns]
        out[:-turns] = np.where(same, values[turns:], missing)
        return out

    def socks(self) -> Flags:
        """For each session, whether it begins with the sizes of SOCKS 5, by the originator's first turn."""
        out = np.zeros(int(self.row.max(initial=-1)) + 1, np.bool_)
        lone = np.where(self.records == 1, self.total, 0)
        greeted, request = self.last, lone  # tickets may come before the answer to the greeting
        two, agreed = self.after(1, greeted, 0), self.after(3, lone, 0)
        opens = self.up & (self.spoken_before == 0) & (self.records == 1) & np.isin(two, np.add(CARRIERS, 2))
        opens &= np.isin(self.total - two, (1, 2, 3))
        plain = np.isin(agreed - two, (8, 20)) & (self.after(2, request, 0) - two >= 8)
        login = (
            (agreed == two) & np.isin(self.after(5, lone, 0) - two, (8, 20)) & (self.after(4, request, 0) - two >= 8)
        )
        out[self.row[opens & (plain | login)]] = True
        return out


def _before(marks: Flags, opened: Ints) -> Ints:
    """How many earlier turns of the same session are marked."""
    counted: Ints = np.cumsum(marks) - marks
    return np.asarray(counted - counted[opened], np.int64)


def _per_pair(found: pa.Table, telling: pa.ChunkedArray) -> pa.Table:
    """One row per pair with matching sessions, with the facts."""
    sizes = found.group_by(["pair", "finished"], use_threads=False).aggregate([("uid", "count")])
    sizes = sizes.sort_by([("pair", "ascending"), ("uid_count", "descending"), ("finished", "ascending")])
    pairs, at = np.unique(sizes["pair"].to_numpy(), return_index=True)
    usual = sizes.take(pa.array(at))
    whole = found.group_by("pair", use_threads=False).aggregate([
        ("uid", "count"), ("hello", "approximate_median"), ("flight", "approximate_median"), ("spoken", "mean"),
        ("socks", "mean"), ("whole", "mean"),
    ]).sort_by("pair")  # fmt: skip
    counts = pc.value_counts(telling)
    of = pc.index_in(pa.array(pairs), value_set=counts.field("values"))
    n = whole["uid_count"]
    return pa.table({
        "pair": pa.array(pairs), "sessions": n, "telling": counts.field("counts").take(of),
        "hello": whole["hello_approximate_median"], "flight": whole["flight_approximate_median"],
        "finished": usual["finished"],
        "constant": pc.round(pc.divide(usual["uid_count"].cast(pa.float64()), n.cast(pa.float64())), 3),
        "certificates": pc.round(whole["whole_mean"], 3),
        "prelude": pc.case_when(
            pc.make_struct(pc.greater_equal(whole["socks_mean"], 0.5), pc.greater_equal(whole["spoken_mean"], 0.5)),
            "SOCKS5", "a short exchange",
        ),
    })  # fmt: skip


HEURISTIC = NestedTls()
