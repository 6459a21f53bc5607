"""No DNS answer led to the address, or a name that anybody gets for any machine: somebody wrote it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import setting
from hopscope.heuristics import dns_answers, outbound_pairs
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.dns_answers import Answers
from hopscope.heuristics.dns_explained import explained
from hopscope.heuristics.evidence import evidence, numbers, void_for_all
from hopscope.heuristics.naming_services import matches
from hopscope.heuristics.outbound_pairs import OutboundPairs
from hopscope.heuristics.segments import Flags, Floats, Ints, combined, unique

_SERVER = ("sensor", "server")
_CONFIGURED = ("dns", "ntp", "dhcp")  # services whose servers' addresses are configured, or told by DHCP (RFC 2132)


@dataclass(frozen=True)
class Settings:
    """[heuristics.unnamed]"""

    hop_rate: float = setting(0.35, "fraction", "hops reached by bare address, without any name")
    hop_named_rate: float = setting(0.15, "fraction", "hops asked for a name that no DNS answer gave")
    hop_peer_rate: float = setting(0.5, "fraction", "hops over UDP without a name that are reached by bare address")
    usual_rate: float = setting(0.03, "fraction", "ordinary destinations reached by bare address, without any name")
    usual_named_rate: float = setting(0.05, "fraction", "ordinary destinations asked for a name that no answer gave")
    usual_peer_rate: float = setting(0.3, "fraction", "ordinary peers over UDP without a name (calls, games), likewise")
    usual_weight: float = setting(200.0, "destinations", "destinations of the window that outweigh it")
    client_weight: float = setting(50.0, "destinations", "destinations of a client that outweigh the window's rate")
    blind_rate: float = setting(0.5, "fraction", "share without answers from which DNS is taken as not seen")
    margin_s: float = setting(3600.0, "s", "how long past its TTL an answer still explains a connection")
    grace_s: float = setting(600.0, "s", "how long after the records' start answers may have come before them")
    early_credit: float = setting(0.25, "fraction", "how far the very first connections are excused for that")
    hint_credit: float = setting(0.75, "fraction", "how far answers explain that ran out, came later or went to others")
    most_db: float = setting(10.0, "decibans", "the most that a bare address weighs")
    tunnel_db: float = setting(13.0, "decibans", "weight of a tunnel service's name")
    dyndns_db: float = setting(6.0, "decibans", "weight of a dynamic-DNS name")
    device_db: float = setting(3.0, "decibans", "weight of a dynamic-DNS name of a maker of routers or storage")


FACTS = (
    Fact("asked_for", "", "the name the client sent all the same (SNI or HTTP host); null when none"),
    Fact("connections", "connections", "connections to the address"),
    Fact("bare_share", "fraction", "share of the connections that no valid DNS answer explains"),
    Fact("hinted", "", "true: an answer did lead there, but to others, later, or it had run out"),
    Fact("unnamed_share", "fraction", "share of this window's outside destinations that no DNS answer explains"),
    Fact("service_name", "", "name of a tunnel or dynamic-DNS service that was used; null when none"),
    Fact("service", "", "whose name that is, and its category"),
)


@dataclass(frozen=True)
class Unnamed:
    """Was the client given this address by DNS, and if so, under whose name?

    Formula: an answer explains a connection when it came before it and its TTL, plus `margin_s`, had not
    run out: wholly when it was given to the client, or to anybody for the very name the client asked for,
    or to anybody when the client asks no DNS that we see; as far as `hint_credit` when it was given to
    others only, had run out, or came later. Connections at the records' very start are excused as far as
    `early_credit`, down to nothing after `grace_s`, since their answers may have come before. Answers for
    names that spell the address (nip.io) explain nothing; a host header that is the address needs no excuse.
    The weight is the share of connections left unexplained, times 10 log10(h / r). h is the rate among hops;
    r is the share of destinations without an explanation, in the window and among the client's other
    destinations, smoothed with `usual_weight` and `client_weight` destinations at the usual rate. So where
    DNS is half blind the evidence shrinks by itself; from `blind_rate` on, or without any answers, it is
    void. Both rates are told apart for destinations without any name, for those asked for one all the same
    (an answer cached, or a cover), and for UDP without a name, whose peers calls and games tell by
    signalling. Resolvers and time servers are left out: their addresses are configured.

    The names of tunnel and dynamic-DNS services, asked for or led by, weigh by category; a service's own
    website doesn't. The larger of the two weights counts.

    Weights: MEASURED on two hours of 2024's ordinary traffic with whole DNS logs: 0.8 % of 392 destinations had
    neither answer nor name, 4.8 % a name without an answer, 13 % an answer for others only; the first is
    taken as 3 %, since that traffic is browsing. None of 1,240 ordinary names was of such a service: at most
    0.24 % are (95 %). ASSUMED: the rates among hops; that 5 % of them are reached by a tunnel's name (13 dB at
    that bound), and that ordinary traffic knows dynamic DNS five times as well; `hint_credit`; `early_credit`,
    small enough for captures of a minute to keep most of the weight. PUBLISHED: programs keep addresses past
    the TTL: Java for ever under a security manager (its manual); 8.7 % of resolvers extend it (PAM 2023); most
    transactions need no lookup of their own (IMC 2020; of both papers the abstract). Hence margin, credit and
    grace; no published distribution was at hand for their lengths.

    Look-alikes: agents, appliances and peer-to-peer programs that carry addresses; DNS over HTTPS; homes and
    developers behind dynamic DNS and tunnels.
    """

    name: str = "unnamed"
    title: str = "no DNS answer led to the address, or a tunnel service's name did"
    d3fend: str = "D3-PMAD"
    group: str = "naming"
    source: str = "Sigma and ET rules on bare addresses and tunnel services; rate measured on ordinary logs"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = ()

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        if not window.vantage.dns_seen:
            return void_for_all("clients' DNS is not seen here ([vantage] dns_seen)", FACTS)
        pairs, answers = outbound_pairs.fetch(window), dns_answers.fetch(window)
        rows = _pairs(window, pairs)
        services = matches(pa.chunked_array([pc.unique(pa.chunked_array([answers.names, pairs.column("name")]))]))
        spelled = services.filter(pc.equal(services["category"], "literal"))["name"].combine_chunks()
        telling = ~pc.is_in(answers.names, value_set=spelled).to_numpy(zero_copy_only=False)[answers.name]
        rows = explained(window, rows, pairs, answers, telling, settings)
        bare = numbers(rows, "bare")
        weight, share, void = _weight_of_bare(rows, pairs, settings)
        service, by_name = _named(rows, pairs, answers, services, settings)
        if void and not by_name.any():
            return void_for_all(void, FACTS)
        decibans = np.maximum(weight * bare, by_name)
        values = {
            "asked_for": rows["name"],
            "connections": numbers(rows, "connections"),
            "bare_share": np.round(numbers(rows, "without"), 3),
            "hinted": pc.less(rows["lacking"], rows["without"]),
            "unnamed_share": np.round(share, 3),
            "service_name": service["service_name"],
            "service": service["service"],
        }
        rows = rows.drop_columns("name").rename_columns({"asked_for": "name"})  # the pair's key again
        return evidence(rows, decibans, f"unnamed.margin_s = {settings.margin_s:g} s", FACTS, values, window.samples)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """Whose name it was, or which name was missing."""
        if facts["service_name"]:
            return f"reached by {facts['service_name']}, a name of {facts['service']}"
        share, led = facts["bare_share"], "no DNS answer led to"
        if facts["hinted"]:
            led = "only DNS answers for others, too late or too old led to"
        part = f"for {share:.0%} of its {facts['connections']:.0f} connections, " if 0 < share < 1 else ""
        if facts["asked_for"]:
            return f"{part}the client asked for {facts['asked_for']}, but {led} this address"
        return f"{part}reached by bare address: {led} it"


def _pairs(window: Window, pairs: OutboundPairs) -> pa.Table:
    """Outbound TCP and UDP pairs in order; `at` is a pair's row among all, `peer` is UDP without a name.

    What a proxy is to reach (`asked_for` alone) is no name of the proxy's.
    """
    services = outbound_pairs.told(window, "service")
    configured = services.filter(pc.is_in(services["value"], value_set=pa.array(_CONFIGURED)))["pair"]
    proxied = pairs.among(outbound_pairs.told(window, "proxy_target")["pair"])
    at = np.flatnonzero(pairs.protocol(("tcp", "udp")) & ~pairs.among(configured))
    rows = pairs.rows.take(pa.array(at))
    asked = rows["name"]
    name = pc.if_else(pa.array(proxied[at]), pa.scalar(None, pa.string()), asked)
    peer = pc.and_(pc.equal(rows["proto"], "udp"), pc.is_null(name))
    rows = rows.set_column(rows.column_names.index("name"), "name", name)
    return rows.append_column("at", pa.array(at)).append_column("asked_for", asked).append_column("peer", peer)


def _weight_of_bare(rows: pa.Table, pairs: OutboundPairs, settings: Settings) -> tuple[Floats, Floats, str]:
    """Per row what a wholly unexplained destination weighs and the share of its like; why all is void, or nothing."""
    n, at = rows.num_rows, rows["at"].to_numpy()
    peer = np.asarray(rows["peer"].to_numpy(), bool)
    named = rows["name"].is_valid().to_numpy() & (rows["name"].fill_null("").to_numpy() != rows["server"].to_numpy())
    places = _Places(
        numbers(rows, "lacking"),
        *(combined([pairs.ids(*keys)[at]]) for keys in (_SERVER, ("sensor", "client"), (*_SERVER, "client"))),
    )
    weight, share, void = np.zeros(n), np.zeros(n), ""
    kinds = (
        (~peer & ~named, ~peer, settings.usual_rate, settings.hop_rate),
        (~peer & named, ~peer, settings.usual_named_rate, settings.hop_named_rate),
        (peer, peer, settings.usual_peer_rate, settings.hop_peer_rate),
    )
    of_all, bare_of_all = places.of_all(~peer, ~peer)
    if of_all and bare_of_all / of_all >= settings.blind_rate and bare_of_all >= 5:
        void = f"no DNS answer led to {bare_of_all:.0f} of {of_all} destinations: DNS is not seen"
    for mine, among, usual, hops in kinds:
        total, unnamed = places.of_all(mine, among)
        outweigh = total + settings.usual_weight
        rate = (unnamed + usual * settings.usual_weight) / outweigh if outweigh else usual
        others, left = places.others_of_client(mine, among)
        outweigh_own = others + settings.client_weight
        own = (left + rate * settings.client_weight) / np.where(outweigh_own > 0, outweigh_own, 1.0)
        own = np.maximum(np.where(outweigh_own > 0, own, rate), 1e-9)
        weight[mine] = np.clip(10 * np.log10(hops / own), 0.0, settings.most_db)[mine]
        share[mine] = unnamed / total if total else 0.0
    return np.zeros(n) if void else weight, share, void


@dataclass(frozen=True)
class _Places:
    """Destinations by what rows lack: the row's server, client, and both, numbered from 0."""

    lacking: Floats
    server: Ints
    client: Ints
    place: Ints

    def of_all(self, mine: Flags, among: Flags) -> tuple[int, float]:
        """The number of destinations `among` rows, and how many of `mine` are unexplained."""
        return len(unique(self.server[among])), float(self._most(self.server, mine).sum())

    def others_of_client(self, mine: Flags, among: Flags) -> tuple[Floats, Floats]:
        """Per row the client's other destinations `among` rows, and how many of `mine` are unexplained."""
        most = self._most(self.place, mine)
        client = np.empty(len(most), np.int64)
        client[self.place] = self.client
        size = int(self.client.max(initial=-1)) + 1
        total = np.bincount(client[unique(self.place[among])], minlength=size)[self.client]
        unnamed = np.bincount(client, most, size)[self.client]
        return np.maximum(total - 1.0, 0.0), np.maximum(unnamed - most[self.place], 0.0)

    def _most(self, group: Ints, mine: Flags) -> Floats:
        """The most that one of `mine` lacks, of each group; 0 where there is none."""
        out = np.zeros(int(group.max(initial=-1)) + 1)
        np.maximum.at(out, group[mine], self.lacking[mine])
        return out


def _named(
    rows: pa.Table, pairs: OutboundPairs, answers: Answers, services: pa.Table, settings: Settings
) -> tuple[pa.Table, Floats]:
    """Per row the name of a tunnel or dynamic-DNS service that the client used, and what it weighs."""
    weights = {"tunnel": settings.tunnel_db, "dyndns": settings.dyndns_db, "device": settings.device_db, "literal": 0.0}
    known = {r["name"]: r for r in services.to_pylist() if r["category"] != "literal"}
    of_services = pc.is_in(answers.names, value_set=pa.array(sorted(known), pa.string())).to_numpy(zero_copy_only=False)
    # few rows: only answers with names of such services, and pairs that asked for one or use such an answer
    few = np.flatnonzero(of_services[answers.name] & (answers.codes["client"] >= 0))
    few = few[np.argsort(-answers.name[few], kind="stable")]
    texts = [
        *(pairs.values[key].take(pa.array(answers.codes[key][few])) for key in ("sensor", "client", "server")),
        answers.names.take(pa.array(answers.name[few])),
    ]
    by_answer = {(s, c, a): name for s, c, a, name in zip(*(t.to_pylist() for t in texts), strict=True)}
    asks = pc.is_in(rows["name"], value_set=pa.array(sorted(known), pa.string()))
    uses = pc.is_in(rows["server"], value_set=pa.array(sorted({k[2] for k in by_answer}), pa.string()))
    at = np.flatnonzero(pc.or_(asks, uses).to_numpy(zero_copy_only=False))
    text = {"tunnel": "a tunnel service", "dyndns": "dynamic DNS", "device": "dynamic DNS for devices"}
    used, told = np.full(rows.num_rows, None, object), np.full(rows.num_rows, None, object)
    decibans = np.zeros(rows.num_rows)
    few = rows.select(["sensor", "client", "server", "name", "led"]).take(pa.array(at)).to_pylist()
    for i, r in zip(at, few, strict=True):
        # a name that DNS led by counts where the asked one is none, or one that no DNS led by: a cover
        answered = None if r["led"] else by_answer.get((r["sensor"], r["client"], r["server"]))
        name = r["name"] if r["name"] in known else answered
        if name is not None:
            service = known[name]
            used[i], decibans[i] = name, weights[service["category"]]
            told[i] = f"{service['operator']}, {text[service['category']]}"
    table = pa.table({"service_name": pa.array(used, pa.string()), "service": pa.array(told, pa.string())})
    return table, decibans


HEURISTIC = Unnamed()
