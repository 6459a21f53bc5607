"""One certificate, SSH host key or odd ServerHello behind addresses that share nothing else."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, outbound, partners, rise, void_for_all
from hopscope.summaries.schema import KEY

KINDS = {"cert_sha256": "certificate", "ssh_host_key": "SSH host key", "server_hello": "ServerHello"}
NEAR, WIDE = {4: 24, 6: 48}, {4: 16, 6: 32}  # prefixes of one site, and of one provider's block, by IP version


@dataclass(frozen=True)
class Settings:
    """[heuristics.shared_identity]"""

    two_db: float = setting(20.0, "decibans", "one certificate or host key in two unrelated networks")
    further_db: float = setting(2.5, "decibans", "added for each further network")
    most_db: float = setting(25.0, "decibans", "the most that this evidence weighs")
    block_share: float = setting(0.5, "fraction", "of the weight where all lie in one provider's block (/16, /32)")
    hello_db: float = setting(5.0, "decibans", "one ServerHello, which software shares, in two unrelated networks")
    hello_among: int = setting(50, "destinations", "destinations with a ServerHello from which one can be rare")
    few_clients: int = setting(3, "clients", "clients of the identity up to which it weighs wholly")
    many_clients: int = setting(10, "clients", "clients from which it is a service's, and weighs nothing")
    few_addresses: int = setting(8, "addresses", "addresses behind it up to which it weighs wholly")
    many_addresses: int = setting(32, "addresses", "addresses from which it is a maker's default, and weighs nothing")
    blind_rate: float = setting(0.5, "fraction", "share without answers from which DNS is taken as not seen")


FACTS = (
    Fact("identity", "", "certificate, SSH host key or ServerHello"),
    Fact("value", "", "its SHA-256 (hexadecimal); of a ServerHello version, cipher and extensions"),
    Fact("addresses", "", "the addresses that showed it, up to ten"),
    Fact("shown_by", "addresses", "how many addresses showed it"),
    Fact("networks", "networks", "unrelated networks they lie in (/24, of IPv6 /48)"),
    Fact("users", "clients", "clients of ours that met it"),
)


@dataclass(frozen=True)
class SharedIdentity:
    """Does one private key answer at addresses that share neither a name nor a network?

    A relay that passes TLS or SSH on shows what stands behind it: several relays before one far end show one
    certificate, one host key.

    Formula: an identity counts when all addresses that show it were reached without any name (no DNS answer
    led there, none was asked for) and lie in at least two networks (/24, of IPv6 /48). `two_db` for two, `further_db`
    for each more, up to `most_db`; `block_share` of that when all lie in one /16 (/32), since a provider's cloned
    machines do. Falling to nothing from `few_clients` to `many_clients`, and from `few_addresses` to
    `many_addresses`. A ServerHello, which all who run that software share, weighs `hello_db`, and only where
    no other of at least `hello_among` destinations shows it.

    Weights: all assumed; none is published, and the lab's TLS 1.3 hides certificates. Two bare addresses with one
    key were taken as 100 times as frequent among relays as among ordinary bare addresses.

    Look-alikes that get nothing: content networks and load balancers (names), dynamic DNS (one name, addresses
    in turn), services whose DNS answers were not seen (the name is asked for in the handshake), fleets with a maker's
    default certificate (many addresses). Cloned machines in several networks of several providers look the same.
    """

    name: str = "shared_identity"
    title: str = "one key behind addresses that share nothing else"
    d3fend: str = "D3-PMAD"
    group: str = "identity"
    source: str = "hopscope; weights assumed"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("cert_sha256", "ssh_host_key", "server_hello"),)

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        if not window.vantage.dns_seen:
            return void_for_all("clients' DNS is not seen here ([vantage] dns_seen)", FACTS)
        pairs = outbound(window)
        own = [a for a in window.vantage.own_proxies if a]
        pairs = pairs.filter(~pairs.server.isin(own)) if own else pairs
        places = pairs.select("sensor", "server").distinct()
        total = places.count().to_pyarrow().as_py()
        answers = window.names.select("sensor", server=window.names.address).distinct()
        led = answers.semi_join(places, ["sensor", "server"]).to_pyarrow()
        unnamed = total - len(led)
        if unnamed >= 5 and unnamed / total >= settings.blind_rate:
            return void_for_all(f"no DNS answer led to {unnamed} of {total} destinations: DNS is not seen", FACTS)
        table = _candidates(window, pairs, led, settings)
        identities = _weights(table, settings)
        found = [identities.get((r["sensor"], r["kind"], r["value"])) for r in table.to_pylist()]
        table = table.append_column("weight", pa.array([f["weight"] if f else 0.0 for f in found], pa.float64()))
        for name in ("addresses", "networks", "users", "shown_by"):
            kind = pa.list_(pa.string()) if name == "addresses" else pa.int64()
            table = table.append_column(name, pa.array([f[name] if f else None for f in found], kind))
        table = _best(table)
        values = {
            "identity": pa.array([KINDS[k] for k in table["kind"].to_pylist()], pa.string()),
            **{f.name: table[f.name] for f in FACTS[1:]},
        }
        decibans = np.asarray(table["weight"].to_numpy(), np.float64)
        sets = window.sets.filter(window.sets.kind.isin(list(KINDS)))
        threshold = f"shared_identity.many_clients = {settings.many_clients} clients"
        return evidence(table, decibans, threshold, FACTS, values, sets)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """What is shared, by whom."""
        users = "1 client of ours" if facts["users"] == 1 else f"{facts['users']} clients of ours"
        return (
            f"the same {facts['identity']} answers at {facts['shown_by']} addresses in {facts['networks']} networks "
            f"that no name led to ({', '.join(facts['addresses'])}), met by {users}"
        )


def _candidates(window: Window, pairs: ir.Table, led: pa.Table, settings: Settings) -> pa.Table:
    """The pairs (KEY) with identities (kind, value) that few clients met at several addresses, none of them named.

    `led` are the (sensor, server) that DNS answers led to.
    """
    sets = window.sets.filter(window.sets.kind.isin(list(KINDS)), window.sets.value.notnull())
    shown = sets.select("pair", "kind", "value").inner_join(pairs.select(*KEY), "pair")
    each = shown.group_by("sensor", "kind", "value").agg(servers=shown.server.nunique(), clients=shown.client.nunique())
    odd = each.filter(
        each.servers >= 2, each.servers < settings.many_addresses, each.clients < settings.many_clients
    ).to_pyarrow()  # fmt: skip
    hellos = pc.equal(odd["kind"], "server_hello")
    if pc.any(hellos).as_py():  # one can only be rare among many
        s = shown.filter(shown.kind == "server_hello")
        all_of = s.group_by("sensor").agg(all_of=s.server.nunique()).to_pyarrow()
        others = pc.subtract(all_of["all_of"].take(partners(odd, all_of, ("sensor",))), odd["servers"])
        rare = pc.greater_equal(others, settings.hello_among).fill_null(False)
        odd = odd.filter(pc.or_(pc.invert(hellos), rare))
    columns = ["sensor", "kind", "value"]
    if not len(odd):
        return shown.select(*KEY, "kind", "value").schema().to_pyarrow().empty_table()
    among = ibis.memtable(odd.select(columns))
    rows = shown.semi_join(among, columns).select(*KEY, "kind", "value").distinct().to_pyarrow()
    asked = pc.and_(pc.is_valid(rows["name"]), pc.not_equal(rows["name"], rows["server"]).fill_null(False))
    named = pc.or_(partners(rows, led, ("sensor", "server")).is_valid(), asked)
    of_named = rows.filter(named).group_by(columns).aggregate([])
    return rows.filter(pc.is_null(partners(rows, of_named, columns)))


def _weights(table: pa.Table, settings: Settings) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What each identity weighs, with its facts; of few rows, since most identities have one address or a name."""
    if not table.num_rows:
        return {}
    by = table.group_by(["sensor", "kind", "value"]).aggregate([("server", "distinct"), ("client", "count_distinct")])
    out = {}
    for row in by.to_pylist():
        addresses, users = sorted(row["server_distinct"]), row["client_count_distinct"]
        networks, blocks = _networks(addresses, NEAR), _networks(addresses, WIDE)
        if networks < 2:
            continue
        weight = settings.hello_db
        if row["kind"] != "server_hello":
            weight = min(settings.two_db + settings.further_db * (networks - 2), settings.most_db)
        crowd = rise(np.array([float(users)]), settings.few_clients, settings.many_clients)[0]
        fleet = rise(np.array([float(len(addresses))]), settings.few_addresses, settings.many_addresses)[0]
        weight *= (1 - crowd) * (1 - fleet) * (1.0 if blocks > 1 else settings.block_share)
        out[row["sensor"], row["kind"], row["value"]] = {
            "weight": weight, "addresses": addresses[:10], "shown_by": len(addresses), "networks": networks,
            "users": users,
        }  # fmt: skip
    return out


def _networks(addresses: Iterable[str], prefixes: Mapping[int, int]) -> int:
    """How many networks the addresses lie in; the prefix goes by IP version."""
    hosts = (ipaddress.ip_address(a) for a in addresses)
    return len({ipaddress.ip_network((str(a), prefixes[a.version]), strict=False) for a in hosts})


def _best(table: pa.Table) -> pa.Table:
    """Of each pair the identity that weighs most."""
    order = [("pair", "ascending"), ("weight", "descending"), ("kind", "ascending"), ("value", "ascending")]
    table = table.sort_by(order)
    pairs = table["pair"].to_numpy()
    first = np.diff(pairs, prepend=pairs[:1] - 1) != 0
    return table.filter(pc.and_(pa.array(first, pa.bool_()), pc.greater(table["weight"], 0)))


HEURISTIC = SharedIdentity()
