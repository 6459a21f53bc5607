"""Baselines for people: what was learnt, what is kept, what one of them holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from hopscope.baselines.model import About, Baseline
from hopscope.outputs import words
from hopscope.outputs.page import Row, table

LEFT_OUT = 10  # destinations left out, and most used ones, that are named
COMMUNITIES = 10
LABELS = 14


def learnt(about: About, asked_days: int) -> Iterator[Row]:
    """What `hopscope baseline learn` tells at its end."""
    of = "" if about.days == asked_days else f" (of {asked_days} asked for)"
    yield Row(
        f"baseline {about.version} learnt: {words.plural(about.days, 'day')}{of}, {_period(about)}, "
        f"{words.plural(about.hosts, 'host')} of ours, {words.plural(about.destinations, 'destination')}"
    )
    if about.left_out:
        yield from _left_out(about)
        yield Row("what is benign is learnt next time: hopscope label it so, or name it with --keep")


def listed(kept: Sequence[About], use: str) -> Iterator[Row]:
    """The baselines that are kept, oldest first; `use` is the setting that says which one hunts are judged by."""
    if not kept:
        yield Row("no baseline was learnt yet; hopscope baseline learn INPUT learns one")
        return
    used = kept[-1].version if use == "latest" else int(use) if use != "none" else None
    cells = [("", "number", "made", "days", "from", "to", "hosts", "destinations", "left out", "sensors")]
    for a in kept:
        numbers = (str(a.days), _moment(a.first_us), _moment(a.last_us), f"{a.hosts:,}", f"{a.destinations:,}")
        mark = "*" if a.version == used else ""
        cells.append((mark, str(a.version), a.made[:10], *numbers, f"{len(a.left_out):,}", words.listed(a.sensors, 3)))
    yield from table(cells)
    yield Row("hunts are judged by none of them (baseline.use)" if used is None else "* hunts are judged by this one")


def shown(baseline: Baseline) -> Iterator[Row]:
    """What one baseline holds."""
    about = baseline.about
    yield Row(f"baseline {about.label}", style="bold")
    yield Row(_period(about), "from records", LABELS, indent=2)
    yield Row(words.listed(about.sensors, 10), "of sensors", LABELS, indent=2)
    yield Row(words.listed(about.local_nets, 10), "our networks", LABELS, indent=2)
    yield Row(f"hopscope {about.hopscope}, {about.made}", "learnt by", LABELS, indent=2)
    hours = len(baseline.host_hours)
    yield Row(f"{about.hosts:,}, in {words.plural(hours, 'hour')} with traffic", "hosts", LABELS, indent=2)
    used = baseline.places.filter(pc.greater(baseline.places["clients"], 0))
    names = pc.sum(pc.equal(used["kind"], "name")).as_py() or 0
    both = f"{len(used) - names:,} by address, {names:,} by name"
    yield Row(both, "destinations", LABELS, indent=2)
    yield Row()
    yield from _communities(baseline.communities)
    yield Row()
    yield from _most_used(used)
    yield Row()
    if about.left_out:
        yield from _left_out(about, len(about.left_out))
    else:
        yield Row("nothing was left out: nothing looked like a hop")


def _left_out(about: About, most: int = LEFT_OUT) -> Iterator[Row]:
    yield Row(f"left out, since they look like hops or are labelled so: {len(about.left_out):,}")
    for left in about.left_out[:most]:
        yield Row(left, indent=2)
    if len(about.left_out) > most:
        yield Row(f"and {len(about.left_out) - most:,} more: hopscope baseline show {about.version}", indent=2)


def _communities(members: pa.Table) -> Iterator[Row]:
    """Which hosts belong together, the largest groups first."""
    groups: dict[tuple[str, int], list[str]] = {}
    for r in members.to_pylist():
        groups.setdefault((r["sensor"], r["community"]), []).append(r["client"])
    yield Row(f"hosts that belong together by what they share: {words.plural(len(groups), 'group')}", style="bold")
    largest = sorted(groups.items(), key=lambda g: (-len(g[1]), g[0]))
    for _, clients in largest[:COMMUNITIES]:
        yield Row(words.listed(sorted(clients), 10), f"{len(clients):,} hosts", LABELS, indent=2)
    if len(largest) > COMMUNITIES:
        yield Row(f"and {len(largest) - COMMUNITIES:,} more", indent=2)


def _most_used(places: pa.Table) -> Iterator[Row]:
    yield Row("used by most of our hosts", style="bold")
    named = places.filter(pc.equal(places["kind"], "name"))
    order = [("clients", "descending"), ("days", "descending"), ("value", "ascending")]
    for r in (named if len(named) else places).sort_by(order).slice(0, LEFT_OUT).to_pylist():
        on = f"{words.plural(r['clients'], 'host')}, on {words.plural(r['days'], 'day')}"
        yield Row(on, r["value"], 40, indent=2)


def _period(about: About) -> str:
    return f"{_moment(about.first_us)} to {_moment(about.last_us)} UTC"


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
