"""The narrowest sensible entry that would hide a finding, as TOML to paste and as the command that writes it."""

from __future__ import annotations

import dataclasses
import datetime
import re
import shlex
from collections.abc import Collection, Iterator
from typing import Any

from hopscope.addresses import Network
from hopscope.allow import writing
from hopscope.allow.entries import Entry
from hopscope.allow.items import Service, host_name, is_address, parse_network
from hopscope.allow.matching import judge, subject
from hopscope.findings import Finding, endpoint

LASTS = datetime.timedelta(days=90)  # what nobody renews in a quarter, nobody misses
FEW_NAMES, FEW_CLIENTS = 5, 3  # more names or clients aren't listed in a proposal
WHY = "say why"


def proposed(finding: Finding, today: datetime.date, parts: Collection[str] = ()) -> Entry | None:
    """An entry that hides the finding, its reason still to be given; None where no entry could.

    `parts` asks for conditions by name (names, addresses, clients); without any, it is the names when DNS answers
    confirm them all, else the address with its port, and the clients when they are few. Of these the first that
    covers the finding is taken; a part that can't cover it is not.
    """
    about = subject(finding)
    for conditions in _candidates(finding, parts):
        entry = dataclasses.replace(
            Entry(id=entry_id(_head(finding)), reason=WHY, added=today, expires=today + LASTS), **conditions
        )
        if judge(entry, about, None).holds:
            return entry
    return None


def why_not(finding: Finding, today: datetime.date, parts: Collection[str] = ()) -> str:
    """Why no such entry covers the finding."""
    about = subject(finding)
    for conditions in _candidates(finding, parts):
        failing = judge(Entry("x", WHY, added=today, **conditions), about, None).failing
        return "; ".join(c.why for c in failing)
    lacking = " or ".join(sorted(parts)) or "destination"
    return (
        f"it has no {lacking} that an entry could name ({len(finding.names)} names asked for, "
        f"{len(finding.dns_names)} that DNS led there by)"
    )


def toml_for(finding: Finding, today: datetime.date | None = None) -> str:
    """The entry that would hide the finding, ready to paste; a comment where no entry of destination could.

    `today` dates it; without it the day on which the finding was last seen does.
    """
    entry = proposed(finding, today or _last_day(finding))
    if entry is None:
        return "# no entry covers this by its destination; name a network, or leave out a heuristic\n"
    return writing.to_toml(entry)


def command_for(finding: Finding) -> str:
    """The command that adds that entry."""
    return f"hopscope allow add --from {shlex.quote(finding.id)} --reason {shlex.quote(WHY)}"


def entry_id(words: str, taken: Collection[str] = ()) -> str:
    """An id from a reason or a name: its first words in ASCII, numbered where it is taken."""
    base = "-".join(re.findall(r"[a-z0-9]+", words.lower())[:6])[:40].strip("-") or "entry"
    number = next(n for n in range(1, len(taken) + 2) if (base if n == 1 else f"{base}-{n}") not in taken)
    return base if number == 1 else f"{base}-{number}"


def _candidates(finding: Finding, parts: Collection[str]) -> Iterator[dict[str, Any]]:
    """Conditions to try, the best first."""
    places: list[dict[str, Any]] = [{"names": names} for names in (_names(finding),) if names]
    places += [{"addresses": a} for a in _addresses(finding)]
    places += [{"networks": n} for n in _networks(finding)]
    clients = _clients(finding)
    if not parts:
        few = clients if len(clients) <= FEW_CLIENTS else ()
        yield from ({**place, **({"clients": few, "client_nets": _nets(few)} if few else {})} for place in places)
        return
    wanted = [p for p in places if parts & p.keys()] if (parts := set(parts)) - {"clients"} else [{}]
    for place in wanted:
        yield {**place, **({"clients": clients, "client_nets": _nets(clients)} if "clients" in parts else {})}


def _names(finding: Finding) -> tuple[str, ...]:
    """All names of the finding where DNS and clients agree on few; of a name the name."""
    told = (finding.entity.value,) if finding.entity.kind == "name" else (*finding.dns_names, *finding.names)
    names = {host_name(n) for n in told}
    if None in names or not 0 < len(names) <= FEW_NAMES:
        return ()
    return tuple(sorted(n for n in names if n is not None))


def _addresses(finding: Finding) -> list[tuple[Service, ...]]:
    """The places as they were seen, then the whole addresses."""
    places = subject(finding).places
    if finding.entity.kind == "network" or not all(is_address(p.address) for p in places):
        return []
    whole = tuple(dict.fromkeys(Service(p.address) for p in places))
    return [places, whole] if all(p.port is not None for p in places) else [whole]


def _networks(finding: Finding) -> list[tuple[Network, ...]]:
    return [(parse_network(finding.entity.value),)] if finding.entity.kind == "network" else []


def _clients(finding: Finding) -> tuple[str, ...]:
    return tuple(c for c in finding.clients if is_address(c))


def _nets(clients: Collection[str]) -> tuple[Network, ...]:
    return tuple(parse_network(c) for c in clients)


def _head(finding: Finding) -> str:
    return finding.entity.value if finding.entity.kind == "name" else endpoint(finding.hop, finding.port)


def _last_day(finding: Finding) -> datetime.date:
    try:
        return datetime.datetime.fromisoformat(finding.last_seen).date()
    except ValueError:
        return datetime.date(1970, 1, 1)  # a finding that tells no time: the entry is to be dated by hand
