"""Everything that speaks against listing a place, gathered: settings, records, allowlist, labels and --never."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from datetime import date

from hopscope import labels
from hopscope.allow import items
from hopscope.allow.applying import LOWERED, Shown, told
from hopscope.allow.entries import Allowlist, Entry
from hopscope.config import Config
from hopscope.errors import UsageError
from hopscope.exporting import never
from hopscope.exporting.blocklist import place_of
from hopscope.exporting.known import Known
from hopscope.exporting.never import Guard, Never, Place
from hopscope.labels import Label


def ours(guards: Never, configs: Iterable[Config], known: Known) -> None:
    """Guard what is ours by any of the settings, what is nobody's machine, and resolvers. Raises UsageError."""
    for config in configs:
        for net in config.network.local_nets:
            guards.network(net, f"own network {net} (network.local_nets)")
        for proxy in config.vantage.own_proxies:
            try:
                guards.network(proxy, f"own proxy {proxy} (vantage.own_proxies)")
            except ValueError as e:
                raise UsageError(f"vantage.own_proxies: {e}") from e
    never.special(guards)
    for resolver in sorted(known.resolvers):
        guards.network(resolver, f"resolver {resolver}: it answers DNS queries of the records")


def allowed(guards: Never, after: Shown, allowlist: Allowlist, today: date) -> Mapping[str, str]:
    """By id why findings that the allowlist hides or lowers aren't listed; they and its entries are guarded.

    Entries that only take heuristics' evidence away say nothing of the place itself.
    """
    for entry in allowlist.entries:
        if entry.in_force(today) and not entry.heuristics:
            _entry(guards, entry)
    refused = {}
    for finding in (*after.hidden, *after.shown):
        if finding.suppression is not None:
            refused[finding.id] = finding.suppression
        elif finding.allowance and finding.allowance[0].startswith(LOWERED):
            refused[finding.id] = finding.allowance[0]
        else:
            continue
        at = place_of(finding)
        if at is not None:
            guards.place(at, Guard(f"{finding.id} is there, which isn't to be listed: {refused[finding.id]}"))
    return refused


def _entry(guards: Never, entry: Entry) -> None:
    """Guard what an entry allows by its narrowest condition: all must hold for what it allows."""
    if entry.names:
        guards.names(entry.names, Guard(told(entry)))
    elif entry.addresses:
        for service in entry.addresses:
            guards.service(service, Guard(told(entry)))
    else:
        for net in entry.networks:
            guards.place(Place(net), Guard(told(entry)))


def benign(guards: Never, said: Iterable[Label]) -> None:
    """Guard what is labelled benign, so that something wider isn't listed over it."""
    for label in labels.in_force(said):
        if label.verdict != "benign":
            continue
        guard = Guard(f"{label.id} is there, labelled {labels.summary(label)}", label)
        if label.entity.kind == "name":
            guards.names([label.entity.value], guard)
        try:
            if label.entity.kind == "network":
                guards.place(Place(ipaddress.ip_network(label.entity.value)), guard)
            elif label.hop is not None:
                at = ipaddress.ip_network(str(items.parse_address(label.hop)))
                guards.place(Place(at, label.port, label.proto), guard)
        except ValueError:
            continue  # what is no address meets none
