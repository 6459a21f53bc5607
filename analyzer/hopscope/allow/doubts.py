"""What is doubtful about an allowlist entry: dead, about to end, hiding too much, or open to whoever wants in."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator, Sequence

from hopscope.addresses import Network
from hopscope.allow.entries import Allowlist, Entry
from hopscope.allow.items import collapse
from hopscope.findings import Finding
from hopscope.heuristics.naming_services import services
from hopscope.outputs import words

UNUSED = datetime.timedelta(days=30)
SOON = datetime.timedelta(days=7)
HUGE = {4: 16, 6: 32}  # prefixes shorter than these are whole providers
NEIGHBOURS = 3  # more names at one address: an edge that others share

RENTED = ("akamaized.net", "amazonaws.com", "appspot.com", "azureedge.net", "azurefd.net", "azurewebsites.net",
          "b-cdn.net", "blob.core.windows.net", "cloudapp.net", "cloudfront.net", "cloudfunctions.net", "edgekey.net",
          "fastly.net", "firebaseapp.com", "fly.dev", "github.io", "gitlab.io", "googleusercontent.com",
          "herokuapp.com", "netlify.app", "onrender.com", "pages.dev", "r2.dev", "run.app", "trafficmanager.net",
          "vercel.app", "web.app", "workers.dev")  # fmt: skip
"""Domains under which anybody gets a name within minutes; hosting and content networks, by their manuals."""


def doubts(
    entry: Entry, allowlist: Allowlist, hidden: Sequence[Finding], last: datetime.date | None, today: datetime.date
) -> list[str]:
    """Sentences; `hidden` is what the entry hides or lowers now, `last` the day it last matched (None: not known)."""
    return [*_ending(entry, last, today), *_hiding(entry, hidden), *_reaching(entry, allowlist)]


def _ending(entry: Entry, last: datetime.date | None, today: datetime.date) -> Iterator[str]:
    if entry.expires is not None and today >= entry.expires:
        yield f"expired on {entry.expires}: it hides nothing any more; renew it or take it out"
        return
    if entry.expires is not None and entry.expires - today <= SOON:
        yield f"expires on {entry.expires}, in {words.plural((entry.expires - today).days, 'day')}"
    since = max((d for d in (last, entry.added) if d is not None), default=None)
    if since is not None and today - since >= UNUSED:
        yield f"matched nothing for {(today - since).days} days: is it still needed?"


def _hiding(entry: Entry, hidden: Sequence[Finding]) -> Iterator[str]:
    worst = [f for f in hidden if f.severity == "critical"]
    if worst:
        ids = words.listed([f.id for f in worst], 5)
        what = "takes evidence from" if entry.heuristics else "hides"
        yield f"{what} {words.plural(len(worst), 'critical finding')}: {ids}"
    hops = [f.id for f in hidden if f.label is not None and f.label.startswith(("hop", "labelled hop"))]
    if hops:
        yield f"touches what is labelled a hop: {words.listed(hops, 5)}"
    if (entry.addresses or entry.networks) and not entry.names:
        shared = [f for f in hidden if len({*f.names, *f.dns_names}) > NEIGHBOURS]
        for f in shared[:3]:
            yield f"{f.hop} answers to {len({*f.names, *f.dns_names})} names, all of which the entry covers"


def _reaching(entry: Entry, allowlist: Allowlist) -> Iterator[str]:
    if entry.asns and allowlist.asn_of is None:
        yield "can't be judged: AS numbers need network.asn_database, a database in MaxMind's format"
    conditions = {c for c in ("networks", "addresses", "names", "fingerprints", "asns", "clients") if getattr(entry, c)}
    if conditions == {"asns"}:
        yield "covers whatever is rented in that AS; add names or addresses"
    if conditions == {"fingerprints"}:
        yield "a fingerprint can be copied, and a certificate be sent by a relay; add names or addresses"
    if conditions == {"clients"} and not entry.heuristics:
        yield "hides whatever these clients do, also once one of them is taken over; add a destination"
    if not conditions:
        yield f"takes {', '.join(entry.heuristics)} from every finding; `disabled` in the settings says that openly"
    for what, nets in (("networks", entry.networks), ("clients", entry.client_nets)):
        for net in _huge(nets):
            yield f"{what}: {net} holds {_size(net)} addresses"
    for name in entry.names:
        yield from _rented(name)


def _huge(nets: Sequence[Network]) -> list[Network]:
    return [n for n in collapse(nets) if n.prefixlen < HUGE[n.version]][:3]


def _size(net: Network) -> str:
    return f"{net.num_addresses:,}" if net.version == 4 else f"2^{net.max_prefixlen - net.prefixlen}"


def _rented(name: str) -> Iterator[str]:
    """What anybody can have a name under, or a tunnel to a machine of his."""
    plain = name.removeprefix(".")
    if name.startswith("."):
        wide = next((d for d in RENTED if plain == d or d.endswith(f".{plain}")), None)
        if wide is not None:
            yield f"{name}: anybody gets a name under {wide}"
    operators = _operators()
    labels = plain.split(".")
    around = (".".join(labels[i:]) for i in range(len(labels)))
    if operator := next((o for o in map(operators.get, (name, *around)) if o is not None), None):
        yield f"{name}: {operator} leads to any machine of its customers"


@functools.cache
def _operators() -> dict[str, str]:
    """Who runs each suffix of `services`, and, as `.domain`, each domain that a suffix lies under."""
    out: dict[str, str] = {}
    for service in services():
        for suffix in service.suffixes:
            labels = suffix.split(".")
            for key in (suffix, *(f".{'.'.join(labels[i:])}" for i in range(1, len(labels)))):
                out.setdefault(key, service.operator)
    return out
