"""wss: the server's certificate is checked, ours is shown where it is asked for."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contract.fake_zeek import Client, FakeZeek, fake_zeek
from hopscope.config import LiveSettings
from hopscope.errors import InputError, UsageError
from hopscope.records import InputCount
from hopscope.sources.live_source import Tls
from hopscope.sources.zeek_websocket import ZeekWebSocket

DAY = datetime.timedelta(days=1)
BEGIN = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
Key = ec.EllipticCurvePrivateKey


def certificate(name: str, key: Key, issuer: str, issuer_key: Key, *, is_ca: bool) -> x509.Certificate:
    """For 127.0.0.1."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in (name, issuer)]
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(BEGIN + 40_000 * DAY)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=is_ca, crl_sign=is_ca, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(issuer_key, hashes.SHA256())
    )  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, server.pem and .key, client.pem and .key, other.pem (another authority)."""
    place = tmp_path_factory.mktemp("tls")
    authority = ec.generate_private_key(ec.SECP256R1())
    for name, issuer in (("ca", None), ("other", None), ("server", "ca"), ("client", "ca")):
        key = authority if name == "ca" else ec.generate_private_key(ec.SECP256R1())
        made = certificate(name, key, issuer or name, authority if issuer else key, is_ca=issuer is None)
        (place / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        (place / f"{name}.key").write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        )
    return place


@pytest.fixture
def attempt(files: Path) -> Callable[[Tls], str]:
    """Connect to a server that asks for a certificate; how it went."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files / "ca.pem"))
    context.load_cert_chain(files / "server.pem", files / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED

    def act(client: Client) -> None:
        client.accept()
        client.stay()

    def connect(tls: Tls) -> str:
        zeek: FakeZeek
        with fake_zeek(act, ssl=context) as zeek:
            source = ZeekWebSocket(zeek.url.replace("ws:", "wss:"), LiveSettings(), InputCount(), tls)
            try:
                with source:
                    return source.status.line()
            except InputError as e:
                return str(e)

    return connect


def test_both_sides_know_each_other(files: Path, attempt: Callable[[Tls], str]) -> None:
    own = Tls(str(files / "ca.pem"), str(files / "client.pem"), str(files / "client.key"))
    assert attempt(own).startswith("connected to Zeek 8.0.10 at wss://")


def test_a_server_of_another_authority_is_not_trusted(files: Path, attempt: Callable[[Tls], str]) -> None:
    own = Tls(str(files / "other.pem"), str(files / "client.pem"), str(files / "client.key"))
    assert "its certificate can't be trusted" in attempt(own)
    assert "name the authority that signed it with --ca" in attempt(Tls())


def test_a_server_that_asks_for_a_certificate_gets_one_or_says_so(files: Path, attempt: Callable[[Tls], str]) -> None:
    said = attempt(Tls(str(files / "ca.pem")))
    assert "--cert" in said


def test_files_that_do_not_belong_together(files: Path) -> None:
    with pytest.raises(UsageError, match="give PEM files that belong together"):
        ZeekWebSocket(
            "wss://zeek", LiveSettings(), InputCount(), Tls(None, str(files / "client.pem"), str(files / "other.key"))
        )
