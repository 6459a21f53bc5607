"""Sigma rules and records made for tests, from few values, so that rules fire on some records and not on others."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA, HOST_EVENT_SCHEMA

START = 1_700_000_000_000_000  # µs

NAMES = [
    "a.portmap.io", "Portmap.IO", "portmap.io.evil.com", "xn--mnchen-3ya.example", "a*b.example", "a?b.example",
    "", "cdn.Example", "wörld.example", "line\nbreak.example", "deep.sub.cdn.example",
]  # fmt: skip
PATHS = [
    r"C:\Windows\System32\svchost.exe", r"C:\Tools\THOR.exe", r"C:\Tools\thor64.exe", r"C:\Tools\thor.exe.txt",
    r"\device\harddiskvolume2\tools\agent.exe", r"C:\Temp\a[1].exe", "C:\\Temp\\-enc aGVsbG8=", "System",
]  # fmt: skip
ADDRESSES = ["10.0.0.5", "10.0.1.5", "127.0.0.1", "127.8.9.1", "128.0.0.1", "::1", "2001:db8::5", "203.0.113.9", None]
NETWORKS = ["127.0.0.0/8", "10.0.0.0/23", "::1/128", "2001:db8::/32", "0.0.0.0/0", "::/0"]
PORTS = [3388, 3389, 22, 53, 443, 65535, None]
TEXTS: Mapping[str, list[str]] = {
    "name": ["a.portmap.io", "*.portmap.io", "*portmap*", "cdn.*", "a\\*b.example", "a\\?b.example", "c?n.example", "",
             "WÖRLD.example", "*\n*", "-", "*"],
    "path": [r"C:\Tools\thor.exe", r"*\thor.exe", r"*\thor64.exe", r"C:\Tools\*", r"C:\\Windows\\*", "*[1]*", "system",
             r"C:\Temp\?[1].exe", "nothing"],
    "address": ["10.0.0.5", "127.*", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "*.5", "2001:DB8:0::5", "", "10.?.?.5"],
    "number": ["3389", "443", "3*", "x", "-"],
    "text": ["tcp", "UDP", "t*", "s?smon", "NXDOMAIN", "-", "corp\\\\*", "GET", "tls*"],
    "flag": ["true", "false"],
}  # fmt: skip
PLAIN_TEXTS = ["tcp", "udp", "UDP", "sysmon", "NXDOMAIN", "CORP\\ann", "GET", "ssl", "ssl,http", "TLSv13", None]
LISTS = frozenset({"answers", "tunnel_parents"})


@dataclass(frozen=True)
class Source:
    """A log source of rules, the kind of record, its fields as columns and sorts, and what is true of its records."""

    logsource: Mapping[str, str]
    kind: str
    fields: Mapping[str, tuple[str, str]]
    only: Mapping[str, Any]
    of_requests: frozenset[str] = frozenset()

    def has(self, row: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
        """A record is of the log source: a rule with a field of requests is about records that have a request."""
        if any(row[name] != value for name, value in self.only.items()):
            return False
        return row.get("http_method") is not None or self.of_requests.isdisjoint(_fields(document["detection"]))

    @property
    def columns(self) -> dict[str, str]:
        """Columns by field."""
        return {field: column for field, (column, _) in self.fields.items()}


_SYSMON = {
    "Image": ("process", "path"), "User": ("user", "text"), "Protocol": ("proto", "text"),
    "Initiated": ("initiated", "flag"), "SourceIp": ("src_h", "address"), "SourcePort": ("src_p", "number"),
    "DestinationIp": ("dst_h", "address"), "DestinationPort": ("dst_p", "number"),
    "DestinationHostname": ("dst_name", "name"), "SourceHostname": ("src_name", "name"),
}  # fmt: skip
SOURCES = (
    Source({"product": "windows", "category": "network_connection"}, "host_event", _SYSMON,
           {"provider": "sysmon", "event_id": 3}),
    Source({"product": "windows", "category": "dns_query"}, "host_event",
           {"Image": ("process", "path"), "QueryName": ("query", "name"), "QueryStatus": ("query_status", "text"),
            "QueryResults": ("query_results", "name")},
           {"provider": "sysmon", "event_id": 22}),
    Source({"product": "windows", "service": "security"}, "host_event",
           {"Application": ("process", "path"), "SourceAddress": ("src_h", "address"),
            "SourcePort": ("src_p", "number"), "DestAddress": ("dst_h", "address"), "DestPort": ("dst_p", "number"),
            "FilterOrigin": ("filter_origin", "name"), "ProcessId": ("pid", "number")},
           {"provider": "security"}),
    Source({"category": "firewall"}, "connection",
           {"src_ip": ("orig_h", "address"), "src_port": ("orig_p", "number"), "dst_ip": ("resp_h", "address"),
            "dst_port": ("resp_p", "number"), "protocol": ("proto", "text")}, {}),
    Source({"product": "zeek", "service": "conn"}, "connection",
           {"id.orig_h": ("orig_h", "address"), "id.resp_h": ("resp_h", "address"), "id.resp_p": ("resp_p", "number"),
            "proto": ("proto", "text"), "service": ("service", "text"), "duration": ("duration", "number"),
            "orig_bytes": ("orig_bytes", "number"), "local_orig": ("local_orig", "flag"),
            "tunnel_parents": ("tunnel_parents", "name")}, {}),
    Source({"category": "proxy"}, "connection",
           {"cs-host": ("name", "name"), "cs-method": ("http_method", "text"), "c-useragent": ("user_agent", "path"),
            "dst_ip": ("resp_h", "address")}, {}, frozenset({"cs-method", "c-useragent"})),
    Source({"category": "dns"}, "dns_query",
           {"query": ("query", "name"), "record_type": ("qtype", "text"), "answer": ("answers", "name"),
            "src_ip": ("client", "address"), "response_code": ("rcode", "text")}, {}),
    Source({"product": "zeek", "service": "dns"}, "dns_query",
           {"query": ("query", "name"), "qtype_name": ("qtype", "text"), "answers": ("answers", "name"),
            "id.orig_h": ("client", "address"), "rtt": ("rtt", "number")}, {}),
)  # fmt: skip
_SCHEMAS = {"host_event": HOST_EVENT_SCHEMA, "connection": CONNECTION_SCHEMA, "dns_query": DNS_QUERY_SCHEMA}
_SORTS: dict[str, list[Any]] = {
    "name": [*NAMES, None], "path": [*PATHS, None], "address": ADDRESSES, "number": PORTS, "text": PLAIN_TEXTS,
    "flag": [True, False, None],
}  # fmt: skip


def _fields(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield str(key).partition("|")[0]
            yield from _fields(value)
    elif isinstance(node, list):
        for value in node:
            yield from _fields(value)


def records(kind: str, number: int, chance: random.Random) -> pa.RecordBatch:
    """Records of a kind, each of their fields from few values or null."""
    sorts = {column: sort for s in SOURCES if s.kind == kind for column, sort in s.fields.values()}
    rows = []
    for i in range(number):
        row: dict[str, Any] = {"ts": START + i, "uid": f"C{i}", "sensor": "s", "seg": 0, "final": True, "record": i}
        for column, sort in sorts.items():
            row[column] = chance.choice(_SORTS[sort])
        if kind == "host_event":
            row |= chance.choice([{"provider": "sysmon", "event_id": 3}, {"provider": "sysmon", "event_id": 22},
                                  {"provider": "security", "event_id": 5156}])  # fmt: skip
        for column in LISTS:
            some = [chance.choice(NAMES) for _ in range(chance.randrange(4))]
            row[column] = chance.choice([some, None])
        row["sni"], row["http_host"] = row.get("name"), None
        rows.append({name: row.get(name) for name in _SCHEMAS[kind].names})
    return pa.RecordBatch.from_pylist(rows, _SCHEMAS[kind])


def seen(kind: str, batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The records as the interpreter sees them, with what is derived."""
    rows: list[dict[str, Any]] = batch.to_pylist()
    for row in rows:
        if kind == "connection":
            row["name"] = row["sni"]
    return rows


def rules(number: int, chance: random.Random) -> Iterator[tuple[Source, dict[str, Any]]]:
    """Rules of all log sources: fields by modifiers by conditions."""
    for i in range(number):
        source = SOURCES[i % len(SOURCES)]
        searches = {f"sel_{n}": _search(source, chance) for n in range(chance.choice([1, 2, 2, 3]))}
        condition = _condition(list(searches), chance)
        yield (
            source,
            {
                "title": f"Rule {i}",
                "id": f"00000000-0000-4000-8000-{i:012d}",
                "level": chance.choice(["low", "medium", "high"]),
                "logsource": dict(source.logsource),
                "detection": {**searches, "condition": condition},
            },
        )


def _condition(names: list[str], chance: random.Random) -> str:
    whole = chance.choice(["1 of sel_*", "all of them", "not 1 of them", "1 of them", None, None, None])
    if whole is not None:
        return whole
    parts = [chance.choice(["", "", "not "]) + name for name in names]
    text = parts[0]
    for part in parts[1:]:
        ways = [f"{text} and {part}", f"{text} or {part}", f"({text} or {part})", f"not ({text}) or {part}"]
        text = chance.choice(ways)
    return text


def _search(source: Source, chance: random.Random) -> Any:
    fields = chance.sample(sorted(source.fields), chance.choice([1, 1, 2]))
    search = dict(_item(field, source, chance) for field in fields)
    if chance.random() < 0.8:
        return search
    return [search, dict([_item(chance.choice(sorted(source.fields)), source, chance)])]


def _item(field: str, source: Source, chance: random.Random) -> tuple[str, Any]:
    column, sort = source.fields[field]
    kinds = ["plain", "list", "null", "exists", "contains", "all", "startswith", "endswith", "re", "neq", "cased"]
    more = {"number": ["number", "gt", "lte"], "address": ["cidr", "cidr"], "path": ["windash", "base64", "rei"]}
    kinds += more.get(sort, [])
    same = [other for other, (c, s) in source.fields.items() if s == sort and other != field and c not in LISTS]
    if same and column not in LISTS and sort in ("address", "path", "name", "number"):
        kinds += ["fieldref"]
    some = TEXTS[sort]
    part = chance.choice(["port", "ma", "thor", "0.0", "33", "exe", "c", "example", "T", "\\tools\\"])
    match chance.choice(kinds):
        case "list":
            return field, chance.sample(some, min(3, len(some)))
        case "null":
            return field, None
        case "exists":
            return f"{field}|exists", chance.choice([True, False])
        case "all":
            return f"{field}|contains|all", [part, chance.choice(["a", "e", "."])]
        case "contains" | "startswith" | "endswith" as modifier:
            return f"{field}|{modifier}", [part, chance.choice(["10.", ".io", "C:\\", "3", ".5", "exe"])]
        case "re":
            return f"{field}|re", chance.choice([r"^[a-c]", r"\.io$", r"\d{4}", r"[Tt]hor(64)?\.exe", "^tcp$|^UDP$"])
        case "rei":
            return f"{field}|re|i", r"THOR\.EXE$"
        case "neq":
            return f"{field}|neq", chance.choice(some)
        case "cased":
            return f"{field}|cased", chance.choice(some[:3])
        case "number":
            return field, chance.choice([3389, 443, 22])
        case "gt":
            return f"{field}|gt", chance.choice([22, 443])
        case "lte":
            return f"{field}|lte", 3389
        case "cidr":
            return f"{field}|cidr", chance.sample(NETWORKS, 2)
        case "windash":
            return f"{field}|windash|contains", "-enc"
        case "base64":
            return f"{field}|base64|contains", "hello"
        case "fieldref":
            return f"{field}|fieldref{chance.choice(['', '|startswith', '|endswith'])}", chance.choice(same)
    return field, chance.choice(some)
