"""Whether a window may be judged by a baseline, and what a person should know of the two."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from hopscope.baselines.model import DAY_US, Baseline
from hopscope.config import Config
from hopscope.heuristics.base import Window

OLD_DAYS = 60  # between the learnt days and the window, from which it is told
FEW_KNOWN = 0.5  # share of the window's hosts: when the baseline knows fewer, it is told


def fitted(baseline: Baseline | None, window: Window, config: Config) -> tuple[Baseline | None, str | None]:
    """The baseline to judge the window by, and a line about it: why it isn't used, or what to mind; None for none.

    A baseline that knows none of the window's sensors or hosts has nothing to say. One that was learnt with other
    monitored networks is used only where its number is named (`baseline.use`).
    """
    if baseline is None:
        return None, None
    told = baseline.about
    name = f"baseline {told.label},"
    hosts = _hosts(window)
    sensors = set(pc.unique(hosts["sensor"]).to_pylist())
    if not len(hosts):
        return baseline, None
    if not sensors & set(told.sensors):
        return None, f"{name} is not used: it was learnt from {_few(told.sensors)}, the records are of {_few(sensors)}"
    known = baseline.host_hours.select(["sensor", "host"]).group_by(["sensor", "host"]).aggregate([])
    knows = len(known.join(hosts, ["sensor", "host"], join_type="inner"))
    if not knows:
        return None, f"{name} is not used: it knows none of the {len(hosts):,} hosts of ours in these records"
    mind = []
    if set(told.local_nets) != set(config.network.local_nets):
        if config.baseline.use == "latest":
            return None, (
                f"{name} is not used: it was learnt with other monitored networks, {_few(told.local_nets)}; "
                f"--baseline {told.version} uses it all the same"
            )
        mind.append(f"was learnt with other monitored networks, {_few(told.local_nets)}")
    if sensors - set(told.sensors):
        mind.append(f"knows nothing of {_few(sensors - set(told.sensors))}")
    if knows < FEW_KNOWN * len(hosts):
        mind.append(f"knows {knows:,} of the {len(hosts):,} hosts of ours in these records")
    begin_us = max(window.start_us, window.history_us)  # the window's first hour may have begun without records
    before, after = begin_us - told.last_us, told.first_us - window.end_us
    if max(before, after) > OLD_DAYS * DAY_US:
        mind.append(f"is {max(before, after) // DAY_US} days {'older' if before > 0 else 'younger'} than these records")
    elif told.first_us <= begin_us and window.end_us - 1 <= told.last_us:
        mind.append("learnt from these very days, so that what is in them counts as ordinary")
    return baseline, f"{name} {'; it '.join(mind)}" if mind else None


def _hosts(window: Window) -> pa.Table:
    """(sensor, host) of our hosts in the window that talk to the internet."""
    p = window.pairs.filter(window.pairs.client_local & ~window.pairs.server_local)
    return p.select("sensor", host=p.client).distinct().to_pyarrow()


def _few(values: Iterable[str]) -> str:
    listed = sorted(values)
    return ", ".join(listed[:5]) + (", ..." if len(listed) > 5 else "")
