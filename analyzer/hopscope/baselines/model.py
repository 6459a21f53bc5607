"""What a baseline holds: who uses what, who belongs together, and what each host exchanges hour by hour."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

_T, _I = pa.string(), pa.int64()
TABLES: dict[str, pa.Schema] = {
    # payload bytes that each of our hosts exchanged with the internet in each epoch hour
    "host_hours": pa.schema([
        ("sensor", _T), ("host", _T), ("hour", _I), ("orig_bytes", _I), ("resp_bytes", _I), ("connections", _I),
    ]),
    # destinations: kind address, or name where a DNS answer led from it to an address that was used
    "places": pa.schema([
        ("sensor", _T), ("kind", _T), ("value", _T),
        ("clients", _I),  # hosts of ours that used it; 0: it was there, and left out
        ("days", _I),  # days (UTC) on which it was used; 0 where it was left out
        ("first_us", _I), ("last_us", _I),  # of its hours
    ]),
    # which hosts belong together by what they share, see `heuristics.peers`
    "communities": pa.schema([("sensor", _T), ("client", _T), ("community", _I), ("members", _I)]),
    # what members of a community used: the name where a DNS answer led from it to the address, else the address
    "habits": pa.schema([
        ("sensor", _T), ("community", _I), ("place", _T),
        ("users", _I),  # members that used it
        ("user", _T),  # the only one; null when there were several
    ]),
}  # fmt: skip
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class About:
    """Where a baseline comes from. Times are RFC 3339 in UTC, `first_us` and `last_us` microseconds of the epoch."""

    version: int
    made: str
    first_us: int
    last_us: int
    days: int  # days (UTC) that have records
    hosts: int  # hosts of ours that talked to the internet
    destinations: int  # addresses that they used
    sensors: tuple[str, ...]
    local_nets: tuple[str, ...]
    left_out: tuple[str, ...]  # destinations that looked like hops, or were labelled so, and why: not learnt
    hopscope: str  # the version that learnt it
    digest: str  # of the tables as they are kept

    @property
    def label(self) -> str:
        """How findings name it: `3 of 2026-11-20, 7 days`."""
        return f"{self.version} of {self.made[:10]}, {self.days} {'day' if self.days == 1 else 'days'}"


@dataclass(frozen=True)
class Baseline:
    """A baseline as heuristics ask it; its tables are those of TABLES."""

    about: About
    host_hours: pa.Table
    places: pa.Table
    communities: pa.Table
    habits: pa.Table

    def days_known(self, history_us: int, start_us: int) -> float:
        """Days before `start_us` that it or the window's own history, from `history_us` on, tells of."""
        first, last = min(self.about.first_us, start_us), min(self.about.last_us, start_us)
        both = max(0, min(last, start_us) - max(first, history_us))
        return (start_us - history_us + last - first - both) / DAY_US
