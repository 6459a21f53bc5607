"""ClientHello and ServerHello (RFC 8446, 5246, 6066, 7301; DTLS: RFC 6347, 9147)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, error

from hopscope.sensor.dissect.ja4 import is_grease, ja4
from hopscope.sensor.dissect.text import text

SNI, SIGNATURE_ALGORITHMS, ALPN, PRE_SHARED_KEY, SUPPORTED_VERSIONS = 0, 13, 16, 41, 43
TLS13 = 0x0304

_SHORT = Struct(">H")
_EXTENSION = Struct(">HH")
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_VERSIONS = {
    0x0002: "SSLv2", 0x0300: "SSLv3", 0x0301: "TLSv10", 0x0302: "TLSv11", 0x0303: "TLSv12", TLS13: "TLSv13",
    0xFEFF: "DTLSv10", 0xFEFD: "DTLSv12", 0xFEFC: "DTLSv13",
}  # fmt: skip

Extensions = dict[int, bytes]


@dataclass(slots=True)
class ClientHello:
    """What a TLS client offers. `versions` are as offered, GREASE left out; `sni` and `alpn` are null
    when not offered, `alpn` the first protocol."""

    version: int
    session_id: bytes
    ciphers: bytes
    extensions: Extensions
    sni: str | None
    alpn: bytes | None
    highest: int

    def fingerprint(self, transport: str) -> str:
        """The JA4 of this ClientHello; `transport` is t, q or d."""
        return ja4(
            transport,
            self.highest,
            SNI in self.extensions,
            self.ciphers,
            tuple(self.extensions),
            self.alpn or b"",
            self.extensions.get(SIGNATURE_ALGORITHMS, b"")[2:],
        )


@dataclass(slots=True)
class ServerHello:
    """What a TLS server chose; `version` is the negotiated one, `retry` marks a HelloRetryRequest."""

    version: int
    session_id: bytes
    cipher: int
    extensions: Extensions
    alpn: bytes | None
    retry: bool

    def summary(self) -> str:
        """Version, cipher and extensions in order, hexadecimal: 0304,1301,0033-002b."""
        return f"{self.version:04x},{self.cipher:04x},{'-'.join(f'{kind:04x}' for kind in self.extensions)}"


def version_name(version: int) -> str:
    """Zeek's name of a protocol version."""
    if version >> 8 == 0x7F:
        return f"TLSv13-draft{version & 0xFF}"
    return _VERSIONS.get(version) or f"unknown-{version}"


def known_version(version: int) -> bool:
    """A version that Zeek takes for TLS, DTLS or SSL."""
    return version in _VERSIONS or version >> 8 == 0x7F


def client_hello(body: bytes, dtls: bool = False) -> ClientHello | None:
    """The ClientHello in a handshake message's body; None when its lengths lie."""
    try:
        (version,) = _SHORT.unpack_from(body)
        pos = 35 + body[34]
        session_id = body[35:pos]
        if dtls:  # the cookie
            pos += 1 + body[pos]
        (size,) = _SHORT.unpack_from(body, pos)
        ciphers = body[pos + 2 : pos + 2 + size]
        pos += 2 + size
        pos += 1 + body[pos]
    except (error, IndexError):
        return None
    extensions = _extensions(body, pos)
    if extensions is None:
        return None
    alpn = _alpn(extensions.get(ALPN))
    versions = extensions.get(SUPPORTED_VERSIONS, b"")[1:]
    offered = [v for (v,) in _SHORT.iter_unpack(versions[: len(versions) & ~1]) if not is_grease(v)]
    # DTLS counts its versions downwards
    highest = (min if dtls else max)(offered, default=version)
    return ClientHello(version, session_id, ciphers, extensions, _sni(extensions.get(SNI)), alpn, highest)


def server_hello(body: bytes) -> ServerHello | None:
    """The ServerHello or HelloRetryRequest in a handshake message's body; None when its lengths lie."""
    try:
        (version,) = _SHORT.unpack_from(body)
        if version >> 8 == 0x7F:  # TLS 1.3 until draft 21 had neither session id nor compression
            session_id, pos = b"", 34
            (cipher,) = _SHORT.unpack_from(body, pos)
            pos += 2
        else:
            pos = 35 + body[34]
            session_id = body[35:pos]
            (cipher,) = _SHORT.unpack_from(body, pos)
            pos += 3
    except (error, IndexError):
        return None
    extensions = _extensions(body, pos)
    if extensions is None:
        return None
    chosen = extensions.get(SUPPORTED_VERSIONS, b"")
    if len(chosen) == 2:
        (version,) = _SHORT.unpack(chosen)
    alpn = _alpn(extensions.get(ALPN))
    return ServerHello(version, session_id, cipher, extensions, alpn, body[2:34] == _RETRY)


def _extensions(body: bytes, pos: int) -> Extensions | None:
    """Type to content in the order they stand; the first counts when a type comes twice."""
    size = len(body)
    if pos == size:
        return {}
    if pos + 2 > size or pos + 2 + _SHORT.unpack_from(body, pos)[0] > size:
        return None
    pos += 2
    out: Extensions = {}
    while pos < size:
        if pos + 4 > size:
            return None
        kind, length = _EXTENSION.unpack_from(body, pos)
        pos += 4
        if pos + length > size:
            return None
        out.setdefault(kind, body[pos : pos + length])
        pos += length
    return out


def _sni(content: bytes | None) -> str | None:
    # list length (2), type (1, 0 is a host name), length (2), name
    if content is None or len(content) < 5 or content[2] != 0:
        return None
    return text(content[5 : 5 + _SHORT.unpack_from(content, 3)[0]]) or None


def _alpn(content: bytes | None) -> bytes | None:
    # list length (2), then length (1) and name of each
    if content is None or len(content) < 3:
        return None
    return content[3 : 3 + content[2]]
