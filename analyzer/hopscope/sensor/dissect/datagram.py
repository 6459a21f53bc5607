"""What a UDP connection is, from its first datagrams."""

from __future__ import annotations

from hopscope.sensor.dissect import dns, dtls, quic
from hopscope.sensor.dissect.dhcp import dhcp
from hopscope.sensor.dissect.facts import Facts
from hopscope.sensor.dissect.krb import message as krb
from hopscope.sensor.dissect.ntp import PORT as NTP_PORT
from hopscope.sensor.dissect.ntp import SERVER as NTP_SERVER
from hopscope.sensor.dissect.ntp import ntp
from hopscope.sensor.dissect.overlay import overlay
from hopscope.sensor.dissect.plant import dnp3
from hopscope.sensor.dissect.radius import PORT as RADIUS_PORT
from hopscope.sensor.dissect.radius import radius
from hopscope.sensor.dissect.sip import sip
from hopscope.sensor.dissect.snmp import snmp

DNS_PORTS = frozenset((53, 137, 5353, 5355))  # where Zeek takes one message for DNS
SNMP_PORTS = frozenset((161, 162))


def dissect(orig: list[bytes], resp: list[bytes], resp_p: int) -> Facts:
    """See `hopscope.sensor.dissect.udp`."""
    facts = Facts()
    if orig and quic.is_quic(orig[0]):
        if quic.quic(facts, orig, resp):
            facts.services.append("quic")
    elif any(map(dtls.starts, orig)):
        if dtls.dtls(facts, orig, resp):
            facts.services.append("dtls")
    elif any(map(dtls.starts, resp)):  # in calls either end may be the client
        if dtls.dtls(facts, resp, orig):
            facts.services.append("dtls")
    elif name := _service(orig, resp, resp_p):
        facts.services.append(name)
    facts.flipped = bool(orig) and _answers(orig[0], resp_p)
    return facts


def _service(orig: list[bytes], resp: list[bytes], resp_p: int) -> str | None:
    """The service that its messages confirm."""
    every = (*orig, *resp)
    if not every:
        return None
    if _dns(orig, resp, resp_p):
        return "dns"
    # one message that breaks the form takes the service away
    if resp_p == NTP_PORT and all(map(ntp, every)):
        return "ntp"
    if all(map(dhcp, every)):
        return "dhcp"
    if resp_p in SNMP_PORTS and resp and all(map(snmp, every)):
        return "snmp"
    if all(map(krb, every)):
        return "krb"
    if sip(orig, resp, resp_p):
        return "sip"
    if resp_p == RADIUS_PORT and all(map(radius, every)):
        return "radius"
    if any(map(dnp3, every)):
        return "dnp3_udp"
    return overlay(orig, resp, resp_p)


def _dns(orig: list[bytes], resp: list[bytes], resp_p: int) -> bool:
    """DNS: on its ports any whole message, elsewhere a query and its answer."""
    if resp_p in DNS_PORTS:
        return any((m := dns.parse(data, resp_p)) is not None and m.whole for data in (*orig, *resp))
    if not orig or not resp:
        return False
    query, reply = dns.parse(orig[0]), dns.parse(resp[0])
    return (
        query is not None
        and reply is not None
        and query.whole
        and bool(query.query)
        and not query.response
        and reply.response
        and (query.id, query.query) == (reply.id, reply.query)
    )


def _answers(data: bytes, resp_p: int) -> bool:
    """The originator's first datagram is an answer."""
    if resp_p == NTP_PORT:
        return ntp(data) and data[0] & 7 == NTP_SERVER
    if resp_p not in DNS_PORTS:
        return False
    message = dns.parse(data, resp_p)
    return message is not None and message.response
