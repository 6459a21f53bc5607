"""The allowlist: its entries, and the TOML file that keeps them, read strictly.

    [groups]
    backup = ["10.1.2.0/28"]

    [[allow]]
    id = "nightly-backups"
    reason = "the backup servers send to our provider at night"
    author = "ada"
    added = 2026-11-22
    expires = 2027-02-20              # the first day (UTC) on which it no longer holds, or "never"
    names = ["vault.example.net"]     # that name; its subdomains are ".vault.example.net"
    clients = ["backup"]              # a group, or networks of ours

The conditions of an entry must all hold; of the items of one condition any will do. `heuristics` is no condition on
the destination: such an entry takes away what those heuristics say of what it matches, instead of hiding it.
"""

from __future__ import annotations

import contextlib
import datetime
import difflib
import functools
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hopscope.addresses import Network
from hopscope.allow import items
from hopscope.allow.asns import AsnOf
from hopscope.allow.items import Names, Networks, Service
from hopscope.errors import UsageError

CONDITIONS = ("networks", "addresses", "names", "fingerprints", "asns", "clients", "heuristics")
KEYS = ("id", "reason", "author", "added", "expires", *CONDITIONS)
NEVER = "never"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEADER = re.compile(r"\s*\[\[\s*allow\s*\]\]")


@dataclass(frozen=True)
class Entry:
    """One entry. `expires` is None where it never does; `clients` are as written, `client_nets` what they stand for."""

    id: str
    reason: str
    author: str = ""
    added: datetime.date | None = None
    expires: datetime.date | None = None
    networks: tuple[Network, ...] = ()
    addresses: tuple[Service, ...] = ()
    names: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    asns: tuple[int, ...] = ()
    clients: tuple[str, ...] = ()
    heuristics: tuple[str, ...] = ()
    client_nets: tuple[Network, ...] = ()

    def in_force(self, today: datetime.date) -> bool:
        """Whether it holds on that day (UTC)."""
        return self.expires is None or today < self.expires

    @functools.cached_property
    def network_set(self) -> Networks:
        """`networks`, to be asked."""
        return Networks(self.networks)

    @functools.cached_property
    def name_set(self) -> Names:
        """`names`, to be asked."""
        return Names(self.names)

    @functools.cached_property
    def client_set(self) -> Networks:
        """`client_nets`, to be asked."""
        return Networks(self.client_nets)

    @functools.cached_property
    def address_set(self) -> Mapping[str, tuple[Service, ...]]:
        """`addresses` by address."""
        out: dict[str, tuple[Service, ...]] = {}
        for service in self.addresses:
            out[service.address] = (*out.get(service.address, ()), service)
        return out


@dataclass(frozen=True)
class Allowlist:
    """The entries in the order of the file. `asn_of` gives AS numbers; None without a database."""

    entries: tuple[Entry, ...] = ()
    groups: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)
    asn_of: AsnOf | None = None
    path: Path | None = None

    def entry(self, wanted: str) -> Entry:
        """The entry with this id. Raises UsageError when there is none."""
        found = next((e for e in self.entries if e.id == wanted), None)
        if found is None:
            near = difflib.get_close_matches(wanted, [e.id for e in self.entries], 1)
            meant = f"; did you mean {near[0]!r}?" if near else "; `hopscope allow list` shows them"
            raise UsageError(f"no allowlist entry {wanted!r}{meant}")
        return found


def load(path: Path, asn_of: AsnOf | None = None, must_exist: bool = False) -> Allowlist:
    """The allowlist of a file; an empty one where there is no file, unless it must exist.

    Raises UsageError with file, line and remedy at the first thing in it that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as e:
        if must_exist:
            raise UsageError(f"{path}: no such file; name an allowlist with --allow") from e
        return Allowlist(asn_of=asn_of, path=path)
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{path}: can't be read ({e}); name the allowlist with --allow") from e
    return parse(text, path, asn_of)


def parse(text: str, path: Path, asn_of: AsnOf | None = None) -> Allowlist:
    """The allowlist of a text; `path` is named in errors. Raises UsageError."""
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as e:  # numbers of more digits than Python reads are no TOMLDecodeError
        raise UsageError(f"{path}: not valid TOML ({e}); correct that line") from e
    for key in tree:
        if key not in ("allow", "groups"):
            raise UsageError(f"{path}: unknown section {key!r}; an allowlist has [[allow]] and [groups]")
    groups = _groups(tree.get("groups", {}), path)
    raw = tree.get("allow", [])
    if not isinstance(raw, list) or not all(isinstance(r, dict) for r in raw):
        raise UsageError(f"{path}: `allow` must be entries, each under its own [[allow]]")
    starts = [i for i, line in enumerate(text.split("\n"), 1) if _HEADER.match(line)]
    out: list[Entry] = []
    seen: set[str] = set()
    for i, table in enumerate(raw):
        line = f" line {starts[i]}" if len(starts) == len(raw) else ""
        where = f"{path}{line}: entry {table.get('id', i + 1)!r}"
        out.append(_entry(table, groups, where))
        if out[-1].id in seen:
            raise UsageError(f"{where}: that id is another entry's already; give each its own")
        seen.add(out[-1].id)
    return Allowlist(tuple(out), groups, asn_of, path)


def _groups(raw: Any, path: Path) -> dict[str, tuple[Network, ...]]:
    if not isinstance(raw, dict):
        raise UsageError(f'{path}: [groups] must be a table of names, each with networks: backup = ["10.1.2.0/28"]')
    return {name: _each(value, items.parse_network, f"{path}: group {name!r}") for name, value in raw.items()}


def _entry(raw: Mapping[str, Any], groups: Mapping[str, tuple[Network, ...]], where: str) -> Entry:
    for key in raw:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KEYS)}"
            raise UsageError(f"{where}: unknown key {key!r}; {meant}")
    if "expires" not in raw:
        raise UsageError(f'{where}: has no `expires`; write a date like 2027-02-20, or "never"')
    clients: tuple[str, ...] = _each(raw.get("clients", ()), str, f"{where}: clients")
    return checked(
        Entry(
            id=_text(raw, "id", where, "give it a name, by which it is listed and ended"),
            reason=_text(raw, "reason", where, "say why, for whoever reads it in half a year"),
            author=_text(raw, "author", where, "") if "author" in raw else "",
            added=_date(raw["added"], f"{where}: added") if "added" in raw else None,
            expires=None if raw["expires"] == NEVER else _date(raw["expires"], f"{where}: expires"),
            networks=_each(raw.get("networks", ()), items.parse_network, f"{where}: networks"),
            addresses=_each(raw.get("addresses", ()), items.parse_service, f"{where}: addresses"),
            names=_each(raw.get("names", ()), items.parse_name, f"{where}: names"),
            fingerprints=_each(raw.get("fingerprints", ()), items.parse_fingerprint, f"{where}: fingerprints"),
            asns=_each(raw.get("asns", ()), items.parse_asn, f"{where}: asns", (int, str)),
            clients=clients,
            heuristics=_each(raw.get("heuristics", ()), str, f"{where}: heuristics"),
            client_nets=tuple(n for c in clients for n in _client(c, groups, f"{where}: clients")),
        ),
        where,
    )


def checked(entry: Entry, where: str) -> Entry:
    """The entry, when it may stand in an allowlist. Raises UsageError with `where`."""
    if not _ID.fullmatch(entry.id):
        raise UsageError(f"{where}: the id {entry.id!r} must be letters, digits, dots, dashes and underscores")
    if not entry.reason.strip():
        raise UsageError(f"{where}: the reason is empty; say why, for whoever reads it in half a year")
    for key in ("reason", "author"):
        if any(0xD800 <= ord(c) < 0xE000 for c in getattr(entry, key)):
            raise UsageError(f"{where}: the {key} isn't UTF-8; write it in UTF-8")
    if not any(getattr(entry, condition) for condition in CONDITIONS):
        raise UsageError(f"{where}: would hide everything; it needs one of {', '.join(CONDITIONS)}")
    for condition in ("networks", "client_nets"):
        if any(n.prefixlen == 0 for n in items.collapse(getattr(entry, condition))):
            raise UsageError(f"{where}: its networks are together every address there is; name those that are meant")
    known = _heuristics()
    for name in entry.heuristics:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise UsageError(f"{where}: heuristics names no heuristic {name!r}; {meant}")
    return entry


def _heuristics() -> Sequence[str]:
    from hopscope.heuristics import registry

    return tuple(registry())


def _text(raw: Mapping[str, Any], key: str, where: str, remedy: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str):
        raise UsageError(f"{where}: has no text in `{key}`" + (f"; {remedy}" if remedy else ""))
    return value


def _date(value: Any, where: str) -> datetime.date:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = datetime.date.fromisoformat(value)
    if type(value) is not datetime.date:  # a datetime is a date too, and its zone would have to be told
        raise UsageError(f"{where} must be a date like 2027-02-20, not {value!r}")
    return value


def _each(values: Any, parse: Callable[[Any], Any], where: str, kinds: tuple[type, ...] = (str,)) -> tuple[Any, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(v, kinds) for v in values):
        raise UsageError(f'{where} must be a list of texts, like ["..."], not {values!r:.80}')
    try:
        return tuple(dict.fromkeys(parse(v) for v in values))
    except ValueError as e:
        raise UsageError(f"{where}: {e}") from e


def _client(text: str, groups: Mapping[str, tuple[Network, ...]], where: str) -> tuple[Network, ...]:
    """The networks of a group, or the network itself. Raises UsageError."""
    if text in groups:
        return groups[text]
    try:
        return (items.parse_network(text),)
    except ValueError as e:
        there = f"groups are {', '.join(sorted(groups))}" if groups else "[groups] has none"
        raise UsageError(f"{where}: {text!r} is neither a network of ours nor a group; {there} ({e})") from e


def client_nets(clients: Sequence[str], groups: Mapping[str, tuple[Network, ...]], where: str) -> tuple[Network, ...]:
    """What `clients` of an entry stand for. Raises UsageError with `where`."""
    return tuple(n for c in clients for n in _client(c, groups, where))
