"""The packets behind a finding: the handshake, the exchanges that show the gap, and what to see in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hopscope import packets
from hopscope.errors import InputError, UsageError
from hopscope.findings import Finding, endpoint
from hopscope.outputs import words
from hopscope.outputs.page import Row
from hopscope.packets import Packet

EXCHANGES = 4  # requests and answers shown
GAP_SECONDS = 0.015  # an answer that much later than the way to the hop is pointed out


@dataclass(frozen=True)
class Exchange:
    """The last packet of a request and the first of its answer."""

    request: Packet
    answer: Packet

    @property
    def seconds(self) -> float:
        """How long the answer took."""
        return self.answer.seconds - self.request.seconds


@dataclass(frozen=True)
class Conversation:
    """What of a connection's packets shows the gap; None where the capture doesn't hold it."""

    syn: Packet | None
    syn_ack: Packet | None
    ack: Packet | None
    exchanges: tuple[Exchange, ...]

    @property
    def way(self) -> float | None:
        """SYN to SYN-ACK, the way to the hop, in seconds."""
        return None if self.syn is None or self.syn_ack is None else self.syn_ack.seconds - self.syn.seconds


def rows(finding: Finding, pcap: Path, uid: str | None = None) -> Iterator[Row]:
    """The page of `hopscope dissect`; of the connection with this uid, or of the one that shows the gap best.

    Raises UsageError when the finding has no such connection, or TShark or pyshark isn't installed, and
    InputError when the capture can't be read or doesn't hold the connection.
    """
    connection = choose(finding, uid)
    seen = packets.read(pcap, connection)
    if not seen:
        raise InputError(
            str(pcap),
            f"holds no packet of connection {connection.get('uid')} ({_ends(connection)})",
            "give the capture that the finding came from",
        )
    yield Row(f"{finding.severity.upper()}  {words.hop(finding)}", right=finding.id, style="bold")
    yield Row(f"connection {connection.get('uid')}: {_ends(connection)}")
    yield Row()
    talk = conversation(seen)
    yield from _packets(talk, seen)
    yield Row()
    yield Row("What to see", style="bold")
    for line in _reading(talk):
        yield Row(line, indent=2)
    others = len(finding.connections) - 1
    if others > 0:
        yield Row()
        yield Row(f"{words.plural(others, 'further connection')} behind this finding: --connection UID shows another")


def choose(finding: Finding, uid: str | None) -> Mapping[str, Any]:
    """The connection with this uid, or the one with the longest answer over its way to the hop."""
    if uid is not None:
        for c in finding.connections:
            if c.get("uid") == uid:
                return c
        raise UsageError(f"{finding.id} has no connection '{uid}'; `hopscope explain {finding.id}` lists them")
    if not finding.connections:
        raise UsageError(f"{finding.id} keeps no connection that could be looked up; hunt again with this version")
    return max(finding.connections, key=_gap)


def _gap(c: Mapping[str, Any]) -> tuple[bool, float]:
    way = c.get("tcp_rtt")
    answers = [c[k] for k in ("hello_rtt", "finished_rtt", "first_reply", "reply_p10") if c.get(k) is not None]
    return (way is not None and bool(answers), max(answers, default=0.0) - (way or 0.0))


def conversation(seen: Sequence[Packet]) -> Conversation:
    """The handshake and the first exchanges of a connection's packets."""
    syn = next((p for p in seen if p.what == "SYN" and p.from_orig), None)
    syn_ack = next((p for p in seen if p.what == "SYN-ACK" and not p.from_orig), None)
    ack = next((p for p in seen if p.what == "ACK" and p.from_orig and syn_ack and p.number > syn_ack.number), None)
    exchanges: list[Exchange] = []
    request: Packet | None = None
    for p in seen:
        if p.size == 0:
            continue
        if p.from_orig:
            request = p
        elif request is not None:
            exchanges.append(Exchange(request, p))
            request = None
    return Conversation(syn, syn_ack, ack, tuple(exchanges[:EXCHANGES]))


def _packets(talk: Conversation, seen: Sequence[Packet]) -> Iterator[Row]:
    shown = [p for p in (talk.syn, talk.syn_ack, talk.ack) if p is not None]
    shown += [p for e in talk.exchanges for p in (e.request, e.answer)]
    after = {e.answer.number: e.seconds for e in talk.exchanges}
    if talk.way is not None and talk.syn_ack is not None:
        after[talk.syn_ack.number] = talk.way
    yield Row(f"{'packet':>8}  {'at':>10}  {'':6}  what", style="bold")
    for p in sorted(shown or seen, key=lambda p: p.number):
        size = f", {words.octets(p.size)}" if p.size else ""
        late = f"   after {words.seconds(after[p.number])}" if p.number in after else ""
        way = "-> hop" if p.from_orig else "<- hop"
        yield Row(f"{p.what}{size}{late}", f"{p.number:>8}  {p.seconds * 1000:>7.1f} ms  {way}", 30)


def _reading(talk: Conversation) -> Iterator[str]:
    way = talk.way
    if way is None:
        yield "The capture doesn't hold the connection's beginning, so the way to the address can't be read from it."
    else:
        yield f"SYN to SYN-ACK took {words.seconds(way)}: that is the way to the address and back."
    if not talk.exchanges:
        yield "The address answered no request."
    for e in talk.exchanges:
        took = f"{_named(e)} took {words.seconds(e.seconds)}"
        if way is None:
            yield f"{took}."
        elif e.seconds - way >= GAP_SECONDS:
            longer = words.seconds(e.seconds - way)
            yield f"{took}, {longer} longer than the way: something behind it answered, or it was slow itself."
        else:
            yield f"{took}: no longer than the way and a moment's work, so the address answered itself."


def _named(e: Exchange) -> str:
    if (e.request.what, e.answer.what) == ("ClientHello", "ServerHello"):
        return "ClientHello to ServerHello"
    return f"The answer (packet {e.answer.number}) to packet {e.request.number}"


def _ends(c: Mapping[str, Any]) -> str:
    orig = endpoint(str(c.get("orig_h")), c.get("orig_p"))
    return f"{orig} -> {endpoint(str(c.get('resp_h')), c.get('resp_p'))}"
