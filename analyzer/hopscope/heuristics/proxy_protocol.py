"""The client asks an outside host to relay, or speaks what its port isn't for."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import beside, evidence, numbers, outbound, partners, rows_of, sharing
from hopscope.heuristics.segments import key_ids

# What is spoken on well-known TCP ports, by content; IANA's registry and common practice.
EXPECTED: dict[int, frozenset[str]] = {
    22: frozenset({"ssh"}),
    80: frozenset({"http", "websocket"}),
    443: frozenset({"ssl", "quic"}),
    853: frozenset({"ssl"}),
    993: frozenset({"ssl"}),
    995: frozenset({"ssl"}),
    4443: frozenset({"ssl", "http"}),
    8080: frozenset({"http", "ssl"}),
    8443: frozenset({"ssl", "http"}),
}
_SERVICE = ("sensor", "server", "port")
_SESSION = (pa.int64(), pa.float64(), pa.float64())  # types of the facts that tell of an SSH session
PROXY = {"socks4": "SOCKS4", "socks5": "SOCKS5", "http-connect": "HTTP CONNECT"}


@dataclass(frozen=True)
class Settings:
    """[heuristics.proxy_protocol]"""

    accepted_db: float = setting(45.0, "decibans", "an outside host was asked to relay and agreed")
    asked_db: float = setting(30.0, "decibans", "an outside host was asked to relay; its answer was not seen or no")
    misfit_db: float = setting(6.0, "decibans", "what is spoken doesn't fit the port")
    no_host_db: float = setting(6.0, "decibans", "requests of HTTP/1.1 that name no host, which every client must")
    misfit_share: float = setting(0.8, "fraction", "share of the answered connections that don't fit")
    forward_db: float = setting(4.0, "decibans", "an SSH session that carries more than a terminal, both ways")
    forward_exchanges: int = setting(20, "replies", "replies in one SSH session below which nothing is said")
    forward_opening: int = setting(4000, "bytes", "what key exchange and login take each way, at most")
    forward_less: int = setting(70, "bytes", "per exchange, in the lesser direction; a key press takes 36 to 64")
    forward_more: int = setting(200, "bytes", "per exchange, in the greater direction; above a line of text")
    forward_most: int = setting(16_000, "bytes", "per exchange, in the greater direction; file transfers take more")


FACTS = (
    Fact("protocol", "", "SOCKS4, SOCKS5, HTTP CONNECT, what was found on the port, or SSH"),
    Fact("targets", "", "what the client asked the hop to reach, up to five"),
    Fact("asked", "connections", "connections that asked to be relayed, that don't fit their port, or that forward"),
    Fact("accepted", "connections", "of those, the ones that the hop granted (null where none was asked for)"),
    Fact("exchanges", "replies", "replies in the busiest SSH session that looks like forwarding; null for others"),
    Fact("request", "bytes", "mean payload sent per exchange in it, after login"),
    Fact("reply", "bytes", "mean payload received per exchange in it, after login"),
)


@dataclass(frozen=True)
class ProxyProtocol:
    """Does the client say itself that it wants to be relayed?

    A SOCKS greeting or an HTTP CONNECT towards an outside address, on any port, is the request for a
    proxy hop in so many words; when it is granted nothing else can be meant. Own explicit proxies
    (`[vantage] own_proxies`) are no hops. Much weaker: another protocol than TLS on 443, no SSH on 22.

    Formula: `accepted_db` for a pair with a granted request, `asked_db` with a request only; `misfit_db`
    where at least `misfit_share` of the answered connections, of the pair and of all who use the service, don't
    speak what their port is for, and `no_host_db` where a client names its program in HTTP but never the host
    it asks (the stronger of both).
    `forward_db`, beside a misfit's, where an SSH session has at least `forward_exchanges` replies and carries,
    after `forward_opening` bytes each way, at least `forward_less` per exchange in the lesser direction and
    `forward_more` to `forward_most` in the greater: whole requests and answers, as `ssh -D`, `-L` and `-R` carry
    them. Typing sends key presses (36 bytes with today's ciphers, 52 or 64 with older MACs), file transfers
    send bulk one way and small receipts the other, git and scp exchange little often.

    Weights: a request that was granted is close to proof: 45 dB lift it over the prior by itself. A
    misfit is what 10 % of hops and 2 to 3 % of ordinary services do (assumed; capped). No host: none of 158
    HTTP destinations in real logs went without (at most 1.9 %); that 8 % of hand-made clients do is
    assumed. Forwarding traits: half of the hops reached by SSH, one in five ordinary SSH servers outside
    (both assumed); Ansible over one kept session, remote development and pasted scripts look the same, and
    admins forward as well. Typed sessions in public captures sent 17 to 37 bytes per exchange after login.
    Sources: RFC 1928, RFC 9110 sections 7.2 and 9.3.6; Zeek's analyzers.
    """

    name: str = "proxy_protocol"
    title: str = "asks an outside host to relay"
    d3fend: str = "D3-PMAD"
    group: str = "proxy"
    source: str = "RFC 1928, RFC 9110"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("proxy_protocol", "service"),)

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair: a relay request, and beside it a misfit with or without SSH that forwards."""
        return pa.concat_tables([_requests(window, settings), _spoken(window, settings)])

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """What was asked for."""
        times = "1 connection" if facts["asked"] == 1 else f"{facts['asked']} connections"
        if facts["exchanges"] is not None:
            return (
                f"{facts['protocol']} in {times}; one session's {facts['exchanges']} exchanges "
                f"carry {facts['request']:.0f} bytes up and {facts['reply']:.0f} down on average, more than typing does"
            )
        if facts["accepted"] is None:
            return f"{facts['protocol']} in {times}"
        to = f" to reach {', '.join(facts['targets'])}" if facts["targets"] else ""
        granted = "all granted" if facts["accepted"] == facts["asked"] else f"{facts['accepted']} granted"
        return f"asked by {facts['protocol']} in {times}{to} ({granted})"


def _requests(window: Window, settings: Settings) -> pa.Table:
    sets = window.sets
    kinds = sets.filter(sets.kind.isin(("proxy_protocol", "proxy_accepted", "proxy_target")))
    seen = kinds.select("pair", "kind", "value", "connections").to_pyarrow()
    of_kind = {kind: seen.filter(pc.equal(seen["kind"], kind)) for kind in pc.unique(seen["kind"]).to_pylist()}
    none = seen.schema.empty_table()
    # a pair that speaks several is told by one of them
    asked = of_kind.get("proxy_protocol", none).group_by("pair").aggregate([("value", "max"), ("connections", "sum")])
    granted = of_kind.get("proxy_accepted", none)
    granted = granted.filter(pc.equal(granted["value"], "true")).group_by("pair").aggregate([("connections", "sum")])
    targets = of_kind.get("proxy_target", none).group_by("pair").aggregate([("value", "distinct")])
    p = window.pairs
    table = rows_of(p.filter(p.client_local & ~p.server_local), asked["pair"])
    table = beside(table, asked.rename_columns(["pair", "protocol", "asked"]))
    table = beside(table, granted.rename_columns(["pair", "accepted"]))
    table = beside(table, targets.rename_columns(["pair", "targets"]))
    own = pa.array(list(window.vantage.own_proxies), pa.string())
    table = table.filter(pc.invert(pc.is_in(table["server"], value_set=own)))
    accepted = np.nan_to_num(numbers(table, "accepted"))
    decibans = np.where(accepted > 0, settings.accepted_db, settings.asked_db)
    values = {
        "protocol": pa.array([PROXY.get(v, v) for v in table["protocol"].to_pylist()], pa.string()),
        "targets": pa.array(
            [sorted(set(t))[:5] if t else [] for t in table["targets"].to_pylist()], pa.list_(pa.string())
        ),
        "asked": table["asked"].cast(pa.int64()),
        "accepted": pa.array(accepted.astype(np.int64)),
        **{f.name: pa.nulls(table.num_rows, t) for f, t in zip(FACTS[4:], _SESSION, strict=True)},
    }
    return evidence(
        table, decibans, "a request to relay was seen", FACTS, values, sets.filter(sets.kind == "proxy_protocol")
    )


def _spoken(window: Window, settings: Settings) -> pa.Table:
    """What is spoken where it doesn't belong, and SSH sessions that carry more than a terminal."""
    answered = window.samples.filter(window.samples.proto == "tcp", window.samples.orig_bytes > 0)
    answered = answered.filter(answered.resp_bytes > 0)
    bare = (answered.service == "http") & answered.name.isnull()
    heard = answered.filter(answered.port.isin(list(EXPECTED)) | bare)
    heard = heard.group_by("pair", "port", "service", unnamed=heard.name.isnull()).agg(n=heard.count()).to_pyarrow()
    told = (_misfits(window, heard, settings), _forwarding(answered, settings), _without_host(window, heard))
    table = rows_of(
        outbound(window), pc.unique(pa.chunked_array([c for t in told for c in t["pair"].chunks], pa.int64()))
    )
    for found in told:
        table = beside(table, found)
    share = np.nan_to_num(numbers(table, "asked") / np.maximum(numbers(table, "answered"), 1))
    misfit, forwards = share >= settings.misfit_share, ~np.isnan(numbers(table, "exchanges"))
    hostless = ~np.isnan(numbers(table, "hostless"))
    decibans = np.where(misfit, settings.misfit_db, 0.0)
    decibans = np.maximum(decibans, np.where(hostless, settings.no_host_db, 0.0))
    decibans += np.where(forwards, settings.forward_db, 0.0)
    # few rows are left: one in some hundred pairs
    words = [
        f"{v} on port {p}" if m else "HTTP without a Host header" if h else "SSH"
        for v, p, m, h in zip(table["protocol"].to_pylist(), table["port"].to_pylist(), misfit, hostless, strict=True)
    ]
    told = pc.if_else(pa.array(hostless), table["hostless"], table["sessions"])
    values = {
        "protocol": pa.array(words, pa.string()),
        "targets": pa.nulls(table.num_rows, pa.list_(pa.string())),
        "asked": pc.if_else(pa.array(misfit), table["asked"], told).cast(pa.int64()),
        "accepted": pa.nulls(table.num_rows, pa.int64()),
        **{f.name: table[f.name].cast(t) for f, t in zip(FACTS[4:], _SESSION, strict=True)},
    }
    threshold = (
        f"proxy_protocol.misfit_share = {settings.misfit_share:g}, "
        f"forward_exchanges = {settings.forward_exchanges} replies"
    )
    return evidence(table, decibans, threshold, FACTS, values, answered)


def _misfits(window: Window, heard: pa.Table, settings: Settings) -> pa.Table:
    """Pairs that speak what their port isn't for: connections `answered`, of those misfits (`asked`), `protocol`.

    Of services of which that is true over all clients: where others speak as they should, a hello was lost.
    """
    ports = pa.array(list(EXPECTED), pa.int32())
    heard = heard.filter(pc.is_in(heard["port"], value_set=ports))
    spoken = heard["service"].fill_null("an unknown protocol")
    heard = heard.append_column("spoken", spoken)
    odd = [r for r in heard.group_by(["port", "spoken"]).aggregate([]).to_pylist() if not _fits(r["port"], r["spoken"])]
    known = pa.Table.from_pylist(odd, schema=heard.select(["port", "spoken"]).schema)  # a handful
    misfit = partners(heard, known, ("port", "spoken")).is_valid()
    heard = heard.append_column("odd", pc.if_else(misfit, heard["n"], 0))
    services = sharing(window.pairs, heard["pair"].filter(misfit), _SERVICE).drop_columns("port")
    heard = beside(heard.filter(partners(heard, services, ("pair",)).is_valid()), services)
    services = heard.group_by(list(_SERVICE)).aggregate([("n", "sum"), ("odd", "sum")])
    share = pc.divide(pc.cast(services["odd_sum"], pa.float64()), services["n_sum"])
    services = services.filter(pc.greater_equal(share, settings.misfit_share))
    heard = heard.filter(partners(heard, services, _SERVICE).is_valid())
    tally = heard.group_by("pair").aggregate([("n", "sum"), ("odd", "sum"), ("spoken", "max")])
    tally = tally.rename_columns(["pair", "answered", "asked", "protocol"])
    return tally.filter(pc.greater(tally["asked"], 0))


def _without_host(window: Window, heard: pa.Table) -> pa.Table:
    """Pairs whose HTTP requests told the client's program and no host: `hostless` connections.

    The program shows that the header was seen: a conn.log alone has no hosts either.
    """
    bare = heard.filter(pc.and_(pc.equal(heard["service"], "http"), heard["unnamed"]))
    if len(bare):
        agents = window.sets.filter(window.sets.kind == "user_agent").select("pair").distinct().to_pyarrow()["pair"]
        bare = bare.filter(pc.is_in(bare["pair"], value_set=agents.combine_chunks()))
    return bare.group_by("pair").aggregate([("n", "sum")]).rename_columns(["pair", "hostless"])


def _forwarding(answered: ir.Table, settings: Settings) -> pa.Table:
    """Pairs with SSH sessions that carry whole requests and answers: `sessions`, and the busiest one's facts."""
    s = answered.filter(answered.service.contains("ssh"), answered.replies >= settings.forward_exchanges)
    s = s.select("pair", "uid", "replies", "orig_bytes", "resp_bytes").to_pyarrow()
    # a session kept open is told by its last segment, whose totals are the session's
    s = s.sort_by([(k, "ascending") for k in ("pair", "uid", "replies", "orig_bytes", "resp_bytes")])
    s = s.filter(pa.array(np.diff(key_ids(s, ("pair", "uid")), append=-1) != 0))
    exchanges = numbers(s, "replies")
    for name, total in (("request", "orig_bytes"), ("reply", "resp_bytes")):
        s = s.append_column(name, pa.array((numbers(s, total) - settings.forward_opening) / exchanges))
    request, reply = numbers(s, "request"), numbers(s, "reply")
    less, more = np.minimum(request, reply), np.maximum(request, reply)
    whole = (less >= settings.forward_less) & (more >= settings.forward_more) & (more <= settings.forward_most)
    s = s.filter(pa.array(whole))
    # of equally busy sessions the one that sent most, so that the order of rows doesn't matter
    s = s.sort_by(
        [("pair", "ascending"), ("replies", "descending"), ("orig_bytes", "descending"), ("uid", "ascending")]
    )
    pair, first, sessions = np.unique(s["pair"].to_numpy(), return_index=True, return_counts=True)
    best = s.take(pa.array(first))
    up, down = (pc.round(best[name], 1, round_mode="half_towards_infinity") for name in ("request", "reply"))
    return pa.table({"pair": pair, "sessions": sessions, "exchanges": best["replies"], "request": up, "reply": down})


@functools.cache
def _fits(port: int, spoken: str) -> bool:
    """The services (comma-separated) fit the port; a proxy request does too, since `_requests` tells it."""
    heard = set(spoken.split(","))
    return bool(heard & EXPECTED[port]) or "socks" in heard


HEURISTIC = ProxyProtocol()
