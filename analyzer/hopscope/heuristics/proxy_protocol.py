"""The client asks an outside host to relay, or speaks what its port isn't for."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, join, numbers, outbound
from hopscope.summaries.schema import KEY

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
PROXY = {"socks4": "SOCKS4", "socks5": "SOCKS5", "http-connect": "HTTP CONNECT"}


@dataclass(frozen=True)
class Settings:
    """[heuristics.proxy_protocol]"""

    accepted_db: float = setting(45.0, "decibans", "an outside host was asked to relay and agreed")
    asked_db: float = setting(30.0, "decibans", "an outside host was asked to relay; its answer was not seen or no")
    misfit_db: float = setting(6.0, "decibans", "what is spoken doesn't fit the port")
    misfit_share: float = setting(0.8, "fraction", "share of the answered connections that don't fit")


FACTS = (
    Fact("protocol", "", "SOCKS4, SOCKS5, HTTP CONNECT, or what was found on the port"),
    Fact("targets", "", "what the client asked the hop to reach, up to five"),
    Fact("asked", "connections", "connections that asked to be relayed, or that don't fit their port"),
    Fact("accepted", "connections", "of those, the ones that the hop granted (null for a misfit)"),
)


@dataclass(frozen=True)
class ProxyProtocol:
    """Does the client say itself that it wants to be relayed?

    A SOCKS greeting or an HTTP CONNECT towards an outside address, on any port, is the request for a
    proxy hop in so many words; when it is granted nothing else can be meant. Own explicit proxies
    (`[vantage] own_proxies`) are no hops. Much weaker: another protocol than TLS on 443, no SSH on 22.

    Formula: `accepted_db` for a pair with a granted request, `asked_db` with a request only; `misfit_db`
    where at least `misfit_share` of the answered connections don't speak what their port is for.

    Weights: a request that was granted is close to proof: 45 dB lift it over the prior by itself. A
    misfit is what 10 % of hops and 2 to 3 % of ordinary services do (assumed; capped).
    Sources: RFC 1928, RFC 9110 section 9.3.6; Zeek's analyzers.
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
        """Evidence per pair: a relay request, else a misfit."""
        asked = _requests(window, settings)
        misfit = _misfits(window, settings)
        return pa.concat_tables([asked, misfit])

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """What was asked for."""
        if facts["accepted"] is None:
            return f"{facts['protocol']} in {facts['asked']} connections"
        to = f" to reach {', '.join(facts['targets'])}" if facts["targets"] else ""
        granted = "all granted" if facts["accepted"] == facts["asked"] else f"{facts['accepted']} granted"
        return f"asked by {facts['protocol']} in {facts['asked']} connections{to} ({granted})"


def _requests(window: Window, settings: Settings) -> pa.Table:
    sets = window.sets
    kinds = sets.filter(sets.kind == "proxy_protocol")
    # a pair that speaks several is told by one of them
    asked = kinds.group_by("pair").agg(protocol=kinds.value.max(), asked=kinds.connections.sum())
    granted = sets.filter(sets.kind == "proxy_accepted", sets.value == "true")
    granted = granted.group_by("pair").agg(accepted=granted.connections.sum())
    aims = sets.filter(sets.kind == "proxy_target")
    targets = aims.group_by("pair").agg(targets=aims.value.collect())
    p = window.pairs
    pairs = p.filter(p.client_local & ~p.server_local).select(*KEY)
    rows = join(join(join(pairs, asked), granted), targets)
    table = rows.filter(rows.asked.notnull()).to_pyarrow()
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
    }
    return evidence(table, decibans, "a request to relay was seen", FACTS, values, kinds)


def _misfits(window: Window, settings: Settings) -> pa.Table:
    s = window.samples.filter(window.samples.proto == "tcp", window.samples.port.isin(list(EXPECTED)))
    s = s.filter(s.orig_bytes > 0, s.resp_bytes > 0).mutate(spoken=s.service.fill_null("an unknown protocol"))
    heard = s.select("port", "spoken").distinct().to_pyarrow().to_pylist()
    odd = [(s.port == h["port"]) & (s.spoken == h["spoken"]) for h in heard if not _fits(h["port"], h["spoken"])]
    s = s.mutate(odd=ibis.or_(ibis.literal(False), *odd).cast("int64"))
    tally = s.group_by("pair").agg(answered=s.count(), asked=s.odd.sum(), protocol=s.spoken.max())
    pairs = outbound(window).select(*KEY)
    rows = pairs.inner_join(tally.filter(tally.asked > 0), "pair").to_pyarrow()
    share = numbers(rows, "asked") / np.maximum(numbers(rows, "answered"), 1)
    decibans = np.where(share >= settings.misfit_share, settings.misfit_db, 0.0)
    words = [f"{v} on port {p}" for v, p in zip(rows["protocol"].to_pylist(), rows["port"].to_pylist(), strict=True)]
    values = {
        "protocol": pa.array(words, pa.string()),
        "targets": pa.nulls(rows.num_rows, pa.list_(pa.string())),
        "asked": rows["asked"].cast(pa.int64()),
        "accepted": pa.nulls(rows.num_rows, pa.int64()),
    }
    return evidence(rows, decibans, f"proxy_protocol.misfit_share = {settings.misfit_share:g}", FACTS, values, s)


@functools.cache
def _fits(port: int, spoken: str) -> bool:
    """The services (comma-separated) fit the port; a proxy request does too, since `_requests` tells it."""
    heard = set(spoken.split(","))
    return bool(heard & EXPECTED[port]) or "socks" in heard


HEURISTIC = ProxyProtocol()
