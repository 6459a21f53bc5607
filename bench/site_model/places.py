"""Who is there: hosts, servers, names, edges, agents and the planted hops of a made-up site.

| what | drawn from |
| --- | --- |
| a host's activity | lognormal, sigma 0.8 (a few hosts make most of the traffic) |
| a name's popularity | Zipf, exponent 0.9 (web requests: 0.6 to 0.9, Breslau et al. 1999) |
| where names live | 60 % on shared edges (two of EDGES addresses each), else on one address of their own |
| the way to an address, round trip | lognormal, median 25 ms, sigma 0.8, at least 2 ms; inside the site 0.3 ms |
| an agent's period | one of PERIODS by its weight; phase uniform; jitter 0, 1, 5 or 20 % of the period |
| an agent's sizes | lognormal about 900 bytes up and 2,500 down; each agent has its own mean |
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SECOND = 1_000_000
EDGES = 300  # addresses of shared edge networks
STRANGERS = 20_000  # addresses from which the internet calls
PERIODS = ((60, 0.06), (300, 0.2), (600, 0.24), (900, 0.15), (1800, 0.15), (3600, 0.2))  # seconds, share of agents
MEAN_CALLS = sum(3600 / period * share for period, share in PERIODS)  # of an agent in an hour
AGENTS_SHARE = 0.12  # of all connections
EPOCH = 1_767_571_200  # Monday 2026-01-05 00:00 UTC
DAY = np.array([3, 3, 3, 3, 3, 3, 4, 5, 7, 8, 8, 8, 7, 8, 8, 8, 7, 6, 5, 4, 4, 4, 3, 3], float)
ALL_DAY = (0, 24)


@dataclass(frozen=True)
class Size:
    """How large a site is asked for."""

    hosts: int
    hours: int
    connections: int
    seed: int

    @property
    def servers(self) -> int:
        """Servers of the site: one for every 40 hosts, at least 4."""
        return max(4, self.hosts // 40)


@dataclass(frozen=True)
class Hop:
    """A planted hop: ids of its address and of what stands behind it, as `Site.addresses` counts them."""

    kind: str  # beacon, named-beacon, upload, socks, relay
    client: int
    hop: int
    port: int
    name: int  # id in `Site.names`, -1 when it is reached by bare address
    period_us: int
    jitter: float
    gap_us: int  # round trip from the hop to the far end
    far: int  # relay: the address that our server passes on to; -1 else


@dataclass(frozen=True)
class Program:
    """One service of `week`, and who of us calls it by the clock; ids of addresses and names as in `Hop`."""

    kind: str
    clients: Ints
    server: int
    port: int
    name: int
    period_us: int
    jitter: float  # share of the period
    gap_us: int  # round trip from the address to what answers behind it
    dials: bool  # the address dials when it is called: the way behind it shows twice at first
    up: tuple[float, float]  # bytes a call: median and sigma
    down: float  # bytes of the usual answer
    days: tuple[int, int]  # first day since EPOCH, and the one after the last
    hours: tuple[int, int] = ALL_DAY  # first hour of the day, and the one after the last; may wrap midnight
    rota: int = 0  # so many of the clients a day, in turn; 0: all of them
    service: int = 1  # place in `traffic.SERVICES`
    length_s: float = 0.4
    sleeps: bool = False  # from call to call, each time the period less up to the jitter, instead of by a timer

    def at_work(self, number: int) -> Ints:
        """The clients that run it in the hour `number`."""
        day, hour = divmod(number, 24)
        first, end = self.hours
        now = first <= hour < end if first < end else hour >= first or hour < end
        if not (now and self.days[0] <= day < self.days[1]):
            return self.clients[:0]
        return np.roll(self.clients, -day * self.rota)[: self.rota] if self.rota else self.clients


@dataclass(frozen=True)
class Agents:
    """Programs that call by the clock: columns with one entry for each host and program."""

    host: Ints
    name: Ints
    period_us: Ints
    phase_us: Ints
    jitter: Floats  # share of the period
    up: Floats  # bytes a call
    down: Floats


@dataclass(frozen=True)
class Site:
    """Columns about each address and each name; the ids are places in them."""

    size: Size
    addresses: pa.Array  # hosts, servers, resolvers, edges, origins, strangers, hops; in this order
    local: NDArray[np.bool_]
    rtt_us: Floats  # the way to each address
    names: pa.Array
    home: Ints  # per name, two columns: ids of its addresses
    popularity: Floats  # cumulative share of the names by rank
    activity: Floats  # cumulative share of the hosts
    hosts: Ints  # ids of addresses, as the following
    servers: Ints
    resolvers: Ints
    strangers: Ints
    agents: Agents
    hops: tuple[Hop, ...]
    share: Floats  # cumulative share of the connections by hour
    programs: tuple[Program, ...] = ()


def build(size: Size) -> Site:
    """The site of that size; its traffic is drawn hour by hour in `traffic`."""
    rng = np.random.default_rng([size.seed, 0])
    web = 500 + 12 * size.hosts
    texts = [f"{_word(i)}.{('com', 'net', 'org', 'example')[i % 4]}" for i in range(web)]
    texts += ["cache.storage.example", "patches.updates.example", "push.messages.example", "time.pool.example",
              "pay.example", "cdn-status.example"]  # fmt: skip
    counts = {"hosts": size.hosts, "servers": size.servers, "resolvers": 2, "edges": EDGES,
              "origins": len(texts), "strangers": STRANGERS, "hops": 6}  # fmt: skip
    ends = np.cumsum(list(counts.values()))
    ids = {k: np.arange(end - n, end) for (k, n), end in zip(counts.items(), ends, strict=True)}
    addresses = [
        *(f"10.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}" for i in range(size.hosts)),
        *(f"10.0.0.{10 + i}" if i < 200 else f"10.0.{1 + i // 200}.{i % 200}" for i in range(size.servers)),
        "10.0.0.2", "10.0.0.3",
        *(f"151.101.{i >> 7}.{2 * (i & 127) + 1}" for i in range(EDGES)),
        *(f"{45 + (i >> 16)}.{i >> 8 & 255}.{i & 255}.{10 + i % 200}" for i in range(len(texts))),
        *(f"{80 + (i >> 13)}.{i >> 5 & 255}.{8 * (i & 31) + 5}.{1 + i % 250}" for i in range(STRANGERS)),
        *(f"185.{20 + 7 * i}.{113 + i}.{40 + 31 * i}" for i in range(counts["hops"])),
    ]  # fmt: skip
    local = np.arange(ends[-1]) <= ids["resolvers"][-1]
    rtt = np.maximum(rng.lognormal(np.log(25_000), 0.8, len(addresses)), 2000)
    rtt[local] = 300
    on_edge = rng.random(len(texts)) < 0.6
    home = np.where(on_edge[:, None], rng.choice(ids["edges"], (len(texts), 2)), ids["origins"][:, None])
    rank = np.arange(1, web + 1) ** -0.9
    activity = rng.lognormal(0, 0.8, size.hosts)
    share = np.concatenate([[0.0], np.cumsum(DAY[np.arange(size.hours) % 24])])
    site = Site(
        size=size, addresses=pa.array(addresses), local=local, rtt_us=rtt, names=pa.array(texts), home=home,
        popularity=np.cumsum(rank) / rank.sum(), activity=np.cumsum(activity) / activity.sum(),
        hosts=ids["hosts"], servers=ids["servers"], resolvers=ids["resolvers"], strangers=ids["strangers"],
        agents=_agents(rng, size, ids["hosts"], web), hops=(), share=share / share[-1],
    )  # fmt: skip
    return _plant(site, ids["hops"], rng)


def name_id(site: Site, text: str) -> int:
    """The id of a name that stands in the site for a purpose of its own."""
    return int(site.names.index(text).as_py())


def _agents(rng: np.random.Generator, size: Size, hosts: Ints, web: int) -> Agents:
    n = max(1, round(AGENTS_SHARE * size.connections / size.hours / MEAN_CALLS))
    seconds, weights = zip(*PERIODS, strict=True)
    period = rng.choice(np.array(seconds) * SECOND, n, p=np.array(weights) / sum(weights))
    return Agents(
        host=rng.choice(hosts, n),
        name=rng.integers(0, min(web, 200), n),  # popular ones
        period_us=period,
        phase_us=(rng.random(n) * period).astype(np.int64),
        jitter=rng.choice([0.0, 0.01, 0.05, 0.2], n),
        up=rng.lognormal(np.log(900), 0.7, n),
        down=rng.lognormal(np.log(2500), 1.0, n),
    )


def _plant(site: Site, at: Ints, rng: np.random.Generator) -> Site:
    clients = rng.choice(site.hosts, 4, replace=False).tolist()
    named = name_id(site, "cdn-status.example")
    home = site.home.copy()
    home[named] = at[1]
    hops = (
        Hop("beacon", clients[0], int(at[0]), 443, -1, 60 * SECOND, 0.2, 80_000, -1),
        Hop("named-beacon", clients[1], int(at[1]), 443, named, 300 * SECOND, 0.1, 45_000, -1),
        Hop("upload", clients[2], int(at[2]), 8443, -1, 1800 * SECOND, 0.3, 120_000, -1),
        Hop("socks", clients[3], int(at[3]), 1080, -1, 45 * SECOND, 0.9, 30_000, -1),
        Hop("relay", int(at[4]), int(site.servers[-1]), 8080, -1, 120 * SECOND, 0.5, 0, int(at[5])),
    )
    return replace(site, home=home, hops=hops)


def _word(i: int) -> str:
    """A pronounceable name for the i-th site of the web."""
    consonants, vowels = "bcdfghklmnprstvz", "aeiou"
    out = []
    for _ in range(3):
        i, c = divmod(i, len(consonants))
        i, v = divmod(i, len(vowels))
        out.append(consonants[c] + vowels[v])
    return "".join(out)
