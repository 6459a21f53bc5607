"""The server's certificate: who it says it is, and its hash."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from cryptography import x509

from hopscope.sensor.dissect.text import LINE_LIMIT, visible


@dataclass(frozen=True, slots=True)
class Certificate:
    """Names as in RFC 4514 (null when the DER can't be read), SHA-256 of the DER in hexadecimal."""

    sha256: str
    subject: str | None
    issuer: str | None
    self_signed: bool | None


@lru_cache(maxsize=2048)
def certificate(der: bytes) -> Certificate:
    """The facts of a DER certificate; the same certificate is read once."""
    digest = sha256(der).hexdigest()
    try:
        read = x509.load_der_x509_certificate(der)
        subject, issuer = read.subject, read.issuer
        names = subject.rfc4514_string(), issuer.rfc4514_string()
    except Exception:  # the parser raises many kinds on hostile DER, and none of them matters here
        return Certificate(digest, None, None, None)
    return Certificate(digest, visible(names[0][:LINE_LIMIT]), visible(names[1][:LINE_LIMIT]), subject == issuer)
