"""The data of DNS resource records, in the words of Zeek 8's dns.log.

What Zeek's default scripts have no handler for gives no answer (HINFO, CAA, SVCB, HTTPS, TKEY ...), a
type its parser doesn't know gives "<unknown type=N>".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from socket import AF_INET6, inet_ntop
from struct import Struct

from hopscope.sensor.dissect.dnsnames import NETBIOS_PORT, read_name
from hopscope.sensor.dissect.text import text

TEXT_LIMIT = 8192  # bytes kept of one TXT answer

_SHORT = Struct(">H")
Answer = tuple[str | None, int]  # the text (null: none, empty: known but not written) and the next offset


class BadRecord(Exception):  # noqa: N818 - an outcome between the two modules, never seen outside
    """The record's data broke off; `value` is what it still said."""

    def __init__(self, value: str | None = None) -> None:
        super().__init__()
        self.value = value


def answer(data: bytes, kind: int, pos: int, length: int, owner: int, port: int) -> Answer:
    """The text of the record of type `kind` whose `length` bytes of data start at `pos`.

    `length` lies within the message, `owner` is where the name that the record is about
    starts. The offset returned is where Zeek reads on, which for names is the name's end rather than the
    record's. Raises BadRecord on damage.
    """
    if kind == 1:
        if length != 4:
            raise BadRecord
        a, b, c, d = data[pos : pos + 4]
        return f"{a}.{b}.{c}.{d}", pos + 4
    if kind == 28 or kind == 38:
        if pos + 16 > len(data):
            raise BadRecord
        return _ipv6(data[pos : pos + 16]), pos + 16
    if kind in _NAME_AT:
        if kind == 33 and port == NETBIOS_PORT:
            return None, pos
        name, end = read_name(data, pos + _NAME_AT[kind])
        return text(name.lower()), end
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(data, pos, length, owner)
    if kind in _SILENT:
        return None, pos + length
    return f"<unknown type={kind}>", pos + length


_NAME_AT = {2: 0, 5: 0, 12: 0, 15: 2, 33: 6}  # NS, CNAME, PTR, MX, SRV: where the name stands in the data
_SILENT = frozenset((13, 32, 41, 64, 65, 249, 250, 257))  # HINFO, NB, OPT, SVCB, HTTPS, TKEY, TSIG, CAA


@lru_cache(maxsize=4096)
def _ipv6(raw: bytes) -> str:
    # An IPv4-mapped address is IPv4 to Zeek.
    return inet_ntop(AF_INET6, raw).removeprefix("::ffff:") if raw[:12] == _MAPPED else inet_ntop(AF_INET6, raw)


_MAPPED = bytes(10) + b"\xff\xff"


def _soa(data: bytes, pos: int, length: int, owner: int) -> Answer:
    name, pos = read_name(data, pos)
    _, pos = read_name(data, pos)
    if pos + 20 > len(data):
        raise BadRecord
    return text(name.lower()), pos + 20


def _strings(data: bytes, pos: int, length: int) -> tuple[list[bytes], bool]:
    """The character strings in the data, and whether they fill it exactly."""
    end = pos + length
    out: list[bytes] = []
    while pos < end:
        size = data[pos]
        pos += 1
        if pos + size > end:
            return out, False
        out.append(data[pos : pos + size])
        pos += size
    return out, True


def _texts(word: bytes) -> Callable[[bytes, int, int, int], Answer]:
    def read(data: bytes, pos: int, length: int, owner: int) -> Answer:
        strings, exact = _strings(data, pos, length)
        value = text(b" ".join(b"%s %d %s" % (word, len(s), s) for s in strings), TEXT_LIMIT)
        if not exact:
            raise BadRecord(value)
        return value, pos + length

    return read


def _naptr(data: bytes, pos: int, length: int, owner: int) -> Answer:
    end = pos + length
    if length <= 4:
        raise BadRecord
    order, preference = _SHORT.unpack_from(data, pos)[0], _SHORT.unpack_from(data, pos + 2)[0]
    at = pos + 4
    parts = []
    for _ in range(3):
        if at >= end or at + 1 + data[at] > end:
            raise BadRecord
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    replacement, at = read_name(data, at)
    flags, service, regexp = parts
    rest = b" ".join(part for part in (regexp, replacement) if part)
    return text(b"NAPTR %d %d %s %s %s" % (order, preference, flags, service, rest), TEXT_LIMIT), at


def _rrsig(data: bytes, pos: int, length: int, owner: int) -> Answer:
    if pos + 18 > len(data):
        raise BadRecord
    signer, end = read_name(data, pos + 18)
    return f"RRSIG {_SHORT.unpack_from(data, pos)[0]} {text(signer.lower()) or '<Root>'}", max(end, pos + length)


def _nsec(data: bytes, pos: int, length: int, owner: int) -> Answer:
    name, end = read_name(data, pos)
    about, _ = read_name(data, owner)
    return f"NSEC {text(about.lower())} {text(name.lower())}", max(end, pos + length)


def _bytes_at(least: int, form: Callable[[bytes], str]) -> Callable[[bytes, int, int, int], Answer]:
    """A reader for data of at least `least` bytes, shown by `form`."""

    def read(data: bytes, pos: int, length: int, owner: int) -> Answer:
        if pos + least > len(data):
            raise BadRecord
        return form(data[pos : pos + max(length, least)]), pos + length

    return read


_READERS: dict[int, Callable[[bytes, int, int, int], Answer]] = {
    6: _soa,
    11: _bytes_at(0, lambda raw: ""),  # WKS: Zeek knows it and writes nothing
    16: _texts(b"TXT"),
    29: _bytes_at(15, lambda raw: f"LOC:  {raw[1]} {raw[2]} {raw[3]}"),
    35: _naptr,
    43: _bytes_at(4, lambda raw: f"DS {raw[2]} {raw[3]}"),
    44: _bytes_at(2, lambda raw: f"SSHFP: {raw[2:258].hex()}"),
    46: _rrsig,
    47: _nsec,
    48: _bytes_at(4, lambda raw: f"DNSKEY {raw[3]}"),
    50: _bytes_at(6, lambda raw: "NSEC3"),
    51: _bytes_at(5, lambda raw: "NSEC3PARAM"),
    99: _texts(b"SPF"),
    65534: _bytes_at(5, lambda raw: "BIND9 signing signal"),
}
