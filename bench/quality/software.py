"""The page's part on captures of real software."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.quality import judge, measures
from bench.quality.corpus import labels
from bench.quality.run import Outcome
from bench.quality.words import pieces, some, table
from hopscope.config import FusionSettings

LOW_DB = FusionSettings().low_db


def in_scope(o: Outcome) -> bool:
    """A proxy or tunnel towards an outside hop, with traffic that could show it."""
    return bool(o.truth.hops) and o.item.kind in ("proxy", "tunnel") and o.item.excluded is None


def told(real: Sequence[Outcome]) -> Iterator[str]:
    """What is told of each labelled proxy and tunnel, of what is out of scope, and of all else."""
    if not real:
        return
    yield "## Captures of real software"
    yield ""
    yield (
        "From public test suites, most of them seconds long, many cut. Whose networks are monitored: the private "
        "ranges where the labelled flow (in benign captures: any flow) leads out of them, else the hosts that open "
        "connections and accept none; where client and server share one address, the server was given another. The "
        "window spans the whole file, since many join moments years apart."
    )
    counted = [o for o in real if in_scope(o)]
    rows: list[tuple[object, ...]] = []
    for o in counted:
        best = next((t for t in o.scored if judge.named(o.truth, t)), None)
        severity = best.severity if best and measures.found_of(o, LOW_DB) else "missed"
        rows.append((
            short(o.item.name), o.item.label, severity, f"{best.score_db:+.1f}" if best else None,
            pieces(best.scaled) if best else None, o.packets,
        ))  # fmt: skip
    yield ""
    yield "### Proxies and tunnels"
    yield from table(("capture", "label", "severity", "score, dB", "evidence", "packets"), rows, "lllrlr")
    known = labels()
    missed = [o for o in counted if not measures.found_of(o, LOW_DB)]
    if missed:
        yield "What those that are missed lack:"
        yield ""
        for o in missed:
            yield f"- {short(o.item.name)}: {known.get(o.item.name, {}).get('lacks') or 'not known'}"
        yield ""
    out = [o for o in real if o.item.kind in ("proxy", "tunnel") and o.item.excluded]
    if out:
        yield "Out of scope, and why:"
        yield ""
        reasons: dict[str, list[str]] = {}
        for o in out:
            reasons.setdefault(str(o.item.excluded), []).append(short(o.item.name))
        for reason, names in reasons.items():
            yield f"- {reason}: {', '.join(names)}"
        yield ""
        yield (
            "VPN protocols, remote desktops and SSH to a server are no proxies towards outside by themselves; what is "
            "told of them is listed, and counts neither as found nor as false."
        )
        yield ""
    rows = []
    for kind in ("anon", "vpn", "remote", "ssh", "benign"):
        mine = [o for o in real if o.item.kind == kind]
        told = [o for o in mine if o.told]
        medium = [o for o in mine if any(t.score_db >= measures.MEDIUM_DB for t in o.told)]
        rows.append((kind, len(mine), len(told), len(medium), some([short(o.item.name) for o in medium]) or None))
    yield "### Everything else"
    yield from table(("label", "captures", "told at low or above", "at medium or above", "which"), rows, "lrrrl")
    for o in real:
        for t in measures.false_of(o) if o.item.benign else ():
            yield f"- benign, yet told: {short(o.item.name)}, {t.entity} at {t.score_db:+.1f} ({pieces(t.scaled)})"
    broken = [o for o in real if o.error]
    if broken:
        yield f"- could not be read: {some([short(o.item.name) for o in broken])}"
    yield ""


def short(path: str) -> str:
    """The suite and the file."""
    first, _, rest = path.partition("/")
    parts = rest.split("/")
    name = "/".join(parts[-2:]) if parts[-1].startswith("input.") or len(parts[-1]) < 10 else parts[-1]
    return f"{first.split('__')[-1]}: {name}"
