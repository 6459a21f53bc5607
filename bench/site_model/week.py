"""A small office for three weeks: ordinary programs that look like hops, and why they do, and four hops.

Its browsing, mail, updates and agents are the site of `places` and `traffic`. Beside them it has programs that
call by the clock and whose servers answer from behind something near: what path_gap measures is there, only no
hop. Ways are drawn, not chosen:

| what | drawn from |
| --- | --- |
| the way to a near front (accelerator, point of presence) | lognormal, median 9 ms, sigma 0.4 |
| from there to the server that ends TLS | lognormal, median 80 ms, sigma 0.4; connections are kept open: no dial |
| the way to a rented machine | lognormal, median 30 ms, sigma 0.5 |
| from there to what it relays to | lognormal, median 60 ms, sigma 0.5; dialled on accept, as socat and HAProxy do |
| a program's period, where its kind doesn't say | one of `places.PERIODS` by its weight |
| its jitter | timers: 0 to 2 % of the period; implants sleep the period less up to their jitter; people: random |
| its answers | "nothing new" of one size, give or take 12 bytes; 5 % news, lognormal about 4 times that, sigma 0.8 |

`KINDS` tells who they are and which mechanism makes them look so. Weekends have a third of the week's traffic.
The first day is an exercise in which a red team used hops of its own, and reported them; the week begins three
weeks later and ends with the Monday after it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from site_model.places import DAY, PERIODS, SECOND, Agents, Floats, Ints, Program, Site, Size, build

HOSTS, SEED = 48, 1
CONNECTIONS_A_DAY = 20_000  # of a working day, programs below included
WEEK = 21  # days from the exercise to the week's Monday
DAYS = (0, *range(WEEK, WEEK + 8))  # the days of which there are records
DURING = (WEEK, WEEK + 8)  # the hops' days; all else was there before
WEEKEND = 0.3  # of a working day's traffic
NIGHT, WORK = (22, 5), (8, 18)  # first hour, and the one after the last
SMALL = (900.0, 0.02)  # a report: bytes up, sigma

KINDS = {
    "monitoring": "a monitoring server checks the office's sites at every point of presence of a TCP accelerator, "
    "by address: TCP ends there, TLS at the site",
    "connector": "connectors of business software report to their maker through an accelerator of the maker's cloud",
    "backup": "backup servers send blocks of one size to storage nodes whose addresses their controller told them, "
    "through the provider's nearest load balancer",
    "inventory": "each day another tenth of the machines is scanned for what is installed, through the accelerator "
    "of the maker",
    "building": "cameras, lifts and heating keep in touch with their makers' relays, at built-in addresses",
    "branch": "a branch and a partner are reached through a provider's gateway: TCP ends there",
    "redirector": "an implant behind a redirector on a rented machine",
    "exfiltration": "files go out through a redirector, in working hours",
    "tunnel": "a SOCKS proxy on a rented machine, used by a person",
    "exercise": "the red team's hops: redirectors for implants, and for sessions and files by hand, for one day",
}
"""What each kind of program is, and why it looks like a hop."""
HOPS = ("redirector", "exfiltration", "tunnel", "exercise")


class _Plan:
    """Gathers programs with the addresses and names that they need beside a site's own."""

    def __init__(self, site: Site, rng: np.random.Generator):
        self.site, self.rng = site, rng
        self.addresses: list[str] = []
        self.local: list[bool] = []
        self.rtt: list[float] = []
        self.names: list[str] = []
        self.home: list[int] = []
        self.programs: list[Program] = []

    def address(self, text: str, rtt_us: float, local: bool = False) -> int:
        self.addresses.append(text)
        self.local.append(local)
        self.rtt.append(rtt_us)
        return len(self.site.addresses) + len(self.addresses) - 1

    def ours(self, *texts: str) -> Ints:
        return np.array([self.address(text, 300.0, local=True) for text in texts])

    def name(self, text: str, address: int) -> int:
        self.names.append(text)
        self.home.append(address)
        return len(self.site.names) + len(self.names) - 1

    def period(self) -> int:
        seconds, weights = zip(*PERIODS, strict=True)
        return int(self.rng.choice(seconds, p=np.array(weights) / sum(weights)))

    def front(self, kind: str, clients: Ints, address: str, port: int = 443, name: str | None = None,
              period_s: int | None = None, **other: object) -> None:  # fmt: skip
        """A program whose server answers from behind something near."""
        rng = self.rng
        server = self.address(address, max(rng.lognormal(np.log(9000), 0.4), 2000))
        self._add(kind, clients, server, port, name, period_s or self.period(), rng.uniform(0, 0.02),
                  rng.lognormal(np.log(80_000), 0.4), False, other)  # fmt: skip

    def rented(self, kind: str, clients: Ints, address: str, port: int, jitter: float, period_s: int,
               name: str | None = None, **other: object) -> None:  # fmt: skip
        """A hop."""
        rng, other = self.rng, {"days": DURING, "sleeps": True, **other}
        server = self.address(address, max(rng.lognormal(np.log(30_000), 0.5), 2000))
        self._add(kind, clients, server, port, name, period_s, jitter, rng.lognormal(np.log(60_000), 0.5), True, other)

    def _add(self, kind: str, clients: Ints, server: int, port: int, name: str | None, period_s: int, jitter: float,
             gap_us: float, dials: bool, other: dict[str, object]) -> None:  # fmt: skip
        usual = {"up": SMALL, "down": self.rng.lognormal(np.log(1800), 0.6), "days": (0, WEEK + 8)}
        known = -1 if name is None else self.name(name, server)
        self.programs.append(Program(kind, clients, server, port, known, period_s * SECOND, jitter, int(gap_us), dials,
                                     **(usual | other)))  # type: ignore[arg-type] # fmt: skip

    def finished(self, agents: Agents) -> Site:
        s = self.site
        home = np.array(self.home, np.int64)
        return replace(
            s, size=replace(s.size, hours=24 * (DAYS[-1] + 1)),
            addresses=pa.concat_arrays([s.addresses, pa.array(self.addresses)]),
            local=np.concatenate([s.local, self.local]), rtt_us=np.concatenate([s.rtt_us, self.rtt]),
            names=pa.concat_arrays([s.names, pa.array(self.names)]),
            home=np.concatenate([s.home, np.stack([home, home], axis=1)]),
            agents=agents, hops=(), programs=tuple(self.programs), share=_share(),
        )  # fmt: skip


def office() -> Site:
    """The site; always the same one."""
    site = build(Size(HOSTS, 24 * len(DAYS), CONNECTIONS_A_DAY * len(DAYS), SEED))
    plan = _Plan(site, np.random.default_rng([SEED, 0, 1]))
    desk, servers = site.hosts, site.servers
    backup = plan.ours(*(f"10.0.2.{10 + i}" for i in range(8)))
    monitor = plan.ours("10.0.0.60")
    building = plan.ours("10.9.0.20", "10.9.0.21", "10.9.0.22")
    _monitoring(plan, monitor)
    _connectors(plan, servers, desk)
    _backups(plan, backup)
    _inventory(plan, desk)
    _building(plan, building)
    _branch(plan, desk, servers)
    _hops(plan, desk, backup)
    _exercise(plan, desk, servers)
    everyday = np.concatenate([backup, monitor, building, servers])
    return plan.finished(_with(site.agents, everyday, plan))


def _monitoring(plan: _Plan, monitor: Ints) -> None:
    for i in range(8):
        plan.front("monitoring", monitor, f"198.18.{20 + i}.17", period_s=300)


def _connectors(plan: _Plan, servers: Ints, desk: Ints) -> None:
    makers = {
        "sentryware.example": ("console", "rules", "samples", "relay"),
        "ledgerlink.example": ("bank", "invoices", "tax"),
        "doorhouse.example": ("badges", "visitors", "locks"),
    }
    for i, name in enumerate(f"{service}.{maker}" for maker, services in makers.items() for service in services):
        users = np.concatenate([servers[i % len(servers)][None], desk[[7 * i % HOSTS]] if i % 3 == 0 else desk[:0]])
        plan.front("connector", users, f"198.18.{40 + i}.{3 + i}", name=name)


def _backups(plan: _Plan, backup: Ints) -> None:
    for i, client in enumerate(backup):
        plan.front("backup", np.array([client]), f"198.18.{60 + i // 4}.{10 + i}", port=8443, period_s=120,
                   up=(8e6, 0.02), down=400.0, hours=NIGHT, length_s=9.0)  # fmt: skip


def _inventory(plan: _Plan, desk: Ints) -> None:
    for i in range(5):
        plan.front("inventory", np.roll(desk, 11 * i), f"198.18.70.{20 + i}", name=f"scan{i + 1}.assets.example",
                   period_s=600, rota=HOSTS // 10)  # fmt: skip


def _building(plan: _Plan, building: Ints) -> None:
    for i, client in enumerate(building):
        plan.front("building", np.array([client]), f"198.18.{80 + i}.9", port=(8443, 443, 9443)[i],
                   period_s=(60, 300, 600)[i], up=((40_000.0, 0.3), SMALL, SMALL)[i])  # fmt: skip


def _branch(plan: _Plan, desk: Ints, servers: Ints) -> None:
    plan.front("branch", desk[[17]], "198.18.90.4", period_s=60, hours=WORK)
    plan.front("branch", servers[[1]], "198.18.91.4", period_s=600)


def _hops(plan: _Plan, desk: Ints, backup: Ints) -> None:
    plan.rented("redirector", desk[[23]], "203.0.113.77", 443, 0.4, 60)
    plan.rented("redirector", desk[[41]], "198.51.100.23", 443, 0.3, 300, name="cdn-status.example")
    plan.rented("exfiltration", backup[[5]], "203.0.113.140", 8443, 0.5, 1200, hours=WORK, up=(2e7, 0.5), length_s=20.0)
    plan.rented("tunnel", desk[[9]], "198.51.100.201", 1080, 1.0, 240, hours=WORK, up=(3000.0, 1.0), service=8)


def _exercise(plan: _Plan, desk: Ints, servers: Ints) -> None:
    """Twelve hops of one day: six for implants (sleep 60 s to 10 min, jitter 10 to 50 %), six for work by hand."""
    rng = plan.rng
    for i in range(12):
        client = servers[[i % len(servers)]] if i % 4 == 3 else desk[[(13 * i + 2) % HOSTS]]
        sleep, jitter = int(rng.choice([60, 120, 300, 600])), float(rng.uniform(0.1, 0.5))
        usual: dict[str, object] = {"days": (0, 1)}
        if i % 4 >= 2:  # sessions and files, by day
            jitter, usual = 1.0, usual | {"hours": WORK, "up": ((3000.0, 1.0), (1e7, 0.7))[i % 2]}
        name = f"{('news', 'static', 'assets')[i // 4]}-{i}.example" if i % 4 == 1 else None
        plan.rented("exercise", client, f"192.0.2.{40 + 9 * i}", 443, jitter, sleep, name, **usual)


def _with(agents: Agents, hosts: Ints, plan: _Plan) -> Agents:
    """Servers and devices call ordinary services too: eight programs each, every half hour or hour."""
    rng, each = plan.rng, 8
    n = each * len(hosts)
    period = rng.choice([1800, 3600], n) * SECOND
    return Agents(
        host=np.concatenate([agents.host, np.repeat(hosts, each)]),
        name=np.concatenate([agents.name, rng.integers(0, 200, n)]),
        period_us=np.concatenate([agents.period_us, period]),
        phase_us=np.concatenate([agents.phase_us, (rng.random(n) * period).astype(np.int64)]),
        jitter=np.concatenate([agents.jitter, rng.choice([0.0, 0.01, 0.05, 0.2], n)]),
        up=np.concatenate([agents.up, rng.lognormal(np.log(900), 0.7, n)]),
        down=np.concatenate([agents.down, rng.lognormal(np.log(2500), 1.0, n)]),
    )


def _share() -> Floats:
    """Cumulative share of the connections by hour: working days, weekends, and the days without records."""
    day = [(WEEKEND if d % 7 >= 5 else 1.0) if d in DAYS else 0.0 for d in range(DAYS[-1] + 1)]
    upto = np.concatenate([[0.0], np.cumsum(np.outer(day, DAY).ravel())])
    out: Floats = upto / upto[-1]
    return out


def report(site: Site) -> list[str]:
    """The addresses of the hops that the red team used."""
    return [site.addresses[p.server].as_py() for p in site.programs if p.kind == "exercise"]


def truth(site: Site) -> dict[str, object]:
    """Every program: its kind and why it looks like a hop, whether it is one, where it is and who calls it."""
    address, name = site.addresses.to_pylist(), site.names.to_pylist()
    programs = [
        {
            "kind": p.kind, "hop": p.kind in HOPS, "address": address[p.server], "port": p.port,
            "name": name[p.name] if p.name >= 0 else None, "clients": [address[c] for c in p.clients],
            "period_s": p.period_us / SECOND, "jitter": round(p.jitter, 3), "gap_ms": p.gap_us / 1000,
            "rtt_ms": round(float(site.rtt_us[p.server]) / 1000, 1), "hours": list(p.hours),
        }
        for p in site.programs
    ]  # fmt: skip
    return {"kinds": KINDS, "programs": programs}
