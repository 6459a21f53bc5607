"""Which findings become lines of a list, until when, and which never do and why.

A line is as narrow as what the finding is about: an address with its port, an address, an IPv6 /64. Where a format
knows no ports the line is the whole address, and is guarded as one. A finding about a name is listed by address only
where nothing else is known to be there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from hopscope.allow.items import Service, host_name, parse_address
from hopscope.dossier import CLIENTS
from hopscope.exporting.expiry import Expiry
from hopscope.exporting.known import Known
from hopscope.exporting.never import Never, Place
from hopscope.findings import SEVERITIES, Finding, endpoint
from hopscope.labels.fits import Fit, fits_to
from hopscope.labels.kept import KINDS
from hopscope.outputs import words

TRANSPORTS = ("tcp", "udp")  # whose ports a packet filter knows
_ID = re.compile(r"[A-Za-z0-9-]{1,40}")


@dataclass(frozen=True)
class Listed:
    """A line of a list. `kind` is service, address, network (an IPv6 /64, in CIDR form) or name; `until` is UTC.

    `port` and `proto` are null unless it is a service; `ports` are those that the findings are about where the line is
    the whole address all the same. Several findings may be about one line; `severity` is that of the worst.
    """

    kind: str
    value: str
    port: int | None
    proto: str | None
    until: datetime
    severity: str
    ids: tuple[str, ...]
    ports: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """`203.0.113.9:443/tcp`, `203.0.113.9`, `2001:db8::/64` or a name."""
        return endpoint(self.value, self.port, self.proto)


@dataclass(frozen=True)
class Left:
    """What isn't listed, and why. `severity` is the finding's."""

    id: str
    what: str
    severity: str
    why: str

    @property
    def text(self) -> str:
        """A line for people."""
        return f"not listed: {self.id} {self.what} ({self.severity}): {self.why}"


@dataclass(frozen=True)
class Blocklist:
    """What is listed, in order, what isn't and why, and the number of findings below the severity floor."""

    listed: tuple[Listed, ...]
    left: tuple[Left, ...]
    below: int
    made: datetime
    expiry: Expiry
    floor: str


@dataclass(frozen=True)
class Rules:
    """What is asked of a list.

    `shared` is the number of names from which on an address is more than the hop's; `ports` and `names` say whether
    the format knows ports, and lists names.
    """

    floor: str
    expiry: Expiry
    shared: int
    ports: bool
    names: bool


def make(
    findings: Iterable[Finding],
    refused: Mapping[str, str],
    fits: Mapping[str, Fit],
    never: Never,
    known: Known,
    rules: Rules,
    now: datetime,
) -> Blocklist:
    """The list of the findings, as the allowlist left them.

    `refused` has by id what is never listed and why; `fits` the labels by id, of which benign is never listed.
    """
    least = SEVERITIES.index(rules.floor)
    findings = list(findings)
    chosen = [f for f in findings if SEVERITIES.index(f.severity) >= least]
    making = _Making(fits, never, known, rules, now)
    for f in chosen:
        making.take(f, refused.get(f.id))
    return Blocklist(
        listed=tuple(sorted(making.listed.values(), key=_order)),
        left=tuple(making.left),
        below=len(findings) - len(chosen),
        made=now,
        expiry=rules.expiry,
        floor=rules.floor,
    )


class _Making:
    """A list while it is made."""

    def __init__(self, fits: Mapping[str, Fit], never: Never, known: Known, rules: Rules, now: datetime):
        self.listed: dict[tuple[str, str, int | None, str | None], Listed] = {}
        self.left: list[Left] = []
        self._fits, self._never, self._known, self._rules, self._now = fits, never, known, rules, now

    def take(self, f: Finding, refused: str | None) -> None:
        """List a finding, or say why not."""
        why = refused or self._malformed(f) or self._benign(f)
        if why is None:
            try:
                until = self._rules.expiry.of(f.last_seen, self._now)
            except ValueError:
                why = f"when it was last seen can't be read ({f.last_seen!r:.60})"
        if why is not None:
            self._leave(f, words.hop(f), why)
            return
        if f.entity.kind == "name":
            self._take_name(f, until)
            return
        net = ipaddress.IPv6Network(f.entity.value) if f.entity.kind == "network" else None
        self._take_place(f, _service(f), net, until)

    def _take_name(self, f: Finding, until: datetime) -> None:
        """The name, and its services where nothing else is known to be there."""
        name = f.entity.value
        places = sorted(self._known.places.get((f.sensor, name), {_service(f)}), key=str)
        why = self._guarded(f, None, [name])
        for at in places:
            everything = self._guarded(f, _place(at), (), everything=True)
            why = why or (everything and f"it is at {at}: {everything}")
        if why is not None:
            self._leave(f, name, why)
            return
        if self._rules.names:
            self._add(f, "name", name, None, None, until)
        shared: dict[str, frozenset[str]] = {}
        for at in places:
            others = self._known.at(at.address) - {name, at.address}
            if others or not self._known.whole:
                shared[str(at)] = others
            else:
                self._take_place(f, at, None, until)
        if shared:
            them = "it" if len(shared) == 1 else "them"
            there = sorted(frozenset().union(*shared.values()))
            share = f"{name} shares {them} with {words.listed(there, 3)}"
            if not there:
                share = f"what shares {them} with {name} isn't known without the kept run"
            also = "" if self._rules.names else "; zeek-intel lists the name"
            self._leave(f, words.listed(list(shared), 3), share + also)

    def _take_place(self, f: Finding, at: Service, net: ipaddress.IPv6Network | None, until: datetime) -> None:
        whole = None if self._rules.ports or at.port is None else f"{at.port}/{at.proto}"
        if whole is not None:
            at = Service(at.address)
        within = [at.address] if net is None else self._known.inside(str(net))
        place = _place(at) if net is None else Place(net)
        why = self._guarded(f, place, self._known.led(within)) or self._shared(within)
        if why is None and at.port is not None and at.proto not in TRANSPORTS:
            why = f"{at.proto} has no ports to list; --addresses lists the whole address"
        if why is not None:
            self._leave(f, str(net or at), why)
        elif net is not None:
            self._add(f, "network", str(net), None, None, until)
        else:
            self._add(f, "address" if at.port is None else "service", at.address, at.port, at.proto, until, whole)

    def _guarded(self, f: Finding, place: Place | None, names: Iterable[str], everything: bool = False) -> str | None:
        """What speaks against a place with these names, or against `everything` there.

        A label that fits the finding has had its say before.
        """
        for guard in self._never.of(place, sorted(names)):
            if (guard.everything or not everything) and (guard.label is None or not fits_to(guard.label, f)):
                return guard.why
        return None

    def _shared(self, within: Iterable[str]) -> str | None:
        count = len(self._known.led(within))
        if count > self._rules.shared:
            return f"{count:,} names lead there, more than --shared {self._rules.shared}"
        if not self._known.whole and count >= CLIENTS:
            return f"{count:,} names or more lead there; how many isn't known without the kept run"
        return None

    def _benign(self, f: Finding) -> str | None:
        fit = self._fits.get(f.id)
        if fit is None or fit.label.verdict != "benign":
            return None
        return f"labelled {fit.text}" if fit.counts else fit.text

    def _malformed(self, f: Finding) -> str | None:
        """What is no finding of hopscope's: its texts would be somebody else's lines in a firewall's file."""
        try:
            parse_address(f.hop)
            if f.entity.kind == "network":
                net = ipaddress.IPv6Network(f.entity.value)
                if net.network_address.scope_id is not None:
                    return "its network names an interface"
                if net.prefixlen < 64:
                    return f"{net} is wider than a /64"
        except ValueError:
            return "it is about no address"
        if f.entity.kind not in KINDS:
            return "it is of no kind that hopscope knows"
        if _ID.fullmatch(f.id) is None:
            return "its id is none of hopscope's"
        if f.entity.kind == "name" and host_name(f.entity.value) != f.entity.value:
            return "its name is none that a list can hold"
        if f.entity.kind == "service" and (f.port is None or f.proto is None):
            return "it is about a service without a port"
        if f.port is not None and not 0 <= f.port <= 0xFFFF:
            return f"port {f.port} is out of range"
        return None

    def _leave(self, f: Finding, what: str, why: str) -> None:
        self.left.append(Left(f.id, what, f.severity, why))

    def _add(
        self,
        f: Finding,
        kind: str,
        value: str,
        port: int | None,
        proto: str | None,
        until: datetime,
        whole: str | None = None,
    ) -> None:
        """A line; `whole` is the port that the finding is about where the line has none."""
        if until <= self._now:
            after = self._rules.expiry.told
            why = f"expired: last seen {words.moment(f.last_seen)}, and --expires {after} counts from there"
            self._leave(f, endpoint(value, port), why)
            return
        key = (kind, value, port, proto)
        known = self.listed.get(key)
        self.listed[key] = Listed(
            kind, value, port, proto,
            until=until if known is None else max(until, known.until),
            severity=f.severity if known is None else max(f.severity, known.severity, key=SEVERITIES.index),
            ids=(f.id,) if known is None else tuple(sorted({*known.ids, f.id})),
            ports=tuple(sorted({*(() if known is None else known.ports), *([whole] if whole is not None else [])})),
        )  # fmt: skip


def _service(f: Finding) -> Service:
    return Service(str(parse_address(f.hop)), f.port, None if f.port is None else f.proto)


def _place(at: Service) -> Place:
    return Place(ipaddress.ip_network(at.address), at.port, at.proto)


def place_of(f: Finding) -> Place | None:
    """Where a finding is; None where it is about no address."""
    try:
        if f.entity.kind == "network":
            return Place(ipaddress.ip_network(f.entity.value))
        return _place(_service(f))
    except ValueError:
        return None


def _order(line: Listed) -> tuple[int, int, bytes, str, int, str]:
    """Names last; addresses as numbers, IPv4 first."""
    if line.kind == "name":
        return 1, 0, b"", line.value, 0, ""
    base = ipaddress.ip_network(line.value).network_address
    return 0, base.version, base.packed, line.kind, line.port or 0, line.proto or ""
