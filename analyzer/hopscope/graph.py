"""Candidate hops, their clients, far ends, names and certificates as one graph (networkx), built from findings.

Nodes have a `kind` (client, hop, far_end, name, certificate) and a `label`; edges have a `kind`:

| edge | from | to | attributes beside `finding` |
| --- | --- | --- | --- |
| near_leg | client | hop | score_db, severity, connections, bytes, first_seen, last_seen |
| far_leg | hop | far end, or the next hop | score_db, severity, known_by, distance_ms |
| asked_for | client (of findings that have no other) | name | |
| led_to | name that clients asked the hop for | hop | first_seen, last_seen |
| dns | name whose DNS answers gave the hop's address | hop | |
| shows_certificate | hop | certificate | heuristic |

Connections and bytes are those of the finding's sample of connections. Attributes that are unknown are left out.
Texts are as `escape.visible` makes them, so that no name from the wire can break a format or deceive a reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hopscope import chains as chaining
from hopscope.chains import Chains, Link
from hopscope.findings import SEVERITIES, Evidence, Finding
from hopscope.outputs.escape import visible

if TYPE_CHECKING:
    import networkx as nx

TEXT = 2_000  # code points of a text that are kept


@dataclass(frozen=True)
class Campaign:
    """Hops that belong together: numbers of findings, in order, and what they share."""

    name: str
    hops: tuple[int, ...]
    shared: tuple[str, ...]


@dataclass(frozen=True)
class HopGraph:
    """The graph, and what was found in it."""

    graph: nx.MultiDiGraph[str]
    chains: Chains
    campaigns: tuple[Campaign, ...]


def build(findings: Iterable[Finding]) -> HopGraph:
    """The graph of the findings; their order doesn't matter."""
    import networkx as nx  # here: only those who ask for the graph wait for its import

    ordered = sorted(findings, key=lambda f: f.id)
    linked = chaining.links(ordered)
    found = chaining.enumerate_chains(ordered, linked)
    groups = campaigns(ordered)
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    campaign = {i: c.name for c in groups for i in c.hops}
    for i, f in enumerate(ordered):
        _add_hop(graph, f)
        if name := campaign.get(i):
            graph.nodes[_hop(f)]["campaign"] = name
    leading: dict[int, set[str]] = {}  # addresses of the hops that lead to each
    onward: dict[int, list[Link]] = {}  # what leads on from each
    for link in linked:
        leading.setdefault(link.far, set()).add(ordered[link.near].hop)
        onward.setdefault(link.near, []).append(link)
    for i, f in enumerate(ordered):
        _add_near(graph, f, leading.get(i, set()))
        _add_far(graph, f, ordered, onward.get(i, []))
        for piece in f.evidence:
            if identity := _identity(piece):
                shown = _node(graph, "certificate", identity)
                _edge(graph, _hop(f), shown, "shows_certificate", f, heuristic=piece.heuristic)
    graph.graph["chains"] = [
        {"text": visible(c.text, TEXT), "score_db": c.score_db, "findings": [ordered[i].id for i in c.hops]}
        for c in found.chains
    ]
    graph.graph["chains_cut"] = found.cut
    graph.graph["campaigns"] = [
        {"name": c.name, "findings": [ordered[i].id for i in c.hops], "shared": [visible(s, TEXT) for s in c.shared]}
        for c in groups
    ]
    return HopGraph(graph, found, groups)


def campaigns(findings: Sequence[Finding]) -> tuple[Campaign, ...]:
    """Connected components of the hops that share a certificate, a host key or a far end that was leaked or seen, or
    among which one client's behaviour moves.
    """
    import networkx as nx

    shared: nx.Graph[int | str] = nx.Graph()
    places: dict[str, list[int]] = {}
    for i, f in enumerate(findings):
        for place in {f.hop, *f.names, *f.dns_names}:
            places.setdefault(place, []).append(i)
    for i, f in enumerate(findings):
        # what clients ask proxies for may be anything that is popular
        for value, known_by in chaining.known_ends(f).items():
            if known_by != "asked":
                shared.add_edge(i, f"far end {value}")
        for piece in f.evidence:
            if piece.decibans <= 0:
                continue
            if identity := _identity(piece):
                shared.add_edge(i, identity)
            for other in _others(piece):
                for j in places.get(other, ()):
                    if i != j:
                        shared.add_edge(i, j, what=f"behaviour of {piece.client or 'a client'} that moves")
    out = []
    for component in nx.connected_components(shared):
        hops = sorted(n for n in component if isinstance(n, int))
        if len({findings[i].hop for i in hops}) < 2:
            continue
        keys = {n for n in component if isinstance(n, str)}
        keys |= {d["what"] for *_, d in shared.subgraph(component).edges(data=True) if "what" in d}
        out.append((tuple(hops), tuple(sorted(keys))))
    return tuple(Campaign(f"campaign {n}", *of) for n, of in enumerate(sorted(out), 1))


def _identity(piece: Evidence) -> str | None:
    """What `shared_identity` found at several addresses: `SSH host key ab12...`; None of other evidence."""
    value = piece.facts.get("value")
    if piece.heuristic != "shared_identity" or not isinstance(value, str):
        return None
    return f"{piece.facts.get('identity') or 'certificate'} {value}"


def _others(piece: Evidence) -> list[str]:
    """The other destinations, addresses or names, among which `rotation` saw a client's behaviour move."""
    others = piece.facts.get("others")
    return others.split(", ") if piece.heuristic == "rotation" and isinstance(others, str) else []


def _hop(finding: Finding) -> str:
    return _key("hop", finding.entity.value)


def _key(kind: str, value: str) -> str:
    return f"{kind} {visible(value, TEXT)}"


def _add_hop(graph: nx.MultiDiGraph[str], f: Finding) -> None:
    """The finding's hop. Findings of several sensors about one entity are one hop, as strong as the strongest."""
    key = _hop(f)
    seen = graph.nodes[key] if key in graph else {}
    score, severity = max(
        (f.score_db, f.severity),
        (seen.get("score_db", f.score_db), seen.get("severity", f.severity)),
        key=lambda s: (s[0], SEVERITIES.index(s[1])),
    )
    _node(
        graph, "hop", f.entity.value, chaining.place(f),
        entity=f.entity.kind, address=f.hop, port=f.port, proto=f.proto, score_db=score, severity=severity,
        attack=" ".join(sorted({*f.attack, *str(seen.get("attack", "")).split()})),
        findings=" ".join(sorted({f.id, *str(seen.get("findings", "")).split()})),
        first_seen=min(f.first_seen, seen.get("first_seen", f.first_seen)),
        last_seen=max(f.last_seen, seen.get("last_seen", f.last_seen)),
    )  # fmt: skip


def _add_near(graph: nx.MultiDiGraph[str], f: Finding, leading: set[str]) -> None:
    """Clients and names. A client that is itself a hop leading here has no near leg: its far leg is that."""
    times = {"first_seen": f.first_seen, "last_seen": f.last_seen}
    for name in f.names:
        _edge(graph, _node(graph, "name", name), _hop(f), "led_to", f, **times)
    for name in f.dns_names:
        _edge(graph, _node(graph, "name", name), _hop(f), "dns", f)
    for client in f.clients:
        if client in leading:
            continue
        key = _node(graph, "client", client)
        theirs = [c for c in f.connections if c.get("orig_h") == client]
        sizes = [c.get(k) or 0 for c in theirs for k in ("orig_bytes", "resp_bytes")]
        counted = {"connections": len(theirs), "bytes": sum(sizes)} if theirs else {}
        _edge(graph, key, _hop(f), "near_leg", f, score_db=f.score_db, severity=f.severity, **counted, **times)
        if len(f.clients) == 1:  # which of several clients asked for the name isn't told
            for name in f.names:
                _edge(graph, key, _key("name", name), "asked_for", f)


def _add_far(graph: nx.MultiDiGraph[str], f: Finding, findings: Sequence[Finding], onward: Sequence[Link]) -> None:
    about = {"score_db": f.score_db, "severity": f.severity, "distance_ms": f.far_end.distance_ms}
    for link in onward:
        _edge(graph, _hop(f), _hop(findings[link.far]), "far_leg", f, known_by=link.known_by, **about)
    known = chaining.known_ends(f)
    led = {link.value for link in onward}
    for value, known_by in known.items():
        if value not in led:
            _edge(graph, _hop(f), _node(graph, "far_end", value), "far_leg", f, known_by=known_by, **about)
    if not known:
        key = _node(graph, "far_end", f"of {f.entity.value}", chaining.far_end(f))
        measured = "distance" if f.far_end.distance_ms is not None else None
        _edge(graph, _hop(f), key, "far_leg", f, known_by=measured, **about)


def _node(graph: nx.MultiDiGraph[str], kind: str, value: str, label: str | None = None, **attributes: Any) -> str:
    """Adds the node and gives its key."""
    key = _key(kind, value)
    graph.add_node(key, kind=kind, label=visible(value if label is None else label, TEXT), **_known(attributes))
    return key


def _edge(graph: nx.MultiDiGraph[str], start: str, end: str, kind: str, f: Finding, **attributes: Any) -> None:
    key = f"{kind} {f.id} {graph.number_of_edges()}"
    graph.add_edge(start, end, key=key, kind=kind, finding=f.id, **_known(attributes))


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes without the unknown ones; texts visible."""
    return {k: visible(v, TEXT) if isinstance(v, str) else v for k, v in attributes.items() if v is not None}
