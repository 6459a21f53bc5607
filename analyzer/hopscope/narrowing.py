"""Of the overlapping entities that scored, the narrowest that explain the evidence: each hop is told once.

A name, a service (address and port), an address and an IPv6 /64 hold one another; a wider one is told only
when it scores `widen_db` more than what lies in it, or has more services than a person wants to read.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING

from hopscope.config import FusionSettings
from hopscope.heuristics.base import Window

if TYPE_CHECKING:
    from hopscope.fusion import Scored


def narrowest(near: list[Scored], window: Window, settings: FusionSettings) -> list[Scored]:
    """Those to tell, of entities of any sensors that scored."""
    out: list[Scored] = []
    for sensor in sorted({s.sensor for s in near}):
        out += _Overlap([s for s in near if s.sensor == sensor], window, settings).resolve()
    return out


class _Overlap:
    """The entities of one sensor that scored, and which lies in which."""

    def __init__(self, near: list[Scored], window: Window, settings: FusionSettings):
        self.by = {(s.entity.kind, s.entity.value): s for s in near}
        self.widen = settings.widen_db
        self.most = settings.services_told
        pairs = window.pairs.filter(window.pairs.server.isin(sorted({s.address for s in near})))
        seen = pairs.filter(pairs.sensor == near[0].sensor).select("server", "port", "proto", "name").distinct()
        self.names: dict[str, set[str]] = {}  # service -> all names asked for there, near or not
        self.services: dict[str, set[str]] = {}  # address -> services
        self.addresses: dict[str, set[str]] = {}  # network -> addresses
        for r in seen.to_pyarrow().to_pylist():
            service = f"{r['server']}|{r['port']}|{r['proto']}"
            self.names.setdefault(service, set()).update([r["name"]] if r["name"] is not None else [])
            self.services.setdefault(r["server"], set()).add(service)
            if ":" in r["server"]:
                self.addresses.setdefault(network(r["server"]), set()).add(r["server"])

    def resolve(self) -> list[Scored]:
        wide_names = [s for (kind, _), s in self.by.items() if kind == "name" and self._beyond_its_services(s)]
        told = {s.entity.value for s in wide_names}
        chosen = {s.entity: s for s in wide_names}
        tops = [v for (kind, v) in self.by if kind == "network"]
        inside = {a for n in tops for a in self.addresses.get(n, ())}
        for n in sorted(tops):
            chosen |= {s.entity: s for s in self._level("network", n, told)}
        for kind, a in sorted(self.by):
            if kind == "address" and a not in inside:
                chosen |= {s.entity: s for s in self._level("address", a, told)}
        return list(chosen.values())

    def _level(self, kind: str, value: str, told: set[str]) -> list[Scored]:
        """What to tell of a network or an address: itself when it says more than what lies in it, else those."""
        wide = self.by[(kind, value)]
        if kind == "network":
            inner = [("address", a) for a in sorted(self.addresses.get(value, ())) if ("address", a) in self.by]
        else:
            inner = [("service", s) for s in sorted(self.services.get(value, ())) if ("service", s) in self.by]
        best = max((self.by[k].score_db for k in inner), default=None)
        if best is None or wide.score_db >= best + self.widen or len(inner) > self.most:
            return [wide]
        if kind == "network":
            return [s for _, a in inner for s in self._level("address", a, told)]
        return [s for _, service in inner for s in self._service(service, told)]

    def _service(self, service: str, told: set[str]) -> list[Scored]:
        """A service, or one name on it when it serves several and that one alone stands out."""
        names = self.names.get(service, set())
        near = [self.by[("name", n)] for n in sorted(names) if ("name", n) in self.by]
        if near and all(s.entity.value in told for s in near):
            return []
        wide = self.by[("service", service)]
        if len(names) > 1 and len(near) == 1 and wide.score_db < near[0].score_db + self.widen:
            return near
        return [wide]

    def _beyond_its_services(self, name: Scored) -> bool:
        """The name's evidence is spread over services, none of which explains it alone."""
        at = [("service", s) for s, names in self.names.items() if name.entity.value in names]
        best = max((self.by[k].score_db for k in at if k in self.by), default=None)
        return best is None or name.score_db >= best + self.widen


@functools.lru_cache(1 << 17)
def network(address: str) -> str:
    """The /64 of an IPv6 address."""
    return str(ipaddress.ip_network((address, 64), strict=False))
