"""A file for `nft -f`: sets of hops whose elements end by themselves, and on request the chains that drop.

Loading it anew replaces what it listed before in one step; the table is hopscope's own and nothing else is touched.
Without chains nothing is blocked: the sets wait for rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from hopscope.outputs.plain_list import about, beside

if TYPE_CHECKING:
    from hopscope.exporting.blocklist import Blocklist, Listed

TABLE = "inet hopscope"
SETS = {
    "services4": "type ipv4_addr . inet_proto . inet_service; flags timeout;",
    "services6": "type ipv6_addr . inet_proto . inet_service; flags timeout;",
    "addresses4": "type ipv4_addr; flags timeout;",
    "addresses6": "type ipv6_addr; flags timeout;",
    "networks6": "type ipv6_addr; flags interval, timeout;",
}
HOOKS = {"forward": ("to_hops", "from_hops"), "output": ("to_hops",), "input": ("from_hops",)}
"""Where packets pass: through this machine, from it and to it; and which way is looked at there."""
COMMENT = 120  # nft takes 128 bytes


def lines(blocklist: Blocklist, chains: bool) -> Iterator[str]:
    """The file's lines; without `chains` the chains stand in it as comments."""
    yield "# Proxy hops (MITRE ATT&CK T1090.002) that hopscope found, for nft -f."
    yield from (f"# {line}" for line in about(blocklist))
    yield "# Times left are counted from when the file is loaded. Take everything back: nft delete table inet hopscope"
    yield ""
    yield f"table {TABLE} {{"
    yield from (f"\tset {name} {{ {definition} }}" for name, definition in SETS.items())
    yield "}"
    yield from (f"flush set {TABLE} {name}" for name in SETS)
    yield from _elements(blocklist)
    yield ""
    if chains:
        yield from _chains()
    else:
        yield "# Nothing is blocked yet. These chains, which --chains writes, drop what goes to hops (D3-OTF) and what"
        yield "# comes from them (D3-ITF). Sets are seen by rules of their own table alone: add yours to this one."
        yield from (f"# {line}".rstrip() for line in _chains())


def _elements(blocklist: Blocklist) -> Iterator[str]:
    by: dict[str, list[str]] = {name: [] for name in SETS}
    for listed in blocklist.listed:
        six = ":" in listed.value
        name = "networks6" if listed.kind == "network" else f"{_PLURAL[listed.kind]}{6 if six else 4}"
        by[name].append(f'{_key(listed)} timeout {_left(listed.until - blocklist.made)} comment "{_comment(listed)}"')
    for name, elements in by.items():
        if elements:
            yield f"add element {TABLE} {name} {{"
            yield from (f"\t{element}," for element in elements)
            yield "}"


_PLURAL = {"service": "services", "address": "addresses"}


def _key(listed: Listed) -> str:
    return listed.value if listed.port is None else f"{listed.value} . {listed.proto} . {listed.port}"


def _left(time: timedelta) -> str:
    """`6d23h59m3s`; at least a second, since 0 would be for ever."""
    minutes, seconds = divmod(max(1, int(time.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def _comment(listed: Listed) -> str:
    return beside(listed)[:COMMENT]


def _chains() -> Iterator[str]:
    """Made empty, emptied where they were there, and filled, so that loading the file twice drops nothing twice."""
    yield f"table {TABLE} {{"
    yield from (f"\tchain {name} {{ }}" for name in _WAYS)
    for hook in HOOKS:
        yield f"\tchain {hook} {{ type filter hook {hook} priority -10; policy accept; }}"
    yield "}"
    yield from (f"flush chain {TABLE} {name}" for name in (*_WAYS, *HOOKS))
    yield f"table {TABLE} {{"
    for name, (address, port) in _WAYS.items():
        yield f"\tchain {name} {{"
        for set_name in SETS:
            family = "ip" if set_name.endswith("4") else "ip6"
            match = f"{family} {address}" + (f" . meta l4proto . th {port}" if set_name.startswith("services") else "")
            yield f"\t\t{match} @{set_name} counter drop"
        yield "\t}"
    for hook, ways in HOOKS.items():
        yield f"\tchain {hook} {{"
        yield from (f"\t\tjump {way}" for way in ways)
        yield "\t}"
    yield "}"


_WAYS = {"to_hops": ("daddr", "dport"), "from_hops": ("saddr", "sport")}
