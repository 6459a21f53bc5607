"""New entries, from what a person asks for: values, and what a finding has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from hopscope.allow import entries, items, proposing
from hopscope.allow.entries import CONDITIONS, Allowlist, Entry
from hopscope.allow.exchange import Taken
from hopscope.allow.matching import DESTINATIONS, judge, subject
from hopscope.errors import UsageError
from hopscope.findings import Finding

_PARSE: dict[str, Callable[[str], Any]] = {
    "networks": items.parse_network, "addresses": items.parse_service, "names": items.parse_name,
    "fingerprints": items.parse_fingerprint, "asns": items.parse_asn, "clients": str, "heuristics": str,
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What a person asks for: `given` values by condition, and `own`, the conditions to take from the finding."""

    reason: str
    author: str
    added: date
    expires: date | None
    id: str | None = None
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own: frozenset[str] = frozenset()


def entry(asked: Asked, allowlist: Allowlist, about: Finding | None) -> Entry:
    """The entry, which covers the finding where there is one. Raises UsageError where it can't, with the reason."""
    if about is None and asked.own:
        raise UsageError(f"--{sorted(asked.own)[0]} without a value is that of a finding; name one with --from")
    given = {c: tuple(dict.fromkeys(map(_parsed(c), v))) for c, v in asked.given.items() if v}
    base: dict[str, Any] = {}
    if about is not None and (asked.own or not any(c in given for c in DESTINATIONS)):
        base = _own(about, asked)
    conditions = {**base, **given}
    if "clients" in given:
        conditions["client_nets"] = entries.client_nets(given["clients"], allowlist.groups, "--client")
    made = entries.checked(
        Entry(_id(asked, allowlist), asked.reason.strip(), asked.author, asked.added, asked.expires, **conditions),
        "allow",
    )
    if about is not None:
        failing = [c for c in judge(made, subject(about), allowlist.asn_of).checks if c.holds is False]
        if failing:
            raise UsageError(f"the entry wouldn't cover {about.id}: {'; '.join(c.why for c in failing)}")
    return made


def imported(asked: Asked, taken: Taken, allowlist: Allowlist, file: str) -> list[Entry]:
    """An entry for each kind of item that was taken in; their reason names the source."""
    source = taken.source or file
    why = f"{asked.reason.strip()} (from {source[:80]})"
    ids = {e.id for e in allowlist.entries}
    out = []
    for condition, values in taken.conditions.items():
        single = len(taken.conditions) == 1
        name = asked.id if asked.id and single else f"{asked.id or proposing.entry_id(source)[:30]}-{condition}"
        if name in ids:
            name = proposing.entry_id(name, ids)
        ids.add(name)
        given: dict[str, Any] = {condition: values}
        out.append(entries.checked(Entry(name, why, asked.author, asked.added, asked.expires, **given), file))
    return out


def _own(about: Finding, asked: Asked) -> dict[str, Any]:
    """The conditions that the finding gives. Raises UsageError where what was asked for can't cover it."""
    found = proposing.proposed(about, asked.added, asked.own)
    if found is None:
        why = proposing.why_not(about, asked.added, asked.own)
        raise UsageError(f"{about.id} can't be covered so: {why}; try --address, or name a --network")
    return {c: getattr(found, c) for c in (*CONDITIONS, "client_nets") if getattr(found, c)}


def _parsed(condition: str) -> Any:
    def parsed(value: str) -> Any:
        try:
            return _PARSE[condition](value)
        except ValueError as e:
            raise UsageError(f"--{condition.removesuffix('s').removesuffix('e')}: {e}") from e

    return parsed


def _id(asked: Asked, allowlist: Allowlist) -> str:
    taken = {e.id for e in allowlist.entries}
    if asked.id in taken:
        raise UsageError(f"--id {asked.id}: that is another entry's already; give each its own")
    return asked.id or proposing.entry_id(asked.reason, taken)
