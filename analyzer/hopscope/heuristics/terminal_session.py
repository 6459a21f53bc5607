"""Somebody works in one session: our side types and is echoed, or the far side asks and ours answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import beside, evidence, numbers, outbound, rise, rows_of
from hopscope.heuristics.segments import key_ids

HIDING = r"(^|,)(ssl|http|websocket|socks)(,|$)"  # services that don't tell what is done inside
_BROKEN = ("asked_by_resp", "resumed", "lull_ms", "lull_ms2")  # silences, and who broke them


@dataclass(frozen=True)
class Settings:
    """[heuristics.terminal_session]"""

    min_exchanges: int = setting(20, "replies", "replies in one session below which nothing is said")
    full_exchanges: int = setting(60, "replies", "replies from which their number no longer matters")
    request_bytes: int = setting(250, "bytes", "mean request up to which an exchange counts as small")
    reply_bytes: int = setting(500, "bytes", "mean reply up to which an exchange counts as small")
    pace_s: float = setting(5.0, "s", "mean time between exchanges up to which they count as rapid")
    most_db: float = setting(6.0, "decibans", "the most that small exchanges weigh")
    min_asked: int = setting(8, "exchanges", "exchanges begun by the far side below which they don't count")
    full_asked: int = setting(20, "exchanges", "exchanges begun by the far side from which their number doesn't matter")
    asked_share: float = setting(0.6, "fraction", "least share of a segment's silences that end in such exchanges")
    min_spread: float = setting(0.3, "", "least deviation over mean of the silences; a timer varies by less")
    ssh_db: float = setting(30.0, "decibans", "the most that a far side driving an SSH session weighs")
    plain_db: float = setting(14.0, "decibans", "the same over TCP without a known protocol")
    other_db: float = setting(8.0, "decibans", "the same over other protocols, TLS and HTTP among them")


FACTS = (
    Fact("exchanges", "replies", "replies in the busiest session"),
    Fact("request", "bytes", "mean payload sent per exchange"),
    Fact("reply", "bytes", "mean payload received per exchange"),
    Fact("pace", "s", "mean time between exchanges"),
    Fact("asked", "exchanges", "exchanges the far side began after silence and our side answered at once; null: few"),
    Fact("silences", "silences", "silences in the same parts of the session, whoever broke them"),
    Fact("lull", "s", "mean silence before the far side asked"),
    Fact("spread", "", "deviation over mean of those silences"),
    Fact("protocol", "", "what the session speaks; null when not known"),
)


@dataclass(frozen=True)
class TerminalSession:
    """Does one session consist of many small exchanges, as a shell's does? Or does the far side drive it?

    Formula, small exchanges: over the session with most replies, of those that hide what is done inside (TLS, HTTP
    and the like, or no known protocol; SSH is for typing, and says so): at least `min_exchanges` of them, at most
    `request_bytes` and `reply_bytes` of payload per exchange on average, at most `pace_s` between them. The
    weight grows from half at `min_exchanges` to all at `full_exchanges`.

    Formula, driven by the far side (reverse tunnels and shells): in a segment, the responder breaks silences of
    half a second, the originator answers each within a quarter of a second (faster than anybody reads and
    types), such exchanges are at least `asked_share` of all silences broken, and the originator sends
    more than it is sent. At least `min_asked` of them in the session, before which the silences vary as people's
    do, by `min_spread` of their mean or more (a timer with 50 % jitter: 0.29). The weight grows from two
    thirds at `min_asked` to all at `full_asked`. The greater of the two weights counts.

    Weights: none published for outbound sessions. Small exchanges (`most_db`): assumed, one hop in five carries such
    a session, and one ordinary destination in twenty; the lab's rates (3 of 80 hops, 102 of 1,639 ordinary
    destinations) tell that each of its captures has a chat in it. Driven SSH (`ssh_db`): assumed, 1 in 1000 ordinary
    SSH destinations (developers who lend out a local port); measured, none of the lab's 357 ordinary SSH sessions
    with three silences or more, which bounds the rate at 0.8 %. In ordinary SSH the originator is the one who works.
    `plain_db` and `other_db` are assumed: agents that wait for orders over TLS are ordinary.
    Source: D3FEND's remote terminal session detection; silence of 0.5 s and the sizes of terminals in Zhang and
    Paxson 2000, with room for TLS.

    Look-alikes: push messages, long polls, server-sent events, IMAP IDLE: the originator's answers are small, and
    it receives more than it sends; SSH keep-alives from the server: a timer; rsync and git towards a slow disk
    may look driven while files are compared, in few exchanges.
    """

    name: str = "terminal_session"
    title: str = "many small exchanges in one session, or a far side that asks"
    d3fend: str = "D3-RTSD"
    group: str = "session"
    source: str = "D3FEND D3-RTSD; Zhang & Paxson 2000"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("replies", "on_starts"), ("orig_bytes",))

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        s = window.samples.filter(window.samples.proto == "tcp")
        small, driven = _busiest(s, settings), _driven(s, settings)
        table = rows_of(outbound(window), pa.chunked_array([*small["pair"].chunks, *driven["pair"].chunks]))
        table = beside(beside(table, small), driven)
        exchanges = numbers(table, "exchanges")
        request, reply, pace = (numbers(table, k) / exchanges for k in ("request", "reply", "lasted"))
        are_small = (request <= settings.request_bytes) & (reply <= settings.reply_bytes) & (pace <= settings.pace_s)
        size = 0.5 + 0.5 * rise(exchanges, settings.min_exchanges, settings.full_exchanges)
        typed = np.where(are_small, settings.most_db * size, 0.0)
        asked, spread = numbers(table, "asked"), numbers(table, "spread")
        growth = 2 / 3 + rise(asked, settings.min_asked, settings.full_asked) / 3
        led = np.where(spread >= settings.min_spread, _most(table["protocol"], settings) * growth, 0.0)
        far = led > 0
        values = {
            "exchanges": table["exchanges"].cast(pa.int64()),
            "request": np.round(request, 1),
            "reply": np.round(reply, 1),
            "pace": np.round(pace, 3),
            "asked": pc.if_else(pa.array(far), table["asked"].cast(pa.int64()), None),
            "silences": pc.if_else(pa.array(far), table["silences"].cast(pa.int64()), None),
            "lull": np.where(far, np.round(numbers(table, "lull"), 2), np.nan),
            "spread": np.where(far, np.round(spread, 2), np.nan),
            "protocol": table["protocol"],
        }
        threshold = (
            f"terminal_session.min_exchanges = {settings.min_exchanges} replies or "
            f"terminal_session.min_asked = {settings.min_asked} exchanges"
        )
        return evidence(table, np.maximum(typed, led), threshold, FACTS, values, s)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """Who asked how often; else number, size and pace."""
        if facts["asked"] is not None:
            over = f"{facts['protocol'].upper()} session" if facts["protocol"] else "session"
            return (
                f"the far side drives the {over}: it broke {facts['asked']} of {facts['silences']} silences "
                f"(after {facts['lull']:.2g} s on average, irregularly), and our side answered at once with more "
                f"than it was sent"
            )
        return (
            f"{facts['exchanges']} exchanges in one session, one every {facts['pace']:.2g} s, "
            f"of {facts['request']:.0f} bytes up and {facts['reply']:.0f} down on average"
        )


def _busiest(samples: ir.Table, settings: Settings) -> pa.Table:
    """Of each pair the session with most replies: told by its last segment, whose totals are the session's."""
    hides = samples.service.isnull() | samples.service.re_search(HIDING)
    s = samples.filter(samples.replies >= settings.min_exchanges, samples.duration > 0, hides)
    rows = s.select("pair", "uid", "replies", "orig_bytes", "resp_bytes", "duration").to_pyarrow()  # few have so many
    # a segment without replies ends with as many as the one before: of equals the longest session, whatever the order
    rows = rows.sort_by([(k, "ascending") for k in ("pair", "replies", "duration", "uid")])
    last = rows.filter(pa.array(np.diff(rows["pair"].to_numpy(), append=-1) != 0))
    return last.select(["pair", "replies", "orig_bytes", "resp_bytes", "duration"]).rename_columns(
        ["pair", "exchanges", "request", "reply", "lasted"]
    )


def _driven(samples: ir.Table, settings: Settings) -> pa.Table:
    """Of each pair the session in which the far side asked most, over the segments in which it drove."""
    s = samples.select("pair", "uid", "seg", "orig_bytes", "resp_bytes", "service", *_BROKEN)
    theirs = s.filter(s.asked_by_resp > 0).select("uid").distinct()
    # few sessions have any; the rest of their segments tells what each segment sent
    rows = s.semi_join(theirs, "uid").to_pyarrow().sort_by([(k, "ascending") for k in ("pair", "uid", "seg")])
    session = key_ids(rows, ("pair", "uid"))
    first = np.diff(session, prepend=-1) != 0
    sent, got = (_since(numbers(rows, k), first) for k in ("orig_bytes", "resp_bytes"))
    drove = (numbers(rows, "asked_by_resp") >= numbers(rows, "resumed") * settings.asked_share) & (sent > got)
    sums = [(k, "sum") for k in _BROKEN]
    each = rows.filter(pa.array(drove)).group_by(["pair", "uid"]).aggregate([*sums, ("service", "max")])
    each = each.filter(pc.greater_equal(each["asked_by_resp_sum"], settings.min_asked))
    asked = numbers(each, "asked_by_resp_sum")
    mean = numbers(each, "lull_ms_sum") / asked
    spread = np.sqrt(np.maximum(numbers(each, "lull_ms2_sum") / asked - mean * mean, 0.0)) / mean
    told = pa.table({
        "pair": each["pair"], "asked": each["asked_by_resp_sum"], "silences": each["resumed_sum"],
        "lull": mean / 1000, "spread": spread, "protocol": each["service_max"], "uid": each["uid"],
    }).sort_by([("pair", "ascending"), ("asked", "descending"), ("uid", "ascending")])  # fmt: skip
    best = np.unique(told["pair"].to_numpy(), return_index=True)[1]
    return told.take(pa.array(best)).drop_columns("uid")


def _since(totals: NDArray[np.float64], first: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What each segment adds to the one before; all of it where that is unknown, or there is none."""
    return totals - np.where(first, 0.0, np.nan_to_num(np.roll(totals, 1)))


def _most(protocols: pa.ChunkedArray, settings: Settings) -> NDArray[np.float64]:
    """What a driven session weighs at most, by what it speaks (services comma-separated, null unknown)."""
    ssh = pc.match_substring_regex(protocols, r"(^|,)ssh(,|$)").fill_null(False)
    other = pc.if_else(pc.is_null(protocols), settings.plain_db, settings.other_db)
    return np.asarray(pc.if_else(ssh, settings.ssh_db, other).to_numpy(), np.float64)


HEURISTIC = TerminalSession()
