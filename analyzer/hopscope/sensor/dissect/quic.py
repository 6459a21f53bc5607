"""QUIC Initial packets (RFC 9000, 9001, 9369 and draft 29): the hellos inside, which anyone can decrypt."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256
from struct import Struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hopscope.sensor.dissect.facts import Facts
from hopscope.sensor.dissect.text import text
from hopscope.sensor.dissect.tls import CLIENT_HELLO, SERVER_HELLO, apply_server_hello
from hopscope.sensor.dissect.tlshello import client_hello, server_hello

MAX_CRYPTO = 65536  # bytes of handshake put together, of one direction
MAX_PACKETS = 4  # looked at in one datagram
MAX_IDS = 4  # connection IDs that keys are tried for
SAMPLE = 16  # bytes that the header's mask is made from

_SALTS = {
    0x00000001: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
    0x6B3343CF: "0dede3def700a6db819381be6e269dcbf9bd2ed9",
    0xFF00001D: "afbfec289993d24c9e9786f19c6111e04390a899",
}
_V2 = 0x6B3343CF
_LONG = Struct(">BI")

Initial = tuple[int, bytes, int]  # version, packet, offset of its packet number
Keys = tuple[AESGCM, bytes, bytes]  # payload, initialisation vector, header


def is_quic(data: bytes) -> bool:
    """A packet with QUIC's long header, of a known version, starts the datagram.

    It needn't be an Initial: early data may come before.
    """
    return len(data) >= 32 and data[0] & 0xC0 == 0xC0 and int.from_bytes(data[1:5], "big") in _SALTS


def quic(facts: Facts, orig: list[bytes], resp: list[bytes]) -> bool:
    """Fill `facts` from the Initial packets of both directions; whether one of the client's opened.

    The keys come from the first destination connection ID the client chose, or a later one after a Retry.
    """
    ids: list[bytes] = []
    packets = [found for data in orig for found in _initials(data)]
    for _, packet, _ in packets:
        dcid = packet[6 : 6 + packet[5]]
        if dcid not in ids and len(ids) < MAX_IDS:
            ids.append(dcid)
    opened, body = _handshake(packets, ids, "client in", CLIENT_HELLO)
    hello = client_hello(body) if body is not None else None
    if hello is not None:
        facts.sni = hello.sni
        facts.ja4 = hello.fingerprint("q")
        if hello.alpn:
            facts.alpn = text(hello.alpn)
    if opened:
        answers = (found for data in resp for found in _initials(data))
        _, body = _handshake(answers, ids, "server in", SERVER_HELLO)
        answer = server_hello(body) if body is not None else None
        if answer is not None:
            apply_server_hello(facts, answer, hello)
    return opened


def _handshake(packets: Iterable[Initial], ids: list[bytes], side: str, kind: int) -> tuple[bool, bytes | None]:
    """Whether a packet could be opened, and the first handshake message's body when it is of the kind."""
    opened = False
    stream: dict[int, bytes] = {}
    for version, packet, start in packets:
        payload = _open(packet, start, version, ids, side)
        if payload is not None:
            opened = True
            _crypto(payload, stream)
            body = _message(stream, kind)
            if body is not None:
                return True, body
    return opened, None


def _initials(data: bytes) -> Iterator[Initial]:
    """Each Initial packet in a datagram."""
    for _ in range(MAX_PACKETS):
        if len(data) < 32 or not data[0] & 0x80:
            return
        first, version = _LONG.unpack_from(data)
        if version not in _SALTS:
            return
        pos = 6 + data[5]
        if pos >= len(data):
            return
        pos += 1 + data[pos]
        initial = first >> 4 & 3 == (1 if version == _V2 else 0)
        if initial:
            token, pos = _varint(data, pos)
            pos += token
        length, pos = _varint(data, pos)
        end = pos + length
        if length < 4 + SAMPLE or end > len(data):
            return
        if initial:
            yield version, data[:end], pos
        data = data[end:]


def _varint(data: bytes, pos: int) -> tuple[int, int]:
    """A variable-length integer and the offset past it; past the end it is 0 and the offset far out."""
    if pos >= len(data):
        return 0, len(data)
    size = 1 << (data[pos] >> 6)
    value = int.from_bytes(data[pos : pos + size], "big") & (1 << (8 * size - 2)) - 1
    return value, pos + size


def _open(packet: bytes, start: int, version: int, ids: list[bytes], side: str) -> bytes | None:
    """The packet's payload, decrypted with the keys of the connection ID that fits."""
    for dcid in ids:
        cipher, vector, header_key = _keys(version, dcid, side)
        sample = packet[start + 4 : start + 4 + SAMPLE]
        mask = _mask(header_key, sample)
        first = packet[0] ^ mask[0] & 0x0F
        size = (first & 3) + 1
        number = bytes(a ^ b for a, b in zip(packet[start : start + size], mask[1:], strict=False))
        header = bytes((first,)) + packet[1:start] + number
        nonce = (int.from_bytes(vector, "big") ^ int.from_bytes(number, "big")).to_bytes(12, "big")
        try:
            return cipher.decrypt(nonce, packet[start + size :], header)
        except InvalidTag:
            continue
    return None


def _mask(key: bytes, sample: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - RFC 9001, 5.4.3 says so
    return encryptor.update(sample)


@lru_cache(maxsize=256)
def _keys(version: int, dcid: bytes, side: str) -> Keys:
    word = "quicv2" if version == _V2 else "quic"
    initial = hmac.digest(bytes.fromhex(_SALTS[version]), dcid, sha256)
    secret = _expand(initial, side, 32)
    payload = _expand(secret, f"{word} key", 16)
    return AESGCM(payload), _expand(secret, f"{word} iv", 12), _expand(secret, f"{word} hp", 16)


def _expand(secret: bytes, label: str, size: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446, 7.1) for outputs of one block."""
    name = b"tls13 " + label.encode()
    info = size.to_bytes(2, "big") + bytes((len(name),)) + name + b"\0\1"
    return hmac.digest(secret, info, sha256)[:size]


def _crypto(payload: bytes, stream: dict[int, bytes]) -> None:
    """Add the payload's CRYPTO frames to the stream (offset to bytes)."""
    pos = 0
    while pos < len(payload):
        kind = payload[pos]
        pos += 1
        if kind in (0, 1):  # PADDING, PING
            continue
        if kind == 6:
            offset, pos = _varint(payload, pos)
            size, pos = _varint(payload, pos)
            if offset + size <= MAX_CRYPTO and len(stream) < MAX_CRYPTO // 64:
                stream.setdefault(offset, payload[pos : pos + size])
            pos += size
        elif kind in (2, 3):  # ACK
            _, pos = _varint(payload, pos)
            _, pos = _varint(payload, pos)
            ranges, pos = _varint(payload, pos)
            for _ in range(min(1 + 2 * ranges + (3 if kind == 3 else 0), len(payload))):
                _, pos = _varint(payload, pos)
        else:
            return


def _message(stream: dict[int, bytes], kind: int) -> bytes | None:
    """The first handshake message's body, when it is of the kind and all its pieces are there."""
    data = bytearray()
    for offset in sorted(stream):
        if offset > len(data):
            break
        data += stream[offset][len(data) - offset :]
    if len(data) < 4 or data[0] != kind:
        return None
    size = int.from_bytes(data[1:4], "big")
    return bytes(data[4 : 4 + size]) if len(data) >= 4 + size else None
