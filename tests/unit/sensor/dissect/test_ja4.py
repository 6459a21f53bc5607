"""JA4: the example of its specification, and the rules one by one."""

from __future__ import annotations

import pytest

from hopscope.sensor.dissect.ja4 import is_grease, ja4
from support.messages import CIPHERS, EXTENSIONS, SIGNATURES, hexes

TYPES = tuple(int(word, 16) for word in EXTENSIONS.split())


def fingerprint(
    transport: str = "t",
    version: int = 0x0304,
    sni: bool = True,
    ciphers: str = CIPHERS,
    types: tuple[int, ...] = TYPES,
    alpn: bytes = b"h2",
    signatures: str = SIGNATURES,
) -> str:
    return ja4(transport, version, sni, hexes(ciphers), types, alpn, hexes(signatures))


def test_the_specifications_example() -> None:
    assert fingerprint() == "t13d1516h2_8daaf6152771_e5627efa2ab1"


def test_without_signature_algorithms() -> None:
    assert fingerprint(signatures="").endswith("_6d807ffa2a79")


def test_order_and_grease_do_not_matter() -> None:
    shuffled = (*[kind for kind in reversed(TYPES) if not is_grease(kind)], 0xFAFA)
    assert fingerprint(types=shuffled, ciphers="0035 " + CIPHERS[:-5]) == fingerprint()


def test_no_ciphers_and_no_extensions_are_zeros() -> None:
    assert fingerprint(sni=False, ciphers="", types=(), alpn=b"") == "t13i000000_000000000000_000000000000"


def test_sni_and_alpn_alone_count_but_are_not_hashed() -> None:
    assert fingerprint(types=(0, 16)).startswith("t13d1502h2_")
    assert fingerprint(types=(0, 16)).endswith("_000000000000")


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        (0x0304, "13"), (0x0303, "12"), (0x0302, "11"), (0x0301, "10"), (0x0300, "s3"), (0x0002, "s2"),
        (0xFEFF, "d1"), (0xFEFD, "d2"), (0xFEFC, "d3"), (0x7F1C, "00"),
    ],
)  # fmt: skip
def test_versions(version: int, shown: str) -> None:
    assert fingerprint(version=version)[1:3] == shown


@pytest.mark.parametrize(
    ("alpn", "shown"),
    [
        ("", "00"), ("6832", "h2"), ("687474702f312e31", "h1"), ("78", "xx"),
        ("ab", "ab"), ("abcd", "ad"), ("30ab", "3b"), ("3031abcd", "3d"), ("30abcd31", "01"),
    ],
)  # fmt: skip
def test_protocol_names(alpn: str, shown: str) -> None:
    assert fingerprint(alpn=bytes.fromhex(alpn))[8:10] == shown


def test_counts_stop_at_99() -> None:
    many = "".join(f"{n:04x}" for n in range(0x100, 0x100 + 120))
    assert fingerprint(ciphers=many, types=tuple(range(0x100, 0x100 + 120)))[4:8] == "9999"
