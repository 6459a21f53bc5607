"""What a TCP connection is, layer by layer: proxy handshake or STARTTLS first, then what is inside."""

from __future__ import annotations

from hopscope.sensor.dissect import http, tls
from hopscope.sensor.dissect.dnstcp import dns_tcp
from hopscope.sensor.dissect.facts import Facts
from hopscope.sensor.dissect.ftp import ftp
from hopscope.sensor.dissect.imap import imap
from hopscope.sensor.dissect.irc import irc
from hopscope.sensor.dissect.krb import krb_tcp
from hopscope.sensor.dissect.leaks import leaked_far_end
from hopscope.sensor.dissect.mqtt import mqtt
from hopscope.sensor.dissect.mysql import mysql
from hopscope.sensor.dissect.plant import dnp3_tcp, modbus
from hopscope.sensor.dissect.pop3 import pop3
from hopscope.sensor.dissect.rdp import rdp
from hopscope.sensor.dissect.rfb import rfb
from hopscope.sensor.dissect.smb import dce_rpc, smb
from hopscope.sensor.dissect.smtp import smtp
from hopscope.sensor.dissect.socks import socks
from hopscope.sensor.dissect.ssh import ssh
from hopscope.sensor.dissect.step import Step
from hopscope.sensor.dissect.xmpp import xmpp

MAX_LAYERS = 4  # inside one another
# Those that Zeek looks at in a connection whose start it didn't see.
KNOWN_MIDSTREAM = frozenset(
    ("dce_rpc", "dnp3_tcp", "dns", "ftp", "gssapi", "irc", "krb", "modbus", "mqtt", "ntlm", "smb", "smtp")
)

_PROBES = (
    smb, rdp, dns_tcp, krb_tcp, smtp, ftp, pop3, imap, irc, mysql, mqtt, rfb, xmpp, dce_rpc, dnp3_tcp, modbus,
)  # fmt: skip


def dissect(orig: bytes, resp: bytes, resp_p: int, partial: bool) -> Facts:
    """See `hopscope.sensor.dissect.tcp`."""
    facts = Facts()
    if _flipped(orig, resp):
        facts.flipped = True
        orig, resp = resp, orig
    facts.leaked_far_end = leaked_far_end(resp, orig)
    left = right = 0
    wrapped = False
    asked: tuple[str | None, str | None, bool | None] | None = None
    for depth in range(MAX_LAYERS):
        # the port says nothing of what is inside
        step = _layer(facts, orig[left:], resp[right:], 0 if depth else resp_p)
        if step is None:
            break
        facts.services.extend(name for name in step.services if name not in facts.services)
        _place(facts, left, right)
        if step.at is None:
            break
        if step.streams is not None:
            orig, resp = step.streams
            left = right = 0
            wrapped = True
        left, right = left + step.at[0], right + step.at[1]
        if step.proxy:
            asked = asked or (facts.proxy_protocol, facts.proxy_target, facts.proxy_accepted)
            if facts.proxy_accepted and not wrapped:
                facts.inner = left, right
    if asked is not None:  # of a chain the first proxy is the one that the client talks to
        facts.proxy_protocol, facts.proxy_target, facts.proxy_accepted = asked
    if wrapped:  # offsets in unwrapped frames are none in the stream
        facts.hello_at = facts.server_hello_at = None
    if partial:
        facts.services = [name for name in facts.services if name in KNOWN_MIDSTREAM]
    return facts


def _place(facts: Facts, left: int, right: int) -> None:
    """Offsets counted in a layer become offsets in the stream."""
    if facts.hello_at is not None:
        facts.hello_at += left
    if facts.server_hello_at is not None:
        facts.server_hello_at += right


def _flipped(orig: bytes, resp: bytes) -> bool:
    """The originator's first bytes are a server's and the responder's don't contradict it."""
    if tls.starts_server(orig):
        return not resp or tls.starts_client(resp)
    if http.is_response(orig):
        return not resp or http.is_request(resp)
    return False


def _layer(facts: Facts, client: bytes, server: bytes, resp_p: int) -> Step | None:
    """Read one layer at the streams' starts; None when it is nothing known."""
    if tls.starts_client(client) or tls.starts_server(server):
        return Step(("ssl",)) if tls.tls(facts, client, server) else Step()
    if client[:4].upper() == b"SSH-" or server[:4].upper() == b"SSH-":
        return Step(("ssh",)) if ssh(facts, client, server) else Step()
    step = socks(facts, client, server) or http.http(facts, client, server, resp_p)
    if step is not None:
        return step
    for probe in _PROBES:
        step = probe(client, server, resp_p)
        if step is not None:
            return step
    return None
