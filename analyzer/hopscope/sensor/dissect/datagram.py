"""What a UDP connection is, from its first datagrams."""

from __future__ import annotations

from hopscope.sensor.dissect import dns
from hopscope.sensor.dissect.facts import Facts

DNS_PORTS = frozenset((53, 137, 5353, 5355))  # where Zeek takes a message for DNS on its looks alone


def dissect(orig: list[bytes], resp: list[bytes], orig_p: int, resp_p: int) -> Facts:
    """See `hopscope.sensor.dissect.udp`."""
    facts = Facts()
    if resp_p in DNS_PORTS and _dns(orig, resp, resp_p):
        facts.services.append("dns")
    return facts


def _dns(orig: list[bytes], resp: list[bytes], resp_p: int) -> bool:
    return any((message := dns.parse(data, resp_p)) is not None and message.whole for data in (*orig, *resp))
