"""Rapid small exchanges in one session: somebody types, or a task loop answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, join, numbers, outbound, rise
from hopscope.summaries.schema import KEY


@dataclass(frozen=True)
class Settings:
    """[heuristics.terminal_session]"""

    min_exchanges: int = setting(20, "replies", "replies in one session below which nothing is said")
    full_exchanges: int = setting(60, "replies", "replies from which their number no longer matters")
    request_bytes: int = setting(250, "bytes", "mean request up to which an exchange counts as small")
    reply_bytes: int = setting(500, "bytes", "mean reply up to which an exchange counts as small")
    pace_s: float = setting(5.0, "s", "mean time between exchanges up to which they count as rapid")
    most_db: float = setting(8.0, "decibans", "the most that this evidence weighs")


FACTS = (
    Fact("exchanges", "replies", "replies in the busiest session"),
    Fact("request", "bytes", "mean payload sent per exchange"),
    Fact("reply", "bytes", "mean payload received per exchange"),
    Fact("pace", "s", "mean time between exchanges"),
)


@dataclass(frozen=True)
class TerminalSession:
    """Does one session consist of many small exchanges, as a shell's does?

    Formula: over the session with most replies: at least `min_exchanges` of them, at most `request_bytes`
    and `reply_bytes` of payload per exchange on average, at most `pace_s` between them. The weight grows
    from half at `min_exchanges` to all at `full_exchanges`. Counts only, so that a longer capture changes
    nothing but the number of exchanges.

    Weights: none published for outbound sessions; from the lab, capped at `most_db`, since chat, games
    and an administrator's SSH look the same. Source: D3FEND's remote terminal session detection; the
    sizes are those of terminals in Zhang and Paxson 2000, with room for TLS.
    """

    name: str = "terminal_session"
    title: str = "many small exchanges in one session"
    d3fend: str = "D3-RTSD"
    group: str = "session"
    source: str = "D3FEND D3-RTSD; Zhang & Paxson 2000"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("replies",), ("orig_bytes",))

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        s = window.samples
        s = s.filter(s.proto == "tcp", s.replies >= settings.min_exchanges, s.duration > 0)
        # a session is told by its last segment, whose totals are the session's; the busiest speaks for the pair
        busiest = s.group_by("pair").agg(
            exchanges=s.replies.max(),
            request=s.orig_bytes.argmax(s.replies),
            reply=s.resp_bytes.argmax(s.replies),
            lasted=s.duration.argmax(s.replies),
        )
        rows = join(outbound(window).select(*KEY), busiest)
        table = rows.filter(rows.exchanges.notnull()).to_pyarrow()
        exchanges = numbers(table, "exchanges")
        request, reply, pace = (numbers(table, k) / exchanges for k in ("request", "reply", "lasted"))
        small = (request <= settings.request_bytes) & (reply <= settings.reply_bytes) & (pace <= settings.pace_s)
        size = 0.5 + 0.5 * rise(exchanges, settings.min_exchanges, settings.full_exchanges)
        decibans = np.where(small, settings.most_db * size, 0.0)
        values = {
            "exchanges": table["exchanges"].cast(pa.int64()),
            "request": np.round(request, 1),
            "reply": np.round(reply, 1),
            "pace": np.round(pace, 3),
        }
        threshold = f"terminal_session.min_exchanges = {settings.min_exchanges} replies"
        return evidence(table, decibans, threshold, FACTS, values, s)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """Number, size and pace."""
        return (
            f"{facts['exchanges']} exchanges in one session, one every {facts['pace']:.2g} s, "
            f"of {facts['request']:.0f} bytes up and {facts['reply']:.0f} down on average"
        )


HEURISTIC = TerminalSession()
