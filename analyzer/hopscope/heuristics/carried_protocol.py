"""A protocol that carries another, or two at one port: something behind the address sorts or unpacks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import setting
from hopscope.heuristics import outbound_pairs
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import beside, evidence, numbers, outbound, partners, rows_of, sharing

INNER = ("ssl", "ssh", "socks", "rdp", "smb", "ftp")  # what has no business inside a websocket
_SERVICE = ("sensor", "server", "port")


@dataclass(frozen=True)
class Settings:
    """[heuristics.carried_protocol]"""

    websocket_db: float = setting(30.0, "decibans", "a websocket in clear carries TLS, SSH or another session")
    shared_port_db: float = setting(22.0, "decibans", "one port of one address speaks SSH and TLS")


FACTS = (
    Fact("trait", "", "inside a websocket, or shared port"),
    Fact("protocols", "", "what was recognised, outermost first"),
    Fact("sessions", "connections", "connections in which it was"),
)


@dataclass(frozen=True)
class CarriedProtocol:
    """Does a destination take in what only a tunnel's or a multiplexer's end takes in?

    Formula: `websocket_db` for a pair whose content was recognised as a websocket and, inside it, as TLS, SSH, SOCKS,
    RDP, SMB or FTP: the websocket's server unpacks it and passes it on (wstunnel, websockify; chisel names itself, see
    `leaked_far_end`). `shared_port_db` for a pair whose port answered SSH in some connections and TLS in others: sslh
    and its like look at the first bytes and relay to one of several servers.

    Weights: both assumed; no publication gives a rate, and no ordinary pair of the lab captures shows
    either. Look-alikes: remote
    desktops in a browser that go on in clear, an administrator's own sslh at home. Inside TLS nothing of
    this is seen. Sources: RFC 6455; Zeek's WebSocket analyzer; sslh's documentation.
    """

    name: str = "carried_protocol"
    title: str = "one protocol inside another, or two at one port"
    d3fend: str = "D3-PMAD"
    group: str = "proxy"
    source: str = "RFC 6455; Zeek's WebSocket analyzer; sslh"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("service",),)

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        heard = outbound_pairs.told(window, "service")
        inside = heard.filter(pc.match_substring_regex(heard["value"], rf"websocket.*,({'|'.join(INNER)})(,|$)"))
        carried = inside.group_by("pair").aggregate([("value", "max"), ("connections", "sum")])
        carried = carried.rename_columns(["pair", "inner", "inner_n"])
        shared = _shared(window, heard)
        pairs = outbound(window)
        found = pa.chunked_array([*carried["pair"].chunks, *shared["pair"].chunks], pa.int64()).unique()
        table = beside(beside(rows_of(pairs.filter(pairs.proto == "tcp"), found), carried), shared)
        within = ~np.isnan(numbers(table, "inner_n"))
        decibans = np.where(within, settings.websocket_db, settings.shared_port_db)
        sessions = np.where(within, numbers(table, "inner_n"), numbers(table, "shared_n"))
        values = {
            "trait": pa.array(np.where(within, "inside a websocket", "shared port").tolist(), pa.string()),
            "protocols": table["inner"].fill_null("ssh and ssl"),
            "sessions": pa.array(sessions.astype(np.int64)),
        }
        seen_in = window.sets.filter(window.sets.kind == "service")
        return evidence(table, decibans, "recognised by content", FACTS, values, seen_in)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """What was found in what."""
        if facts["trait"] == "shared port":
            return "one port of this address speaks SSH in some connections and TLS in others, as a multiplexer does"
        return f"{facts['sessions']} connections carry another session inside a websocket ({facts['protocols']})"


def _shared(window: Window, heard: pa.Table) -> pa.Table:
    """Pairs (`pair`, `shared_n`) of TCP services that speak both SSH and TLS, to whichever client."""
    plain = heard.filter(pc.is_in(heard["value"], value_set=pa.array(["ssh", "ssl"])))
    ssh = pc.equal(plain["value"], "ssh")
    # most services speak one of them alone
    rows = sharing(window.pairs.filter(window.pairs.proto == "tcp"), plain["pair"].filter(ssh), _SERVICE)
    plain = beside(plain.filter(partners(plain, rows, ("pair",)).is_valid()), rows)
    kinds = plain.group_by(list(_SERVICE)).aggregate([("value", "count_distinct")])
    both = kinds.filter(pc.equal(kinds["value_count_distinct"], 2))
    plain = plain.filter(partners(plain, both, _SERVICE).is_valid())
    return plain.group_by("pair").aggregate([("connections", "sum")]).rename_columns(["pair", "shared_n"])


HEURISTIC = CarriedProtocol()
