"""The same question and the same answer over and over: a machine asks whether there is anything new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.call_starts import SCOPES, Starts, gather
from hopscope.heuristics.evidence import WITNESSES, evidence, lists_of, numbers, rise
from hopscope.heuristics.outbound_pairs import OutboundPairs, passing_on
from hopscope.heuristics.segments import (
    WIDEST,
    Flags,
    Floats,
    Ints,
    distinct,
    group_ids,
    median_mad_of,
    offsets_of,
    order_of,
    spans,
)

DESTINATION = {"name": ("sensor", "name"), "service": ("sensor", "server", "port", "proto")}
KEYS = {
    "name": ("sensor", "client", "server", "port", "proto", "name"),
    "service": ("sensor", "client", "server", "port", "proto"),
}


@dataclass(frozen=True)
class Settings:
    """[heuristics.payload_profile]"""

    min_calls: int = setting(8, "connections", "answered connections below which nothing is said of a client")
    min_peer_calls: int = setting(3, "connections", "answered connections from which a client counts as a peer")
    min_peers: int = setting(2, "clients", "other clients, whose calls vary, from which one may deviate")
    reply_share: float = setting(0.02, "fraction", "answers that differ by no more than this are alike")
    request_share: float = setting(0.05, "fraction", "requests that differ by no more than this are alike")
    slack_bytes: float = setting(8.0, "bytes", "sizes that differ by no more than this are alike in any case")
    alike_low: float = setting(0.5, "fraction", "share of calls alike up to which they count as varied")
    alike_high: float = setting(0.8, "fraction", "share of calls alike from which they count as constant")
    half_count: float = setting(3.0, "connections", "number of connections at which half the weight is reached")
    alone_db: float = setting(4.1, "decibans", "weight of constant calls where no other client calls there")
    common_db: float = setting(2.0, "decibans", "weight where other clients call there, and not otherwise")
    deviant_db: float = setting(8.0, "decibans", "weight where the calls of all other clients vary")


FACTS = (
    Fact("connections", "connections", "answered connections whose sizes are known"),
    Fact("request", "bytes", "the usual request: median payload sent by the calls that are alike"),
    Fact("reply", "bytes", "the usual answer: median payload received by the calls that are alike"),
    Fact("requests_alike", "fraction", "share of the calls whose requests have the usual size"),
    Fact("replies_alike", "fraction", "share of the calls whose answers have the usual size"),
    Fact("larger", "fraction", "share of the calls whose answers are larger than usual: tasks, or news"),
    Fact("clients", "clients", "our clients that call there"),
    Fact("peers", "clients", "other clients with enough calls to compare with"),
    Fact("peers_alike", "clients", "those of them whose calls are constant as well"),
    Fact("reply_s", "s", "median time to the answers; null when unknown"),
    Fact("reply_spread", "", "MAD of the times to the answers over their median; null when unknown"),
)


@dataclass(frozen=True)
class PayloadProfile:
    """Does a client ask the same and get the same answer, call after call, and does it alone do so?

    Formula: of a client's answered connections to a name (or to an address and port), the largest set of
    answers alike (within `reply_share`) and of requests alike (within `request_share`), as shares of all.
    Constancy = rise(answers) x (1 + rise(requests)) / 2, where rise goes from 0 at `alike_low` to 1 at
    `alike_high`: implants pad their requests, and uploads vary, while "nothing for you" stays as long. Calls
    that are not alike may be anything: tasks and results interrupt the polling. It grows with the number n
    of connections as n / (n + `half_count`). The weight is `alone_db` where no other client calls there,
    `common_db` where others do, `deviant_db` where at least `min_peers` others do and no other is constant.

    Weights: `alone_db` is measured. Of 91 ordinary destinations with at least `min_calls` answered connections
    (23 hours of one site's logs and two of another's) 25 had a constancy of half or more, of 45 hops of the
    lab's training captures 32: (32.5 / 46) / (25.5 / 92) = 4.1 dB. The tolerances were chosen after a look at
    the lab's sizes. `common_db` is assumed: what several clients poll is mostly an updater's.
    `deviant_db` is assumed: of a service that people browse, one client polls. The time to the answer is told
    and not weighed: in the lab it is as steady behind a redirector (MAD 1 to 5 % of it) as behind an edge
    network or at an update server, and only servers that think differ.

    Source: D3FEND's client-server payload profiling. Benign look-alikes: update pollers, agents, OCSP,
    portal probes. DNS and NTP are constant by protocol and left out, and so are exchanges in sessions kept
    open, whose sizes nobody tells.
    """

    name: str = "payload_profile"
    title: str = "the same request and answer, call after call"
    d3fend: str = "D3-CSPP"
    group: str = "rhythm"
    source: str = "D3FEND D3-CSPP; measured on ordinary logs"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("resp_bytes",), ("orig_bytes",))

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per name, and per address and port; see the class."""
        starts = gather(window)
        least = min(settings.min_peer_calls, settings.min_calls)
        able = ~passing_on(window)
        return pa.concat_tables([
            _judge(window, starts, able & counts, scope, least, settings)
            for scope, counts in starts.counts(least - 1).items() if scope in DESTINATION
        ])  # fmt: skip

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """The profile in words."""
        more = f", {100 * facts['larger']:.0f} % of the answers were larger" if facts["larger"] else ""
        if facts["clients"] == 1:
            others = "no other client of ours calls there"
        elif facts["peers"]:
            others = f"so did {facts['peers_alike']} of {facts['peers']} other clients"
        else:
            others = "the other clients call too rarely to compare"
        return (
            f"{100 * facts['replies_alike']:.0f} % of {facts['connections']} calls got the same {facts['reply']:.0f}"
            f" bytes for an answer, {100 * facts['requests_alike']:.0f} % sent the same {facts['request']:.0f}"
            f"{more}; {others}"
        )


def _judge(window: Window, starts: Starts, able: Flags, scope: str, least: int, settings: Settings) -> pa.Table:
    """Evidence of one scope, of the pairs that are `able`; groups of fewer than `least` calls tell nothing."""
    rows = np.flatnonzero(
        able[starts.pair] & (starts.resp_bytes > 0) & (starts.orig_bytes > 0)
    )  # NaN compares as false
    group = starts.group(scope, rows)
    calls = np.bincount(group)
    rows, group = rows[calls[group] >= least], group[calls[group] >= least]
    heads, group = np.unique(group, return_inverse=True)
    n = calls[heads].astype(np.float64)
    low, high = settings.alike_low, settings.alike_high
    replies, reply = alike(starts.resp_bytes[rows], group, len(n), settings.reply_share, settings.slack_bytes)
    constancy = rise(replies, low, high)
    some = constancy > 0  # most calls vary
    rows, group = rows[some[group]], group[some[group]]
    requests, request = alike(starts.orig_bytes[rows], group, len(n), settings.request_share, settings.slack_bytes)
    constancy = constancy * (1 + rise(requests, low, high)) / 2
    destination, callers = _clients(starts.pairs, scope)
    peers, peers_alike = _peers(destination[heads], n, constancy, settings)
    clients = callers[destination[heads]]
    deviates = (peers >= settings.min_peers) & (peers_alike == 0)
    weight = np.where(deviates, settings.deviant_db, np.where(clients > 1, settings.common_db, settings.alone_db))
    decibans = np.where(n >= settings.min_calls, weight * constancy * n / (n + settings.half_count), 0.0)
    chosen = np.flatnonzero(decibans > 0)
    beyond = starts.resp_bytes[rows] > (reply + np.maximum(settings.reply_share * reply, settings.slack_bytes))[group]
    larger = np.bincount(group[beyond], minlength=len(n)) / n
    reply_s, reply_spread = _reply_times(window, starts.pairs, scope, heads[chosen])
    facts = {
        "connections": n.astype(np.int64), "request": np.round(request), "reply": np.round(reply),
        "requests_alike": np.round(requests, 3), "replies_alike": np.round(replies, 3), "larger": np.round(larger, 3),
        "clients": clients, "peers": peers, "peers_alike": peers_alike,
    }  # fmt: skip
    facts = {name: values[chosen] for name, values in facts.items()}
    facts |= {"reply_s": np.round(reply_s, 4), "reply_spread": np.round(reply_spread, 3)}
    place = np.full(len(n), -1)
    place[chosen] = np.arange(len(chosen))
    rows, group = rows[place[group] >= 0], place[group][place[group] >= 0]
    return _told(starts, rows, group, scope, decibans[chosen], facts, settings)


def alike(sizes: Floats, group: Ints, groups: int, share: float, slack: float) -> tuple[Floats, Floats]:
    """For each of `groups` the share of its largest set of sizes alike, and that set's median; NaN for no sizes.

    Sizes are alike within a window of twice `share` of its least size, or twice `slack` bytes if that is more.
    """
    out_share, out_size = np.full(groups, np.nan), np.full(groups, np.nan)
    if not len(sizes):
        return out_share, out_size
    # one sorted axis for all groups, of whole sizes or, where one is huge, of the sizes' places among all
    known, step = np.empty(0), int(sizes.max()) + 2
    with np.errstate(invalid="ignore"):
        size = sizes.astype(np.int64)
    if not (step * groups < WIDEST and sizes.min() >= 0 and np.array_equal(size, sizes)):
        known, size = np.unique(sizes, return_inverse=True)
        step = len(known) + 1
    axis = np.sort(group * step + size)
    at, size = np.divmod(axis, step)
    ordered = known[size] if len(known) else size.astype(np.float64)
    most = ordered + np.maximum(2 * share * ordered, 2 * slack)
    beyond = np.searchsorted(known, most, side="right") if len(known) else np.minimum(np.floor(most) + 1, step - 1)
    end = np.searchsorted(axis, at * step + beyond.astype(np.int64))
    within = end - np.arange(len(axis))
    # the most of each group; among equals the set of least sizes
    first = offsets_of(at)[:-1]
    best = np.flatnonzero(within == np.repeat(np.maximum.reduceat(within, first), np.diff(first, append=len(at))))
    low = best[np.diff(at[best], prepend=-1) != 0]
    most_of = end[low] - 1
    out_share[at[low]] = within[low] / np.diff(first, append=len(at))
    out_size[at[low]] = (ordered[(low + most_of) // 2] + ordered[(low + most_of + 1) // 2]) / 2
    return out_share, out_size


def _clients(pairs: OutboundPairs, scope: str) -> tuple[Ints, Ints]:
    """The destination of each group of the scope, and how many clients call each destination."""
    destination, group = pairs.ids(*DESTINATION[scope]), pairs.ids(*SCOPES[scope])
    of = np.empty(int(group.max(initial=-1)) + 1, np.int64)
    of[group] = destination
    return of, distinct(destination, pairs.codes["client"])


def _peers(destination: Ints, n: Floats, constancy: Floats, settings: Settings) -> tuple[Ints, Ints]:
    """For each group the other groups of its destination with enough calls, and those whose calls are constant."""
    known = n >= settings.min_peer_calls
    same = known & (constancy > 0)
    size = int(destination.max(initial=-1)) + 1
    peers = np.bincount(destination[known], minlength=size)[destination] - known
    constant = np.bincount(destination[same], minlength=size)[destination] - same
    return peers.astype(np.int64), constant.astype(np.int64)


def _reply_times(window: Window, pairs: OutboundPairs, scope: str, groups: Ints) -> tuple[Floats, Floats]:
    """Median, and MAD over median, of the times to the later answers in these groups; NaN where unknown."""
    group = pairs.ids(*SCOPES[scope])
    place = np.full(int(group.max(initial=-1)) + 1, -1)
    place[groups] = np.arange(len(groups))
    wanted = np.flatnonzero((place[group] >= 0) & pairs.protocol(("tcp", "udp")))
    if not len(wanted):
        return np.zeros(0), np.zeros(0)
    among = ibis.memtable(pa.table({"pair": pairs.rows["pair"].take(pa.array(wanted)), "place": place[group][wanted]}))
    s = window.samples.select("pair", "reply_p10")
    times = s.filter(s.reply_p10.notnull()).inner_join(among, "pair").select("place", "reply_p10").to_pyarrow()
    median, off = median_mad_of(numbers(times, "reply_p10"), times["place"].to_numpy(), len(groups))
    with np.errstate(invalid="ignore", divide="ignore"):
        return median, np.where(median > 0, off / median, np.nan)


def _told(
    starts: Starts, rows: Ints, group: Ints, scope: str, decibans: Floats, facts: Mapping[str, Any], settings: Settings
) -> pa.Table:
    """The evidence table of the groups that count: a row for each endpoint, since a name may lead to several."""
    order = order_of(group, starts.ts_us[rows])
    rows, group = rows[order], group[order]
    endpoint = starts.pairs.ids(*KEYS[scope])[starts.pair[rows]]
    order = np.lexsort((endpoint, group))
    first = offsets_of(group_ids(group, endpoint)[order])
    at, one = rows[order], group[order[first[:-1]]]
    few = np.minimum(np.diff(first), WITNESSES)
    table = starts.pairs.rows.select(list(KEYS[scope])).take(pa.array(starts.pair[at[first[:-1]]]))
    uids = starts.uids.take(pa.array(at[spans(first[:-1], few)]))
    lists = lists_of(uids, few)
    values = {k: pa.array(v[one], from_pandas=True) for k, v in facts.items()}
    threshold = f"payload_profile.alike_low = {settings.alike_low:g} of the answers"
    return evidence(table.append_column("uids", lists), decibans[one], threshold, FACTS, values)


HEURISTIC = PayloadProfile()
