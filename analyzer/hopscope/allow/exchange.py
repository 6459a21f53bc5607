"""Allowlists of others: Zeek's Intel framework, MISP's warninglists, plain lists; in and out.

What a format can't say is left out, counted and named: nothing is widened so that it fits. So an address with a
port is no ADDR of Zeek's, and an entry with two conditions is no line of any list. By MISP's own matching `hostname`
is a name with all its subdomains, `string` the text itself, `cidr` networks and addresses. Zeek's CERT_HASH is SHA-1
(policy/frameworks/intel/seen/x509.zeek), and what hopscope keeps of certificates is SHA-256.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hopscope.addresses import Network
from hopscope.allow import items
from hopscope.allow.entries import CONDITIONS, Entry
from hopscope.allow.items import Service
from hopscope.errors import UsageError
from hopscope.outputs import zeek_intel

FORMATS = ("zeek-intel", "misp", "list")
MISP_TYPES = ("cidr", "hostname", "string")
MOST = 50_000  # items of one import: beyond that it is no list of what somebody looked at
NAMED = 5  # of what was left out


@dataclass
class Taken:
    """What an import holds, by condition, and what it couldn't take: (reason, item)."""

    source: str = ""
    networks: list[Network] = field(default_factory=list)
    addresses: list[Service] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    fingerprints: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def conditions(self) -> dict[str, tuple[object, ...]]:
        """What there is, each once; every condition becomes an entry of its own, as those of one must all hold."""
        found = {c: tuple(dict.fromkeys(getattr(self, c))) for c in CONDITIONS[:4]}
        return {c: values for c, values in found.items() if values}

    @property
    def lines(self) -> list[str]:
        """What was left out and why, with the first of each."""
        return left_out(self.refused)

    def place(self, text: str) -> None:
        """An address, network or name."""
        try:
            if items.is_network(text):
                net = items.parse_network(text)
                if net.prefixlen < net.max_prefixlen:
                    self.networks.append(net)
                    return
                text = str(net.network_address)
            self.addresses.append(items.parse_service(text))
        except ValueError:
            self.name(text)

    def name(self, text: str) -> None:
        """A name with a dot, as hashes and users are words too, or the subdomains of one."""
        try:
            name = items.parse_name(text)
        except ValueError:
            name = ""
        if "." in name:
            self.names.append(name)
        else:
            self.refused.append(("nothing that an entry can name", text))


def left_out(refused: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each reason, with how many there were and the first of them."""
    by: dict[str, list[str]] = {}
    for reason, item in refused:
        by.setdefault(reason, []).append(item)
    return [
        f"{len(found):,} left out ({reason}): {', '.join(found[:NAMED])}" + (", ..." if len(found) > NAMED else "")
        for reason, found in by.items()
    ]


# in


def read(text: str, name: str, form: str | None = None) -> Taken:
    """What a file holds; `form` is one of FORMATS, else told by its beginning. Raises UsageError naming the file."""
    text = text.removeprefix("\ufeff")  # as editors of Windows write it
    form = form or guess(text)
    taken = {"zeek-intel": _from_intel, "misp": _from_misp, "list": _from_list}[form](text, name)
    count = sum(map(len, taken.conditions.values()))
    if count > MOST:
        raise UsageError(f"{name}: holds {count:,} items; more than {MOST:,} are no list that somebody looked through")
    if not count:
        left = f"; {taken.lines[0]}" if taken.refused else ""
        raise UsageError(f"{name}: holds nothing that an allowlist could take{left}; see --format")
    return taken


def guess(text: str) -> str:
    """The format by its beginning."""
    head = text.lstrip()
    return "misp" if head.startswith("{") else "zeek-intel" if head.startswith("#fields") else "list"


def _from_intel(text: str, name: str) -> Taken:
    taken = Taken()
    columns: list[str] | None = None
    sources: Counter[str] = Counter()
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if line.startswith("#fields"):
            columns = line.split("\t")[1:]
            if not {"indicator", "indicator_type"} <= set(columns):
                raise UsageError(f"{name} line {number}: #fields lacks indicator or indicator_type; see Zeek's Intel")
        if not line.strip() or line.startswith("#"):
            continue
        if columns is None:
            raise UsageError(f"{name} line {number}: comes before #fields; is this a file of Zeek's Intel framework?")
        row = dict(zip(columns, line.split("\t"), strict=False))
        value, kind = row.get("indicator", ""), row.get("indicator_type", "")
        sources.update([row["meta.source"]] if row.get("meta.source", "-") != "-" else [])
        if kind in ("Intel::ADDR", "Intel::SUBNET"):
            taken.place(value)
        elif kind == "Intel::DOMAIN":
            taken.name(value)
        elif kind == "Intel::CERT_HASH" and len(value) == 64:
            _fingerprint(taken, f"cert_sha256:{value}")
        else:
            reason = "CERT_HASH is SHA-1" if kind == "Intel::CERT_HASH" else f"of type {kind[:40] or 'none'}"
            taken.refused.append((reason, value))
    taken.source = sources.most_common(1)[0][0] if sources else ""
    return taken


def _fingerprint(taken: Taken, text: str) -> None:
    try:
        taken.fingerprints.append(items.parse_fingerprint(text))
    except ValueError:
        taken.refused.append(("no fingerprint", text))


def _from_misp(text: str, name: str) -> Taken:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise UsageError(f"{name}: not valid JSON ({e}); give a warninglist's list.json") from e
    values = tree.get("list") if isinstance(tree, dict) else None
    if not isinstance(values, list):
        raise UsageError(f"{name}: has no `list`; give a warninglist's list.json")
    kind = tree.get("type", "string")
    if kind not in MISP_TYPES:
        raise UsageError(f"{name}: is a warninglist of type {kind!r:.40}; only {', '.join(MISP_TYPES)} can be taken")
    version = f" version {tree['version']}" if isinstance(tree.get("version"), int | str) else ""
    taken = Taken(source=f"{tree['name']}{version}" if isinstance(tree.get("name"), str) else "")
    for value in values:
        if not isinstance(value, str):
            taken.refused.append(("no text", repr(value)[:80]))
        elif kind == "hostname":
            plain = value.strip().removeprefix(".")
            taken.name(plain)
            if items.host_name(plain) is not None and "." in plain:
                taken.names.append(items.parse_name(f".{plain}"))  # MISP takes its subdomains too
        else:
            taken.place(value.strip())
    return taken


def _from_list(text: str, name: str) -> Taken:
    taken = Taken(source=name)
    for line in text.split("\n"):
        item = line.partition("#")[0].strip()
        if item:
            taken.place(item)
    return taken


# out


def write(entries: Sequence[Entry], form: str, misp_type: str, version: str) -> tuple[str, list[str]]:
    """The entries in a format, and lines on what of them it can't say. `version` (a day, YYYYMMDD) is MISP's."""
    refused: list[tuple[str, str]] = []
    rows = [(e, item) for e in entries for item in _single(e, refused)]
    if form == "zeek-intel":
        text = "".join(f"{line}\n" for line in (zeek_intel.head("meta.whitelist"), *_intel(rows, refused)))
    elif form == "misp":
        text = json.dumps(_misp(rows, misp_type, version, refused), indent=2) + "\n"
    else:
        text = "".join(f"{line}\n" for line in _list(rows, refused))
    return text, left_out(refused)


def _single(entry: Entry, refused: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """(condition, item) of an entry with one condition; what has more would hide more as a list than it does here."""
    given = [c for c in CONDITIONS if getattr(entry, c)]
    if len(given) > 1 or given[0] not in CONDITIONS[:4]:
        refused.append((f"{' and '.join(given)}", entry.id))
        return
    for item in getattr(entry, given[0]):
        yield given[0], str(item)


_Rows = Sequence[tuple[Entry, tuple[str, str]]]


def _intel(rows: _Rows, refused: list[tuple[str, str]]) -> Iterator[str]:
    for entry, (condition, item) in rows:
        if condition == "networks":
            kind = "SUBNET"
        elif condition == "addresses" and items.parse_service(item).port is None:
            kind = "ADDR"
        elif condition == "names" and not item.startswith("."):
            kind = "DOMAIN"
        else:
            refused.append((f"Zeek's Intel has no type for such {condition}", item))
            continue
        yield zeek_intel.row(item, kind, entry.reason, ["T"])


def _misp(rows: _Rows, kind: str, version: str, refused: list[tuple[str, str]]) -> dict[str, object]:
    """One warninglist: it has one type. A name without its subdomains is a string, with them a hostname."""
    values: list[str] = []
    named = {id: frozenset(entry.names) for id, entry in {entry.id: entry for entry, _ in rows}.items()}
    for entry, (condition, item) in rows:
        name = item.removeprefix(".")
        both = condition == "names" and {name, f".{name}"} <= named[entry.id]
        whole = condition == "addresses" and items.parse_service(item).port is None
        if kind == "cidr" and (condition == "networks" or whole):
            values.append(item)
        elif kind == "hostname" and both:
            values.append(name)
        elif kind == "string" and (whole or (condition == "names" and item == name and not both)):
            values.append(item)
        else:
            refused.append((f"not of type {kind}", item))
    attributes = {
        "cidr": ["ip-src", "ip-dst", "domain|ip", "ip-src|port", "ip-dst|port"],
        "hostname": ["hostname", "domain", "url", "domain|ip"],
        "string": ["ip-src", "ip-dst", "hostname", "domain", "domain|ip"],
    }
    return {
        "name": "hopscope allowlist",
        "version": int(version),
        "description": "Destinations that were looked at and are ordinary here.",
        "type": kind,
        "list": sorted(set(values)),
        "matching_attributes": attributes[kind],
    }


def _list(rows: _Rows, refused: list[tuple[str, str]]) -> Iterator[str]:
    last = None
    for entry, (condition, item) in rows:
        if condition == "fingerprints":
            refused.append(("no address or name", item))
            continue
        if entry is not last:
            last = entry
            yield f"# {entry.id}: {zeek_intel.one_line(entry.reason)}"
        yield item
