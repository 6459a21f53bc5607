"""The page's parts on real logs, injected hops, degraded captures and leaking traits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.quality import inject
from bench.quality.beacon import View
from bench.quality.corpus import BEACON
from bench.quality.degrade import CHANGES, Seen
from bench.quality.inject import METHODS, Placed
from bench.quality.leak import Trait
from bench.quality.run import Outcome
from bench.quality.words import percent, pieces, share, some, table

TRAITS = 12  # shown


def logs(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What is told of real logs."""
    yield "## Real logs"
    yield ""
    yield (
        "Zeek's plain logs without hopscope's package: no round trips, no reply times. The site's own proxies are "
        "named in the settings."
    )
    rows = []
    for o in outcomes:
        medium = [t for t in o.told if t.score_db >= 0]
        rows.append((
            o.item.name, o.item.kind, o.clients, o.destinations, f"{o.hours:.1f}", len(o.told), len(medium),
            some([f"{t.entity} {t.score_db:+.1f}" for t in medium]) or None,
        ))  # fmt: skip
    yield from table(
        ("logs", "what", "clients", "destinations", "hours", "low or above", "medium or above", "which"),
        rows, "llrrrrrl",
    )  # fmt: skip
    for o in outcomes:
        for t in o.told:
            if t.score_db >= 0:
                yield f"- {o.item.name}: {t.entity} at {t.score_db:+.1f}: {pieces(t.scaled)}"
    yield ""


def beacon(views: Sequence[View]) -> Iterator[str]:
    """The known beacon beside other methods."""
    yield "## A known beacon, beside what a beacon hunter finds"
    yield ""
    yield (
        f"The logs of rita/missing_host hold a beacon of three days, {BEACON[0]} to {BEACON[1]}. The other methods are "
        "computed from their published formulas on the same pairs (client and server with answered connections in "
        "the window of the last 24 hours): RITA v5's beacon score, Elastic's beaconing test, and plain variation of "
        "the intervals. RITA itself scores this beacon 0.963 and ranks it first with its filter off. Ties are told as "
        "a range of places."
    )
    for v in views:
        yield ""
        yield f"Monitored: {v.monitored}. {v.pairs:,} pairs."
        yield from table(
            ("method", "score of the beacon", "rank among pairs"),
            [(m, _score(m, v.scores[m]), _places(v.ranks[m])) for m in METHODS],
            "lrr",
        )  # fmt: skip
        if v.told:
            yield (
                f"As a finding: {v.told.entity} at {v.told.score_db:+.1f} dB ({v.told.severity}), place {v.entity} of "
                f"{v.entities:,} entities; {pieces(v.told.scaled)}."
            )
    yield ""


def _score(method: str, score: float) -> str:
    return f"{score:+.1f} dB" if method == "hopscope" else f"{score:.3f}"


def _places(places: tuple[int, int]) -> str:
    return f"{places[0]:,}" if places[0] == places[1] else f"{places[0]:,} to {places[1]:,}"


def injection(runs: Sequence[Placed]) -> Iterator[str]:
    """Lab hops among real traffic."""
    yield "## Lab hops among real ordinary traffic"
    yield ""
    pairs, bound = inject.distinct_bound(runs)
    yield (
        "The records of each lab hop's own connections, and the DNS queries that led to it, are moved into a real log: "
        "to one of its clients (never two hops to one), starts stretched over the log's length, what follows a start "
        "kept as it was. Then all is hunted, once with all fields that the lab's records have, and once with those "
        "alone that the log's own records have, as if the sensor had been plain Zeek. With all fields only the moved "
        "records can show distances and shapes: that run flatters, the other is hard. The lists rank pairs of client "
        "and server; in each list one pair of ten thousand is a hop. A log has only hundreds of pairs, so each stands "
        "for many alike: precision at the top is the mean of draws of fifty hops, with the range that holds 95 % of "
        f"draws. It can't be better known than the {pairs:,} distinct ordinary pairs allow: none of them above a hop "
        f"bounds the share of such pairs at {percent(bound)}, which among ten thousand are {10_000 * bound:.0f}. "
        "Ties count against hops."
    )
    for plain in (False, True):
        mine = [r for r in runs if r.plain == plain]
        names = [n for r in mine for n in r.hops]
        found = [n for r in mine for n in r.found]
        yield ""
        yield f"### {'With the fields of plain Zeek logs' if plain else 'With all fields'}"
        yield ""
        yield (
            f"{share(len(found), len(names))} moved hops are told at medium or above; "
            f"{len({f'{r.log} {f}' for r in mine for f in r.false})} other entities are."
        )
        rows = []
        for method in METHODS:
            got = {p.top: p for p in inject.precision(mine, method)}
            rows.append((method, *(_precise(got[t]) for t in inject.TOPS if t in got)))
        yield from table(("method", *(f"precision at {t}" for t in inject.TOPS)), rows, "lrrr")
        missed = sorted(set(names) - set(found))
        if missed:
            yield f"Not told at medium: {some(missed)}."
    yield ""


def _precise(p: inject.Precision) -> str:
    return f"{percent(p.mean)} ({percent(p.low)} to {percent(p.high)})"


def degraded(all_: Sequence[Seen], hops: int) -> Iterator[str]:
    """Captures seen worse."""
    yield "## Seen worse"
    yield ""
    yield (
        "The same captures with packets lost at random, with one direction alone, without DNS, and with all clients "
        "behind one address, at default settings: nothing tells hopscope what is missing."
    )
    rows = []
    for change in CHANGES:
        mine = [s for s in all_ if s.change == change]
        missed = [m for s in mine for m in s.missed]
        false = [f for s in mine for f in s.false]
        low = sum(len(s.found_low) for s in mine)
        rows.append((change, f"{hops - len(missed)} of {hops}", f"{low} of {hops}", len(false), some(missed) or None,
                     some(false) or None))  # fmt: skip
    yield from table(("", "at medium", "at low", "false", "missed at medium", "what is false"), rows, "lrrrll")


def leaks(traits: Sequence[Trait], tool: Trait) -> Iterator[str]:
    """Single traits as classifiers."""
    yield "## Does the laboratory leak its truth?"
    yield ""
    yield (
        "Every field of the records, and a few counts, as a classifier by itself: chosen on all lab captures but one, "
        "judged on that one, each in turn. Balanced accuracy is the mean of the shares of hops and of others called "
        "right; 50 % is chance. A trait that came near 100 % on both sides would mean that the captures give the "
        "answer away."
    )
    own = Trait(f"**{tool.name}**", tool.hops_right, tool.others_right)
    rows = [
        (t.name, percent(t.hops_right), percent(t.others_right), percent(t.balanced), t.wrong)
        for t in (own, *traits[:TRAITS])
    ]
    yield from table(("trait", "hops right", "others right", "balanced", "others called hops, of 1,000"), rows, "lrrrr")
