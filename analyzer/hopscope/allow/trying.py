"""What the allowlist would do with a finding, an address or a name, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from hopscope import store
from hopscope.allow.applying import apply, told
from hopscope.allow.entries import Allowlist
from hopscope.allow.items import host_name, parse_service
from hopscope.allow.matching import DESTINATIONS, Subject, Verdict, judge, subject
from hopscope.config import FusionSettings
from hopscope.findings import Finding
from hopscope.outputs import words
from hopscope.outputs.page import Row

NEAREST = 3  # entries that are told though they don't hold


@dataclass(frozen=True)
class Tried:
    """What was asked about, and what each entry says, those in force and those that expired.

    `by` is what hides it, in words: an entry, or entries that leave too little of it; None where nothing does.
    """

    what: str
    force: tuple[Verdict, ...]
    ended: tuple[Verdict, ...]
    by: str | None


def tried(what: str, allowlist: Allowlist, kept: Path, now: datetime, settings: FusionSettings) -> list[Tried]:
    """Each finding that is meant by an id, address or name; the address or name itself where no finding is.

    Raises UsageError when it is none of them.
    """
    about = _asked(what)
    findings = store.read(kept) if about is None or kept.exists() else []
    if about is None or any(f.id == what for f in findings):
        found = [store.only(findings, what, kept)]
    else:
        found = [f for f in findings if _meant(f, about)]
    if not found and about is not None:
        force, ended = _judged(about, allowlist, now.date())
        by = next((told(v.entry) for v in force if v.holds and not v.entry.heuristics), None)
        return [Tried(f"{what} (no finding of the last run)", force, ended, by)]
    out = []
    for f in found:
        title = f"{f.id}  {words.hop(f)}  {f.severity} {words.decibans(f.score_db)} dB"
        hidden = apply([f], allowlist, now, settings).hidden
        out.append(Tried(title, *_judged(subject(f), allowlist, now.date()), hidden[0].suppression if hidden else None))
    return out


def _judged(about: Subject, allowlist: Allowlist, today: date) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]:
    """What the entries in force say, and those that expired."""
    verdicts = [judge(e, about, allowlist.asn_of) for e in allowlist.entries]
    return (
        tuple(v for v in verdicts if v.entry.in_force(today)),
        tuple(v for v in verdicts if not v.entry.in_force(today)),
    )


def _asked(text: str) -> Subject | None:
    """An address or a name of which nothing more is known; None for what is neither."""
    try:
        place = parse_service(text)
        kind = "address" if place.port is None else "service"
        return Subject(kind, str(place), (place,), None, None, None, None, None, None, None)
    except ValueError:
        pass
    name = host_name(text)
    if name is None or "." not in name:
        return None
    # as if DNS had led there by the name: the question is what its entries say
    return Subject("name", name, (), (name,), (name,), None, None, None, None, None)


def _meant(finding: Finding, about: Subject) -> bool:
    mine = subject(finding)
    if about.kind == "name":
        return about.value in {host_name(n) for n in (*finding.names, *finding.dns_names, finding.entity.value)}
    wanted = about.places[0]
    return any(wanted.covers(p) or (wanted.address == p.address and p.port is None) for p in mine.places)


def rows(tried: Sequence[Tried]) -> Iterator[Row]:
    """The page of `hopscope allow test`."""
    for i, t in enumerate(tried):
        if i:
            yield Row()
        yield Row(t.what, style="bold")
        yield from _rows(t)


def _rows(t: Tried) -> Iterator[Row]:
    holds = [v for v in t.force if v.holds]
    for v in holds:
        yield Row(told(v.entry), "lowered by" if v.entry.heuristics else "hidden by", 12, indent=2)
        for c in v.checks:
            yield Row(c.why, indent=14)
    open_ = [v for v in t.force if not v.holds and _might(v)]
    for v in open_:
        yield Row(f"{v.entry.id}: {'; '.join(c.why for c in v.failing)}", "perhaps", 12, indent=2)
    for v in [v for v in t.ended if v.holds]:
        yield Row(f"{v.entry.id} would, but expired on {v.entry.expires}", "expired", 12, indent=2)
    others = sorted((v for v in t.force if v not in holds and v not in open_), key=_distance)
    near = [v for v in others if v.near] or others[:NEAREST]
    for v in near:
        yield Row(f"{v.entry.id}: {'; '.join(c.why for c in v.failing)}", "not by", 12, indent=2)
    if not t.force:
        yield Row("no entry is in force", indent=2)
    elif t.by is not None and all(v.entry.heuristics for v in holds):
        yield Row(t.by, "hidden", 12, indent=2)
    elif t.by is None:
        yield Row("no entry hides it", indent=2)


def _might(verdict: Verdict) -> bool:
    """What is known of it holds, and something of where it is is known."""
    where = [c for c in verdict.checks if c.condition in DESTINATIONS]
    return all(c.holds is not False for c in verdict.checks) and (not where or any(c.holds for c in where))


def _distance(verdict: Verdict) -> tuple[int, int]:
    """How far an entry is from holding: conditions that fail, those that fail in part counting half."""
    return (sum(1 if c.part else 2 for c in verdict.failing), -len(verdict.checks))
