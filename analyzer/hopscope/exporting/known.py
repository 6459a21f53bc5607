"""What must be known beside the findings before something is listed: resolvers, who shares an address, where names are.

The kept run knows it. Without one only the findings themselves tell, and that is less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hopscope.allow.items import Service, is_address, plain_address
from hopscope.dossier import CLIENTS
from hopscope.findings import Finding
from hopscope.narrowing import network

if TYPE_CHECKING:
    from hopscope.runs import Run

DNS_PORT = 53


@dataclass(frozen=True)
class Known:
    """`names` are those whose DNS answers gave an address, `asked` those that clients asked it for (SNI, HTTP host).

    `places` has the services where clients asked for a name, by sensor and name. Not `whole`: findings alone told it,
    CLIENTS names of an address at most. `doubts` are lines on what isn't known.
    """

    resolvers: frozenset[str]
    names: Mapping[str, frozenset[str]]
    asked: Mapping[str, frozenset[str]]
    places: Mapping[tuple[str, str], frozenset[Service]]
    doubts: tuple[str, ...] = ()
    whole: bool = True

    def at(self, address: str) -> frozenset[str]:
        """All names that are known to be at an address."""
        return self.names.get(address, frozenset()) | self.asked.get(address, frozenset())

    def led(self, addresses: Iterable[str]) -> frozenset[str]:
        """The names by which DNS led to any of these addresses."""
        return frozenset().union(*(self.names.get(a, frozenset()) for a in addresses))

    def inside(self, net: str) -> list[str]:
        """The addresses in an IPv6 /64 of which something is known."""
        return sorted(a for a in {*self.names, *self.asked} if _network(a) == net)


def of_run(run: Run, findings: Sequence[Finding]) -> Known:
    """What a kept run knows of the places of findings, from all its sensors."""
    pairs, answers, sets = run.window.pairs, run.window.names, run.window.sets
    dns = sets.filter(sets.kind == "service", sets.value.re_search(r"(^|,)dns(,|$)"))
    served = pairs.filter(pairs.port == DNS_PORT, pairs.established > 0).semi_join(dns, "pair")
    resolvers = served.select("server").distinct().to_pyarrow()["server"].to_pylist()
    named = sorted({f.entity.value for f in findings if f.entity.kind == "name"})
    at = pairs.filter(pairs.name.isin(named)).select("sensor", "name", "server", "port", "proto").distinct()
    places: dict[tuple[str, str], set[Service]] = {}
    for r in at.to_pyarrow().to_pylist() if named else ():
        places.setdefault((r["sensor"], r["name"]), set()).add(
            Service(plain_address(r["server"]), r["port"], r["proto"])
        )
    wanted = {f.hop for f in findings} | {s.address for some in places.values() for s in some}
    nets = {f.entity.value for f in findings if f.entity.kind == "network"}
    if nets:
        six = answers.filter(answers.address.contains(":")).select("address").distinct().to_pyarrow()["address"]
        wanted |= {a for a in six.to_pylist() if _network(a) in nets}
    some = sorted(wanted)
    led = answers.filter(answers.address.isin(some)).select("address", "name").distinct().to_pyarrow()
    asked = pairs.filter(pairs.server.isin(some), pairs.name.notnull())
    doubts = [] if resolvers else ["no resolver is known from the records; name yours with --never"]
    return Known(
        resolvers=frozenset(plain_address(r) for r in resolvers if is_address(r)),
        names=_by(led.to_pylist(), "address"),
        asked=_by(asked.select("server", "name").distinct().to_pyarrow().to_pylist(), "server"),
        places={key: frozenset(found) for key, found in places.items()},
        doubts=tuple(doubts),
    )


def of_findings(findings: Sequence[Finding]) -> Known:
    """What findings alone tell: resolvers among their connections, and at most CLIENTS names of each address."""
    names: dict[str, set[str]] = {}
    asked: dict[str, set[str]] = {}
    places: dict[tuple[str, str], set[Service]] = {}
    resolvers: set[str] = set()
    for f in findings:
        names.setdefault(plain_address(f.hop), set()).update(f.dns_names)
        asked.setdefault(plain_address(f.hop), set()).update(f.names)
        if f.entity.kind == "name":
            places.setdefault((f.sensor, f.entity.value), set()).add(Service(plain_address(f.hop), f.port, f.proto))
        told = (c for c in f.connections if c.get("resp_p") == DNS_PORT)
        resolvers |= {plain_address(str(c.get("resp_h"))) for c in told if "dns" in str(c.get("service")).split(",")}
    return Known(
        resolvers=frozenset(r for r in resolvers if is_address(r)),
        names={a: frozenset(n) for a, n in names.items()},
        asked={a: frozenset(n) for a, n in asked.items()},
        places={key: frozenset(found) for key, found in places.items()},
        doubts=(
            "without the kept run not all resolvers are known: name yours with --never",
            f"without the kept run at most {CLIENTS} of the names that share an address are known",
        ),
        whole=False,
    )


def _by(rows: Iterable[Mapping[str, str]], column: str) -> dict[str, frozenset[str]]:
    out: dict[str, set[str]] = {}
    for r in rows:
        out.setdefault(plain_address(r[column]), set()).add(r["name"])
    return {address: frozenset(names) for address, names in out.items()}


def _network(text: str) -> str | None:
    """The /64 of an IPv6 address; None of what is none, as a DNS answer can be any text with colons."""
    return network(text) if ":" in text and is_address(text) else None
