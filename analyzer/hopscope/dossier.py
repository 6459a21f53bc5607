"""From scored entities to findings: the facts, connections and words that explain each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import pyarrow as pa

from hopscope import __version__, chains, fusion, runs
from hopscope.config import Config, FusionSettings
from hopscope.findings import Entity, Evidence, FarEnd, Finding, endpoint, finding_id, instant
from hopscope.fusion import Scored
from hopscope.heuristics import registry
from hopscope.heuristics.base import Window
from hopscope.matches import HostsTold
from hopscope.runs import Run, Take

CONNECTIONS = 20  # connections kept with a finding
CLIENTS = 50  # clients, names and fingerprints kept with a finding
FINGERPRINTS = ("ja4", "server_hello", "cert_sha256", "cert_subject", "ssh_host_key", "ssh_server", "ssh_client",
                "user_agent")  # fmt: skip
EXTERNAL, INTERNAL, TUNNEL = "T1090.002", "T1090.001", "T1572"
TUNNELS = frozenset({"nested_tls", "carried_protocol"})  # heuristics that see one protocol inside another

Rows = Mapping[str, Mapping[str, Any]]  # by heuristic, the row of evidence of an entity's best client


def findings(window: Window, config: Config, read: Mapping[str, Any]) -> list[Finding]:
    """All findings of a window from `low` up, strongest first; `read` tells what was read and is kept with each."""
    return of_run(runs.weighed(window, {}, config, read))


def of_run(run: Run) -> list[Finding]:
    """All findings of a run from `low` up, strongest first."""
    window, config = run.window, run.config
    scored = fusion.rank(window, run.tables, config.fusion)
    if not scored:
        return []
    taken = _taken(scored, run.take)
    rows = [{name: taken[name][place] for name, place in s.rows.items()} for s in scored]
    about = _About(window, scored, rows)
    known = "none" if window.baseline is None else window.baseline.about.label
    versions = {"hopscope": __version__, "settings": _digest(config), "baseline": known}
    out = [
        _finding(s, r, about, config.fusion, run.void, dict(run.read), versions)
        for s, r in zip(scored, rows, strict=True)
    ]
    return chains.with_chains(out)


def _taken(scored: Sequence[Scored], take: Take) -> dict[str, dict[int, dict[str, Any]]]:
    """By heuristic and place the rows that the entities need."""
    wanted: dict[str, set[int]] = {}
    for s in scored:
        for name, place in s.rows.items():
            wanted.setdefault(name, set()).add(place)
    return {name: dict(zip(sorted(places), take(name, sorted(places)), strict=True)) for name, places in wanted.items()}


class _About:
    """What the window knows of the entities beside the evidence, asked for all of them at once."""

    def __init__(self, window: Window, scored: Sequence[Scored], rows: Sequence[Rows]):
        self.start_us, self.end_us = window.start_us, window.end_us
        servers = sorted({row["server"] for r in rows for row in r.values()})
        names = sorted({s.entity.value for s in scored if s.entity.kind == "name"})
        p = window.pairs
        mine = p.server.isin(servers) | p.name.isin(names) if names else p.server.isin(servers)
        pairs = p.filter(mine).to_pyarrow()
        self.connections = _connections(
            window, sorted({u for r in rows for row in r.values() for u in row["uids"] or ()})
        )
        self.dns_names = _dns_names(window, servers)
        theirs = ibis.memtable(pairs.select(["pair"]))
        shown = window.sets.filter(window.sets.kind.isin(FINGERPRINTS)).semi_join(theirs, "pair")
        self._shown: dict[int, set[str]] = {}
        for r in shown.select("pair", "kind", "value").distinct().to_pyarrow().to_pylist():
            self._shown.setdefault(r["pair"], set()).add(f"{r['kind']}:{r['value']}")
        asked = {n for known in self.dns_names.values() for n in known} | {n for n in pairs["name"].to_pylist() if n}
        self.hosts = HostsTold(window, servers, sorted(asked))
        self._by: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for pair in pairs.to_pylist():
            for kind in ("server", "name"):
                if pair[kind] is not None:
                    self._by.setdefault((pair["sensor"], kind, pair[kind]), []).append(pair)

    def pairs(self, scored: Scored, server: str) -> list[dict[str, Any]]:
        """The entity's pairs; of a network those of its strongest address."""
        kind, value = scored.entity.kind, scored.entity.value
        if kind == "name":
            return self._by.get((scored.sensor, "name", value), [])
        if kind != "service":
            return self._by.get((scored.sensor, "server", value if kind == "address" else server), [])
        address, port, proto = value.rsplit("|", 2)
        mine = self._by.get((scored.sensor, "server", address), [])
        return [p for p in mine if (p["port"], p["proto"]) == (int(port), proto)]

    def fingerprints(self, pairs: Sequence[Mapping[str, Any]]) -> list[str]:
        """What hop and clients showed in these pairs, `kind:value`, in order."""
        return sorted({f for p in pairs for f in self._shown.get(p["pair"], ())})


def _finding(
    scored: Scored,
    rows: Rows,
    about: _About,
    settings: FusionSettings,
    void: Mapping[str, str],
    read: dict[str, Any],
    versions: dict[str, str],
) -> Finding:
    known = registry()
    best = _best(scored, rows)
    server, port, proto = best["server"], best["port"], best["proto"]
    if scored.entity.kind in ("address", "network"):
        port = proto = None
    pairs = about.pairs(scored, server)
    evidence = tuple(
        _evidence(name, rows[name], scored, settings) for name in sorted(rows, key=lambda n: (-scored.scaled[n], n))
    )
    inside = any(known[n].group in fusion.INSIDE and scored.scaled[n] > 0 for n in rows)
    through = rows.get("sigma_rules", {}).get("through") is not None
    tunnel = through or any(scored.scaled[n] > 0 for n in TUNNELS & rows.keys())
    told = [u for e in evidence for u in e.uids if u in about.connections]
    dns_names = about.dns_names.get((scored.sensor, server), [])
    clients = sorted({e.client for e in evidence if e.client and e.decibans > 0} | {p["client"] for p in pairs})
    value = f"{endpoint(server, port)}/{proto}" if scored.entity.kind == "service" else scored.entity.value
    shown = Entity(scored.entity.kind, value)
    return Finding(
        id=finding_id(scored.entity, scored.sensor),
        entity=shown,
        hop=server,
        port=port,
        proto=proto,
        clients=tuple(clients[:CLIENTS]),
        clients_total=len(clients),
        sensor=scored.sensor,
        names=tuple(sorted({p["name"] for p in pairs if p["name"] is not None})[:CLIENTS]),
        first_seen=instant(min((p["first_us"] for p in pairs), default=about.start_us)),
        last_seen=instant(max((p["last_us"] for p in pairs), default=about.end_us)),
        score_db=round(scored.score_db, 1),
        severity=severity(scored.score_db, settings),
        prior_db=settings.prior_db,
        evidence=evidence,
        far_end=_far_end(rows),
        attack=(INTERNAL if inside else EXTERNAL, *((TUNNEL,) if tunnel else ())),
        d3fend=tuple(sorted({known[n].d3fend for n in rows if scored.scaled[n] > 0})),
        counterfactuals={n: round(fusion.without(scored, n, settings), 1) for n in sorted(rows)},
        void={**void, **{n: r["void"] for n, r in rows.items() if r["void"]}},
        connections=tuple(about.connections[u] for u in dict.fromkeys(told))[:CONNECTIONS],
        input=read,
        versions=versions,
        dns_names=tuple(dns_names[:CLIENTS]),
        fingerprints=tuple(about.fingerprints(pairs)[:CLIENTS]),
        processes=about.hosts.processes(scored, pairs, set(told)),
        rules=about.hosts.rules(scored, pairs, dns_names),
    )


def _best(scored: Scored, rows: Rows) -> Mapping[str, Any]:
    """The row that says most: the entity is told at its place."""
    return max(rows.items(), key=lambda i: (scored.scaled[i[0]], i[0]))[1]


def _dns_names(window: Window, servers: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """The names whose DNS answers gave each address, by (sensor, address), in order."""
    answers = window.names.filter(window.names.address.isin(sorted(set(servers))))
    out: dict[tuple[str, str], list[str]] = {}
    for r in answers.select("sensor", "address", "name").distinct().to_pyarrow().to_pylist():
        out.setdefault((r["sensor"], r["address"]), []).append(r["name"])
    return {key: sorted(names) for key, names in out.items()}


def severity(score_db: float, s: FusionSettings) -> str:
    """The severity of a score; `info` below low."""
    steps = (("critical", s.critical_db), ("high", s.high_db), ("medium", s.medium_db), ("low", s.low_db))
    return next((name for name, floor in steps if score_db >= floor), "info")


def _evidence(name: str, row: Mapping[str, Any], scored: Scored, settings: FusionSettings) -> Evidence:
    heuristic = registry()[name]
    raw, clients = scored.pieces[name]
    given = scored.scaled[name]
    full = fusion.weighted(name, raw, clients, settings)
    facts = {f.name: row[f.name] for f in heuristic.facts}
    return Evidence(
        heuristic=name,
        decibans=round(given, 1),
        sentence=heuristic.sentence(facts),
        threshold=row["threshold"],
        facts=facts,
        units={f.name: f.unit for f in heuristic.facts if f.unit},
        client=row["client"],
        clients=clients,
        uids=tuple(row["uids"] or ()),
        capped_from=round(full, 1) if abs(full - given) > 0.05 else None,
        raw_db=raw,
    )


def _far_end(rows: Rows) -> FarEnd:
    """What the evidence knows of what stands behind the hop."""
    gap, relay, proxy = rows.get("path_gap"), rows.get("relay_pattern"), rows.get("proxy_protocol")
    seen = endpoint(relay["far_peer"], relay["far_port"]) if relay and relay.get("far_peer") else None
    asked = proxy["targets"][0] if proxy and proxy["targets"] else None
    leak = rows.get("leaked_far_end")
    leaked = leak["far_ends"][0] if leak and leak["far_ends"] else None
    if gap is None or gap["distance_ms"] is None:
        return FarEnd(leaked=leaked, seen=seen, asked=asked)
    near = gap["hop_rtt_ms"]
    return FarEnd(
        leaked=leaked,
        seen=seen,
        asked=asked,
        distance_ms=gap["distance_ms"],
        spread_ms=gap["spread_ms"],
        hop_rtt_ms=near,
        answer_rtt_ms=round(near + gap["distance_ms"], 1),
    )


def _connections(window: Window, uids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The connections behind the evidence by uid: the last segment's totals, with the record's field names."""
    if not uids:
        return {}
    out: dict[str, dict[str, Any]] = {}
    wanted = ibis.memtable(pa.table({"uid": pa.array(uids, pa.string())}))
    # a connection between two hosts of ours has a leg at each, which tell the same
    legs = {(r["uid"], r["seg"], r["role"]): r for r in window.legs.semi_join(wanted, "uid").to_pyarrow().to_pylist()}
    for (uid, seg, role), r in sorted(legs.items()):
        accepts = role == "accept"
        if not accepts and (uid, seg, "accept") in legs:
            continue
        own, peer = (r["host"], r["own_port"]), (r["peer"], r["peer_port"])
        (oh, op), (rh, rp) = (peer, own) if accepts else (own, peer)
        up, down = (r["in_bytes"], r["out_bytes"]) if accepts else (r["out_bytes"], r["in_bytes"])
        out[r["uid"]] = {
            "uid": r["uid"], "ts": instant(r["start_us"]), "orig_h": oh, "orig_p": op, "resp_h": rh, "resp_p": rp,
            "proto": r["proto"], "service": r["service"], "duration": round((r["end_us"] - r["start_us"]) / 1e6, 6),
            "orig_bytes": _total(out.get(r["uid"], {}).get("orig_bytes"), up),
            "resp_bytes": _total(out.get(r["uid"], {}).get("resp_bytes"), down),
        }  # fmt: skip
    kept = ("duration", "orig_bytes", "resp_bytes", "conn_state", "tcp_rtt", "hello_rtt", "finished_rtt", "first_reply",
            "reply_p10", "replies")  # fmt: skip
    samples = window.samples.semi_join(wanted, "uid")
    for r in sorted(samples.to_pyarrow().to_pylist(), key=lambda r: (r["uid"], r["seg"])):
        out[r["uid"]] = {
            "uid": r["uid"], "ts": instant(r["ts_us"]), "orig_h": r["client"], "orig_p": r["client_port"],
            "resp_h": r["server"], "resp_p": r["port"], "proto": r["proto"], "service": r["service"],
            **{k: r[k] for k in kept},
        }  # fmt: skip
    return out


def _total(one: int | None, more: int | None) -> int | None:
    """The sum of what is known."""
    return None if one is None and more is None else (one or 0) + (more or 0)


def _digest(config: Config) -> str:
    """Names the settings that were in force, so that two runs can be told apart."""
    sections = (config.network, config.vantage, config.window, config.events, config.sigma, config.fusion)
    parts = (*sections, sorted(config.disabled))
    overrides = [
        (
            o.networks,
            sorted(o.hours or ()),
            sorted(o.disabled),
            sorted((n, sorted(v.items())) for n, v in o.heuristics.items()),
        )
        for o in config.overrides
    ]
    text = repr((parts, sorted(config.heuristics.items()), *overrides))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
