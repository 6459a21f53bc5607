"""No DNS answer led to the address, or a name that anybody gets for any machine: somebody wrote it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, join, numbers, outbound, void_for_all
from hopscope.heuristics.naming_services import matches
from hopscope.summaries.schema import KEY

_US = 1_000_000
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
        pairs = _pairs(window)
        names = window.names.semi_join(pairs.select(address="server").distinct(), "address")
        known = names.select("name").distinct().union(pairs.select("name").distinct()).to_pyarrow()["name"]
        services = matches(known)
        spelled = services.filter(pc.equal(services["category"], "literal"))["name"]
        rows = _explained(window, pairs, names.filter(~names.name.isin(spelled.to_pylist())), settings)
        bare = numbers(rows, "bare")
        weight, share, void = _weight_of_bare(rows, settings)
        service, by_name = _named(rows, names, services, settings)
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


def _pairs(window: Window) -> ir.Table:
    """Outbound TCP and UDP pairs; `peer` is UDP without a name. What a proxy is to reach is no name of the proxy's."""
    services = window.sets.filter(window.sets.kind == "service")
    told = services.filter(services.value.isin(_CONFIGURED)).select("pair").distinct()
    pairs = outbound(window).anti_join(told, "pair")
    pairs = pairs.filter(pairs.proto.isin(("tcp", "udp")))
    proxied = window.sets.filter(window.sets.kind == "proxy_target").select("pair").distinct().mutate(proxied=True)
    pairs = join(pairs, proxied)
    pairs = pairs.mutate(name=pairs.proxied.isnull().ifelse(pairs.name, ibis.null("string")), asked_for=pairs.name)
    return pairs.select(*KEY, "asked_for", "connections", "first_us", peer=(pairs.proto == "udp") & pairs.name.isnull())


def _explained(window: Window, pairs: ir.Table, names: ir.Table, settings: Settings) -> pa.Table:
    """The pairs with three shares of their connections, 0 to 1, and `led`.

    `without` have no valid answer; `lacking` discounts hints, `bare` the records' start as well. `led`: some
    answer for the very name that was asked for gave this address.
    """
    starts = window.samples.group_by("pair", "uid").agg(ts_us=window.samples.ts_us.min())
    each = join(pairs, starts, ("pair",))
    each = each.mutate(ts_us=each.ts_us.coalesce(each.first_us))
    # answers are few per address once merged, so that the joins grow no rows
    answers = names.rename(server="address")
    for kind, of in (("own", ("client",)), ("same", ("name",)), ("any", ())):
        keys = ("sensor", "server", *of)
        span = {f"{kind}_from": answers.first_us.min(), f"{kind}_until": answers.until_us.max()}
        led = answers.group_by(keys).agg(**span)
        each = join(each, led, keys)
    asks = window.names.select("sensor", "client").distinct().mutate(asks=True)
    each = join(each, asks, ("sensor", "client"))
    margin = round(settings.margin_s * _US)

    def valid(kind: str) -> ir.BooleanValue:
        return ((each[f"{kind}_from"] <= each.ts_us) & (each.ts_us <= each[f"{kind}_until"] + margin)).coalesce(False)

    hinted = each.any_from.notnull().ifelse(settings.hint_credit, 0.0)
    credit = (valid("own") | valid("same") | (valid("any") & each.asks.isnull())).ifelse(1.0, hinted)
    early = 1.0 - (each.ts_us - _began(window)).cast("float64") / (settings.grace_s * _US)
    literal = (each.name == each.server).coalesce(False)
    credit = literal.ifelse(0.0, credit)
    excused = literal.ifelse(0.0, settings.early_credit * early.clip(0.0, 1.0))
    each = each.mutate(led=each.same_from.notnull())
    by = (*KEY, "asked_for", "connections", "peer", "led")
    shares = each.group_by(by).agg(
        bare=(1.0 - ibis.greatest(credit, excused)).mean(),
        lacking=(1.0 - credit).mean(),
        without=(credit < 1.0).ifelse(1.0, 0.0).mean(),
    )
    return shares.to_pyarrow().sort_by([(k, "ascending") for k in KEY])


def _began(window: Window) -> int:
    """When the window's records begin: `start_us` is the hour's, before the first packet of a capture."""
    firsts = (t.agg(first=t.first_us.min()).to_pyarrow()["first"][0].as_py() for t in (window.pairs, window.names))
    return max(window.start_us, min((f for f in firsts if f is not None), default=window.start_us))


def _weight_of_bare(rows: pa.Table, settings: Settings) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """Per row what a wholly unexplained destination weighs and the share of its like; why all is void, or nothing."""
    n = rows.num_rows
    peer = np.asarray(rows["peer"].to_numpy(), bool)
    named = rows["name"].is_valid().to_numpy() & (rows["name"].fill_null("").to_numpy() != rows["server"].to_numpy())
    keys = rows.select(["sensor", "client", "server", "lacking"])
    weight, share, void = np.zeros(n), np.zeros(n), ""
    kinds = (
        (~peer & ~named, ~peer, settings.usual_rate, settings.hop_rate),
        (~peer & named, ~peer, settings.usual_named_rate, settings.hop_named_rate),
        (peer, peer, settings.usual_peer_rate, settings.hop_peer_rate),
    )
    of_all, bare_of_all = _places(keys, ~peer, ~peer)
    if of_all and bare_of_all / of_all >= settings.blind_rate and bare_of_all >= 5:
        void = f"no DNS answer led to {bare_of_all:.0f} of {of_all} destinations: DNS is not seen"
    for mine, among, usual, hops in kinds:
        total, unnamed = _places(keys, mine, among)
        rate = (unnamed + usual * settings.usual_weight) / (total + settings.usual_weight)
        others, left = _others_of_client(keys, mine, among)
        own = (left + rate * settings.client_weight) / (others + settings.client_weight)
        weight[mine] = np.clip(10 * np.log10(hops / own), 0.0, settings.most_db)[mine]
        share[mine] = unnamed / total if total else 0.0
    return np.zeros(n) if void else weight, share, void


def _places(keys: pa.Table, mine: NDArray[np.bool_], among: NDArray[np.bool_]) -> tuple[int, float]:
    """The number of destinations `among` rows, and how many of `mine` are unexplained."""
    total = keys.filter(pa.array(among)).group_by(["sensor", "server"]).aggregate([])
    each = keys.filter(pa.array(mine)).group_by(["sensor", "server"]).aggregate([("lacking", "max")])
    return total.num_rows, float(pc.sum(each["lacking_max"]).as_py() or 0.0)


def _others_of_client(
    keys: pa.Table, mine: NDArray[np.bool_], among: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per row the number of the client's other destinations `among` rows, and how many of `mine` are unexplained."""
    who = ["sensor", "client"]
    each = keys.filter(pa.array(mine)).group_by([*who, "server"]).aggregate([("lacking", "max")])
    sums = each.group_by(who).aggregate([("lacking_max", "sum")])
    places = keys.filter(pa.array(among)).group_by([*who, "server"]).aggregate([])
    counts = places.group_by(who).aggregate([([], "count_all")])
    at = keys.select([*who, "server"]).append_column("row", pa.array(np.arange(keys.num_rows)))
    at = at.join(each, [*who, "server"]).join(sums, who).join(counts, who).sort_by("row")
    total, unnamed, own = (np.nan_to_num(numbers(at, c)) for c in ("count_all", "lacking_max_sum", "lacking_max"))
    return np.maximum(total - 1, 0.0), np.maximum(unnamed - own, 0.0)


def _named(
    rows: pa.Table, names: ir.Table, services: pa.Table, settings: Settings
) -> tuple[pa.Table, NDArray[np.float64]]:
    """Per row the name of a tunnel or dynamic-DNS service that the client used, and what it weighs."""
    weights = {"tunnel": settings.tunnel_db, "dyndns": settings.dyndns_db, "device": settings.device_db, "literal": 0.0}
    known = {r["name"]: r for r in services.to_pylist() if r["category"] != "literal"}
    led = names.filter(names.name.isin(sorted(known))).select("sensor", "client", "address", "name").distinct()
    by_answer: dict[tuple[str, str, str], str] = {}
    # few rows: only answers with names of such services, here and below
    for r in led.to_pyarrow().sort_by([("name", "descending")]).to_pylist():
        by_answer[(r["sensor"], r["client"], r["address"])] = r["name"]
    # a name that DNS led by counts where the asked one is none, or one that no DNS led by: a cover
    columns = (rows[c].to_pylist() if known else [] for c in ("sensor", "client", "server", "name", "led"))
    used = [
        asked if asked in known else None if led else by_answer.get((sensor, client, server))
        for sensor, client, server, asked, led in zip(*columns, strict=True)
    ] or [None] * rows.num_rows
    whose = [known[n] if n else None for n in used]
    text = {"tunnel": "a tunnel service", "dyndns": "dynamic DNS", "device": "dynamic DNS for devices"}
    told = [f"{w['operator']}, {text[w['category']]}" if w else None for w in whose]
    table = pa.table({"service_name": pa.array(used, pa.string()), "service": pa.array(told, pa.string())})
    return table, np.array([weights[w["category"]] if w else 0.0 for w in whose], np.float64)


HEURISTIC = Unnamed()
