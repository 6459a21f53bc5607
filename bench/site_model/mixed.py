"""A site of many hops and of many ordinary programs that look like hops, drawn anew for each seed.

`week` is one office whose programs were thought up for a tutorial; here kinds have counts and everything else is
drawn, so that what is learnt of some destinations can be tried on others. One working day.

| kind | how many | hop | the way to it, and behind it (round trips, lognormal) | calls |
| --- | --- | --- | --- | --- |
| redirector | 45 | yes | 30 ms, 0.5; 60 ms, 0.5; dials | sleeps 30 s to 10 min, jitter 10 to 50 %; 40 % bare |
| exfiltration | 12 | yes | as redirector | sleeps 10 to 30 min in working hours, jitter 50 %, 20 MB up; bare |
| tunnel | 13 | yes | as redirector | SOCKS, every 2 to 8 min in working hours, jitter 90 %; bare |
| agent | 15 | no | 25 ms, 0.8; nothing | a timer (PERIODS), jitter 0 to 2 %, one or two hosts; bare |
| edge | 130 | no | 9 ms, 0.4; 80 ms, 0.4, connections kept open | a timer, jitter 0 to 5 %, 1 to 3 hosts; by name |
| gateway | 25 | no | 15 ms, 0.5; 60 ms, 0.5; dials | a timer, jitter 0 to 20 %, one host; half by name |
| backup | 20 | no | 9 ms, 0.4; 60 ms, 0.4, kept open | every 5 to 15 min at night, 8 MB up; bare |

Agents, edges, gateways and backups raise false findings, gateways without anything to tell them from redirectors
but their steadier timer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from site_model.places import PERIODS, SECOND, Program, Site, Size, build

HOSTS, HOURS, CONNECTIONS = 100, 24, 16_000
WORK, NIGHT = (8, 18), (22, 5)
HOPS = ("redirector", "exfiltration", "tunnel")
COUNTS = {"redirector": 45, "exfiltration": 12, "tunnel": 13, "agent": 15, "edge": 130, "gateway": 25, "backup": 20}
NEAR, RENTED = (9_000, 0.4), (30_000, 0.5)
SMALL = (900.0, 0.02)


def site(seed: int) -> Site:
    """The site of that seed; `Site.programs` has the kinds."""
    base = build(Size(HOSTS, HOURS, CONNECTIONS, seed))
    rng = np.random.default_rng([seed, 0, 2])
    kinds = [kind for kind, count in COUNTS.items() for _ in range(count)]
    order = rng.permutation(len(kinds))
    addresses = [f"{(198, 203, 192)[i % 3]}.{18 + i // 200}.{i % 200}.{int(rng.integers(1, 250))}" for i in order]
    first = len(base.addresses)
    programs, rtt, names, homes = [], [], [], []
    for n, kind in enumerate(kinds):
        drawn = _drawn(kind, rng)
        rtt.append(max(_way(rng, drawn["way"]), 2000))
        name = -1
        if rng.random() < drawn["named"]:
            name = len(base.names) + len(names)
            names.append(f"{kind[0]}{n}.{('static', 'api', 'in', 'relay')[int(rng.integers(4))]}-{order[n]}.example")
            homes.append(first + n)
        clients = rng.choice(base.hosts if kind != "backup" else base.servers, drawn["clients"], replace=False)
        programs.append(Program(
            kind, clients, first + n, int(rng.choice([443, 443, 443, 8443])) if kind != "tunnel" else 1080, name,
            int(drawn["period"]) * SECOND, drawn["jitter"], drawn["behind"], drawn["dials"], drawn.get("up", SMALL),
            float(rng.lognormal(np.log(1800), 0.6)), (0, 1), drawn.get("hours", (0, 24)),
            service=8 if kind == "tunnel" else 1, length_s=drawn.get("length", 0.4),
            sleeps=kind in ("redirector", "exfiltration"),
        ))  # fmt: skip
    home = np.array(homes, np.int64)
    return replace(
        base, addresses=pa.concat_arrays([base.addresses, pa.array(addresses)]),
        local=np.concatenate([base.local, np.zeros(len(kinds), bool)]), rtt_us=np.concatenate([base.rtt_us, rtt]),
        names=pa.concat_arrays([base.names, pa.array(names, pa.string())]),
        home=np.concatenate([base.home, np.stack([home, home], axis=1)]), hops=(), programs=tuple(programs),
    )  # fmt: skip


def is_hop(program: Program) -> bool:
    """Whether the program's server is a hop."""
    return program.kind in HOPS


def _drawn(kind: str, rng: np.random.Generator) -> dict[str, Any]:
    seconds, weights = zip(*PERIODS, strict=True)
    timer = rng.choice(seconds, p=np.array(weights) / sum(weights))
    hop = {"way": RENTED, "behind": _way(rng, (60_000, 0.5)), "dials": True, "clients": 1}
    plain = {"way": NEAR, "behind": 0, "dials": False, "clients": 1, "period": timer}
    if kind == "redirector":
        return hop | {"named": 0.6, "period": rng.choice([30, 60, 120, 300, 600]), "jitter": rng.uniform(0.1, 0.5)}
    if kind == "exfiltration":
        return hop | {"named": 0.0, "period": rng.integers(600, 1800), "jitter": 0.5, "up": (2e7, 0.5),
                      "hours": WORK, "length": 20.0}  # fmt: skip
    if kind == "tunnel":
        return hop | {"named": 0.0, "period": rng.integers(120, 480), "jitter": 0.9, "up": (3000.0, 1.0), "hours": WORK}
    if kind == "agent":
        return plain | {"named": 0.0, "way": (25_000, 0.8), "jitter": rng.uniform(0, 0.02),
                        "clients": int(rng.integers(1, 3))}  # fmt: skip
    if kind == "edge":
        return plain | {"named": 1.0, "behind": _way(rng, (80_000, 0.4)), "jitter": rng.uniform(0, 0.05),
                        "clients": int(rng.integers(1, 4))}  # fmt: skip
    if kind == "gateway":
        return plain | {"named": 0.5, "way": (15_000, 0.5), "behind": _way(rng, (60_000, 0.5)), "dials": True,
                        "jitter": rng.uniform(0, 0.2)}  # fmt: skip
    return plain | {"named": 0.0, "behind": _way(rng, (60_000, 0.4)), "hours": NIGHT,
                    "jitter": rng.uniform(0, 0.02), "period": rng.integers(300, 900), "up": (8e6, 0.02),
                    "length": 9.0}  # fmt: skip


def _way(rng: np.random.Generator, drawn: tuple[float, float]) -> int:
    return int(rng.lognormal(np.log(drawn[0]), drawn[1]))
