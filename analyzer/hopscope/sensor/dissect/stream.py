"""What a TCP connection is, layer by layer: proxy handshake first, then what is inside."""

from __future__ import annotations

from hopscope.sensor.dissect import http, tls
from hopscope.sensor.dissect.facts import Facts
from hopscope.sensor.dissect.socks import socks
from hopscope.sensor.dissect.ssh import ssh

MAX_LAYERS = 4  # proxy handshakes inside one another


def dissect(orig: bytes, resp: bytes, orig_p: int, resp_p: int) -> Facts:
    """See `hopscope.sensor.dissect.tcp`."""
    facts = Facts()
    if _flipped(orig, resp):
        facts.flipped = True
        orig, resp, orig_p, resp_p = resp, orig, resp_p, orig_p
    at = (0, 0)
    for _ in range(MAX_LAYERS):
        inner = _layer(facts, orig, resp, resp_p, at)
        if inner is None:
            break
        facts.inner = at = inner
        resp_p = 0  # the port says nothing of what is inside
    return facts


def _flipped(orig: bytes, resp: bytes) -> bool:
    """The originator's first bytes are a server's and the responder's don't contradict it."""
    if tls.starts_server(orig):
        return not resp or tls.starts_client(resp)
    if http.is_response(orig):
        return not resp or http.is_request(resp)
    return False


def _layer(facts: Facts, orig: bytes, resp: bytes, resp_p: int, at: tuple[int, int]) -> tuple[int, int] | None:
    """Read one layer at the two offsets; the offsets of the next one when this one carries it."""
    before = facts.inner
    left, right = at
    if tls.starts_client(orig, left) or tls.starts_server(resp, right):
        if tls.tls(facts, orig, resp, left, right):
            facts.services.append("ssl")
    elif orig[left : left + 1] in (b"\4", b"\5"):
        if socks(facts, orig[left:], resp[right:]):
            facts.services.append("socks")
    elif orig[left : left + 4].upper() == b"SSH-" or resp[right : right + 4].upper() == b"SSH-":
        if ssh(facts, orig[left:], resp[right:]):
            facts.services.append("ssh")
    elif http.http(facts, orig, resp, resp_p, left, right):
        facts.services.append("http")
    return facts.inner if facts.inner != before else None
