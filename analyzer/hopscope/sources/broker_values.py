"""Broker's types in Python and in JSON, each way.

Python stands for Broker's types so: none is None, boolean bool, count `Count`, integer int, real float,
timespan `Timespan`, timestamp `Timestamp`, string str, enum-value `Enum`, address and subnet `ipaddress`'s,
port `Port`, vector (and record, by position) tuple, set `Set`, table `Table`.
"""

from __future__ import annotations

import datetime
import ipaddress
import math
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from msgspec import Struct


class Count(int):
    """An unsigned 64-bit integer; a plain int is Broker's signed integer."""


class Enum(str):
    """The qualified name of an enum's value."""

    __slots__ = ()


class Set(tuple["Value", ...]):
    """A set in the order in which it came: its elements may be of types that Python can't hash."""

    __slots__ = ()


class Table(tuple[tuple["Value", "Value"], ...]):
    """A table as (key, value) pairs in the order in which they came."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Timespan:
    """A length of time in nanoseconds."""

    ns: int


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A point in time in nanoseconds since 1970, UTC."""

    ns: int


@dataclass(frozen=True, slots=True)
class Port:
    """A port with its protocol: tcp, udp, icmp, or ? where Broker doesn't know it."""

    number: int
    protocol: str


Value: TypeAlias = (
    "bool | int | float | str | Timespan | Timestamp | Port | ipaddress.IPv4Address | ipaddress.IPv6Address"
    " | ipaddress.IPv4Network | ipaddress.IPv6Network | tuple[Value, ...] | None"
)


# --- from JSON: a union tagged by Broker's type names, each of which knows its value


class _None(Struct, tag_field="@data-type", tag="none"):
    def value(self) -> Value:
        return None


class _Boolean(Struct, tag_field="@data-type", tag="boolean"):
    data: bool

    def value(self) -> Value:
        return self.data


class _Count(Struct, tag_field="@data-type", tag="count"):
    data: int

    def value(self) -> Value:
        return _within(Count(self.data), 0, 2**64)


class _Integer(Struct, tag_field="@data-type", tag="integer"):
    data: int

    def value(self) -> Value:
        return _within(self.data, -(2**63), 2**63)


class _Real(Struct, tag_field="@data-type", tag="real"):
    data: float

    def value(self) -> Value:
        return self.data


class _Timespan(Struct, tag_field="@data-type", tag="timespan"):
    data: str

    def value(self) -> Value:
        return Timespan(_timespan_ns(self.data))


class _Timestamp(Struct, tag_field="@data-type", tag="timestamp"):
    data: str

    def value(self) -> Value:
        return Timestamp(_timestamp_ns(self.data))


class _String(Struct, tag_field="@data-type", tag="string"):
    data: str

    def value(self) -> Value:
        return self.data


class _EnumValue(Struct, tag_field="@data-type", tag="enum-value"):
    data: str

    def value(self) -> Value:
        return Enum(self.data)


class _Address(Struct, tag_field="@data-type", tag="address"):
    data: str

    def value(self) -> Value:
        return ipaddress.ip_address(self.data)


class _Subnet(Struct, tag_field="@data-type", tag="subnet"):
    data: str

    def value(self) -> Value:
        return ipaddress.ip_network(self.data, strict=False)


class _Port(Struct, tag_field="@data-type", tag="port"):
    data: str

    def value(self) -> Value:
        number, _, protocol = self.data.partition("/")
        if not (number.isascii() and number.isdigit()) or protocol not in _PROTOCOLS:
            raise ValueError("not a port")
        return Port(_within(int(number), 0, 65536), _PROTOCOLS[protocol])


class _Vector(Struct, tag_field="@data-type", tag="vector"):
    data: list[Box]

    def value(self) -> tuple[Value, ...]:
        return tuple([box.value() for box in self.data])


class _Set(Struct, tag_field="@data-type", tag="set"):
    data: list[Box]

    def value(self) -> Value:
        return Set([box.value() for box in self.data])


class _Entry(Struct):
    key: Box
    value: Box


class _Table(Struct, tag_field="@data-type", tag="table"):
    data: list[_Entry]

    def value(self) -> Value:
        return Table([(entry.key.value(), entry.value.value()) for entry in self.data])


Box: TypeAlias = (
    _None | _Boolean | _Count | _Integer | _Real | _Timespan | _Timestamp | _String
    | _EnumValue | _Address | _Subnet | _Port | _Vector | _Set | _Table
)  # fmt: skip

# --- the types that are text in JSON

_PROTOCOLS = {"tcp": "tcp", "udp": "udp", "icmp": "icmp", "?": "?", "unknown": "?"}
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_TIMESPAN = re.compile(r"([+-]?)(\d{1,19})(?:\.(\d{1,9}))?(ns|us|ms|s|min|h|d)", re.ASCII)
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def _within(value: int, low: int, high: int) -> int:
    if not low <= value < high:
        raise ValueError("a number out of its type's range")
    return value


def _timespan_ns(text: str) -> int:
    found = _TIMESPAN.fullmatch(text)
    if found is None:
        raise ValueError("not a timespan")
    sign, whole, fraction, unit = found.groups(default="")
    ns = int(whole) * _UNITS[unit] + int(fraction.ljust(9, "0")) * _UNITS[unit] // 10**9
    return _within(-ns if sign == "-" else ns, -(2**63), 2**63)


def _timestamp_ns(text: str) -> int:
    """Without a zone it is UTC, as Broker writes it."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        raise ValueError("not a timestamp")
    seconds, fraction, zone = found.groups(default="")
    since = datetime.datetime.fromisoformat(seconds + (zone or "Z")) - _EPOCH
    return (since.days * 86400 + since.seconds) * 10**9 + int(fraction.ljust(9, "0"))


def _timestamp_text(ns: int) -> str:
    seconds, fraction = divmod(ns, 10**9)
    return f"{_EPOCH + datetime.timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{fraction:09}"


# --- to JSON


def boxed(value: Value) -> dict[str, Any]:
    kind, data = _kind(value)
    return {"@data-type": kind, "data": data}


def _kind(value: Value) -> tuple[str, Any]:
    """Broker's name for a value's type and its JSON. The special ones first: several are subclasses."""
    match value:
        case None:
            return "none", {}
        case bool():
            return "boolean", value
        case Count():
            return "count", _within(int(value), 0, 2**64)
        case int():
            return "integer", _within(value, -(2**63), 2**63)
        case float() if math.isfinite(value):
            return "real", value
        case Timespan(ns):
            return "timespan", f"{_within(ns, -(2**63), 2**63)}ns"
        case Timestamp(ns):
            return "timestamp", _timestamp_text(ns)
        case Enum():
            return "enum-value", str(value)
        case str():
            return "string", value
        case ipaddress.IPv4Address() | ipaddress.IPv6Address():
            return "address", str(value)
        case ipaddress.IPv4Network() | ipaddress.IPv6Network():
            return "subnet", str(value)
        case Port(number, protocol) if protocol in _PROTOCOLS:
            return "port", f"{_within(number, 0, 65536)}/{protocol}"
        case Set():
            return "set", [boxed(v) for v in value]
        case Table():
            return "table", [{"key": boxed(k), "value": boxed(v)} for k, v in value]
        case tuple():
            return "vector", [boxed(v) for v in value]
    raise ValueError(f"Broker has no type for {value!r}")
