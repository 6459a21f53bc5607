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
from hopscope.heuristics.call_starts import Starts, gather
from hopscope.heuristics.evidence import WITNESSES, evidence, lists_of, numbers, outbound, partners, rise
from hopscope.heuristics.segments import (
    Flags,
    Floats,
    Ints,
    differing,
    group_ids,
    key_ids,
    median_mad_of,
    offsets_of,
    spans,
)
from hopscope.summaries.condense import PASSES_ON
from hopscope.summaries.schema import KEY

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
        starts = gather(window, min(settings.min_peer_calls, settings.min_calls) - 1)
        rows = np.flatnonzero((starts.resp_bytes > 0) & (starts.orig_bytes > 0))  # NaN compares as false
        rows = rows[~_by_protocol(window, starts)[starts.pair[rows]]]
        clients, times = _clients(window, starts), _reply_times(window, starts)
        return pa.concat_tables([
            _judge(starts, rows, scope, clients[scope], times[scope], settings) for scope in DESTINATION
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


def _by_protocol(window: Window, starts: Starts) -> Flags:
    """The pairs that speak a protocol whose messages are alike by design."""
    s = window.samples
    spoke = s.filter(s.service.isin(PASSES_ON)).select("pair").distinct().to_pyarrow()["pair"]
    return np.isin(starts.pairs["pair"].to_numpy(), spoke.to_numpy())


def _judge(
    starts: Starts, rows: Ints, scope: str, callers: Ints, times: tuple[Floats, Floats], settings: Settings
) -> pa.Table:
    """Evidence of one scope, of `_clients` and `_reply_times`."""
    rows = rows[starts.counts[scope][starts.pair[rows]]]
    group = starts.group(scope, rows)
    order = np.lexsort((starts.ts_us[rows], group))
    rows, group = rows[order], group[order]
    offsets = offsets_of(group)
    n = np.diff(offsets).astype(np.float64)
    replies, reply = alike(starts.resp_bytes[rows], offsets, settings.reply_share, settings.slack_bytes)
    requests, request = alike(starts.orig_bytes[rows], offsets, settings.request_share, settings.slack_bytes)
    usual, low, high = np.repeat(reply, np.diff(offsets)), settings.alike_low, settings.alike_high
    beyond = starts.resp_bytes[rows] > usual + np.maximum(settings.reply_share * usual, settings.slack_bytes)
    larger = np.add.reduceat(beyond.astype(np.float64), offsets[:-1]) / n if len(n) else n
    constancy = rise(replies, low, high) * (1 + rise(requests, low, high)) / 2
    heads = starts.pair[rows[offsets[:-1]]]  # one pair of each group
    clients = callers[heads]
    peers, peers_alike = _peers(key_ids(starts.pairs, DESTINATION[scope])[heads], n, constancy, settings)
    deviates = (peers >= settings.min_peers) & (peers_alike == 0)
    weight = np.where(deviates, settings.deviant_db, np.where(clients > 1, settings.common_db, settings.alone_db))
    decibans = np.where(n >= settings.min_calls, weight * constancy * n / (n + settings.half_count), 0.0)
    chosen = np.flatnonzero(decibans > 0)
    reply_s, reply_spread = times
    of = starts.groups[scope][heads]
    facts = {
        "connections": n.astype(np.int64), "request": np.round(request), "reply": np.round(reply),
        "requests_alike": np.round(requests, 3), "replies_alike": np.round(replies, 3), "larger": np.round(larger, 3),
        "clients": clients, "peers": peers, "peers_alike": peers_alike,
        "reply_s": np.round(reply_s[of], 4), "reply_spread": np.round(reply_spread[of], 3),
    }  # fmt: skip
    return _told(starts, rows, offsets, chosen, scope, decibans, facts, settings)


def alike(sizes: Floats, offsets: Ints, share: float, slack: float) -> tuple[Floats, Floats]:
    """For each group the share of its largest set of sizes alike, and that set's median; NaN for no sizes.

    Sizes are alike within a window of twice `share` of its least size, or twice `slack` bytes if that is more.
    """
    counts = np.diff(offsets)
    group = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((sizes, group))
    ordered = sizes[order]
    # one sorted axis for all groups, of the sizes' places among all: sizes themselves, moved beyond those of the groups
    # before, would be rounded where one is huge
    known = np.unique(ordered)
    axis = group * (len(known) + 1) + np.searchsorted(known, ordered)
    beyond = np.searchsorted(known, ordered + np.maximum(2 * share * ordered, 2 * slack), side="right")
    end = np.searchsorted(axis, group * (len(known) + 1) + beyond)
    within = end - np.arange(len(axis))
    # the most of each group; among equals the set of least sizes
    best = np.lexsort((ordered, -within, group))[offsets[:-1][counts > 0]]
    out_share, out_size = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
    out_share[counts > 0] = within[best] / counts[counts > 0]
    low, most = best, end[best] - 1
    out_size[counts > 0] = (ordered[(low + most) // 2] + ordered[(low + most + 1) // 2]) / 2
    return out_share, out_size


def _clients(window: Window, starts: Starts) -> dict[str, Ints]:
    """For each scope how many clients call the destination of each of the starts' pairs."""
    every = outbound(window).select(*KEY).to_pyarrow()
    client = key_ids(every, ("client",))
    at = partners(starts.pairs, every, ("pair",)).to_numpy()
    return {scope: differing(key_ids(every, keys), client)[at] for scope, keys in DESTINATION.items()}


def _peers(destination: Ints, n: Floats, constancy: Floats, settings: Settings) -> tuple[Ints, Ints]:
    """For each group the other groups of its destination with enough calls, and those whose calls are constant."""
    known = n >= settings.min_peer_calls
    same = known & (constancy > 0)
    size = int(destination.max(initial=-1)) + 1
    peers = np.bincount(destination[known], minlength=size)[destination] - known
    constant = np.bincount(destination[same], minlength=size)[destination] - same
    return peers.astype(np.int64), constant.astype(np.int64)


def _reply_times(window: Window, starts: Starts) -> dict[str, tuple[Floats, Floats]]:
    """For each scope median and MAD over median of the times to its groups' later answers; NaN where unknown."""
    wanted = ibis.memtable(pa.table({"pair": starts.pairs["pair"], "place": np.arange(starts.pairs.num_rows)}))
    s = window.samples.select("pair", "reply_p10")
    times = s.filter(s.reply_p10.notnull()).inner_join(wanted, "pair").select("place", "reply_p10").to_pyarrow()
    place, values = times["place"].to_numpy(), numbers(times, "reply_p10")
    out = {}
    for scope in DESTINATION:
        groups = starts.groups[scope]
        median, off = median_mad_of(values, groups[place], int(groups.max(initial=-1)) + 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[scope] = median, np.where(median > 0, off / median, np.nan)
    return out


def _told(
    starts: Starts, rows: Ints, offsets: Ints, chosen: Ints, scope: str, decibans: Floats,
    facts: Mapping[str, Any], settings: Settings,
) -> pa.Table:  # fmt: skip
    """The evidence table of the chosen groups: a row for each endpoint, since a name may lead to several."""
    count = np.diff(offsets)[chosen]
    members = rows[spans(offsets[:-1][chosen], count)]
    group = np.repeat(chosen, count)
    endpoint = key_ids(starts.pairs, KEYS[scope])[starts.pair[members]]
    order = np.lexsort((endpoint, group))
    first = offsets_of(group_ids(group, endpoint)[order])
    at, one = members[order], group[order[first[:-1]]]
    few = np.minimum(np.diff(first), WITNESSES)
    table = starts.pairs.select(list(KEYS[scope])).take(pa.array(starts.pair[at[first[:-1]]]))
    uids = starts.uids.take(pa.array(at[spans(first[:-1], few)]))
    lists = lists_of(uids, few)
    values = {k: pa.array(v[one], from_pandas=True) for k, v in facts.items()}
    threshold = f"payload_profile.alike_low = {settings.alike_low:g} of the answers"
    return evidence(table.append_column("uids", lists), decibans[one], threshold, FACTS, values)


HEURISTIC = PayloadProfile()
