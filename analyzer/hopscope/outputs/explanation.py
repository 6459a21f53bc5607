"""One finding in full: every piece of evidence with its number, and what the number rests on."""

from __future__ import annotations

import ntpath
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hopscope.findings import Evidence, Finding, endpoint
from hopscope.outputs import contrast, match_table, techniques, words
from hopscope.outputs.page import Row, table
from hopscope.outputs.words import STYLES

if TYPE_CHECKING:
    from hopscope.explaining.beside import Beside

LABELS = 12
NUMBERS = 8  # width of the column of decibans
NO_BASELINE = "none"  # what a finding's versions have where nothing learnt was asked
CONNECTIONS = 20  # connections shown; the finding keeps a bounded sample itself


def rows(f: Finding, beside: Beside) -> Iterator[Row]:
    """The page of `hopscope explain`: what decides first, then what it rests on."""
    head = f"{f.severity.upper()}  {words.hop(f)}  {words.decibans(f.score_db)} dB"
    yield Row(head, right=f.id, style=STYLES[f.severity])
    parts = (
        _about(f), _evidence(f), contrast.changes(f, beside), contrast.nearest(f, beside), _void(f),
        _verdicts(f, beside), _behind(f), _connections(f), _origin(f),
    )  # fmt: skip
    for part in parts:
        lines = list(part)
        if lines:
            yield Row()
            yield from lines


def _about(f: Finding) -> Iterator[Row]:
    yield Row(words.entity(f), "about", LABELS, indent=2)
    yield Row(words.listed(f.clients, 10) or "unknown", "used by", LABELS, indent=2)
    if f.names:
        yield Row(words.listed(f.names, 10), "asked for", LABELS, indent=2)
    yield Row(words.period(f.first_seen, f.last_seen), "seen", LABELS, indent=2)
    yield Row(
        words.far_end(f.far_end) or "unknown: nothing named it and no gap measured it", "far end", LABELS, indent=2
    )
    if f.dns_names and f.dns_names != f.names:
        yield Row(words.listed(f.dns_names, 10), "in DNS as", LABELS, indent=2)
    for chain in f.chains:
        yield Row(chain, "chain", LABELS, indent=2)
    for process in f.processes:
        yield Row(words.process(process), "process", LABELS, indent=2)
    for line in match_table.listed(f.rules):
        yield Row(line, "Sigma rule", LABELS, indent=2)
    if f.versions.get("baseline", NO_BASELINE) != NO_BASELINE:
        yield Row(f.versions["baseline"], "baseline", LABELS, indent=2)
    if f.label is not None:
        yield Row(f.label, "label", LABELS, indent=2)
    if f.suppression is not None:
        yield Row(f.suppression, "hidden", LABELS, indent=2)
    for allowance in f.allowance:
        yield Row(allowance, "allowlist", LABELS, indent=2)


def _evidence(f: Finding) -> Iterator[Row]:
    yield Row("Evidence, in decibans (+10 makes a hop ten times as likely, -10 a tenth)", style="bold")
    yield _number(f.prior_db, "before any evidence: few destinations are hops")
    for e in _strongest_first(f):
        yield _number(e.decibans, f"{e.heuristic}: {e.sentence}")
    yield _number(f.score_db, f"in all: {f.severity}")


def _strongest_first(f: Finding) -> list[Evidence]:
    return sorted(f.evidence, key=lambda e: (-e.decibans, e.heuristic))


def _number(decibans: float, text: str) -> Row:
    return Row(text, f"{words.decibans(decibans):>{NUMBERS - 2}}", NUMBERS, indent=2)


def _void(f: Finding) -> Iterator[Row]:
    if f.void:
        yield Row("What this sensor couldn't tell", style="bold")
        width = max(len(name) for name in f.void) + 2
        for name, why in sorted(f.void.items()):
            yield Row(why, name, width, indent=2)


def _verdicts(f: Finding, beside: Beside) -> Iterator[Row]:
    """The commands by which a person says what it is, and the allowlist entry to paste."""
    yield Row("To say what it is, or to hide it", style="bold")
    if f.label is None:
        for verdict in ("hop", "benign"):
            yield Row(f'hopscope label {f.id} {verdict} --note "..."', verdict, LABELS, indent=2, whole=True)
    if f.suppression is None:
        yield Row(beside.allow_command, "hide", LABELS, indent=2, whole=True)
        for i, line in enumerate(beside.allow_toml.rstrip().splitlines()):
            yield Row(line, "or paste" if i == 0 else "", LABELS, indent=2, whole=True)


def _behind(f: Finding) -> Iterator[Row]:
    if f.evidence:
        yield Row("What each piece of evidence rests on", style="bold")
    for e in _strongest_first(f):
        yield Row(e.heuristic, indent=2)
        yield from _piece(e, f)


def _piece(e: Evidence, f: Finding) -> Iterator[Row]:
    if e.threshold:
        yield _detail("threshold", e.threshold)
    known = {name: value for name, value in e.facts.items() if value is not None}
    if known:
        facts = (f"{name} {words.quantity(value, e.units.get(name, ''))}" for name, value in known.items())
        yield _detail("facts", "; ".join(facts))
    if e.client is not None:
        others = f" and {words.plural(e.clients - 1, 'other client')} for whom it says no more" if e.clients > 1 else ""
        yield _detail("for", f"{e.client}{others}")
    if e.capped_from is not None:
        yield _detail("capped", f"from {words.decibans(e.capped_from)}: evidence of one kind counts up to a cap")
    if e.uids:
        everything = len(e.uids) > 1 and {c.get("uid") for c in f.connections} == set(e.uids)
        yield _detail("seen in", "all connections below" if everything else words.listed(e.uids, 3))


def _detail(label: str, text: str) -> Row:
    return Row(text, label, LABELS, indent=4)


def _connections(f: Finding) -> Iterator[Row]:
    """A table: a column for what any of the connections has, as wide as its longest entry."""
    shown = sorted(f.connections, key=lambda c: str(c.get("ts")))[:CONNECTIONS]
    of = f", the first {len(shown)} of a sample of {len(f.connections)}" if len(shown) < len(f.connections) else ""
    ends = {_end(c, "resp") for c in shown}
    to = f" to {next(iter(ends))}" if len(ends) == 1 else ""
    yield Row(f"Connections behind it{to}{of}", style="bold")
    one_day = f.first_seen[:10] == f.last_seen[:10]
    programs = {uid: ntpath.basename(p.process or "?") for p in f.processes for uid in p.uids}
    columns = {
        "uid": [str(c.get("uid", "?")) for c in shown],
        "at": [_clock(c, one_day) for c in shown],
        "from": [_end(c, "orig") for c in shown],
        "to": [_end(c, "resp") if not to else "" for c in shown],
        "sent": [_size(c.get("orig_bytes")) for c in shown],
        "received": [_size(c.get("resp_bytes")) for c in shown],
        "way": [_time(c.get("tcp_rtt")) for c in shown],
        # with TLS the first reply is the ServerHello
        "answer": [_time(c.get("hello_rtt") or c.get("first_reply")) for c in shown],
        "Finished": [_time(c.get("finished_rtt")) for c in shown],
        "later": [_time(c.get("reply_p10")) for c in shown],
        "process": [programs.get(str(c.get("uid")), "") for c in shown],
    }
    columns = {title: cells for title, cells in columns.items() if any(cells)}
    yield from table([tuple(columns), *zip(*columns.values(), strict=True)], indent=2)


def _clock(c: Mapping[str, Any], one_day: bool) -> str:
    moment = words.moment(str(c["ts"])) if c.get("ts") is not None else "?"
    return moment[11:].removesuffix(" UTC") if one_day and moment.endswith(" UTC") else moment.removesuffix(" UTC")


def _end(c: Mapping[str, Any], side: str) -> str:
    return endpoint(str(c.get(f"{side}_h", "?")), c.get(f"{side}_p"))


def _size(count: float | None) -> str:
    return "" if count is None else words.octets(count)


def _time(value: float | None) -> str:
    return "" if value is None else words.seconds(value)


def _origin(f: Finding) -> Iterator[Row]:
    yield Row("; ".join(map(techniques.named, f.attack)) or "none", "ATT&CK", LABELS, indent=2)
    yield Row("; ".join(map(techniques.named, f.d3fend)) or "none", "D3FEND", LABELS, indent=2)
    read = {k.replace("_", " "): v for k, v in f.input.items() if v not in (None, [], ())}
    if read:
        yield Row("; ".join(f"{k} {words.quantity(v)}" for k, v in read.items()), "input", LABELS, indent=2)
    if f.versions:
        made_by = (f"{k} {v}" for k, v in f.versions.items() if k != "baseline" or v == NO_BASELINE)
        yield Row(", ".join(made_by), "made by", LABELS, indent=2)
