"""What the site does in one hour: rows of connections and of DNS queries, drawn in columns.

| kind | how much | times | sizes (payload bytes, lognormal: median, sigma) |
| --- | --- | --- | --- |
| agents | AGENTS_SHARE of the connections | phase + k · period ± jitter | each agent's own mean, sigma 0.15 |
| inbound | 5 %, strangers to servers, 443 | the day's curve | 800, 0.6 up; 9,000, 1.2 down |
| scans | 3 %, strangers to any of our addresses | uniform | none, or refused |
| time | each host every 1,024 s, UDP 123 | periodic | 48 and 48 |
| push | each host once in 4 hours, open for a lognormal time of 40 min, sigma 1 | uniform | 3,000, 0.5; 9,000, 0.7 |
| updates | each host once in 12 hours, 6 connections | uniform | 1,200, 0.3; 2,000,000, 1.5 |
| backups | each server at 02:00, 3 connections of about 10 min | 02:00 ± 20 min | 400,000,000, 1; 200,000, 0.5 |
| browsing | 55 % of what is left; visits of geometric (mean 3) connections | the curve | 1,300, 0.8; 12,000, 1.6 |
| DNS | a lookup before a name's first use by a client in its time to live (15 min) | before the use | 40; 120 |
| outward DNS | the resolvers ask for what no client asked for in the last time to live | | |
| inside | the rest: hosts to servers on 445, 389, 88, 8080 | the day's curve | 1,500, 1; 4,000, 1.5 |
| hops | as planted | period ± jitter | 600, 0.1; 900, 0.3; upload: 20,000,000, 0.5 up |
| programs | those of `week` | period ± jitter, or sleeps of a period less the jitter | their own |

The day's curve: `places.DAY`, the share of each hour of the day. A connection lasts four round trips and a lognormal
time about 0.4 s (sigma 1.5), unless said otherwise; 2 % of those to the internet are never answered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from site_model.places import EPOCH, SECOND, Floats, Ints, Site, name_id

HOUR = 3600 * SECOND
TTL = 900 * SECOND
ASKING = 5000  # from the first query to the connection, at most: both lie in one hour
NAME_SERVERS = 200  # of the internet
NEWS = 0.05  # share of a program's answers that bring news
SAME = 13  # bytes by which the others differ at most, and one more
TCP, UDP = 0, 1
SERVICES = ("-", "ssl", "http", "dns", "ntp", "smb", "ldap", "krb_tcp", "socks", "http")
SF, S0, REJ = 0, 1, 2
STATES = ("SF", "S0", "REJ")

ROW = np.dtype([
    ("start", "i8"), ("length", "i8"), ("client", "i8"), ("client_port", "i8"), ("server", "i8"), ("port", "i8"),
    ("proto", "i1"), ("service", "i1"), ("state", "i1"), ("name", "i8"), ("up", "i8"), ("down", "i8"), ("gap", "i8"),
    ("kept", "i1"),  # the way behind the address is kept open: no dial
])  # fmt: skip
QUERY = np.dtype([("start", "i8"), ("rtt", "i8"), ("client", "i8"), ("client_port", "i8"), ("resolver", "i8"),
                  ("name", "i8"), ("row", "i8")])  # fmt: skip
Rows = NDArray[np.void]


@dataclass(frozen=True)
class Hour:
    """The connections that begin in an hour, and the DNS queries of it; `QUERY.row` is the query's connection."""

    connections: Rows
    queries: Rows


def hour(site: Site, number: int) -> Hour:
    """The traffic of the hour `number`, counted from EPOCH; each hour is drawn by itself."""
    rng = np.random.default_rng([site.size.seed, 1 + number])
    begin = EPOCH * SECOND + number * HOUR
    wanted = _wanted(site, number)
    fixed = [
        _agents(site, rng, begin), _inbound(site, rng, begin, wanted // 20), _scans(site, rng, begin, wanted // 33),
        _time(site, rng, begin), _push(site, rng, begin), _updates(site, rng, begin),
        _backups(site, rng, begin, number),
        *(_hop(site, rng, begin, k) for k in range(len(site.hops))),
        *(_program(site, k, begin, number) for k in range(len(site.programs))),
    ]  # fmt: skip
    left = max(wanted - sum(len(rows) for rows in fixed), 0)
    rows = np.concatenate([*fixed, _browsing(site, rng, begin, int(0.55 * left))])
    queries, lookups = _lookups(site, rng, rows)
    queries["row"] += len(rows)
    rows = np.concatenate([rows, lookups])
    inside = _inside(site, rng, begin, max(wanted - len(rows), 0))
    return Hour(_settled(site, rng, np.concatenate([rows, inside])), queries)


def _wanted(site: Site, number: int) -> int:
    """Connections of the hour, so that all hours have as many as was asked for."""
    upto = np.round(site.share * site.size.connections).astype(np.int64)
    return int(upto[number + 1] - upto[number])


def _rows(rng: np.random.Generator, begin: int, n: int, **columns: object) -> Rows:
    """Rows with the given columns; the others as for TLS to port 443 at any time of the hour, of no name."""
    rows = np.zeros(n, ROW)
    rows["start"] = begin + (rng.random(n) * HOUR).astype(np.int64)
    rows["length"] = (rng.lognormal(np.log(0.4), 1.5, n) * SECOND).astype(np.int64)
    rows["client_port"] = rng.integers(32_768, 61_000, n)
    rows["port"], rows["service"], rows["name"] = 443, 1, -1
    for column, value in columns.items():
        rows[column] = value
    return rows


def _size(rng: np.random.Generator, n: int, median: float | Floats, sigma: float) -> Ints:
    out: Ints = (median * rng.lognormal(0, sigma, n)).astype(np.int64)
    return out


def _home(site: Site, rng: np.random.Generator, names: Ints) -> Ints:
    """One of each name's addresses."""
    out: Ints = site.home[names, rng.integers(0, 2, len(names))]
    return out


def _pick(cumulative: Floats, rng: np.random.Generator, n: int) -> Ints:
    return np.minimum(np.searchsorted(cumulative, rng.random(n)), len(cumulative) - 1)


def _beats(begin: int, period: Ints, phase: Ints, rng: np.random.Generator, jitter: Floats) -> tuple[Ints, Ints]:
    """Which of several clocks ticks when within the hour: (clock, time)."""
    first = -((phase - begin) // period)
    count = np.maximum(-((phase - begin - HOUR) // period) - first, 0)
    clock = np.repeat(np.arange(len(period)), count)
    k = np.arange(len(clock)) - np.repeat(np.cumsum(count) - count, count) + first[clock]
    at = phase[clock] + k * period[clock] + (rng.uniform(-0.5, 0.5, len(clock)) * jitter[clock] * period[clock])
    return clock, np.clip(at, begin + ASKING, begin + HOUR - 1).astype(np.int64)


def _agents(site: Site, rng: np.random.Generator, begin: int) -> Rows:
    a = site.agents
    clock, at = _beats(begin, a.period_us, a.phase_us, rng, a.jitter)
    names, n = a.name[clock], len(clock)
    return _rows(rng, begin, n, start=at, client=a.host[clock], server=_home(site, rng, names), name=names,
                 up=_size(rng, n, a.up[clock], 0.15), down=_size(rng, n, a.down[clock], 0.15))  # fmt: skip


def _inbound(site: Site, rng: np.random.Generator, begin: int, n: int) -> Rows:
    web = site.servers[: max(1, len(site.servers) // 4)]
    return _rows(rng, begin, n, client=rng.choice(site.strangers, n), server=rng.choice(web, n),
                 up=_size(rng, n, 800, 0.6), down=_size(rng, n, 9000, 1.2))  # fmt: skip


def _scans(site: Site, rng: np.random.Generator, begin: int, n: int) -> Rows:
    ours = np.concatenate([site.hosts, site.servers])
    return _rows(rng, begin, n, client=rng.choice(site.strangers[:500], n), server=rng.choice(ours, n), length=0,
                 port=rng.choice([22, 23, 80, 443, 445, 3389, 8080], n), service=0,
                 state=rng.choice([S0, REJ], n, p=[0.7, 0.3]))  # fmt: skip


def _time(site: Site, rng: np.random.Generator, begin: int) -> Rows:
    hosts = len(site.hosts)
    period, phase = np.full(hosts, 1024 * SECOND), site.hosts * 7_919_000 % (1024 * SECOND)
    clock, at = _beats(begin, period, phase, rng, np.full(hosts, 0.01))
    names = np.full(len(clock), name_id(site, "time.pool.example"))
    return _rows(rng, begin, len(clock), start=at, client=site.hosts[clock], server=_home(site, rng, names), name=names,
                 port=123, proto=UDP, service=4, up=48, down=48, length=30_000)  # fmt: skip


def _push(site: Site, rng: np.random.Generator, begin: int) -> Rows:
    n = rng.binomial(len(site.hosts), 0.25)
    names = np.full(n, name_id(site, "push.messages.example"))
    return _rows(rng, begin, n, client=rng.choice(site.hosts, n), server=_home(site, rng, names), name=names, port=5228,
                 length=_size(rng, n, 2400.0 * SECOND, 1), up=_size(rng, n, 3000, 0.5),
                 down=_size(rng, n, 9000, 0.7))  # fmt: skip


def _updates(site: Site, rng: np.random.Generator, begin: int) -> Rows:
    who = np.repeat(rng.choice(site.hosts, rng.binomial(len(site.hosts), 1 / 12)), 6)
    n, names = len(who), np.full(len(who), name_id(site, "patches.updates.example"))
    at = np.repeat(begin + rng.random(n // 6) * (HOUR - 60 * SECOND), 6) + rng.random(n) * 60 * SECOND
    return _rows(rng, begin, n, start=at, client=who, server=_home(site, rng, names), name=names,
                 length=_size(rng, n, 4.0 * SECOND, 1), up=_size(rng, n, 1200, 0.3),
                 down=_size(rng, n, 2_000_000, 1.5))  # fmt: skip


def _backups(site: Site, rng: np.random.Generator, begin: int, number: int) -> Rows:
    who = np.repeat(site.servers if number % 24 == 2 else site.servers[:0], 3)
    n, names = len(who), np.full(len(who), name_id(site, "cache.storage.example"))
    return _rows(rng, begin, n, start=begin + rng.random(n) * 2400 * SECOND, client=who, name=names,
                 server=_home(site, rng, names), length=_size(rng, n, 600.0 * SECOND, 0.3),
                 up=_size(rng, n, 4e8, 1), down=_size(rng, n, 200_000, 0.5))  # fmt: skip


def _browsing(site: Site, rng: np.random.Generator, begin: int, n: int) -> Rows:
    visits = n // 3 + 1
    visit = np.repeat(np.arange(visits), rng.geometric(1 / 3, visits))[:n]
    n = len(visit)
    client = site.hosts[_pick(site.activity, rng, visits)][visit]
    names = _pick(site.popularity, rng, visits)[visit]
    at = begin + (rng.random(visits) * (HOUR - 10 * SECOND))[visit] + rng.exponential(0.6 * SECOND, n)
    plain = names % 17 == 0
    return _rows(rng, begin, n, start=np.minimum(at, begin + HOUR - 1), client=client, name=names,
                 server=site.home[names, visit % 2], port=np.where(plain, 80, 443), service=np.where(plain, 2, 1),
                 up=_size(rng, n, 1300, 0.8), down=_size(rng, n, 12_000, 1.6))  # fmt: skip


def _inside(site: Site, rng: np.random.Generator, begin: int, n: int) -> Rows:
    what = rng.integers(0, 4, n)
    return _rows(rng, begin, n, client=site.hosts[_pick(site.activity, rng, n)], server=rng.choice(site.servers, n),
                 port=np.array([445, 389, 88, 8080])[what], service=np.array([5, 6, 7, 9])[what],
                 up=_size(rng, n, 1500, 1), down=_size(rng, n, 4000, 1.5))  # fmt: skip


def _hop(site: Site, rng: np.random.Generator, begin: int, which: int) -> Rows:
    hop = site.hops[which]
    period = np.array([hop.period_us])
    _, at = _beats(begin, period, np.array([which * 11 * SECOND]), rng, np.array([hop.jitter]))
    n = len(at)
    up = _size(rng, n, 2e7, 0.5) if hop.kind == "upload" else _size(rng, n, 600, 0.1)
    if hop.kind == "relay":
        up = _size(rng, n, 3000, 1)  # sessions of a person differ
    rows = _rows(rng, begin, n, start=at, client=hop.client, server=hop.hop, port=hop.port, name=hop.name, up=up,
                 down=_size(rng, n, 900, 0.3), gap=hop.gap_us, service=8 if hop.kind == "socks" else 1)  # fmt: skip
    if hop.far < 0:
        return rows
    far = rows.copy()
    far["client"], far["server"], far["port"] = hop.hop, hop.far, 443
    far["start"] += 40_000
    far["length"] -= np.minimum(far["length"], 30_000)
    far["client_port"] = rng.integers(32_768, 61_000, n)
    return np.concatenate([rows, far])


def _program(site: Site, which: int, begin: int, number: int) -> Rows:
    p = site.programs[which]
    who = p.at_work(number)
    if not len(who):
        return np.zeros(0, ROW)
    rng = np.random.default_rng([site.size.seed, 1 + number, 2, which])
    if p.sleeps:
        clock, at = _sleeps(site, which, begin, number // 24)
    else:
        period, phase = np.full(len(who), p.period_us), (who * 7_919 + which * 104_729) * 1_000_003 % p.period_us
        clock, at = _beats(begin, period, phase, rng, np.full(len(who), p.jitter))
    n = len(at)
    news = rng.random(n) < NEWS
    down = p.down + rng.integers(0, SAME, n) + news * p.down * rng.lognormal(np.log(4), 0.8, n)
    return _rows(rng, begin, n, start=at, client=who[clock], server=p.server, port=p.port, name=p.name,
                 service=p.service, length=_size(rng, n, p.length_s * SECOND, 0.5), up=_size(rng, n, *p.up),
                 down=down.astype(np.int64), gap=p.gap_us, kept=not p.dials)  # fmt: skip


def _sleeps(site: Site, which: int, begin: int, day: int) -> tuple[Ints, Ints]:
    """A day's calls that fall into the hour: after each the program sleeps its period, less up to the jitter.

    By hand (a jitter of 1) calls come at random, one a period on the average.
    """
    p = site.programs[which]
    midnight = EPOCH * SECOND + day * 24 * HOUR
    by_hand = p.jitter == 1
    most = int(24 * HOUR / p.period_us * (2 if by_hand else 1 / (1 - p.jitter))) + 1
    times = []
    for client in p.clients:
        rng = np.random.default_rng([site.size.seed, 1 + day, 3, which, client])
        sleep = rng.exponential(1, most) if by_hand else 1 - p.jitter * rng.random(most)
        at = midnight + np.cumsum(p.period_us * sleep).astype(np.int64)
        times.append(at[(at >= begin) & (at < begin + HOUR)])
    return np.repeat(np.arange(len(times)), [len(at) for at in times]), np.concatenate(times)


def _lookups(site: Site, rng: np.random.Generator, rows: Rows) -> tuple[Rows, Rows]:
    """The DNS queries that the named connections need, and the connections that carry them (`row` from 0)."""
    named = rows[(rows["name"] >= 0) & site.local[rows["client"]]]
    named = named[np.argsort(named["start"], kind="stable")]
    key = (named["client"] * len(site.names) + named["name"]) * 100_000 + named["start"] // TTL % 100_000
    asked = named[np.unique(key, return_index=True)[1]]
    first = asked[np.argsort(asked["start"], kind="stable")]
    first = first[np.unique(first["name"] * 100_000 + first["start"] // TTL % 100_000, return_index=True)[1]]
    q = np.zeros(len(asked) + len(first), QUERY)
    inner, outer = q[: len(asked)], q[len(asked) :]
    resolver = site.resolvers[asked["client"] % 2]
    inner["client"], inner["resolver"], inner["rtt"] = asked["client"], resolver, 400
    outer["client"] = site.resolvers[first["client"] % 2]
    outer["resolver"] = site.strangers[-1 - first["name"] % NAME_SERVERS]
    outer["rtt"] = site.rtt_us[outer["resolver"]]
    q["name"] = np.concatenate([asked["name"], first["name"]])
    q["start"] = np.concatenate([asked["start"] - 3000, first["start"] - 2500])
    q["client_port"] = rng.integers(1024, 65_535, len(q))
    q["row"] = np.arange(len(q))
    carried = _rows(rng, 0, len(q), start=q["start"], client=q["client"], client_port=q["client_port"], port=53,
                    server=q["resolver"], proto=UDP, service=3, length=q["rtt"], up=40, down=120)  # fmt: skip
    return q, carried


def _settled(site: Site, rng: np.random.Generator, rows: Rows) -> Rows:
    """Lengths that hold four round trips, and connections to the internet that nobody answers."""
    tcp = rows["proto"] == TCP
    rows["length"] = np.where(
        tcp & (rows["state"] == SF),
        np.maximum(rows["length"], 4 * (site.rtt_us[rows["server"]] + rows["gap"]).astype(np.int64)),
        rows["length"],
    )
    dead = tcp & ~site.local[rows["server"]] & (rows["gap"] == 0) & (rng.random(len(rows)) < 0.02)
    for column, value in (("state", S0), ("service", 0), ("up", 0), ("down", 0), ("length", 0)):
        rows[column] = np.where(dead, value, rows[column])
    return rows
