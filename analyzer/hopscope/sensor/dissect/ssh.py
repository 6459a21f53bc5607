"""SSH: the banners and the server's host key (RFC 4253, 4419, 5656)."""

from __future__ import annotations

from hashlib import sha256

from hopscope.sensor.dissect.facts import Facts
from hopscope.sensor.dissect.text import text

MAX_PACKET = 35000  # RFC 4253, 6.1
MAX_BANNER = 257
MAX_PREAMBLE = 8192  # bytes of lines that a server may say before its banner
NEWKEYS = 21
CHISEL = b"SSH-chisel-"  # chisel puts its own version in SSH's place, so that no SSH analyzer, Zeek's neither, takes it
# KEXDH_REPLY and ECDH_REPLY are 31, as is GEX_GROUP, whose first field is no key; GEX_REPLY is 33.
_REPLIES = (31, 33)


def ssh(facts: Facts, client: bytes, server: bytes) -> bool:
    """Fill `facts` from an SSH connection's start; whether either side went over to its new keys.

    Without two banners it is none; of chisel the server's is told all the same. The host key is the SHA-256
    of the key blob, hexadecimal, as OpenSSH hashes it.
    """
    if server.startswith(CHISEL):
        facts.ssh_server = text(server[:MAX_BANNER].partition(b"\n")[0].rstrip(b"\r"))
        return False
    client_banner = _banner(client, 0)
    server_banner = _banner(server, MAX_PREAMBLE)
    if client_banner is None or server_banner is None:
        return False
    facts.ssh_client, facts.ssh_server = text(client_banner[0]), text(server_banner[0])
    left, _ = _packets(client, client_banner[1])
    right, key = _packets(server, server_banner[1])
    if key is not None:
        facts.ssh_host_key = sha256(key).hexdigest()
    return left or right


def _banner(stream: bytes, within: int) -> tuple[bytes, int] | None:
    """The SSH- line and the offset past it; it starts the stream or a line in its first bytes."""
    start = 0
    if stream[:4].upper() != b"SSH-":
        start = stream.find(b"\nSSH-", 0, within) + 1
        if start == 0:
            return None
    end = stream.find(b"\n", start, start + MAX_BANNER)
    if end < 0 or not stream[start + 4 : start + 5].isdigit():
        return None
    return stream[start:end].rstrip(b"\r"), end + 1


def _packets(stream: bytes, pos: int) -> tuple[bool, bytes | None]:
    """Whether NEWKEYS was seen, and the host key's blob, of the plain packets from `pos`."""
    key = None
    while pos + 6 <= len(stream):
        length = int.from_bytes(stream[pos : pos + 4], "big")
        kind = stream[pos + 5]
        if length < 2 or length > MAX_PACKET:
            break
        if kind == NEWKEYS:
            return True, key
        if kind in _REPLIES and key is None:
            key = _key(stream[pos + 6 : pos + 4 + length])
        pos += 4 + length
    return False, key


def _key(payload: bytes) -> bytes | None:
    """The first string of a key exchange reply, when it is a key: it begins with the key type's name."""
    size = int.from_bytes(payload[:4], "big")
    blob = payload[4 : 4 + size]
    name = int.from_bytes(blob[:4], "big")
    if len(blob) < size or not 3 <= name <= 64 or len(blob) < 4 + name:
        return None
    kind = blob[4 : 4 + name]
    return blob if kind.isascii() and kind.decode("ascii").isprintable() else None
