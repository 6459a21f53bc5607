"""What is run: labelled captures and logs, what is true of each, and which networks are monitored.

Beside a checkout there may be a directory `shared` with the lab's captures and with captures and logs of real
software; where it is absent the captures in pcaps/ stand for the lab's, and the parts about real traffic are left out.

Monitored networks of real captures: the private ranges where the labelled flow, or with benign captures any flow,
leads out of them; else the addresses of the hosts that open connections and accept none. A capture made on one
machine has client and server at one address; there the labelled server is given an address of its own.
"""

from __future__ import annotations

import csv
import ipaddress
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.quality import judge

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
LABELS = Path(__file__).with_name("labels.tsv")
IN_SCOPE = ("proxy", "tunnel")


def outside_of(address: str) -> list[str]:
    """All networks but one address."""
    whole = ipaddress.IPv4Network("0.0.0.0/0")
    return [str(n) for n in sorted(whole.address_exclude(ipaddress.IPv4Network(address)))]


BEACON = ("73.54.23.243", "64.225.56.201")  # client and server of the beacon in rita/missing_host, as its source says
BEACON_LOG = "rita/missing_host"


@dataclass(frozen=True)
class Logs:
    """A set of logs: what it holds, the networks to monitor (None: the default) and the site's own proxies."""

    what: str
    nets: tuple[str, ...] | None = None
    own_proxies: tuple[str, ...] = ()


LOG_SETS = {
    # the server of the beacon is the host that was recorded: all others are monitored, as if it were outside
    BEACON_LOG: Logs("three days, a beacon to one server", tuple(outside_of(BEACON[1]))),
    "rita/proxy": Logs("clients behind an explicit HTTP proxy", own_proxies=("10.0.0.238",)),
    "rita/proxy_rolling": Logs("two hours of several clients, an explicit proxy", own_proxies=("10.0.0.238",)),
    "rita/open_conns": Logs("long connections"),
    "zat": Logs("minutes, Tor among them"),
    "tenzir": Logs("an ordinary day of a small office"),
}


@dataclass(frozen=True)
class Item:
    """One capture or set of logs. `kind` is what its hops are or what the capture holds; `label` its source's word.

    `nets` None: to be chosen from the capture. `excluded` says why its hops don't count, None when they do.
    """

    name: str
    set: str  # lab, real or logs
    path: Path
    kind: str
    truth: judge.Truth
    nets: tuple[str, ...] | None = None
    label: str = ""
    excluded: str | None = None
    seconds: float = 0.0
    own_proxies: tuple[str, ...] = ()

    @property
    def benign(self) -> bool:
        """Nothing in it is a hop, and nothing is known to be anything like one."""
        return not self.truth.hops and self.label.split(":")[0] in ("", "benign")


def lab(root: Path = SHARED) -> list[Item]:
    """The lab's captures, or those of pcaps/."""
    found = sorted((root / "captures").glob("*.json")) if root.is_dir() else []
    return [_lab_item(f) for f in found or sorted((ROOT / "pcaps").glob("*.json"))]


def _lab_item(truth_file: Path) -> Item:
    raw = json.loads(truth_file.read_text(encoding="utf-8"))
    truth = judge.of(raw)
    kinds = dict.fromkeys(str(h["kind"]) for h in truth.hops.values())
    nets = tuple(raw.get("local_nets") or ("10.0.0.0/8",))
    path = truth_file.with_name(f"{truth_file.stem}.pcap.gz")
    seconds = float(raw.get("ended", 0)) - float(raw.get("started", 0))
    return Item(truth_file.stem, "lab", path, ", ".join(kinds) or "ordinary traffic", truth, nets, seconds=seconds)


def real(root: Path = SHARED) -> list[Item]:
    """Captures of real software with their labels; none where they are absent."""
    manifest = root / "real/MANIFEST.tsv"
    if not manifest.is_file():
        return []
    known = labels()
    with manifest.open(encoding="utf-8", newline="") as f:
        return [_real_item(r, known, root) for r in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)]


def labels() -> dict[str, dict[str, str]]:
    """By path, what was looked up in captures of proxies and tunnels by hand.

    `hops` (address|port, separated by blanks), `excluded` (why they don't count), and `lacks` (what would be needed
    to tell such a hop, where it may be missed).
    """
    with LABELS.open(encoding="utf-8", newline="") as f:
        return {r["path"]: r for r in csv.DictReader(f, delimiter="\t")}


def _real_item(row: dict[str, str], known: dict[str, dict[str, str]], root: Path) -> Item:
    path, label = row["path"], row["label"]
    said = known.get(path, {})
    hops = [tuple(h.rsplit("|", 1)) for h in (said.get("hops") or "").split()]
    truth = judge.of({"hops": [{"hop": h, "port": p, "kind": label} for h, p in hops]})
    excluded = said.get("excluded") or None
    if label.split(":")[0] in IN_SCOPE and not hops and excluded is None:
        excluded = "not labelled by hand yet"
    return Item(path, "real", root / "real/captures" / path, label.split(":")[0], truth, None, label, excluded)


def logs(root: Path = SHARED) -> list[Item]:
    """Sets of real logs; none where they are absent."""
    return list(_logs(root / "real/logs"))


def _logs(at: Path) -> Iterator[Item]:
    for name, known in LOG_SETS.items():
        if (at / name).is_dir():
            hops = [{"hop": BEACON[1], "port": 80, "kind": "beacon", "clients": [BEACON[0]]}]
            truth = judge.of({"hops": hops if name == BEACON_LOG else []})
            yield Item(name, "logs", at / name, known.what, truth, known.nets, own_proxies=known.own_proxies)
