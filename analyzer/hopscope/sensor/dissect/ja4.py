"""JA4, the TLS client fingerprint, from its specification (FoxIO, BSD 3-Clause; the client part alone)."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

_VERSIONS = {
    0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2",
    0xFEFF: "d1", 0xFEFD: "d2", 0xFEFC: "d3",
}  # fmt: skip
_NONE = "000000000000"
_NOT_HASHED = frozenset(("0000", "0010"))  # SNI and ALPN stand in the first part


def ja4(
    transport: str, version: int, sni: bool, ciphers: bytes, extensions: tuple[int, ...], alpn: bytes, sigalgs: bytes
) -> str:
    """The fingerprint, such as t13d1516h2_8daaf6152771_e5627efa2ab1.

    `transport` is t (TLS), q (QUIC) or d (DTLS); `version` the highest the client supports; `ciphers` and
    `sigalgs` the lists as on the wire, two bytes each; `extensions` their types in order; `alpn` the first
    protocol offered, empty for none. GREASE values are left out here.
    """
    suites, suites_hash = _ciphers(ciphers)
    known, extensions_hash = _extensions(extensions, sigalgs)
    shown = _VERSIONS.get(version, "00")
    return (
        f"{transport}{shown}{'d' if sni else 'i'}{min(suites, 99):02d}{min(known, 99):02d}{_alpn(alpn)}"
        f"_{suites_hash}_{extensions_hash}"
    )


def is_grease(value: int) -> bool:
    """A reserved value that clients send to keep servers tolerant (RFC 8701)."""
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


def _hexes(raw: bytes) -> list[str]:
    digits = raw.hex()
    pairs = [digits[i : i + 4] for i in range(0, len(digits) - 3, 4)]
    return [pair for pair in pairs if not (pair[1] == "a" and pair[3] == "a" and pair[0] == pair[2])]


def _digest(content: str) -> str:
    return sha256(content.encode()).hexdigest()[:12]


@lru_cache(maxsize=1024)
def _ciphers(raw: bytes) -> tuple[int, str]:
    suites = sorted(_hexes(raw))
    return len(suites), _digest(",".join(suites)) if suites else _NONE


@lru_cache(maxsize=4096)
def _extensions(types: tuple[int, ...], sigalgs: bytes) -> tuple[int, str]:
    known = [f"{kind:04x}" for kind in types if not is_grease(kind)]
    hashed = ",".join(sorted(kind for kind in known if kind not in _NOT_HASHED))
    if not hashed:
        return len(known), _NONE
    algorithms = ",".join(_hexes(sigalgs))
    return len(known), _digest(f"{hashed}_{algorithms}" if algorithms else hashed)


@lru_cache(maxsize=256)
def _alpn(first: bytes) -> str:
    if not first:
        return "00"
    ends = (first[:1] + first[-1:]).decode("latin-1")
    if ends.isascii() and ends.isalnum():
        return ends
    digits = first.hex()
    return digits[0] + digits[-1]
