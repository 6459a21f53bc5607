"""DNS over TCP (RFC 7766): messages behind their lengths."""

from __future__ import annotations

from collections.abc import Iterator

from hopscope.sensor.dissect.dns import DnsMessage, parse
from hopscope.sensor.dissect.step import Step

PORT = 53
MAX_MESSAGES = 64  # of one direction


def messages(stream: bytes) -> Iterator[tuple[DnsMessage | None, int]]:
    """Each whole message of one direction and the offset past it; None for what is no DNS."""
    pos = 0
    for _ in range(MAX_MESSAGES):
        if pos + 2 > len(stream):
            return
        end = pos + 2 + int.from_bytes(stream[pos : pos + 2], "big")
        if end > len(stream):
            return
        yield parse(stream[pos + 2 : end]), end
        pos = end


def dns_tcp(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """DNS over TCP: on its port any whole message, elsewhere a query and its answer."""
    if resp_p == PORT:
        known = any(message is not None and message.whole for side in (client, server) for message, _ in messages(side))
        return Step(("dns",)) if known else None
    query = next(messages(client[:1024]), (None, 0))[0]
    if query is None or not query.whole or query.response or not query.query:
        return None
    reply = next(messages(server), (None, 0))[0]
    same = reply is not None and reply.response and reply.id == query.id and reply.query == query.query
    return Step(("dns",)) if same else None
