"""A host that consumes everywhere else produces here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from hopscope.config import setting
from hopscope.heuristics.base import Fact, Window
from hopscope.heuristics.evidence import evidence, join, numbers, outbound, rise, void_for_all
from hopscope.summaries.schema import KEY


@dataclass(frozen=True)
class Settings:
    """[heuristics.byte_ratio]"""

    floor: float = setting(0.3, "", "producer-consumer ratio from which a destination is fed (1: only upload)")
    full: float = setting(0.9, "", "ratio from which the size of the ratio no longer matters")
    min_bytes: int = setting(2000, "bytes", "uploaded payload below which the ratio says nothing")
    deviations: float = setting(3.0, "deviations", "distance from the host's own median, in robust deviations")
    min_deviation: float = setting(0.15, "", "least deviation assumed, for hosts that do only one thing")
    min_peers: int = setting(5, "destinations", "destinations that a host's own baseline needs")
    most_db: float = setting(8.0, "decibans", "the most that this evidence weighs")


FACTS = (
    Fact("ratio", "", "producer-consumer ratio (up - down) / (up + down) of payload bytes: -1 download, +1 upload"),
    Fact("up", "bytes", "payload sent to the destination"),
    Fact("down", "bytes", "payload received from it"),
    Fact("host_median", "", "median ratio over the host's outside destinations"),
    Fact("host_deviation", "", "median absolute deviation of it, times 1.4826"),
    Fact("peers", "destinations", "destinations in the host's baseline"),
)


@dataclass(frozen=True)
class ByteRatio:
    """Does this destination get more than it gives, against the host's habit?

    Formula: the producer-consumer ratio (up - down) / (up + down) of the pair, against the median and the
    median absolute deviation of the ratios of the same host's outside destinations in the window. Counts
    from `floor` up and from `deviations` robust deviations above the median; a host with fewer than
    `min_peers` destinations has no habit, and half the weight is given for the floor alone.

    Weights: none published; from the lab, smoothed and capped at `most_db`, since backups, agents that
    report and calls do the same. Source of the ratio: Bullard and Gerth, FloCon 2014; D3FEND's per host
    download-upload ratio. Void on one-sided links.
    """

    name: str = "byte_ratio"
    title: str = "uploads where the host usually downloads"
    d3fend: str = "D3-PHDURA"
    group: str = "volume"
    source: str = "producer-consumer ratio, Bullard & Gerth 2014"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = (("orig_bytes",), ("resp_bytes",))

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        if window.vantage.one_sided:
            return void_for_all("only one direction of each connection is seen", FACTS)
        pairs = outbound(window).filter(lambda t: t.orig_bytes + t.resp_bytes > 0)
        pairs = pairs.mutate(
            ratio=(pairs.orig_bytes - pairs.resp_bytes) / (pairs.orig_bytes + pairs.resp_bytes).cast("float64")
        )
        host = ["sensor", "client"]
        by_server = pairs.group_by([*host, "server"]).agg(ratio=pairs.ratio.mean())
        middle = by_server.group_by(host).agg(host_median=by_server.ratio.median(), peers=by_server.count())
        off = join(by_server, middle, host).mutate(off=ibis._.ratio - ibis._.host_median)
        deviation = off.group_by(host).agg(host_deviation=off.off.abs().median() * 1.4826)
        wanted = pairs.select(*KEY, "ratio", up=pairs.orig_bytes, down=pairs.resp_bytes)
        rows = join(join(wanted, middle, host), deviation, host).to_pyarrow()
        ratio, median, peers = (numbers(rows, k) for k in ("ratio", "host_median", "peers"))
        spread = np.maximum(numbers(rows, "host_deviation"), settings.min_deviation)
        fed = (ratio >= settings.floor) & (numbers(rows, "up") >= settings.min_bytes)
        habit = peers >= settings.min_peers
        unlike = (ratio - median) / spread >= settings.deviations
        share = np.where(habit, np.where(unlike, 1.0, 0.0), 0.5)
        size = 0.4 + 0.6 * rise(ratio, settings.floor, settings.full)
        decibans = np.where(fed, settings.most_db * size * share, 0.0)
        values = {
            "ratio": np.round(ratio, 3),
            "up": rows["up"],
            "down": rows["down"],
            "host_median": np.round(median, 3),
            "host_deviation": np.round(numbers(rows, "host_deviation"), 3),
            "peers": rows["peers"],
        }
        return evidence(rows, decibans, f"byte_ratio.floor = {settings.floor:g}", FACTS, values, window.samples)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """Both directions and the host's habit."""
        return (
            f"{facts['up']:,} bytes up and {facts['down']:,} down (ratio {facts['ratio']:+.2f}; "
            f"this host's median over {facts['peers']} destinations is {facts['host_median']:+.2f})"
        )


HEURISTIC = ByteRatio()
