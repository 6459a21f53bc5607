"""Values and modifiers whose meaning is easily got wrong, one by one."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
import yaml

from hopscope.sigma import reading
from hopscope.sigma.evaluating import Program
from hopscope.sigma.rules import Rule
from support import events

SYSMON = {"product": "windows", "category": "network_connection"}


def fires(search: Any, record: dict[str, Any], condition: str = "sel", logsource: Any = SYSMON) -> bool:
    """A rule of one search fires on a host event of Sysmon with these fields."""
    document = {"title": "A Rule", "logsource": logsource, "detection": {"sel": search, "condition": condition}}
    [rule] = reading.of_text(yaml.safe_dump(document).encode(), "a.yml")
    assert isinstance(rule, Rule), rule
    [told] = Program("host_event", [rule.expressions["host_event"]]).on(events.host_events([record]))
    return bool(np.broadcast_to(told, 1)[0])


@pytest.mark.parametrize(
    ("value", "proto", "expected"),
    [
        (6, "tcp", True),
        ("6", "tcp", True),
        (17, "tcp", False),
        (17, "udp", True),
        (47, "47", True),
        ("TCP", "tcp", True),
    ],
)
def test_protocols_by_number_and_by_name(value: Any, proto: str, expected: bool) -> None:
    assert fires({"Protocol": value}, {"proto": proto}) is expected


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ("*.portmap.io", "a.portmap.io", True),
        ("*.portmap.io", "portmap.io", False),
        ("*.portmap.io", "aXportmap.io", False),  # a dot is a dot
        ("*.portmap.io", "a.portmap.io\n", False),
        ("a?b", "a\nb", True),
        ("a?b", "ab", False),
        ("a?b", "a\u00e9b", True),  # one character, however many bytes
        ("\u00c4.Example", "\u00e4.example", True),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        (r"a\\*", r"a\anything", True),  # a backslash, then any text
        (r"C:\x\*", r"C:\x*", True),
        ("(a|b)+", "(A|B)+", True),  # no regular expression
        ("*", "x", True),
        ("*", None, False),
        ("?*", "x", True),
        ("", None, True),
        ("-", None, True),
        ("", "x", False),
        ("null", "null", True),
    ],
)
def test_texts(value: str, name: str | None, expected: bool) -> None:
    assert fires({"DestinationHostname": value}, {"dst_name": name}) is expected


@pytest.mark.parametrize(
    ("key", "value", "held", "expected"),
    [
        ("contains", "tools", r"C:\Tools\x", True),
        ("contains", "\\tools\\", r"C:\Tools\x", True),
        ("contains|all", ["tools", "x"], r"C:\Tools\x", True),
        ("contains|all", ["tools", "y"], r"C:\Tools\x", False),
        ("endswith|cased", r"\THOR.exe", r"C:\thor.exe", False),
        ("endswith|cased", r"\thor.exe", r"C:\thor.exe", True),
        ("re", r"^C:\\Tools\\\w+$", r"C:\Tools\x", True),
        ("re", r"tools", r"C:\Tools\x", False),
        ("re|i", r"tools", r"C:\Tools\x", True),
        ("re", r"^b", "a\nb", False),
        ("re|m", r"^b", "a\nb", True),
        ("re", r"a.b", "a\nb", False),
        ("re|s", r"a.b", "a\nb", True),
        ("windash|contains", " -w", "x /w", True),
        ("windash|contains", " -w", "x \u2013w", True),
        ("windash|contains", " -w", "x +w", False),
        ("base64|contains", "plink", base64.b64encode(b"plink").decode(), True),
        ("base64offset|contains", "plink", base64.b64encode(b"run plink now").decode(), True),
        ("base64offset|contains", "plink", base64.b64encode(b"x plink").decode(), True),
        ("wide|base64offset|contains", "plink", base64.b64encode("a plink".encode("utf-16le")).decode(), True),
        ("wide|base64offset|contains", "plink", base64.b64encode(b"a plink").decode(), False),
        ("neq", "x", "y", True),
        ("neq", "x", "X", False),
        ("neq", "x", None, True),
    ],
)
def test_modifiers(key: str, value: Any, held: str | None, expected: bool) -> None:
    assert fires({f"Image|{key}": value}, {"process": held}) is expected


@pytest.mark.parametrize(
    ("search", "field", "held", "expected"),
    [
        ({"DestinationIp": "0:0:0:0:0:0:0:1"}, "dst_h", "::1", True),
        ({"DestinationIp": "::FFFF:10.0.0.1"}, "dst_h", "10.0.0.1", True),
        ({"DestinationIp|startswith": "127."}, "dst_h", "127.9.9.9", True),
        ({"DestinationIp|cidr": "127.0.0.0/8"}, "dst_h", "127.9.9.9", True),
        ({"DestinationIp|cidr": "127.0.0.0/8"}, "dst_h", "128.0.0.1", False),
        ({"DestinationIp|cidr": "0.0.0.0/0"}, "dst_h", "::1", False),
        ({"DestinationIp|cidr": "::/0"}, "dst_h", "10.0.0.1", False),
        ({"DestinationIp|cidr": "::ffff:10.0.0.0/104"}, "dst_h", "10.0.0.1", True),
        ({"DestinationIp|cidr": "fe80::/10"}, "dst_h", "fe80::1%12", True),
        ({"DestinationIp|cidr": "0.0.0.0/0"}, "dst_h", None, False),
        ({"DestinationIp|cidr": "0.0.0.0/0"}, "dst_h", "no address", False),
        ({"DestinationPort": "443"}, "dst_p", 443, True),
        ({"DestinationPort": "44*"}, "dst_p", 443, True),
        ({"DestinationPort|gte": 443}, "dst_p", 443, True),
        ({"DestinationPort|gt": 443}, "dst_p", 443, False),
        ({"DestinationPort|lt": 443}, "dst_p", None, False),
        ({"DestinationPort": 99999999999999999999999}, "dst_p", 443, False),
        ({"DestinationPort": 443.5}, "dst_p", 443, False),
        ({"Initiated": True}, "initiated", True, True),
        ({"Initiated": "false"}, "initiated", False, True),
        ({"Initiated": "true"}, "initiated", None, False),
        ({"Initiated": None}, "initiated", None, True),
        ({"DestinationIsIpv6": "true"}, "dst_h", "::1", True),
        ({"DestinationHostname|exists": False}, "dst_name", None, True),
        ({"DestinationHostname|exists": True}, "dst_name", "", False),
        ({"User|endswith": "SYSTEM", "Protocol": "TCP"}, "user", r"NT AUTHORITY\System", True),
        ({"SourceHostname|fieldref": "DestinationHostname"}, "dst_name", None, False),
    ],
)
def test_fields_of_other_sorts(search: Any, field: str, held: Any, expected: bool) -> None:
    assert fires(search, {field: held}) is expected


def test_not_of_a_field_without_a_value_is_true() -> None:
    assert fires({"DestinationHostname|endswith": ".io"}, {"dst_name": None}, "not sel")


def test_sysmon_rules_say_nothing_of_security_events() -> None:
    assert fires({"DestinationPort": 443}, {})
    assert not fires({"DestinationPort": 443}, {"provider": "security", "event_id": 5156})
    assert not fires({"DestinationPort": 443}, {"event_id": 22})
    assert not fires({"DestinationPort": 443}, {"event_id": 22}, "not sel")


def test_a_list_of_conditions_is_one_of() -> None:
    document = {
        "title": "A Rule",
        "logsource": SYSMON,
        "detection": {"a": {"DestinationPort": 1}, "b": {"DestinationPort": 443}, "condition": ["a", "b"]},
    }
    [rule] = reading.of_text(yaml.safe_dump(document).encode(), "a.yml")
    assert isinstance(rule, Rule)
    [told] = Program("host_event", [rule.expressions["host_event"]]).on(events.host_events([{}, {"dst_p": 2}]))
    assert np.broadcast_to(told, 2).tolist() == [True, False]
