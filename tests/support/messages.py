"""Valid protocol messages, byte by byte, for the dissectors' tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from struct import pack

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

# The example of JA4's specification, with GREASE values added where browsers put them.
CIPHERS = "0a0a 1301 1302 1303 c02b c02f c02c c030 cca9 cca8 c013 c014 009c 009d 002f 0035"
EXTENSIONS = "1a1a 001b 0000 0033 0010 4469 0017 002d 000d 0005 0023 0012 002b ff01 000b 000a 0015"
SIGNATURES = "0403 0804 0401 0503 0805 0501 0806 0601"


def sized(width: int, content: bytes) -> bytes:
    """The content behind its length, big-endian in `width` bytes."""
    return len(content).to_bytes(width, "big") + content


def hexes(words: str) -> bytes:
    return bytes.fromhex(words)


def extension(kind: int, content: bytes = b"") -> bytes:
    return pack(">H", kind) + sized(2, content)


def client_hello(
    sni: str | None = "www.example.org",
    alpn: tuple[str, ...] = ("h2", "http/1.1"),
    session: bytes = bytes(32),
    ciphers: str = CIPHERS,
    extensions: str = EXTENSIONS,
    versions: str = "2a2a 0304 0303",
    version: int = 0x0303,
    cookie: bytes | None = None,
) -> bytes:
    """The handshake message of a ClientHello, header included."""
    content = {
        0: sized(2, b"\0" + sized(2, (sni or "").encode())),
        16: sized(2, b"".join(sized(1, name.encode()) for name in alpn)),
        13: sized(2, hexes(SIGNATURES)),
        43: sized(1, hexes(versions)),
    }
    kinds = [int(word, 16) for word in extensions.split()]
    absent = {0: sni is None, 16: not alpn, 43: not versions}
    blocks = b"".join(extension(kind, content.get(kind, b"")) for kind in kinds if not absent.get(kind, False))
    body = pack(">H", version) + bytes(range(32)) + sized(1, session)
    if cookie is not None:
        body += sized(1, cookie)
    body += sized(2, hexes(ciphers)) + sized(1, b"\0") + (sized(2, blocks) if kinds else b"")
    return b"\1" + sized(3, body)


RETRY_RANDOM = hexes("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def server_hello(
    version: int = 0x0304,
    cipher: int = 0x1301,
    session: bytes = bytes(32),
    extra: bytes = b"",
    random: bytes = bytes(range(32)),
) -> bytes:
    """The handshake message of a ServerHello; from TLS 1.3 with key share and version extensions."""
    blocks = extra
    if version == 0x0304:
        blocks = extension(51, b"\0\x1d" + sized(2, bytes(32))) + extension(43, b"\3\4") + extra
    legacy = min(version, 0x0303) if version < 0x7F00 else version
    body = pack(">H", legacy) + random + sized(1, session) + pack(">HB", cipher, 0)
    return b"\2" + sized(3, body + (sized(2, blocks) if blocks else b""))


def certificate_message(*ders: bytes) -> bytes:
    return b"\x0b" + sized(3, sized(3, b"".join(sized(3, der) for der in ders)))


def record(content: bytes, kind: int = 22, version: int = 0x0303) -> bytes:
    return pack(">BH", kind, version) + sized(2, content)


CHANGE_CIPHER = record(b"\1", kind=20)
APPLICATION = record(bytes(40), kind=23)


@cache
def certificate_der(subject: str = "server.example", issuer: str | None = None) -> bytes:
    """A certificate's DER; self-signed without an issuer. The same each time but for its signature."""
    key = derive_private_key(7, SECP256R1())

    def name(common: str) -> x509.Name:
        return x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Org, Ltd"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
        )

    start = datetime(2024, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer or subject))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.DER)


def tls13() -> tuple[bytes, bytes]:
    """Both directions of a TLS 1.3 handshake's start."""
    client = record(client_hello(), version=0x0301) + CHANGE_CIPHER + APPLICATION
    return client, record(server_hello()) + CHANGE_CIPHER + APPLICATION


def tls12() -> tuple[bytes, bytes]:
    """Both directions of a full TLS 1.2 handshake."""
    client = record(client_hello(session=b"", versions="", version=0x0303), version=0x0301)
    client += record(b"\x10" + sized(3, bytes(66))) + CHANGE_CIPHER + record(bytes(40))
    server = record(server_hello(0x0303, 0xC02F, bytes(31) + b"\1", extension(0xFF01, b"\0")))
    server += record(certificate_message(certificate_der("server.example", "CA")) + b"\x0e\0\0\0")
    return client, server + CHANGE_CIPHER + record(bytes(40))


# DNS


def name(text: str) -> bytes:
    return b"".join(sized(1, label.encode()) for label in text.split(".") if label) + b"\0"


def question(query: str, kind: int = 1) -> bytes:
    return name(query) + pack(">HH", kind, 1)


def resource(kind: int, data: bytes, ttl: int = 300, owner: bytes = b"\xc0\x0c") -> bytes:
    return owner + pack(">HHI", kind, 1, ttl) + sized(2, data)


def dns(query: str, kind: int = 1, answers: tuple[bytes, ...] = (), flags: int = 0x0100, ident: int = 4660) -> bytes:
    """A message with one question; an answer (or flags 0x8180) makes it a response."""
    flags = flags | 0x8080 if answers else flags
    return pack(">HHHHHH", ident, flags, 1, len(answers), 0, 0) + question(query, kind) + b"".join(answers)


# SSH


def ssh_packet(payload: bytes) -> bytes:
    padding = 8 - (len(payload) + 5) % 8 + 4
    return pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


HOST_KEY = sized(4, b"ssh-ed25519") + sized(4, bytes(range(32)))


def ssh() -> tuple[bytes, bytes]:
    """Both directions of an SSH key exchange (curve25519)."""
    kexinit = ssh_packet(b"\x14" + bytes(16) + sized(4, b"curve25519-sha256") * 10 + bytes(5))
    client = b"SSH-2.0-OpenSSH_9.7\r\n" + kexinit + ssh_packet(b"\x1e" + sized(4, bytes(32))) + ssh_packet(b"\x15")
    reply = ssh_packet(b"\x1f" + sized(4, HOST_KEY) + sized(4, bytes(32)) + sized(4, bytes(83)))
    server = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u5\r\n" + kexinit + reply + ssh_packet(b"\x15") + bytes(64)
    return client, server


# QUIC


def varint(value: int) -> bytes:
    for size, mark in ((1, 0), (2, 0x40), (4, 0x80)):
        if value < 1 << (8 * size - 2):
            return (value | mark << (8 * size - 8)).to_bytes(size, "big")
    return (value | 0xC0 << 56).to_bytes(8, "big")


def crypto_frame(offset: int, content: bytes) -> bytes:
    return b"\6" + varint(offset) + varint(len(content)) + content


def quic_packet(
    payload: bytes, keys: tuple[bytes, bytes, bytes], dcid: bytes, version: int = 1, number: int = 2, kind: int = 0xC3
) -> bytes:
    """A protected Initial packet; `keys` are those of the payload, its vector and the header."""
    key, vector, header_key = keys
    size = (kind & 3) + 1
    header = pack(">BI", kind, version) + sized(1, dcid) + b"\0\0" + varint(len(payload) + 16 + size)
    number_bytes = number.to_bytes(size, "big")
    header += number_bytes
    nonce = (int.from_bytes(vector, "big") ^ number).to_bytes(12, "big")
    sealed = AESGCM(key).encrypt(nonce, payload, header)
    sample = sealed[4 - size : 20 - size]
    mask = Cipher(algorithms.AES(header_key), modes.ECB()).encryptor().update(sample)
    start = len(header) - size
    hidden = bytes(a ^ b for a, b in zip(number_bytes, mask[1:], strict=False))
    return bytes((header[0] ^ mask[0] & 0x0F,)) + header[1:start] + hidden + sealed
