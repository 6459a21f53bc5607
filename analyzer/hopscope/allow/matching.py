"""Whether an allowlist entry holds for a finding, condition by condition, and if not, why.

An attacker would like to be taken for something that is allowed, so an entry hides a finding only when it covers all
of what the finding is about:

- A name that a client asks for (SNI, HTTP host) is the client's choice. Names count when DNS answers led to the hop's
  address by them, and only when the entry covers all names that led there or were asked for there: on a shared edge
  one allowed name must not hide its neighbours. A client that came without any name isn't covered by names.
- A client group covers a finding when all its clients are in it, known to the last.
- A fingerprint can be copied (a certificate is sent in clear, JA4 is any program's with the same library): of a kind
  that an entry names, everything that was seen must be covered.
- An address with a port doesn't cover the other ports; an address doesn't cover its IPv6 /64.

What remains: whoever makes a client ask a resolver of his own gets any name confirmed; a hop rented in an allowed
network, AS or behind an allowed edge is covered with it; an allowed host of ours that is taken over stays allowed for
what its entry covers. `doubts` points at entries that are open to these, and findings that are critical are told even
when they are hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hopscope.allow.asns import AsnOf
from hopscope.allow.entries import Entry
from hopscope.allow.items import Service, host_name, parse_network, plain_address
from hopscope.dossier import CLIENTS
from hopscope.findings import Finding, RuleMatch

DESTINATIONS = ("networks", "addresses", "names", "fingerprints", "asns")
FINGERPRINTS = 50  # that many kept fingerprints may not be all


@dataclass(frozen=True)
class Subject:
    """What entries are asked about: a finding, or an address or a name as far as that is known (None: not known)."""

    kind: str  # service, address, network or name
    value: str  # of a name or a network
    places: tuple[Service, ...]  # where it was seen; the first is the hop; none of a name that no finding has
    names: tuple[str, ...] | None  # asked for there
    dns_names: tuple[str, ...] | None  # whose DNS answers led there
    bare: str | None  # a client that came without any name
    clients: tuple[str, ...] | None
    clients_total: int | None  # None: `clients` may not be all
    fingerprints: tuple[str, ...] | None
    heuristics: frozenset[str] | None  # that speak for it


@dataclass(frozen=True)
class Check:
    """One condition: whether it holds (None: can't be judged), in words, and whether it holds for a part."""

    condition: str
    holds: bool | None
    why: str
    part: bool = False


@dataclass(frozen=True)
class Verdict:
    """All conditions of an entry."""

    entry: Entry
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """The entry covers what was asked about."""
        return all(c.holds for c in self.checks)

    @property
    def near(self) -> bool:
        """It doesn't, though it does in part: a defender who wrote it would want to know why."""
        by = {c.condition: c for c in self.checks}
        if self.holds or ("heuristics" in by and not by["heuristics"].holds):
            return False
        where = [by[condition] for condition in DESTINATIONS if condition in by]
        return all(c.holds or c.part for c in where) if where else any(c.part for c in self.checks)

    @property
    def failing(self) -> tuple[Check, ...]:
        """The conditions that don't hold."""
        return tuple(c for c in self.checks if not c.holds)


def subject(f: Finding) -> Subject:
    """A finding, as entries are asked about it."""
    hop = Service(plain_address(f.hop), f.port, f.proto)
    seen = {
        Service(plain_address(str(c["resp_h"])), c.get("resp_p"), c.get("proto"))
        for c in f.connections
        if "resp_h" in c
    }
    total = f.clients_total if f.clients_total is not None else len(f.clients) if len(f.clients) < CLIENTS else None
    bare = next(
        (e.client or "a client" for e in f.evidence
         if e.heuristic == "unnamed" and e.decibans > 0 and not e.facts.get("asked_for")
         and not e.facts.get("service_name")), None)  # fmt: skip
    return Subject(
        kind=f.entity.kind,
        value=f.entity.value,
        # a name can be at several places, of which the connections tell
        places=(hop, *sorted(seen - {hop}, key=str)) if f.entity.kind == "name" else (hop,),
        names=f.names,
        dns_names=f.dns_names,
        bare=bare,
        clients=f.clients,
        clients_total=total,
        fingerprints=f.fingerprints,
        heuristics=frozenset(e.heuristic for e in f.evidence if e.decibans > 0),
    )


def subject_of_match(m: RuleMatch) -> Subject:
    """What a Sigma rule fired on, as entries are asked about it. A query is DNS itself; a name of a connection, or one
    that a host tells, may be anybody's choice."""
    names = () if m.name is None else (m.name,)
    queried = m.server is None
    client = m.client or m.host
    return Subject(
        kind="name" if queried else "service",
        value=m.name or "",
        places=() if m.server is None else (Service(plain_address(m.server), m.port, m.proto),),
        names=names,
        dns_names=names if queried and m.kind == "dns_query" else (),
        bare=None,
        clients=() if client is None else (client,),
        clients_total=1 if client is not None else None,
        fingerprints=(),
        heuristics=frozenset(),
    )


def judge(entry: Entry, about: Subject, asn_of: AsnOf | None) -> Verdict:
    """Whether the entry holds for it, were it in force."""
    checks = []
    if not about.places and (entry.networks or entry.addresses or entry.asns):
        checks.append(Check("addresses", None, "where the name leads is known of findings alone"))
    elif entry.networks:
        checks.append(_networks(entry, about))
    if entry.addresses and about.places:
        checks.append(_addresses(entry, about))
    if entry.names:
        checks.append(_names(entry, about))
    if entry.fingerprints:
        checks.append(_fingerprints(entry, about))
    if entry.asns and about.places:
        checks.append(_asns(entry, about, asn_of))
    if entry.clients:
        checks.append(_clients(entry, about))
    if entry.heuristics:
        checks.append(_heuristics(entry, about))
    return Verdict(entry, tuple(checks))


def _networks(entry: Entry, about: Subject) -> Check:
    if about.kind == "network":
        if entry.network_set.covers(parse_network(about.value)):
            return Check("networks", True, f"{about.value} is in its networks")
        inside = entry.network_set.covers(about.places[0].address)
        return Check("networks", False, f"its networks don't hold all of {about.value}", inside)
    return _all_places("networks", about, [entry.network_set.covers(p.address) for p in about.places], "its networks")


def _addresses(entry: Entry, about: Subject) -> Check:
    hop = about.places[0]
    if about.kind in ("address", "network"):
        mine = entry.address_set.get(hop.address, ())
        if about.kind == "address" and any(s.port is None for s in mine):
            return Check("addresses", True, f"{hop.address} is one of its addresses")
        what = f"{about.value} as a whole" if about.kind == "network" else f"all ports of {hop.address}"
        why = f"it names {', '.join(map(str, mine[:3]))}, and this is about {what}" if mine else _not_of(hop.address)
        return Check("addresses", False, why, bool(mine))
    covered = [any(s.covers(p) for s in entry.address_set.get(p.address, ())) for p in about.places]
    if not covered[0] and (mine := entry.address_set.get(hop.address, ())):
        return Check("addresses", False, f"it names {', '.join(map(str, mine[:3]))}, not {hop}", True)
    return _all_places("addresses", about, covered, "its addresses")


def _not_of(place: object) -> str:
    return f"{place} isn't one of its addresses"


def _all_places(condition: str, about: Subject, covered: Sequence[bool], whose: str) -> Check:
    """A condition on where something is, which must hold wherever it was seen."""
    left = [p for p, c in zip(about.places, covered, strict=True) if not c]
    if not left:
        return Check(condition, True, f"{about.places[0]} is in {whose}")
    if len(left) == len(covered):
        return Check(condition, False, f"{about.places[0]} isn't in {whose}")
    return Check(condition, False, f"{about.value} was also seen at {left[0]}, which isn't in {whose}", True)


def _names(entry: Entry, about: Subject) -> Check:
    asked = about.names if about.kind != "name" else (about.value,)
    if asked is None or about.dns_names is None:
        return Check("names", None, "which names led there is known of findings alone")
    led = {n for name in about.dns_names if (n := host_name(name)) is not None}
    given = led if about.kind != "name" else led & {host_name(about.value)}
    covered = sorted(n for n in given if entry.name_set.covers(n))
    if not covered:
        claimed = sorted(n for n in asked if entry.name_set.covers(n))
        if claimed:
            return Check(
                "names", False,
                f"{claimed[0]} was only asked for (SNI or HTTP host), which a client can choose; no DNS answer led to "
                f"{about.places[0].address} by it", True)  # fmt: skip
        return Check("names", False, "none of its names led there")
    if about.kind == "name":
        return Check("names", True, f"{covered[0]} is one of its names, and DNS led there by it")
    # what is no name stays as it came, and is covered by none
    everything = {host_name(n) or n for n in (*about.dns_names, *asked)}
    left = sorted(n for n in everything if not entry.name_set.covers(n))
    if left:
        most = f"{len(everything) - len(left)} of its {len(everything)} names"
        return Check("names", False, f"it covers {most}; {left[0]} led or was asked for there too", True)
    if max(len(about.dns_names), len(asked)) >= CLIENTS:
        return Check("names", False, f"only the first {CLIENTS} of the names there are known", True)
    if about.bare is not None:
        return Check("names", False, f"{about.bare} came by bare address, without any name", True)
    return Check("names", True, f"{covered[0]} is one of its names, and DNS led there by it")


def _fingerprints(entry: Entry, about: Subject) -> Check:
    if about.fingerprints is None:
        return Check("fingerprints", None, "fingerprints are known of findings alone")
    mine = frozenset(entry.fingerprints)
    kinds = sorted({f.partition(":")[0] for f in mine})
    problem, part = f"no {' or '.join(kinds)} was seen", False
    for kind in kinds:
        seen = [f for f in about.fingerprints if f.partition(":")[0] == kind]
        covered = sum(f in mine for f in seen)
        if covered and covered == len(seen) and len(about.fingerprints) < FINGERPRINTS:
            return Check("fingerprints", True, f"the {kind} is one of its fingerprints")
        if covered and covered == len(seen):
            problem, part = f"only the first {FINGERPRINTS} fingerprints are known", True
        elif covered:
            problem, part = f"it covers {covered} of the {len(seen)} {kind} that were seen", True
        elif seen and not part:
            problem = f"the {kind} is none of its fingerprints"
    return Check("fingerprints", False, problem, part)


def _asns(entry: Entry, about: Subject, asn_of: AsnOf | None) -> Check:
    if asn_of is None:
        return Check("asns", None, "AS numbers can't be judged without network.asn_database")
    numbers = [asn_of(p.address) for p in about.places]
    if numbers[0] is None:
        return Check("asns", False, f"the database has no AS of {about.places[0].address}")
    covered = [n in entry.asns for n in numbers]
    if not any(covered):
        return Check("asns", False, f"{about.places[0].address} is in AS{numbers[0]}, which it doesn't name")
    return _all_places("asns", about, covered, f"AS{numbers[0]}")


def _clients(entry: Entry, about: Subject) -> Check:
    if about.clients is None:
        return Check("clients", None, f"holds where all clients are in {', '.join(entry.clients[:3])}")
    group = ", ".join(entry.clients[:3])
    inside = sum(entry.client_set.covers(c) for c in about.clients)
    total = about.clients_total
    if not about.clients:
        return Check("clients", False, "no client of it is known")
    if inside == len(about.clients) == total:
        return Check("clients", True, f"all its clients are in {group}")
    if total is None or total > len(about.clients) == inside:
        return Check("clients", False, f"only the first {len(about.clients)} of its clients are known", inside > 0)
    why = f"it covers {inside} of its {total} clients" if inside else f"its clients aren't in {group}"
    return Check("clients", False, why, inside > 0)


def _heuristics(entry: Entry, about: Subject) -> Check:
    names = ", ".join(entry.heuristics)
    if about.heuristics is None:
        return Check("heuristics", True, f"takes away what {names} says")
    if about.heuristics.intersection(entry.heuristics):
        return Check("heuristics", True, f"takes away what {names} says")
    return Check("heuristics", False, f"{names} says nothing for it")
