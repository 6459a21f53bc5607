"""No DNS answer led to the address, or a name that anybody gets for any machine: somebody wrote it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, numbers, outbound, partners, void_for_all
from hopscope.heuristics.naming_services import matches
from hopscope.summaries.schema import KEY

_US = 1_000_000
_BATCH = 1 << 18  # connections looked at together
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
        names = _answers(window, pairs)
        known = pc.unique(pa.chunked_array([*names["name"].chunks, *pairs["name"].chunks], pa.string()))
        services = matches(pa.chunked_array([known]))
        spelled = services.filter(pc.equal(services["category"], "literal"))["name"]
        answers = names.filter(pc.invert(pc.is_in(names["name"], value_set=spelled.combine_chunks())))
        rows = _explained(window, pairs, answers, settings)
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


def _pairs(window: Window) -> pa.Table:
    """Outbound TCP and UDP pairs in order; `peer` is UDP without a name.

    What a proxy is to reach (`asked_for` alone) is no name of the proxy's.
    """
    p, sets = outbound(window), window.sets
    configured = (sets.kind == "service") & sets.value.isin(_CONFIGURED)
    told = sets.filter((sets.kind == "proxy_target") | configured).select("pair", "kind").distinct().to_pyarrow()
    proxy = pc.equal(told["kind"], "proxy_target")
    proxied, left_out = told["pair"].filter(proxy), told["pair"].filter(pc.invert(proxy))
    pairs = p.filter(p.proto.isin(("tcp", "udp"))).select(*KEY, "connections", "first_us").to_pyarrow()
    pairs = pairs.filter(pc.invert(pc.is_in(pairs["pair"], value_set=left_out.combine_chunks()))).sort_by("pair")
    asked = pairs["name"]
    name = pc.if_else(pc.is_in(pairs["pair"], value_set=proxied.combine_chunks()), pa.scalar(None, pa.string()), asked)
    peer = pc.and_(pc.equal(pairs["proto"], "udp"), pc.is_null(name))
    pairs = pairs.set_column(pairs.column_names.index("name"), "name", name)
    return pairs.append_column("asked_for", asked).append_column("peer", peer)


def _answers(window: Window, pairs: pa.Table) -> pa.Table:
    """(sensor, client, name, server, first_us, until_us) of the DNS answers that led to a pair's server."""
    servers = outbound(window).select(address="server").distinct()
    names = window.names.semi_join(servers, "address")
    told = names.select("sensor", "client", "name", "first_us", "until_us", server=names.address).to_pyarrow()
    return told.filter(pc.is_in(told["server"], value_set=pairs["server"].combine_chunks()))


def _explained(window: Window, pairs: pa.Table, answers: pa.Table, settings: Settings) -> pa.Table:
    """The pairs with three shares of their connections, 0 to 1, and `led`.

    `without` have no valid answer; `lacking` discounts hints, `bare` the records' start as well. `led`: some
    answer for the very name that was asked for gave this address.
    """
    first, until = {}, {}  # when answers led there, and till when they held; NaN where none did
    for kind, of in (("own", ("client",)), ("same", ("name",)), ("any", ())):
        keys = ["sensor", "server", *of]
        led = answers.group_by(keys).aggregate([("first_us", "min"), ("until_us", "max")])
        spans = led.take(partners(pairs, led, keys))
        first[kind] = numbers(spans, "first_us_min")
        until[kind] = numbers(spans, "until_us_max") + round(settings.margin_s * _US)
    askers = window.names.group_by("sensor", "client").agg(first_us=window.names.first_us.min()).to_pyarrow()
    asks = partners(pairs, askers, ("sensor", "client")).is_valid().to_numpy(zero_copy_only=False)
    literal = pc.equal(pairs["name"], pairs["server"]).fill_null(False).to_numpy()
    began = _began(window, askers)

    def shares(pair: NDArray[np.int64], ts_us: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each connection, which is of the pair at that place: whether it is bare, lacking, and without."""
        valid = {kind: (first[kind][pair] <= ts_us) & (ts_us <= until[kind][pair]) for kind in first}
        whole = valid["own"] | valid["same"] | (valid["any"] & ~asks[pair])
        hinted = np.where(np.isnan(first["any"][pair]), 0.0, settings.hint_credit)
        credit = np.where(literal[pair], 0.0, np.where(whole, 1.0, hinted))
        early = np.clip(1.0 - (ts_us - began) / max(settings.grace_s * _US, 1.0), 0.0, 1.0)
        excused = np.where(literal[pair], 0.0, settings.early_credit * early)
        return np.stack([1.0 - np.maximum(credit, excused), 1.0 - credit, credit < 1.0])

    ids, n = pairs["pair"].to_numpy(), pairs.num_rows
    sums, count = np.zeros((3, n)), np.zeros(n)
    starts = window.samples.group_by("pair", "uid").agg(ts_us=window.samples.ts_us.min()).select("pair", "ts_us")
    for batch in starts.to_pyarrow().to_batches(_BATCH) if n else ():
        place = np.minimum(np.searchsorted(ids, batch["pair"]), n - 1)
        ours = ids[place] == batch["pair"].to_numpy()
        at = place[ours]
        sums += [np.bincount(at, v, n) for v in shares(at, batch["ts_us"].to_numpy()[ours])]
        count += np.bincount(at, minlength=n)
    unsampled = np.flatnonzero(count == 0)
    sums[:, unsampled] = shares(unsampled, numbers(pairs, "first_us")[unsampled])
    for name, values in zip(("bare", "lacking", "without"), sums / np.maximum(count, 1), strict=True):
        pairs = pairs.append_column(name, pa.array(values))
    return pairs.append_column("led", pa.array(~np.isnan(first["same"])))


def _began(window: Window, askers: pa.Table) -> int:
    """When the window's records begin: `start_us` is the hour's, before the first packet of a capture."""
    firsts = window.pairs.agg(first_us=window.pairs.first_us.min()).to_pyarrow()
    known = (t["first_us"].drop_null() for t in (firsts, askers))
    return max(window.start_us, min((pc.min(f).as_py() for f in known if len(f)), default=window.start_us))


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
        outweigh = total + settings.usual_weight
        rate = (unnamed + usual * settings.usual_weight) / outweigh if outweigh else usual
        others, left = _others_of_client(keys, mine, among)
        outweigh_own = others + settings.client_weight
        own = (left + rate * settings.client_weight) / np.where(outweigh_own > 0, outweigh_own, 1.0)
        own = np.maximum(np.where(outweigh_own > 0, own, rate), 1e-9)
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
    rows: pa.Table, names: pa.Table, services: pa.Table, settings: Settings
) -> tuple[pa.Table, NDArray[np.float64]]:
    """Per row the name of a tunnel or dynamic-DNS service that the client used, and what it weighs."""
    weights = {"tunnel": settings.tunnel_db, "dyndns": settings.dyndns_db, "device": settings.device_db, "literal": 0.0}
    known = {r["name"]: r for r in services.to_pylist() if r["category"] != "literal"}
    of_services = names.filter(pc.is_in(names["name"], value_set=pa.array(sorted(known), pa.string())))
    by_answer: dict[tuple[str, str, str], str] = {}
    # few rows: only answers with names of such services, and pairs that asked for one or use such an answer
    for r in of_services.sort_by([("name", "descending")]).to_pylist():
        by_answer[(r["sensor"], r["client"], r["server"])] = r["name"]
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
