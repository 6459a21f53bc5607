"""A host leaves its community: a destination that none of its peers uses, and much of its own traffic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.baselines.model import Baseline
from hopscope.config import setting
from hopscope.heuristics import dns_answers, learnt, outbound_pairs
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import beside, evidence, numbers, partners, rise
from hopscope.heuristics.learnt import version
from hopscope.heuristics.peers import communities, configured
from hopscope.heuristics.segments import Floats, codes, combined, differing, key_ids
from hopscope.summaries.schema import KEY

DAY_US = 86_400_000_000
_HOST = ("sensor", "client")
_PLACE = ("sensor", "client", "place")


@dataclass(frozen=True)
class Settings:
    """[heuristics.community]"""

    few: int = setting(2, "clients", "hosts of ours that may use a destination before it counts as known here")
    min_peers: int = setting(3, "hosts", "peers in a host's community below which leaving it means nothing")
    hop_alone_rate: float = setting(0.9, "fraction", "hops that none of the host's peers uses")
    usual_alone_rate: float = setting(0.85, "fraction", "ordinary destinations that none of the host's peers uses")
    usual_weight: float = setting(100.0, "destinations", "destinations of the host that outweigh it")
    outside_db: float = setting(3.0, "decibans", "the most that leaving the community weighs")
    min_places: int = setting(5, "destinations", "destinations of a host below which a share means nothing")
    min_connections: int = setting(10, "connections", "connections below which their share means nothing")
    low_share: float = setting(0.1, "fraction", "share of the host's connections from which it counts")
    high_share: float = setting(0.3, "fraction", "share of the host's connections that weighs most")
    share_db: float = setting(4.0, "decibans", "the most that a share of the host's connections weighs")
    fingerprint_db: float = setting(2.0, "decibans", "weight of a program used for this destination alone")
    named_credit: float = setting(0.2, "fraction", "how far share and program count where DNS led there by a name")
    baseline_days: float = setting(1.0, "days", "history before the window below which nothing counts as new")
    full_days: float = setting(7.0, "days", "history before the window from which being new weighs most")
    new_db: float = setting(3.0, "decibans", "the most that being new here weighs")
    most_db: float = setting(10.0, "decibans", "the most that this evidence weighs")


FACTS = (
    Fact("users", "clients", "hosts of ours that use the destination (its name where DNS led there, and its address)"),
    Fact("peers", "hosts", "members of the host's community, without itself; null when there is none"),
    Fact("usual_outside", "fraction", "share of the host's destinations that none of its peers uses; null when none"),
    Fact("share", "fraction", "share of the host's connections that go to this destination"),
    Fact("places", "destinations", "destinations of the host"),
    Fact("fingerprint", "", "a JA4 or user agent that only this host has, and only here; null when none"),
    Fact("new_days", "days", "history that doesn't know the destination; null when it does or is too short"),
    Fact("learnt_users", "clients", "hosts of ours that used it in the baseline's days; null: none, or left out"),
    Fact("learnt_peers", "", "the host's community is the learnt one; null when it has none"),
    Fact("left_out", "", "the baseline left it out, since it looked like a hop or was labelled so; null when not"),
    Fact("baseline", "", "version of the learnt baseline; null when none was asked"),
)


@dataclass(frozen=True)
class Community:
    """Does a host use a destination that its peers don't, and much?

    A destination is the name where a DNS answer led from it to the address, else the address; resolvers
    and time servers are left out. Hosts that share destinations, rare ones weighing more, form communities
    (`peers`: Louvain, bounded, the same for the same window). Only destinations of at most `few` of our
    hosts are told of. Formula, summed, at most `most_db`:
    - outside: none of the host's `min_peers` or more peers uses it: 10 log10(hop_alone_rate / r), r the
      share of the host's own destinations of which that is true, smoothed with `usual_weight` destinations
      at `usual_alone_rate`. A host whose every second destination is its own says little by one more.
    - share: of the host's connections, from 0 at `low_share` to `share_db` at `high_share`, with at least
      `min_connections` of them and `min_places` destinations: an appliance's one server is all it has.
    - fingerprint: the host speaks to it alone by a JA4 or user agent that no other host has, while it uses
      another one elsewhere: a program that brings its own TLS.
      Where DNS led there by a name, share and fingerprint count as far as `named_credit`: a service that one
      of us uses all day, often through a program of its own, is what ordinary long tails are made of.
    - new: neither name nor address was seen before the window, with `baseline_days` of history: it weighs
      more the longer the history, up to `full_days`. Without history 0.

    A learnt baseline adds what its days tell: its users count for `few`, a host that it knows has the community that
    it learnt, of whose members none used the place in those days either, and they are history that may know it. Of a
    destination that was left out of the baseline its days tell nothing but that it isn't new.

    Weights: MEASURED, shares of ordinary destinations and of hops with the trait: used by one host alone
    75 % of 912 on real logs of 4 hosts (24 h) and of 1 (2 h), 77 to 99 % on others; 15 % of 3,600 in lab
    networks of 6 to 10 hosts, hops 89 to 100 %: hence `usual_alone_rate`, until a host has shown its own
    habit. Alone and 30 % and more of the connections: 0 of 912, lab 1.5 %, hops 16 to 38 % (10 to 14 dB; less
    is taken, since the lab's captures last minutes; on real 24-h logs rhythm without a name and 30 % left no
    benign destination). Fingerprint: 5 of 64 real destinations that have one, lab 6 to 7 %, hops 10 to 14 %
    (1 to 4 dB). ASSUMED: new, after RITA v5 (first seen within 7 days: +15 %); `hop_alone_rate`;
    `named_credit`.

    Look-alikes: agents, backups and VPNs of one host; a server of ours that calls one service; the only
    user of a program. In networks of one to three hosts there are no communities.
    """

    name: str = "community"
    title: str = "a destination outside the host's community"
    d3fend: str = "D3-NTCD"
    group: str = "community"
    source: str = "D3FEND D3-NTCD; RITA v5 modifiers (prevalence, first seen, rare signature)"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = ()

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        pairs = _placed(window)
        few = pc.less_equal(pc.max_element_wise(pairs["users"], pairs["learnt_users"]), settings.few)
        rows = pairs.filter(few)
        use = _used(pairs)
        table = beside(rows, _outside(use, window.baseline, settings), _PLACE)
        table = _new(window, beside(table, _fingerprints(window, pairs), _PLACE), settings)
        here, places = numbers(table, "here"), numbers(table, "places")
        share = here / np.maximum(numbers(table, "total"), 1)
        enough = (here >= settings.min_connections) & (places >= settings.min_places)
        credit = np.where(table["led"].to_numpy(), settings.named_credit, 1.0)
        parts = (
            _outside_db(table, settings),
            settings.share_db * rise(share, settings.low_share, settings.high_share) * enough * credit,
            settings.fingerprint_db * table["fingerprint"].is_valid().to_numpy() * credit,
            settings.new_db * rise(numbers(table, "new_days"), 0.0, settings.full_days),
        )
        decibans = np.minimum(sum(parts), settings.most_db)
        values = {
            "users": table["users"],
            "peers": table["peers"],
            "usual_outside": pc.round(table["usual_outside"], 3),
            "share": np.round(share, 3),
            "places": table["places"],
            "fingerprint": table["fingerprint"],
            "new_days": pc.round(table["new_days"], 1),
            "learnt_users": table["learnt_users"],
            "learnt_peers": table["learnt_peers"],
            "left_out": table["left_out"],
            "baseline": version(window.baseline, len(table)),
        }
        threshold = f"community.high_share = {settings.high_share:g}"
        return evidence(table, decibans, threshold, FACTS, values, window.samples)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """What sets the destination apart."""
        said = []
        if facts["peers"] is not None:
            asked = facts.get("learnt_peers") and not facts.get("left_out")
            before = f", nor did in the days of baseline {facts['baseline']}" if asked else ""
            said.append(f"none of the host's {facts['peers']} peers goes there{before}")
        if facts["share"] >= 0.01:
            said.append(f"{facts['share']:.0%} of the host's connections to {facts['places']} destinations go there")
        if facts["fingerprint"] is not None:
            said.append(f"it alone is spoken to by {facts['fingerprint']}")
        if facts["new_days"] is not None:
            told = f", those of baseline {facts['baseline']} among them," if facts.get("baseline") is not None else ""
            said.append(f"{facts['new_days']:.0f} days of history{told} don't know it")
        if facts.get("left_out"):
            said.append(f"baseline {facts['baseline']} left it out, since it looked like a hop or was labelled so")
        return "; ".join(said)


def _placed(window: Window) -> pa.Table:
    """Outbound pairs with `place`: the name where a DNS answer led from it to the address (`led`), else the address.

    And with `use`, a number for host and place, `here`, the host's connections to the place, `total`, its connections,
    `places`, how many it uses, and `users`, how many hosts of ours use the place or the address, whichever are more.
    `learnt_users` is that of the baseline's days, null without a baseline and where it left the destination out
    (`left_out`).
    """
    every = outbound_pairs.fetch(window)
    chosen = np.flatnonzero(~every.among(configured(window)))
    led = dns_answers.led(window)[chosen]
    pairs = every.rows.select([*KEY, "connections"]).take(pa.array(chosen))
    place = pc.if_else(pa.array(led), pairs["name"], pairs["server"])
    pairs = pairs.append_column("led", pa.array(led)).append_column("place", place)
    sensor, client, of_place = every.codes["sensor"][chosen], every.codes["client"][chosen], codes(place)
    use, host = combined([sensor, client, of_place]), every.ids(*_HOST)[chosen]
    connections = pairs["connections"].to_numpy()
    users = (differing(of, client) for of in (combined([sensor, of_place]), every.ids("sensor", "server")[chosen]))
    for name, values in {
        "use": use,
        "here": np.bincount(use, connections)[use] if len(use) else use,
        "total": np.bincount(host, connections)[host] if len(use) else use,
        "places": differing(host, use),
        "users": np.maximum(*users),
    }.items():
        pairs = pairs.append_column(name, pa.array(values))
    if window.baseline is None:
        pairs = pairs.append_column("learnt_users", pa.nulls(len(pairs), pa.int64()))
        return pairs.append_column("left_out", pa.nulls(len(pairs), pa.bool_()))
    used = learnt.used(window.baseline, pairs, led)
    pairs = pairs.append_column("learnt_users", pa.array(used.clients, mask=used.left_out))
    return pairs.append_column("left_out", pa.array(used.left_out, mask=~used.left_out))


def _used(pairs: pa.Table) -> pa.Table:
    """(sensor, client, place), each once."""
    return pairs.select(_PLACE).take(pa.array(np.unique(pairs["use"].to_numpy(), return_index=True)[1]))


def _outside(use: pa.Table, baseline: Baseline | None, settings: Settings) -> pa.Table:
    """(sensor, client, place, peers, usual_outside) of the places that a host uses and none of its peers does.

    And `learnt_peers`: whether they are the peers that the baseline learnt, which then didn't use the place either.
    """
    found = _outside_of(use, _large(communities(use), settings), None, settings)
    if baseline is None:
        return found
    known = _large(baseline.communities, settings)
    ours = pc.is_valid(partners(found, known, _HOST))
    known = _outside_of(use, known, baseline, settings)
    return pa.concat_tables([found.filter(pc.invert(ours)), known])


def _large(members: pa.Table, settings: Settings) -> pa.Table:
    """The hosts with enough peers."""
    return members.filter(pc.greater(members["members"], settings.min_peers))


def _outside_of(use: pa.Table, members: pa.Table, baseline: Baseline | None, settings: Settings) -> pa.Table:
    mine = _told_of_host(use, members)
    host, within = key_ids(mine, _HOST), key_ids(mine, ("sensor", "community", "place"))
    lone = np.bincount(within)[within] == 1 if len(within) else np.zeros(0, bool)
    if baseline is not None:
        lone &= learnt.alone(baseline, mine)
    size = int(host.max(initial=-1)) + 1
    alone, of = np.bincount(host[lone], minlength=size)[host][lone], np.bincount(host, minlength=size)[host][lone]
    weight = settings.usual_weight
    rate = (alone - 1 + settings.usual_alone_rate * weight) / (of - 1 + weight)
    mine = mine.filter(pa.array(lone))
    told = mine.select(_PLACE).append_column("peers", pc.subtract(mine["members"], 1))
    told = told.append_column("usual_outside", pa.array(rate))
    return told.append_column("learnt_peers", pa.array([None if baseline is None else True] * len(told), pa.bool_()))


def _told_of_host(use: pa.Table, members: pa.Table) -> pa.Table:
    """The uses by hosts that have a community, with it and its number of members."""
    at = partners(use, members, _HOST)
    mine, found = use.filter(at.is_valid()), members.take(at.drop_null())
    return mine.append_column("community", found["community"]).append_column("members", found["members"])


def _outside_db(table: pa.Table, settings: Settings) -> NDArray[np.float64]:
    ratio = settings.hop_alone_rate / np.nan_to_num(numbers(table, "usual_outside"), nan=settings.hop_alone_rate)
    away: NDArray[np.float64] = np.clip(10 * np.log10(ratio), 0.0, settings.outside_db)
    return away


def _fingerprints(window: Window, pairs: pa.Table) -> pa.Table:
    """(sensor, client, place, fingerprint): a JA4 or user agent of one host for one place, not its only one."""
    told = ((kind, outbound_pairs.told(window, kind).select(["pair", "value"])) for kind in ("ja4", "user_agent"))
    seen = pa.concat_tables([t.append_column("kind", pa.array([kind] * len(t), pa.string())) for kind, t in told])
    at = pc.index_in(seen["pair"], value_set=pairs["pair"].combine_chunks())
    seen, of = seen.filter(at.is_valid()), pairs.select(_PLACE).take(at.drop_null())
    for name in _PLACE:
        seen = seen.append_column(name, of[name])
    seen = seen.group_by([*_PLACE, "kind", "value"]).aggregate([])
    value, use, host = (
        key_ids(seen, keys) for keys in (("sensor", "kind", "value"), (*_PLACE, "kind"), (*_HOST, "kind"))
    )
    if not len(value):
        own = np.zeros(0, bool)
    else:
        # once: one host, one place; the place's only one, and not the host's
        own = (np.bincount(value)[value] == 1) & (np.bincount(use)[use] == 1) & (differing(host, value) > 1)
    found = seen.filter(pa.array(own)).group_by(list(_PLACE)).aggregate([("value", "min")])
    return found.rename_columns([*_PLACE, "fingerprint"])


def _new(window: Window, rows: pa.Table, settings: Settings) -> pa.Table:
    """`rows` with `new_days`: the days of history that know neither the address nor the name that led there."""
    days = _history(window, rows)
    if not (days >= settings.baseline_days).any():
        return rows.append_column("new_days", pa.nulls(len(rows), pa.float64()))
    asked = {"address": "server", "name": "place"}
    wanted = pa.concat_tables([
        pa.table({"kind": pa.array([kind] * len(values), pa.string()), "value": values})
        for kind, values in ((kind, pc.unique(rows[column])) for kind, column in asked.items())
    ])  # fmt: skip
    old = window.first_seen.filter(window.first_seen.first_us < window.start_us).select("kind", "value")
    old = old.semi_join(ibis.memtable(wanted), ["kind", "value"]).to_pyarrow()
    known = np.zeros(len(rows), bool)
    for kind, column in asked.items():
        values = old["value"].filter(pc.equal(old["kind"], kind)).combine_chunks()
        known |= pc.is_in(rows[column], value_set=values).to_numpy()
        if window.baseline is not None:
            known |= learnt.known_since(window.baseline, kind, rows, column) < window.start_us
    return rows.append_column("new_days", pa.array(days, mask=known | (days < settings.baseline_days)))


def _history(window: Window, rows: pa.Table) -> Floats:
    """Days before the window that are known, for each row: the baseline's count where it knows the row's sensor."""
    own = (window.start_us - window.history_us) / DAY_US
    if window.baseline is None:
        return np.full(len(rows), own)
    learnt_here = pc.is_in(rows["sensor"], value_set=pa.array(window.baseline.about.sensors, pa.string()))
    return np.where(learnt_here.to_numpy(), window.baseline.days_known(window.history_us, window.start_us), own)


HEURISTIC = Community()
