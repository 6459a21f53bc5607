"""DNS messages (RFC 1035 and successors), with answers written as Zeek 8 writes them in dns.log."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from hopscope.sensor.dissect.dnsdata import BadRecord, answer
from hopscope.sensor.dissect.dnsnames import NETBIOS_PORT, decode_netbios, read_name
from hopscope.sensor.dissect.dnstypes import RCODES, qtype_name
from hopscope.sensor.dissect.text import text

MAX_QUESTIONS = 25  # more is no DNS: Zeek's dns_max_queries
MAX_ANSWERS = 512  # kept of one message; a message over TCP may hold thousands

_HEADER = Struct(">HHHHHH")
_QUESTION = Struct(">HH")
_RECORD = Struct(">HHIH")


@dataclass(slots=True)
class DnsMessage:
    """One DNS message.

    `query` and `qtype` are the last question's (null without one), the name as sent without its final
    dot; `owner` is the name that the first answer is about. `answers` and `ttls` (seconds) are those of
    the answer section, in order, in Zeek's words. `whole` says that the question and answer sections
    could be read to their ends; what precedes the damage is kept. `opcode` 0 is a query; Zeek tracks no
    other.
    """

    id: int
    response: bool
    opcode: int
    rcode: str
    query: str | None = None
    qtype: str | None = None
    owner: str | None = None
    answers: list[str] = field(default_factory=list)
    ttls: list[float] = field(default_factory=list)
    whole: bool = False


def parse(data: bytes, port: int = 53) -> DnsMessage | None:
    """The message in `data`, or None when it is no DNS; `port` is the responder's (137 is NetBIOS).

    Never raises. Compression pointers only lead backwards and a name has at most 512 bytes, so that the
    work is bounded by the message's length. Source: Zeek 8's DNS analyzer for what it accepts.
    """
    if len(data) < 12:
        return None
    ident, flags, questions, answers, _, _ = _HEADER.unpack_from(data)
    opcode = flags >> 11 & 15
    netbios = port == NETBIOS_PORT
    if opcode and not netbios:
        return None
    message = DnsMessage(ident, flags >= 0x8000, opcode, RCODES[flags & 15])
    if questions > MAX_QUESTIONS:
        return None
    size = len(data)
    pos = 12
    for _ in range(questions):
        name, pos = read_name(data, pos, netbios)
        if pos + 4 > size:
            return message
        kind, _class = _QUESTION.unpack_from(data, pos)
        pos += 4
        message.qtype = qtype_name(kind)
        if netbios:
            name = decode_netbios(name)
            if kind == 33:
                message.qtype = "NBSTAT"
        message.query = text(name)
    for _ in range(answers):
        start = pos
        if pos < size and data[pos] >= 0xC0:  # most owners are one pointer: no need to follow it
            pos += 2
        else:
            _, pos = read_name(data, pos, netbios)
        if pos + 10 > size:
            return message
        kind, _class, ttl, length = _RECORD.unpack_from(data, pos)
        pos += 10
        if pos + length > size or (length == 0 and pos < size):
            return message
        try:
            value, pos = answer(data, kind, pos, length, start, port)
        except BadRecord as bad:
            value, pos = bad.value, -1
        if message.response and value is not None:
            if message.owner is None:
                message.owner = text(read_name(data, start, netbios)[0].lower())
            if value and len(message.answers) < MAX_ANSWERS:
                message.answers.append(value)
                message.ttls.append(float(ttl))
        if pos < 0:
            return message
    message.whole = True
    return message
