"""The client's first bytes are neither text nor any known protocol: they look random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import beside, evidence, numbers, outbound, rise, rows_of
from hopscope.heuristics.segments import differing, key_ids

_HOST = ("sensor", "client")

# The published exemptions (Wu et al., algorithm 1): a first payload that meets any of them passes.
BITS_LOW, BITS_HIGH = 3.4, 4.6  # set bits per byte: exempt at and below, at and above
PRINTABLE = 0.5  # fraction of printable bytes: exempt above
RUN = 20  # printable bytes in a row: exempt above
# Of uniformly random bytes: set bits have mean 4 and variance 2; 95 of 256 values are printable.
RANDOM_BITS, RANDOM_BITS_SD = 4.0, 2.0**0.5
RANDOM_TEXT, RANDOM_TEXT_SD = 95 / 256, (95 / 256 * 161 / 256) ** 0.5


@dataclass(frozen=True)
class Settings:
    """[heuristics.opaque_first_bytes]"""

    hop_rate: float = setting(0.25, "fraction", "share of hops that speak a fully encrypted protocol over TCP")
    usual_rate: float = setting(0.006, "fraction", "ordinary connections that pass none of the exemptions")
    usual_weight: float = setting(200.0, "destinations", "a client's destinations that outweigh that rate")
    share_least: float = setting(0.5, "fraction", "share of a pair's connections up to which nothing is said")
    share_full: float = setting(0.9, "fraction", "share from which it weighs in full")
    one_part: float = setting(0.35, "fraction", "part of the weight for one first message only, however often sent")
    full_messages: int = setting(8, "messages", "different first messages from which their number no longer matters")
    like_random: float = setting(3.3, "standard errors", "deviation up to which bytes count as random: 1 in 1000")
    random_bytes: int = setting(2000, "bytes", "first bytes of all messages together that suffice to tell")
    structured_part: float = setting(0.4, "fraction", "part of the weight for bytes that are not random throughout")
    least_len: int = setting(16, "bytes", "first payloads below this tell nothing")


FACTS = (
    Fact("opaque", "connections", "connections whose first payload passes none of the exemptions"),
    Fact("compared", "connections", "connections with a first payload, opened in sight"),
    Fact("messages", "messages", "different first payloads among the opaque ones, by length and set bits"),
    Fact("bits", "bits/byte", "mean of set bits per byte over the opaque ones"),
    Fact("printable", "fraction", "mean share of printable bytes over the opaque ones"),
    Fact("off_random", "standard errors", "how far set bits and printable bytes are from those of random bytes"),
    Fact("peers", "servers", "outside servers to which this client speaks so"),
)


@dataclass(frozen=True)
class OpaqueFirstBytes:
    """Does the client begin with bytes that look encrypted, in no protocol that is known?

    Shadowsocks, VMess, obfs4 and the like encrypt from the first byte, so that nothing is left to recognise:
    which is a trait. Formula: the first payload of a TCP connection, sent by the originator, passes none of
    the five published exemptions: set bits per byte at most 3.4 or at least 4.6; the first six bytes printable;
    more than 50 % of all printable; more than 20 printable in a row; TLS or HTTP (or any other protocol that
    was recognised: more exempt than published). Only connections whose opening was seen count, as what is
    picked up midstream is ciphertext of known protocols; nothing is published for UDP, and nothing said.

    Weight: 10 log10(hop_rate / r). r is the rate at which this client's other outside servers are spoken to
    so, smoothed with `usual_weight` destinations at `usual_rate`: many such peers are file sharing, a game or
    chat with many addresses. Times
      - the share of the pair's connections: 0 at `share_least`, 1 at `share_full`;
      - the number of different first messages (length and set bits): `one_part` at one, all at
        `full_messages`, linear in its logarithm. An in-house protocol begins with the same message each time:
        however often it is sent it was seen once, while encrypted ones never begin alike;
      - `structured_part` where the messages are not random throughout: the means of set bits (4, variance 2
        per byte) or printable bytes (95 of 256) deviate by more than `like_random` standard errors. Binary
        and compressed formats do, within the published limits; it takes `random_bytes` to see it (0.1 bits per
        byte are 3.3 standard errors of 2200 bytes), so with fewer the part grows from there to all.

    Weights: 0.6 % of connections at a university passed no exemption (published), fully encrypted proxies
    nearly all do; 22 dB would follow if every hop were one. That a quarter of hops are is an assumption (16
    dB), as are the parts above, whose reasons are given there. At most 16.2 dB. Public captures of single
    applications, chosen for odd protocols, are no sample of ordinary traffic: there 58 of 944 ordinary pairs got
    something, 55 of them below 4 dB, the most 6.9 (Telegram).

    Source: USENIX Security 2023 (Wu et al., how the Great Firewall detects fully encrypted traffic). Benign
    look-alikes: BitTorrent's encryption, chat with an obfuscated protocol (Telegram), Skype, games, VPNs with
    a shared key, in-house binary protocols.
    """

    name: str = "opaque_first_bytes"
    title: str = "first bytes that look random, in no known protocol"
    d3fend: str = "D3-PMAD"
    group: str = "shape"
    source: str = "USENIX Security 2023, Wu et al.; share of hops assumed"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("first_bits",), ("first_printable",), ("first_run",))

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        began = _began(window, settings)
        per_pair = began.group_by("pair").agg(
            opaque=began.opaque.sum(),
            compared=began.count(),
            # lengths and set bits are measured alike for equal messages, whatever the engine
            messages=ibis.ifelse(began.opaque == 1, began.message, ibis.null("string")).nunique(),
            bits=began.first_bits.mean(where=began.opaque == 1),
            printable=began.first_printable.mean(where=began.opaque == 1),
            bytes=began.first_len.sum(where=began.opaque == 1),
            bits_sum=(began.first_bits * began.first_len).sum(where=began.opaque == 1),
            text_sum=(began.first_printable * began.first_len).sum(where=began.opaque == 1),
        )
        p = outbound(window)
        pairs = p.filter(p.proto == "tcp")
        told = per_pair.filter(per_pair.opaque > 0).to_pyarrow()
        table = beside(rows_of(pairs, told["pair"]), told)
        met = differing(key_ids(table, _HOST), key_ids(table, ("server",)))
        table = table.append_column("peers", pa.array(met))
        everyone = pairs.group_by(_HOST).agg(destinations=pairs.server.nunique()).to_pyarrow()
        table = beside(table, everyone, _HOST)
        opaque, compared, messages, peers, destinations = (
            numbers(table, k) for k in ("opaque", "compared", "messages", "peers", "destinations")
        )
        others = peers - 1 + settings.usual_rate * settings.usual_weight
        rate = others / np.maximum(destinations - 1 + settings.usual_weight, 1.0)
        rate = np.maximum(rate, settings.usual_rate)  # many other destinations don't make the protocol rarer
        weight = np.clip(10 * np.log10(settings.hop_rate / rate), 0.0, None)
        share = rise(opaque / np.maximum(compared, 1), settings.share_least, settings.share_full)
        many = np.log(np.maximum(messages, 1)) / np.log(max(settings.full_messages, 2))
        many = settings.one_part + (1 - settings.one_part) * np.minimum(many, 1.0)
        size = np.maximum(numbers(table, "bytes"), 1.0)
        by_bits = np.abs(numbers(table, "bits_sum") / size - RANDOM_BITS) / RANDOM_BITS_SD * np.sqrt(size)
        by_text = np.abs(numbers(table, "text_sum") / size - RANDOM_TEXT) / RANDOM_TEXT_SD * np.sqrt(size)
        off = np.maximum(by_bits, by_text)
        enough = np.where(off <= settings.like_random, np.minimum(size / settings.random_bytes, 1.0), 0.0)
        random = settings.structured_part + (1 - settings.structured_part) * enough
        values = {
            "opaque": table["opaque"],
            "compared": table["compared"],
            "messages": table["messages"],
            "bits": np.round(numbers(table, "bits"), 2),
            "printable": np.round(numbers(table, "printable"), 3),
            "off_random": np.round(off, 1),
            "peers": table["peers"],
        }
        threshold = f"opaque_first_bytes.share_least = {settings.share_least:g}"
        seen = began.filter(began.opaque == 1)
        return evidence(table, weight * share * many * random, threshold, FACTS, values, seen)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """How many connections, and how near to random."""
        alike = " (always the same message)" if facts["messages"] == 1 and facts["opaque"] > 1 else ""
        peers = "" if facts["peers"] == 1 else f"; so the client speaks to {facts['peers']} servers"
        return (
            f"{facts['opaque']} of {facts['compared']} connections begin with bytes of no known protocol that look "
            f"encrypted{alike}: {facts['bits']:.2f} of 8 bits set, {facts['printable']:.0%} printable{peers}"
        )


def _began(window: Window, settings: Settings) -> ir.Table:
    """Connections that were opened in sight and by the originator's payload, once each, with `opaque` and `message`."""
    s = window.samples
    seen = s.tcp_rtt.notnull() | s.client_rtt.notnull() | s.pause.notnull()
    s = s.filter(s.proto == "tcp", s.seg == 0, seen, s.first_speaker == "orig", s.first_len >= settings.least_len)
    exempt = (s.first_bits <= BITS_LOW) | (s.first_bits >= BITS_HIGH) | (s.first_printable > PRINTABLE)
    exempt |= (s.first_run > RUN) | s.first_head_printable.fill_null(False) | s.service.notnull()
    opaque = s.first_bits.notnull() & s.first_printable.notnull() & s.first_run.notnull() & ~exempt
    message = s.first_len.cast("string") + ibis.literal(":") + (s.first_bits * s.first_len).round(0).cast("string")
    return s.mutate(opaque=opaque.fill_null(False).cast("int64"), message=message)


HEURISTIC = OpaqueFirstBytes()
